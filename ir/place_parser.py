"""Reads where nodes come from: ``# net.py:12:15 encoder.fc (Linear)``, and the scopes that text names."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from ..errors import IRError
from .cursor import NAME, QUOTED, Cursor
from .scope import ADDRESS, Scope, ScopeTable
from .source import Frame, SourceRange

Place: TypeAlias = tuple[Frame | None, Scope]
"""The stack that caused a node, and the scope it stands in."""

END_OF_LINE: Final = r"[ \t\r]*(?:#[ \t]*([^\n]*))?(?:\n|\Z)"
"""Matches the end of a line, with the comment on it as its group."""

_END_OF_LINE = re.compile(END_OF_LINE)
_SCOPE = re.compile(rf"(?P<address>{ADDRESS})(?:[ \t]+\((?P<class>{NAME.pattern})\))?")
_PARENT = re.compile(rf"at[ \t]+top\b|in[ \t]+({ADDRESS})")
_PROVENANCE = re.compile(
    rf"(?:\?|(?P<file>{QUOTED}|[^\s\"?][^\s\"]*?)"
    r":(?P<line>[0-9]+)(?::(?P<column>[0-9]+))?)"
    rf"(?:[ ]+(?P<address>{ADDRESS})(?:[ ]+\((?P<class>{NAME.pattern})\))?)?\s*\Z"
)

_ADVICE: Final = "write the address and the class of a scope: encoder.0 (Layer)"


class PlaceParser:
    """Reads scopes and the comments behind nodes, each comment once."""

    __slots__ = ("_cursor", "_frames", "_known", "_root", "_scopes")

    def __init__(self, cursor: Cursor, root: Scope) -> None:
        self._cursor = cursor
        self._root = root
        self._scopes = ScopeTable(root)
        self._frames: dict[SourceRange, Frame] = {}
        self._known: dict[str | None, Place] = {None: (None, root)}

    def end_line(self) -> re.Match[str]:
        """Move past the end of the line; the match's group 1 is the comment on it."""
        return self._cursor.expect(
            _END_OF_LINE, "the end of the line", "put each statement on a line of its own"
        )

    def place(self) -> Place:
        """Read the end of a node's line, and return what the comment says of where it comes from."""
        end = self.end_line()
        return self.of(end[1], end.start(1))

    def of(self, comment: str | None, start: int) -> Place:
        """Return the place that a comment, at ``start``, stands for; None for no comment."""
        place = self._known.get(comment)
        if place is None:
            place = self._known[comment] = self._read(comment or "", start)
        return place

    def scope(self) -> tuple[Scope, int]:
        """Read a scope and the parent that it is said to have, and return it with where it starts."""
        cursor = self._cursor
        match = cursor.expect(_SCOPE, "the address of a scope", _ADVICE)
        class_name = self._unquoted(match["class"] or "", match.start("class"))
        where = cursor.accept(_PARENT)
        parent = None if where is None else self._at(where[1] or "", "", where.start())
        return self._at(match["address"], class_name, match.start(), parent), match.start()

    def _read(self, comment: str, start: int) -> Place:
        match = _PROVENANCE.match(comment)
        if match is None:
            return None, self._root
        scope = self._root
        if match["address"]:
            class_name = self._unquoted(match["class"] or "", start + match.start("class"))
            scope = self._at(match["address"], class_name, start + match.start("address"))
        if match["line"] is None:
            return None, scope
        file = self._unquoted(match["file"], start)
        source = SourceRange(file, int(match["line"]), int(match["column"] or 0))
        frame = self._frames.get(source)
        if frame is None:
            frame = self._frames[source] = Frame.resolved(source)
        return frame, scope

    def _unquoted(self, text: str, start: int) -> str:
        return self._cursor.unquote(text, start) if text.startswith('"') else text

    def _at(self, address: str, class_name: str, start: int, parent: Scope | None = None) -> Scope:
        try:
            if parent is not None:
                return self._scopes.below(parent, address, class_name)
            return self._scopes.at(address, class_name)
        except IRError as error:
            raise self._cursor.error(str(error), _ADVICE, start, len(address)) from error
