"""Other packages, in environments of their own: theirs and ours cannot be imported together."""

import functools
import json
import subprocess
from pathlib import Path

from django.db import connection
from environments import clean_environment, interpreter_with

PEERS = {
    "django-pgtrigger": "django-pgtrigger>=4.17,<5",
    "django-fsm": "django-fsm",
    "django-safedelete": "django-safedelete",
    "django-pghistory": "django-pghistory>=3.9,<4",
    "django-simple-history": "django-simple-history>=3.13,<4",
}


def peer_environment(peer: str) -> Path | None:
    """The interpreter of the environment of a peer; None where no index can be reached."""
    return interpreter_with(PEERS[peer])


@functools.cache
def peer_version(peer: str) -> str | None:
    """The version that is measured; None where no index can be reached."""
    python = peer_environment(peer)
    if python is None:
        return None
    program = f"import importlib.metadata as m; print(m.version({peer!r}))"
    return subprocess.check_output([str(python), "-c", program], text=True).strip()


def database_variables() -> dict[str, str]:
    """The database of the benchmarks, as `peer.configure` reads it."""
    settings = connection.settings_dict
    names = {"NAME": "DATABASE", "HOST": "HOST", "USER": "USER", "PASSWORD": "PASSWORD"}
    names |= {"PORT": "PORT"}
    return {f"PEER_{name}": str(settings[key] or "") for key, name in names.items()}


def run_peer(peer: str, *arguments: str, script: str = "peer.py") -> str:
    """Run a script there, on the database of the benchmarks; what it prints."""
    result = subprocess.run(
        [str(peer_environment(peer)), str(Path(__file__).with_name(script)), *arguments],
        env={**clean_environment(), **database_variables()},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        message = f"{script} {arguments[0]} failed:\n{result.stderr}"
        raise RuntimeError(message)
    return result.stdout


def install(peer: str, declarations: dict[str, str]) -> None:
    """Install triggers on tables made by `tables.Table`; they are written as for us."""
    if declarations:
        run_peer(peer, "install", json.dumps(declarations))
