"""What is used at run time: contexts, decorators, violations, installing, a server for tests."""

from pathlib import Path
from typing import Any, assert_type

from django.db import IntegrityError, models

import pgtrigger
from pgtrigger import errors
from pgtrigger.testing import Server, database_settings, postgres


class Order(models.Model):
    pass


with pgtrigger.ignore("shop.Order:keep", databases=["default"]) as ignoring:
    assert_type(ignoring, pgtrigger.ignore)
with pgtrigger.ignore(model=Order, trigger=pgtrigger.Composer), pgtrigger.ignore.session():
    pass
with pgtrigger.schema("tenant", "public"), pgtrigger.schema.session(["default"]):
    pass


@pgtrigger.ignore("shop.Order:keep")
def archive(order: Order, *, days: int = 30) -> list[int]:
    return [days]


assert_type(archive(Order(), days=7), list[int])


@pgtrigger.schema("tenant")
async def archive_later(order: Order, days: int) -> int:
    async with pgtrigger.ignore():
        return days


async def archive_now() -> None:
    assert_type(await archive_later(Order(), 7), int)


@pgtrigger.violations_as_validation_errors(immediate=True)
def save(order: Order) -> bool:
    with pgtrigger.violations_as_validation_errors(using="other", atomic=False):
        return True


assert_type(save(Order()), bool)

try:
    archive(Order())
except IntegrityError as error:
    found = pgtrigger.violation(error)
    assert_type(found, pgtrigger.Violation | None)
    if found:
        assert_type(found.model, type[models.Model])
        assert_type(found.trigger, pgtrigger.Trigger)
        assert_type(found.operation, pgtrigger.Operation | None)
        assert_type(found.uri, str)
except pgtrigger.ViolationError as refused:
    assert_type(refused.violation, pgtrigger.Violation)

assert_type(pgtrigger.is_ignored("shop.Order:keep", database="other"), bool)
pgtrigger.constraints(pgtrigger.Immediate, "shop.Order:late", databases=["default"])
pgtrigger.install("shop.Order:keep", database="other", lock_timeout="2s")
pgtrigger.uninstall()
pgtrigger.enable("shop.*:keep")
pgtrigger.disable(database="other")
pgtrigger.prune(all_schemas=True)
for table, pgid, enabled, database in pgtrigger.prunable():
    assert_type((table, pgid, enabled, database), tuple[str, str, bool, str])


async def immediate() -> None:
    await pgtrigger.aconstraints(pgtrigger.Deferred)


def lookup_of(uri: str) -> pgtrigger.Trigger | None:
    try:
        ((_, trigger),) = pgtrigger.registered(uri)
    except (errors.TriggerUriError, errors.TriggerNotFoundError):
        return None
    return trigger


assert_type(postgres(Path("data")), Server)
with postgres() as server:
    assert_type(server.url, str)
    assert_type(database_settings(server.url, NAME="shop"), dict[str, Any])
