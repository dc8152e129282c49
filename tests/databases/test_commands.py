"""Commands in many databases and schemas: shown first, several at a time, taken up again."""

import io
import json
import threading
from collections import Counter

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connections

import pgtrigger
from databases.place import command, create_table, known_as, statements
from databases.press import Page, Reader, keep, mark
from pgtrigger.ddl import lock_of
from pgtrigger.errors import InstallationError, TriggerNotFoundError
from pgtrigger.management import changing

TENANTS = [f"tenant_{letter}" for letter in "abcdef"]
URIS = ["press.Page:mark", "press.Page:keep"]


def written(*args, **options):
    output = io.StringIO()
    call_command("pgtrigger", *args, stdout=output, **options)
    return output.getvalue()


def failed(*args):
    """What a command writes before it fails, and the error."""
    output = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("pgtrigger", *args, stdout=output)
    return output.getvalue().splitlines(), str(caught.value)


@pytest.fixture
def page(database, declare):
    """A table with two declared triggers, which are not installed."""
    create_table(Page)
    declare(Page, mark(), keep())
    return database


@pytest.fixture
def tenants(database, declare, monkeypatch):
    """The same table in many schemas, for the connections of all threads."""
    for schema in TENANTS:
        database.sql(f"CREATE SCHEMA {schema}")
        with known_as("default", database.entry(search_path=schema)):
            create_table(Page)
    settings = {**connections.settings["default"], **database.entry()}
    monkeypatch.setitem(connections.settings, "default", settings)
    declare(Page, mark(), keep())
    return database


def everywhere(*schemas):
    return [f"{s}.press_page:{name}" for s in schemas for name in ("keep", "mark")]


# --- choosing


def test_a_glob_or_an_app_chooses_triggers(page, declare):
    create_table(Reader)
    declare(Reader, mark())
    assert command("ls", "*:mark") == [
        "UNINSTALLED N/A press.Page:mark",
        "UNINSTALLED N/A people.Reader:mark",
    ]
    with pytest.raises(TriggerNotFoundError):
        command("ls", "*:nothing")
    command("install", "press.*:k*")
    assert page.triggers() == ["public.press_page:keep"]
    command("uninstall", "*:*")
    assert page.triggers() == []


def test_an_app_that_is_not_installed_is_named(page):
    with pytest.raises(CommandError, match="no installed app with the label 'pres'; there are: "):
        command("ls", "--app", "pres")


def test_triggers_of_an_app(live_order):
    assert command("ls", "--app", "shop") == ["UNINSTALLED N/A shop.Order:keep"]
    assert command("ls", "--app", "archive") == []


@pytest.fixture
def live_order(database, declare):
    from shop.models import Order  # a model of an installed app

    return declare(Order, keep())


def test_choosing_does_not_prune(page):
    with mark(name="old").register(Page):
        pgtrigger.install("press.Page:old")
    for options in (["press.Page:mark"], ["--status", "UNINSTALLED"]):
        command("install", *options)
        assert "public.press_page:old" in page.triggers()
    command("install")
    assert page.triggers() == everywhere("public")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("INSTALLED", ["INSTALLED ENABLED press.Page:mark"]),
        ("uninstalled", ["UNINSTALLED N/A press.Page:keep"]),
        ("ENABLED", ["INSTALLED ENABLED press.Page:mark"]),
        ("DISABLED", []),
        ("PRUNE", []),
    ],
)
def test_ls_shows_only_a_status(page, status, expected):
    command("install", "press.Page:mark")
    assert command("ls", "--status", status) == expected


def test_a_status_chooses_what_is_changed(page):
    command("install", "press.Page:mark")
    command("disable", "--status", "INSTALLED")
    command("install", "--status", "OUTDATED")
    assert command("ls") == [
        "INSTALLED DISABLED press.Page:mark",
        "UNINSTALLED N/A press.Page:keep",
    ]
    command("enable", "--status", "DISABLED")
    command("install", "--status", "UNINSTALLED")
    assert command("ls", "--status", "ENABLED") == [f"INSTALLED ENABLED {uri}" for uri in URIS]


def test_an_unknown_database_or_number_is_refused(page):
    with pytest.raises(CommandError, match="no database 'nowhere' in DATABASES; there are: def"):
        command("ls", "-d", "nowhere")
    with pytest.raises(CommandError, match="'0' is not a number, at least 1"):
        command("install", "--jobs", "0")
    with pytest.raises(CommandError, match="not allowed with argument"):
        command("ls", "--all-schemas", "-s", "public")


def test_several_databases_say_which(page, empty_too, connect_as):
    connect_as("other", empty_too.entry())
    create_table(Page, alias="other")
    command("install", "-d", "other")
    assert command("ls", "-d", "default", "-d", "other") == [
        *(f"UNINSTALLED N/A {uri} default" for uri in URIS),
        *(f"INSTALLED ENABLED {uri} other" for uri in URIS),
    ]
    # SQLite is none of them.
    assert command("ls", "-d", "all") == command("ls", "-d", "default", "-d", "other")


