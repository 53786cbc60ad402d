"""Lines of tables for terminals: cut, wrapped, and without what a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def printable(text: str) -> str:
    """Return text in one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def cut(text: str, width: int) -> str:
    """Return text that is cut, and says so, if it is wider."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def counted(count: int, what: str) -> str:
    """Return a count of things, such as ``2 inputs``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def wrapped(title: str, items: Sequence[str], width: int) -> Iterator[str]:
    """Yield a title with its items in as many lines as they need."""
    if not items:
        yield f"{title}: none"
        return
    line = f"{title}:"
    for item in map(printable, items):
        if len(line) + len(item) + 2 > width and line.strip():
            yield line
            line = "   "
        line += f" {item}{',' if item is not items[-1] else ''}"
    yield line.rstrip(",")
