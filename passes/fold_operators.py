"""Composite operators as single nodes: what stands for one in a deep trace becomes the node of a flat one.

Given:   scope fc/linear<operator> is %1 = aten::linear(%x, %w, %b)
         %0 : f32[16, 4] = aten::t(%w)                    # net.py:12:15 fc/linear<operator>
         %1 : f32[2, 4] = aten::addmm(%b, %x, %0)         # net.py:12:15 fc/linear<operator>
Result:  %1 : f32[2, 4] = aten::linear(%x, %w, %b)        # net.py:12:15 fc (Linear)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..ir import Block, Graph, Node, Scope, ScopeKind, TensorType, Value
from ..ir.arguments import values_in
from ..ir.composites import Composite, Composites, noted_composites
from ..ir.folded import Folded, fold
from .base import Pass, PassResult


@dataclass(frozen=True, slots=True)
class KeptOpen:
    """A composite operator that goes on to stand as what it calls.

    Attributes:
        operator: its name.
        scope: where that stands.
        reason: why, in words.
    """

    operator: str
    scope: Scope
    reason: str

    def __str__(self) -> str:
        return f"{self.operator} in {self.scope.address}: {self.reason}"


@dataclass(frozen=True, slots=True)
class FoldOperatorsResult(PassResult):
    """What the pass did.

    Attributes:
        folded: the operators that are one node now, with all that ``UnfoldOperators`` needs.
        kept: those that are not.
    """

    folded: tuple[Folded, ...] = ()
    kept: tuple[KeptOpen, ...] = ()

    def __str__(self) -> str:
        """Return how many operators were folded, and how many not, by reason and name."""
        lines = [f"{len(self.folded)} operators folded, {len(self.kept)} kept open"]
        reasons = Counter((kept.reason, kept.operator) for kept in self.kept)
        lines += [
            f"  {count} {operator}: {reason}" for (reason, operator), count in reasons.most_common()
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class FoldOperators(Pass):
    """Make one node of each composite operator that stands as what it calls.

    The node is the one that a flat trace would have recorded: operator, arguments, results, scope, source
    and modes. The results are the very values that they were, so all that reads them stays as it is. Of
    operators inside one another, the outermost that can be is folded.

    An operator is kept open if something outside reads what is made inside and is no result: a backward pass
    mostly, or the return. So is one that reads what was made inside another that is kept open, as autocast
    hands the cast of a weight on.

    Sound for any graph: a note of a call counts only as long as its nodes are as they were recorded, and
    the operator calls just these in just this order.

    Cost: O(nodes + arguments), times how deep operators read what was made inside others.
    """

    name: ClassVar[str] = "fold_operators"

    def run(self, graph: Graph) -> FoldOperatorsResult:
        """Fold the operators of a graph and of its functions, in place."""
        folded: list[Folded] = []
        kept: list[KeptOpen] = []
        for part in (graph, *graph.functions.values()):
            selection = _Selection(part)
            kept += selection.kept()
            folded += [fold(part, scope, selection.within(scope)) for scope in selection.folds]
        counted = {"folded": len(folded)} if folded else {}
        return FoldOperatorsResult(bool(folded), counted, tuple(folded), tuple(kept))


class _Selection:
    """Which composite operators of one graph can be folded.

    Attributes:
        folds: those, by scope.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._noted = noted_composites(graph)
        self._inside: dict[Scope | None, list[Scope]] = {}
        holding: dict[Node, list[Scope]] = {}
        for scope, composite in self._noted.items():  # outer ones first
            self._inside.setdefault(_innermost(composite.nodes[0], holding), []).append(scope)
            for node in composite.nodes:
                holding.setdefault(node, []).append(scope)
        self._obstacles: dict[Scope, str] = {}
        self._owners: dict[Node, Scope] = {}
        self._given: Counter[Value] = Counter()  # how many folds take a value as an argument
        self.folds: dict[Scope, Composite] = {}
        self._settle()

    def _settle(self) -> None:
        """Take all outermost ones, and take out what cannot be folded until all that is left can."""
        pending = self._add(None)
        while pending:
            scope = next(iter(pending))
            del pending[scope]
            composite = self.folds.get(scope)
            obstacle = None if composite is None else self._obstacle(composite)
            if composite is None or obstacle is None:
                continue
            self._obstacles[scope] = obstacle
            neighbours = self._neighbours(composite)
            del self.folds[scope]
            self._given.subtract(set(values_in(composite.args)))
            for node in composite.nodes:
                del self._owners[node]
            pending.update(neighbours)
            pending.update(self._add(scope))

    def _add(self, around: Scope | None) -> dict[Scope, None]:
        """Take the operators directly inside another one, which is kept open; return them."""
        added = dict.fromkeys(self._inside.get(around, ()))
        for scope in added:
            self.folds[scope] = self._noted[scope]
            self._owners.update(dict.fromkeys(self._noted[scope].nodes, scope))
            self._given.update(set(values_in(self._noted[scope].args)))
        return added

    def _obstacle(self, composite: Composite) -> str | None:
        """Return why an operator cannot be folded; None if it can."""
        for value in _hidden(composite):
            for user in value.users:
                if self._owner(user) is None:
                    return _use(user)
            if self._given[value] > 0:
                return "another operator is given what it makes inside"
        for value in _read_beside_arguments(composite):
            if value.node is None or self._owner(value.node) is None:
                return "it reads what was made inside another one that is kept open"
        return None

    def _neighbours(self, composite: Composite) -> dict[Scope, None]:
        """Return the folds that read what is made inside an operator, or make what it reads there."""
        makers = (value.node for value in _read_beside_arguments(composite))
        readers = (user for value in _hidden(composite) for user in value.users)
        owners = (self._owner(each) for each in (*makers, *readers) if each is not None)
        return dict.fromkeys(owner for owner in owners if owner is not None)

    def _owner(self, user: Node | Block) -> Scope | None:
        """Return the fold that a node, or the return of a block, stands in."""
        node = user if isinstance(user, Node) else user.owner
        while node is not None and node not in self._owners:
            node = None if node.block is None else node.block.owner
        return None if node is None else self._owners[node]

    def within(self, scope: Scope) -> Composites:
        """Return the notes of an operator and of those inside it."""
        found = {scope: self._noted[scope]}
        for inner in self._inside.get(scope, ()):
            found.update(self.within(inner))
        return found

    def kept(self) -> Iterator[KeptOpen]:
        """Yield the operators that are kept open, in order."""
        for scope, composite in self._noted.items():
            if scope in self._obstacles:
                yield KeptOpen(composite.operator.base_name, scope, self._obstacles[scope])
        untold: dict[Scope, None] = {}
        for node in self._graph.walk():
            if self._owner(node) is None and any(
                isinstance(v.type, TensorType) for v in node.outputs
            ):
                untold.update(dict.fromkeys(_operators_around(node.scope)))
        for scope in untold:
            if scope not in self._noted:
                reason = "what it calls is not as it was recorded, or not in one piece"
                yield KeptOpen(scope.name, scope, reason)


