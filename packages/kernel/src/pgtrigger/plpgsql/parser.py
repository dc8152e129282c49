"""Takes the text of a plpgsql function apart.

PostgreSQL manual: "PL/pgSQL", "Structure of PL/pgSQL" and "Control Structures".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from pgtrigger.errors import FunctionSyntaxError
from pgtrigger.plpgsql.tree import Function, Lexeme, Statement, Variable, lexemes


def parse(source: str) -> Function:
    """Take the text of a function apart.

    Args:
        source: from ``DECLARE`` or ``BEGIN`` to ``END``.

    Raises:
        FunctionSyntaxError: it is no block, or one that is not closed.

    >>> [statement.keyword for statement in parse("BEGIN a := 1; RETURN NEW; END").block.walk()]
    ['block', 'a', 'return']
    """
    return _Parser(source).function()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.lexemes = lexemes(source)
        self.index = 0
        self.labels: set[str] = set()
        self.outermost: tuple[int, int] = (0, 0)

    def function(self) -> Function:
        options = [*self._options()]
        self._labels()
        block = self._block()
        if self._peek().text == ";":
            self.index += 1
        if self.index < len(self.lexemes):
            self._refuse("the end of the function")
        begin, end = self.outermost
        return Function(
            self.source,
            block,
            tuple(self.lexemes),
            frozenset(self.labels),
            tuple(options),
            begin,
            end,
        )

    def _options(self) -> Iterator[str]:
        while self._peek().text == "#":
            line = self._peek().line
            words: list[str] = []
            while self._peek().line == line and self._peek().text:
                words.append(self._next().text)
            yield "#" + " ".join(words[1:])

    def _peek(self) -> Lexeme:
        if self.index < len(self.lexemes):
            return self.lexemes[self.index]
        last = self.source.count("\n") + 1
        return Lexeme("end", "", last, len(self.source), len(self.source))

    def _next(self) -> Lexeme:
        found = self._peek()
        self.index += 1
        return found

    def _expect(self, *words: str) -> Lexeme:
        if self._peek().word not in words:
            self._refuse(" or ".join(word.upper() for word in words))
        return self._next()

    def _refuse(self, expected: str) -> NoReturn:
        found = self._peek()
        raise FunctionSyntaxError(
            f"line {found.line} of the function has {found.text or 'its end'!r} where {expected} "
            f"is expected."
        )

    def _labels(self) -> None:
        while [found.text for found in self.lexemes[self.index : self.index + 2]] == ["<", "<"]:
            self.labels.add(self.lexemes[self.index + 2].name)
            self.index += 5

    def _until(self, *stops: str) -> list[Lexeme]:
        """What stands before one of these words, or before a semicolon, which ``CASE`` may hide."""
        found: list[Lexeme] = []
        depth, previous = 0, ""
        while True:
            lexeme = self._peek()
            if lexeme.kind == "end":
                self._refuse(" or ".join(stop.upper() for stop in stops))
            # After a dot and AS, any word is a name.
            keyword = lexeme.word if previous not in (".", "as") else ""
            if depth == 0 and (keyword in stops or lexeme.text in stops):
                return found
            depth += {"case": 1, "end": -1}.get(keyword, 0)
            previous = lexeme.word or lexeme.text
            found.append(self._next())

    def _statements(self, *stops: str) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while True:
            self._labels()
            if self._peek().word in stops:
                return tuple(found)
            if self._peek().kind == "end":
                self._refuse(" or ".join(stop.upper() for stop in stops))
            found.append(self._statement())

    def _statement(self) -> Statement:
        first = self._peek()
        following = self.lexemes[self.index + 1 : self.index + 2]
        if following and following[0].text in (":", "="):
            return self._simple()  # a variable may be called as a statement is
        match first.word:
            case "declare" | "begin":
                block = self._block()
                self._end_of_statement()
                return block
            case "if":
                return self._if()
            case "case":
                return self._case()
            case "loop" | "while" | "for" | "foreach":
                head = self._until("loop")
                self._next()
                body = self._statements("end")
                self._close("loop")
                return Statement(first.word, tuple(head), first.line, (body,))
        return self._simple()

    def _simple(self) -> Statement:
        first = self._peek()
        if first.text == ";":
            self._refuse("a statement")
        found = [self._next(), *self._until(";")]
        self._next()
        return Statement(first.word, tuple(found), first.line)

    def _end_of_statement(self) -> None:
        if self._peek().text != ";":
            self._refuse('";"')
        self._next()

    def _close(self, word: str) -> None:
        self._expect("end")
        self._expect(word)
        if self._peek().kind in ("word", "quoted"):  # the label again
            self._next()
        self._end_of_statement()

    def _block(self) -> Statement:
        line = self._peek().line
        variables: list[Variable] = []
        while self._peek().word == "declare":
            self._next()
            while self._peek().word not in ("declare", "begin"):
                name, *kind = self._until(";")
                text = self.source[kind[0].start : kind[-1].end] if kind else ""
                variables.append(Variable(name.name, text, name.line))
                self._next()
        begin = self._expect("begin")
        branches = [self._statements("exception", "end")]
        if self._peek().word == "exception":
            self._next()
            while self._peek().word == "when":
                self._until("then")
                self._next()
                branches.append(self._statements("when", "end"))
        end = self._expect("end")
        if self._peek().kind in ("word", "quoted"):  # the label again
            self._next()
        self.outermost = begin.end, end.start  # the outermost block is the last to end
        return Statement("block", (), line, tuple(branches), variables=tuple(variables))

    def _if(self) -> Statement:
        first = self._peek()
        head: list[Lexeme] = []
        branches: list[tuple[Statement, ...]] = []
        while self._peek().word in ("if", "elsif", "elseif"):
            self._next()
            head += self._until("then")
            self._next()
            branches.append(self._statements("elsif", "elseif", "else", "end"))
        return self._with_else(first, head, branches, "if")

    def _case(self) -> Statement:
        first = self._next()
        head = self._until("when")
        branches: list[tuple[Statement, ...]] = []
        while self._peek().word == "when":
            self._next()
            head += self._until("then")
            self._next()
            branches.append(self._statements("when", "else", "end"))
        return self._with_else(first, head, branches, "case")

    def _with_else(
        self,
        first: Lexeme,
        head: list[Lexeme],
        branches: list[tuple[Statement, ...]],
        closing: str,
    ) -> Statement:
        otherwise = self._peek().word == "else"
        if otherwise:
            self._next()
            branches.append(self._statements("end"))
        self._close(closing)
        return Statement(first.word, tuple(head), first.line, tuple(branches), otherwise)
