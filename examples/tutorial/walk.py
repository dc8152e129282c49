"""The walk through the steps: what the reader can say at the prompt, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from answers import Answer
from declarations import source
from problems import PROBLEMS, Problem, Step
from screen import Screen

from shop import Shop

COMMANDS = {
    "next": "go on to the next step; so does an empty line when nothing is suggested",
    "back": "return to the step before",
    "try": "run what is suggested; so does an empty line",
    "hint": "help with the goal",
    "rows": "show the rows of this problem's tables",
    "code": "show the declarations of this problem",
    "reset": "make the shop as it was when the step began",
    "list": "show all steps",
    "goto N": "go to a problem, such as 3, or to a step, such as 3.2",
    "help": "show this",
    "quit": "leave; so does Ctrl-D",
}
LEAVE = {"quit", "exit", "quit()", "exit()", "\\q"}


def places() -> Iterator[tuple[str, Problem, Step]]:
    """All steps with their problem and number, such as ``3.2``."""
    for number, problem in enumerate(PROBLEMS, 1):
        for part, step in enumerate(problem.steps, 1):
            yield f"{number}.{part}", problem, step


def find(number: str) -> int:
    """Where a step is in `places`, by its number or by that of its problem.

    Raises:
        LookupError: there is no such step.
    """
    numbers = [found for found, _, _ in places()]
    wanted = number if "." in number else f"{number}.1"
    if wanted not in numbers:
        raise LookupError(f"There is no step {number}; they are 1.1 to {numbers[-1]}, see `list`.")
    return numbers.index(wanted)


def contents(screen: Screen, reached: set[str] | None = None) -> None:
    """Write the list of all steps."""
    for number, problem, step in places():
        if number.endswith(".1"):
            screen.line(f"{number.partition('.')[0]}. {problem.title}", "title")
        mark = "  reached" if number in (reached or ()) else ""
        screen.line(f"   {number}  {step.title}{mark}")


class Walk:
    """Leads a reader from step to step.

    Args:
        shop: the database.
        screen: where to write.
        ask: what gives a line, from the prompt, what is suggested, and whether that is filled in.
        start: index of the first step in `places`.
    """

    def __init__(
        self, shop: Shop, screen: Screen, ask: Callable[[str, str, bool], str], start: int = 0
    ) -> None:
        self.shop, self.screen, self.ask = shop, screen, ask
        self.places = list(places())
        self.reached: set[str] = set()
        self.going_on = True
        self._go(start)

    def run(self) -> None:
        """Go on until the reader leaves or the last step is done."""
        while self.going_on:
            try:
                if self._unseen:
                    self._begin()
                # The first suggestion stands at the prompt already; then it is the reader's turn.
                line = self.ask(f"{self.number} sql> ", self._suggestion, not self.answers)
                self._follow(line.strip())
            except EOFError:
                self.screen.line()
                break
            except KeyboardInterrupt:
                self.screen.line("\nInterrupted. `quit` or Ctrl-D leaves.", "dim")
        done, all_ = len(self.reached), len(self.places)
        self.screen.line(f"\n{done} of {all_} goals reached.", "title")

    # One step

    def _go(self, place: int) -> None:
        self.place = place
        self.number, self.problem, self.step = self.places[place]
        self.tried = 0
        self.answers: list[Answer] = []
        self._unseen = True

    def _begin(self) -> None:
        screen, step = self.screen, self.step
        self.shop.begin(self.problem, step)
        self._unseen = False
        screen.line()
        screen.line(f"{self.number}  {self.problem.title}: {step.title}", "title")
        screen.line()
        screen.paragraph(step.text)
        for name in step.declares:
            screen.line()
            self._show_code(name)
        screen.line()
        self._show_rows(self.problem.tables)
        screen.line()
        screen.paragraph(f"Goal: {step.goal}", style="title")
        self._suggest()

    @property
    def _suggestion(self) -> str:
        left = self.step.suggestions[self.tried :]
        return left[0] if left else ""

    def _suggest(self) -> None:
        if self._suggestion:
            self.screen.line(f"Try:  {self.screen.styled(self._suggestion, 'code')}")
        elif self.number in self.reached:
            self.screen.line("Enter goes on.", "dim")

    def _follow(self, line: str) -> None:
        command, _, argument = line.partition(" ")
        if line in LEAVE:
            self.going_on = False
        elif not line:
            self._enter()
        elif command == "goto" and argument:
            self._goto(argument.strip())
        elif line in COMMANDS:
            getattr(self, f"_{line}")()
        elif line.startswith("\\"):
            self.screen.line("This is not psql: `help` shows what there is instead.", "dim")
        else:
            self._answer(line)

    def _answer(self, line: str) -> None:
        if line == self._suggestion:
            self.tried += 1
        answer = self.shop.answer(line)
        self.answers.append(answer)
        self.screen.answer(answer)
        if self.number not in self.reached and self._is_reached():
            self.reached.add(self.number)
            self.screen.line(f"Goal reached: {self.step.goal}", "good")
        self._suggest()

    def _is_reached(self) -> bool:
        wanted = self.step.refused_by
        refused = not wanted or wanted in {answer.refused_by for answer in self.answers}
        return refused and (not self.step.holds or self.shop.holds(self.step.holds))

    # Commands

    def _enter(self) -> None:
        if self._suggestion:
            self._try()
        else:
            self._next()

    def _try(self) -> None:
        if not self._suggestion:
            self.tried = 0
        self.screen.line(self.screen.styled(f"=> {self._suggestion}", "code"))
        self._answer(self._suggestion)

    def _next(self) -> None:
        if self.number not in self.reached:
            self.screen.line(f"Not reached: {self.step.goal} `back` returns.", "bad")
        if self.place + 1 < len(self.places):
            self._go(self.place + 1)
        else:
            self.screen.line("\nThat was the last step. docs/tutorial/ has all of it to read.")
            self.going_on = False

    def _back(self) -> None:
        if self.place:
            self._go(self.place - 1)
        else:
            self.screen.line("This is the first step.", "dim")

    def _goto(self, number: str) -> None:
        try:
            self._go(find(number))
        except LookupError as error:
            self.screen.line(error.args[0], "bad")

    def _hint(self) -> None:
        self.screen.paragraph(self.step.hint)
        self.screen.paragraph(f"The page is docs/tutorial/{self.problem.page}.", style="dim")

    def _rows(self) -> None:
        self._show_rows(self.problem.tables)

    def _show_rows(self, tables: tuple[str, ...]) -> None:
        for table in tables:
            self.screen.line(table, "dim")
            self.screen.answer(self.shop.answer(f"SELECT * FROM {table} ORDER BY id"))

    def _code(self) -> None:
        for step in self.problem.steps:
            for name in step.declares:
                self._show_code(name)
                self.screen.line()

    def _show_code(self, name: str) -> None:
        for line in source(name).splitlines():
            self.screen.line(f"    {line}".rstrip(), "code")

    def _reset(self) -> None:
        self.reached.discard(self.number)
        self._go(self.place)

    def _list(self) -> None:
        contents(self.screen, self.reached)

    def _help(self) -> None:
        self.screen.paragraph(
            "SQL is sent as you type it, in a transaction of its own. A line after >>> is Python."
        )
        self.screen.table(["command", "what it does"], list(COMMANDS.items()))
