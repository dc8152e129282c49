"""Models that are created, deleted, moved, inherited from, and stood for by proxies and views."""

import pytest
from django.db import models
from django.db.migrations.operations import (
    AlterModelTable,
    CreateModel,
    DeleteModel,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.state import ModelState

import pgtrigger
from pgtrigger.errors import DeclarationError, InstallationError
from pgtrigger.migrations import AddTrigger, RemoveTrigger
from schema_changes.history import LEFT_OVER, SCHEMA, migration
from schema_changes.shapes import APP, KINDS, STYLES, log, thing

OTHER = "beta"


def key():
    return "id", models.BigAutoField(primary_key=True)


def integer(**options):
    return models.IntegerField(default=0, **options)


def logging(name="logs", **clauses):
    given = {"when": pgtrigger.After, "operation": pgtrigger.Update, "func": log(name)}
    return pgtrigger.Trigger(name=name, **{**given, **clauses})


def proxy(name, *triggers, app=OTHER, of=f"{APP}.thing"):
    return ModelState(app, name, [], {"proxy": True, "triggers": [*triggers]}, (of,))


def through(history, *versions, fires=True):
    for version in versions:
        history.migrate(version)
        history.check(fires=fires)


# --- Models that come and go ------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_a_deleted_model_leaves_nothing_and_comes_back_with_its_triggers(history, style):
    names = STYLES[style]
    given = {"db_table": names.table, "fields": {names.field: integer(db_column=names.column)}}
    history.declare(thing(**given))
    history.declare()
    history.check()
    assert history.catalog() == []
    through(history, 1, 2, 0, 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("state", "DAR")
def test_a_model_that_is_created_again_has_its_triggers_enabled(history, state):
    history.declare(thing())
    history.set_states(state)
    history.declare()
    history.declare(thing())
    history.check()
    assert {row[3] for row in history.catalog()} == {"O"}
    history.set_states(state)
    through(history, 2, 3, 1, 3, 0)


def test_a_model_is_replaced_by_one_of_the_same_table(history):
    history.declare(thing(db_table="things"))
    other = thing(["row"], name="Other", db_table="things", key=("key", key()[1]))
    history.declare()
    history.declare(other)
    through(history, 3, 1, 3, 2, 0)


@pytest.mark.slow
def test_a_model_is_renamed_twice_and_back(history):
    for name in ("Thing", "Gadget", "Widget", "Thing"):
        history.declare(thing(name=name))
        if history.at == 1:
            history.set_states("D")
        history.check()
    through(history, 1, 4, 2, 3, 1, 4)


def test_two_models_swap_their_names_by_way_of_a_third(history):
    one, two = {"fields": {"size": integer()}}, {"fields": {"amount": integer()}}
    row, update = ["row"], ["update-of", "deferred"]
    steps = [("One", "Two"), ("Three", "Two"), ("Three", "One"), ("Two", "One")]
    for first, second in steps:
        history.declare(thing(row, name=first, **one), thing(update, name=second, **two))
        if history.at == 1:
            history.set_states("A")
        history.check()
    through(history, 1, 4, 1)


def test_a_renamed_model_keeps_those_who_point_to_it(history):
    def versions(name):
        pointing = ModelState(
            APP,
            "Pointing",
            [key(), ("to", models.ForeignKey(f"{APP}.{name}", models.CASCADE, null=True))],
            {"triggers": [logging("points", condition=pgtrigger.AnyChange("to"))]},
        )
        return thing(name=name), pointing

    history.declare(*versions("Thing"))
    history.set_states("D")
    history.declare(*versions("Gadget"))
    history.check(fires=False)
    through(history, 1, 2, fires=False)


def test_models_of_one_name_in_two_apps_change_side_by_side(history):
    wide = {"size": models.BigIntegerField(default=0)}
    kinds = {APP: ["row", "deferred"], OTHER: ["func", "statement"]}
    history.declare(*(thing(kinds[app], app=app) for app in kinds))
    history.set_states("D")
    history.declare(*(thing(kinds[app], app=app, fields=wide) for app in kinds))
    history.check()
    history.declare(*(thing(kinds[app], app=app, fields=wide, name="Gadget") for app in kinds))
    history.check()
    through(history, 1, 3)


# --- Models that move between apps ------------------------------------------------------------


def moving(history, *, renames):
    """The migrations that a guide to moving a model would have: the table stays, or is renamed."""
    table = "beta_thing" if renames else "alpha_thing"
    here = thing(["row", "deferred", "statement"])
    there = thing(["row", "deferred", "statement"], app=OTHER, db_table=table)
    history.declare(here)
    found = history.next_operations(there)
    (created,) = [o for o in found[OTHER] if isinstance(o, CreateModel)]
    added = [o for o in found[OTHER] if isinstance(o, AddTrigger)]
    removed = [o for o in found[APP] if isinstance(o, RemoveTrigger)]
    assert [len(removed), len(added)] == [3, 3]
    assert [type(o) for o in found[APP][-1:]] == [DeleteModel]
    moved = [AlterModelTable("Thing", table)] if renames else []
    leaving = [
        *removed,
        SeparateDatabaseAndState(moved, [DeleteModel("Thing")]),
    ]
    coming = [SeparateDatabaseAndState([], [created]), *added]
    history.add(
        [there],
        [
            migration(APP, "0002_leave", leaving, [(APP, "0001_initial")]),
            migration(OTHER, "0001_come", coming, [(APP, "0002_leave")]),
        ],
    )
    history.migrate(2)


@pytest.mark.parametrize("renames", [True, False], ids=["renames-the-table", "keeps-the-table"])
def test_a_model_moves_to_another_app_and_back(history, renames):
    moving(history, renames=renames)
    history.check()
    history.sql(f"INSERT INTO {'beta' if renames else 'alpha'}_thing (size) VALUES (1)")
    through(history, 1, 2)
    history.migrate(1)
    history.check()
    assert history.sql("SELECT count(*) FROM alpha_thing") == [(1,)]


AFTER_AND_APP = [("rename", APP), ("rename", OTHER), ("type", APP)]


# --- Proxies ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_of_another_app_is_swapped_for_another_proxy(history, kind):
    made = thing([kind]).options["triggers"]
    history.declare(thing([]), proxy("First", *made))
    history.check()
    history.declare(thing([]), proxy("Second", *made))
    history.check()
    through(history, 1, 2, 0, 2, 1)


def test_a_proxy_is_swapped_for_one_of_a_third_app(history):
    history.declare(thing(["row"]), proxy("First", logging()))
    history.declare(thing(["row"]), proxy("First", logging(), app="gamma"))
    history.check()
    through(history, 1, 2, 0, 2)


def test_a_trigger_moves_from_the_model_to_a_proxy_of_another_app(history):
    history.declare(thing(["row", "deferred"]))
    history.declare(thing([]), proxy("First", *thing(["row", "deferred"]).options["triggers"]))
    history.check()
    through(history, 1, 2, 0, 2)


def test_a_proxy_comes_and_goes(history):
    history.declare(thing(["row"]))
    history.declare(thing(["row"]), proxy("First", logging()))
    history.declare(thing(["row"]), proxy("First"))
    history.declare(thing(["row"]), proxy("First", logging()))
    history.declare(thing(["row"]))
    through(history, 5, 1, 5, 2, 3, 4, 0, 5)


def test_the_table_of_a_proxy_is_renamed(history):
    for table in ("one", "Two", "order", "a.b"):
        history.declare(thing(["row"], db_table=table), proxy("First", logging()))
        if history.at == 1:
            history.set_states("A")
        history.check()
    through(history, 1, 4, 2)


def test_the_model_of_a_proxy_is_renamed(history):
    history.declare(thing(["row"]), proxy("First", logging()))
    history.set_states("D")
    history.declare(thing(["row"], name="Gadget"), proxy("First", logging(), of=f"{APP}.gadget"))
    history.check()
    through(history, 1, 2)


def named(field="size"):
    return [
        logging("when", condition=pgtrigger.Q(**{f"new__{field}": 5})),
        logging("of", operation=pgtrigger.UpdateOf(field), timing=pgtrigger.Deferred),
        logging("body", func=pgtrigger.Func(log("body", f"NEW.{{columns.{field}}}"))),
        logging("any", condition=pgtrigger.AnyChange()),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("app", [APP, OTHER])
def test_a_field_that_a_proxy_names_changes_its_column(history, app):
    for column in ("size", "Size", "si.ze"):
        state = thing(["row"], fields={"size": integer(db_column=column)})
        history.declare(state, proxy("First", *named(), app=app))
        if history.at == 1:
            history.set_states("A")
        history.check()
    through(history, 1, 3, 2, 1)


@pytest.mark.parametrize("app", [APP, OTHER])
def test_a_field_that_a_proxy_names_is_renamed(history, app):
    history.declare(thing(["row"]), proxy("First", *named(), app=app))
    history.set_states("R")
    renamed = thing(["row"], fields={"amount": integer()})
    history.declare(renamed, proxy("First", *named("amount"), app=app))
    history.check()
    through(history, 1, 2)


@pytest.mark.parametrize(("after", "app"), AFTER_AND_APP)
def test_a_project_whose_proxy_names_a_field_that_changes_is_migrated_from_nothing(
    history, app, after
):
    history.declare(thing(["row"]), proxy("First", *named(), app=app))
    if after == "rename":
        renamed = thing(["row"], fields={"amount": integer()})
        history.declare(renamed, proxy("First", *named("amount"), app=app))
    else:
        text = thing(["row"], fields={"size": models.CharField(max_length=9, default="0")})
        proxied = [t for t in named() if t.name != "when"]
        proxied += [logging("when", condition=pgtrigger.Q(new__size="5"))]
        history.declare(text, proxy("First", *proxied, app=app))
    through(history, 0, 2)


def test_a_type_that_the_condition_of_another_apps_proxy_cannot_have_stops_before_a_loss(history):
    # The migration of the table cannot have the operation on the trigger, which is the other app's.
    history.declare(thing(["row"]), proxy("First", *named(), app=OTHER))
    text = thing(["row"], fields={"size": models.CharField(max_length=9, default="0")})
    proxied = [t for t in named() if t.name != "when"]
    proxied += [logging("when", condition=pgtrigger.Q(new__size="5"))]
    with pytest.raises(InstallationError, match="proxy in another app, remove it in an earlier"):
        history.declare(text, proxy("First", *proxied, app=OTHER))
    history.check(at=1)


@pytest.mark.parametrize("app", [APP, OTHER])
def test_a_field_that_a_proxy_names_changes_its_type(history, app):
    history.declare(thing(["row"]), proxy("First", *named(), app=app))
    history.set_states("D")
    wide = thing(["row"], fields={"size": models.BigIntegerField(default=0)})
    history.declare(wide, proxy("First", *named(), app=app))
    history.check()
    through(history, 1, 2)


@pytest.mark.parametrize("app", [APP, OTHER])
def test_a_field_that_a_proxy_compares_is_added_and_removed(history, app):
    # AnyChange() follows the fields, so its trigger changes though its declaration does not.
    any_change = logging("any", condition=pgtrigger.AnyChange())
    more = {"size": integer(), "extra": integer()}
    history.declare(thing(["row"]), proxy("First", any_change, app=app))
    history.set_states("A")
    history.declare(thing(["row"], fields=more), proxy("First", any_change, app=app))
    history.check()
    history.declare(thing(["row"]), proxy("First", any_change, app=app))
    history.check()
    through(history, 2, 1, 3, 1)


@pytest.mark.parametrize("app", [APP, OTHER])
def test_a_proxy_stops_naming_a_field_that_goes(history, app):
    more = {"size": integer(), "extra": integer()}
    of = logging("of", operation=pgtrigger.UpdateOf("size", "extra"))
    history.declare(thing(["row"], fields=more), proxy("First", of, app=app))
    less = logging("of", operation=pgtrigger.UpdateOf("size"))
    history.declare(thing(["row"]), proxy("First", less, app=app))
    history.check()
    through(history, 1, 2)


@pytest.mark.parametrize("app", [APP, OTHER])
def test_the_trigger_of_a_proxy_goes_with_the_field_it_names(history, app):
    more = {"size": integer(), "extra": integer()}
    of = logging("of", condition=pgtrigger.Q(new__extra=0))
    history.declare(thing(["row"], fields=more), proxy("First", of, app=app))
    history.declare(thing(["row"]), proxy("First", app=app))
    history.check()
    through(history, 1, 2)


def test_a_model_with_a_proxy_is_deleted(history):
    history.declare(thing(), proxy("First", logging()))
    history.declare()
    history.check()
    through(history, 1, 2, 0, 2, 1)


def test_a_concrete_model_becomes_a_proxy_of_the_same_name(history):
    concrete = thing(["row"], name="First", app=OTHER)
    history.declare(thing([]), concrete)
    history.declare(thing([]), proxy("First", *thing(["row"]).options["triggers"]))
    history.check()
    through(history, 1, 2, 0, 2)


def tagged(name="Thing", *, link="Link", app=OTHER):
    tag = ModelState(APP, "Tag", [key()], {})
    state = thing(["row"], name=name)
    state.fields["tags"] = models.ManyToManyField(f"{APP}.tag")
    of = f"{APP}.{name.lower()}_tags"
    linked = ModelState(app, link, [], {"proxy": True, "triggers": [links()]}, (of,))
    return tag, state, linked


def links():
    return pgtrigger.Trigger(
        name="links", when=pgtrigger.After, operation=pgtrigger.Insert, func=log("links")
    )


# --- Inheritance ------------------------------------------------------------------------------


def family(*triggers, field="size", extra="extra", name="Child", **parent):
    child = ModelState(
        APP,
        name,
        [
            (
                "thing_ptr",
                models.OneToOneField(
                    f"{APP}.thing",
                    models.CASCADE,
                    auto_created=True,
                    parent_link=True,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            (extra, integer()),
        ],
        {"triggers": [*triggers]},
        (f"{APP}.thing",),
    )
    return thing(["row", "joined"], fields={field: integer()}, **parent), child


CHILD = {
    "any": logging("any", condition=pgtrigger.AnyChange()),
    "of": logging("of", operation=pgtrigger.UpdateOf("extra"), timing=pgtrigger.Deferred),
    "when": logging("when", condition=pgtrigger.Q(new__extra=5)),
}


@pytest.mark.slow
def test_a_child_of_a_concrete_model_follows_changes_of_both(history):
    history.declare(*family(*CHILD.values()))
    history.set_states("A")
    history.declare(*family(*CHILD.values(), field="amount"))
    history.declare(*family(*CHILD.values(), field="amount", name="Kid"))
    history.declare(
        *family(
            logging("of", operation=pgtrigger.UpdateOf("more"), timing=pgtrigger.Deferred),
            field="amount",
            extra="more",
            name="Kid",
        )
    )
    for version in (4, 1, 4, 2, 3, 1):
        history.migrate(version)
        history.check(fires=False)


@pytest.mark.parametrize(
    "clauses",
    [
        {"condition": pgtrigger.Q(new__size=1)},
        {"condition": pgtrigger.AnyChange("size")},
        {"condition": pgtrigger.AnyChange(exclude=["size"])},
        {"operation": pgtrigger.UpdateOf("size")},
    ],
    ids=["q", "any-change", "exclude", "update-of"],
)
def test_a_trigger_of_a_child_that_names_a_field_of_the_parent_is_told_so(history, clauses):
    with pytest.raises(DeclarationError, match=r"alpha\.Child\.size.*parent.*alpha\.Thing"):
        history.next_operations(*family(logging(**clauses)))


def test_a_field_moves_from_the_child_to_the_parent(history):
    parent, child = family(CHILD["any"])
    history.declare(parent, child)
    parent, child = family(CHILD["any"], extra="other")
    parent.fields["extra"] = integer()
    history.declare(parent, child)
    history.check(fires=False)
    through(history, 1, 2, 0, 2, fires=False)


# --- Unmanaged models and views ---------------------------------------------------------------

VIEW = f"CREATE VIEW thing_view AS SELECT id, size FROM {APP}_thing"


def view(*triggers, name="View", field="size", table="thing_view"):
    return ModelState(
        APP,
        name,
        [key(), (field, integer(db_column="size"))],
        {"managed": False, "db_table": table, "triggers": [*triggers]},
    )


def instead(name="instead", func=None):
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.InsteadOf,
        operation=pgtrigger.Update | pgtrigger.Insert,
        func=func or log(name),
    )


@pytest.fixture
def viewed(history):
    """A table and a view of it, which a migration has made."""
    history.declare(thing(["row"]), view())
    made = migration(
        APP, "0002_view", [RunSQL(VIEW, "DROP VIEW thing_view")], [(APP, "0001_initial")]
    )
    history.add([thing(["row"]), view()], [made])
    history.migrate(2)
    return history


def writes(history):
    """What an update of the view calls."""
    history.sql(f"DELETE FROM {SCHEMA}.fired")
    history.sql("INSERT INTO thing_view (id, size) VALUES (1, 1)")
    return history.fired()


def test_triggers_of_a_view_come_change_and_go(viewed):
    viewed.declare(thing(["row"]), view(instead()))
    viewed.check()
    assert writes(viewed) == ["instead"]
    viewed.declare(thing(["row"]), view(instead(func=log("instead", end="RETURN NULL;"))))
    viewed.check()
    viewed.declare(thing(["row"]), view(instead("other")))
    viewed.check()
    assert writes(viewed) == ["other"]
    viewed.declare(thing(["row"]), view())
    through(viewed, 6, 3, 6, 4, 5, 2, 5)


def test_the_model_of_a_view_is_renamed_and_deleted(viewed):
    body = pgtrigger.Func(log("instead", "NEW.{columns.size}"))
    viewed.declare(thing(["row"]), view(instead(func=body)))
    body = pgtrigger.Func(log("instead", "NEW.{columns.amount}"))
    viewed.declare(thing(["row"]), view(instead(func=body), name="Seen", field="amount"))
    viewed.check()
    assert writes(viewed) == ["instead"]
    viewed.declare(thing(["row"]))
    viewed.check()
    through(viewed, 3, 5, 4, 2, 5)


def test_a_view_is_dropped_and_made_again_around_a_change_of_its_table(viewed):
    viewed.declare(thing(["row"]), view(instead()))
    wide = thing(["row"], fields={"size": models.BigIntegerField(default=0)})
    alter = viewed.next_operations(wide, view(instead()))[APP]
    gone, made = RunSQL("DROP VIEW thing_view", VIEW), RunSQL(VIEW, "DROP VIEW thing_view")
    leaf = viewed.graph.leaf_nodes(APP)[0]
    remove, add = RemoveTrigger("view", "instead"), AddTrigger("view", trigger_of(viewed, "View"))
    viewed.add(
        [wide, view(instead())],
        [migration(APP, "0004_wide", [remove, gone, *alter, made, add], [leaf])],
    )
    through(viewed, 4, 3, 4)


def trigger_of(history, name):
    return next(t.compile(m) for m, t in history.declared() if m.__name__ == name)


def test_a_model_stops_and_starts_being_managed(history):
    def unmanaged(kinds):
        return thing(kinds, managed=False)

    history.declare(thing(["row", "deferred"]))
    history.set_states("D")
    history.declare(unmanaged(["row", "deferred"]))
    history.check()
    history.declare(unmanaged(["row"]))
    history.declare(thing(["row", "update-of"]))
    history.check()
    for version in (1, 4, 2, 3, 1):
        history.migrate(version)
        history.check()


def test_an_unmanaged_table_keeps_its_rows_and_loses_only_triggers(history):
    history.sql("CREATE TABLE legacy (id bigint PRIMARY KEY, size integer)")
    given = {"managed": False, "db_table": "legacy"}
    history.declare(thing(**given))
    history.check()
    history.declare(thing(name="Gadget", **given))
    history.check()
    history.declare()
    history.check()
    assert history.catalog() == []
    assert history.sql(LEFT_OVER) == []
    assert history.sql("SELECT to_regclass('legacy') IS NOT NULL") == [(True,)]
    through(history, 1, 3, 2, 0, 3)


def test_links_of_an_automatic_table_follow_a_renamed_model(history):
    history.declare(*tagged())
    history.set_states("A")
    history.check(fires=False)
    history.declare(*tagged("Gadget"))
    history.check(fires=False)
    through(history, 1, 2, fires=False)


def test_links_of_an_automatic_table_swap_their_proxy(history):
    history.declare(*tagged())
    history.declare(*tagged(link="Bond"))
    history.check(fires=False)
    through(history, 1, 2, 0, 2, fires=False)
