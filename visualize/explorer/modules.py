"""Joining the explorer's modules into one script, since a page of one file can load no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("web")
_IMPORT = re.compile(r"^import\s*\{[^}]*\}\s*from\s*'\./(?P<file>[\w-]+\.js)';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)


def read_web(name: str) -> str:
    """Return the text of one of the explorer's files."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def joined(entry: str = "main.js") -> str:
    """Return a module and all that it imports as one script, what is imported before what imports it.

    The modules share one scope then, so no two of them declare the same name at the top; the type checker,
    which sees the joined script too, would say so.
    """
    return "\n".join(_script(name) for name in _in_order(entry))


def _script(name: str) -> str:
    return _EXPORT.sub("", _IMPORT.sub("", read_web(name)))


def _in_order(entry: str) -> list[str]:
    ordered: dict[str, None] = {}
    walks: list[tuple[str, Iterator[str]]] = [(entry, _imported(entry))]
    seen = {entry}
    while walks:
        name, imports = walks[-1]
        following = next(imports, None)
        if following is None:
            ordered[name] = None
            walks.pop()
        elif following not in seen:
            seen.add(following)
            walks.append((following, _imported(following)))
    return list(ordered)


def _imported(name: str) -> Iterator[str]:
    return (match["file"] for match in _IMPORT.finditer(read_web(name)))
