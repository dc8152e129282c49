#!/usr/bin/env python
"""Load all flights that left New York in 2013, and try to break the rules that their tables have.

::

    hatch run demo                 # everything; the second time the data is there already
    hatch run demo --rows 5000     # fewer flights
    hatch run demo --fresh         # load them anew

The work is done by ``flights/management/commands/demo.py``, the attempts are in
``flights/attempts.py``.
"""

import os
import sys

from django.core.management import execute_from_command_line

from pgtrigger.errors import NoServerError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "website.settings")
    try:
        execute_from_command_line([sys.argv[0], "demo", *sys.argv[1:]])
    except NoServerError as error:
        sys.exit(str(error))
