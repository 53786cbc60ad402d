"""Storages: which values of a graph are on the same memory, as far as schemas and types tell.

Unlike ``aliases.py`` this asks nobody about torch's operators, so it serves a graph that was read where torch
is not installed. What a schema leaves open (``reshape`` gives a view or a copy) the types decide: a copy has
other strides than the view would have, or there is no such view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice, product
from typing import Final, TypeAlias

from ..ir import Block, Effect, Node, Operator, TensorType, Value
from ..ir.arguments import values_in
from ..ir.collectives import rule_of
from ..ir.own_operators import OPERAND_OF
from .geometry import strides_of

# Always on the memory of their first operand, element by element of what they return.
_VIEWS: Final = frozenset(
    f"aten::{name}"
    for name in """
    _conj _neg_view _unsafe_view _reshape_alias adjoint alias as_strided chunk detach diagonal dsplit expand
    expand_as hsplit imag lift_fresh linalg_diagonal mH mT matrix_H moveaxis movedim narrow numpy_T permute
    real select slice split split_with_sizes squeeze swapaxes swapdims t tensor_split transpose unbind
    unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze view view_as view_as_complex
    view_as_real vsplit broadcast_to atleast_1d atleast_2d atleast_3d _autocast_to_full_precision values
    indices _values _indices crow_indices col_indices _nested_get_values _nested_view_from_jagged
    """.split()
)
# Each result is on the memory of the operand at its place.
_VIEWS_OF_EACH: Final = frozenset(("aten::broadcast_tensors", "aten::meshgrid"))
# A view where the strides allow for one, else a copy.
_RESHAPES: Final = frozenset(
    f"aten::{name}" for name in ("reshape", "reshape_as", "flatten", "ravel")
)
# The operand itself where there is nothing to change.
_CONVERSIONS: Final = frozenset(
    f"aten::{name}"
    for name in """
    to type_as contiguous resolve_conj resolve_neg sum_to_size _autocast_to_reduced_precision pin_memory
    """.split()
)
_DROPOUTS: Final = frozenset(
    f"aten::{name}"
    for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
)
# Rarely an operand itself, or a view of it, which no schema tells: of one tensor, of what is dense already.
_MAY_PASS_ON: Final = frozenset(
    f"aten::{name}"
    for name in """
    einsum to_dense cartesian_prod conj_physical _conj_physical histogramdd data lift set dequantize _to_cpu
    flatten_dense_tensors _saturate_weight_to_fp16 _cast_Byte _cast_Char _cast_Double _cast_Float _cast_Half
    _cast_Int _cast_Long _cast_Short
    """.split()
)
# Sparse tensors are put together of their parts, and may be the operand.
_SPARSE: Final = frozenset(
    f"aten::{name}"
    for name in """
    sparse_mask to_sparse to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc
    _to_sparse _to_sparse_csr _to_sparse_csc _to_sparse_bsr _to_sparse_bsc
    sparse_coo_tensor _sparse_coo_tensor_unsafe _sparse_coo_tensor_with_dims_and_tensors
    sparse_compressed_tensor _sparse_compressed_tensor_unsafe
    sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor
    _sparse_csr_tensor_unsafe _sparse_csc_tensor_unsafe _sparse_bsr_tensor_unsafe _sparse_bsc_tensor_unsafe
    """.split()
)
_MAY_BE_FIRST: Final = _VIEWS | _RESHAPES | _CONVERSIONS | _DROPOUTS


class Storages:
    """The storage of each tensor of a graph, named by the value that it came with. O(size).

    Attributes:
        shared: each result that is on the memory of an operand, with that operand.
    """

    def __init__(self) -> None:
        self.shared: dict[Value, Value] = {}
        self._roots: dict[Value, Value] = {}

    def root(self, value: Value) -> Value:
        """Return the value that a tensor's memory came with: itself for one with memory of its own."""
        return self._roots.get(value, value)

    def follow(self, node: Node) -> None:
        """Take in the results of a node whose operands were taken in before."""
        rule = _rule_of(node.operator)
        if rule is not None and node.inputs and not node.blocks:
            for result, operand in rule(node):
                self.shared[result] = operand
                self._roots[result] = self._roots.get(operand, operand)

    def follow_all(self, block: Block) -> None:
        """Take in the nodes of a block and of the blocks inside."""
        for node in block:
            for inner in node.blocks:
                self.follow_all(inner)
            self.follow(node)


