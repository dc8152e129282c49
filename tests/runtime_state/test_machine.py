"""Random walks through transactions and contexts: the server always agrees with Python."""

import contextlib
import functools

import pytest
from django.db import DatabaseError, connections, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import pgtrigger
from pgtrigger.agreement import unwatched_cursor
from pgtrigger.session import local_settings
from runtime_state.probe import URI, ignored, probe
from shop.database import run
from shop.models import Order

READ = "coalesce(current_setting('shop.reason', true), '')"
STATE = f"""SELECT coalesce(current_setting('pgtrigger.ignore', true), ''),
                   {READ}, current_setting('search_path')"""
DEFAULT_PATH = '"$user", public'


class Side:
    """One connection: its transaction, and what is wanted of it, kept by hand."""

    def __init__(self, alias):
        self.alias = alias
        # By hand: the stack is of savepoints. By atomic(): of blocks.
        self.how = None
        self.stack = []
        self.failed = False

    @property
    def connection(self):
        return connections[self.alias]

    def sql(self, text):
        with self.connection.cursor() as cursor:
            cursor.execute(text)

    def end(self):
        self.how, self.stack, self.failed = None, [], False


def step(*args, **kwargs):
    """A rule, after which some of the connections are looked at, and so synchronised, or none."""

    def decorate(method):
        @functools.wraps(method)
        def run_and_look(self, data, **drawn):
            method(self, data, **drawn)
            for side in self.sides.values():
                if data.draw(st.booleans(), label=f"look at {side.alias}"):
                    self.check(side)

        return rule(*args, data=st.data(), **kwargs)(run_and_look)

    return decorate


