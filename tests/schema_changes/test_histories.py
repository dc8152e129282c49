"""Random histories: after each step the catalog is what the version of the models declares."""

from contextlib import contextmanager

import pytest
from django.db import models
from django.db.migrations.optimizer import MigrationOptimizer
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from schema_changes.conftest import run
from schema_changes.history import SCHEMA, SCHEMAS, History, migration
from schema_changes.shapes import APP, KINDS, thing

CHOICES = {
    "name": ["Thing", "Gadget", "Widget"],
    "db_table": [None, "order", "Mixed.case-table"],
    "field": ["size", "sizeOf", "select"],
    "column": [None, "si-ze", "With.Dots", "user"],
    # Numbers only: what becomes of texts, test_columns.py says.
    "type": [models.SmallIntegerField, models.IntegerField, models.BigIntegerField],
    "key": [models.AutoField, models.BigAutoField],
    "extra": [None, "extra", "Ex.tra"],
}
SEVERAL = profile(
    max_examples=max(2, profile.default.max_examples // 12),
    # A failing history takes too long to make smaller.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[*HealthCheck],
)


def version(chosen):
    subject = chosen["type"](default=0, db_column=chosen["column"])
    fields = {chosen["field"]: subject}
    if chosen["extra"]:
        fields["extra"] = models.IntegerField(default=0, db_column=chosen["extra"])
    return thing(
        chosen["kinds"],
        name=chosen["name"],
        key=("id", chosen["key"](primary_key=True)),
        fields=fields,
        db_table=chosen["db_table"],
    )


@st.composite
def edits(draw):
    """Versions of a model, each with some of its features and triggers changed."""
    chosen = {what: draw(st.sampled_from(among)) for what, among in CHOICES.items()}
    chosen["kinds"] = [*KINDS]
    found = [chosen]
    for _ in range(draw(st.integers(2, 4))):
        # Django takes a model whose name and fields both change for another one.
        changed = draw(
            st.just(["name", "db_table"])
            | st.sets(st.sampled_from([what for what in CHOICES if what != "name"]), max_size=3)
        )
        new = {what: draw(st.sampled_from(CHOICES[what])) for what in sorted(changed)}
        kinds = draw(st.sets(st.sampled_from(sorted(KINDS)), min_size=3))
        chosen = {**chosen, **new, "kinds": sorted(kinds)}
        found.append(chosen)
    return [version(chosen) for chosen in found]


@contextmanager
def emptied():
    """Each history begins with an empty database."""
    run(f"DROP SCHEMA IF EXISTS {', '.join(SCHEMAS)} CASCADE")
    run(*(f"CREATE SCHEMA {schema}" for schema in SCHEMAS))
    run(f"CREATE TABLE {SCHEMA}.fired (name text)")
    yield


@pytest.mark.slow
@SEVERAL
@given(data=st.data(), versions=edits(), atomic=st.booleans())
def test_exactly_the_declared_triggers_are_left_whatever_the_history(
    database, data, versions, atomic
):
    with emptied():
        history = History(atomic=atomic)
        for declared in versions:
            history.declare(declared)
            history.check()
            if data.draw(st.booleans()):
                history.set_states(data.draw(st.sampled_from("DAR")))
        for _ in range(3):
            others = [at for at in range(len(history.versions)) if at != history.at]
            history.migrate(data.draw(st.sampled_from(others)))
            history.check()


def everything(history):
    """The catalog, and the columns of the tables."""
    columns = history.sql(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = ANY(%s) ORDER BY 1, 2",
        [[*SCHEMAS]],
    )
    return columns, history.catalog()


@pytest.mark.slow
@SEVERAL
@given(versions=edits())
def test_a_squashed_history_ends_in_the_same_catalog(database, versions):
    with emptied():
        history = History()
        for declared in versions:
            history.declare(declared)
        expected = everything(history)
        operations = [
            operation
            for key in history.graph.forwards_plan(history.graph.leaf_nodes(APP)[0])
            for operation in history.graph.nodes[key].operations
        ]
    with emptied():
        squashed = History()
        optimized = MigrationOptimizer().optimize(operations, APP)
        squashed.add([versions[-1]], [migration(APP, "0001_squashed", optimized)])
        squashed.migrate(1)
        squashed.check()
        assert everything(squashed) == expected
        squashed.migrate(0)
        squashed.check()
