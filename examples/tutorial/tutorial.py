#!/usr/bin/env python
"""Six problems and the triggers that solve them, step by step, on a PostgreSQL server of its own.

::

    hatch run tutorial                # from the beginning
    hatch run tutorial --step 3       # from the third problem; 3.2 is its second step
    hatch run tutorial --list         # which steps there are
    hatch run tutorial --run          # play all suggestions, and fail if one misses its goal
"""

from __future__ import annotations

import argparse
import os
import sys

import psycopg
from screen import Screen
from walk import Walk, contents, find

from pgtrigger.errors import NoServerError
from pgtrigger.testing import postgres
from shop import Shop

WELCOME = (
    "A bookshop, six problems, and the triggers that solve them. Type SQL, or Python after >>>; "
    "an empty line does what is suggested. `help` shows the commands. Nothing that you type "
    "breaks it: `reset` makes the shop anew."
)


def step(text: str) -> int:
    """The place of a step, for argparse."""
    try:
        return find(text)
    except LookupError as error:
        raise argparse.ArgumentTypeError(error.args[0]) from None


def main(arguments: list[str] | None = None) -> int:
    """Run the tutorial, and give the exit code."""
    parser = argparse.ArgumentParser(prog="tutorial", description=WELCOME)
    parser.add_argument("--list", action="store_true", help="show all steps")
    parser.add_argument("--step", type=step, default=0, metavar="N", help="begin there")
    parser.add_argument("--run", action="store_true", help="play all suggestions")
    options = parser.parse_args(arguments)
    screen = Screen()
    if options.list:
        contents(screen)
        return 0
    screen.paragraph(WELCOME)
    screen.line("Starting PostgreSQL ...", "dim")
    with postgres() as server, Shop(server) as shop:
        walk = Walk(shop, screen, screen.play if options.run else screen.ask, options.step)
        walk.run()
    if options.run:
        return int(len(walk.reached) < len(walk.places) - options.step)
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except (NoServerError, psycopg.Error) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read it has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code)