class Walk(RuleBasedStateMachine):
    """Rules act on one of the connections; contexts are entered and left in any order."""

    aliases = ("default",)

    @initialize()
    def begin_anew(self):
        self.sides = {alias: Side(alias) for alias in self.aliases}
        self.contexts = []

    def pick(self, data):
        return self.sides[data.draw(st.sampled_from(self.aliases), label="on")]

    def some(self, fits):
        return any(fits(side) for side in self.sides.values())

    # --- What the model wants

    def wanted(self, alias):
        """Ignored or not, the reason, and the search path."""
        here = [what for _, what, databases in self.contexts if databases is None or alias in databases]  # fmt: skip
        ignores = [what for what in here if what[0] == "ignore"]
        reasons = [what[1] for what in here if what[0] == "reason"]
        schemas = [what[1] for what in here if what[0] == "schema"]
        path = ", ".join(dict.fromkeys(sum(schemas, ()))) if schemas else DEFAULT_PATH
        return bool(ignores), reasons[-1] if reasons else "", path

    # --- Contexts

    @precondition(lambda self: len(self.contexts) < 5)
    @step(
        what=st.sampled_from(
            [
                ("ignore", URI),
                ("ignore", None),
                ("reason", "a"),
                ("reason", "b%"),
                # "public" is in each, or the trigger's table would not be found.
                ("schema", ("public",)),
                ("schema", ("x", "public")),
            ]
        ),
        databases=st.sampled_from([None, None, None, ["default"], ["other"]]),
    )
    def enter(self, data, what, databases):
        kind, value = what
        if kind == "ignore":
            context = pgtrigger.ignore(*([value] if value else []), databases=databases)
        elif kind == "reason":
            context = local_settings(shop__reason=value, databases=databases)
        else:
            context = pgtrigger.schema(*value, databases=databases)
        context.__enter__()
        self.contexts.append((context, what, databases))

    @precondition(lambda self: self.contexts)
    @step()
    def leave(self, data):
        # Mostly the innermost; any other one where contexts overlap.
        place = data.draw(st.sampled_from([-1, -1, -1, *range(len(self.contexts))]), label="leave")
        context, _, _ = self.contexts.pop(place)
        context.__exit__(None, None, None)

    @step(fails=st.booleans())
    def a_block_within_a_context(self, data, fails):
        side = self.pick(data)
        if side.failed or side.how not in (None, "atomic"):
            return
        with contextlib.suppress(ZeroDivisionError):
            with pgtrigger.ignore(URI), transaction.atomic(side.alias):
                assert ignored(side.alias)
                if fails:
                    raise ZeroDivisionError
        if side.how is None:
            self.check(side)

    @precondition(lambda self: self.some(lambda side: side.how and not side.failed))
    @step(back=st.booleans(), new=st.booleans())
    def a_detour_across_an_edge(self, data, back, new):
        """A savepoint is followed by a change of state, and undone or not."""
        side = self.pick(data)
        if side.how is None or side.failed:
            return
        side.sql("SAVEPOINT detour")
        if new or not self.contexts:
            self.contexts.append((pgtrigger.ignore(URI), ("ignore", URI), None))
            self.contexts[-1][0].__enter__()
        else:
            self.contexts.pop()[0].__exit__(None, None, None)
        self.check(side)
        side.sql("ROLLBACK TO SAVEPOINT detour" if back else "RELEASE SAVEPOINT detour")

    # --- Transactions

    @precondition(lambda self: self.some(lambda side: side.how is None))
    @step(how=st.sampled_from(["hand", "atomic", "autocommit off"]))
    def begin(self, data, how):
        side = self.pick(data)
        if side.how is not None:
            return
        side.how = how
        if how == "hand":
            side.sql("BEGIN")
        elif how == "atomic":
            self.push(side)
        else:
            transaction.set_autocommit(False, side.alias)

    def push(self, side):
        block = transaction.atomic(side.alias)
        block.__enter__()
        side.stack.append(block)

    @precondition(lambda self: self.some(lambda side: side.how and not side.failed))
    @step()
    def savepoint(self, data):
        side = self.pick(data)
        if side.how is None or side.failed or len(side.stack) > 3:
            return
        if side.how == "atomic":
            self.push(side)
        else:
            name = f"s{len(side.stack)}"
            side.sql(f"SAVEPOINT {name}")
            side.stack.append(name)

    @precondition(lambda self: self.some(lambda side: side.stack and not side.failed))
    @step()
    def release(self, data):
        side = self.pick(data)
        if side.how is None or side.failed or not side.stack:
            return
        if side.how == "atomic":
            side.stack.pop().__exit__(None, None, None)
            if not side.stack:
                side.end()
        else:
            place = data.draw(st.integers(0, len(side.stack) - 1), label="savepoint")
            side.sql(f"RELEASE SAVEPOINT {side.stack[place]}")
            del side.stack[place:]

    @precondition(lambda self: self.some(lambda side: side.stack))
    @step()
    def rollback_to(self, data):
        side = self.pick(data)
        if side.how is None or not side.stack:
            return
        if side.how == "atomic":
            problem = ZeroDivisionError()
            assert not side.stack.pop().__exit__(ZeroDivisionError, problem, None)
            side.failed = False
            if not side.stack:
                side.end()
        else:
            place = data.draw(st.integers(0, len(side.stack) - 1), label="savepoint")
            side.sql(f"ROLLBACK TO SAVEPOINT {side.stack[place]}")
            del side.stack[place + 1 :]
            side.failed = False

    @precondition(lambda self: self.some(lambda side: side.how))
    @step(commit=st.booleans())
    def end(self, data, commit):
        side = self.pick(data)
        if side.how is None or (commit and side.failed):
            return
        if side.how == "hand":
            side.sql("COMMIT" if commit else "ROLLBACK")
        elif side.how == "atomic":
            while side.stack:
                problem = None if commit else ZeroDivisionError()
                side.stack.pop().__exit__(problem and ZeroDivisionError, problem, None)
        else:
            (transaction.commit if commit else transaction.rollback)(side.alias)
            transaction.set_autocommit(True, side.alias)
        side.end()

    @step()
    def error(self, data):
        side = self.pick(data)
        if side.failed:
            return
        with contextlib.suppress(DatabaseError):
            side.sql("SELECT 1/0")
            raise AssertionError("no error")
        side.failed = side.how is not None

    @step()
    def reconnect(self, data):
        side = self.pick(data)
        if side.how == "atomic":
            return
        side.connection.close()
        if side.how == "autocommit off":
            side.connection.ensure_connection()
            transaction.set_autocommit(True, side.alias)
        side.end()

    # --- Agreement

    @step(text=st.sampled_from(["plain", "several", "procedure"]))
    def write(self, data, text):
        side = self.pick(data)
        if side.failed:
            return
        expected, _, _ = self.wanted(side.alias)
        if text == "plain":
            assert ignored(side.alias) is expected
        elif text == "several":
            side.sql('SELECT 1; UPDATE "user" SET "it\'s odd" = \'quiet\'')
            with connections[side.alias].cursor() as cursor:
                cursor.execute('SELECT DISTINCT "it\'s odd" FROM "user"')
                assert cursor.fetchall() in ([], [("quiet" if expected else "fired",)])
        else:
            side.sql(
                'DO $$ DECLARE x text; BEGIN INSERT INTO "user" ("user", "Total", "it\'s odd") VALUES (\'\', 0, \'quiet\')'
                f" RETURNING \"it's odd\" INTO x; ASSERT x = '{'quiet' if expected else 'fired'}'; END $$"
            )

    def check(self, side):
        if side.failed:
            return
        with side.connection.cursor() as cursor:
            cursor.execute(STATE)
            ((names, reason, path),) = cursor.fetchall()
        assert (bool(names), reason, path) == self.wanted(side.alias)
        assert pgtrigger.is_ignored(URI, database=side.alias) is bool(names)

    @invariant()
    def nothing_stays_behind_in_autocommit(self):
        for side in getattr(self, "sides", {}).values():
            if side.how is None and side.connection.connection is not None:
                # Of the driver's own, so that nothing is synchronised for it.
                with unwatched_cursor(side.connection) as cursor:
                    cursor.execute(STATE)
                    assert cursor.fetchone() == ("", "", DEFAULT_PATH)

    def teardown(self):
        for context, _, _ in reversed(getattr(self, "contexts", [])):
            context.__exit__(None, None, None)
        self.contexts = []
        for side in getattr(self, "sides", {}).values():
            while side.how == "atomic" and side.stack:
                side.stack.pop().__exit__(ZeroDivisionError, ZeroDivisionError(), None)
            side.connection.close()
            if not side.connection.autocommit:
                side.connection.ensure_connection()
                transaction.set_autocommit(True, side.alias)


class WalkOnTwo(Walk):
    """The same, with transactions on two databases that interleave."""

    aliases = ("default", "other")


def walk(machine):
    profile = settings(
        max_examples=settings.default.max_examples // 3,
        stateful_step_count=40,
        database=None,
        phases=[Phase.generate],  # a walk that fails takes long to make shorter
        print_blob=False,
        suppress_health_check=[*HealthCheck],
    )
    run_state_machine_as_test(machine, settings=profile)


@pytest.fixture
def plain_path(uri):
    run(f"ALTER DATABASE {connections['default'].settings_dict['NAME']} RESET search_path")
    connections["default"].close()


@pytest.mark.slow
def test_the_server_agrees_on_one_connection(plain_path):
    walk(Walk)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_the_server_agrees_on_two_connections(plain_path):
    trigger = probe()
    outer = connections["other"]
    connections["other"] = outer.copy()
    try:
        with trigger.install(Order, database="other"):
            walk(WalkOnTwo)
    finally:
        with connections["other"].cursor() as cursor:
            cursor.execute('TRUNCATE "user"')
        connections["other"].close()
        connections["other"] = outer
