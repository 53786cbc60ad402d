"""Saved tensors: what autograd keeps of an operator until its backward has run.

Sources: torch's ``tools/autograd/derivatives.yaml``, which tells what each backward formula reads, and for
composite operators the operators that they become on CPUs. The one table to edit for an operator that is
missing; one that is not here is *not known*, and a report says so.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final, NamedTuple, TypeAlias

from ..ir import Node, TensorType, Value
from ..passes.geometry import strides_of
from ..passes.storages import allows_view


class Saved(NamedTuple):
    """What autograd keeps of a node: values, and bytes that no value of the graph stands for."""

    values: tuple[Value, ...] = ()
    hidden_bytes: int = 0


Rule: TypeAlias = Callable[[Node], "Saved | None"]

_NOTHING: Final = Saved()
_STATISTIC: Final = 4  # bytes: means, deviations and log-sum-exps are float32


def saved_by(node: Node) -> Saved | None:
    """Return what autograd keeps of a node that it records; None if that is not known."""
    name = node.operator.base_name
    rule = _RULES.get(name)
    writes = rule is None and name.endswith("_")
    if writes:
        rule = _RULES.get(name.removesuffix("_"))
    kept = None if rule is None else rule(node)
    if kept is None or kept == _NOTHING:
        return kept
    if node.modes.autocast:
        return None  # which operands are cast, and so copied, the graph does not tell
    first = node.inputs[0]
    if writes and first in kept.values and first not in node.outputs:
        # What is about to be overwritten is copied first.
        others = tuple([value for value in kept.values if value is not first])
        return Saved(others, kept.hidden_bytes + _nbytes(first))
    return kept


def is_recorded(node: Node) -> bool:
    """Whether autograd records a node."""
    if not node.modes.grad or node.modes.inference:
        return False
    return any(_requires_grad(value) for value in node.outputs)


def _requires_grad(value: object) -> bool:
    return (
        isinstance(value, Value) and isinstance(value.type, TensorType) and value.type.requires_grad
    )


def _tensor(node: Node, position: int) -> Value | None:
    args = node.all_args
    value = args[position] if position < len(args) else None
    return value if isinstance(value, Value) and isinstance(value.type, TensorType) else None


def _type(value: Value | None) -> TensorType:
    return value.type if value is not None and isinstance(value.type, TensorType) else TensorType()


def _nbytes(value: Value | None) -> int:
    return _type(value).nbytes or 0


def _values(*values: Value | None) -> tuple[Value, ...]:
    return tuple(value for value in values if value is not None)


def _nothing(_node: Node) -> Saved:
    return _NOTHING


def _operand(*positions: int) -> Rule:
    return lambda node: Saved(_values(*[_tensor(node, position) for position in positions]))


def _result(node: Node) -> Saved:
    return Saved(node.outputs[:1])


def _operand_and_result(node: Node) -> Saved:
    return Saved(_values(_tensor(node, 0), node.outputs[0]))


def _indices(node: Node) -> Saved:
    """Reductions that choose elements keep which; of all, operand and result; of two tensors, both."""
    if len(node.outputs) > 1:
        return Saved(node.outputs[1:])
    other = _tensor(node, 1)
    return _operand_and_result(node) if other is None else Saved(_values(_tensor(node, 0), other))


def _running_indices(node: Node) -> Saved:
    return Saved(_values(_tensor(node, 0), *node.outputs[1:]))


def _pad(node: Node) -> Saved:
    """Constants are cut off again; where the edge is repeated, the kernel asks for the operand."""
    mode = node.all_args[2] if len(node.all_args) > 2 else "constant"
    return _NOTHING if mode in ("constant", "circular") else Saved(_values(_tensor(node, 0)))


def _absolute_difference(node: Node) -> Saved:
    return Saved((), max(_nbytes(_tensor(node, 0)), _nbytes(_tensor(node, 1))))


def _product(first: int) -> Rule:
    return lambda node: _factors(node, first)


def _factors(node: Node, first: int) -> Saved:
    """Of two factors each is kept for the other's gradient."""
    one, other = _tensor(node, first), _tensor(node, first + 1)
    return Saved(
        _values(one if _requires_grad(other) else None, other if _requires_grad(one) else None)
    )


