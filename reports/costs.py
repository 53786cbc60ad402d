"""Costs: what the nodes of a graph cost, summed up by scope, source and operator.

Note [What runs how often]
    A graph is a list of nodes that run once, except inside blocks and called functions. A call costs what
    its function costs. The arms of a condition are alternatives, so the one with more FLOPs counts; ``scan``
    and ``map`` run once per slice, which the types tell; ``vmap`` runs what depends on its batch for all of
    it. How often a ``while_loop`` turns is data: its blocks count once, and a note says so, as where
    something else inside a node cannot be seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from ..ir import (
    CALL,
    Argument,
    Block,
    FunctionRef,
    Graph,
    Node,
    Scope,
    ScopeKind,
    SourceRange,
    TensorType,
    Value,
)
from ..ir.collectives import collective_of
from ..ir.scalars import scalar_named
from .communication import Communication
from .flops import FlopCounter, Uncounted
from .memory import Memory
from .phases import Phase, Phases
from .traffic import Sizes, moved_bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One level of scopes, whichever call of it: a module by its name, a function, a region.

    A function of the graph that is called is one too, with no kind of scope.
    """

    kind: ScopeKind | None
    name: str
    class_name: str = ""


Path: TypeAlias = tuple[Step, ...]


@dataclass(slots=True)
class Costs:
    """What some nodes cost together.

    Attributes:
        nodes: how many of them run.
        flops: see Note [What counts as a FLOP] in ``formulas.py``.
        moved_bytes: read and written, see ``traffic.py``.
        activation_bytes: memory that came with their results; views and in-place results have none.
        saved_bytes: what autograd keeps of them for backward, see ``saved_tensors.py``.
        message_bytes: what they send between processes, see ``communication.py``.
        duration_s: how long they took, where that was measured.
    """

    nodes: int = 0
    flops: int = 0
    moved_bytes: int = 0
    activation_bytes: int = 0
    saved_bytes: int = 0
    message_bytes: int = 0
    duration_s: float = 0.0

    def add(self, other: Costs, times: int = 1) -> None:
        """Add what other nodes cost, run so many times."""
        self.nodes += other.nodes * times
        self.flops += other.flops * times
        self.moved_bytes += other.moved_bytes * times
        self.activation_bytes += other.activation_bytes * times
        self.saved_bytes += other.saved_bytes * times
        self.message_bytes += other.message_bytes * times
        self.duration_s += other.duration_s * times


@dataclass(slots=True)
class Tally:
    """The costs of the nodes that share a place.

    Attributes:
        path: the scopes they stand in, outermost first.
        line: file and line of the source; None where that is not known.
        operator: the name without overload.
        phase: what they are part of.
        costs: their sum.
        state: the values of state, or inputs of a function, that they read.
        is_placed: whether the scopes are those of the forward that a backward belongs to.
    """

    path: Path
    line: tuple[str, int] | None
    operator: str
    phase: Phase
    costs: Costs = field(default_factory=Costs)
    state: dict[Value, None] = field(default_factory=dict)
    is_placed: bool = False


@dataclass(slots=True)
class Ledger:
    """All costs of a graph.

    Attributes:
        tallies: the costs by place.
        calls: how often each scope is entered.
        uncounted: operators whose FLOPs are not known, by name and reason.
        notes: what else is not as it seems, in words.
        communication: the collectives.
        files: for each file of sources, a range in it, which leads to its lines.
    """

    tallies: list[Tally] = field(default_factory=list)
    calls: Counter[Path] = field(default_factory=Counter)
    uncounted: Counter[Uncounted] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    communication: Communication = field(default_factory=Communication)
    files: dict[str, SourceRange] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        """The FLOPs of all nodes."""
        return sum(tally.costs.flops for tally in self.tallies)


