"""What is known of a result's sizes from those of an operator's arguments, operator by operator.

A rule that does not apply gives None for a size, or for all. Rules are checked against the sizes of the
run; what they promise for other sizes is what the operators' documentation does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ..ir import DType, Effect, Node, Operator, TensorType, Value
from .size_calls import (
    Derived,
    Dimension,
    Dimensions,
    Rule,
    SizeCall,
    plain_size,
    shape_of,
)


def rule_of(operator: Operator) -> Rule | None:
    """Return the rule for an operator's results; None if there is none, so that sizes are read."""
    rule = _RULES.get(operator.base_name) or _RULES.get(operator.name)
    if rule is not None:
        return rule
    if operator.is_pointwise and Effect.WRITES not in operator.effects:
        return _broadcast_all
    parameters, returns = operator.parameters, operator.returns
    writes_first = bool(parameters) and parameters[0].is_written
    if writes_first and returns and returns[0].alias == parameters[0].alias:
        return None if Effect.RESHAPES in operator.effects else _same_as_first
    return None


def keeps_sizes(operator: Operator) -> bool:
    """Whether the result always has the sizes of the first tensor that the operator is given."""
    return rule_of(operator) is _same_as_first


def is_data_sized(node: Node) -> bool:
    """Whether the sizes of what a node gives depend on the data of what it reads."""
    return may_be_data_sized(node) and not _has_static_size(node)


def may_be_data_sized(node: Node) -> bool:
    """Whether that may be so for some arguments of the operator that a node calls."""
    return node.operator.effects & (Effect.DATA_SIZED | Effect.UNKNOWN) == Effect.DATA_SIZED


def _has_static_size(node: Node) -> bool:
    """Whether an index operator was called with positions only: masks alone depend on data."""
    if not node.kind.startswith("aten::index."):
        return False
    types = [value.type for value in node.inputs[1:]]
    return not any(isinstance(type_, TensorType) and type_.dtype in MASKS for type_ in types)


def _same_as_first(call: SizeCall) -> Derived:
    return call.all_sizes()[0]


def _broadcast_all(call: SizeCall) -> Derived:
    whole: Derived = None
    for sizes in call.all_sizes():
        whole = sizes if whole is None else _broadcast(whole, sizes)
        if whole is None:
            return None
    return () if whole is None else whole


def _broadcast(one: Derived, other: Derived) -> Derived:
    if one is None or other is None:
        return None
    if one == other:
        return one
    rank = max(len(one), len(other))
    padded = [(*(1,) * (rank - len(sizes)), *sizes) for sizes in (one, other)]
    return tuple([_broadcast_size(a, b) for a, b in zip(*padded, strict=True)])


def _broadcast_size(one: Dimension | None, other: Dimension | None) -> Dimension | None:
    if one == other or other == 1:
        return one
    if one == 1:
        return other
    # A fixed size other than 1 is what comes out: the other can only be that or 1.
    return next((size for size in (one, other) if isinstance(size, int)), None)


def _index(call: SizeCall) -> Derived:
    """Positions give the sizes of their tensors; a mask takes as many as it has for one that data decides."""
    sizes, indices = call.sizes(), call.argument("indices")
    if not isinstance(indices, tuple):
        return None
    found: Derived = ()
    kept: list[Dimension | None] = []
    places = []
    taken = 0
    for place, index in enumerate(indices):
        if not isinstance(index, Value):
            kept.append(sizes[taken])
            taken += 1
            continue
        is_mask = isinstance(index.type, TensorType) and index.type.dtype in MASKS
        found = _broadcast(found, (None,) if is_mask else call.sizes_of(index))
        taken += len(call.sizes_of(index)) if is_mask else 1
        places.append(place)
    if found is None or not places:
        return None
    are_together = places[-1] - places[0] == len(places) - 1
    first = places[0] if are_together else 0
    return (*kept[:first], *found, *kept[first:], *sizes[taken:])


def _index_select(call: SizeCall) -> Derived:
    sizes, dimension = list(call.sizes()), call.integer("dim")
    if dimension is None or not sizes:
        return None
    sizes[dimension] = (*call.sizes("index"), 1)[0]
    return tuple(sizes)


def _nonzero(call: SizeCall) -> Derived:
    return (None, len(call.sizes()))


def _pad(call: SizeCall) -> Derived:
    sizes, pad = call.sizes(), call.argument("pad")
    if not isinstance(pad, tuple):
        return None
    padded = len(pad) // 2
    return (*sizes[: len(sizes) - padded], *(None,) * padded)


