"""What the data and the size of a value depend on, found by walking up the graph while it is built."""

from __future__ import annotations

from collections.abc import Container
from enum import Enum, auto
from functools import cache
from typing import NamedTuple

from ...ir import Effect, Node, Operator, TensorType, Value
from ...passes.size_rules import is_data_sized

_MOST_NODES = 256
_FLAGS = ("aten::requires_grad_", "prim::retain_grad")  # these set a flag and write no memory
_UNSURE = Effect.RANDOM | Effect.UNKNOWN
_UNSAID = (
    "batch_norm",
    "instance_norm",
)  # write running statistics, which their schemas do not say


def is_fixed(value: Value, constants: Container[str], handed_on: Container[Value]) -> bool:
    """Whether a value is the same at every run: computed from ``constants`` alone, without chance.

    A write through a view of it would not show in how it was made, so none of the values that went
    into it may be written to, or given to an operator of unknown effect, on the side. See
    ``ValueMap.handed_on``.
    """
    values: dict[Value, None] = {value: None}
    nodes: dict[Node, None] = {}
    pending = [value]
    while pending:
        current = pending.pop()
        node = current.node
        if node is None:
            state = current.state
            if state is None or state.name not in constants:
                return False
            continue
        if node.operator.effects & _UNSURE or node.blocks or len(nodes) >= _MOST_NODES:
            return False
        if "empty" in node.operator.base_name:  # its data is whatever was in memory
            return False
        nodes[node] = None
        for read in node.inputs:
            if read not in values:
                values[read] = None
                pending.append(read)
    return not any(is_written(read, handed_on, nodes) for read in values)


class Writes(Enum):
    """Whether recorded operators write to a value."""

    NONE = auto()  # all that read it are torch's own, and their schemas say that none does
    POSSIBLE = auto()
    CERTAIN = auto()


def is_written(value: Value, handed_on: Container[Value], apart_from: Container[Node] = ()) -> bool:
    """Whether a recorded operator certainly writes to a value or to a view of it.

    Args:
        value: what may be written.
        handed_on: results that were an argument itself, see ``ValueMap.handed_on``.
        apart_from: nodes whose writes do not count.
    """
    return _unwritten_aliases(value, handed_on, apart_from) is None


def writes_to(value: Value, handed_on: Container[Value]) -> Writes:
    """Say whether a recorded operator writes to a value or to a view of it.

    A write to what is computed from it is a possible one: schemas do not tell every view.
    """
    aliases = _unwritten_aliases(value, handed_on, ())
    if aliases is None:
        return Writes.CERTAIN
    pending, seen = list(aliases), dict(aliases)
    while pending:
        current = pending.pop()
        for user in current.users:
            if not isinstance(user, Node):
                continue
            if _memory_effect(user.operator).writes or _writes_in_blocks(user, handed_on):
                return Writes.POSSIBLE
            if current in aliases and not user.operator.name.startswith("aten::"):
                return Writes.POSSIBLE
            for output in user.outputs:
                if output not in seen:
                    seen[output] = None
                    pending.append(output)
    return Writes.NONE


def _unwritten_aliases(
    value: Value, handed_on: Container[Value], apart_from: Container[Node]
) -> dict[Value, None] | None:
    """Return a value and all that is on its memory; None if an operator writes to one of them."""
    pending, aliases = [value], {value: None}
    while pending:
        for user in pending.pop().users:
            if not isinstance(user, Node) or user in apart_from:
                continue
            effect = _memory_effect(user.operator)
            if effect.writes or effect.is_unsaid or _writes_in_blocks(user, handed_on):
                return None
            for output in user.outputs:
                if output not in aliases and (effect.keeps or output in handed_on):
                    aliases[output] = None
                    pending.append(output)
    return aliases


class _MemoryEffect(NamedTuple):
    """What an operator does with the memory of what it reads."""

    writes: bool  # to some of it, as far as its schema says
    is_unsaid: bool  # it writes, which its schema does not say
    keeps: bool  # its results may be on it


@cache
def _memory_effect(operator: Operator) -> _MemoryEffect:
    is_flag = operator.base_name in _FLAGS
    return _MemoryEffect(
        bool(operator.effects & (Effect.WRITES | Effect.UNKNOWN)) and not is_flag,
        operator.base_name.endswith(_UNSAID),
        operator.is_view or is_flag or not operator.parameters,
    )


def _writes_in_blocks(node: Node, handed_on: Container[Value]) -> bool:
    """Whether a node's blocks write to something that they are given."""
    return any(is_written(given, handed_on) for block in node.blocks for given in block.inputs)


def sizing_node(value: Value) -> Node | None:
    """Return the node whose data decides how many rows a value has, if there is such a node.

    The way up follows the values that have as many rows.
    """
    rows = rows_of(value)
    pending, seen = [value], {value: None}
    while pending and rows is not None and len(seen) < _MOST_NODES:
        node = pending.pop().node
        if node is None:
            continue
        if is_data_sized(node):
            return node
        for read in node.inputs:
            if read not in seen and rows_of(read) == rows:
                seen[read] = None
                pending.append(read)
    return None


def rows_of(value: Value) -> int | None:
    """Return the first size of a value; None where it has none that is known."""
    type_ = value.type
    shape = type_.shape if isinstance(type_, TensorType) else None
    return shape[0] if shape and isinstance(shape[0], int) else None
