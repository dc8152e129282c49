"""``firing=``: in which sessions a trigger fires, by their session_replication_role."""

import contextlib

import pytest
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState

import pgtrigger
from pgtrigger.errors import DeclarationError
from pgtrigger.explanation import explain
from pgtrigger.migrations import AddTrigger, AlterTrigger
from shop.database import logged, logs, noop, run, statements, value
from shop.models import Product

URI = "shop.Product:logs"
FIRINGS = [pgtrigger.Origin, pgtrigger.Always, pgtrigger.Replica]


def state(trigger):
    return value(
        "SELECT tgenabled::text FROM pg_trigger WHERE tgname = %s", [trigger.get_pgid(Product)]
    )


def set_state(trigger, mode):
    run(f'ALTER TABLE shop_product {mode} TRIGGER "{trigger.get_pgid(Product)}"')


@contextlib.contextmanager
def role(name):
    run(f"SET session_replication_role = {name}")
    try:
        yield
    finally:
        run("RESET session_replication_role")


@pytest.mark.parametrize(
    ("firing", "fired"),
    [
        (None, ["origin"]),
        (pgtrigger.Origin, ["origin"]),
        (pgtrigger.Always, ["origin", "replica"]),
        (pgtrigger.Replica, ["replica"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("timing", [None, pgtrigger.Immediate], ids=["plain", "constraint"])
def test_it_fires_in_the_sessions_that_are_declared(live, firing, fired, timing):
    expression = "current_setting('session_replication_role')"
    trigger = live(Product, logs(expression, firing=firing, timing=timing))
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)
    Product.objects.create(name="a")
    for name in ("origin", "replica"):
        with role(name):
            Product.objects.update(stock=5)
    assert logged() == fired


def test_it_is_installed_again_by_no_statement(live):
    live(Product, logs(firing=pgtrigger.Always))
    with statements() as found:
        pgtrigger.install(URI)
    assert len(found) == 1


@pytest.mark.parametrize("firing", FIRINGS, ids=str)
def test_disabling_and_enabling_restores_what_is_declared(live, firing):
    trigger = live(Product, logs(firing=firing))
    declared = state(trigger)
    pgtrigger.disable(URI)
    assert state(trigger) == "D"
    assert trigger.get_installation_status(Product) == ("INSTALLED", False)
    trigger.func = "RETURN NULL; "
    trigger.operation = pgtrigger.Insert
    pgtrigger.install(URI)
    assert state(trigger) == "D"  # disabled as it was
    pgtrigger.enable(URI)
    assert state(trigger) == declared
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)


@pytest.mark.parametrize("firing", FIRINGS, ids=str)
@pytest.mark.parametrize("mode", ["ENABLE", "ENABLE ALWAYS", "ENABLE REPLICA"])
def test_what_somebody_has_set_otherwise_has_drifted_and_is_repaired(live, firing, mode):
    trigger = live(Product, logs(firing=firing))
    declared = state(trigger)
    set_state(trigger, mode)
    same = state(trigger) == declared
    assert (trigger.get_installation_status(Product)[0] == "INSTALLED") == same
    with statements() as found:
        pgtrigger.install(URI)
    changes = [text for text in found if text.startswith("ALTER TABLE")]
    assert len(changes) == (not same)
    assert state(trigger) == declared
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)


def test_without_a_declaration_what_somebody_has_set_stays(live):
    trigger = live(Product, logs())
    set_state(trigger, "ENABLE ALWAYS")
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)
    pgtrigger.install(URI)
    assert state(trigger) == "A"


@pytest.mark.parametrize("before", [pgtrigger.Always, pgtrigger.Replica], ids=str)
def test_a_declaration_that_is_taken_back_leaves_nothing(live, before):
    trigger = live(Product, logs(firing=before))
    trigger.firing = None
    assert trigger.get_installation_status(Product)[0] == "OUTDATED"
    pgtrigger.install(URI)
    assert state(trigger) == "O"
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)


def test_all_of_its_postgres_triggers_have_it(live):
    operation = pgtrigger.Update | pgtrigger.Truncate
    trigger = live(Product, logs(operation=operation, firing=pgtrigger.Always))
    pgids = trigger.compile(Product).pgids
    assert len(pgids) == 2
    query = "SELECT string_agg(tgenabled::text, '') FROM pg_trigger WHERE tgname = ANY(%s)"
    assert value(query, [[*pgids]]) == "AA"