def may_share(node: Node) -> Pairs:
    """Yield each result of a node that may be on memory of an operand, with that operand."""
    sharing = sharing_of(node.operator)
    return iter(()) if sharing is None or not node.inputs else sharing(node)


@lru_cache(maxsize=4096)
def sharing_of(operator: Operator) -> Rule | None:
    """Return what yields each result of a node that may be on memory of an operand, with that operand.

    That goes by what the schema allows for, whatever the types are; of an operator without schema, each
    result may be on the memory of each operand. None where all results are new tensors, as those of a node
    without operands are.
    """
    base = operator.base_name
    if operator.name in OPERAND_OF:
        return _on_operand
    if base in _VIEWS_OF_EACH:
        return lambda node: zip(node.outputs, node.inputs, strict=False)
    if base in _MAY_BE_FIRST:
        return _on_first
    if (
        base in _MAY_PASS_ON
        or base in _SPARSE
        or Effect.UNKNOWN in operator.effects
        or not operator.parameters
    ):
        return _on_any
    pairs = _sharing_letters(operator)
    return partial(_may_share_by_schema, pairs) if pairs else None


def _on_any(node: Node) -> Pairs:
    return product(node.outputs, node.inputs)


def _sharing_letters(operator: Operator) -> tuple[tuple[int, str], ...]:
    """Return which results, by number, have a letter of the schema in common with which parameters."""
    return tuple(
        (number, parameter.name)
        for number, returned in enumerate(operator.returns)
        for parameter in operator.parameters
        if returned.alias
        and not set(returned.alias.split("|")).isdisjoint(parameter.alias.split("|"))
    )


def _may_share_by_schema(pairs: tuple[tuple[int, str], ...], node: Node) -> Pairs:
    if node.gives_lists:
        remaining = iter(node.outputs)
        results = [tuple(islice(remaining, 1 if n is None else n)) for n in node.groups]
    else:
        results = [(result,) for result in node.outputs]
    for number, name in pairs:
        if number < len(results):
            for operand in node.values_of(name):
                for result in results[number]:
                    yield result, operand


Pairs: TypeAlias = Iterator[tuple[Value, Value]]
"""Results of a node with operands whose memory they are on."""

Rule: TypeAlias = Callable[[Node], Pairs]
"""Tells that of a node."""


@lru_cache(maxsize=4096)
def _rule_of(operator: Operator) -> Rule | None:
    """Return what tells which results of an operator's nodes are on which operands; None if none are."""
    name, base = operator.name, operator.base_name
    if name in OPERAND_OF:
        return _on_operand
    collective = rule_of(base)
    if collective is not None and collective.writes is not None:
        return partial(_on_written, collective.writes)
    if base == "fsdp::all_gather_copy_in":  # a part of its second operand, and that operand
        return lambda node: _all_on(node, node.args[1])
    if base in _VIEWS:
        return _on_first
    if base in _VIEWS_OF_EACH:
        return lambda node: zip(node.outputs, node.inputs, strict=False)
    if base in _RESHAPES:
        return _reshaped
    if base in _CONVERSIONS:
        return _converted
    if base in _DROPOUTS:
        return _dropped
    if operator.parameters:
        return _by_schema if any(returned.alias for returned in operator.returns) else None
    return _on_first if base.endswith("_") and not base.endswith("__") else None


def _on_operand(node: Node) -> Pairs:
    yield from _all_on(node, node.all_args[OPERAND_OF[node.kind]])


