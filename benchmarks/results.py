"""What a subject's run has found, as a file that a page can be rendered from again."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lines import Line
from subject import Chart, Finding, Table


@dataclass(frozen=True)
class Result:
    """The findings of one subject, and where they come from.

    Args:
        subject: its name.
        command: what measured it.
        date: when it began, in UTC.
        seconds: how long it took.
        machine: processors, their name, the system.
        versions: of Python, Django, psycopg, PostgreSQL and of each contender.
        contenders: who was to be measured.
        load: of the machine, when it began.
        quick: whether sizes were too small for the figures to mean anything.
    """

    subject: str
    command: str
    date: str
    seconds: float
    machine: str
    versions: Mapping[str, str]
    contenders: Sequence[str]
    load: str = ""
    quick: bool = False
    lines: Sequence[Line] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = field(default=())

    def with_findings(self, findings: Iterable[Finding], seconds: float) -> "Result":
        """The same with what was found."""
        found = [*findings]
        kinds = {"lines": Line, "tables": Table, "charts": Chart}
        given = {
            name: [each for each in found if isinstance(each, kind)] for name, kind in kinds.items()
        }
        return Result(**{**vars(self), **given, "seconds": seconds})


def write(result: Result, directory: Path) -> None:
    """As ``SUBJECT.json``."""
    directory.mkdir(parents=True, exist_ok=True)
    known = asdict(result) | {
        name: [each._asdict() for each in getattr(result, name)]
        for name in ("lines", "tables", "charts")
    }
    text = json.dumps(known, indent=1, ensure_ascii=False, default=list, allow_nan=False)
    (directory / f"{result.subject}.json").write_text(f"{text}\n")


def read(file: Path) -> Result:
    """What `write` has written."""
    known = json.loads(file.read_text())
    for name, kind in (("lines", Line), ("tables", Table), ("charts", Chart)):
        known[name] = [kind(**each) for each in known[name]]
    return Result(**known)
