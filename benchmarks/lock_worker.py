"""Changes a trigger in a transaction that stays open, with the pgtrigger that its Python has.

Started by locks.py. Each line on its standard input is a JSON object with ``do`` and, where it
changes something, ``table``, ``declaration`` and ``action``; each is answered by one.
"""

import functools
import json
import sys
from typing import Any

import django
from peer import configure, row_model

LOCK_NOT_AVAILABLE = "55P03"
model_of = functools.cache(row_model)


def main(lock_timeout: str) -> None:
    configure(["pgtrigger"], PGTRIGGER_LOCK_TIMEOUT=lock_timeout)
    django.setup()
    from django.db import connection  # noqa: PLC0415  # it wants the settings

    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any] = {}
        if order["do"] == "rollback":
            connection.rollback()
            connection.set_autocommit(True)
        elif order["do"] == "change":
            connection.set_autocommit(False)
            change(order)
            answer["pid"] = connection.connection.info.backend_pid
        elif order["do"] == "commit":
            change(order)
        elif order["do"] == "try":
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{lock_timeout}'")
            answer["waits"] = has_to_wait(order)
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
        print(json.dumps(answer), flush=True)


def change(order: dict[str, str]) -> None:
    import pgtrigger  # noqa: PLC0415  # it wants the settings

    trigger = eval(order["declaration"], {"pgtrigger": pgtrigger})
    getattr(trigger, order["action"])(model_of(order["table"]))


def has_to_wait(order: dict[str, str]) -> bool:
    try:
        change(order)
    except Exception as error:  # of either package and driver; raised again if it is no wait
        cause: BaseException | None = error
        while cause is not None:
            if getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                return True
            cause = cause.__cause__
        # Ours, where another installer holds the lock that is on no table.
        if type(error).__name__ == "InstallationError" and "lock timeout" in str(error):
            return True
        raise
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
