"""Write the stubs of the installed plugins, and check ``stubs/`` with them: mypy and pyright.

The rest of this folder is checked together with the packages; `hatch run types` does both.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
USES = ROOT / "typing_tests" / "stubs"


def run(*command: object, **env: str) -> None:
    """Run a program in the root of the repository; end with its exit code if it fails."""
    words = [sys.executable, "-m", *map(str, command)]
    code = subprocess.run(words, cwd=ROOT, env={**os.environ, **env}, check=False).returncode
    if code:
        sys.exit(code)


def main() -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "project.settings_typing", "PYTHONPATH": "tests"}
    run("project.installed", PYTHONPATH="tests")
    with tempfile.TemporaryDirectory() as temporary:
        typings = Path(temporary).resolve() / "typings"
        run("django", "pgtrigger", "stubs", "--output", typings, **settings)
        run("django", "pgtrigger", "stubs", "--output", typings, "--check", **settings)
        run("mypy", USES, MYPYPATH=str(typings))
        # A folder that is like a project of a user's: the stubs are where pyright looks by itself.
        for file in USES.glob("*.py"):
            (typings.parent / file.name).write_text(file.read_text())
        config = {
            "include": ["*.py"],
            "enableTypeIgnoreComments": False,
            "reportUnnecessaryTypeIgnoreComment": "error",
            "reportUnusedExpression": "none",
        }
        (typings.parent / "pyrightconfig.json").write_text(json.dumps(config))
        run("pyright", "--project", typings.parent, "--pythonpath", sys.executable, "--warnings")


if __name__ == "__main__":
    main()
