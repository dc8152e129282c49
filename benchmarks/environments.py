"""Environments of their own for the packages that we are compared with."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path


def interpreter_with(*requirements: str) -> Path | None:
    """A Python with these packages and the Django and psycopg of this one; None without an index.

    It is built once and kept in the temporary directory.
    """
    same = [f"{name}=={version(name)}" for name in ("Django", "psycopg", "psycopg-binary")]
    key = hashlib.sha256(repr((requirements, same, sys.version)).encode()).hexdigest()[:16]
    home = Path(tempfile.gettempdir(), f"pgtrigger-benchmarks-{os.getuid()}-{key}")
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        uv = shutil.which("uv") or f"{sys.executable} -m uv"
        install = ["pip", "install", "--quiet", "--python", str(python), *requirements, *same]
        for arguments in (["venv", "--quiet", "--python", sys.executable, str(home)], install):
            done = subprocess.run(
                [*uv.split(), *arguments], stderr=subprocess.PIPE, text=True, check=False
            )
            if done.returncode:
                print(f"{' '.join(arguments)}: {done.stderr}", file=sys.stderr)
                return None
        (home / "complete").touch()
    return python


def clean_environment() -> dict[str, str]:
    """The environment variables without what would bring our packages into another Python."""
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
