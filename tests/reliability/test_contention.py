"""Timeouts, deadlocks and serialisation failures: what failed has left nothing, and is tried again."""

import threading
from contextlib import ExitStack, closing

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models.functions import Now

import pgtrigger
import pgtrigger_history
from archive.models import Folder, Sheet
from ledger.models import Customer
from pgtrigger.errors import InstallationError, sqlstate
from pgtrigger.wanted import current
from pgtrigger_softdelete import SoftDelete
from reliability.conftest import Session
from reliability.tracked import recorded
from reliability.tracked import tracked as tracked
from runtime_state.conftest import autocommit_live as autocommit_live
from runtime_state.conftest import committed as committed
from runtime_state.conftest import declared as declared
from runtime_state.conftest import probed as probed
from runtime_state.conftest import untainted as untainted
from runtime_state.probe import URI, ignored
from shop.database import database_url, run, value

DEADLOCK, SERIALIZATION_FAILURE = "40P01", "40001"
STATEMENT_TIMEOUT, LOCK_TIMEOUT = "57014", "55P03"
TIMEOUTS = {"statement_timeout": STATEMENT_TIMEOUT, "lock_timeout": LOCK_TIMEOUT}
timeouts = pytest.mark.parametrize("timeout", TIMEOUTS)


@pytest.fixture(autouse=True)
def ready(tracked, probed, untainted):
    """Rows of customers are removed in the end, and a trigger tells whether it fired."""


@pytest.fixture
def other(server):
    """A session that somebody else has."""
    url = database_url(server.url, connection.settings_dict["NAME"])
    with closing(Session(url)) as session:
        yield session


def expect_nothing_left():
    assert current.get().layers == ()
    assert not value("SELECT current_setting('pgtrigger.ignore', true)")
    assert not value("SELECT current_setting('pgtrigger.context', true)")
    assert not ignored()


# --- Timeouts


@timeouts
@pytest.mark.parametrize("atomic", [True, False], ids=["transaction", "autocommit"])
def test_a_statement_that_takes_too_long_is_undone_and_the_contexts_go_on(other, timeout, atomic):
    first = Customer.objects.create(name="before")
    other.sql("BEGIN")
    other.sql(f"UPDATE ledger_customer SET name = 'theirs' WHERE id = {first.pk}")
    with pgtrigger_history.context(user=7), pgtrigger.ignore(URI):
        with transaction.atomic() if atomic else ExitStack():
            if atomic:
                Customer.objects.create(name="with it")
                run(f"SET LOCAL {timeout} = '50ms'")
            else:
                run(f"SET {timeout} = '50ms'")
            with pytest.raises(OperationalError) as caught:
                with transaction.atomic() if atomic else ExitStack():
                    with pgtrigger_history.context(step="refused"):
                        Customer.objects.filter(pk=first.pk).update(name="ours")
            assert sqlstate(caught.value) == TIMEOUTS[timeout]
            run(f"RESET {timeout}")
            other.sql("ROLLBACK")
            assert ignored()
            Customer.objects.filter(pk=first.pk).update(name="again")
            assert ignored()
    expect_nothing_left()
    told = [("INSERT", "with it", {"user": 7})] if atomic else []
    assert recorded()[1:] == [*told, ("UPDATE", "again", {"user": 7})]


@timeouts
def test_an_installation_that_takes_too_long_changes_nothing(other, timeout):
    installed = pgtrigger.registered(URI)[0][1]
    other.sql("BEGIN")
    other.sql('LOCK TABLE "user" IN ROW EXCLUSIVE MODE')
    run(f"SET {timeout} = '50ms'")
    error = InstallationError if timeout == "lock_timeout" else OperationalError
    with pytest.raises(error):
        pgtrigger.uninstall(URI)
    other.sql("ROLLBACK")
    assert value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert value("SHOW lock_timeout") == ("50ms" if timeout == "lock_timeout" else "30s")
    with pgtrigger.ignore(URI):
        assert ignored()
    assert not ignored()
    assert installed.name == "probe"


# --- Deadlocks


class Rival(threading.Thread):
    """Runs on a connection of its own, and tries again when it was the one that lost.

    It stops at `meet` in its first try, so that two of them hold what the other one wants.
    """

    def __init__(self, work, meeting, retried):
        super().__init__()
        self.work, self.meeting, self.retried = work, meeting, retried
        self.losses, self.error, self.others = 0, None, []

    def meet(self):
        if not self.losses:
            self.meeting.wait(timeout=30)

    def run(self):
        try:
            while True:
                try:
                    self.work(self)
                    break
                except OperationalError as error:
                    if sqlstate(error) != self.retried or self.losses:
                        raise
                    # What was wanted for the work is not wanted any more.
                    assert current.get().layers == ()
                    self.losses += 1
                    # At once, it could be faster than the winner wakes up, and lose once more.
                    for other in self.others:
                        other.join(30)
            assert not ignored()
        except Exception as error:  # told by the test
            self.error = error
            self.meeting.abort()
        finally:
            connections.close_all()


