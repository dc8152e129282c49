"""django-pghistory and django-simple-history, in an environment of their own."""
from flight_tables import FlightTable


def tracked_by_pghistory(name: str, level: str) -> FlightTable | None:
    return None
