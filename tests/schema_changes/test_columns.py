"""Changes of columns that need more than two versions, or that a trigger cannot survive."""

import pytest
from django.db import models, transaction
from django.db.migrations.operations import AlterField, RemoveField, RunSQL
from django.db.migrations.state import ModelState

import pgtrigger
from pgtrigger.errors import FieldLookupError, InstallationError
from schema_changes.history import History, migration
from schema_changes.shapes import APP, KINDS, log, thing


def model(*triggers, name="Thing", **fields):
    fields = fields or {"size": models.IntegerField(default=0)}
    key = "id", models.BigAutoField(primary_key=True)
    return ModelState(APP, name, [key, *fields.items()], {"triggers": [*triggers]})


def integer(**options):
    return models.IntegerField(default=0, **options)


def text(**options):
    return models.CharField(default="0", max_length=9, **options)


def logging(name="logs", **clauses):
    given = {"when": pgtrigger.After, "operation": pgtrigger.Update, "func": log(name)}
    return pgtrigger.Trigger(name=name, **{**given, **clauses})


def snapshot(history):
    columns = history.sql(
        "SELECT attrelid::regclass::text, attname, atttypid::regtype::text FROM pg_attribute"
        " JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'changes'::regnamespace"
        " AND relkind = 'r' AND attnum > 0 AND NOT attisdropped AND relname <> 'django_migrations'"
        " ORDER BY 1, 2"
    )
    return columns, history.catalog()


# --- A column whose type changes --------------------------------------------------------------


def test_a_text_that_becomes_a_number_is_compared_as_a_number(history):
    grows = logging(condition=pgtrigger.Q(old__size__lt=pgtrigger.F("new__size")))
    history.declare(model(grows, size=text()))
    history.declare(model(grows, size=integer()))
    state_model, _ = next(history.declared())
    state_model.objects.create(pk=1, size=9)
    state_model.objects.update(size=10)
    assert history.fired() == ["logs"]


def test_a_number_that_was_a_text_for_a_while_is_compared_as_a_number(history):
    grows = logging(condition=pgtrigger.Q(old__size__lt=pgtrigger.F("new__size")))
    history.declare(model(grows, size=integer()))
    history.declare(model(grows, size=text()))
    history.migrate(1)
    state_model, _ = next(history.declared())
    state_model.objects.create(pk=1, size=9)
    state_model.objects.update(size=10)
    assert history.fired() == ["logs"]


TYPES = {
    "bigint": models.BigIntegerField(default=0),
    "smallint": models.SmallIntegerField(default=0),
    "float": models.FloatField(default=0),
    "decimal": models.DecimalField(default=0, max_digits=9, decimal_places=2),
    "text": models.TextField(default="0"),
    "varchar": models.CharField(default="0", max_length=9),
    "longer": models.CharField(default="0", max_length=99),
}
TEXTS = ("text", "varchar", "longer")
PAIRS = [
    (one, other)
    for one in TYPES
    for other in TYPES
    if one != other and not (one in TEXTS and other in ("smallint", "float"))
]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(*pair, id="-".join(pair), marks=[pytest.mark.slow] * (number % 5 != 0))
        for number, pair in enumerate(PAIRS)
    ],
)
def test_a_type_changes_under_conditions_that_name_values(database, one, other):
    history = History(atomic=len(one) % 2 == 0)
    kinds = [kind for kind in KINDS if kind not in ("whole", "immediate")]
    for kind in (one, other):
        history.declare(thing(kinds, fields={"size": TYPES[kind]}))
    history.set_states("A")
    history.check()
    history.migrate(1)
    history.check()
    history.migrate(2)
    history.check()


def test_a_type_changes_with_its_comment_enablement_and_timing_kept(history):
    history.declare(thing(["row", "deferred", "immediate", "update-of"]))
    history.set_states("R")
    history.sql(
        f"COMMENT ON TRIGGER {trigger_named(history, 'row')} ON alpha_thing IS 'somebody''s words'"
    )
    wide = {"size": models.BigIntegerField(default=0)}
    history.declare(thing(["row", "deferred", "immediate", "update-of"], fields=wide))
    comments = history.sql(
        "SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgname LIKE %s",
        [r"pgtrigger\_row\_%"],
    )
    assert comments == [("somebody's words",)]
    assert {row[3] for row in history.catalog()} == {"R"}
    assert {row[2].split("_")[1] for row in history.catalog() if row[5]} == {"deferred"}


def trigger_named(history, name):
    return next(row[2] for row in history.catalog() if row[2].startswith(f"pgtrigger_{name}_"))