def _innermost(node: Node | None, holding: Mapping[Node, list[Scope]]) -> Scope | None:
    """Return the last of the scopes that hold a node, or the node that owns its block, and so on."""
    while node is not None and node not in holding:
        node = None if node.block is None else node.block.owner
    return None if node is None else holding[node][-1]


def _hidden(composite: Composite) -> Iterator[Value]:
    """Yield what is made inside an operator and is no result."""
    results = set(composite.results)
    for node in composite.nodes:
        yield from (value for value in node.outputs if value not in results)


def _read_beside_arguments(composite: Composite) -> Iterator[Value]:
    """Yield what is read inside an operator, made elsewhere, and neither an argument nor state."""
    known = set(values_in(composite.args))
    for node in composite.nodes:
        yield from (v for v in _reads(node) if v.state is None and v not in known)
        known.update(node.outputs)


def _reads(node: Node) -> Iterator[Value]:
    """Yield what a node and its blocks read of what is made outside of them."""
    yield from node.inputs
    for block in node.blocks:
        made = set(block.inputs)
        for inner in block:
            yield from (value for value in _reads(inner) if value not in made)
            made.update(inner.outputs)
        yield from (value for value in block.outputs if value not in made)


def _use(user: Node | Block) -> str:
    """Return in words that something outside reads what is made inside."""
    if isinstance(user, Block):
        return "what it makes inside is returned"
    if user.scope.is_backward:
        return "a backward pass reads what it makes inside"
    return f"{user.operator.base_name} reads what it makes inside"


def _operators_around(scope: Scope) -> Iterator[Scope]:
    if not scope.is_backward:
        chain = (scope, *scope.ancestors())
        yield from (each for each in chain if each.kind is ScopeKind.OPERATOR)
