"""Postgres writes the time of a change into a field."""

from acme_stamp.triggers import Stamp as Stamp
