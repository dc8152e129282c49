"""The flights in the admin. Whoever breaks a rule there reads the database's answer."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db import IntegrityError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

import pgtrigger
from flights.models import Airline, Airport, DelayRevision, Flight, Plane
from pgtrigger_history.admin import HistoryAdmin


class Refusals(admin.ModelAdmin):
    """Shows what a trigger refuses as a message, on the page where it was tried."""

    def changeform_view(self, request, *args, **kwargs):
        return self._or_message(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request, *args, **kwargs):
        return self._or_message(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request, *args, **kwargs):  # its actions
        return self._or_message(request, super().changelist_view, *args, **kwargs)

    def save_related(self, request, form, formsets, change):
        super().save_related(request, form, formsets, change)
        # What is deferred to the commit: now, before the admin says that all went well.
        pgtrigger.constraints(pgtrigger.Immediate)

    def _or_message(self, request: HttpRequest, view, *args, **kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except IntegrityError as error:
            violation = pgtrigger.violation(error)
            if violation is None:
                raise
            answer = violation.message.removeprefix("pgtrigger: ")
            self.message_user(request, f"{answer} ({violation.uri})", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class Large(Refusals):
    """For tables where counting all rows takes longer than showing a page of them."""

    show_full_result_count = False
    list_per_page = 50


class StatusFilter(admin.SimpleListFilter):
    """What came of a flight."""

    title = parameter_name = "status"
    choices_by_value = {
        "landed": models.Q(arrival_time__isnull=False),
        "lost": models.Q(departure_time__isnull=False, arrival_time__isnull=True),
        "cancelled": models.Q(departure_time__isnull=True),
    }

    def lookups(self, request, model_admin):
        return [
            ("landed", "landed"),
            ("lost", "departed, but never landed"),
            ("cancelled", "cancelled"),
        ]

    def queryset(self, request, queryset):
        if self.value() in self.choices_by_value:
            return queryset.filter(self.choices_by_value[self.value()])
        return queryset


class OriginFilter(admin.SimpleListFilter):
    """The three airports of New York, rather than all that there are."""

    title = parameter_name = "origin"

    def lookups(self, request, model_admin):
        return [("EWR", "Newark"), ("JFK", "JFK"), ("LGA", "La Guardia")]

    def queryset(self, request, queryset):
        return queryset.filter(origin=self.value()) if self.value() else queryset


class DelayRevisionInline(admin.TabularInline):
    """What the trigger log_delays has written about a flight."""

    model = DelayRevision
    extra = 0
    can_delete = False
    readonly_fields = fields = [
        "recorded_at",
        "old_departure_delay",
        "new_departure_delay",
        "old_arrival_delay",
        "new_arrival_delay",
    ]

    def has_add_permission(self, request, obj=None):
        return False


@admin.register(Flight)
class FlightAdmin(HistoryAdmin, Large):
    """One query for a page of flights, with what they refer to. The history has each change."""

    list_display = [
        "code",
        "scheduled_departure",
        "origin_code",
        "destination",
        "tail_number",
        "departure_delay",
        "arrival_delay",
        "gain",
        "version",
    ]
    list_select_related = ["destination"]
    list_filter = [StatusFilter, "airline", OriginFilter]
    search_fields = ["=number", "=plane__tail_number", "=destination__code"]
    search_help_text = "flight number, tail number or code of the destination"
    ordering = ["scheduled_departure", "id"]
    autocomplete_fields = ["plane", "origin", "destination"]
    readonly_fields = ["gain", "version"]
    inlines = [DelayRevisionInline]

    @admin.display(description="flight", ordering="number")
    def code(self, flight: Flight) -> str:
        """The flight as it is on the departures board."""
        return f"{flight.airline_id}{flight.number}"

    @admin.display(description="from", ordering="origin")
    def origin_code(self, flight: Flight) -> str:
        """Without a look at the airport itself."""
        return flight.origin_id

    @admin.display(description="plane", ordering="plane")
    def tail_number(self, flight: Flight) -> str | None:
        """Without a look at the plane itself."""
        return flight.plane_id


@admin.register(DelayRevision)
class DelayRevisionAdmin(Large):
    """The log, newest first. It has no forms: only a trigger writes it."""

    list_display = [
        "flight",
        "recorded_at",
        "old_departure_delay",
        "new_departure_delay",
        "old_arrival_delay",
        "new_arrival_delay",
    ]
    list_select_related = ["flight"]
    ordering = ["-id"]
    search_fields = ["=flight__number"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False


@admin.register(Plane)
class PlaneAdmin(Refusals):
    """Try to change anything but the seats."""

    list_display = ["tail_number", "manufacturer", "model", "year", "engine", "seats"]
    list_filter = ["type", "engine"]
    search_fields = ["tail_number", "manufacturer", "model"]
    ordering = ["tail_number"]


@admin.register(Airport)
class AirportAdmin(Refusals):
    """Try to save anything."""

    list_display = ["code", "name", "altitude", "time_zone"]
    list_filter = ["time_zone"]
    search_fields = ["code", "name"]
    ordering = ["code"]


@admin.register(Airline)
class AirlineAdmin(Refusals):
    """Try to save anything."""

    list_display = ["code", "name"]
    search_fields = ["code", "name"]
    ordering = ["code"]