def test_a_session_that_has_fired_a_trigger_goes_on_after_a_type_changed(history):
    reads = logging(func=pgtrigger.Func(log("logs", "NEW.{columns.size}")))
    history.declare(model(reads))
    before, _ = next(history.declared())
    before.objects.create(pk=1)
    before.objects.update(size=1)
    history.declare(model(reads, size=models.BigIntegerField(default=0)))
    before.objects.update(size=2)
    assert history.fired() == ["logs", "logs"]


def test_a_type_changes_while_rows_wait_for_a_deferred_trigger_of_another_table(history):
    later = logging(timing=pgtrigger.Deferred)
    history.declare(model(later), model(name="Other"))
    first, _ = next(history.declared())
    with transaction.atomic():
        first.objects.create(pk=1)
        first.objects.update(size=1)
    assert history.fired() == ["logs"]
    history.declare(model(later), model(name="Other", size=models.BigIntegerField(default=0)))
    history.check()


# --- A column that goes -----------------------------------------------------------------------

RAW = {
    "condition": {"condition": pgtrigger.Condition('OLD."extra" IS DISTINCT FROM NEW."extra"')},
    "update-of": {"operation": pgtrigger.Update, "condition": pgtrigger.Condition("NEW.extra > 1")},
    "deferred": {
        "timing": pgtrigger.Deferred,
        "condition": pgtrigger.Condition("OLD.extra <> NEW.extra"),
    },
}


def stops_before_anything_is_lost(history, match):
    """The last migration is refused, and the database is as it was."""
    before = snapshot(history)
    with pytest.raises(InstallationError, match=match):
        history.migrate(2)
    assert snapshot(history) == before


@pytest.mark.parametrize("clauses", RAW.values(), ids=RAW)
def test_a_removed_column_that_raw_sql_names_stops_the_migration(history, clauses):
    # The SQL of the condition is not the declaration's to change.
    kept = logging(**clauses)
    history.declare(model(kept, size=integer(), extra=integer()))
    history.declare(model(kept, size=integer()), migrate=False)
    stops_before_anything_is_lost(history, r"pgtrigger_logs_.*alpha_thing")


def test_a_field_that_the_declaration_still_names_is_refused_by_makemigrations(history):
    for clauses in (
        {"operation": pgtrigger.UpdateOf("extra")},
        {"condition": pgtrigger.Q(new__extra=1)},
        {"condition": pgtrigger.AnyChange("size", "extra")},
        {"func": pgtrigger.Func("RETURN NEW.{columns.extra};")},
    ):
        with pytest.raises(FieldLookupError, match="extra"):
            history.next_operations(model(logging(**clauses)))


def by_hand(history, version, *operations):
    new = migration(APP, "0002_by_hand", operations, [(APP, "0001_initial")])
    history.add([version], [new])


def test_a_removal_of_a_field_without_its_trigger_stops_before_anything_is_lost(history):
    version = model(
        logging(operation=pgtrigger.UpdateOf("size", "extra")), size=integer(), extra=integer()
    )
    history.declare(version)
    by_hand(history, version, RemoveField("thing", "extra"))
    stops_before_anything_is_lost(history, "logs")


def test_a_type_that_a_condition_cannot_have_stops_before_anything_is_lost(history):
    version = model(logging(condition=pgtrigger.Q(new__size=5)))
    history.declare(version)
    by_hand(history, version, AlterField("thing", "size", text()))
    stops_before_anything_is_lost(history, "logs")


def test_a_field_and_its_trigger_go_in_one_migration_and_come_back(history):
    named = logging("named", operation=pgtrigger.UpdateOf("size", "extra"))
    history.declare(model(named, logging(), size=integer(), extra=integer()))
    history.set_states("D")
    history.declare(model(logging()))
    history.check()
    history.migrate(1)
    history.check()
    history.migrate(2)
    history.check()


def test_a_trigger_goes_one_migration_before_its_field(history):
    named = logging("named", condition=pgtrigger.Q(new__extra__gt=0))
    versions = [
        model(logging(), size=integer()),
        model(logging(), size=integer(), extra=integer()),
        model(named, logging(), size=integer(), extra=integer()),
        model(logging(), size=integer(), extra=integer()),
        model(logging(), size=integer()),
    ]
    for version in versions:
        history.declare(version)
        history.check(fires=False)
    for version in (1, 5, 3, 2, 4, 0, 3):
        history.migrate(version)
        history.check(fires=False)


