"""typing_tests: type checkers accept the right calls and refuse the wrong ones.

`hatch run types` runs the same; the default environment has no type checkers.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("mypy") and find_spec("pyright") and find_spec("mypy_django_plugin")),
        reason="mypy, pyright or django-stubs are not installed; `hatch run types` has them",
    ),
]


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "mypy", "typing_tests/accepted", "typing_tests/refused"],
        ["-m", "pyright", "--pythonpath", sys.executable, "--warnings"],
        ["typing_tests/check_stubs.py"],
    ],
    ids=["mypy", "pyright", "stubs"],
)
def test_right_calls_are_accepted_and_wrong_ones_refused(command):
    result = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
