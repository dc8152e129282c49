"""The server of the benchmarks: that of ``DATABASE_URL``, or an embedded one, with its settings."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pgtrigger.testing import postgres
from pgtrigger.testing.keeper import DURABILITY

# Installing takes two locks for each trigger until the transaction ends, and the default, 64, has
# no room for 8,000 triggers.
MAX_LOCKS = 512


@contextmanager
def server() -> Iterator[str]:
    """The URL of the server, which is there as long as the block."""
    if "DATABASE_URL" in os.environ:
        with postgres() as given:
            yield given.url
        return
    with tempfile.TemporaryDirectory(prefix="pgtrigger-bench-") as directory:
        with postgres(directory) as begun:
            _alter_system(begun.url)
        with postgres(directory) as made:
            yield made.url


def _alter_system(url: str) -> None:
    import psycopg  # noqa: PLC0415  # not needed to list the subjects

    with psycopg.connect(url, autocommit=True) as connection:
        for name in DURABILITY:
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute(f"ALTER SYSTEM SET max_locks_per_transaction = {MAX_LOCKS}")