# --- JSON and tables


def test_ls_writes_json(page):
    command("install", "press.Page:mark")
    page.sql("ALTER TABLE press_page DISABLE TRIGGER USER")
    assert json.loads(written("ls", "--json", "--all-schemas")) == [
        {
            "database": "default",
            "status": status,
            "enabled": enabled,
            "name": uri,
            "schema": "public",
        }
        for status, enabled, uri in [
            ("INSTALLED", False, URIS[0]),
            ("UNINSTALLED", None, URIS[1]),
        ]
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("place", [[], ["--all-schemas"]])
def test_on_a_terminal_ls_is_a_table_with_a_header(page, place, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    command("install", "press.Page:mark")
    output = Terminal()
    call_command("pgtrigger", "ls", *place, stdout=output)
    lines = [line.rstrip() for line in output.getvalue().splitlines()]
    where = "  public" if place else ""
    assert lines == [
        "STATUS       ENABLED  TRIGGER" + ("          PLACE" if place else ""),
        f"INSTALLED    ENABLED  press.Page:mark{where}",
        f"UNINSTALLED  N/A      press.Page:keep{where}",
    ]


@pytest.mark.parametrize(
    ("environment", "options", "coloured"),
    [
        ({}, ["--force-color"], True),
        ({"NO_COLOR": "1"}, ["--force-color"], True),
        ({"NO_COLOR": "1"}, [], False),
        ({}, ["--no-color"], False),
        ({}, [], False),
    ],
)
def test_colours_can_be_had_and_switched_off(page, environment, options, coloured, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in written("ls", *options)) is coloured


# --- check


def test_check_is_content_with_what_is_as_declared(page):
    command("install")
    assert command("check") == ["Triggers as declared: 2."]
    assert json.loads(written("check", "--json")) == []


@pytest.mark.parametrize(
    ("change", "status", "advice"),
    [
        ("DROP TRIGGER {keep} ON press_page", "UNINSTALLED N/A", "install press.Page:keep`"),
        ("ALTER TABLE press_page DISABLE TRIGGER {keep}", "INSTALLED DISABLED", "enable press"),
        ("COMMENT ON TRIGGER {keep} ON press_page IS 'x'", "OUTDATED ENABLED", "makemigrations"),
        (
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "DRIFTED ENABLED",
            "`manage.py pgtrigger diff press.Page:keep` shows how",
        ),
    ],
)
def test_check_fails_on_any_drift_and_says_what_to_do(page, change, status, advice):
    command("install")
    (trigger,) = (t for _, t in pgtrigger.registered("press.Page:keep"))
    names = {"keep": trigger.get_pgid(Page), "function": trigger.get_function_name(Page)}
    page.sql(change.format(**names))
    lines, error = failed("check")
    assert " ".join(lines[0].split()) == f"{status} press.Page:keep"
    assert advice in lines[1]
    assert len(lines) == 2
    assert error == "1 of 2 triggers is not as declared."


def test_check_fails_on_a_leftover(page):
    command("install")
    declared = {trigger for _, trigger in pgtrigger.registered()}
    for trigger in declared:
        trigger.unregister(Page)
    try:
        lines, error = failed("check")
    finally:
        for trigger in declared:
            trigger.register(Page)
    assert [line.split()[0] for line in lines[::2]] == ["PRUNE", "PRUNE"]
    assert lines[1] == "    Nobody declares it any more. `manage.py pgtrigger prune` removes it."
    assert error == "2 of 2 triggers are not as declared."


def test_check_names_the_database_and_the_schema(tenants):
    command("install", "--all-schemas")
    tenants.sql("ALTER TABLE tenant_c.press_page DISABLE TRIGGER USER")
    lines, error = failed("check", "--all-schemas", "press.Page:keep")
    assert [" ".join(line.split()) for line in lines] == [
        "INSTALLED DISABLED press.Page:keep (tenant_c)",
        "It does not fire. `manage.py pgtrigger enable press.Page:keep --schema tenant_c` lets it.",
    ]
    assert error == f"1 of {len(TENANTS)} triggers is not as declared."


# --- --dry-run


def locks_of(page, *statements):
    """The strongest lock on the table that statements take, by the server's account."""
    order = ["ShareUpdateExclusiveLock", "ShareRowExclusiveLock", "AccessExclusiveLock"]
    with connections["default"].cursor() as cursor:
        cursor.execute("BEGIN")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute(
            "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid()"
            " AND relation = 'press_page'::regclass"
        )
        modes = [mode for (mode,) in cursor.fetchall() if mode in order]
        cursor.execute("ROLLBACK")
    return max(modes, key=order.index, default=None)


@pytest.mark.parametrize("action", ["install", "uninstall", "enable", "disable", "prune"])
def test_a_dry_run_changes_nothing_and_tells_each_lock_as_the_server_takes_it(
    page, action, declare
):
    declare(
        Page,
        mark(
            name="late",
            when=pgtrigger.After,
            timing=pgtrigger.Deferred,
            func=pgtrigger.Func("RETURN NULL;"),
        ),
    )
    if action != "install":
        command("install")
    if action == "enable":
        page.sql("ALTER TABLE press_page DISABLE TRIGGER USER")
    if action == "prune":
        with mark(name="old").register(Page):
            pgtrigger.install("press.Page:old")
    before = page.everything()
    with statements() as run:
        planned = json.loads(written(action, "--dry-run", "--json"))
    assert run == []
    assert page.everything() == before
    assert planned
    names = {None: None} | {
        mode: "".join(word.title() for word in mode.split()) + "Lock"
        for mode in ("SHARE UPDATE EXCLUSIVE", "SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE")
    }
    done = []
    order = [*names.values()]
    for step in planned:
        assert step["database"] == "default"
        assert step["action"] == action
        assert lock_of(step["statement"]).value == (step["lock"] or "")
        # All before it have to be there, and take their locks, too.
        before_it = locks_of(page, *done)
        done.append(step["statement"])
        strongest = max(before_it, names[step["lock"]], key=order.index)
        if "DROP TRIGGER IF EXISTS" in step["statement"] and action == "install":
            strongest = before_it  # there is none yet, so nothing is locked
        assert locks_of(page, *done) == strongest
    text = written(action, "--dry-run")
    assert text.count("-- Lock: ") == len(planned)
    # What is shown does what the command does.
    page.sql(text)
    with statements() as run:
        command(action)
    assert run == []


def test_a_dry_run_with_nothing_to_do_says_so(page):
    command("install")
    assert command("install", "--dry-run") == ["-- Nothing to do."]
    assert json.loads(written("install", "--dry-run", "--json")) == []
    with pytest.raises(CommandError, match="--json goes with --dry-run"):
        command("install", "--json")


def test_a_dry_run_of_all_schemas_shows_each(tenants):
    tenants.sql("CREATE SCHEMA empty")
    shown = json.loads(written("install", "--dry-run", "--all-schemas", "--json"))
    assert {step["schema"] for step in shown} == {*TENANTS}
    for step in shown:
        assert f'"{step["schema"]}".' in step["statement"]


# --- many places


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_all_schemas_are_installed_and_changed(tenants, jobs, capsys):
    options = ["--all-schemas", "--jobs", jobs]
    command("install", *options)
    assert tenants.triggers() == everywhere(*TENANTS)
    assert capsys.readouterr().err.splitlines()[-1] == (
        "pgtrigger: install: 6 places, 6 changed, 0 failed."
    )
    with statements() as run:
        command("install", *options)
    assert run == []
    command("disable", "*:keep", *options)
    assert [line.split()[1] for line in command("ls", "--all-schemas")] == [
        "ENABLED",
        "DISABLED",
    ] * 6
    command("enable", *options)
    command("check", "--all-schemas")
    command("uninstall", *options)
    assert tenants.triggers() == tenants.functions() == []


def test_all_schemas_with_nothing_to_do_take_two_queries(tenants):
    command("install", "--all-schemas")
    seen = []

    def note(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connections["default"].execute_wrapper(note):
        command("install", "--all-schemas")
        assert len(seen) == 2
        command("ls", "--all-schemas")
    assert len(seen) == 4


def test_leftovers_of_all_schemas_are_pruned_where_they_are(tenants):
    with mark(name="old").register(Page):
        command("install", "--all-schemas")
    command("prune", "--all-schemas", "--jobs", "2")
    assert tenants.triggers() == everywhere(*TENANTS)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_failure_in_one_place_does_not_stop_the_others_and_can_be_taken_up(tenants, jobs, capsys):
    # A column that the trigger needs is missing there.
    with keep(name="titled", condition=pgtrigger.Q(old__title="x")).register(Page):
        for schema in ("tenant_b", "tenant_d"):
            tenants.sql(f"ALTER TABLE {schema}.press_page DROP COLUMN title")
        with pytest.raises(InstallationError) as caught:
            command("install", "--all-schemas", "--jobs", jobs)
        text = str(caught.value)
        assert text.startswith("2 of 6 places failed, each as a whole. What is done stays: ")
        assert "default.tenant_b: " in text
        assert "default.tenant_d: " in text
        summary = capsys.readouterr().err.splitlines()[-1]
        assert summary == "pgtrigger: install: 6 places, 4 changed, 2 failed."
        done = [f"{s}.press_page:titled" for s in TENANTS if s not in ("tenant_b", "tenant_d")]
        assert [name for name in tenants.triggers() if name.endswith("titled")] == done
        assert not any(name.startswith(("tenant_b", "tenant_d")) for name in tenants.triggers())
        tenants.sql("ALTER TABLE tenant_b.press_page ADD title text")
        with pytest.raises(InstallationError, match=r"^1 of 2 places failed"):
            command("install", "--all-schemas", "--jobs", jobs)
        tenants.sql("ALTER TABLE tenant_d.press_page ADD title text")
        # A single place fails and succeeds as it does on its own.
        command("install", "--all-schemas", "--jobs", jobs)
        command("check", "--all-schemas")


def test_jobs_work_at_the_same_time_on_connections_of_their_own(tenants, monkeypatch):
    meeting = threading.Barrier(3, timeout=20)
    real, backends = changing.carry_out, set()

    def carry_out(work, lock_timeout, **options):
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backends.add(cursor.fetchone()[0])
        meeting.wait()
        return real(work, lock_timeout, **options)

    monkeypatch.setattr(changing, "carry_out", carry_out)
    command("install", "--all-schemas", "--jobs", "3")
    assert len(backends) == 3
    # They are closed again.
    assert tenants.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(ARRAY"
        f"{sorted(backends)}) AND state IS DISTINCT FROM NULL"
    ) in ([(0,)], [(1,)])


@pytest.mark.parametrize(("places", "fewest"), [(1, 6), (2, 3), (100, 1)])
def test_a_connection_of_a_job_works_in_so_many_places_at_most(
    tenants, monkeypatch, places, fewest
):
    """A session of the server never forgets what it has known of a table."""
    real, backends = changing.carry_out, Counter()

    def carry_out(work, lock_timeout, **options):
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backends[cursor.fetchone()[0]] += 1
        return real(work, lock_timeout, **options)

    monkeypatch.setattr(changing, "carry_out", carry_out)
    monkeypatch.setattr("pgtrigger.management.jobs._PLACES_OF_A_CONNECTION", places)
    command("install", "--all-schemas", "--jobs", "2")
    assert max(backends.values()) <= places
    assert len(backends) >= fewest
    command("check", "--all-schemas")


def test_an_error_that_is_not_the_databases_ends_the_whole(tenants, monkeypatch):
    def carry_out(work, lock_timeout, **options):
        raise ZeroDivisionError(work.schema)

    monkeypatch.setattr(changing, "carry_out", carry_out)
    for jobs in ("1", "2"):
        with pytest.raises(ZeroDivisionError):
            command("install", "--all-schemas", "--jobs", jobs)


def test_a_database_that_cannot_be_reached_is_a_failure_of_its_own(page, connect_as):
    connect_as("other", {**page.entry(), "NAME": "nowhere"})
    with pytest.raises(InstallationError, match=r'^1 of 2 places failed.*other: .*"nowhere"'):
        command("install", "-d", "default", "-d", "other")
    assert page.triggers() == everywhere("public")
    with pytest.raises(OperationalError, match="nowhere"):
        command("ls", "-d", "default", "-d", "other")


def test_triggers_fire_in_each_schema_afterwards(tenants):
    command("install", "--all-schemas", "--jobs", "2")
    for schema in TENANTS:
        with known_as("default", tenants.entry(search_path=schema)):
            Page.objects.create()
            with pytest.raises(IntegrityError):
                Page.objects.all().delete()


@pytest.mark.slow
def test_a_hundred_schemas_are_installed_by_jobs_and_taken_up_after_a_failure(
    database, declare, monkeypatch
):
    settings = {**connections.settings["default"], **database.entry()}
    monkeypatch.setitem(connections.settings, "default", settings)
    schemas = [f"tenant_{number:03}" for number in range(100)]
    database.sql(
        *(
            f"CREATE SCHEMA {schema} CREATE TABLE press_page"
            " (id bigserial PRIMARY KEY, title text, body text, seen int)"
            for schema in schemas
        )
    )
    triggers = [keep(name=f"keep{number}") for number in range(4)]
    declare(Page, *triggers, keep(name="titled", condition=pgtrigger.Q(old__title="x")))
    broken = schemas[::10]
    database.sql(*(f"ALTER TABLE {schema}.press_page DROP COLUMN title" for schema in broken))
    with pytest.raises(InstallationError, match=r"^10 of 100 places failed"):
        command("install", "--all-schemas", "--jobs", "3")
    assert len(database.triggers()) == 90 * 5
    database.sql(*(f"ALTER TABLE {schema}.press_page ADD title text" for schema in broken))
    with statements() as run:
        command("install", "--all-schemas", "--jobs", "3")
        command("check", "--all-schemas")
    assert run == []  # in the caller's connection: what is left is done by the jobs
    assert len(database.triggers()) == len(database.functions()) == 100 * 5