def _matmul(node: Node) -> Saved:
    """As a product; where an operand cannot be seen as a batch of matrices, its copy is kept."""
    kept = _factors(node, 0)
    one, other = _type(_tensor(node, 0)), _type(_tensor(node, 1))
    if max(one.rank or 0, other.rank or 0) < 3:
        return kept
    values: list[Value] = []
    hidden = 0
    for value in kept.values:
        copied = _batch_copy(_type(value), other if value is _tensor(node, 0) else one)
        if copied is None:
            values.append(value)
        hidden += copied or 0
    return Saved(tuple(values), hidden)


def _batch_copy(type_: TensorType, other: TensorType) -> int | None:
    """Return the bytes of the copy that a ``bmm`` or folded ``mm`` needs of an operand; None for none."""
    strides, shape = strides_of(type_), type_.shape
    if strides is None or shape is None or other.shape is None or len(shape) < 2:
        return None
    sizes = [size for size in shape if isinstance(size, int)]
    others = [size for size in other.shape if isinstance(size, int)]
    if len(sizes) < len(shape) or len(others) < len(other.shape):
        return None
    if len(others) < 3:
        wanted = [prod(sizes[:-1]), sizes[-1]]
        return None if allows_view(sizes, strides, wanted) else type_.nbytes
    if len(sizes) < 3:
        return None
    rank = max(len(sizes), len(others))
    missing = rank - len(sizes)
    sizes, others = [1] * missing + sizes, [1] * (rank - len(others)) + others
    steps = [0] * missing + list(strides)
    for position in range(rank - 2):
        if sizes[position] == 1 != others[position]:
            sizes[position], steps[position] = others[position], 0
    wanted = [prod(sizes[:-2]), *sizes[-2:]]
    if allows_view(sizes, tuple(steps), wanted):
        return None
    return prod(sizes) * (type_.dtype.nbytes if type_.dtype else 0)


def _index(node: Node) -> Saved:
    """Keeps the indices."""
    return Saved(tuple(value for value in node.inputs[1:] if isinstance(value.type, TensorType)))


def _log_sigmoid(node: Node) -> Saved:
    """On CPUs an exponential that the kernel worked out is kept as well."""
    operand = _tensor(node, 0)
    return Saved(_values(operand), _nbytes(operand) if _type(operand).device.type == "cpu" else 0)


def _quotient(node: Node) -> Saved:
    one, other = _tensor(node, 0), _tensor(node, 1)
    is_needed = _requires_grad(one) or _requires_grad(other)
    return Saved(_values(one if _requires_grad(other) else None, other if is_needed else None))


def _power(node: Node) -> Saved:
    base, exponent = _tensor(node, 0), _tensor(node, 1)
    if exponent is None:
        return Saved(_values(base))
    return Saved(_values(base, exponent, *node.outputs[:1]))


def _statistics(rows: Callable[[Node], int]) -> Rule:
    """Norms keep their operand, the weight, and two numbers per row of what they normalize."""
    return lambda node: Saved(_values(_tensor(node, 0)), 2 * _STATISTIC * rows(node))


def _operand_and_rest(node: Node) -> Saved:
    """The operand, and what comes beside the result: the statistics of a norm inside a composite operator."""
    return Saved(_values(_tensor(node, 0), *node.outputs[1:]))


def _mask(node: Node) -> Saved:
    return Saved(node.outputs[1:2])


def _nll_loss(node: Node) -> Saved:
    """The logarithms, the target, and the sum of weights."""
    return Saved(_values(_tensor(node, 0), _tensor(node, 1), node.outputs[1]))


