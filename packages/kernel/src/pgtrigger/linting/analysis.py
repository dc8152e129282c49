"""What can be told from the text of a trigger function, its trigger, and the table's columns.

PostgreSQL manual: "PL/pgSQL", "Trigger Functions".
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pgtrigger.compiler import IGNORE_SETTING
from pgtrigger.errors import FunctionSyntaxError
from pgtrigger.linting.finding import ERROR, WARNING, Finding, Subject
from pgtrigger.plpgsql import Function, Lexeme, Statement, is_refusal, lexemes, parse

_LACKING: Final = {"new": {"DELETE", "TRUNCATE"}, "old": {"INSERT", "TRUNCATE"}}
_ENDS, _MAY_END, _GOES_ON = "ends", "may end", "goes on"


def analyse(subject: Subject) -> list[Finding]:
    """Look for unknown columns, rows that are not there, missing returns, unused variables.

    Args:
        subject: the function and what calls it.

    Returns:
        What is found, in the order of the text. Nothing is found twice on a line.
    """
    try:
        function = parse(subject.source)
    except FunctionSyntaxError as error:
        return [Finding(level=ERROR, message=f"syntax error: {error}", sqlstate="42601")]
    found = [
        *_rows(function, subject),
        *missing_return(function),
        *_unused_variables(function),
    ]
    return sorted(dict.fromkeys(found), key=lambda finding: finding.line or 0)


def _rows(function: Function, subject: Subject) -> Iterator[Finding]:
    """What is wrong with ``NEW`` and ``OLD``."""
    for index, lexeme in enumerate(function.lexemes):
        before, dot, column = (
            function.lexemes[place].text if 0 <= place < len(function.lexemes) else ""
            for place in (index - 1, index + 1, index + 2)
        )
        if lexeme.word not in _LACKING or before == ".":
            continue
        missing = not subject.for_each_row or subject.operations <= _LACKING[lexeme.word]
        if missing and not _is_returned(function, index):
            operations = " and ".join(sorted(subject.operations))
            yield Finding(
                level=WARNING,
                message=f"{lexeme.word.upper()} is NULL in a trigger for {operations}"
                if subject.for_each_row
                else f"{lexeme.word.upper()} is NULL in a trigger for each statement",
                line=lexeme.line,
                hint=""
                if subject.for_each_row
                else "The rows are in transition tables: pgtrigger.Referencing.",
            )
        if dot == "." and subject.columns is not None and column != "*":
            name = function.lexemes[index + 2].name
            if name and name not in subject.columns:
                yield _unknown(lexeme, name, subject.table, subject.columns)


def _is_returned(function: Function, index: int) -> bool:
    # As so many functions end, and harmless where it does not matter what is returned.
    around = [found.word or found.text for found in function.lexemes[index - 1 : index + 2]]
    return around[0] == "return" and around[-1] == ";"


def _unknown(lexeme: Lexeme, name: str, table: str, columns: Iterable[str]) -> Finding:
    close = difflib.get_close_matches(name, columns, n=1)
    return Finding(
        level=ERROR,
        message=f'record "{lexeme.word}" has no field "{name}": table {table} has no such column',
        line=lexeme.line,
        sqlstate="42703",
        hint=f'Perhaps "{close[0]}" is meant.' if close else "",
    )


def missing_return(function: Function) -> list[Finding]:
    """The end of the function, if it can be reached, as one finding."""
    # The check that stands before the body passes by, and says nothing of the body.
    body, *handlers = function.block.branches
    own = tuple(statement for statement in body if not _is_guard(statement))
    outcomes = {_outcome(branch) for branch in (own, *handlers)}
    if outcomes == {_ENDS}:
        return []
    certain = outcomes == {_GOES_ON}
    last = function.source[: function.end].count("\n") + 1
    return [
        Finding(
            level=ERROR if certain else WARNING,
            message="control reaches the end of the function without RETURN"
            if certain
            else "control may reach the end of the function without RETURN",
            line=last,
            sqlstate="2F005",
            hint="RETURN NEW (OLD in a delete) lets a row trigger before the operation go on; "
            "elsewhere RETURN NULL.",
        )
    ]


def _is_guard(statement: Statement) -> bool:
    return statement.keyword == "if" and any(
        lexeme.kind == "string" and IGNORE_SETTING in lexeme.text for lexeme in statement.lexemes
    )


def _outcome(statements: Sequence[Statement]) -> str:
    """Whether the statements always end the function, never, or depending on what they find."""
    outcomes = [_outcome_of(statement) for statement in statements]
    if _ENDS in outcomes:
        return _ENDS
    return _MAY_END if _MAY_END in outcomes else _GOES_ON


def _outcome_of(statement: Statement) -> str:
    outcomes = [_outcome(branch) for branch in statement.branches]
    if statement.keyword == "return" or is_refusal(statement):
        return _ENDS
    if not any(outcome != _GOES_ON for outcome in outcomes):
        return _ENDS if _is_endless(statement) else _GOES_ON
    match statement.keyword:
        case "if":
            complete = statement.otherwise
        case "case" | "block":  # a CASE that finds nothing raises an error
            complete = True
        case _:
            complete = _is_endless(statement)
            outcomes = [_ENDS]
    return _ENDS if complete and {*outcomes} == {_ENDS} else _MAY_END


def _is_endless(statement: Statement) -> bool:
    """Whether a loop is left only by leaving the function."""
    condition = [lexeme.word for lexeme in statement.lexemes]
    if statement.keyword != "loop" and condition != ["while", "true"]:
        return False
    return not _is_left(statement.branches[0])


def _is_left(statements: Iterable[Statement]) -> bool:
    for statement in statements:
        if statement.keyword == "exit":
            return True
        # EXIT leaves the innermost loop.
        if statement.keyword not in ("loop", "while", "for", "foreach") and any(
            map(_is_left, statement.branches)
        ):
            return True
    return False


def _unused_variables(function: Function) -> Iterator[Finding]:
    declared = [
        variable
        for statement in function.block.walk()
        for variable in statement.variables
        if variable.name
    ]
    used = Counter(_names(function.lexemes, function.labels))
    # A declaration names it, too.
    used.subtract(Counter(variable.name for variable in declared))
    for variable in declared:
        if used[variable.name] <= 0:
            yield Finding(
                level=WARNING,
                message=f'unused variable "{variable.name}"',
                line=variable.line,
            )


def _names(found: Iterable[Lexeme], labels: frozenset[str]) -> Iterator[str]:
    """The names that can be those of variables: not columns behind the name of a table."""
    before = ["", ""]
    for lexeme in found:
        if lexeme.kind == "number" and ".." in lexeme.text:  # 1..size
            yield from _names(lexemes(lexeme.text.partition("..")[2]), labels)
        if lexeme.name and (before[1] != "." or before[0] in labels):
            yield lexeme.name
        before = [before[1], lexeme.name or lexeme.text]
