"""Every flight that left New York City in 2013, and the rules that its record obeys.

The rules are in the database. It does not matter who writes, or how: `save()`, a queryset's
`update()`, a script with its own SQL, or somebody in psql.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

import pgtrigger
import pgtrigger_history


class ReferenceData(models.Model):
    """A list that somebody else publishes: we load it once, and then only read it.

    The trigger is at statement level, so a statement is refused before it looks for rows. All
    models below this one inherit it.
    """

    class Meta:
        abstract = True
        triggers = [
            pgtrigger.Protect(
                name="reference_data",
                level=pgtrigger.Statement,
                operation=(
                    pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate
                ),
            ),
        ]


class Airline(ReferenceData):
    """An airline and its IATA code, such as UA."""

    code = models.CharField(max_length=2, primary_key=True)
    name = models.CharField(max_length=40)

    def __str__(self) -> str:
        return self.name


class Airport(ReferenceData):
    """An airport and its FAA code, such as JFK. Of some we know nothing but the code."""

    code = models.CharField(max_length=3, primary_key=True)
    name = models.CharField(max_length=60, blank=True, db_default="")
    latitude = models.FloatField(null=True)
    longitude = models.FloatField(null=True)
    altitude = models.SmallIntegerField("altitude (feet)", null=True)
    time_zone = models.CharField(max_length=30, blank=True, db_default="")

    def __str__(self) -> str:
        return f"{self.name} ({self.code})" if self.name else self.code


class Plane(models.Model):
    """A plane by its tail number. Many of them are not in the register that we have."""

    tail_number = models.CharField(max_length=6, primary_key=True)
    manufacturer = models.CharField(max_length=40, blank=True, db_default="")
    model = models.CharField(max_length=30, blank=True, db_default="")
    year = models.SmallIntegerField("year of manufacture", null=True, blank=True)
    type = models.CharField(max_length=30, blank=True, db_default="")
    engines = models.SmallIntegerField(null=True, blank=True)
    engine = models.CharField("type of engine", max_length=20, blank=True, db_default="")
    seats = models.SmallIntegerField(null=True, blank=True)

    class Meta:
        triggers = [
            # A plane can get other seats. It cannot become another plane.
            pgtrigger.ReadOnly(name="as_registered", exclude=["seats"]),
            # Its flights refer to it.
            pgtrigger.Protect(name="keep", operation=pgtrigger.Delete | pgtrigger.Truncate),
        ]

    def __str__(self) -> str:
        return self.tail_number


class FlightQuerySet(models.QuerySet["Flight"]):
    """Flights, and the official way to get rid of them."""

    def purge(self) -> tuple[int, dict[str, int]]:
        """Delete flights whose retention period is over, landed or not, with all revisions."""
        with pgtrigger.ignore("flights.Flight:keep_landed", "flights.DelayRevision:append_only"):
            return self.delete()


# What the trigger departed_first below says; `pgtrigger.violation` can read it.
ARRIVED_FIRST = pgtrigger.raise_violation(
    "Flight %s%s cannot arrive before it departs",
    "NEW.airline_id",
    "NEW.number",
    hint="Report the departure in the same transaction.",
)


# Everything that happens to a flight is recorded, with who did it: by one INSERT for a statement,
# of however many flights. The names matter for TRUNCATE only: Postgres calls triggers in the order
# of their names, and what keep_landed refuses needs no record.
@pgtrigger_history.track(
    pgtrigger_history.InsertEvent(name="record_insert"),
    pgtrigger_history.UpdateEvent(name="record_update"),
    pgtrigger_history.DeleteEvent(name="record_delete"),
)
class Flight(models.Model):
    """A flight out of New York: what was planned, and what came of it.

    Without a departure time it was cancelled; without an arrival time it never landed where it
    should have. Delays are in minutes, and negative when it was early. `DO_NOTHING` leaves to the
    triggers of the other models what happens when somebody deletes a plane or an airport.
    """

    # The unique constraint has an index of the airlines, and an index of three origins is no use.
    airline = models.ForeignKey(Airline, models.DO_NOTHING, db_index=False)
    number = models.PositiveSmallIntegerField("flight number")
    plane = models.ForeignKey(Plane, models.DO_NOTHING, null=True, blank=True)
    origin = models.ForeignKey(
        Airport, models.DO_NOTHING, related_name="departures", db_index=False
    )
    destination = models.ForeignKey(Airport, models.DO_NOTHING, related_name="arrivals")
    distance = models.PositiveSmallIntegerField("distance (miles)")
    scheduled_departure = models.DateTimeField()
    scheduled_arrival = models.TimeField("scheduled arrival (local time)")

    departure_time = models.TimeField("departure (local time)", null=True, blank=True)
    departure_delay = models.SmallIntegerField(null=True, blank=True)
    arrival_time = models.TimeField("arrival (local time)", null=True, blank=True)
    arrival_delay = models.SmallIntegerField(null=True, blank=True)
    air_time = models.PositiveSmallIntegerField("air time (minutes)", null=True, blank=True)

    # Triggers write these two.
    gain = models.SmallIntegerField("minutes made up in the air", null=True, editable=False)
    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)

    objects = FlightQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_record_per_flight", fields=["airline", "number", "scheduled_departure"]
            ),
        ]
        indexes = [models.Index(name="departures", fields=["scheduled_departure"])]
        triggers = [
            # A flight that has landed is history: nobody deletes it, or empties the table of it.
            pgtrigger.Protect(
                name="keep_landed",
                operation=pgtrigger.Delete | pgtrigger.Truncate,
                condition=pgtrigger.Q(old__arrival_time__isnull=False),
            ),
            # What was sold to passengers never changes.
            pgtrigger.ReadOnly(
                name="schedule",
                fields=[
                    "airline",
                    "number",
                    "origin",
                    "destination",
                    "scheduled_departure",
                    "scheduled_arrival",
                ],
            ),
            # The gain always follows from the delays, whatever somebody writes into it. (A
            # GeneratedField could do this one. It could not count, or look into another table.)
            pgtrigger.Trigger(
                name="gain",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func="NEW.gain = NEW.departure_delay - NEW.arrival_delay; RETURN NEW;",
            ),
            # Every real change gets a new version; saving a flight as it is does not.
            pgtrigger.Trigger(
                name="version",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(),
                func="NEW.version = OLD.version + 1; RETURN NEW;",
            ),
            # Revised delays are logged: one INSERT for an UPDATE, of however many flights.
            pgtrigger.Composer(
                name="log_delays",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("departure_delay", "arrival_delay"),
                func=pgtrigger.Func(
                    """
                    INSERT INTO flights_delayrevision (
                        flight_id,
                        old_departure_delay, new_departure_delay,
                        old_arrival_delay, new_arrival_delay
                    )
                    SELECT
                        new_values.id,
                        old_values.departure_delay, new_values.departure_delay,
                        old_values.arrival_delay, new_values.arrival_delay
                    FROM {cond_joined_values};
                    RETURN NULL;
                    """
                ),
            ),
            # What arrived has departed. Deferred: reports come in any order, and only what a
            # transaction leaves behind counts, so it looks at the flight as it is at the commit.
            pgtrigger.Trigger(
                name="departed_first",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                timing=pgtrigger.Deferred,
                condition=pgtrigger.Q(
                    new__arrival_time__isnull=False, new__departure_time__isnull=True
                ),
                func=f"""
                    IF EXISTS (
                        SELECT FROM flights_flight
                        WHERE id = NEW.id AND arrival_time IS NOT NULL AND departure_time IS NULL
                    ) THEN
                        {ARRIVED_FIRST}
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.airline_id}{self.number} to {self.destination_id}"


class DelayRevision(models.Model):
    """A change of a flight's delays, written by the trigger `log_delays` only."""

    flight = models.ForeignKey(Flight, models.CASCADE, related_name="delay_revisions")
    old_departure_delay = models.SmallIntegerField(null=True)
    new_departure_delay = models.SmallIntegerField(null=True)
    old_arrival_delay = models.SmallIntegerField(null=True)
    new_arrival_delay = models.SmallIntegerField(null=True)
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        triggers = [
            # Not at statement level: deleting a flight also sends a DELETE here, which is fine as
            # long as it finds nothing.
            pgtrigger.Protect(
                name="append_only",
                operation=pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flight_id}: {self.old_arrival_delay} to {self.new_arrival_delay}"
