"""What changing triggers locks, and who waits for whom."""

import pytest

from reliability.conftest import Site, make_site, new_database

# The same trigger in the apps ``body``, ``condition`` … which differ in what is changed of it.
BEFORE = """
    class Page(models.Model):
        title = models.TextField(default="")
        body = models.TextField(default="")
        seen = models.TextField(default="")

        class Meta:
            triggers = [
                pgtrigger.Trigger(
                    name="mark",
                    when=pgtrigger.Before,
                    operation=pgtrigger.Update,
                    condition=pgtrigger.AnyChange("title"),
                    func="NEW.seen = 'old'; RETURN NEW;",
                )
            ]
"""
CONSTRAINT = """
    class Page(models.Model):
        title = models.TextField(default="")
        body = models.TextField(default="")
        seen = models.TextField(default="")

        class Meta:
            triggers = [
                pgtrigger.Trigger(
                    name="mark",
                    when=pgtrigger.After,
                    timing=pgtrigger.Deferred,
                    operation=pgtrigger.Update,
                    condition=pgtrigger.AnyChange("title"),
                    func="RETURN NULL;",
                )
            ]
"""
NO_TRIGGERS = BEFORE[: BEFORE.index("        class Meta")]
CHANGES = {
    # White space is no change; the migration below says so all the same.
    "unchanged": (BEFORE, BEFORE),
    "body": (BEFORE, BEFORE.replace("'old'", "'new'")),
    "condition": (BEFORE, BEFORE.replace('AnyChange("title")', 'AnyChange("body")')),
    "both": (BEFORE, BEFORE.replace('AnyChange("title")', 'AnyChange("body")').replace("old", "n")),
    "added": (NO_TRIGGERS, BEFORE),
    "removed": (BEFORE, NO_TRIGGERS),
    "constraint_body": (CONSTRAINT, CONSTRAINT.replace("RETURN NULL", "PERFORM 1; RETURN NULL")),
    "constraint": (CONSTRAINT, CONSTRAINT.replace('AnyChange("title")', 'AnyChange("body")')),
    "constraint_added": (NO_TRIGGERS, CONSTRAINT),
    "to_constraint": (BEFORE, CONSTRAINT),
}
NOTHING_CHANGES = """
    from django.db import migrations

    import pgtrigger.migrations
    from unchanged.models import Page


    class Migration(migrations.Migration):
        dependencies = [("unchanged", "0001_initial")]
        operations = [
            pgtrigger.migrations.AlterTrigger(
                model_name="page", trigger=trigger.compile(Page)
            )
            for trigger in Page._meta.triggers
        ]
"""

FUNCTION = ["CREATE OR REPLACE FUNCTION"]
TRIGGER = ["CREATE OR REPLACE TRIGGER"]
CONSTRAINT_TRIGGER = ["CREATE CONSTRAINT TRIGGER"]
DROP = ["DROP TRIGGER", "DROP FUNCTION"]

# What changes, by which statements, and the strongest lock that they take on the table.
# PostgreSQL manual: 13.3, "Explicit Locking".
COSTS = {
    "unchanged": ([], None),
    "body": (FUNCTION, None),
    "constraint_body": (FUNCTION, None),
    "condition": (TRIGGER, "ShareRowExclusiveLock"),
    "both": (FUNCTION + TRIGGER, "ShareRowExclusiveLock"),
    "added": (FUNCTION + TRIGGER, "ShareRowExclusiveLock"),
    "removed": (DROP, "AccessExclusiveLock"),
    # The DROP finds nothing to drop, and then it locks nothing.
    "constraint_added": (FUNCTION + DROP[:1] + CONSTRAINT_TRIGGER, "ShareRowExclusiveLock"),
    # Postgres cannot replace a constraint trigger, and to drop it readers have to stop as well.
    "constraint": (DROP[:1] + CONSTRAINT_TRIGGER, "AccessExclusiveLock"),
    "to_constraint": (FUNCTION + DROP[:1] + CONSTRAINT_TRIGGER, "AccessExclusiveLock"),
}
STRENGTHS = [None, "AccessShareLock", "ShareRowExclusiveLock", "AccessExclusiveLock"]

