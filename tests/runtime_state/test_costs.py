"""What the mechanism sends besides the caller's statements, counted on the wire."""

from contextlib import nullcontext

import pytest
from django.db import connection, connections, transaction
from django.db.models import Sum

import pgtrigger
from pgtrigger.session import Context, local_settings
from pgtrigger.wanted import Layer
from runtime_state.probe import QUIET, URI, WRITE, ignored, probe, psycopg3
from runtime_state.wire import wire
from shop.database import run
from shop.models import Order

pytestmark = psycopg3

# What psycopg opens a transaction with when Django turns autocommit off.
OPENING = ["BEGIN"]


def reads():
    """Plain reads of the ORM."""
    assert Order.objects.count() == 0
    assert [*Order.objects.filter(user="50%").order_by("pk")] == []
    assert not Order.objects.exists()
    assert Order.objects.aggregate(Sum("total")) == {"total__sum": None}
    assert [*Order.objects.values_list("total").union(Order.objects.values_list("pk"))] == []
    assert [*Order.objects.select_for_update().none()] == []
    assert Order.objects.filter(pk=1).first() is None
    assert [*Order.objects.raw('SELECT * FROM "user" WHERE id = %s', [1])] == []
    return 7


def writes():
    """Four writes; the last one in a transaction, because of what it may have to do."""
    order = Order.objects.create(note=QUIET)
    order.save()
    Order.objects.update(total=1)
    Order.objects.bulk_create([Order(note=QUIET)] * 2)
    return 4 + len(["BEGIN", "COMMIT"])


class Quiet(Context):
    """A setting for what writes only."""

    def __init__(self):
        self.asked = 0
        super().__init__(
            lambda: [Layer("pgtrigger.quiet", lambda outer: "x", self._text, for_calls=False)]
        )

    def _text(self, value):
        self.asked += 1
        return value


# --- Outside any context ----------------------------------------------------------------------------------


def test_outside_any_context_nothing_is_sent(probed):
    with wire() as heard:
        expected = reads() + writes()
    assert len(heard.statements) <= expected  # Django 6.1 needs fewer
    assert heard.settings == []
    with pgtrigger.ignore(URI):
        assert ignored()
    with wire() as heard:
        Order.objects.count()
        Order.objects.update(total=1)
    assert len(heard.statements) == 2
    with wire() as heard, transaction.atomic():
        Order.objects.update(total=1)
        Order.objects.update(total=2)
    assert heard.statements[:1] == OPENING
    assert len(heard.statements) == 4
    assert heard.settings == []


def test_a_context_for_another_database_sends_nothing(probed):
    with pgtrigger.ignore(URI, databases=["other"]), wire() as heard:
        Order.objects.update(total=1)
        with transaction.atomic():
            Order.objects.update(total=1)
    assert heard.settings == []
    assert len(heard.statements) == 4


@pytest.mark.parametrize("where", ["autocommit", "before the first statement"])
def test_a_context_in_which_nothing_is_done_sends_nothing(probed, where):
    connections["default"].ensure_connection()
    with wire() as heard:
        if where == "autocommit":
            with pgtrigger.ignore(), pgtrigger.schema("public"), local_settings(a__b="c"):
                pass
        else:
            with transaction.atomic(), pgtrigger.ignore(), pgtrigger.schema("public"):
                pass
    assert heard.settings == []


# --- In a transaction ----------------------------------------------------------------------------------------


def test_one_statement_for_entering_and_one_for_leaving(probed):
    with transaction.atomic():
        Order.objects.count()
        with wire() as heard:
            with pgtrigger.ignore(URI):
                for _ in range(10):
                    Order.objects.update(total=1)
            for _ in range(10):
                Order.objects.update(total=2)
    assert len(heard.settings) == 2
    assert len(heard.statements) == 22
    assert heard.ready == 20  # together with the statement that needs them


def test_a_context_around_the_transaction_is_one_statement_in_it(probed):
    with pgtrigger.ignore(URI), wire() as heard:
        with transaction.atomic():
            for _ in range(10):
                Order.objects.update(total=1)
            Order.objects.count()
    assert len(heard.settings) == 1
    assert len(heard.statements) == 1 + 1 + 11 + 1


def test_several_settings_that_change_at_once_are_one_statement(probed):
    with pgtrigger.ignore(URI), pgtrigger.schema("public"), local_settings(a__b="1", c__d="2"):
        with wire() as heard, transaction.atomic():
            Order.objects.update(total=1)
            Order.objects.update(total=1)
    assert len(heard.settings) == 1


def test_a_state_that_is_the_same_again_is_not_sent_again(probed):
    with transaction.atomic():
        Order.objects.count()
        with pgtrigger.ignore(URI), wire() as heard:
            for _ in range(5):
                with pgtrigger.ignore(URI):
                    Order.objects.update(total=1)
    assert len(heard.settings) == 1


def test_entering_again_before_another_statement_is_no_statement(probed):
    with transaction.atomic():
        Order.objects.count()
        with wire() as heard:
            for _ in range(5):
                with pgtrigger.ignore(URI):
                    Order.objects.update(total=1)
    assert len(heard.settings) == 1


def test_within_a_session_leaving_and_entering_again_is_no_statement(probed):
    with transaction.atomic(), pgtrigger.ignore.session():
        Order.objects.count()
        with wire() as heard:
            for _ in range(5):
                with pgtrigger.ignore(URI):
                    Order.objects.update(total=1)
            assert not ignored()
    assert len(heard.settings) == 2


