"""From a PostgreSQL URL to Django's ``DATABASES``."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def database_settings(url: str, **settings: Any) -> dict[str, Any]:
    """Make an entry of Django's ``DATABASES`` from a PostgreSQL URL.

    Args:
        url: ``postgresql://user:password@host:port/name?option=value``, each part optional. A
            Unix socket is named by its directory: ``postgresql://user@/name?host=/directory``.
            Options that Django has no key for go to ``OPTIONS``, as in ``?sslmode=require``.
            PostgreSQL manual: 32.1.1.2, "Connection URIs".
        settings: More keys of the entry; they win over what the URL says.

    Returns:
        The entry, with the engine ``django.db.backends.postgresql``.

    Raises:
        ValueError: The URL names no PostgreSQL server.

    Example:
        >>> entry = database_settings("postgresql://me@/?host=/run/postgresql", NAME="flights")
        >>> entry["NAME"], entry["USER"], entry["HOST"]
        ('flights', 'me', '/run/postgresql')
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        # Not the URL itself: it may hold a password.
        raise ValueError(
            f"A URL with the scheme {parts.scheme!r} names no PostgreSQL server; it must look "
            "like postgresql://user:password@host:5432/name"
        )
    options = dict(parse_qsl(parts.query))
    entry = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": options.pop("dbname", unquote(parts.path.removeprefix("/"))),
        "USER": options.pop("user", unquote(parts.username or "")),
        "PASSWORD": options.pop("password", unquote(parts.password or "")),
        "HOST": options.pop("host", unquote(parts.hostname or "")),
        "PORT": options.pop("port", str(parts.port or "")),
    }
    return {**entry, "OPTIONS": options, **settings}