# Does each change in a transaction that is rolled back, and asks before that what it has locked.
LOCKS_TAKEN = """
    import json
    import os
    import re
    import sys

    import django

    django.setup()

    from django.core.management import call_command
    from django.db import connection, transaction

    # Several may be sent as one text. Comments lock nothing that matters.
    VERBS = "(?:CREATE|DROP)(?: OR REPLACE)?(?: CONSTRAINT)? (?:TRIGGER|FUNCTION)|ALTER TABLE"

    def locks(app, command):
        statements = []

        def note(execute, sql, params, many, context):
            if " pgtrigger_mark_" in sql.replace('"', " ") and not sql.startswith("SELECT"):
                statements.append(sql)
            return execute(sql, params, many, context)

        target = {"migrate": [app, "0002"], "prune": []}.get(command[-1], [f"{app}.Page:mark"])
        with transaction.atomic(), connection.execute_wrapper(note):
            call_command(*command, *target, verbosity=0)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND granted"
                    " AND relation = to_regclass(%s)", [f"{app}_page"],
                )
                modes = [mode for mode, in cursor.fetchall()]
            transaction.set_rollback(True)
        return modes, re.findall(VERBS, " ".join(statements))

    report = {}
    for app in sorted(os.listdir()):
        if os.path.exists(f"{app}/migrations/0002_change.py"):
            report[f"migrate {app}"] = locks(app, ["migrate"])
            if app != "removed":
                report[f"install {app}"] = locks(app, ["pgtrigger", "install"])
            else:
                report[f"prune {app}"] = locks(app, ["pgtrigger", "prune"])
    report["disable body"] = locks("body", ["pgtrigger", "disable"])
    report["uninstall body"] = locks("body", ["pgtrigger", "uninstall"])
    json.dump(report, sys.stdout)
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory, server):
    """The first migrations are applied; the models and the second migrations are newer."""
    with new_database(server.url) as url:
        site = make_site(tmp_path_factory.mktemp("deployed"), url)
        for app, (before, _) in CHANGES.items():
            site.add_app(app)
            site.models(before, app=app)
        site.manage("makemigrations", "--name", "initial")
        site.manage("migrate")
        for app, (_, after) in CHANGES.items():
            site.models(after, app=app)
            site.sql(f"INSERT INTO {app}_page (title, body, seen) VALUES ('1', '1', '')")
        site.manage("makemigrations", "--name", "change")
        site.write("unchanged/migrations/0002_change.py", NOTHING_CHANGES)
        yield site


@pytest.fixture
def site(deployed, server):
    """That project on a copy of its database."""
    with new_database(server.url, template=deployed.url) as url:
        yield Site(deployed.directory, url)


@pytest.fixture(scope="module")
def locks_taken(deployed):
    """What `LOCKS_TAKEN` reports; one process for all tests, because nothing stays of it."""
    before = deployed.fingerprint()
    report = deployed.report(LOCKS_TAKEN)
    assert deployed.fingerprint() == before
    return report


both_ways = pytest.mark.parametrize("command", ["migrate", "install"])
quick_changes = pytest.mark.parametrize("app", ["unchanged", "body", "constraint_body"])


def way(command, app):
    """The arguments of ``manage.py`` for one of the two ways to the same change."""
    if command == "migrate":
        return "migrate", app, "0002"
    return "pgtrigger", "install", f"{app}.Page:mark"


def is_recorded(site, app):
    """Whether the app's second migration counts as applied."""
    query = "SELECT 1 FROM django_migrations WHERE app = %s AND name = '0002_change'"
    return site.sql(query, [app]) == [(1,)]


def is_done(site, command, app):
    """Whether the change is in the database, and recorded if it was a migration."""
    [line] = site.manage("pgtrigger", "ls", f"{app}.Page:mark").stdout.splitlines()
    return line.startswith("INSTALLED") and is_recorded(site, app) == (command == "migrate")


def marks(site, app, column):
    """What the app's trigger writes into ``seen`` when this column changes."""
    site.sql(f"UPDATE {app}_page SET seen = ''")
    site.sql(f"UPDATE {app}_page SET {column} = {column} || '+'")
    [(seen,)] = site.sql(f"SELECT seen FROM {app}_page")
    return seen


