"""Other packages, in an environment of their own: theirs and ours cannot be imported together."""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from django.db import connection

PEERS = ("django-pgtrigger", "django-fsm")
NEEDED = (*PEERS, "Django>=5.2,<6", "psycopg[binary]>=3.2")


@functools.cache
def peer_environment() -> tuple[Path | None, str]:
    """The interpreter of an environment with the peers; or None, and why there is none."""
    home = Path(tempfile.gettempdir()) / f"pgtrigger-peers-{os.getuid()}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        for command in (
            ["uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(home)],
            ["uv", "pip", "install", "--quiet", "--python", str(python), *NEEDED],
        ):
            try:
                subprocess.run(command, check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as error:
                reason = getattr(error, "stderr", None) or str(error)
                return None, f"no environment: {reason.strip().splitlines()[-1]}"
        (home / "complete").touch()
    return python, ""


def run_peer(python: Path, *arguments: str) -> str:
    """Run peer.py there, on the database of the benchmarks; what it prints."""
    settings = connection.settings_dict
    given = {"PEER_DATABASE": settings["NAME"], "PEER_HOST": settings["HOST"]}
    given |= {"PEER_USER": settings["USER"], "PEER_PASSWORD": settings["PASSWORD"]}
    given |= {"PEER_PORT": str(settings["PORT"] or "")}
    result = subprocess.run(
        [str(python), str(Path(__file__).with_name("peer.py")), *arguments],
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        message = f"peer.py {arguments[0]} failed:\n{result.stderr}"
        raise RuntimeError(message)
    return result.stdout