def _flash_attention(node: Node) -> Saved:
    kept = [_tensor(node, position) for position in range(3)]
    return Saved(_values(*kept, *node.outputs[:2]))


def _rows_of_layer(node: Node) -> int:
    shape = node.all_args[1]
    numel = _type(_tensor(node, 0)).numel or 0
    sizes = [size for size in shape if isinstance(size, int)] if isinstance(shape, tuple) else []
    return numel // max(prod(sizes), 1)


def _rows_of_batch(node: Node) -> int:
    shape = _type(_tensor(node, 0)).shape or (0, 0)
    is_training = len(node.all_args) > 5 and node.all_args[5] is True
    return shape[1] if is_training and len(shape) > 1 and isinstance(shape[1], int) else 0


def _rows_of_groups(node: Node) -> int:
    shape, groups = _type(_tensor(node, 0)).shape or (0,), node.all_args[1]
    batch = shape[0]
    return batch * groups if isinstance(batch, int) and isinstance(groups, int) else 0


def _attention(node: Node) -> Saved | None:
    """Queries, keys, values, mask, result, and one number per row of scores."""
    query = _type(_tensor(node, 0))
    dropout = node.all_args[4] if len(node.all_args) > 4 else 0
    if query.device.type == "cpu" and (query.rank != 4 or dropout != 0):
        if query.rank == 3 and dropout == 0:
            return None  # fused from torch 2.14, which a graph does not tell
        return _unfused_attention(node, is_dropped=dropout != 0)
    kept = _values(*[_tensor(node, position) for position in range(4)], node.outputs[0])
    numel = _type(node.outputs[0]).numel or 0
    width = (_type(node.outputs[0]).shape or (1,))[-1]
    rows = numel // width if isinstance(width, int) and width else 0
    return Saved(kept, _STATISTIC * rows)


def _unfused_attention(node: Node, *, is_dropped: bool) -> Saved:
    """Queries and keys scaled, the scores' softmax, what dropout makes of it with which noise, and values."""
    query, key, value = (_type(_tensor(node, position)) for position in range(3))
    out = _type(node.outputs[0]).shape or ()
    if not out or key.shape is None or query.dtype is None or query.shape is None:
        return _NOTHING
    sizes = [size for size in (*out, key.shape[-2], query.shape[-1]) if isinstance(size, int)]
    *batch, rows, _width, columns, width = sizes
    matrices = prod(batch)
    scores = TensorType(query.dtype, (*batch, rows, columns))
    elements = matrices * ((rows + columns) * width + (3 if is_dropped else 1) * rows * columns)
    hidden = elements * query.dtype.nbytes
    is_repeated = value.shape is not None and value.shape[:-2] != tuple(batch)
    copied = value.nbytes if is_repeated else _batch_copy(value, scores)
    if copied is None:
        return Saved(_values(_tensor(node, 2)), hidden)
    return Saved(
        (),
        hidden
        + (matrices * columns * (out[-1] if isinstance(out[-1], int) else 0)) * query.dtype.nbytes,
    )


def _dropout(node: Node) -> Saved:
    """The noise that was multiplied with: like the operand on CPUs, a byte per element elsewhere."""
    args = node.all_args
    if len(args) < 3 or args[2] is not True or args[1] == 0:
        return _NOTHING
    type_ = _type(node.outputs[0])
    return Saved((), (type_.nbytes if type_.device.type == "cpu" else type_.numel) or 0)


def _max_pool(node: Node) -> Saved:
    if len(node.outputs) > 1:
        return Saved(_values(_tensor(node, 0), node.outputs[1]))
    return Saved(_values(_tensor(node, 0)), 8 * (_type(node.outputs[0]).numel or 0))


def _adaptive_pool(node: Node) -> Saved:
    """Averaged down to one place it is a mean, which keeps nothing."""
    size = node.all_args[1] if len(node.all_args) > 1 else ()
    if isinstance(size, tuple) and all(each == 1 for each in size):
        return _NOTHING
    return Saved(_values(_tensor(node, 0)))


