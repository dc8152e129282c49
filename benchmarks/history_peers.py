"""django-pghistory and django-simple-history, in an environment of their own."""

import json
from typing import Any

from flight_tables import FlightTable, untracked
from peers import peer_environment, run_peer

PGHISTORY, SIMPLE = "django-pghistory", "django-simple-history"


def ask(peer: str, what: str, table: str, argument: object) -> Any:
    """Run history_peer.py; what it answers, or None where no index can be reached."""
    if peer_environment(peer) is None:
        return None
    return json.loads(run_peer(peer, what, table, str(argument), script="history_peer.py"))


def by_pghistory(name: str, level: str) -> FlightTable | None:
    """A table that django-pghistory tracks, by its triggers of this level."""
    if peer_environment(PGHISTORY) is None:
        return None
    table = untracked(name)
    return FlightTable(table.model, ask(PGHISTORY, "install", name, level))
