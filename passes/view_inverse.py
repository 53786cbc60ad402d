"""The inverse of a view: the content of what it is a view of, after the view got a new content.

Given:   %row = aten::select.int(%x, 0, 1), and %new as the new content of %row
Result:  %x.1 = aten::select_scatter(%x, %new, 0, 1)

Views that only rearrange elements are undone by rearranging them back. Where torch has no inverse,
``prim::view_scatter`` applies the view to a copy and writes there, which is right for every view.
"""

from __future__ import annotations

from typing import Protocol

from ..errors import PassError
from ..ir import Argument, Node, Operator, TensorType, Type, Value, print_node
from ..ir.own_operators import OPERAND_OF, VIEW_SCATTER
from .aliases import Alias
from .geometry import same_geometry, strides_of


class Emit(Protocol):
    """Adds a node and returns its result."""

    def __call__(
        self,
        operator: Operator | str,
        args: tuple[Argument, ...],
        type_: Type | None = None,
        name: str | None = None,
    ) -> Value:
        """Add a node of ``operator``; its type is found out if it is not given."""
        ...


_SCATTERS = {
    "aten::select.int": "aten::select_scatter",
    "aten::slice.Tensor": "aten::slice_scatter",
    "aten::diagonal": "aten::diagonal_scatter",
}  # fmt: skip
_KEEPS_ORDER = frozenset({
    "view", "reshape", "_unsafe_view", "_reshape_alias", "flatten", "unflatten", "squeeze", "unsqueeze",
    "view_as", "reshape_as", "ravel", "atleast_1d", "atleast_2d", "atleast_3d", "detach", "alias",
    "contiguous", "to", "type_as", "lift_fresh", "expand", "expand_as", "positive", "dropout",
    "data", "make_subclass", "as_subclass",
})  # fmt: skip
_UNDOES_ITSELF = frozenset({"t", "numpy_T", "mT", "transpose", "swapaxes", "swapdims"})


def inverse(emit: Emit, alias: Alias, base: Value, content: Value) -> Value:
    """Return the content of an alias's parent, which is ``base`` so far, when its own is ``content``."""
    node, parent = alias.node, alias.parent
    assert node is not None, "a root has no inverse"
    assert parent is not None, "a root has no inverse"
    name = base.name
    scatter = _SCATTERS.get(node.kind)
    if scatter is not None and node.all_args[0] in node.inputs and not node.keywords:
        return emit(scatter, (base, content, *node.all_args[1:]), base.type, name)
    short = node.operator.base_name.partition("::")[2]
    if _numel(parent.type) == _numel(alias.type) and parent.type.dtype == alias.type.dtype:
        if short in _KEEPS_ORDER:
            if parent.type.shape == alias.type.shape:
                return content
            shape = tuple([size for size in parent.type.shape or () if isinstance(size, int)])
            return emit("aten::reshape", (content, shape), None, name)
        if short in _UNDOES_ITSELF and not node.keywords:
            return emit(node.operator, (content, *node.all_args[1:]), None, name)
        if short == "permute":
            return emit("aten::permute", (content, _undone(node.argument("dims"))), None, name)
    if not _changes_elements(short, parent.type, alias.type):
        placed = _placed(alias, parent)
        if placed is not None:
            return emit(placed[0], (base, content, *placed[1:]), base.type, name)
    return _general(emit, alias, node, base, content)


def _general(emit: Emit, alias: Alias, node: Node, base: Value, content: Value) -> Value:
    """Undo any view of its first argument, by writing through it into a copy."""
    args = node.all_args
    if not args or node.inputs.count(args[0]) != 1 or node.keywords or node.kind in OPERAND_OF:
        raise PassError(
            f"{node.kind} cannot be undone, which a write to its result asks for\n  in   {print_node(node)}"
        )
    return emit(
        VIEW_SCATTER, (node.kind, alias.result, base, content, *args[1:]), base.type, base.name
    )


def _numel(type_: TensorType) -> int | None:
    return type_.numel


def _undone(dims: Argument) -> tuple[int, ...]:
    """Return the permutation that undoes another."""
    assert isinstance(dims, tuple), "permute takes a list of dimensions"
    order = [dim % len(dims) for dim in dims if isinstance(dim, int)]
    return tuple([order.index(position) for position in range(len(order))])


def _changes_elements(short: str, parent: TensorType, type_: TensorType) -> bool:
    """Whether a view may show elements as other numbers than its base: conjugated, negated, by parts."""
    dtype = type_.dtype
    return (
        parent.dtype != dtype
        or short in ("_neg_view", "imag")
        or dtype is None
        or dtype.value[0] == "c"
    )


def _placed(
    alias: Alias, parent: Alias
) -> tuple[str, int, int] | tuple[str, int, int, int, int] | None:
    """Return the scatter that fits where a view lies in its base: part of one dimension, or one of it."""
    shape, strides = alias.type.shape, strides_of(alias.type)
    outer, steps = parent.type.shape, strides_of(parent.type)
    dtype = alias.type.dtype
    if shape is None or strides is None or outer is None or steps is None or dtype is None:
        return None
    start, remainder = divmod(alias.offset - parent.offset, dtype.nbytes)
    if remainder or 0 in shape:
        return None
    for dim, (size, step) in enumerate(zip(outer, steps, strict=True)):
        if not isinstance(size, int) or step <= 0 or start % step or start // step >= size:
            continue
        index = start // step
        if same_geometry(_of(alias.type, shape, strides), _without(parent.type, dim, outer, steps)):
            return "aten::select_scatter", dim, index
        if len(shape) != len(outer):
            continue
        length = shape[dim]
        cut = (*outer[:dim], length, *outer[dim + 1 :])
        if isinstance(length, int) and index + length <= size:
            if same_geometry(_of(alias.type, shape, strides), _of(alias.type, cut, steps)):
                return "aten::slice_scatter", dim, index, index + length, 1
    return None


def _of(type_: TensorType, shape: tuple[object, ...], strides: tuple[int, ...]) -> TensorType:
    return TensorType(type_.dtype, shape, strides)  # type: ignore[arg-type]


def _without(
    type_: TensorType, dim: int, shape: tuple[object, ...], strides: tuple[int, ...]
) -> TensorType:
    """Return the type of a base with one of its dimensions gone."""
    return _of(type_, (*shape[:dim], *shape[dim + 1 :]), (*strides[:dim], *strides[dim + 1 :]))