def test_a_field_and_a_trigger_on_it_change_together(history):
    old = logging(condition=pgtrigger.Q(new__size=5))
    new = logging(operation=pgtrigger.UpdateOf("amount"), timing=pgtrigger.Deferred)
    newer = logging(condition=pgtrigger.AnyChange("amount"), when=pgtrigger.Before)
    history.declare(model(old, size=integer()))
    history.set_states("A")
    history.declare(model(new, amount=integer()))
    history.check()
    history.declare(model(newer, amount=models.BigIntegerField(default=0)))
    history.check()
    for version in (1, 3, 2, 1, 2, 3):
        history.migrate(version)
        history.check()


def test_a_trigger_is_renamed_together_with_its_field(history):
    old = logging("old", condition=pgtrigger.Q(new__size=5))
    new = logging("new", condition=pgtrigger.Q(new__amount=5))
    history.declare(model(old, size=integer()))
    history.declare(model(new, amount=integer()))
    history.check()
    for version in (1, 2):
        history.migrate(version)
        history.check()


def test_two_fields_swap_their_names(history):
    # By hand: makemigrations cannot know.
    swapped = logging(condition=pgtrigger.Q(new__one=5) & pgtrigger.Q(new__two=0))
    fields = {"one": integer(db_column="a"), "two": integer(db_column="b")}
    other = {"one": integer(db_column="b"), "two": integer(db_column="a")}
    history.declare(model(swapped, **fields))
    history.declare(model(swapped, one=integer(db_column="c"), two=integer(db_column="b")))
    history.declare(model(swapped, one=integer(db_column="c"), two=integer(db_column="a")))
    history.declare(model(swapped, **other))
    for version in (4, 1, 4, 2, 3, 1):
        history.migrate(version)
        history.check()


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("renames", [True, False], ids=["renames-the-table", "keeps-the-table"])
def test_a_field_gives_way_to_another_one_of_the_same_column(database, renames, atomic):
    history = History(atomic=atomic)
    wide = models.BigIntegerField(default=0, db_column="si-ze")
    kinds = ["row", "update-of", "deferred", "func"]
    history.declare(thing(kinds, fields={"size": integer(db_column="si-ze")}, db_table="one"))
    history.set_states("A")
    table = "two" if renames else "one"
    history.declare(thing(kinds, fields={"amount": wide}, db_table=table))
    history.check()
    for version in (1, 2):
        history.migrate(version)
        history.check()


def test_a_column_takes_the_name_that_another_one_had(history):
    # The trigger's SQL stays the same, and means another column.
    kept = logging(condition=pgtrigger.Condition('NEW."size" = 5'))
    other = models.BigIntegerField(default=0, db_column="extra")
    history.declare(model(kept, size=integer(), extra=other))
    moved = models.BigIntegerField(default=0, db_column="size")
    history.declare(model(kept, extra=moved))
    history.check()
    history.migrate(1)
    history.check()


def test_a_unique_column_becomes_the_key_that_composers_join_on(history):
    given = {"fields": {"size": integer(), "code": integer(unique=True)}}
    history.declare(thing(["joined"], **given))
    key = "code", models.IntegerField(primary_key=True)
    history.declare(thing(["joined"], fields={"size": integer()}, key=key))
    history.check()
    for version in (1, 2):
        history.migrate(version)
        history.check()


def test_a_foreign_key_follows_the_type_of_its_target_under_triggers(history):
    def versions(key):
        target = thing(["row", "deferred"], key=("id", key(primary_key=True)))
        pointing = ModelState(
            APP,
            "Pointing",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("thing", models.ForeignKey(f"{APP}.thing", models.CASCADE, null=True)),
            ],
            {
                "triggers": [
                    logging("points", condition=pgtrigger.AnyChange("thing")),
                    logging("of", operation=pgtrigger.UpdateOf("thing")),
                ]
            },
        )
        return target, pointing

    history.declare(*versions(models.AutoField))
    history.set_states("A")
    history.declare(*versions(models.BigAutoField))
    history.check(fires=False)
    for version in (1, 2):
        history.migrate(version)
        history.check(fires=False)


def test_sql_of_ones_own_between_the_versions_is_left_alone(history):
    history.declare(model(logging()))
    own = (
        "CREATE TRIGGER own BEFORE UPDATE OF size ON alpha_thing"
        " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    by_hand(history, model(logging()), RunSQL(own, "DROP TRIGGER own ON alpha_thing"))
    history.migrate(2)
    history.declare(model(logging(), name="Renamed"))
    assert sorted(row[2].split("_")[0] for row in history.catalog()) == ["own", "pgtrigger"]
