"""Scopes after passes: each in one piece, as calls are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..ir import Block, Graph, Node, Scope, ScopeKind
from .base import Pass, PassResult


@dataclass(frozen=True, slots=True)
class FixupScopes(Pass):
    """Where nodes of a scope stand apart from the rest of it, move them to the scope that stands around them.

    Given:   %n : int = aten::sym_size.int(%x, 0)    # net.py:7:8 layers.0
             %y : f32[2] = aten::mul.Scalar(%x, 3)   # net.py:3:8
             %a : f32[2] = aten::neg(%y)             # net.py:4:8 layers.0
             %b : f32[2] = aten::exp(%a)             # net.py:5:8 layers.0
    Result:  %n : int = aten::sym_size.int(%x, 0)    # net.py:7:8
             ...

    A call is one stretch of a run, and what draws scopes as boxes, makes functions of them or adds up what
    they cost goes by that. Passes put nodes elsewhere: at the start of a graph, or where a view is made again
    for another module. The longest stretch of a scope's nodes stays what it is, the first among equals.
    Others join a scope whose stretches they stand between, and else go to the nearest scope that holds both
    them and what is beside them: a common ancestor. In each block this is done for itself, and nodes of a
    block stand in its owner's scope or below.

    Keeps order, values and sources. Scopes of a backward pass stay in pieces: they say whose gradient a node
    computes, not when. What a scope of an operator was noted to stand for no longer counts once its nodes
    are moved.

    Sound for any graph: a scope is never read by what runs. Cost: O(nodes times depth of scopes).
    """

    name: ClassVar[str] = "fixup_scopes"

    def run(self, graph: Graph) -> PassResult:
        """Put the scopes of a graph and of its functions in order."""
        moved = 0
        for part in (graph, *graph.functions.values()):
            fixup = _Fixup()
            fixup.arrange(part.block, part.root_scope)
            moved += fixup.moved
        return PassResult.of(moved=moved)


@dataclass(slots=True)
class _Stretch:
    """Nodes in a row that stand in one scope below another.

    Attributes:
        scope: that scope; None where they stand in none, or in one of a backward pass.
        nodes: the nodes.
        becomes: the scope that they are to stand in, once that is known.
        is_settled: whether it is.
    """

    scope: Scope | None
    nodes: list[Node]
    becomes: Scope | None = None
    is_settled: bool = False


class _Fixup:
    """Goes down from outer scopes to inner ones, which stand inside of one stretch by then."""

    def __init__(self) -> None:
        self.moved = 0
        self._chains: dict[Scope, list[Scope]] = {}

    def arrange(self, block: Block, around: Scope) -> None:
        """Arrange the nodes of a block, which stand in a scope, and those of blocks inside."""
        pending: list[tuple[Sequence[Node], Scope]] = [(list(block), around)]
        while pending:
            nodes, scope = pending.pop()
            if scope.is_backward:
                continue
            stretches = self._stretches(nodes, scope)
            _settle(stretches)
            pending += self._move(stretches, scope)

    def _stretches(self, nodes: Sequence[Node], around: Scope) -> list[_Stretch]:
        depth = len(self._chain(around))
        stretches: list[_Stretch] = []
        for node in nodes:
            chain = self._chain(node.scope)
            if len(chain) < depth or chain[depth - 1] is not around:
                self._put(node, around)
                chain = self._chain(around)
            below = chain[depth] if len(chain) > depth else None
            if below is not None and below.kind is ScopeKind.BACKWARD:
                below = None
            if not stretches or stretches[-1].scope is not below:
                stretches.append(_Stretch(below, [], is_settled=below is None))
            stretches[-1].nodes.append(node)
        return stretches

    def _move(
        self, stretches: list[_Stretch], around: Scope
    ) -> Iterator[tuple[Sequence[Node], Scope]]:
        """Give nodes the scopes that were settled; yield what to go on with, and where it stands."""
        piece: list[Node] = []
        last: Scope | None = None
        for stretch in stretches:
            becomes = stretch.becomes
            if becomes is not stretch.scope:
                for node in stretch.nodes:
                    self._put(node, around if becomes is None else becomes)
            if becomes is not None and becomes is last:
                piece += stretch.nodes
                continue
            last, piece = becomes, list(stretch.nodes)
            if becomes is not None:
                yield piece, becomes
                continue
            for node in piece:
                for block in node.blocks:
                    yield list(block), node.scope

    def _put(self, node: Node, scope: Scope) -> None:
        node.scope = scope
        self.moved += 1

    def _chain(self, scope: Scope) -> list[Scope]:
        found = self._chains.get(scope)
        if found is None:
            found = self._chains[scope] = scope.chain()
        return found


def _settle(stretches: list[_Stretch]) -> None:
    """Find out which stretch of each scope stays, and what becomes of the others. O(stretches)."""
    longest: dict[Scope, int] = {}
    for number, stretch in enumerate(stretches):
        if stretch.scope is not None:
            best = longest.get(stretch.scope)
            if best is None or len(stretch.nodes) > len(stretches[best].nodes):
                longest[stretch.scope] = number
    for scope, number in longest.items():
        stretches[number].becomes, stretches[number].is_settled = scope, True
    for number in longest.values():
        _take_in(stretches, number, 1)
        _take_in(stretches, number, -1)


def _take_in(stretches: list[_Stretch], number: int, step: int) -> None:
    """Take in what is beside a stretch that stays, up to others of its scope, as far as none stays there.

    Between two stretches that stay lies one row of others, which is gone through from either end at most.
    """
    scope = stretches[number].scope
    between: list[_Stretch] = []
    number += step
    while 0 <= number < len(stretches) and not stretches[number].is_settled:
        between.append(stretches[number])
        if stretches[number].scope is scope:
            for stretch in between:
                stretch.becomes, stretch.is_settled = scope, True
            between = []
        number += step