def fight(*works, retried):
    """Let each work go on when all have met, and tell who lost and had to try again."""
    meeting = threading.Barrier(len(works))
    rivals = [Rival(work, meeting, retried) for work in works]
    for rival in rivals:
        rival.others = [other for other in rivals if other is not rival]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join(60)
    assert [rival.error for rival in rivals] == [None] * len(works)
    return [rival.losses for rival in rivals]


def test_who_loses_a_deadlock_has_no_events_and_can_try_again():
    one, two = (Customer.objects.create(name=name) for name in ("one", "two"))

    def work(user, first, second):
        def run(rival):
            with pgtrigger_history.context(user=user, attempt=rival.losses), pgtrigger.ignore(URI):
                with transaction.atomic():
                    Customer.objects.filter(pk=first.pk).update(name=f"{user} first")
                    assert ignored()
                    rival.meet()
                    Customer.objects.filter(pk=second.pk).update(name=f"{user} second")

        return run

    losses = fight(work(1, one, two), work(2, two, one), retried=DEADLOCK)
    assert sorted(losses) == [0, 1]
    told = [
        ("UPDATE", f"{user} {which}", {"user": user, "attempt": losses[user - 1]})
        for user in (1, 2)
        for which in ("first", "second")
    ]
    assert sorted(recorded()[2:], key=repr) == told
    assert value("SELECT count(*) FROM pgtrigger_history_context") == 2
    expect_nothing_left()


def test_who_loses_a_deadlock_within_a_cascade_of_soft_deletion_can_try_again(autocommit_live):
    autocommit_live(Sheet, SoftDelete(name="soft", field="state", value="gone", live="kept"))
    autocommit_live(
        Folder,
        SoftDelete(name="soft", field="deleted_at", value=Now(), live=None, cascade="soft"),
    )
    try:
        folder = Folder.objects.create(name="folder")
        sheet = Sheet.objects.create(folder=folder)

        def deletes_the_folder(rival):
            with transaction.atomic():
                Customer.objects.create(name="folder deleted")
                Folder.all_objects.select_for_update().get(pk=folder.pk)
                rival.meet()
                run(f"DELETE FROM archive_folder WHERE id = {folder.pk}")

        def renames_the_folder_of_a_sheet(rival):
            with transaction.atomic():
                Customer.objects.create(name="folder renamed")
                Sheet.all_objects.select_for_update().get(pk=sheet.pk)
                rival.meet()
                Folder.all_objects.filter(pk=folder.pk).update(name="renamed")

        losses = fight(deletes_the_folder, renames_the_folder_of_a_sheet, retried=DEADLOCK)
        assert sorted(losses) == [0, 1]
        [folder] = Folder.all_objects.all()
        [sheet] = Sheet.all_objects.all()
        assert (folder.name, folder.deleted_at is None, sheet.state) == ("renamed", False, "gone")
        names = sorted(name for _, name, _ in recorded())
        assert names == ["folder deleted", "folder renamed"]
    finally:
        with pgtrigger.ignore():
            run("TRUNCATE archive_folder, archive_sheet CASCADE")


# --- Serialisation failures


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_what_could_not_be_serialised_is_tried_again_and_has_one_event(level):
    customer = Customer.objects.create(name="0")

    def work(user):
        def run_it(rival):
            with pgtrigger_history.context(user=user, attempt=rival.losses):
                with transaction.atomic(), pgtrigger.ignore(URI):
                    run(f"SET TRANSACTION ISOLATION LEVEL {level}")
                    name = Customer.objects.get(pk=customer.pk).name
                    assert ignored()
                    rival.meet()
                    with pgtrigger_history.context(inner=True):
                        Customer.objects.filter(pk=customer.pk).update(name=f"{name}+{user}")

        return run_it

    losses = fight(work(1), work(2), retried=SERIALIZATION_FAILURE)
    assert sorted(losses) == [0, 1]
    first, second = sorted((1, 2), key=lambda user: losses[user - 1])
    assert recorded()[1:] == [
        ("UPDATE", f"0+{first}", {"user": first, "attempt": 0, "inner": True}),
        ("UPDATE", f"0+{first}+{second}", {"user": second, "attempt": 1, "inner": True}),
    ]
    expect_nothing_left()
