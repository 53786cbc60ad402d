"""Layouts of parts for viewers with layers: where each node stands, and which edges are drawn.

Note [Edges that are not drawn]
    A value that many nodes read, such as an attention mask, would cross the whole picture as a bundle of
    lines, and viewers take minutes to lay that out. Its readers elsewhere get a stub instead, a node of
    its name that tells who makes it. Numbers computed from sizes go into so many views that only
    arithmetic among them is drawn. State is an argument of what reads it and no node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..ir import Node, Value
from ..visualize.labels import operator_title
from .levels import Item, Level, Levels, common_level, gather_runs, namespaces, part_long
from .parts import Part

_FEW_READERS: Final = 8  # of a value whose edges are all drawn
_STUB_READERS: Final = 16
_FEW_ENDS: Final = 16  # inputs or outputs that stand at the top; more stand where they are used


@dataclass(frozen=True, slots=True)
class Edge:
    """What leads into an operand.

    Attributes:
        source: the name of a node.
        result: which of its results.
        operand: which operand of the target, those that its blocks read behind its own.
    """

    source: str
    result: int
    operand: int


@dataclass(frozen=True, slots=True)
class Stub:
    """A stand-in for a node that is far away, or in another part.

    Attributes:
        value: what it gives.
        maker: the name of the node that makes it; empty where that is in another part.
    """

    value: Value
    maker: str


@dataclass(slots=True)
class Layout:
    """A part as viewers with layers show it.

    Attributes:
        root: the outermost level.
        way_to: the way to each level.
        level_of: the level of each node, by its name.
        edges: what leads into each node.
        numbers: nodes that make the numbers which each node reads from afar.
        stubs: by name.
        readers: per node with stubs, their names.
    """

    root: Level
    way_to: dict[Level, str] = field(default_factory=dict)
    level_of: dict[str, Level] = field(default_factory=dict)
    edges: dict[str, list[Edge]] = field(default_factory=dict)
    numbers: dict[str, list[str]] = field(default_factory=dict)
    stubs: dict[str, Stub] = field(default_factory=dict)
    readers: dict[str, list[str]] = field(default_factory=dict)


def lay_out(
    part: Part,
    ids: dict[Node, str],
    operands: dict[Node, tuple[Value, ...]],
    sizes: dict[Node, None],
    output_names: Sequence[str] = (),
) -> Layout:
    """Return where the nodes of a part stand and what leads into them. O(size x nesting).

    Args:
        part: the part.
        ids: what nodes are called.
        operands: what nodes read, what their blocks read from around them included.
        sizes: nodes that compute numbers from sizes.
        output_names: what outputs are called, ``cache.0.keys`` where they are in something.
    """
    owner = part.block.owner
    levels = Levels(part.graph.root_scope if owner is None else owner.scope)
    layout = Layout(levels.root)
    for node in part.block:
        level = layout.level_of[ids[node]] = levels.at(node.scope)
        level.items.append(ids[node])
    titles = {ids[node]: operator_title(node) for node in part.block if not node.blocks}
    for level in gather_runs(layout.root, titles):
        layout.level_of.update((item, level) for item in level.items if isinstance(item, str))
    _Ends(part, ids, operands, layout).place(output_names)
    _Wiring(part, ids, operands, sizes, layout).connect()
    part_long(layout.root)
    for level, way in namespaces(layout.root).items():
        layout.way_to[level] = way
        layout.level_of.update((item, level) for item in level.items if isinstance(item, str))
    return layout


class _Ends:
    """Places inputs and outputs: at the top, or where they are used if there are many."""

    def __init__(
        self,
        part: Part,
        ids: dict[Node, str],
        operands: dict[Node, tuple[Value, ...]],
        layout: Layout,
    ) -> None:
        self._part = part
        self._ids = ids
        self._operands = operands
        self._layout = layout

    def place(self, output_names: Sequence[str]) -> None:
        inputs, outputs = self._part.block.inputs, self._part.block.outputs
        first: dict[Level, list[Item]] = {}
        homes = self._homes_of_inputs() if len(inputs) > _FEW_ENDS else {}
        for number, value in enumerate(inputs):
            self._add(f"input{number}", homes.get(value, self._layout.root), first)
        for level, items in first.items():
            level.items[:0] = items
        at_top = _outputs_at_top(len(outputs), output_names)
        for number, value in enumerate(outputs):
            level = self._layout.root
            if number not in at_top and value.node in self._ids:
                level = self._layout.level_of.get(self._ids[value.node], level)
            self._layout.level_of[f"output{number}"] = level
            level.items.append(f"output{number}")

    def _add(self, name: str, level: Level, first: dict[Level, list[Item]]) -> None:
        self._layout.level_of[name] = level
        first.setdefault(level, []).append(name)

    def _homes_of_inputs(self) -> dict[Value, Level]:
        """Return the innermost level around all readers of each input that has any."""
        readers: dict[Value, dict[Level, None]] = {}
        inputs = dict.fromkeys(self._part.block.inputs)
        for node in self._part.block:
            for value in self._operands[node]:
                if value in inputs:
                    level = self._layout.level_of[self._ids[node]]
                    readers.setdefault(value, {})[level] = None
        return {value: common_level(list(levels)) for value, levels in readers.items()}


def _outputs_at_top(count: int, names: Sequence[str]) -> set[int]:
    """Return the numbers of the outputs that stand at the top: all, or those by themselves if few."""
    if count <= _FEW_ENDS:
        return set(range(count))
    alone = {number for number, name in enumerate(names) if "." not in name}
    return alone if len(alone) <= _FEW_ENDS else set()


class _Wiring:
    """Decides what leads into each node of a part; see Note [Edges that are not drawn]."""

    def __init__(
        self,
        part: Part,
        ids: dict[Node, str],
        operands: dict[Node, tuple[Value, ...]],
        sizes: dict[Node, None],
        layout: Layout,
    ) -> None:
        self._part = part
        self._ids = ids
        self._operands = operands
        self._sizes = sizes
        self._layout = layout
        self._makers: dict[Value, tuple[str, int]] = {}
        self._drawn: dict[Value, int] = {}  # edges of a hub so far
        self._stubs: dict[tuple[Value, Level], list[str]] = {}  # with a name for each reader
        self._before: dict[Item, list[Item]] = {}

    def connect(self) -> None:
        block = self._part.block
        self._makers.update((value, (f"input{n}", 0)) for n, value in enumerate(block.inputs))
        for node in block:
            self._makers.update(
                (value, (self._ids[node], n)) for n, value in enumerate(node.outputs)
            )
        for node in block:
            is_arithmetic = node in self._sizes
            for operand, value in enumerate(self._operands[node]):
                if value.state is not None:
                    continue
                if value.node in self._sizes and not is_arithmetic and value in self._makers:
                    numbers = self._layout.numbers.setdefault(self._ids[node], [])
                    numbers.append(self._makers[value][0])
                else:
                    self._wire(self._ids[node], operand, value)
        for number, value in enumerate(block.outputs):
            if value.state is None:
                self._wire(f"output{number}", 0, value)
        self._insert_stubs()

    def _wire(self, target: str, operand: int, value: Value) -> None:
        found = self._makers.get(value)
        if found is not None and self._is_drawn(value, found[0], target):
            edge = Edge(*found, operand)
        else:
            edge = Edge(self._stub(value, target), 0, operand)
        self._layout.edges.setdefault(target, []).append(edge)

    def _is_drawn(self, value: Value, maker: str, target: str) -> bool:
        if len(value.users) <= _FEW_READERS:
            return True
        if self._layout.level_of[maker] is not self._layout.level_of[target]:
            return False
        self._drawn[value] = self._drawn.get(value, 0) + 1
        return self._drawn[value] <= _FEW_READERS

    def _stub(self, value: Value, target: str) -> str:
        """Return the name of a stub for a value near one that reads it, made where there is none."""
        level = self._layout.level_of[target]
        beside: Item = target
        while level.parent is not None and len(level.items) == 1:  # shown as what is in it
            beside, level = level, level.parent
        names = self._stubs.setdefault((value, level), [])
        if len(names) % _STUB_READERS:
            names.append(names[-1])
            return names[-1]
        name = f"stub{len(self._layout.stubs)}"
        names.append(name)
        maker = self._makers.get(value, ("", 0))[0]
        self._layout.stubs[name] = Stub(value, maker)
        self._layout.level_of[name] = level
        self._before.setdefault(beside, []).append(name)
        if maker:
            self._layout.readers.setdefault(maker, []).append(name)
        return name

    def _insert_stubs(self) -> None:
        touched = dict.fromkeys(self._layout.level_of[name] for name in self._layout.stubs)
        for level in touched:
            level.items = list(_with_stubs(level.items, self._before))


def _with_stubs(items: Iterable[Item], before: dict[Item, list[Item]]) -> Iterable[Item]:
    for item in items:
        yield from before.get(item, ())
        yield item