def _stack(call: SizeCall) -> Derived:
    parts = call.all_sizes()
    dimension = call.integer("dim")
    if dimension is None:
        return None
    dimension %= len(parts[0]) + 1
    return (*parts[0][:dimension], len(parts), *parts[0][dimension:])


def _handed_on(call: SizeCall) -> Derived:
    return call.all_sizes()[call.position]


def _linear(call: SizeCall) -> Derived:
    x, weight = call.all_sizes()[:2]
    return (*x[:-1], weight[0]) if len(weight) == 2 else None


def _matmul(call: SizeCall) -> Derived:
    one, other = call.all_sizes()[-2:]
    if len(one) < 2 or len(other) < 2:
        return None
    batch = _broadcast(one[:-2], other[:-2])
    return None if batch is None else (*batch, one[-2], other[-1])


def _grouped_matmul(call: SizeCall) -> Derived:
    one, other = call.all_sizes()[:2]
    # One matrix for each group of rows; other ranks make groups of their own.
    return (one[0], other[2]) if len(one) == 2 and len(other) == 3 else None


def _embedding(call: SizeCall) -> Derived:
    return (*call.sizes("indices"), *call.sizes("weight")[1:])


def _convolution(call: SizeCall) -> Derived:
    x, weight = call.all_sizes()[:2]
    if len(x) != len(weight):
        return None
    return (x[0], weight[0], *(None,) * (len(x) - 2))


def _pool(call: SizeCall) -> Derived:
    """All sizes stay but the last ones, as many as the operator's name says: ``max_pool2d``."""
    pooled = int(call.node.operator.base_name[-2])
    return (*call.sizes()[:-pooled], *(None,) * pooled)


def _adaptive_pool(call: SizeCall) -> Derived:
    size = call.argument("output_size")
    if not isinstance(size, tuple):
        return None
    return (*call.sizes()[: -len(size)], *[call.number(part) for part in size])


def _upsample(call: SizeCall) -> Derived:
    """Batch and channels stay; the others are those asked for, if they are and not a factor is."""
    sizes, wanted = call.all_sizes()[0], call.argument("output_size")
    if not isinstance(wanted, tuple):
        return (*sizes[:2], *(None,) * (len(sizes) - 2))
    return (*sizes[:2], *map(call.number, wanted))


def _attention(call: SizeCall) -> Derived:
    query, key, value = (call.sizes(name) for name in ("query", "key", "value"))
    batch = _broadcast(_broadcast(query[:-2], key[:-2]), value[:-2])
    return None if batch is None else (*batch, query[-2], value[-1])


def _transpose(call: SizeCall) -> Derived:
    sizes = list(call.sizes())
    one, other = call.integer("dim0"), call.integer("dim1")
    if one is None or other is None or not sizes:
        return None
    sizes[one], sizes[other] = sizes[other], sizes[one]
    return tuple(sizes)


def _reverse(call: SizeCall) -> Derived:
    return tuple(reversed(call.sizes()))


def _permute(call: SizeCall) -> Derived:
    order = call.argument("dims")
    if not isinstance(order, tuple):
        return None
    sizes = call.sizes()
    return tuple([sizes[d] if isinstance(d, int) else None for d in order])


def _unsqueeze(call: SizeCall) -> Derived:
    sizes, dimension = call.sizes(), call.integer("dim")
    if dimension is None:
        return None
    dimension %= len(sizes) + 1
    return (*sizes[:dimension], 1, *sizes[dimension:])


def _without_dimension(call: SizeCall) -> Derived:
    sizes, dimension = call.sizes(), call.integer("dim")
    if dimension is None:
        return None
    dimension %= len(sizes)
    return (*sizes[:dimension], *sizes[dimension + 1 :])


def _squeeze(call: SizeCall) -> Derived:
    sizes, dimension = call.sizes(), call.integer("dim")
    if dimension is None or not sizes:
        return None
    if sizes[dimension] == 1:
        return _without_dimension(call)
    return sizes if isinstance(sizes[dimension], int) else None


def _except_dimension(call: SizeCall) -> Derived:
    """All sizes stay but that of the dimension worked along."""
    sizes = list[Dimension | None](call.sizes())
    dimension = call.integer("dim")
    if dimension is None or not sizes:
        return None
    if isinstance(sizes[dimension], int):
        sizes[dimension] = plain_size(shape_of(call.node.outputs[call.position])[dimension])
        # A fixed size is cut at fixed places only if those are plain as well.
        if len(call.node.inputs) > 1:
            sizes[dimension] = None
    else:
        sizes[dimension] = None
    return tuple(sizes)


