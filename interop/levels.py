r"""Levels: the nested layers in which viewers show the nodes of one part, made of its scopes.

Note [What layers can hold]
    Model Explorer lays out one layer at a time, which takes it long beyond some hundred children, and it
    cannot open one of more than a thousand. So a level with too many is parted into sections of
    neighbours. It writes the way to a layer with slashes; a slash in a name is ``\/``, a semicolon would
    end the way, and neither an empty name nor a backslash at the end of one can be written. A run of equal
    operators, one for each of many parameters, is as wide as it is long: it gets a level of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from itertools import groupby
from typing import Final, TypeAlias

from ..ir import Scope, ScopeKind
from ..visualize.wording import TIMES

_MOST_ITEMS: Final = 200  # of a level that is not parted
_SECTION: Final = 100  # items of each section
_RUN: Final = 16  # equal operators behind each other that get a level of their own
_BREAKS = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


class Level:
    """A layer: what is in it, in program order.

    Attributes:
        parent: the level around it; None for the outermost.
        scope: the scope that it stands for; None for the outermost, and for sections.
        name: what it is called.
        items: names of nodes, and inner levels.
    """

    __slots__ = ("items", "name", "parent", "scope")

    def __init__(self, parent: Level | None, name: str, scope: Scope | None = None) -> None:
        self.parent = parent
        self.name = name
        self.scope = scope
        self.items: list[Item] = []


Item: TypeAlias = str | Level


class Levels:
    """The levels of one part, made as nodes come in.

    Args:
        base: the scope of the part itself; those around it make no levels.
    """

    def __init__(self, base: Scope) -> None:
        self.root = Level(None, "")
        self._base = base
        self._of: dict[Scope, Level] = {}

    def at(self, scope: Scope) -> Level:
        """Return the level of a scope, made with those around it where they are missing."""
        missing = []
        level = self.root
        outer: Scope | None = scope
        while outer is not None and outer is not self._base and outer.parent is not None:
            known = self._of.get(outer)
            if known is not None:
                level = known
                break
            missing.append(outer)
            outer = outer.parent
        for step in reversed(missing):
            inner = Level(level, _step_name(step), step)
            level.items.append(inner)
            self._of[step] = level = inner
        return level


def common_level(levels: list[Level]) -> Level:
    """Return the innermost level around some; that of one is the level itself."""
    ways = [_way(level) for level in levels]
    common = ways[0][0]
    for steps in zip(*ways, strict=False):
        if any(step is not steps[0] for step in steps):
            break
        common = steps[0]
    return common


def _way(level: Level) -> list[Level]:
    """Return the levels from the outermost to one."""
    way = []
    outer: Level | None = level
    while outer is not None:
        way.append(outer)
        outer = outer.parent
    return way[::-1]


def all_levels(root: Level) -> list[Level]:
    """Return a level and all inside it, each before what is inside."""
    found = [root]
    for level in found:
        found.extend(item for item in level.items if isinstance(item, Level))
    return found


def gather_runs(root: Level, titles: Mapping[str, str]) -> list[Level]:
    """Make levels of runs of equal operators among others, and return them. O(items).

    Args:
        root: the outermost level.
        titles: what operators are called, by the name of the node.
    """
    made = []
    for level in all_levels(root):
        items: list[Item] = []
        for title, run in groupby(level.items, partial(_title, titles)):
            alike = list(run)
            if title is None or not _RUN <= len(alike) < len(level.items):
                items.extend(alike)
                continue
            inner = Level(level, f"{title} {TIMES}{len(alike)}")
            inner.items = alike
            made.append(inner)
            items.append(inner)
        level.items = items
    return made


def _title(titles: Mapping[str, str], item: Item) -> str | None:
    return titles.get(item) if isinstance(item, str) else None


def part_long(root: Level) -> None:
    """Part every level that holds too many items into sections. O(items)."""
    for level in all_levels(root):
        while len(level.items) > _MOST_ITEMS:
            starts = range(0, len(level.items), _SECTION)
            sections: list[Item] = []
            for number, start in enumerate(starts, start=1):
                section = Level(level, f"part {number} of {len(starts)}")
                section.items = level.items[start : start + _SECTION]
                for item in section.items:
                    if isinstance(item, Level):
                        item.parent = section
                sections.append(section)
            level.items = sections


def namespaces(root: Level) -> dict[Level, str]:
    """Return the way to each level as Model Explorer writes it, unique among them. O(items)."""
    found = {root: ""}
    taken = {""}
    for level in all_levels(root)[1:]:
        assert level.parent is not None, "only the outermost has none around it"
        around = found[level.parent]
        wanted = f"{around}/{_spelled(level.name)}" if around else _spelled(level.name)
        way, count = wanted, 1
        while way in taken:
            count += 1
            way = f"{wanted} ({count})"
        found[level] = way
        taken.add(way)
    return found


def _spelled(name: str) -> str:
    """Return a name as one step of a way; see Note [What layers can hold]."""
    text = _BREAKS.sub(" ", name).replace(";", ",").strip() or "(no name)"
    if text.endswith("\\"):
        text = f"{text[:-1]}\N{SET MINUS}"
    return text.replace("/", "\\/")


def _step_name(scope: Scope) -> str:
    """Return what a scope is called in the one around it."""
    name = scope.name
    if scope.kind is ScopeKind.FUNCTION:
        name = f"{name}()"
    elif scope.kind is ScopeKind.BACKWARD and name != "backward":
        name = f"{name} backward"
    return f"{name} (call {scope.call})" if scope.call > 1 else name
