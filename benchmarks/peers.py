"""Other packages, in an environment of their own: theirs and ours cannot be imported together."""

import subprocess
from pathlib import Path

from django.db import connection
from environments import clean_environment, interpreter_with

PEERS = (
    "django-pgtrigger>=4.17,<5",
    "django-fsm",
    "django-safedelete",
    "django-pghistory>=3.9,<4",
    "django-simple-history>=3.13,<4",
)


def peer_environment() -> Path | None:
    """The interpreter of an environment with all the peers; None where no index can be reached."""
    return interpreter_with(*PEERS)


def run_peer(python: Path, *arguments: str, script: str = "peer.py") -> str:
    """Run a script there, on the database of the benchmarks; what it prints."""
    settings = connection.settings_dict
    given = {"PEER_DATABASE": settings["NAME"], "PEER_HOST": settings["HOST"]}
    given |= {"PEER_USER": settings["USER"], "PEER_PASSWORD": settings["PASSWORD"]}
    given |= {"PEER_PORT": str(settings["PORT"] or "")}
    result = subprocess.run(
        [str(python), str(Path(__file__).with_name(script)), *arguments],
        env={**clean_environment(), **given},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        message = f"{script} {arguments[0]} failed:\n{result.stderr}"
        raise RuntimeError(message)
    return result.stdout
