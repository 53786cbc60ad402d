"""Bytes moved: what a node reads and writes of tensors in memory, each counted once.

A node is one pass over its operands and results. What a composite operator writes in between and reads again
is inside it and not seen; nor do caches count. Views move nothing. Of a table that is looked up in, the rows
that are taken count; of an expanded tensor, the elements that exist.
"""

from __future__ import annotations

from typing import Final

from ..ir import Node, TensorType, Type, Value
from ..passes.geometry import reach_of

_LOOKUPS: Final = frozenset(
    f"aten::{name}"
    for name in "embedding embedding_bag index index_select gather take _unsafe_index".split()
)
# What was in memory before is not read.
_OVERWRITES: Final = frozenset(
    f"aten::{name}"
    for name in """
    copy_ fill_ zero_ normal_ uniform_ bernoulli_ exponential_ random_ geometric_ log_normal_ cauchy_
    """.split()
)
# Writes a few elements of a large tensor: what it is given, not all that is there.
_INSERTIONS: Final = frozenset(
    f"aten::{name}"
    for name in "index_put_ index_copy_ index_fill_ index_add_ scatter_ scatter_add_ put_".split()
)


def size_of(type_: Type) -> int | None:
    """Return the bytes that a tensor's elements take, each place once; 0 for what is no tensor.

    None where that is not known: sparse and ragged tensors, and sizes known by name only.
    """
    if not isinstance(type_, TensorType):
        return 0
    if type_.layout.name != "strided":
        return None
    nbytes = type_.nbytes
    if nbytes is None or type_.strides is None:
        return nbytes
    reach = reach_of(type_)
    return nbytes if reach is None else min(nbytes, reach)


def moved_bytes(node: Node, shared: dict[Value, Value]) -> int:
    """Return what a node reads and writes, in bytes.

    Args:
        node: owns no blocks; what those move, their nodes tell.
        shared: its results that are on the memory of an operand, with that operand.
    """
    written = written_operands(node, shared)
    fresh = [value for value in node.outputs if value not in shared]
    if not written and not fresh:
        return 0
    results = sum([size_of(value.type) or 0 for value in fresh])
    base = node.operator.base_name
    operands = dict.fromkeys(node.inputs)
    if base in _LOOKUPS and node.inputs:
        del operands[node.inputs[0]]
        return 2 * results + _sum(operands)
    if base in _INSERTIONS and node.inputs:
        del operands[node.inputs[0]]
        return 2 * _sum(operands)
    stored = _sum(written)
    if base in _OVERWRITES or "out" in node.keywords:
        for value in written:
            operands.pop(value, None)
    return _sum(operands) + stored + results


def written_operands(node: Node, shared: dict[Value, Value]) -> dict[Value, None]:
    """Return the operands that a node writes to, by its schema or else by its name."""
    operator = node.operator
    if operator.parameters:
        if not any([parameter.is_written for parameter in operator.parameters]):
            return {}
        written: dict[Value, None] = {}
        args, keywords = node.args, node.kwargs
        for position, parameter in enumerate(operator.parameters):
            if parameter.is_written:
                given = args[position] if position < len(args) else keywords.get(parameter.name)
                for value in given if isinstance(given, tuple) else (given,):
                    if isinstance(value, Value):
                        written[value] = None
        return written
    base = operator.base_name
    if base.endswith("_") and not base.endswith("__"):
        return dict.fromkeys(shared.values())
    return {}


def _sum(values: dict[Value, None]) -> int:
    return sum([size_of(value.type) or 0 for value in values])
