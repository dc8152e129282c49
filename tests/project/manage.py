"""Run a Django command in the test project: python tests/project/manage.py check."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    # The folder of this file is on the path already, and "settings" must not be found there.
    sys.path[0] = str(Path(__file__).parent.parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    execute_from_command_line(sys.argv)
