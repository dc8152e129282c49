"""The machine that was measured on, and the versions of what was measured."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from peers import PEERS, peer_version


def machine() -> str:
    """Processors and system."""
    return f"{os.cpu_count()} processors, {processor()}, {platform.platform()}"


def load() -> str:
    """How many processes wanted a processor in the last minute; empty where nobody counts."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    known = platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), known)


def versions(connection: Any, contenders: tuple[str, ...]) -> dict[str, str]:
    """Of what runs, and of the packages among the contenders."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (server,) = cursor.fetchone()
    found = {"Python": platform.python_version(), "PostgreSQL": server}
    names = {"Django": "Django", "psycopg": "psycopg", "pgtrigger": "pgtrigger-kernel"}
    for name, distribution in names.items():
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:
            found[name] = "not installed"
    for peer in contenders:
        if peer in PEERS:
            found[peer] = peer_version(peer) or "not measured: no package index"
    return found