_UNSEEN: Final = {
    "functorch::grad": "gradients computed inside it are not in the graph, and not counted",
    "functorch::grad_and_value": "gradients computed inside it are not in the graph, and not counted",
    "functorch::jvp": "tangents computed inside it are not in the graph, and not counted",
    "functorch::linearize": "tangents computed inside it are not in the graph, and not counted",
    "higher_order::while_loop": "how often it turns is data; condition and body count once",
    "higher_order::while_loop_stack_output": "how often it turns is data; condition and body count once",
    "higher_order::associative_scan": "its function counts once",
    "higher_order::cond": "the arm with more FLOPs counts",
    "higher_order::switch": "the arm with the most FLOPs counts",
    "higher_order::register_hook": "a hook runs in backward; it counts once",
}
_CHOOSING: Final = frozenset(("higher_order::cond", "higher_order::switch"))
_BATCHED: Final = frozenset(("functorch::vmap", "functorch::legacy_vmap"))
_SLICED: Final = {"higher_order::scan": 1, "higher_order::map_impl": 0}
"""Operators that run their block once per slice, with the argument that holds what is sliced."""


def costs_of(graph: Graph, memory: Memory, durations: Mapping[Node, float] | None = None) -> Ledger:
    """Return what a graph costs, its functions counted for each call. O(size).

    Args:
        graph: what is counted.
        memory: which of its results are on which memory, and what autograd saves of its nodes.
        durations: how long nodes took, in seconds, blocks and called functions included.
    """
    return _Accountant(graph, memory, durations or {}).ledger(graph)


class _Accountant:
    """Adds up a graph and, once each, the functions that it calls."""

    def __init__(self, graph: Graph, memory: Memory, durations: Mapping[Node, float]) -> None:
        self._functions = graph.functions
        self._memory = memory
        self._durations = durations
        self._ledgers: dict[str, Ledger] = {}

    def ledger(self, graph: Graph) -> Ledger:
        book = _Book(graph, Phases(graph.walk()), self._memory, self._durations)
        self._take(graph.block, book, 1)
        book.ledger.tallies.extend(book.tallies.values())
        book.count_calls()
        return book.ledger

    def _take(self, block: Block, book: _Book, times: int) -> None:
        for node in block:
            self._take_node(node, book, times)

    def _take_node(self, node: Node, book: _Book, times: int) -> None:
        if scalar_named(node.operator.name) is not None:
            return  # a size, or a condition on one: no work on tensors
        if node.blocks:
            self._take_owner(node, book, times)
        elif node.operator.name == CALL:
            self._take_call(node, book, times)
        else:
            book.enter(node, times)

    def _take_batch(self, node: Node, book: _Book, times: int) -> None:
        """Count what ``vmap`` runs: once per element of the batch, once if it depends on none."""
        block = node.blocks[0]
        dims = node.kwargs.get("in_dims")
        size = 1
        varying: set[Value] = set()
        for given, inner, dim in zip(
            node.args, block.inputs, dims if isinstance(dims, tuple) else (), strict=False
        ):
            if isinstance(dim, int):
                size = _length(given, dim)
                varying.add(inner)
        for part in block:
            varies = bool(part.blocks) or not varying.isdisjoint(part.inputs)
            if varies:
                varying.update(part.outputs)
            self._take_node(part, book, times * size if varies else times)

    def _take_owner(self, node: Node, book: _Book, times: int) -> None:
        """Count a node by its blocks, or by its own formula where it has one."""
        note = _UNSEEN.get(node.kind)
        if note is not None:
            book.ledger.notes[f"{node.kind}: {note}"] += times
        counted = book.flops.formula(node) is not None
        book.enter(node, times, owns_blocks=not counted)
        if counted:
            return
        if node.kind in _CHOOSING:
            arms = [self._apart(block, book, times) for block in node.blocks]
            book.merge(max(arms, key=_weight))
            return
        if node.kind in _BATCHED:
            self._take_batch(node, book, times)
            return
        for block in node.blocks:
            self._take(block, book, times * _slices(node))

    def _apart(self, block: Block, book: _Book, times: int) -> _Book:
        arm = book.fork()
        self._take(block, arm, times)
        return arm

    def _take_call(self, node: Node, book: _Book, times: int) -> None:
        callee = node.args[0]
        assert isinstance(callee, FunctionRef), "a call names its function"
        known = self._ledgers.get(callee.name)
        if known is None:
            # A function that calls itself would never end; its own calls then count as none.
            self._ledgers[callee.name] = Ledger()
            known = self._ledgers[callee.name] = self.ledger(self._functions[callee.name])
        inputs = self._functions[callee.name].inputs
        book.enter(node, times, owns_blocks=True)
        book.graft(node, callee.name, known, dict(zip(inputs, node.inputs, strict=False)), times)