def test_savepoints_that_are_released_send_nothing_else(probed):
    with pgtrigger.ignore(URI), transaction.atomic():
        Order.objects.count()
        with wire() as heard:
            for _ in range(5):
                with transaction.atomic():
                    Order.objects.update(total=1)
    assert len(heard.statements) == 15


def test_a_rollback_to_a_savepoint_is_made_up_for_once(probed):
    with pgtrigger.ignore(URI), transaction.atomic():
        run("SAVEPOINT s")
        with wire() as heard:
            run("ROLLBACK TO s")
            for _ in range(5):
                Order.objects.update(total=1)
    assert len(heard.settings) == 1


def test_objects_of_psycopg_send_nothing_else(probed):
    from psycopg import sql

    composed = sql.SQL("{}").format(sql.SQL(WRITE))
    with pgtrigger.ignore(URI), transaction.atomic():
        Order.objects.count()
        with wire() as heard:
            for _ in range(5):
                run(composed)
    assert heard.settings == []


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT 1 AS rolled_by_rollback_job FROM "user"',
        "SELECT 'rollback' FROM \"user\"",
        'SELECT id AS "abort" FROM "user"',
    ],
)
def test_a_word_that_looks_like_a_rollback_sends_nothing_else(probed, statement):
    with pgtrigger.ignore(URI), transaction.atomic():
        Order.objects.count()
        with wire() as heard:
            for _ in range(5):
                run(statement)
    assert heard.settings == []


def test_leaving_within_a_transaction_that_is_rolled_back_later_is_no_statement(probed):
    with wire() as heard, transaction.atomic():
        Order.objects.count()
        with pgtrigger.ignore(URI):
            Order.objects.update(total=1)
        transaction.set_rollback(True)
    assert len(heard.settings) == 1


# --- In autocommit ---------------------------------------------------------------------------------------------


def test_plain_reads_send_nothing_else(probed):
    with wire() as outside:
        reads()
    with pgtrigger.ignore(URI), wire() as inside:
        reads()
    assert inside.statements == outside.statements
    assert inside.ready == outside.ready


def test_an_iterator_sends_nothing_else(probed):
    Order.objects.bulk_create([Order() for _ in range(10)])

    def walk():
        with wire() as heard:
            assert len([*Order.objects.iterator(chunk_size=3)]) == 10
        return [text for text in heard.statements if "set_config" in text], len(heard.statements)

    outside = walk()
    with pgtrigger.ignore(URI):
        assert walk() == outside


def test_a_write_is_one_round_trip(probed):
    connections["default"].ensure_connection()
    with pgtrigger.ignore(URI), wire() as heard:
        Order.objects.update(total=1)
    assert heard.ready == 1
    assert len(heard.statements) == 2
    with pgtrigger.ignore(URI), wire() as heard:
        writes()
    assert len(heard.settings) == 4


def test_many_rows_are_one_statement_more(probed):
    statement = 'UPDATE "user" SET "Total" = %s WHERE id = %s'

    def update():
        with wire() as heard, connection.cursor() as cursor:
            cursor.executemany(statement, [(n, n) for n in range(20)])
        return len(heard.statements), heard.ready

    statements, trips = update()
    with pgtrigger.ignore(URI):
        assert update() == (statements + 1, trips)


def test_a_search_path_costs_a_read_its_transaction(probed):
    connections["default"].ensure_connection()
    with pgtrigger.schema("public"), wire() as heard:
        Order.objects.count()
    assert len(heard.settings) == 1
    assert len(heard.statements) <= 4


# --- What is in the log ---------------------------------------------------------------------------------------------


def test_the_callers_log_and_counts_are_the_callers(probed, django_assert_num_queries):
    with pgtrigger.ignore(URI):
        with django_assert_num_queries(2) as captured:
            Order.objects.update(total=1)
            Order.objects.count()
        assert not any("set_config" in query["sql"] for query in captured.captured_queries)
        with transaction.atomic(), django_assert_num_queries(2):
            Order.objects.update(total=1)
            Order.objects.count()


def test_the_list_of_all_triggers_is_made_once(probed, declared):
    """As many names as there are: the same text each time, not an equal one."""
    from pgtrigger.wanted import current

    for number in range(20):
        declared(Order, probe(f"more{number}"))
    texts = []
    for _ in range(3):
        with pgtrigger.ignore():
            texts.append(current.get().settings("default")["pgtrigger.ignore"])
    assert texts[0].count("pgtrigger_more") == 20
    assert texts[1] is texts[0]
    assert texts[2] is texts[0]


def setting(name):
    """What a setting is, in a statement that counts as one that may write."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting(%s, true), '')", [name])
        ((found,),) = cursor.fetchall()
    return found


# --- Settings for what writes only ------------------------------------------------------------------------


def test_a_transaction_that_reads_is_not_touched(probed):
    with Quiet() as quiet, wire() as heard:
        with transaction.atomic():
            reads()
            with transaction.atomic():
                reads()
    assert heard.settings == []
    assert quiet.asked == 0


@pytest.mark.parametrize("inner", [False, True])
def test_it_is_sent_with_the_first_write_and_holds_from_then_on(probed, inner):
    with wire() as heard, transaction.atomic():
        with Quiet() as quiet:
            reads()
            with transaction.atomic() if inner else nullcontext():
                Order.objects.update(total=1)
            reads()
            assert quiet.asked == 1
            assert setting("pgtrigger.quiet") == "x"
        Order.objects.count()
        assert setting("pgtrigger.quiet") == ""
    assert len(heard.settings) == 2


def test_a_transaction_that_another_context_is_for_is_touched(probed):
    with Quiet(), local_settings(myapp__a="1"), transaction.atomic():
        Order.objects.count()
        assert setting("myapp.a") == "1"
