"""What a search vector adds to the rows of a bulk insert and update, beside triggers by hand.

By hand there are two ways: Postgres' own function in C, which django-pgtrigger calls too, and
plpgsql as the manual has it.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.search import SearchVectorField
from django.db import connection, models
from lines import HAND, OURS, Line, added
from measure import Clock, Samples, Scale, rounds
from peers import install, peer_environment
from session import execute, reconnect
from subject import Subject
from tables import declared

PEER = "django-pgtrigger"
BAR, ALLOWED_BAR = 1.15, 1.10
# One of a thousand words of seven letters, for row r and place n.
WORD = "translate(left(md5(((r * 31 + n * n * 17) % 1000)::text), 7), '0123456789', 'ghijklmnop')"
DOCUMENTS = ["title", "body"]
TEXT = "to_tsvector('pg_catalog.english', coalesce(NEW.{}, ''))"
CONCATENATED = " || ".join(TEXT.format(name) for name in DOCUMENTS)
WEIGHTED = " || ".join(
    f"setweight({TEXT.format(name)}, '{weight}')"
    for name, weight in zip(DOCUMENTS, "AB", strict=True)
)


def model(table: str) -> Any:
    body = {
        "__module__": __name__,
        "Meta": type("Meta", (), {"app_label": "benchmarks", "db_table": table}),
        "id": models.BigIntegerField(primary_key=True),
        "title": models.TextField(),
        "body": models.TextField(),
        "views": models.IntegerField(),
        "vector": SearchVectorField(null=True),
    }
    return type(table.title().replace("_", ""), (models.Model,), body)


def declaration(fields: object = DOCUMENTS) -> str:
    return (
        'pgtrigger.UpdateSearchVector(name="search", vector_field="vector", '
        f"document_fields={fields!r})"
    )


def ours(table: str, fields: object = DOCUMENTS) -> None:
    declared(declaration(fields)).install(model(table))


def native(table: str) -> None:
    execute(
        f"CREATE TRIGGER by_hand BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION "
        "tsvector_update_trigger(vector, 'pg_catalog.english', title, body)"
    )


def plpgsql(table: str, vector: str) -> None:
    execute(
        f"CREATE FUNCTION by_hand_{table}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN NEW.vector := {vector}; RETURN NEW; END $$",
        f"CREATE TRIGGER by_hand_insert BEFORE INSERT ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION by_hand_{table}()",
        f"CREATE TRIGGER by_hand_update BEFORE UPDATE ON {table} FOR EACH ROW "
        "WHEN (OLD.title IS DISTINCT FROM NEW.title OR OLD.body IS DISTINCT FROM NEW.body "
        f"OR OLD.vector IS DISTINCT FROM NEW.vector) EXECUTE FUNCTION by_hand_{table}()",
    )


VARIANTS = {
    "none": lambda _: None,
    "hand, C": native,
    "hand, plpgsql": lambda table: plpgsql(table, CONCATENATED),
    "ours": ours,
    "hand, weights": lambda table: plpgsql(table, WEIGHTED),
    "ours, weights": lambda table: ours(table, {"title": "A", "body": "B"}),
    PEER: lambda table: install(PEER, {table: declaration()}),
}
PAIRS = [
    ("hand, C", "ours"),
    ("hand, C", PEER),
    ("hand, plpgsql", "ours"),
    ("hand, weights", "ours, weights"),
]


def run(scale: Scale) -> Iterator[Line]:
    reconnect()
    for words in scale.pick((5, 50, 500), (5,)):
        rows = scale.pick(50_000 // words, 200, 100_000 // words)
        yield from inserts(scale, words, rows)
    yield from updates(scale, words, rows)


def create(words: int, rows: int) -> dict[str, str]:
    """A table for each variant, and the rows that go into each."""
    execute(
        "DROP TABLE IF EXISTS search_source",
        "CREATE UNLOGGED TABLE search_source AS SELECT r AS id, t.words AS title, b.words AS body "
        f"FROM generate_series(1, {rows}) r, "
        + ", ".join(
            f"LATERAL (SELECT string_agg({WORD}, ' ') "
            f"FROM generate_series(1, {number}) n) {alias} (words)"
            for alias, number in (("t", 5), ("b", words))
        ),
    )
    tables = {}
    for number, (name, put) in enumerate(VARIANTS.items()):
        if name == PEER and peer_environment(PEER) is None:
            continue
        table = tables[name] = f"search_{words}_{number}"
        execute(
            f"CREATE UNLOGGED TABLE {table} (id bigint PRIMARY KEY, title text NOT NULL, "
            "body text NOT NULL, views int NOT NULL, vector tsvector) "
            "WITH (fillfactor = 30, autovacuum_enabled = off)",
        )
        put(table)
    return tables


def fill(table: str) -> None:
    execute(f"INSERT INTO {table} SELECT id, title, body, 0 FROM search_source")


def inserts(scale: Scale, words: int, rows: int) -> Iterator[Line]:
    tables = create(words, rows)
    clock = Clock(connection)

    def work(name: str, samples: Samples) -> None:
        execute(f"TRUNCATE {tables[name]}")
        clock.time(lambda: fill(tables[name]), samples)

    samples = rounds(tables, scale.pick(9, 2, 21), work)
    for hand, name in PAIRS:
        if name in samples:
            case = f"insert, {5 + words} words, {hand.removeprefix('hand, ')}"
            who, bar = (PEER, None) if name == PEER else (OURS, BAR)
            yield added(case, samples, hand, name, rows=rows, contender=who, bar=bar)


def updates(scale: Scale, words: int, rows: int) -> Iterator[Line]:
    """Updates of another column: by hand with the same WHEN clause, which few would write."""
    tables = {
        name: f"search_{words}_{number}"
        for number, name in enumerate(VARIANTS)
        if name in ("none", "hand, plpgsql", "ours")
        or (name == PEER and peer_environment(PEER) is not None)
    }
    for table in tables.values():
        execute(f"TRUNCATE {table}")
        fill(table)
    clock = Clock(connection)

    def work(name: str, samples: Samples) -> None:
        execute(f"VACUUM {tables[name]}")
        clock.time(lambda: execute(f"UPDATE {tables[name]} SET views = views + 1"), samples)

    samples = rounds(tables, scale.pick(25, 2, 41), work)
    case = f"update of another column, {5 + words} words"
    yield added(case, samples, "hand, plpgsql", "ours", rows=rows, bar=ALLOWED_BAR)
    if PEER in samples:
        yield added(case, samples, "hand, plpgsql", PEER, rows=rows, contender=PEER)


SUBJECT = Subject(
    title="Search vectors",
    about="""
An `INSERT` of documents of 10, 55 and 505 words, whose search vector a trigger computes, and an
`UPDATE` of a column that the vector does not depend on. By hand there are two ways: Postgres' own
function in C, `tsvector_update_trigger`, which django-pgtrigger calls too, and plpgsql as the
manual of PostgreSQL has it. *Weights*: the words of the title count more, which the function in C
cannot do.
""",
    unit="what a trigger adds to a row, in processor time of the server",
    contenders=(HAND, OURS, PEER),
    bar="1.15 of what the trigger written by hand adds, 1.10 where the vector stays",
    run=run,
)
