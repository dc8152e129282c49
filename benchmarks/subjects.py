"""Which subjects there are, in the order in which they are measured."""

import importlib

from subject import Subject

NAMES = (
    "row_cost",
    "allowed_rows",
    "statement_level",
    "fsm",
    "softdelete",
    "search",
    "ignore",
    "history",
    "history_use",
    "startup",
    "catalog",
    "migrations",
    "locks",
    "scale",
)


def subject_of(name: str) -> Subject:
    """The subject of this name. Its module wants Django's settings, and apps that are ready."""
    subject = importlib.import_module(name).SUBJECT
    assert isinstance(subject, Subject)
    return subject
