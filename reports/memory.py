"""Memory: what state, inputs and intermediates take, and the most that is alive at once.

Note [What lives how long]
    The figures are those of a replay: a tensor's memory comes with the value that it has first, is shared by
    views and in-place results, and goes after the last node that reads any of them. State and inputs are the
    caller's and live throughout; outputs live to the end. A program run eagerly holds what its variables hold,
    so its peak is this one or higher. What operators need inside, while they run, is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ..ir import CALL, Block, FunctionRef, Graph, Node, StateKind, TensorType, Value
from ..passes.geometry import reach_of
from ..passes.storages import Storages

Sizes: TypeAlias = dict[Value, int]


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
        peak_bytes: the most that intermediates and outputs take at once.
        peak_node: the node at which they do.
        unknown: tensors without known size (sparse, ragged), which are in no figure.
    """

    parameters: int
    trainable: int
    parameter_bytes: int
    buffer_bytes: int
    input_bytes: int
    output_bytes: int
    peak_bytes: int
    peak_node: Node | None
    unknown: int

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
        unknown=meter.unknown,
    )


class _Meter:
    """Runs through blocks in order, keeping count of what is alive."""

    def __init__(self, graph: Graph) -> None:
        self.storages = Storages()
        self.unknown = 0
        self._functions = graph.functions
        self._peaks: dict[str, int] = {}

    def sum(self, values: Iterable[Value]) -> int:
        """Return the bytes of some values together."""
        return sum(self._size(value) for value in values)

    def peak(self, block: Block) -> tuple[int, Node | None]:
        """Return the most that memory made in a block takes at once, and the node at which it does."""
        inside = [0] * len(block)
        for position, node in enumerate(block):
            inside[position] = self._inner_peak(node)
            self.storages.follow(node)
        ends = self._ends(block)
        alive = most = 0
        place: Node | None = None
        sizes: Sizes = {}
        for position, node in enumerate(block):
            here = alive + inside[position]
            for value in node.outputs:
                if self.storages.root(value) is value:
                    sizes[value] = size = self._size(value)
                    alive += size
            here = max(here, alive)
            if here > most:
                most, place = here, node
            for value in ends.get(position, ()):
                alive -= sizes.get(value, 0)
        return most, place

    def _ends(self, block: Block) -> dict[int, list[Value]]:
        """Return, per position, the memory made in the block that nothing needs afterwards."""
        last: dict[Value, int] = {}
        root = self.storages.root
        for position, node in enumerate(block):
            for value in node.outputs:
                last[root(value)] = position
            for value in node.inputs:
                last[root(value)] = position
            for inner in node.blocks:
                for value in _read_inside(inner):
                    last[root(value)] = position
        for value in block.outputs:
            last.pop(root(value), None)
        ends: dict[int, list[Value]] = {}
        for value, position in last.items():
            ends.setdefault(position, []).append(value)
        return ends

    def _inner_peak(self, node: Node) -> int:
        """Return what a node's blocks, or the function that it calls, take at most while it runs."""
        if node.blocks:
            return max(self.peak(block)[0] for block in node.blocks)
        if node.operator.name != CALL:
            return 0
        callee = node.args[0]
        assert isinstance(callee, FunctionRef), "a call names its function"
        if callee.name not in self._peaks:
            self._peaks[callee.name] = 0  # what ends the search where a function calls itself
            self._peaks[callee.name] = self.peak(self._functions[callee.name].block)[0]
        return self._peaks[callee.name]

    def _size(self, value: Value) -> int:
        type_ = value.type
        if not isinstance(type_, TensorType):
            return 0
        size = type_.nbytes if type_.strides is None else reach_of(type_)
        if size is None or type_.layout.name not in ("strided", "_mkldnn"):
            self.unknown += 1
            return 0
        return size


def _read_inside(block: Block) -> list[Value]:
    read = list(block.outputs)
    for node in block:
        read.extend(node.inputs)
        for inner in node.blocks:
            read.extend(_read_inside(inner))
    return read
