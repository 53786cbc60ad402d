"""Tables that the columns of a page refer to by number: texts, and frames of Python stacks."""

from __future__ import annotations

from ...ir import Frame
from ...ir.source import SourceRange

_MOST_TEXT = 2_000_000  # characters of a source file that a page brings along


class Texts:
    """Every text once, in the order of first use; number 0 is the empty one."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        """Return the number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    def listed(self) -> list[str]:
        """Return all texts by their numbers."""
        return list(self._numbers)


class Frames:
    """The frames of stacks as columns, each after the frame that called it.

    Columns: ``file`` and ``function`` (texts), ``line``, ``column``, ``endLine`` and ``endColumn`` (from 1; 0
    where not known), ``caller`` (a frame; -1 for none) and ``isLibrary``.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._numbers: dict[Frame, int] = {}
        self._files: dict[tuple[str, str], str] = {}
        self._ranges: dict[str, SourceRange] = {}
        self._columns: dict[str, list[int]] = {
            name: []
            for name in (
                "file",
                "function",
                "line",
                "column",
                "endLine",
                "endColumn",
                "caller",
                "isLibrary",
            )
        }

    def number(self, frame: Frame | None) -> int:
        """Return the number of a frame, which is added with its callers if need be; -1 for none."""
        missing: list[Frame] = []
        while frame is not None and frame not in self._numbers:
            missing.append(frame)
            frame = frame.caller
        number = -1 if frame is None else self._numbers[frame]
        for inner in reversed(missing):
            number = self._add(inner, number)
        return number

    def place(self, source: SourceRange | None) -> int:
        """Return the number of a frame for a range that comes without a stack; -1 for none."""
        return -1 if source is None else self.number(Frame.resolved(source))

    def sources(self) -> dict[str, str]:
        """Return the text of each of the user's files that stacks name, as far as it can be read."""
        found = {}
        for name, place in self._ranges.items():
            text = place.file_text()
            if text and len(text) <= _MOST_TEXT:
                found[name] = text
        return found

    def columns(self) -> dict[str, list[int]]:
        """Return the columns."""
        return self._columns

    def _add(self, frame: Frame, caller: int) -> int:
        number = self._numbers[frame] = len(self._numbers)
        place = frame.range
        name = self._file_name(place)
        row = (
            self._texts(name),
            self._texts(place.function),
            place.line,
            place.column,
            place.end_line,
            place.end_column,
            caller,
            int(frame.is_library),
        )
        for column, entry in zip(self._columns.values(), row, strict=True):
            column.append(entry)
        if not frame.is_library:
            self._ranges.setdefault(name, place)
        return number

    def _file_name(self, place: SourceRange) -> str:
        """Return what a file is called, with a number where another file is called the same."""
        key = (place.file, place.path)
        name = self._files.get(key)
        if name is None:
            likes = sum(1 for file, _ in self._files if file == place.file)
            name = self._files[key] = f"{place.file} ({likes + 1})" if likes else place.file
        return name