def _slice(call: SizeCall) -> Derived:
    dimension = call.integer("dim")
    sizes = call.sizes()
    if dimension is None or not sizes:
        return None
    takes_all = (
        call.argument("start") in (None, 0)
        and call.argument("step") == 1
        and call.argument("end") in (None, _NO_END)
    )
    return sizes if takes_all else _except_dimension(call)


def _concatenate(call: SizeCall) -> Derived:
    # Torch takes no notice of ``torch.tensor([])``, which programs begin to collect with.
    parts = [part for part in call.all_sizes() if part != (0,)]
    dimension = call.integer("dim")
    if dimension is None or not parts or any(len(part) != len(parts[0]) for part in parts):
        return None
    if len(parts) == 1:
        return parts[0]
    sizes = list[Dimension | None](parts[0])
    along = [part[dimension] for part in parts]
    fixed = [size for size in along if isinstance(size, int)]
    sizes[dimension] = sum(fixed) if len(fixed) == len(along) else None
    return tuple(sizes)


def _reshape(call: SizeCall) -> Derived:
    wanted = call.argument("size" if call.node.operator.base_name == "aten::view" else "shape")
    if not isinstance(wanted, tuple):
        return None
    return _inferred(call.sizes(), [call.number(part) for part in wanted])


def _unflatten(call: SizeCall) -> Derived:
    sizes, wanted, dimension = call.sizes(), call.argument("sizes"), call.integer("dim")
    if not isinstance(wanted, tuple) or dimension is None or not sizes:
        return None
    dimension %= len(sizes)
    parts = _inferred((sizes[dimension],), [call.number(part) for part in wanted])
    return (*sizes[:dimension], *parts, *sizes[dimension + 1 :])


def _inferred(
    sizes: Dimensions, wanted: Sequence[Dimension | None]
) -> tuple[Dimension | None, ...]:
    """Return the sizes asked for, with what is left over for the one that is given as -1."""
    if -1 not in wanted:
        return tuple(wanted)
    place = list(wanted).index(-1)
    rest = (*wanted[:place], *wanted[place + 1 :])
    return (*wanted[:place], _quotient(sizes, rest), *wanted[place + 1 :])


def _quotient(sizes: Dimensions, divisors: Sequence[Dimension | None]) -> Dimension | None:
    """Return the product of sizes over that of divisors, where equal ones cancel and one is left."""
    left = list(sizes)
    fixed = 1
    for divisor in divisors:
        if isinstance(divisor, int):
            fixed *= divisor
        elif divisor is not None and divisor in left:
            left.remove(divisor)
        else:
            return None
    plain = math.prod(size for size in left if isinstance(size, int))
    symbolic = [size for size in left if not isinstance(size, int)]
    if not symbolic and fixed:
        return plain // fixed
    return symbolic[0] if len(symbolic) == 1 and plain == fixed else None


def _flatten(call: SizeCall) -> Derived:
    sizes = call.sizes()
    start, end = call.integer("start_dim"), call.integer("end_dim")
    if start is None or end is None or not sizes:
        return None
    start, end = start % len(sizes), end % len(sizes)
    return (*sizes[:start], _quotient(sizes[start : end + 1], []), *sizes[end + 1 :])


def _expand(call: SizeCall) -> Derived:
    wanted = call.argument("size")
    if not isinstance(wanted, tuple):
        return None
    sizes = call.sizes()
    padded = (*(1,) * (len(wanted) - len(sizes)), *sizes)
    numbers = [call.number(part) for part in wanted]
    return tuple([own if n == -1 else n for own, n in zip(padded, numbers, strict=True)])


def _reduce(call: SizeCall) -> Derived:
    sizes = call.sizes()
    dims = call.argument("dim")
    if dims is None or dims == ():
        return (1,) * len(sizes) if call.argument("keepdim") else ()
    dims = dims if isinstance(dims, tuple) else (dims,)
    reduced = {d % len(sizes) for d in dims if isinstance(d, int) and sizes}
    if call.argument("keepdim"):
        return tuple([1 if d in reduced else size for d, size in enumerate(sizes)])
    return tuple([size for d, size in enumerate(sizes) if d not in reduced])


