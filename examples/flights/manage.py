#!/usr/bin/env python
"""Django's command line for this project: ``python examples/flights/manage.py serve``."""

import os
import sys

from django.core.management import execute_from_command_line

from pgtrigger.errors import NoServerError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "website.settings")
    try:
        execute_from_command_line(sys.argv)
    except NoServerError as error:
        sys.exit(str(error))
