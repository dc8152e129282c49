"""What people try with these flights: three ways to each rule, on the real rows.

An attempt returns what came of it and whether that is right. One with ``refused_by`` is right
only if that trigger refuses it. Nothing lasts: `run` rolls everything back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from datetime import time as clock
from zoneinfo import ZoneInfo

from django.db import Error, connection, transaction
from django.db.models import F, Sum

import pgtrigger
import pgtrigger_history
from flights.models import Airline, Airport, DelayRevision, Flight, FlightEvent, Plane

ORM, QUERYSET, SQL = "ORM", "queryset", "raw SQL"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Something to try, and the trigger that is to refuse it, if any."""

    what: str
    path: str
    act: Callable[[], tuple[str, bool]]
    refused_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the database answered, how long that took, and whether it is as expected."""

    attempt: Attempt
    refused_by: str
    answer: str
    seconds: float
    expected: bool


def run(attempt: Attempt) -> Outcome:
    """Try it in a transaction that goes as far as a commit would, and is rolled back."""
    refused_by = ""
    with transaction.atomic():
        started = time.perf_counter()
        try:
            with transaction.atomic():
                answer, right = attempt.act()
                connection.check_constraints()  # and fires what is deferred to the commit
        except Error as error:
            violation = pgtrigger.violation(error)
            refused_by = violation.uri if violation else "another rule than a trigger"
            answer = violation.message if violation else str(error)
            right = True
        seconds = time.perf_counter() - started
        transaction.set_rollback(True)
    return Outcome(
        attempt=attempt,
        refused_by=refused_by,
        answer=answer.removeprefix("pgtrigger: "),
        seconds=seconds,
        expected=right and refused_by == attempt.refused_by,
    )


def attempts() -> Iterator[Attempt]:
    """Everything that is tried, trigger by trigger."""
    yield from landed_flights_stay()
    yield from the_schedule_never_changes()
    yield from changes_are_counted_and_derived()
    yield from revised_delays_are_logged()
    yield from history_tells_who_revised_what()
    yield from departures_come_before_arrivals()
    yield from reference_data_is_only_read()
    yield from planes_can_only_get_other_seats()


def landed_flights_stay() -> Iterator[Attempt]:
    trigger = "flights.Flight:keep_landed"
    yield Attempt(
        what="delete a flight that landed",
        path=ORM,
        act=lambda: done(a_landed_flight().delete()[0]),
        refused_by=trigger,
    )
    yield Attempt(
        what="delete all flights of New Year's Day",
        path=QUERYSET,
        act=lambda: done(new_years_day().delete()[0]),
        refused_by=trigger,
    )
    yield Attempt(
        what="delete all flights to Los Angeles",
        path=SQL,
        act=lambda: done(execute("DELETE FROM flights_flight WHERE destination_id = 'LAX'")),
        refused_by=trigger,
    )
    yield Attempt(
        what="truncate the flights",
        path=SQL,
        act=lambda: done(execute("TRUNCATE flights_flight CASCADE")),
        refused_by=trigger,
    )
    yield Attempt(
        what="delete a flight that was cancelled", path=ORM, act=delete_a_cancelled_flight
    )
    yield Attempt(
        what="purge New Year's Day, by pgtrigger.ignore",
        path=QUERYSET,
        act=purge_new_years_day,
    )


def delete_a_cancelled_flight() -> tuple[str, bool]:
    deleted, _ = a_cancelled_flight().delete()
    return f"deleted {deleted} flight", deleted == 1


def purge_new_years_day() -> tuple[str, bool]:
    wanted = new_years_day().count()
    deleted, _ = new_years_day().purge()
    return f"deleted {deleted:,} flights", deleted == wanted > 0


def the_schedule_never_changes() -> Iterator[Attempt]:
    trigger = "flights.Flight:schedule"
    yield Attempt(what="renumber a flight", path=ORM, act=renumber_a_flight, refused_by=trigger)
    yield Attempt(
        what="move January's flights from Newark to JFK",
        path=QUERYSET,
        act=lambda: done(january().filter(origin="EWR").update(origin="JFK")),
        refused_by=trigger,
    )
    yield Attempt(
        what="let all flights to Boston depart an hour later",
        path=SQL,
        act=lambda: done(
            execute(
                "UPDATE flights_flight SET scheduled_departure = scheduled_departure"
                " + interval '1 hour' WHERE destination_id = 'BOS'"
            )
        ),
        refused_by=trigger,
    )


def renumber_a_flight() -> tuple[str, bool]:
    flight = a_landed_flight()
    flight.number += 1
    flight.save()
    return done(1)


def changes_are_counted_and_derived() -> Iterator[Attempt]:
    yield Attempt(what="correct the arrival of a flight", path=ORM, act=correct_an_arrival)
    yield Attempt(what="save a flight as it is", path=ORM, act=save_as_it_is)
    yield Attempt(
        what="take 5 minutes off January's arrival delays", path=QUERYSET, act=arrive_earlier
    )
    yield Attempt(what="write into the gain and the version", path=SQL, act=cheat)


def correct_an_arrival() -> tuple[str, bool]:
    flight = a_landed_flight()
    before = flight.version, flight.gain
    flight.arrival_delay -= 5
    flight.save()
    flight.refresh_from_db()
    version, gain = before
    return (
        f"version {version} -> {flight.version}, gain {gain} -> {flight.gain}",
        (flight.version, flight.gain) == (version + 1, gain + 5),
    )


def save_as_it_is() -> tuple[str, bool]:
    flight = a_landed_flight()
    before = flight.version
    flight.save()
    flight.refresh_from_db()
    return f"version {before} -> {flight.version}", flight.version == before


def arrive_earlier() -> tuple[str, bool]:
    landed = january().exclude(arrival_delay=None)
    versions = landed.aggregate(Sum("version"))["version__sum"]
    updated = landed.update(arrival_delay=F("arrival_delay") - 5)
    versions = landed.aggregate(Sum("version"))["version__sum"] - versions
    gains = landed.filter(gain=F("departure_delay") - F("arrival_delay")).count()
    return (
        f"updated {updated:,}, {versions:,} new versions, {gains:,} right gains",
        updated == versions == gains > 0,
    )


def cheat() -> tuple[str, bool]:
    flight = a_landed_flight()
    version, gain = flight.version, flight.gain
    execute(f"UPDATE flights_flight SET gain = 999, version = 999 WHERE id = {flight.id:d}")
    flight.refresh_from_db()
    return (
        f"version {version} -> {flight.version}, gain {gain} -> {flight.gain}",
        (flight.version, flight.gain) == (version + 1, gain),
    )


def revised_delays_are_logged() -> Iterator[Attempt]:
    yield Attempt(
        what="revise the delay of a flight", path=ORM, act=lambda: logged(revise_a_flight)
    )
    yield Attempt(
        what="add 10 minutes to January's departure delays",
        path=QUERYSET,
        act=lambda: logged(
            lambda: (
                january()
                .exclude(departure_delay=None)
                .update(departure_delay=F("departure_delay") + 10)
            )
        ),
    )
    yield Attempt(
        what="add 10 minutes to JetBlue's departure delays",
        path=SQL,
        act=lambda: logged(
            lambda: execute(
                "UPDATE flights_flight SET departure_delay = departure_delay + 10"
                " WHERE airline_id = 'B6' AND departure_delay IS NOT NULL"
            )
        ),
    )
    yield Attempt(what="give a flight another plane", path=ORM, act=change_the_plane)
    trigger = "flights.DelayRevision:append_only"
    yield Attempt(
        what="revise a delay, then change the log",
        path=QUERYSET,
        act=lambda: done(a_revision().update(new_arrival_delay=0)),
        refused_by=trigger,
    )
    yield Attempt(
        what="truncate the log",
        path=SQL,
        act=lambda: done(execute("TRUNCATE flights_delayrevision")),
        refused_by=trigger,
    )


def logged(update: Callable[[], int]) -> tuple[str, bool]:
    before = DelayRevision.objects.count()
    updated = update()
    entries = DelayRevision.objects.count() - before
    return f"updated {updated:,}, logged {entries:,}", entries == updated > 0


def revise_a_flight() -> int:
    flight = a_landed_flight()
    flight.arrival_delay += 60
    flight.save()
    return 1


def change_the_plane() -> tuple[str, bool]:
    before = DelayRevision.objects.count()
    flight = a_landed_flight()
    flight.plane = Plane.objects.exclude(pk=flight.plane_id).first()
    flight.save()
    entries = DelayRevision.objects.count() - before
    return f"updated 1, logged {entries:,}", entries == 0


def a_revision():
    flight = a_landed_flight()
    Flight.objects.filter(pk=flight.pk).update(arrival_delay=flight.arrival_delay + 60)
    return flight.delay_revisions.all()


def history_tells_who_revised_what() -> Iterator[Attempt]:
    yield Attempt(what="revise a delay as Ada; who was it?", path=ORM, act=who_was_it)
    yield Attempt(
        what="revise New Year's delays as Bob; what were they?",
        path=QUERYSET,
        act=what_were_they,
    )
    yield Attempt(what="revise a delay; what was it then?", path=SQL, act=what_was_it_then)
    yield Attempt(what="revise a delay twice, undo both", path=ORM, act=undo_both)
    yield Attempt(
        what="purge a flight that landed, restore it", path=QUERYSET, act=restore_a_flight
    )
    trigger = "flights.FlightEvent:append_only"
    yield Attempt(
        what="revise a delay, then rewrite history",
        path=QUERYSET,
        act=lambda: done(events_of_a_revision().update(arrival_delay=0)),
        refused_by=trigger,
    )
    yield Attempt(
        what="forget all history, whatever pgtrigger.ignore says",
        path=SQL,
        act=forget_all_history,
        refused_by=trigger,
    )


def who_was_it() -> tuple[str, bool]:
    flight = a_landed_flight()
    delay = flight.arrival_delay
    with pgtrigger_history.context(user="Ada", reason="radar"):
        flight.arrival_delay += 60
        flight.save()
    event = flight.history.labelled("update").latest()
    old, new = event.diff()["arrival_delay"]
    return (
        f"{event.pgh_context}: arrival_delay {old} -> {new}",
        event.pgh_context.user == "Ada" and (old, new) == (delay, delay + 60),
    )


def what_were_they() -> tuple[str, bool]:
    landed = new_years_day().exclude(arrival_delay=None)
    delays = landed.aggregate(Sum("arrival_delay"))["arrival_delay__sum"]
    with pgtrigger_history.context(user="Bob"):
        updated = landed.update(arrival_delay=F("arrival_delay") - 5)
    by_bob = Flight.history.by("Bob")
    before = FlightEvent.objects.filter(
        pgh_obj__in=by_bob.values("pgh_obj"), pgh_label="insert"
    ).aggregate(Sum("arrival_delay"))["arrival_delay__sum"]
    return (
        f"Bob revised {by_bob.count():,}; they were {before:,} minutes late",
        by_bob.count() == updated > 0 and before == delays,
    )


def what_was_it_then() -> tuple[str, bool]:
    flight = a_landed_flight()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone()
    execute(f"UPDATE flights_flight SET arrival_delay = 999 WHERE id = {flight.id:d}")
    now = Flight.objects.get(pk=flight.pk).arrival_delay
    then = Flight.history.as_of(moment).get(pk=flight.pk).arrival_delay
    return f"arrival_delay {then} then, {now} now", (then, now) == (flight.arrival_delay, 999)


def undo_both() -> tuple[str, bool]:
    flight = a_landed_flight()
    before = flight.arrival_delay
    for minutes in (60, 5):
        flight.arrival_delay += minutes
        flight.save()
    undone = flight.history.undo(2).arrival_delay
    return f"arrival_delay {flight.arrival_delay} -> {undone}", undone == before


def restore_a_flight() -> tuple[str, bool]:
    flight = a_landed_flight()
    Flight.objects.filter(pk=flight.pk).purge()
    gone = not Flight.objects.filter(pk=flight.pk).exists()
    restored = Flight.history.of(flight).latest().revert()
    same = Flight.objects.filter(pk=flight.pk, arrival_delay=flight.arrival_delay).exists()
    return f"{restored} is back, with the same number {restored.pk}", gone and same


def events_of_a_revision():
    revise_a_flight()
    return a_landed_flight().history.labelled("update")


def forget_all_history() -> tuple[str, bool]:
    with pgtrigger.ignore():
        return done(execute("DELETE FROM flights_flightevent"))


def departures_come_before_arrivals() -> Iterator[Attempt]:
    trigger = "flights.Flight:departed_first"
    yield Attempt(
        what="let a cancelled flight arrive, commit",
        path=ORM,
        act=lambda: done(report(a_cancelled_flight(), "arrival_time")),
        refused_by=trigger,
    )
    yield Attempt(
        what="let January's cancelled flights arrive, commit",
        path=QUERYSET,
        act=lambda: done(january().filter(departure_time=None).update(arrival_time=clock(12))),
        refused_by=trigger,
    )
    yield Attempt(
        what="let all cancelled flights arrive, commit",
        path=SQL,
        act=lambda: done(
            execute("UPDATE flights_flight SET arrival_time = '12:00' WHERE departure_time IS NULL")
        ),
        refused_by=trigger,
    )
    yield Attempt(
        what="report an arrival, then its departure, commit",
        path=ORM,
        act=lambda: done(report(a_cancelled_flight(), "arrival_time", "departure_time")),
    )


def report(flight: Flight, *times: str) -> int:
    for name in times:
        setattr(flight, name, clock(12))
        flight.save()
    return len(times)


def reference_data_is_only_read() -> Iterator[Attempt]:
    yield Attempt(
        what="rename an airline",
        path=ORM,
        act=rename_an_airline,
        refused_by="flights.Airline:reference_data",
    )
    yield Attempt(
        what="delete the airports at sea level",
        path=QUERYSET,
        act=lambda: done(Airport.objects.filter(altitude__lte=0).delete()[0]),
        refused_by="flights.Airport:reference_data",
    )
    yield Attempt(
        what="delete no airport at all",
        path=SQL,
        act=lambda: done(execute("DELETE FROM flights_airport WHERE false")),
        refused_by="flights.Airport:reference_data",
    )


def rename_an_airline() -> tuple[str, bool]:
    airline = Airline.objects.get(code="UA")
    airline.name = "Untied Airlines"
    airline.save()
    return done(1)


def planes_can_only_get_other_seats() -> Iterator[Attempt]:
    yield Attempt(
        what="sell an Airbus as a Boeing",
        path=QUERYSET,
        act=lambda: done(Plane.objects.filter(manufacturer="AIRBUS").update(manufacturer="BOEING")),
        refused_by="flights.Plane:as_registered",
    )
    yield Attempt(
        what="take two seats out of each plane",
        path=SQL,
        act=lambda: done(execute("UPDATE flights_plane SET seats = seats - 2 WHERE seats > 2")),
    )
    yield Attempt(
        what="delete a plane",
        path=ORM,
        act=lambda: done(a_landed_flight().plane.delete()[0]),
        refused_by="flights.Plane:keep",
    )


# The rows that the attempts are about.


def a_landed_flight() -> Flight:
    """A flight that landed, in a plane that we know, with all delays."""
    return Flight.objects.exclude(arrival_delay=None).exclude(plane=None).earliest("id")


def a_cancelled_flight() -> Flight:
    return Flight.objects.filter(departure_time=None, arrival_time=None).earliest("id")


def new_years_day():
    return Flight.objects.filter(
        scheduled_departure__gte=midnight(1, 1), scheduled_departure__lt=midnight(1, 2)
    )


def january():
    return Flight.objects.filter(
        scheduled_departure__gte=midnight(1, 1), scheduled_departure__lt=midnight(2, 1)
    )


def midnight(month: int, day: int) -> datetime:
    return datetime(2013, month, day, tzinfo=ZoneInfo("America/New_York"))


def execute(statement: str) -> int:
    """Run SQL as anybody could; return the number of rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.rowcount


def done(number: int) -> tuple[str, bool]:
    """The answer where nothing refuses."""
    return f"done: {number:,} rows", number > 0
