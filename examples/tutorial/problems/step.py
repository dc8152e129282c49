"""A problem of the tutorial and its steps, as data: no database and no Django."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to try.

    Args:
        title: what it is about, in a few words.
        text: what the reader should know before.
        goal: what the reader is asked to bring about.
        suggestions: lines that reach the goal, one after the other: SQL, or Python after ``>>>``.
        hint: what helps somebody who tries on their own.
        refused_by: URI of the trigger that has to refuse something.
        holds: a query that has to give true.
        declares: names in store/models.py whose source is shown.
        triggers: whether the triggers are installed.
        prepare: SQL that is run, with them, before the reader's turn.
    """

    title: str
    text: str
    goal: str
    suggestions: tuple[str, ...]
    hint: str
    refused_by: str = ""
    holds: str = ""
    declares: tuple[str, ...] = ()
    triggers: bool = True
    prepare: str = ""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One of the six.

    Args:
        title: as its page has it.
        page: the name of its page in docs/tutorial.
        rows: SQL that writes the rows which each step begins with.
        tables: what the reader may want to look at.
        steps: one after the other.
    """

    title: str
    page: str
    rows: str
    tables: tuple[str, ...]
    steps: tuple[Step, ...]
