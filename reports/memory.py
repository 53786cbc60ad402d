"""Memory: what state, inputs and intermediates take, what backward keeps, and the most that is alive at once.

Note [What lives how long]
    The figures are those of a replay. A tensor's memory comes with the value that it has first, is shared by
    views and in-place results, and goes after the last node that reads any of them, unless autograd has saved
    it: then it stays as long as something is alive that gradients may flow from. State and inputs are the
    caller's and live throughout; outputs live to the end. A program run eagerly holds what its variables hold
    besides, so its peak is this one or higher. What operators need inside, while they run, is not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..ir import CALL, Block, FunctionRef, Graph, Node, StateKind, TensorType, Type, Value
from ..passes.geometry import reach_of
from ..passes.storages import Storages
from .saved_tensors import is_recorded, saved_by


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of tensors, by what they are.

    Attributes:
        parameters: numbers in parameters, each once.
        trainable: those among them that require gradients.
        parameter_bytes: their size.
        buffer_bytes: buffers and constants.
        input_bytes: the graph's inputs.
        output_bytes: the results that go out and are not on the memory of inputs or state.
        peak_bytes: the most that intermediates, outputs and what autograd saves take at once.
        peak_node: the node at which they do.
        shared: each result that is on the memory of an operand, with that operand.
        saved: what autograd saves of each node that was not saved before, state and inputs aside.
        unknown: tensors without known size (sparse, ragged), which are in no figure.
        unknown_saved: operators of which is not known what autograd saves.
    """

    parameters: int
    trainable: int
    parameter_bytes: int
    buffer_bytes: int
    input_bytes: int
    output_bytes: int
    peak_bytes: int
    peak_node: Node | None
    shared: Mapping[Value, Value] = field(repr=False)
    saved: Mapping[Node, int] = field(repr=False)
    unknown: int
    unknown_saved: Counter[str]

    @property
    def total_bytes(self) -> int:
        """State, inputs, and the peak of all else."""
        return self.parameter_bytes + self.buffer_bytes + self.input_bytes + self.peak_bytes


def memory_of(graph: Graph) -> Memory:
    """Return what a graph needs of memory. O(size)."""
    parameters = [e for e in graph.state.values() if e.kind is StateKind.PARAMETER]
    others = [e for e in graph.state.values() if e.kind is not StateKind.PARAMETER]
    types = [e.value.type for e in parameters if isinstance(e.value.type, TensorType)]
    meter = _Meter(graph)
    peak, node = meter.peak(graph.block)
    outputs = {meter.storages.root(value): None for value in graph.outputs}
    return Memory(
        parameters=sum(type_.numel or 0 for type_ in types),
        trainable=sum(type_.numel or 0 for type_ in types if type_.requires_grad),
        parameter_bytes=meter.sum(e.value for e in parameters),
        buffer_bytes=meter.sum(e.value for e in others),
        input_bytes=meter.sum(graph.inputs),
        output_bytes=meter.sum(value for value in outputs if value.node is not None),
        peak_bytes=peak,
        peak_node=node,
        shared=meter.storages.shared,
        saved=meter.saved,
        unknown=len(meter.unknown),
        unknown_saved=meter.unknown_saved,
    )


