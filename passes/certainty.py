"""What of the types in a graph holds at every replay.

Note [Types are those of the trace]
    A replay may run at other sizes than the trace, on tensors that are laid out otherwise, and inside a
    caller's automatic mixed precision, which gives products another dtype. Of what a value's type says,
    number of dimensions, device and layout hold always; a dtype where nothing that a caller may turn on
    can change it on the way from the inputs; strides and sizes hardly ever.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Final, TypeAlias

from ..ir import (
    Argument,
    Block,
    DType,
    Effect,
    Graph,
    Node,
    StateEntry,
    StateKind,
    TensorType,
    Value,
)
from .alias_analysis import AliasAnalysis, Memory
from .hidden_writes import may_write_untold
from .storages import may_share

_Needs: TypeAlias = "bool | tuple[Value, ...]"
_SHAPES_LITERALLY: Final = ("aten::view", "aten::reshape", "aten::expand")


class CertainTypes:
    """Answers what is certain of the values of a graph. O(size) for all answers together.

    Nodes that are added later may be asked about as well, as long as what they write is no more than what
    is written already.

    Args:
        graph: the graph.
        memory: which of its values may share memory.
        is_function: whether other graphs call it, so that nothing checks what it is given.
    """

    def __init__(self, graph: Graph, memory: AliasAnalysis, *, is_function: bool = False) -> None:
        self._graph = graph
        self._memory = memory
        self._is_function = is_function
        self._known: dict[Value, bool] = {}

    def dtype(self, value: Value) -> DType | None:
        """Return the dtype that a tensor has at each replay; None where it may have another one."""
        type_ = value.type
        if not isinstance(type_, TensorType) or not self._holds(value):
            return None
        return type_.dtype

    def is_dense(self, value: Value) -> bool:
        """Whether a tensor's elements fill memory without gaps at each replay, in whatever order.

        An operator that works element by element keeps that order, so its result has the same strides.
        """
        node = value.node
        return (
            node is not None
            and node.operator.is_pointwise
            and _is_plain(value.type)
            and len(node.outputs) == 1
            and not any(True for _ in may_share(node))
            and not self.may_be_reshaped(value)
        )

    def may_be_reshaped(self, value: Value) -> bool:
        """Whether a node may give a tensor other sizes, strides, dtype or memory in place."""
        return self._memory.memory_of(value) in self._reshaped

    def size(self, value: Value, dimension: int) -> Hashable:
        """Return what stands for a size: equal for sizes that are equal at each replay. O(1) amortized."""
        while True:
            if self.may_be_reshaped(value):
                return value, dimension, "may change"
            node = value.node
            if node is None:
                return value, dimension
            if node.operator.base_name in _SHAPES_LITERALLY and len(node.args) > 1:
                return self._told(node.args[1], dimension) or (value, dimension)
            source = _same_sizes(node)
            if source is None:
                return value, dimension
            value = source

    def size_told(self, arg: Argument) -> Hashable:
        """Return what stands for a size that is an argument; None for one that torch is to find out."""
        if isinstance(arg, Value):
            node = arg.node
            if node is None or node.kind != "aten::sym_size.int" or len(node.args) != 2:
                return arg
            tensor, dimension = node.args
            if not isinstance(tensor, Value) or not isinstance(dimension, int):
                return arg
            rank = tensor.type.rank if isinstance(tensor.type, TensorType) else None
            if rank is None or not -rank <= dimension < rank:
                return arg
            return self.size(tensor, dimension % rank)
        if arg.__class__ is int and isinstance(arg, int) and arg >= 0:
            return arg
        return None

    def _told(self, sizes: Argument, dimension: int) -> Hashable:
        if not isinstance(sizes, tuple) or dimension >= len(sizes):
            return None
        arg = sizes[dimension]
        return arg if arg.__class__ is int and isinstance(arg, int) and arg >= 0 else None

    def _holds(self, value: Value) -> bool:
        """Whether the dtype of a value is certain: it is if those are that it comes from."""
        known, waiting = self._known, [value]
        while waiting:
            asked = waiting[-1]
            if asked in known:
                waiting.pop()
                continue
            needs = self._needs(asked)
            if isinstance(needs, tuple):
                unknown = [other for other in needs if other not in known]
                if unknown:
                    waiting += unknown
                    continue
                needs = all(known[other] for other in needs)
            known[asked] = needs
            waiting.pop()
        return known[value]

    def _needs(self, value: Value) -> _Needs:
        """Return whether the dtype of a value is certain, or of which others it must be."""
        type_ = value.type
        if not _is_plain(type_) or self.may_be_reshaped(value):
            return False
        definer = value.definer
        if isinstance(definer, StateEntry):
            return not self._is_function and definer.kind is not StateKind.NUMBER
        if isinstance(definer, Block):
            return definer is self._graph.block and not self._is_function
        node = definer
        if node.blocks or not node.kind.startswith("aten::") or len(node.outputs) != 1:
            return False
        if _dtype_told(node) == type_.dtype:  # type: ignore[union-attr]
            return True
        tensors = [v for v in node.inputs if isinstance(v.type, TensorType)]
        if node.operator.is_view and tensors and _dtype(tensors[0]) == _dtype(value):
            return tuple(tensors)  # ``to`` may be given another tensor, whose dtype it takes
        written = [p.name for p in node.operator.parameters if p.is_written]
        if written and len(node.operator.returns) == 1:
            return node.values_of(written[0]) or False
        if tensors and (not node.operator.casts or self._is_settled(node, tensors)):
            return tuple(tensors)
        return False

    def _is_settled(self, node: Node, tensors: Sequence[Value]) -> bool:
        """Whether the program itself says in which mixed precision a node runs."""
        if self._is_function:
            return False
        modes, ambient = node.modes, self._graph.modes
        devices = {v.type.device.type for v in tensors if isinstance(v.type, TensorType)}
        return all(
            device in modes.fixed or modes.autocast_on(device) != ambient.autocast_on(device)
            for device in devices
        )

    @cached_property
    def _reshaped(self) -> frozenset[Memory]:
        """The memory of tensors that may get another dtype, or other sizes or strides, in place."""
        reshaped: set[Memory] = set()
        for node in self._graph.walk():
            if Effect.RESHAPES in node.operator.effects or may_write_untold(node.operator):
                reshaped.update(self._memory.written_by(node))
        return frozenset(reshaped)


def _is_plain(type_: object) -> bool:
    return (
        isinstance(type_, TensorType)
        and type_.dtype is not None
        and not type_.class_name
        and type_.layout.name == "strided"
    )


def _dtype(value: Value) -> DType | None:
    return value.type.dtype if isinstance(value.type, TensorType) else None


def _dtype_told(node: Node) -> DType | None:
    """Return the dtype that a node is told to give; None if it is told none."""
    for position, parameter in enumerate(node.operator.parameters):
        if parameter.name == "dtype":
            args = node.args
            given = args[position] if position < len(args) else node.kwargs.get("dtype")
            return given if isinstance(given, DType) else None
    return None


def _same_sizes(node: Node) -> Value | None:
    """Return the only tensor that a node reads, if its result has the sizes of that."""
    operator = node.operator
    if not operator.is_pointwise or operator.effects or len(node.outputs) != 1:
        return None
    tensors = [value for value in node.inputs if isinstance(value.type, TensorType)]
    return tensors[0] if len(tensors) == 1 and len(node.inputs) == 1 else None