def _cross_entropy(node: Node) -> Saved | None:
    """The logarithms of the softmax, the target, and the sum of weights; where targets are classes."""
    target, args = _type(_tensor(node, 1)), node.all_args
    is_smoothed = len(args) > 5 and args[5] != 0
    if is_smoothed or target.dtype is None or target.dtype.is_floating_point:
        return None
    type_ = _type(_tensor(node, 0))
    hidden = (type_.nbytes or 0) + (type_.dtype.nbytes if type_.dtype else 0)
    return Saved(_values(_tensor(node, 1)), hidden)


_RULES: Final[dict[str, Rule]] = {
    f"aten::{name}": rule
    for rule, names in (
        (
            _nothing,
            """
            add sub rsub neg sum mean cat concat stack hstack vstack clone contiguous to _to_copy type_as
            constant_pad_nd repeat flip
            roll tril triu diff cumsum reshape flatten ravel expand pixel_shuffle pixel_unshuffle
            upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_bilinear2d upsample_linear1d
            upsample_bicubic2d upsample_trilinear3d trace diag diag_embed real imag copy detach dropout_
            broadcast_to floor ceil round sign zero requires_grad resolve_conj resolve_neg unfold im2col
            col2im constant permute transpose t view squeeze unsqueeze select slice split chunk unbind
            """,
        ),
        (
            _result,
            """
            relu sigmoid tanh softmax _softmax log_softmax _log_softmax exp exp2 expm1 sqrt rsqrt
            reciprocal tan _safe_softmax
            """,
        ),
        (
            _operand(0),
            """
            gelu silu mish softplus elu celu selu leaky_relu hardtanh relu6 hardswish hardsigmoid hardshrink
            softshrink threshold glu logit abs log log2 log10 log1p sin cos sinh cosh asin acos
            atan erf erfc square clamp clamp_min clamp_max avg_pool1d avg_pool2d avg_pool3d var nan_to_num
            reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d _adaptive_avg_pool2d
            """,
        ),
        (
            _operand_and_result,
            "std norm amax amin logsumexp linalg_vector_norm logcumsumexp cumprod prod",
        ),
        (_indices, "max min topk sort kthvalue median mode"),
        (_running_indices, "cummax cummin"),
        (_pad, "pad"),
        (_absolute_difference, "l1_loss"),
        (_operand(1), "embedding masked_fill"),
        (_operand(0, 1), "masked_select maximum minimum"),
        (_operand(0, 2), "gather"),
        (_index, "index"),
        (_log_sigmoid, "log_sigmoid"),
        (_operand(0), "where"),
        (_operand(2), "index_select scatter scatter_add"),
        (_product(0), "linear mm bmm mv dot mul outer ger"),
        (_product(1), "addmm baddbmm addmv addcmul"),
        (_matmul, "matmul"),
        (_quotient, "div true_divide"),
        (_power, "pow"),
        (
            _operand(0, 1),
            """
            conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution prelu mse_loss
            smooth_l1_loss huber_loss _prelu_kernel
            """,
        ),
        (_statistics(_rows_of_layer), "layer_norm"),
        (_statistics(_rows_of_batch), "batch_norm"),
        (_statistics(_rows_of_groups), "group_norm"),
        (_attention, "scaled_dot_product_attention"),
        (_dropout, "dropout"),
        (
            _max_pool,
            "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices",
        ),
        (_adaptive_pool, "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
        (_cross_entropy, "cross_entropy_loss"),
        (
            _operand_and_rest,
            "native_layer_norm native_batch_norm native_group_norm log_sigmoid_forward",
        ),
        (_mask, "native_dropout"),
        (_nll_loss, "nll_loss_forward nll_loss2d_forward"),
        (_flash_attention, "_scaled_dot_product_flash_attention_for_cpu"),
    )
    for name in names.split()
}