def _is_backward(scope: Scope) -> bool:
    """Whether a scope is of a backward pass, which runs through the modules of its forward again."""
    return any(part.kind is ScopeKind.BACKWARD for part in scope.chain())


class _Price(NamedTuple):
    """What one node costs."""

    flops: int | Uncounted
    moved_bytes: int
    activation_bytes: int


def _call_of(node: Node) -> Hashable:
    """Return what the price of a node depends on: operator, literals, types, and whether operands repeat."""
    args = tuple([_type_or_literal(arg) for arg in node.all_args])
    results = tuple([id(value.type) for value in node.outputs])
    return node.operator, args, len(set(node.inputs)), results


def _type_or_literal(arg: Argument) -> Hashable:
    if isinstance(arg, Value):
        return id(arg.type)
    if isinstance(arg, tuple):
        return tuple([_type_or_literal(item) for item in arg])
    return (arg,)  # apart from the number of a type


class _Book:
    """The tallies of one graph while they are made."""

    def __init__(
        self, graph: Graph, phases: Phases, memory: Memory, durations: Mapping[Node, float]
    ) -> None:
        self.graph = graph
        self.phases = phases
        self._memory = memory
        self._durations = durations
        self._sizes = Sizes()
        self._prices: dict[Hashable, _Price] = {}
        self.flops = FlopCounter()
        self.ledger = Ledger()
        self.tallies: dict[object, Tally] = {}
        self._paths: dict[Scope, Path] = {}
        self._scopes: dict[Scope, None] = {}
        self._external = {*graph.inputs, *(entry.value for entry in graph.state.values())}

    def fork(self) -> _Book:
        """Return an empty book for a part of the graph."""
        return _Book(self.graph, self.phases, self._memory, self._durations)

    def merge(self, other: _Book) -> None:
        """Take in what another book of the same graph holds."""
        for key, tally in other.tallies.items():
            own = self._tally(key, tally.path, tally.line, tally.operator, tally.phase)
            own.costs.add(tally.costs)
            own.state.update(tally.state)
        self._scopes.update(other._scopes)
        self.ledger.calls.update(other.ledger.calls)
        self.ledger.uncounted.update(other.ledger.uncounted)
        self.ledger.notes.update(other.ledger.notes)
        self.ledger.communication.add(other.ledger.communication)
        self.ledger.files.update(other.ledger.files)

    def enter(self, node: Node, times: int, *, owns_blocks: bool = False) -> None:
        """Count one node; of one that owns blocks only that it is there and what it reads."""
        tally = self._tally_of(node)
        costs = tally.costs
        costs.nodes += times
        costs.saved_bytes += self._memory.saved.get(node, 0) * times
        costs.duration_s += self._durations.get(node, 0.0)
        for value in node.inputs:
            if value in self._external:
                tally.state[value] = None
        if owns_blocks:
            return
        key = _call_of(node)
        price = self._prices.get(key)
        if price is None:
            price = self._prices[key] = self._price_of(node)
        if isinstance(price.flops, Uncounted):
            self.ledger.uncounted[price.flops] += times
        else:
            costs.flops += price.flops * times
        collective = collective_of(node)
        if collective is not None:
            costs.message_bytes += (collective.message_bytes or 0) * times
            self.ledger.communication.enter(collective, times)
        costs.moved_bytes += price.moved_bytes * times
        costs.activation_bytes += price.activation_bytes * times

    def _price_of(self, node: Node) -> _Price:
        shared = self._memory.shared
        fresh = [value for value in node.outputs if value not in shared]
        moved = moved_bytes(node, shared, self._sizes)
        return _Price(self.flops.count(node), moved, self._sizes.sum(fresh))

    def graft(
        self, call: Node, name: str, callee: Ledger, values: dict[Value, Value], times: int
    ) -> None:
        """Count what a called function costs, below the scope of the call."""
        path = (*self._path(call.scope), Step(None, f"@{name}"))
        phase = self.phases.of(call)
        self._note_scope(call.scope)
        self.ledger.calls[path] += times
        for inner, count in callee.calls.items():
            if inner:
                self.ledger.calls[path + inner] += count * times
        for tally in callee.tallies:
            inside = tally.phase if phase is Phase.FORWARD else phase
            key = (path, tally.path, tally.line, tally.operator, inside)
            own = self._tally(key, path + tally.path, tally.line, tally.operator, inside)
            own.costs.add(tally.costs, times)
            for value in tally.state:
                outer = values.get(value)
                if outer is not None and outer in self._external:
                    own.state[outer] = None
        for uncounted, count in callee.uncounted.items():
            self.ledger.uncounted[uncounted] += count * times
        for note, count in callee.notes.items():
            self.ledger.notes[note] += count * times
        self.ledger.communication.add(callee.communication, times)
        self.ledger.files.update(callee.files)

    def count_calls(self) -> None:
        """Count how often each path was entered: once per scope that leads to it."""
        for scope in self._scopes:
            if not _is_backward(scope):
                self.ledger.calls[self._path(scope)] += 1

    def _tally_of(self, node: Node) -> Tally:
        key = (node.scope, node.stack, node.operator)
        known = self.tallies.get(key)
        if known is not None:
            return known
        self._note_scope(node.scope)
        source = node.source
        line = None
        if source is not None:
            line = (source.file, source.line)
            self.ledger.files[source.file] = source
        tally = self._tally(
            key, self._path(node.scope), line, node.operator.base_name, self.phases.of(node)
        )
        tally.is_placed = _is_backward(node.scope)
        return tally

    def _tally(
        self, key: object, path: Path, line: tuple[str, int] | None, operator: str, phase: Phase
    ) -> Tally:
        tally = self.tallies.get(key)
        if tally is None:
            tally = self.tallies[key] = Tally(path, line, operator, phase)
        return tally

    def _note_scope(self, scope: Scope) -> None:
        part: Scope | None = scope
        while part is not None and part not in self._scopes:
            self._scopes[part] = None
            part = part.parent

    def _path(self, scope: Scope) -> Path:
        known = self._paths.get(scope)
        if known is None:
            if scope.parent is None:
                known = ()
            else:
                known = self._path(scope.parent)
                # The costs of a backward pass are those of its forward's modules.
                if scope.kind is not ScopeKind.BACKWARD:
                    known = (*known, Step(scope.kind, scope.name, scope.class_name))
            self._paths[scope] = known
        return known


def _weight(book: _Book) -> tuple[int, int]:
    costs = Costs()
    for tally in book.tallies.values():
        costs.add(tally.costs)
    return costs.flops, costs.moved_bytes


def _slices(node: Node) -> int:
    """Return how often a node runs its block: once for each slice, where it takes any; else 1."""
    if node.kind not in _SLICED:
        return 1
    slices = node.args[_SLICED[node.kind]]
    return _length(slices[0], 0) if isinstance(slices, tuple) and slices else 1


def _length(value: Argument, dim: int) -> int:
    if isinstance(value, Value) and isinstance(value.type, TensorType):
        shape = value.type.shape or ()
        if -len(shape) <= dim < len(shape):
            size = shape[dim]
            if isinstance(size, int):
                return size
    return 1
