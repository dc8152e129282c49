"""A database router that has no opinion, unless a test gives it one."""

from django.db import models


class Router:
    """Ask `routes` where things go.

    A test replaces an entry, e.g. with the ``monkeypatch`` fixture:
    ``monkeypatch.setitem(Router.routes, "allow_migrate", lambda db, app_label, **hints: False)``.
    """

    routes: dict[str, object] = {}

    def _ask(self, question, *args, **hints):
        answer = self.routes.get(question)
        return answer(*args, **hints) if callable(answer) else None

    def db_for_read(self, model: type[models.Model], **hints):
        return self._ask("db_for_read", model, **hints)

    def db_for_write(self, model: type[models.Model], **hints):
        return self._ask("db_for_write", model, **hints)

    def allow_relation(self, one: models.Model, other: models.Model, **hints):
        return self._ask("allow_relation", one, other, **hints)

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints):
        return self._ask("allow_migrate", db, app_label, model_name=model_name, **hints)