class _Meter:
    """Runs through blocks in order, keeping count of what is alive."""

    def __init__(self, graph: Graph) -> None:
        self.storages = Storages()
        self.saved: dict[Node, int] = {}
        self.unknown: set[Value] = set()
        self.unknown_saved: Counter[str] = Counter()
        self._functions = graph.functions
        self._calls: dict[str, tuple[int, int]] = {}
        self._sizes: dict[Value, int] = {}
        # By the type's id, with the type, so that ids stay its own.
        self._by_type: dict[int, tuple[Type, int | None]] = {}
        self._is_saved: set[Value] = set()

    def sum(self, values: Iterable[Value]) -> int:
        """Return the bytes of some values together."""
        return sum(self._size(value) for value in values)

    def peak(self, block: Block) -> tuple[int, Node | None]:
        """Return the most that memory made in a block takes at once, and the node at which it does."""
        life = _Life(block)
        inside: dict[int, int] = {}
        root = self.storages.root
        for position, node in enumerate(life.nodes):
            if node.blocks:
                inside[position] = max(self.peak(inner)[0] for inner in node.blocks)
            elif node.operator.name == CALL:
                inside[position], kept = self._of_function(node)
                life.keep(position, (), kept)
            self.storages.follow(node)
            for value in node.outputs:
                if root(value) is value:
                    self._sizes[value] = self._size(value)
            if is_recorded(node):
                life.keep(position, *self._save(node))
        ends = life.ends(self.storages)
        alive = most = 0
        own: dict[Value, int] = {}  # what is alive and was made in this block
        place: Node | None = None
        for position, node in enumerate(life.nodes):
            during = alive + inside.get(position, 0)
            alive += life.hidden.get(position, 0)
            for value in node.outputs:
                if root(value) is value:
                    own[value] = size = self._sizes[value]
                    alive += size
            if max(alive, during) > most:
                most, place = max(alive, during), node
            for end in ends.get(position, ()):
                alive -= life.hidden[end] if isinstance(end, int) else own.pop(end, 0)
        return most, place

    def _save(self, node: Node) -> tuple[tuple[Value, ...], int]:
        """Return what autograd keeps of a node: memory made in the graph, and bytes besides."""
        kept = saved_by(node)
        if kept is None:
            if node.operator.name != CALL and not any(
                value in self.storages.shared for value in node.outputs
            ):
                self.unknown_saved[node.operator.base_name] += 1
            return (), 0
        roots = tuple([self.storages.root(value) for value in kept.values])
        made = tuple([value for value in roots if value in self._sizes])
        fresh = [value for value in dict.fromkeys(made) if value not in self._is_saved]
        self._is_saved.update(fresh)
        size = kept.hidden_bytes + sum([self._sizes[value] for value in fresh])
        if size:
            self.saved[node] = size
        return made, kept.hidden_bytes

    def _of_function(self, call: Node) -> tuple[int, int]:
        """Return what a function takes at most while it runs, and what autograd saves of it."""
        callee = call.args[0]
        assert isinstance(callee, FunctionRef), "a call names its function"
        if callee.name not in self._calls:
            self._calls[callee.name] = 0, 0  # what ends the search where a function calls itself
            block = self._functions[callee.name].block
            peak, _ = self.peak(block)
            self._calls[callee.name] = peak, sum(self.saved.get(node, 0) for node in block)
        return self._calls[callee.name]

    def _size(self, value: Value) -> int:
        type_ = value.type
        known = self._by_type.get(id(type_))
        if known is None:
            known = self._by_type[id(type_)] = (type_, _storage_bytes(type_))
        if known[1] is None:
            self.unknown.add(value)
        return known[1] or 0


def _storage_bytes(type_: Type) -> int | None:
    """Return the bytes of a tensor's own memory; 0 for what is no tensor, None where that is not known."""
    if not isinstance(type_, TensorType):
        return 0
    if type_.layout.name not in ("strided", "_mkldnn"):
        return None
    return type_.nbytes if type_.strides is None else reach_of(type_)


class _Life:
    """How long each memory made in a block is needed, by Python and by autograd.

    Attributes:
        nodes: the nodes of the block by position.
        hidden: bytes that autograd keeps of a node and no value stands for.
    """

    def __init__(self, block: Block) -> None:
        self.nodes = list(block)
        self.hidden: dict[int, int] = {}
        self._outputs = set(block.outputs)
        self._kept: dict[int, tuple[Value, ...]] = {}

    def keep(self, position: int, values: tuple[Value, ...], hidden: int) -> None:
        """Note that autograd has a record of a node, and what it keeps for that."""
        self._kept[position] = values
        if hidden:
            self.hidden[position] = hidden

    def ends(self, storages: Storages) -> dict[int, list[Value | int]]:
        """Return, per position, what nothing needs afterwards: memory, and positions in ``hidden``."""
        never = len(self.nodes)
        root = storages.root
        last: dict[Value, int] = dict.fromkeys(self._outputs, never)
        memory: dict[Value, int] = {root(value): never for value in self._outputs}
        records: dict[Value, int] = {}  # until when the record of what made a value is alive
        ends: dict[int, list[Value | int]] = {}
        for position in range(never - 1, -1, -1):
            node = self.nodes[position]
            for value in (*node.outputs, *node.inputs, *_read_by_blocks(node)):
                last.setdefault(value, position)
                memory.setdefault(root(value), position)
            kept = self._kept.get(position)
            if kept is None:
                continue
            until = max(
                [max(last[value], records.get(value, 0)) for value in node.outputs],
                default=position,
            )
            for value in node.inputs:
                records[value] = max(records.get(value, 0), until)
            for value in kept:
                memory[value] = max(memory.get(value, position), until)
            if position in self.hidden:
                ends.setdefault(until, []).append(position)
        for value, position in memory.items():
            ends.setdefault(position, []).append(value)
        return ends


def _read_by_blocks(node: Node) -> list[Value]:
    read: list[Value] = []
    for block in node.blocks:
        read.extend(block.outputs)
        for inner in block:
            read.extend(inner.inputs)
            read.extend(_read_by_blocks(inner))
    return read
