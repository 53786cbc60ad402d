"""Where in the user's Python a node comes from: source ranges and whole Python stacks.

Capture stores a stack as a chain of :class:`Frame` objects that hold a code object and an instruction
offset, which costs a fraction of a microsecond. Files, lines and columns are worked out from them
when somebody asks, once per frame.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from types import CodeType


@dataclass(frozen=True, eq=False)
class SourceText:
    """The text of a source file, as a saved program brings it along.

    Attributes:
        file: the file's path inside its package.
        path: where the file was on the machine that traced.
        text: all of it; empty where it is not known.
    """

    file: str
    path: str
    text: str = field(repr=False)

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return self.text.split("\n")

    def line(self, number: int) -> str:
        """Return a line by its number, from 1; empty where there is none."""
        return self.lines[number - 1].rstrip("\r") if 0 < number <= len(self.lines) else ""


@dataclass(frozen=True, slots=True)
class SourceRange:
    """The text of one expression in a source file.

    Attributes:
        file: the file's path inside its package (``models/resnet.py``), the same on every machine.
        line: first line, from 1.
        column: first column, from 1; 0 where it is not known.
        end_line: last line, from 1.
        end_column: the column after the last, from 1; 0 where it is not known.
        function: qualified name of the function the expression stands in.
        path: where the file is on the machine that traced; empty where the range was read from text.
        source: the file's text, where the range was read from a file that brings it along; such a range
            never reads a file of this machine.
    """

    file: str
    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    function: str = ""
    path: str = ""
    source: SourceText | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"
        )

    @property
    def text(self) -> str:
        """The first line of the source without its line end; empty where the file is gone."""
        return self.line_text(self.line)

    def line_text(self, number: int) -> str:
        """Return any line of the file without its end; empty where the file is gone."""
        if self.source is not None:
            return self.source.line(number)
        return linecache.getline(self.path, number).rstrip("\n") if self.path else ""

    def file_text(self) -> str:
        """Return the text of the whole file; empty where it is gone."""
        if self.source is not None:
            return self.source.text
        return "".join(linecache.getlines(self.path)) if self.path else ""

    def underlined(self) -> str:
        """Return the first source line with the expression underlined below it; empty without the file.

        >>> y = self.bn(x) + skip
        ...     ^^^^^^^^^^
        """
        text = self.text
        if not text:
            return ""
        stripped = text.lstrip()
        if not 0 < self.column <= len(text):
            return stripped
        start = self.column - 1 - (len(text) - len(stripped))
        one_line = self.end_column > self.column and self.end_line == self.line
        end = self.end_column - 1 - (len(text) - len(stripped)) if one_line else len(stripped)
        return f"{stripped}\n{' ' * start}{'^' * max(end - start, 1)}"


class Frame:
    """One frame of a Python stack and, through ``caller``, the frames that called it.

    Frames are interned by whoever captures them, so that two operators of one line share them.

    Attributes:
        caller: the calling frame; None for the outermost.
        is_library: whether the code is torch's, opscope's or the standard library's, not the user's.
    """

    __slots__ = ("__dict__", "_code", "_instruction", "caller", "is_library")

    def __init__(
        self, code: CodeType, instruction: int, caller: Frame | None, is_library: bool = False
    ) -> None:
        self._code: CodeType | None = code
        self._instruction = instruction  # byte offset, as ``frame.f_lasti`` gives it
        self.caller = caller
        self.is_library = is_library

    @classmethod
    def resolved(
        cls, range_: SourceRange, caller: Frame | None = None, is_library: bool = False
    ) -> Frame:
        """Return a frame whose range is known already, as when it is read from a file."""
        frame = cls.__new__(cls)
        frame._code = None
        frame._instruction = -1
        frame.caller = caller
        frame.is_library = is_library
        frame.__dict__["range"] = range_
        return frame

    @cached_property
    def range(self) -> SourceRange:
        """The expression that this frame was evaluating."""
        code = self._code
        assert code is not None, "a frame without code is made with its range"
        line, end_line, column, end_column = _position(code, self._instruction)
        return SourceRange(
            file=portable_file(code.co_filename),
            line=line,
            column=column,
            end_line=end_line,
            end_column=end_column,
            function=code.co_qualname,
            path=code.co_filename,
        )

    @property
    def code(self) -> CodeType | None:
        """The code object, where this process captured the frame."""
        return self._code

    @property
    def instruction(self) -> int:
        """The offset in bytes of the instruction being run; -1 where the frame was read from a file."""
        return self._instruction

    def called_by(self, caller: Frame | None) -> Frame:
        """Return the same frame with another caller."""
        if self._code is None:
            return Frame.resolved(self.range, caller, self.is_library)
        return Frame(self._code, self._instruction, caller, self.is_library)

    def __iter__(self) -> Iterator[Frame]:
        """Yield this frame and its callers, innermost first."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.caller

    @property
    def user(self) -> Frame:
        """The innermost frame that is not a library's; this frame itself where all are."""
        return next((frame for frame in self if not frame.is_library), self)

    def format(self) -> str:
        """Return the stack as a traceback shows it, outermost call first."""
        lines = []
        for frame in reversed(list(self)):
            place = frame.range
            lines.append(
                f'  File "{place.path or place.file}", line {place.line}, in {place.function}'
            )
            lines.extend(f"    {line}" for line in place.underlined().splitlines())
        return "\n".join(lines)


def _position(code: CodeType, instruction: int) -> tuple[int, int, int, int]:
    """Return line, end line, column and end column, all from 1, of one instruction."""
    line, end_line, column, end_column = next(
        islice(code.co_positions(), instruction // 2, None), (None, None, None, None)
    )
    first = line or code.co_firstlineno
    return (
        first,
        end_line or first,
        0 if column is None else _character(code.co_filename, first, column) + 1,
        0
        if end_column is None
        else _character(code.co_filename, end_line or first, end_column) + 1,
    )


def _character(path: str, line: int, offset: int) -> int:
    """Turn an offset in UTF-8 bytes, which Python's tables hold, into one in characters."""
    text = linecache.getline(path, line)
    if text.isascii():
        return offset
    return len(text.encode()[:offset].decode(errors="replace"))


@lru_cache(maxsize=4096)
def portable_file(path: str) -> str:
    """Return a file's path from the folder of its outermost package on, with forward slashes.

    Source that never was a file, such as ``<stdin>`` or a notebook's cell, keeps its name.
    """
    if path.startswith("<"):
        return path
    file = Path(path)
    parts = [file.name]
    for folder in file.parents:
        if not (folder / "__init__.py").exists():
            break
        parts.append(folder.name)
    return "/".join(reversed(parts))
