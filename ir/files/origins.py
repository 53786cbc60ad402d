"""Where nodes come from, as JSON: scopes, source ranges, stacks, and the text of the user's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...errors import FormatError
from ..scope import Scope, ScopeKind
from ..source import Frame, SourceRange, SourceText
from .fields import fields, flag, item, listed, text, whole, wrong

_KINDS: Final = {kind.value: kind for kind in ScopeKind}
_MOST_CALLS: Final = 100_000  # frames on one stack
_MOST_SCOPES: Final = 1_000  # scopes within scopes
_MOST_COLUMN: Final = 1_000_000
_MOST_TEXT: Final = 4 << 20  # characters of one source file


class OriginWriter:
    """Numbers scopes, source ranges and frames as they are met, what they refer to first."""

    def __init__(self) -> None:
        self._scopes: dict[Scope, int] = {}
        self._scope_rows: list[Any] = []
        self._frames: dict[Frame, int] = {}
        self._frame_rows: list[Any] = []
        self._ranges: dict[SourceRange, int] = {}
        self._range_rows: list[Any] = []
        self._strings: dict[str, int] = {}
        self._files: dict[str, SourceRange] = {}  # those of the user, one range in each

    def scope(self, scope: Scope) -> int:
        """Return the number of a scope."""
        known = self._scopes.get(scope)
        if known is not None:
            return known
        for part in scope.chain():
            if part not in self._scopes:
                parent = -1 if part.parent is None else self._scopes[part.parent]
                self._scopes[part] = len(self._scope_rows)
                self._scope_rows.append(
                    [parent, part.kind.value, part.name, part.class_name, part.call]
                )
        return self._scopes[scope]

    def stack(self, stack: Frame | None) -> int:
        """Return the number of a stack's innermost frame; -1 for none."""
        if stack is None:
            return -1
        known = self._frames.get(stack)
        if known is not None:
            return known
        new = []
        frame: Frame | None = stack
        while frame is not None and frame not in self._frames:
            new.append(frame)
            frame = frame.caller
        for part in reversed(new):
            caller = -1 if part.caller is None else self._frames[part.caller]
            self._frames[part] = len(self._frame_rows)
            self._frame_rows.append([caller, self.range(part.range), part.is_library])
            if not part.is_library:
                self._files.setdefault(part.range.path or part.range.file, part.range)
        return self._frames[stack]

    def range(self, range_: SourceRange | None) -> int:
        """Return the number of a source range; -1 for none."""
        if range_ is None:
            return -1
        known = self._ranges.get(range_)
        if known is None:
            known = self._ranges[range_] = len(self._range_rows)
            row = [range_.line, range_.column, range_.end_line, range_.end_column]
            names = [self._string(name) for name in (range_.file, range_.function, range_.path)]
            self._range_rows.append([*row, *names])
        return known

    def place(self, range_: SourceRange | None) -> int:
        """Return the number of a range of the user's, whose file is to come along; -1 for none."""
        if range_ is not None:
            self._files.setdefault(range_.path or range_.file, range_)
        return self.range(range_)

    def _string(self, name: str) -> int:
        return self._strings.setdefault(name, len(self._strings))

    def tables(self) -> dict[str, Any]:
        """Return what was numbered."""
        return {
            "scopes": self._scope_rows,
            "strings": list(self._strings),
            "ranges": self._range_rows,
            "frames": self._frame_rows,
        }

    def sources(self) -> list[dict[str, str]]:
        """Return the text of the user's files that stacks name, as far as it can be read."""
        found = []
        for range_ in self._files.values():
            content = range_.file_text()
            if content and len(content) <= _MOST_TEXT:
                found.append({"file": range_.file, "path": range_.path, "text": content})
        return found


class OriginReader:
    """What the tables of a file say of origins.

    Attributes:
        scopes: by number.
        ranges: by number.
        frames: by number.
    """

    def __init__(self, tables: Mapping[str, Any], sources: Iterable[SourceText]) -> None:
        self._sources = {source.path or source.file: source for source in sources}
        self.scopes = _scopes_of(tables["scopes"])
        strings = [text(name, "strings") for name in listed(tables["strings"], "strings")]
        self.ranges = [
            self._range_of(row, f"ranges[{number}]", strings)
            for number, row in enumerate(listed(tables["ranges"], "ranges"))
        ]
        self.frames = _frames_of(tables["frames"], self.ranges)

    def _range_of(self, row: Any, where: str, strings: list[str]) -> SourceRange:
        line, column, end_line, end_column, *names = listed(row, where, 7)
        file, function, path = [item(name, strings, where, "strings") for name in names]
        return SourceRange(
            file,
            whole(line, where),
            whole(column, where, 0, _MOST_COLUMN),
            whole(end_line, where),
            whole(end_column, where, 0, _MOST_COLUMN),
            function,
            path,
            # Never a file of this machine, which may be another one of that name.
            self._sources.get(path or file) or SourceText(file, path, ""),
        )


def sources_of(value: Any) -> list[SourceText]:
    """Return the texts of source files that a file holds."""
    found = []
    for number, entry in enumerate(listed(value, "sources")):
        where = f"sources[{number}]"
        parts = fields(entry, where, ("file", "path", "text"))
        found.append(SourceText(*[text(parts[name], where) for name in ("file", "path", "text")]))
    return found


def _scopes_of(value: Any) -> list[Scope]:
    scopes: list[Scope] = []
    depths: list[int] = []
    for number, row in enumerate(listed(value, "scopes")):
        where = f"scopes[{number}]"
        parent, kind, name, class_name, call = listed(row, where, 5)
        if kind.__class__ is not str or kind not in _KINDS:
            raise wrong(where, "a kind of scope", kind)
        above = None if parent == -1 else item(parent, scopes, where, "earlier scopes")
        if (above is None) != (_KINDS[kind] is ScopeKind.ROOT):
            raise FormatError(f"{where} is of kind {kind}, which does not fit its parent")
        depths.append(0 if above is None else depths[parent] + 1)
        if depths[-1] > _MOST_SCOPES:
            raise FormatError(f"{where} nests scopes too deeply")
        scope = Scope(
            above, _KINDS[kind], text(name, where), text(class_name, where), whole(call, where)
        )
        if depths[-1] > 50:
            _ = (
                scope.address
            )  # worked out from outside in, so that deep ones need no deep recursion
        scopes.append(scope)
    return scopes


def _frames_of(value: Any, ranges: list[SourceRange]) -> list[Frame]:
    frames: list[Frame] = []
    depths: list[int] = []
    for number, row in enumerate(listed(value, "frames")):
        where = f"frames[{number}]"
        caller, range_, is_library = listed(row, where, 3)
        above = None if caller == -1 else item(caller, frames, where, "earlier frames")
        depths.append(0 if above is None else depths[caller] + 1)
        if depths[-1] > _MOST_CALLS:
            raise FormatError(f"{where} nests calls too deeply")
        place = item(range_, ranges, where, "ranges")
        frames.append(Frame.resolved(place, above, flag(is_library, where)))
    return frames
