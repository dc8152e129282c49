"""Environments of their own for the packages that we are compared with."""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path


@functools.cache
def interpreter_with(requirement: str) -> Path | None:
    """A Python with this package and the Django and psycopg of this one; None without an index.

    It is built once and kept in the temporary directory.
    """
    same = [f"{name}=={version(name)}" for name in ("Django", "psycopg", "psycopg-binary")]
    key = hashlib.sha256(repr((requirement, same, sys.version)).encode()).hexdigest()[:16]
    kept = Path(tempfile.gettempdir(), f"pgtrigger-benchmarks-{os.getuid()}")
    kept.mkdir(mode=0o700, exist_ok=True)
    home = kept / key
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        # Under another name until it is there, because several runs may make it at once.
        made = Path(tempfile.mkdtemp(prefix=f"{key}-", dir=kept))
        inside = str(made / "bin" / "python")
        if uv := shutil.which("uv"):
            make = [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(made)]
            install = [uv, "pip", "install", "--quiet", "--python", inside, requirement, *same]
        else:
            make = [sys.executable, "-m", "venv", str(made)]
            install = [inside, "-m", "pip", "install", "--quiet", requirement, *same]
        for arguments in (make, install):
            done = subprocess.run(arguments, stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                print(f"{' '.join(arguments)}: {done.stderr}", file=sys.stderr)
                shutil.rmtree(made)
                return None
        (made / "complete").touch()
        try:
            made.rename(home)
        except OSError:  # another run was faster
            shutil.rmtree(made)
    return python


def clean_environment() -> dict[str, str]:
    """The environment variables without what would bring our packages into another Python."""
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
