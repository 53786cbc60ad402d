"""Profiles: the types that values turn out to have, run after run.

Note [What the type of a value says]
    A type in a graph is that of the run that was traced. Element type, rank, device, layout and class are
    the same in every run that a replay follows; sizes, strides and ``requires_grad`` are of that run alone,
    and no pass may take them for facts.
    What later runs find stands beside that: ``prim::profile`` hands a tensor on, and the type of its result
    is what the runs that were watched have in common.

      %h : f32[2, 64] = aten::linear(%x, %w, %b)
      %p : f32[s0, 64] = prim::profile(%h)             # 64 in each run, and s0 that differed
      %y : f32[2, 64] = aten::relu(%p)

    Sizes of one name were equal to each other in each run that came by both. Where none came by, the type
    is ``any``, as it is where the runs have nothing in common that a type could say. ``specialize_types``
    makes the types of values out of this, which hold as long as guards see to it that inputs are as they
    were in those runs; ``erase_profiling`` lets it go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .graph import Graph
from .node import Node
from .own_operators import PROFILE
from .types import Dim, ScalarType, SymDim, TensorType, row_major_strides
from .value import Value


def watch(graph: Graph, value: Value) -> Node:
    """Have all that reads a value read it through a ``prim::profile``, behind what defines it; return that.

    Given:   %y = aten::neg(%x)
             %z = aten::exp(%y)
    Do:      watch(graph, y)
    Result:  %y = aten::neg(%x)
             %p : any = prim::profile(%y)
             %z = aten::exp(%p)
    """
    users, maker = value.users, value.node
    where = maker or value.block or graph.block
    with graph.inserting_after(where):
        node = graph.append(
            PROFILE,
            (value,),
            (ScalarType.ANY,),
            scope=None if maker is None else maker.scope,
            stack=None if maker is None else maker.stack,
            modes=None if maker is None else maker.modes,
        )
    for user in users:
        user.replace_inputs({value: node.output})
    return node


class Profile:
    """Merges what the runs of a graph find at its ``prim::profile`` nodes, and writes it there.

    Args:
        graph: the graph; functions that it calls are watched as well.

    Attributes:
        runs: how many runs there were.
        nodes: those that watch, in order.
    """

    def __init__(self, graph: Graph) -> None:
        parts = (graph, *graph.functions.values())
        self.runs = 0
        self.nodes = [n for part in parts for n in part.walk() if n.kind == PROFILE.name]
        self._found: dict[Node, TensorType | None] = {}  # None where no type fits all runs
        self._taken = {
            size.name
            for part in parts
            for value in (*part.values(), *(entry.value for entry in part.state.values()))
            if isinstance(value.type, TensorType)
            for size in value.type.shape or ()
            if isinstance(size, SymDim)
        }

    def add_run(self, found: Iterable[tuple[Node, TensorType]]) -> None:
        """Take in what one run found, in order: a node that watched, and a type. O(dimensions).

        A node may stand there several times, as one in a function that is called again does.
        """
        symbols = _Symbols(self._taken)
        seen: set[Node] = set()
        for node, type_ in found:
            # A size that differs within a run equals no other one.
            sizes = _Symbols(self._taken, keeps=False) if node in seen else symbols
            seen.add(node)
            before = self._found.get(node, type_)
            merged = None if before is None else _merged(before, type_, sizes)
            self._found[node] = merged
            node.output.type = ScalarType.ANY if merged is None else merged
        self.runs += 1


class _Symbols:
    """Names for sizes that differ: one for all that were one size before and are another in this run."""

    def __init__(self, taken: set[str], *, keeps: bool = True) -> None:
        self._taken = taken
        self._keeps = keeps  # whether a name may stay that of the first sizes that still agree
        self._kept: set[Dim] = set()
        self._known: dict[tuple[Dim, Dim], Dim] = {}

    def merged(self, before: Dim, now: Dim) -> Dim:
        """Return a size that is the same in each run, or the name of one that is not."""
        if before == now:
            return before
        key = (before, now)
        if key not in self._known:
            stays = self._keeps and isinstance(before, SymDim) and before not in self._kept
            self._known[key] = before if stays else self._new()
            self._kept.add(self._known[key])
        return self._known[key]

    def _new(self) -> SymDim:
        number = len(self._taken)
        while f"s{number}" in self._taken:
            number += 1
        self._taken.add(f"s{number}")
        return SymDim(f"s{number}")


def _merged(before: TensorType, now: TensorType, symbols: _Symbols) -> TensorType | None:
    """Return what is true of both; None if they are not on one device, or of one layout or class."""
    places = [(type_.device, type_.layout, type_.class_name) for type_ in (before, now)]
    if places[0] != places[1]:
        return None
    common = replace(
        before,
        dtype=before.dtype if before.dtype is now.dtype else None,
        requires_grad=before.requires_grad or now.requires_grad,
    )
    one, other = before.shape, now.shape
    if one is None or other is None or len(one) != len(other):
        return replace(common, shape=None, strides=None)
    if before.strides != now.strides and _strides(before) != _strides(now):
        return replace(common, shape=None, strides=None)  # a type says no sizes without strides
    return replace(common, shape=tuple(map(symbols.merged, one, other)))


def _strides(type_: TensorType) -> Iterable[int] | None:
    """Return strides in elements; None where sizes that are not known decide them."""
    if type_.strides is not None or type_.shape is None:
        return type_.strides
    sizes = tuple([size for size in type_.shape if isinstance(size, int)])
    return row_major_strides(sizes) if len(sizes) == len(type_.shape) else None
