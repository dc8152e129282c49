"""A writer: random programs on rows that others write, too, and a log of what it committed.

The log is kept in memory, and knows nothing of the database, of triggers or of their settings: what
a rollback takes back is taken back in it by hand.
"""

import random
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction

import pgtrigger
import pgtrigger_history
from reliability.depot.models import Account, Parcel

SHARED = 120  # rows of each kind that all writers change
NEXT = {"packed": ["sent"], "sent": ["delivered", "packed"], "delivered": []}
# Deadlocks and serialisation failures, after which a program is done again from its start.
RETRIED = ("40P01", "40001")


class Undo(Exception):
    """Rolls back a transaction."""


class Writer:
    """One of many, with a connection of its own.

    Attributes:
        log: an entry for each change that was committed: the table, the key, the operation, the
            values that the event has, the context; None for a context where there is to be no
            event.
        complaints: what should not have happened.
        done: how often each thing was done.
    """

    def __init__(self, number: int, *, seed: int) -> None:
        self.number = number
        self.rng = random.Random(f"{seed}/{number}")
        self.log: list[list[Any]] = []
        self.complaints: list[str] = []
        self.done: Counter[str] = Counter()
        self.accounts: list[int] = []  # those that only this writer changes
        self._pending: list[list[Any]] = []
        self._contexts: list[dict[str, Any]] = []
        self._thawed = 0  # how many contexts there are in which a frozen row can be changed
        self._counter = 0

    # --- What a program is made of

    def program(self) -> None:
        """One transaction, or one statement in autocommit, and a look at what it has left."""
        if self.rng.random() < 0.2:
            self._retrying(self._in_autocommit)
        else:
            self._retrying(self._in_transaction)
        self._probe()

    def _retrying(self, run: Any) -> None:
        while True:
            accounts = [*self.accounts]
            try:
                with self.nested_contexts():
                    run()
            except Undo:
                self._pending, self.accounts = [], accounts
                self.done["rollback"] += 1
                return
            except OperationalError as error:
                self._pending, self.accounts = [], accounts
                if not is_retried(error):
                    raise
                self.done["retry"] += 1
                continue
            self.log += self._pending
            self._pending = []
            self.done["commit"] += 1
            return

    def _in_transaction(self) -> None:
        with transaction.atomic():
            for _ in range(self.rng.randint(1, 4)):
                self._step(depth=0)
            if self.rng.random() < 0.15:
                raise Undo

    def _in_autocommit(self) -> None:
        kinds = [self.create, self.create_account, self.delete_within_ignore, self.without_event]
        self.rng.choice(kinds)()

    def _step(self, depth: int) -> None:
        kinds = [
            self.create,
            self.create_account,
            self.save,
            self.update,
            self.bulk_update,
            self.transition,
            self.illegal_transition,
            self.forbidden_delete,
            self.forbidden_update,
            self.delete_within_ignore,
            self.soft_delete,
            self.without_event,
        ]
        kind = self.rng.choice([*kinds, "savepoint", "context", "ignore"])
        match kind:
            case "savepoint" | "context" | "ignore" if depth > 2:
                self.save()
            case "savepoint":
                self._savepoint(depth)
            case "context":
                with self.context(step=self._next("step")):
                    self._step(depth + 1)
            case "ignore":
                # Whatever happens within, the other triggers go on.
                self._thawed += 1
                try:
                    with pgtrigger.ignore("depot.Account:frozen"):
                        self._step(depth + 1)
                finally:
                    self._thawed -= 1
            case method:
                self.done[method.__name__] += 1
                method()

    def _savepoint(self, depth: int) -> None:
        mark, accounts = len(self._pending), [*self.accounts]
        undone = self.rng.random() < 0.5
        with transaction.atomic():
            self._step(depth + 1)
            if self.rng.random() < 0.5:
                self._step(depth + 1)
            transaction.set_rollback(undone)
        if undone:
            del self._pending[mark:]
            self.accounts = accounts
            self.done["rollback to savepoint"] += 1

    @contextmanager
    def context(self, **values: Any) -> Iterator[None]:
        self._contexts.append(values)
        try:
            with pgtrigger_history.context(**values):
                yield
        finally:
            self._contexts.pop()

    @contextmanager
    def nested_contexts(self) -> Generator[None]:
        """Three times in four one or two contexts, of which the inner one may win.

        One in three is that of many transactions, each of which is to store it anew.
        """
        with ExitStack() as undo:
            depth = self.rng.randrange(4)
            if depth:
                more = {} if depth == 1 else {"program": self._next("program")}
                undo.enter_context(self.context(user=self.number, **more))
            if depth == 3:
                undo.enter_context(self.context(user=-self.number, why={"nested": ["ä", 1]}))
            yield

    # --- What is written into the log

    def _next(self, kind: str) -> str:
        self._counter += 1
        return f"{kind} {self.number}.{self._counter}"

    def _record(self, operation: str, row: Any, *, event: bool = True) -> None:
        context: dict[str, Any] = {}
        for values in self._contexts:
            context |= values
        told = context if event else None
        self._pending.append([type(row).__name__, row.pk, operation, values_of(row), told])

    def commit(self, operation: str, row: Any) -> None:
        """Note a change that was committed by itself."""
        self._record(operation, row)
        self.log += self._pending
        self._pending = []

    def _lock(self, model: Any, count: int = 1) -> list[Any]:
        """Shared rows, sometimes in an order in which others lock them the other way round."""
        keys = self.rng.sample(range(1, SHARED + 1), count)
        if self.rng.random() < 0.9:
            keys.sort()
        rows = []
        for key in keys:
            rows += model.objects.select_for_update().filter(pk=key)
        return [row for row in rows if getattr(row, "is_active", True)]

    # --- Changes

    def create(self) -> None:
        rows = [Parcel(note=self._next("note")) for _ in range(self.rng.randint(1, 3))]
        if len(rows) == 1:
            rows[0].save()
        else:
            Parcel.objects.bulk_create(rows)
        for row in rows:
            self._record("INSERT", row)

    def create_account(self) -> None:
        row = Account.objects.create(note=self._next("note"), frozen=self.rng.random() < 0.5)
        self._record("INSERT", row)
        self.accounts.append(row.pk)

    def save(self) -> None:
        for row in self._lock(self.rng.choice([Parcel, Account])):
            row.note = self._next("note")
            row.save()
            self._record("UPDATE", row)

    def update(self) -> None:
        model = self.rng.choice([Parcel, Account])
        rows, note = self._lock(model, 3), self._next("note")
        model.objects.filter(pk__in=[row.pk for row in rows]).update(note=note)
        for row in rows:
            row.note = note
            self._record("UPDATE", row)

    def bulk_update(self) -> None:
        rows = self._lock(Parcel, 2)
        for row in rows:
            row.note, row.weight = self._next("note"), row.weight + 1
        Parcel.objects.bulk_update(rows, ["note", "weight"])
        for row in rows:
            self._record("UPDATE", row)

    def transition(self) -> None:
        for row in self._lock(Parcel):
            if NEXT[row.status]:
                row.status, row.note = self.rng.choice(NEXT[row.status]), self._next("note")
                row.save(update_fields=["status", "note"])
                self._record("UPDATE", row)

    def soft_delete(self) -> None:
        """A row of its own, so that shared ones are left."""
        row = Parcel.objects.create(note=self._next("note"))
        self._record("INSERT", row)
        Parcel.objects.filter(pk=row.pk).delete()
        row.is_active = False
        self._record("UPDATE", row)

    def delete_within_ignore(self) -> None:
        if not self.accounts:
            return
        key = self.accounts.pop(self.rng.randrange(len(self.accounts)))
        row = Account.objects.get(pk=key)
        with pgtrigger.ignore("depot.Account:keep"):
            Account.objects.filter(pk=key).delete()
        self._record("DELETE", row)

    def without_event(self) -> None:
        """The history is ignored, which is to hold for this statement alone."""
        if not self.accounts:
            return
        row = Account.objects.get(pk=self.rng.choice(self.accounts))
        row.balance += 1
        with pgtrigger.ignore("depot.Account:history_update", "depot.Account:frozen"):
            row.save()
        self._record("UPDATE", row, event=False)

    # --- What is refused

    def _refused(self, what: str, run: Any) -> None:
        try:
            with transaction.atomic():
                run()
        except IntegrityError:
            self.done["refused"] += 1
        else:
            self.complaints.append(f"writer {self.number}: {what} got in")

    def illegal_transition(self) -> None:
        for row in self._lock(Parcel):
            rows = Parcel.objects.filter(pk=row.pk)
            self._refused("an illegal transition", lambda: rows.update(status="lost"))  # noqa: B023 - called at once

    def forbidden_delete(self) -> None:
        rows = Account.objects.filter(pk=self.rng.randint(1, SHARED))
        self._refused("a protected deletion", rows.delete)

    def forbidden_update(self) -> None:
        row = Account.objects.create(note=self._next("note"), frozen=True)
        self._record("INSERT", row)
        if self._thawed:
            Account.objects.filter(pk=row.pk).update(balance=-1)
            row.balance = -1
            self._record("UPDATE", row)
        else:
            rows = Account.objects.filter(pk=row.pk)
            self._refused("a change of a frozen row", lambda: rows.update(balance=-1))

    def _probe(self) -> None:
        """Nothing is ignored any more, and no context holds, on the connection as it was left."""
        self.done["probe"] += 1
        while True:
            try:
                self.forbidden_delete()
                break
            except OperationalError as error:
                if not is_retried(error):
                    raise
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('pgtrigger.ignore', true),"
                " current_setting('pgtrigger.context', true)"
            )
            if any(found := cursor.fetchone()):
                self.complaints.append(f"writer {self.number}: {found} were left")


def is_retried(error: OperationalError) -> bool:
    """Whether the server asks for another try."""
    cause: Any = error.__cause__
    return getattr(cause, "sqlstate", None) in RETRIED or getattr(cause, "pgcode", None) in RETRIED


def values_of(row: Any) -> dict[str, Any]:
    """The tracked values of a row, but for its key."""
    return {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if not field.primary_key
    }
