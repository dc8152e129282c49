"""Tables that differ only in their trigger, so that one statement can be compared on all."""

import functools
from dataclasses import dataclass, replace
from typing import Any

from django.db import models
from session import execute

import pgtrigger

COLUMNS = "id bigint PRIMARY KEY, status text NOT NULL, owner int, amount int, version int"


@dataclass(frozen=True)
class Table:
    """A table of ``rows`` rows.

    A page is filled only so far that three versions of a row fit on it, so every round updates in
    place and leaves the table as large as it found it. Unlogged, because writing the log costs
    the same whatever the trigger is, and only adds noise.
    """

    name: str
    rows: int

    def create(self) -> "Table":
        execute(
            f"DROP TABLE IF EXISTS {self.name}",
            f"CREATE UNLOGGED TABLE {self.name} ({COLUMNS}) "
            "WITH (fillfactor = 30, autovacuum_enabled = off)",
            f"INSERT INTO {self.name} "
            f"SELECT n, 'open', n % 100, 0, 0 FROM generate_series(1, {self.rows}) n",
        )
        return self

    def by_hand(self, clauses: str, body: str) -> "Table":
        """Put a trigger on it as a person would write it."""
        execute(
            f"CREATE OR REPLACE FUNCTION by_hand_{self.name}() RETURNS trigger LANGUAGE plpgsql "
            f"AS $body$\nBEGIN\n{body}\nEND;\n$body$",
            f"CREATE TRIGGER by_hand {clauses.replace('TABLE', self.name, 1)} "
            f"EXECUTE FUNCTION by_hand_{self.name}()",
        )
        return self

    def by_us(self, declaration: str | pgtrigger.Trigger) -> "Table":
        """Put a declared trigger on it."""
        trigger = declared(declaration) if isinstance(declaration, str) else declaration
        trigger.install(self.model())
        return self

    def model(self) -> Any:
        """The model of the table."""
        return _model(self.name)

    def update(self, rows: int | None = None, change: str = "amount = amount + 1") -> str:
        where = "" if rows is None else f" WHERE id <= {rows}"
        return f"UPDATE {self.name} SET {change}{where}"

    def vacuum(self) -> None:
        execute(f"VACUUM {self.name}")

    def renamed(self, name: str) -> "Table":
        return replace(self, name=name)


def declared(text: str) -> pgtrigger.Trigger:
    """A trigger from its Python text, which the peers read, too."""
    trigger = eval(text, {"pgtrigger": pgtrigger})
    assert isinstance(trigger, pgtrigger.Trigger)
    return trigger


@functools.cache  # Django warns of a model that is made again
def _model(table: str) -> Any:
    body = {
        "__module__": __name__,
        "Meta": type("Meta", (), {"app_label": "benchmarks", "db_table": table}),
        "id": models.BigIntegerField(primary_key=True),
        "status": models.TextField(),
        "owner": models.IntegerField(null=True),
        "amount": models.IntegerField(null=True),
        "version": models.IntegerField(null=True),
    }
    return type(table.title().replace("_", ""), (models.Model,), body)