def _arange(call: SizeCall) -> Derived:
    names = [parameter.name for parameter in call.node.operator.parameters]
    if "step" in names or ("start" in names and call.argument("start") != 0):
        return None
    return (call.number(call.argument("end")),)


def _factory(call: SizeCall) -> Derived:
    wanted = call.argument("size")
    return tuple(map(call.number, wanted)) if isinstance(wanted, tuple) else None


MASKS: Final = (DType.BOOL, DType.U8)
"""The element types of tensors that select elements where they are true."""

_NO_END: Final = 2**63 - 1
_SAME: Final = (
    "alias", "alpha_dropout", "argsort", "batch_norm", "bernoulli", "clone", "contiguous", "cumprod",
    "cumsum", "detach", "dropout", "empty_like", "feature_dropout", "flip", "full_like", "group_norm",
    "index_add", "index_copy", "index_fill", "index_put", "instance_norm", "layer_norm", "log_softmax",
    "ones_like", "rand_like", "randn_like", "requires_grad_", "resolve_conj", "resolve_neg", "rms_norm",
    "roll", "scatter", "scatter_add", "softmax", "sort", "to", "tril", "triu", "type_as", "zeros_like",
)  # fmt: skip
_REDUCTIONS: Final = (
    "sum.dim_IntList", "mean.dim", "amax", "amin", "any.dim", "all.dim", "prod.dim_int", "logsumexp",
    "var.correction", "std.correction", "norm.ScalarOpt_dim", "argmax", "argmin", "max.dim", "min.dim",
)  # fmt: skip
_UPSAMPLES: Final = (
    "bicubic2d", "bilinear2d", "linear1d", "nearest1d", "nearest2d", "nearest3d", "trilinear3d",
)  # fmt: skip
_RULES: Final[dict[str, Rule]] = {
    **{f"aten::{name}": _same_as_first for name in _SAME},
    **{f"aten::{name}": _reduce for name in _REDUCTIONS},
    **{f"aten::conv{n}d": _convolution for n in (1, 2, 3)},
    **{f"aten::{kind}_pool{n}d": _pool for kind in ("max", "avg") for n in (1, 2, 3)},
    **{f"aten::adaptive_{kind}_pool{n}d": _adaptive_pool for kind in ("avg",) for n in (1, 2, 3)},
    **{f"aten::{name}": _factory for name in ("zeros", "ones", "empty", "full", "rand", "randn")},
    **{f"aten::new_{name}": _factory for name in ("zeros", "ones", "empty", "full")},
    **{f"aten::atleast_{n}d": _handed_on for n in (1, 2, 3)},
    **{f"aten::upsample_{kind}": _upsample for kind in _UPSAMPLES},
    "aten::broadcast_tensors": _broadcast_all,
    "aten::sum_to_size": _factory,
    "prim::as_subclass": _same_as_first,
    "prim::make_subclass": _same_as_first,
    "aten::index": _index,
    "aten::index_select": _index_select,
    "aten::gather": lambda call: call.sizes("index"),
    "aten::nonzero": _nonzero,
    "aten::pad": _pad,
    "aten::stack": _stack,
    "aten::repeat_interleave.self_int": _except_dimension,
    "aten::repeat_interleave.self_Tensor": _except_dimension,
    "aten::arange": _arange,
    "aten::linear": _linear,
    "aten::matmul": _matmul,
    "aten::bmm": _matmul,
    "aten::mm": _matmul,
    "aten::addmm": _matmul,
    "aten::baddbmm": _matmul,
    "aten::_grouped_mm": _grouped_matmul,
    "aten::embedding": _embedding,
    "aten::scaled_dot_product_attention": _attention,
    "aten::transpose": _transpose,
    "aten::t": _reverse,
    "aten::numpy_T": _reverse,
    "aten::permute": _permute,
    "aten::unsqueeze": _unsqueeze,
    "aten::select": _without_dimension,
    "aten::unbind": _without_dimension,
    "aten::squeeze.dim": _squeeze,
    "aten::slice": _slice,
    "aten::narrow": _except_dimension,
    "aten::split": _except_dimension,
    "aten::chunk": _except_dimension,
    "aten::topk": _except_dimension,
    "aten::cat": _concatenate,
    "aten::view": _reshape,
    "aten::reshape": _reshape,
    "aten::flatten": _flatten,
    "aten::unflatten": _unflatten,
    "aten::expand": _expand,
}
"""By an operator's name, with or without its overload."""
