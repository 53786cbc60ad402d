"""Bytes moved: what a node reads and writes of tensors in memory, each counted once.

A node is one pass over its operands and results. What a composite operator writes in between and reads again
is inside it and not seen; nor do caches count. Views move nothing. Of a table that is looked up in, the rows
that are taken count; of an expanded tensor, the elements that exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..ir import Node, Operator, TensorType, Type, Value
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


class Sizes:
    """The sizes of tensors in bytes, worked out once per type."""

    def __init__(self) -> None:
        # By the type's address; holds the type, so that the address stays its own.
        self._known: dict[int, tuple[Type, int | None]] = {}

    def of(self, type_: Type) -> int | None:
        """Return the bytes that a tensor's elements take, each place once; 0 for what is no tensor.

        None where that is not known: sparse and ragged tensors, and sizes known by name only.
        """
        known = self._known.get(id(type_))
        if known is None:
            known = self._known[id(type_)] = (type_, _bytes_of(type_))
        return known[1]

    def sum(self, values: Iterable[Value]) -> int:
        """Return the known bytes of some values together."""
        return sum([self.of(value.type) or 0 for value in values])


def _bytes_of(type_: Type) -> int | None:
    if not isinstance(type_, TensorType):
        return 0
    if type_.layout.name not in ("strided", "_mkldnn"):
        return None
    nbytes = type_.nbytes
    if nbytes is None or type_.strides is None:
        return nbytes
    reach = reach_of(type_)
    return nbytes if reach is None else min(nbytes, reach)


@dataclass(frozen=True, slots=True)
class _Access:
    """How an operator goes through memory.

    Attributes:
        written: the parameters that it writes, by position and name; None where there is no schema.
        writes_first: whether it writes its first operand, by its name alone.
        is_lookup: whether it reads of its first operand only what it returns.
        is_insertion: whether it changes of its first operand only what it is given.
        overwrites: whether it does not read what it writes.
    """

    written: tuple[tuple[int, str], ...]
    writes_first: bool
    is_lookup: bool
    is_insertion: bool
    overwrites: bool


@lru_cache(maxsize=4096)
def _access_of(operator: Operator) -> _Access:
    base = operator.base_name
    written = [(i, p.name) for i, p in enumerate(operator.parameters) if p.is_written]
    names_a_write = base.endswith("_") and not base.endswith("__")
    return _Access(
        tuple(written),
        not operator.parameters and names_a_write,
        base in _LOOKUPS,
        base in _INSERTIONS,
        base in _OVERWRITES,
    )


def moved_bytes(node: Node, shared: Mapping[Value, Value], sizes: Sizes) -> int:
    """Return what a node reads and writes, in bytes.

    Args:
        node: owns no blocks; what those move, their nodes tell.
        shared: results that are on the memory of an operand, with that operand.
        sizes: of types.
    """
    access = _access_of(node.operator)
    fresh = [value for value in node.outputs if value not in shared]
    written: dict[Value, None] = {}
    if access.writes_first and node.inputs:
        written[node.inputs[0]] = None
    elif access.written:
        written = _written(node, access)
    if not written and not fresh:
        return 0
    results = sizes.sum(fresh)
    operands = dict.fromkeys(node.inputs)
    if (access.is_lookup or access.is_insertion) and operands:
        del operands[node.inputs[0]]
        return 2 * results + sizes.sum(operands) if access.is_lookup else 2 * sizes.sum(operands)
    stored = sizes.sum(written)
    if access.overwrites or "out" in node.keywords:
        for value in written:
            operands.pop(value, None)
    return sizes.sum(operands) + stored + results


def _written(node: Node, access: _Access) -> dict[Value, None]:
    """Return the operands that a node writes to, by its schema."""
    written: dict[Value, None] = {}
    args, keywords = node.args, node.kwargs
    for position, name in access.written:
        given = args[position] if position < len(args) else keywords.get(name)
        for value in given if isinstance(given, tuple) else (given,):
            if isinstance(value, Value):
                written[value] = None
    return written