def _on_written(written: int, node: Node) -> Pairs:
    """Yield the results of a collective, which are the tensors that it writes."""
    results = [value for value in node.outputs if isinstance(value.type, TensorType)]
    return zip(results, values_in(node.args[written : written + 1]), strict=False)


def _on_first(node: Node) -> Pairs:
    operand = node.inputs[0]
    for result in node.outputs:
        yield result, operand


def _reshaped(node: Node) -> Pairs:
    if _allows_view(node.inputs[0].type, node.output.type):
        yield node.output, node.inputs[0]


def _converted(node: Node) -> Pairs:
    if _is_same(node.inputs[0].type, node.output.type) and not _copies(node):
        yield node.output, node.inputs[0]


def _dropped(node: Node) -> Pairs:
    args = node.all_args
    if len(args) > 2 and (args[2] is False or args[1] == 0):
        yield node.output, node.inputs[0]


def _all_on(node: Node, operand: object) -> Pairs:
    if isinstance(operand, Value):
        for result in node.outputs:
            yield result, operand


def _by_schema(node: Node) -> Pairs:
    """Yield what the schema says for certain: results that are written operands, other libraries' views."""
    operator = node.operator
    if node.gives_lists:
        return
    is_foreign = not node.kind.startswith(("aten::", "prim::"))
    operands = {}
    positional = node.args
    keywords = node.kwargs
    for position, parameter in enumerate(operator.parameters):
        given = positional[position] if position < len(positional) else keywords.get(parameter.name)
        if parameter.alias and isinstance(given, Value) and (parameter.is_written or is_foreign):
            operands[parameter.alias] = given
    for result, returned in zip(node.outputs, operator.returns, strict=False):
        if returned.alias in operands:
            yield result, operands[returned.alias]


def _is_same(one: object, other: object) -> bool:
    """Whether a conversion from one type to the other changes nothing."""
    return (
        isinstance(one, TensorType)
        and isinstance(other, TensorType)
        and (one.dtype, one.shape, one.device, one.layout)
        == (other.dtype, other.shape, other.device, other.layout)
        and strides_of(one) == strides_of(other)
    )


def _copies(node: Node) -> bool:
    """Whether a conversion was told to copy in any case: the second of two flags of ``to``."""
    if node.operator.base_name != "aten::to":
        return False
    flags = [arg for arg in node.args if isinstance(arg, bool)]
    return node.kwargs.get("copy") is True or (len(flags) > 1 and flags[1])


def _allows_view(before: object, after: object) -> bool:
    if not isinstance(before, TensorType) or not isinstance(after, TensorType):
        return False
    strides = strides_of(before)
    if strides is None or before.shape is None or after.shape is None:
        return False
    sizes = [size for size in before.shape if isinstance(size, int)]
    wanted = [size for size in after.shape if isinstance(size, int)]
    if len(sizes) < len(before.shape) or len(wanted) < len(after.shape):
        return False
    return allows_view(sizes, strides, wanted)


def allows_view(sizes: list[int], strides: tuple[int, ...], wanted: list[int]) -> bool:
    """Whether a tensor can be seen in another shape of as many elements without a copy. O(dimensions).

    Dimensions that lie in memory as one are taken together; each such stretch must fall apart into
    dimensions wanted without one that reaches over its end.
    """
    if 0 in sizes:
        return True
    stretches: list[int] = []
    ends_at = None
    for size, stride in zip(reversed(sizes), reversed(strides), strict=True):
        if size == 1:
            continue
        if stretches and stride == ends_at:
            stretches[-1] *= size
        else:
            stretches.append(size)
        ends_at = size * stride
    left = 1
    for size in reversed(wanted):
        if left == 1:
            if size == 1:
                continue
            if not stretches:
                return False
            left = stretches.pop(0)
        if left % size:
            return False
        left //= size
    return left == 1
