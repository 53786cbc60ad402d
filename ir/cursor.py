"""A place in a text, the patterns that match there, and errors that point at it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from ..errors import ParseError

QUOTED: Final = r'"(?:[^"\\\n]|\\.)*"'
NAME: Final = re.compile(rf"([^\W\d]\w*(?:\.\w+)*)|({QUOTED})")

_BLANKS = re.compile(r"[ \t\r]*")
_GAP = re.compile(r"(?:[ \t\r]*(?:#[^\n]*)?\n)*[ \t\r]*(?:#[^\n]*\Z)?")
_REMAINDER = re.compile(r"\w+|\"[^\"\n]*\"?|[^\n]")


class Cursor:
    """Reads a text from front to back, pattern by pattern.

    Attributes:
        text: the whole text.
        position: the index of the next character to read.
    """

    __slots__ = ("position", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def accept(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Move past blanks and ``pattern`` if it comes next, and return the match."""
        match = pattern.match(self.text, self._after_blanks())
        if match is not None:
            self.position = match.end()
        return match

    def expect(self, pattern: re.Pattern[str], expected: str, advice: str) -> re.Match[str]:
        """Move past ``pattern``.

        Raises:
            ParseError: something else stands here; ``expected`` and ``advice`` tell what should.
        """
        match = self.accept(pattern)
        if match is None:
            raise self.unexpected(expected, advice)
        return match

    def sees(self, mark: str) -> bool:
        """Whether ``mark`` comes next, after blanks."""
        return self.text.startswith(mark, self._after_blanks())

    def take(self, mark: str) -> bool:
        """Move past blanks and ``mark`` if it comes next; say whether it did."""
        start = self._after_blanks()
        if not self.text.startswith(mark, start):
            return False
        self.position = start + len(mark)
        return True

    def demand(self, mark: str, where: str, advice: str) -> None:
        """Move past blanks and ``mark``.

        Raises:
            ParseError: something else comes next.
        """
        if not self.take(mark):
            raise self.unexpected(f'"{mark}" {where}', advice)

    def items(self, close: str, advice: str) -> Iterator[None]:
        """Stop where each item of a list stands, and move past the mark that closes it.

        Items are separated by commas and may stand on lines of their own.

        Raises:
            ParseError: an item is followed by neither.
        """
        self.skip_gap()
        while not self.take(close):
            yield
            self.skip_gap()
            if self.take(close):
                return
            self.demand(",", f'or "{close}" after an item', advice)
            self.skip_gap()

    def skip_gap(self) -> None:
        """Move past blanks, comments and line ends."""
        match = _GAP.match(self.text, self.position)
        assert match is not None, "the pattern of a gap matches nothing too"
        self.position = match.end()

    def name(self, expected: str, advice: str) -> str:
        """Move past a plain dotted name or one in JSON quotes, and return it."""
        match = self.expect(NAME, expected, advice)
        return match[1] or self.unquote(match[2], match.start(2))

    def unquote(self, quoted: str, start: int) -> str:
        """Return the string that JSON text stands for; ``start`` is where the text does."""
        try:
            return str(json.loads(quoted))
        except ValueError as error:
            raise self.error(
                f"{quoted} is not a JSON string ({error})",
                "write it as json.dumps does, with backslashes doubled",
                start,
                len(quoted),
            ) from error

    def unexpected(self, expected: str, advice: str) -> ParseError:
        """Return the error that something else than ``expected`` stands here."""
        start = self._after_blanks()
        found = _REMAINDER.match(self.text, start)
        if found is None:
            what = "line" if start < len(self.text) else "text"
            return self.error(f"expected {expected}, found the end of the {what}", advice, start)
        return self.error(f"expected {expected}, found {found[0]}", advice, start, len(found[0]))

    def error(self, what: str, advice: str, start: int, length: int = 1) -> ParseError:
        """Return an error whose message underlines ``length`` characters from ``start``."""
        line_start = self.text.rfind("\n", 0, start) + 1
        line_end = self.text.find("\n", start)
        line = self.text[line_start : len(self.text) if line_end < 0 else line_end].rstrip()
        shown = line.lstrip()
        indent = start - line_start - (len(line) - len(shown))
        number = self.line_number(start)
        column = start - line_start + 1
        return ParseError(
            f"line {number}, column {column}: {what}\n"
            f"  in   {shown}\n"
            f"       {' ' * max(indent, 0)}{'^' * max(length, 1)}\n"
            f"  {advice}"
        )

    def line_number(self, position: int) -> int:
        """Return the number, from 1, of the line that holds a position. O(text)."""
        return self.text.count("\n", 0, position) + 1

    def _after_blanks(self) -> int:
        match = _BLANKS.match(self.text, self.position)
        assert match is not None, "the pattern of blanks matches nothing too"
        return match.end()
