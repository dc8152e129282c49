"""Python environments of their own, for packages that must not be beside ours."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# What is said where no package index can be reached.
NO_INDEX = ("from versions: none", "error sending request", "Failed to fetch", "dns error")


def environment_with(*requirements: str) -> Path:
    """The Python of an environment with these packages, which is kept for the next run.

    Skips the test where no package index can be reached.
    """
    key = hashlib.sha256(repr((requirements, sys.version, sys.executable)).encode()).hexdigest()
    home = Path(tempfile.gettempdir()) / f"pgtrigger-environment-{os.getuid()}-{key[:16]}"
    # Two workers of pytest-xdist may come here at the same time.
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            make_environment(home, *requirements)
            (home / "complete").touch()
    return python_of(home)


def python_of(home: Path) -> Path:
    """The Python of an environment."""
    return home / ("Scripts" if os.name == "nt" else "bin") / "python"


def make_environment(home: Path, *requirements: object) -> None:
    """Make an environment with these packages, by uv where it is there; see `run`."""
    words = [str(word) for word in requirements]
    if uv := shutil.which("uv"):
        run(uv, "venv", "--quiet", "--python", sys.executable, home)
        # Processes that may not write bytecode would compile Django each time.
        options = ["--quiet", "--compile-bytecode", "--python", python_of(home)]
        run(uv, "pip", "install", *options, *words)
    else:
        run(sys.executable, "-m", "venv", home)
        run(python_of(home), "-m", "pip", "install", "--quiet", *words)


def run(
    *command: object, exits: int = 0, cwd: Path | None = None, answers: str = "", **env: str
) -> str:
    """Run a program and give what it wrote: to stdout, or all of it where it is to fail.

    Skips the test where a package index is needed and none can be reached.

    Raises:
        AssertionError: it ended with another exit code.
    """
    words = [str(word) for word in command]
    result = subprocess.run(
        words,
        cwd=cwd,
        env={**clean_environment(), **env},
        input=answers,
        capture_output=True,
        text=True,
        check=False,
    )
    output = f"--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
    if result.returncode and not exits and any(text in result.stderr for text in NO_INDEX):
        pytest.skip(f"no package index: {result.stderr}")
    if result.returncode != exits:
        raise AssertionError(
            f"{' '.join(words)} ended with {result.returncode} instead of {exits}\n{output}"
        )
    return result.stdout if not exits else result.stdout + result.stderr


def clean_environment() -> dict[str, str]:
    """The environment variables without what would bring our packages into another Python."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ours and not key.startswith(("COVERAGE_", "PYTEST_"))
    }
