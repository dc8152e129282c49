"""The session that statements are measured in."""

from django.db import connection


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def reconnect(*, ignored_before: bool = False) -> None:
    """A new session: one that has never heard of the ignore setting, or one where it was used.

    Afterwards the setting reads as an empty text, for as long as the session lasts.
    """
    connection.close()
    execute("SET jit = off", "SET max_parallel_workers_per_gather = 0")
    if ignored_before:
        execute("BEGIN", "SELECT set_config('pgtrigger.ignore', '{another}', true)", "COMMIT")