def reading(app):
    """A transaction that has read the table, and so holds ACCESS SHARE."""
    return "BEGIN", f"SELECT * FROM {app}_page"


def writing(app):
    """A transaction that has fired the trigger, and so holds ROW EXCLUSIVE."""
    return "BEGIN", f"UPDATE {app}_page SET title = title || '?'"


@both_ways
@pytest.mark.parametrize("app", COSTS)
def test_a_change_runs_the_fewest_statements_under_the_weakest_lock(locks_taken, command, app):
    if (command, app) == ("install", "removed"):
        command = "prune"
    modes, statements = locks_taken[f"{command} {app}"]
    assert (statements, max([None, *modes], key=STRENGTHS.index)) == COSTS[app]


def test_disabling_lets_readers_go_on_and_uninstalling_stops_them(locks_taken):
    assert locks_taken["disable body"] == [["ShareRowExclusiveLock"], ["ALTER TABLE"]]
    modes, statements = locks_taken["uninstall body"]
    assert "AccessExclusiveLock" in modes
    assert statements == DROP


@both_ways
@quick_changes
@pytest.mark.slow
def test_no_change_and_a_new_body_wait_for_nobody(site, command, app):
    with (
        site.session(*reading(app)) as reader,
        site.session(*writing(app)) as writer,
        site.session("BEGIN", f"LOCK TABLE {app}_page IN ROW EXCLUSIVE MODE"),
    ):
        # Returns while all three are in their transactions, or fails at the time limit.
        site.manage(*way(command, app), LOCK_TIMEOUT="1ms")
        assert is_done(site, command, app)
        reader.sql("COMMIT")
        writer.sql("COMMIT")
    if app == "body":
        assert marks(site, app, "title") == "new"


@pytest.mark.slow
def test_a_new_body_is_installed_even_while_the_table_is_locked_for_everybody(site):
    with site.session("BEGIN", "LOCK TABLE body_page IN ACCESS EXCLUSIVE MODE"):
        site.manage(*way("migrate", "body"), LOCK_TIMEOUT="1ms")
    assert marks(site, "body", "title") == "new"


@both_ways
@pytest.mark.slow
def test_a_new_condition_does_not_wait_for_readers(site, command):
    with site.session(*reading("condition")) as reader:
        site.manage(*way(command, "condition"), LOCK_TIMEOUT="1ms")
        assert is_done(site, command, "condition")
        reader.sql("COMMIT")
    assert marks(site, "condition", "body") == "old"
    assert marks(site, "condition", "title") == ""


@both_ways
@pytest.mark.slow
def test_a_new_condition_waits_for_writers_and_lets_readers_go_on(site, command):
    app = "condition"
    before = site.fingerprint()
    with site.background() as manage, site.session(*writing(app)) as writer:
        changing = manage(*way(command, app))
        _, locktype, table, mode = writer.someone_blocked()
        assert (locktype, table, mode) == ("relation", "condition_page", "ShareRowExclusiveLock")

        # Readers overtake the one who waits; writers queue behind it.
        with site.session("SET lock_timeout = '1ms'") as other:
            assert other.sql("SELECT title FROM condition_page") == [("1",)]
            with pytest.raises(Exception, match="lock timeout"):
                other.sql("UPDATE condition_page SET title = 'in a hurry'")
        assert not changing.done()
        assert site.fingerprint() == before

        writer.sql("COMMIT")
        changing.result()
    assert is_done(site, command, app)
    assert marks(site, app, "body") == "old"
    assert marks(site, app, "title") == ""
    # The function was not touched, but for its comment.
    assert [row[7:11] for row in site.fingerprint()] == [row[7:11] for row in before]


@pytest.mark.slow
def test_a_changed_constraint_trigger_waits_for_readers_too(site):
    with site.background() as manage, site.session(*reading("constraint")) as reader:
        changing = manage(*way("migrate", "constraint"))
        _, locktype, table, mode = reader.someone_blocked()
        assert (locktype, table, mode) == ("relation", "constraint_page", "AccessExclusiveLock")
        with site.session("SET lock_timeout = '1ms'") as other:
            with pytest.raises(Exception, match="lock timeout"):
                other.sql("SELECT * FROM constraint_page")
        reader.sql("COMMIT")
        changing.result()
    assert is_done(site, "migrate", "constraint")