@pytest.mark.parametrize("collect_sql", [False, True], ids=["run", "shown"])
def test_migrations_carry_it_forwards_and_backwards(db, collect_sql):
    plain = noop().compile(Product)
    always = noop(firing=pgtrigger.Always, condition=pgtrigger.AnyChange()).compile(Product)
    fields = [("id", models.BigAutoField(primary_key=True))]
    none = ProjectState()
    none.add_model(ModelState("shop", "Product", fields, {"db_table": "shop_product"}))
    add, alter = AddTrigger("product", plain), AlterTrigger("product", always)
    added = after(none, add)
    altered = after(added, alter)

    with editing(collect_sql) as editor:
        add.database_forwards("shop", editor, none, added)
    with editing(collect_sql) as editor:
        alter.database_forwards("shop", editor, added, altered)
    assert state(noop()) == "A"
    # Although the condition goes with it: the migration knows what was declared.
    with editing(collect_sql) as editor:
        alter.database_backwards("shop", editor, altered, added)
    assert state(noop()) == "O"


def after(project, operation):
    project = project.clone()
    operation.state_forwards("shop", project)
    return project


@contextlib.contextmanager
def editing(collect_sql):
    with connection.schema_editor(collect_sql=collect_sql) as editor:
        yield editor
    # What is shown does what would be run.
    for statement in editor.collected_sql if collect_sql else ():
        run(statement)


def test_the_compiled_form_of_other_triggers_is_what_it_was():
    compiled, always = (noop(firing=f).compile(Product) for f in (None, pgtrigger.Always))
    assert compiled != always
    assert "firing" not in repr(compiled)
    _, _, arguments = always.deconstruct()
    assert arguments["firing"] == "ALWAYS"
    assert compiled.function_hash == always.function_hash


def test_a_new_column_type_keeps_it(live):
    condition = pgtrigger.AnyChange("stock")
    trigger = live(Product, noop(condition=condition, firing=pgtrigger.Always))
    wider = models.BigIntegerField(default=0)
    old = Product._meta.get_field("stock")
    wider.set_attributes_from_name("stock")
    wider.model = Product
    with connection.schema_editor() as editor:
        editor.alter_field(Product, old, wider)
    assert state(trigger) == "A"
    assert trigger.get_installation_status(Product) == ("INSTALLED", True)


def test_commands_show_it(live, capsys):
    trigger = live(Product, logs(firing=pgtrigger.Always))
    pgid = trigger.get_pgid(Product)
    call_command("pgtrigger", "sql", URI)
    line = f'ALTER TABLE "shop_product" ENABLE ALWAYS TRIGGER "{pgid}"'
    assert line in " ".join(capsys.readouterr().out.split())
    set_state(trigger, "ENABLE")
    call_command("pgtrigger", "diff", URI)
    assert f"+{line}" in capsys.readouterr().out
    assert "DRIFTED" in lines_of(capsys, "ls", URI)
    set_state(trigger, "DISABLE")
    call_command("pgtrigger", "diff", URI)
    out = capsys.readouterr().out
    assert f'-ALTER TABLE "shop_product" DISABLE TRIGGER "{pgid}"' in out
    said = " ".join(lines_of(capsys, "explain", URI).split())
    assert "Replicating it fires where changes are made, and where replication applies them" in said


def lines_of(capsys, *words):
    call_command("pgtrigger", *words)
    return capsys.readouterr().out


def test_a_difference_of_something_else_leaves_out_what_somebody_has_set(live, capsys):
    trigger = live(Product, logs())
    set_state(trigger, "ENABLE ALWAYS")
    trigger.condition = pgtrigger.AnyChange("stock")
    call_command("pgtrigger", "diff", URI)
    out = capsys.readouterr().out
    assert "WHEN" in out
    assert not [
        line for line in out.splitlines() if line[1:].startswith("ALTER TABLE") and line[0] in "+-"
    ]


def test_it_is_explained_only_where_it_is_declared():
    said = [dict(explain(Product, logs(firing=f)).lines()) for f in (None, *FIRINGS)]
    assert ["Replicating" in one for one in said] == [False, True, True, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"firing": "ALWAYS"}, "Invalid \"firing\" attribute 'ALWAYS'; it can be one of"),
        (
            {"firing": pgtrigger.Always, "when": pgtrigger.InsteadOf},
            'the trigger of a view cannot have "firing"',
        ),
    ],
)
def test_what_no_database_has_is_refused(arguments, message):
    with pytest.raises(DeclarationError) as caught:
        noop(**arguments)
    assert message in str(caught.value)