# --- PGTRIGGER_LOCK_TIMEOUT


@both_ways
@pytest.mark.parametrize("app", ["condition", "constraint", "added"])
@pytest.mark.slow
def test_beyond_the_lock_timeout_nothing_is_half_done(site, command, app):
    before = site.fingerprint()
    with site.session(*writing(app)) as writer:
        result = site.manage(*way(command, app), exits=1, LOCK_TIMEOUT="150ms")
        assert site.fingerprint() == before
        assert site.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
        writer.sql("COMMIT")
    last_line = result.stderr.strip().splitlines()[-1]
    assert "InstallationError: " in last_line
    assert 'Database "default": a lock was not to be had in time' in last_line
    assert "PGTRIGGER_LOCK_TIMEOUT is 150ms" in last_line
    if app == "condition":
        assert marks(site, app, "title") == "old"
    assert not is_recorded(site, app)

    # When the writer has gone, the same command succeeds.
    site.manage(*way(command, app), LOCK_TIMEOUT="150ms")
    assert is_done(site, command, app)


@pytest.mark.slow
def test_one_locked_table_undoes_the_others_of_the_same_install(site):
    before = site.fingerprint()
    # The apps are installed in the order of INSTALLED_APPS, where this one is not the first.
    with site.session(*writing("constraint")):
        result = site.manage("pgtrigger", "install", exits=1, LOCK_TIMEOUT="150ms")
    assert "Installing condition.Page:mark" in result.stderr
    assert "InstallationError" in result.stderr
    assert site.fingerprint() == before


@pytest.mark.slow
@pytest.mark.parametrize("subcommand", ["uninstall", "disable", "enable", "prune"])
def test_the_lock_timeout_holds_for_every_subcommand(site, subcommand):
    if subcommand == "enable":
        site.sql("ALTER TABLE body_page DISABLE TRIGGER USER")
    before = site.fingerprint()
    # Of ``removed`` the models know no trigger any more.
    table = "removed" if subcommand == "prune" else "body"
    uris = [] if subcommand == "prune" else ["body.Page:mark"]
    with site.session(*writing(table)) as writer:
        result = site.manage("pgtrigger", subcommand, *uris, exits=1, LOCK_TIMEOUT="150ms")
        assert site.fingerprint() == before
        writer.sql("COMMIT")
    assert "PGTRIGGER_LOCK_TIMEOUT is 150ms" in result.stderr
    assert "Traceback" not in result.stderr
    site.manage("pgtrigger", subcommand, *uris, LOCK_TIMEOUT="150ms")
    assert site.fingerprint() != before


TIMEOUT_AFTERWARDS = """
    import json
    import sys

    import django

    django.setup()

    from django.core.management import call_command
    from django.db import connection, transaction

    import pgtrigger
    from pgtrigger.errors import InstallationError

    def timeout():
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            return cursor.fetchone()[0]

    def attempt(kind, *args):
        outcome = "done"
        try:
            call_command(*args, verbosity=0)
        except InstallationError:
            outcome = "refused"
        report.append([kind, outcome, timeout()])

    report = []
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '7s'")
    for app in ("condition", "both"):
        install = "pgtrigger", "install", f"{app}.Page:mark"
        attempt("install", *install)
        attempt("migrate", "migrate", app, "0002")
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '8s'")
            try:
                with transaction.atomic():
                    pgtrigger.uninstall(f"{app}.Page:mark")
            except InstallationError:
                pass
            report.append(["in a transaction", "", timeout()])
        report.append(["after it", "", timeout()])
    json.dump(report, sys.stdout)
"""


@pytest.mark.slow
def test_the_lock_timeout_of_the_connection_is_as_before(site):
    with site.session(*writing("condition")):
        report = site.report(TIMEOUT_AFTERWARDS, LOCK_TIMEOUT="50ms")
    assert [tuple(entry) for entry in report] == [
        ("install", "refused", "7s"),
        ("migrate", "refused", "7s"),
        ("in a transaction", "", "8s"),
        ("after it", "", "7s"),
        ("install", "done", "7s"),
        ("migrate", "done", "7s"),
        ("in a transaction", "", "8s"),
        ("after it", "", "7s"),
    ]
