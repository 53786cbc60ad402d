"""FLOP formulas: what each operator computes, from the shapes that it is called with.

Note [What counts as a FLOP]
    A multiplication and the addition that follows it count as two, in products of matrices, convolutions
    and attention. All else (sums, norms, activations, pooling) counts as none. That is the convention of
    ``torch.utils.flop_counter``, whose formulas these are, written for the operators that programs call
    (``aten::linear``) as well as for those that they become (``aten::addmm``). Causal masks halve nothing.

    The figures are those of torch's counter except where that one leaves out or overstates: products with
    a vector, attention on CPUs, fused transformer layers and recurrent kernels are counted here; and the
    gradient of a grouped convolution's weight costs what the convolution costs, not ``groups`` times that.

A formula is called as those of torch are: each tensor is its shape, a list of tensors a list of shapes, and
all else itself; ``out_shape`` is the shape of the result, or a tuple with those of several. So one function
serves here and for ``torch.utils.flop_counter.register_flop_formula``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Final, TypeAlias, TypeVar

from .contractions import einsum_flops

Shape: TypeAlias = tuple[int, ...]
Formula: TypeAlias = Callable[..., "int | None"]
"""Gives FLOPs; None where shapes do not tell, as for ragged batches."""

_F = TypeVar("_F", bound=Formula)
_FORMULAS: Final[dict[str, Formula]] = {}


def flop_formula(*operators: str) -> Callable[[_F], _F]:
    """Return a decorator that makes a function the FLOP formula of operators, in place of any before.

    >>> @flop_formula("mylib::project")
    ... def project(x, weight, *, out_shape, **_):
    ...     return 2 * prod(out_shape) * x[-1]

    Args:
        operators: names, with or without overload; a name without stands for all of its overloads.
    """

    def register(formula: _F) -> _F:
        for operator in operators:
            _FORMULAS[operator] = formula
        return formula

    return register


def formula_of(name: str) -> Formula | None:
    """Return the formula of an operator by its name with overload; in-place ones share their sibling's."""
    base = name.partition(".")[0]
    return _FORMULAS.get(name) or _FORMULAS.get(base) or _FORMULAS.get(base.removesuffix("_"))


# Products. Source: ``mm_flop``, ``addmm_flop``, ``bmm_flop``, ``baddbmm_flop`` of torch.utils.flop_counter:
# 2·m·n·k for an (m, k) by (k, n) product, times the batch.


@flop_formula("aten::mm", "aten::_int_mm", "aten::_scaled_mm", "aten::bmm", "aten::matmul")
@flop_formula("aten::linalg_matmul", "aten::mv", "aten::dot", "aten::vdot", "aten::__rmatmul__")
def _product(a: Shape, *rest: Any, out_shape: Shape, **_: Any) -> int:
    return 2 * prod(out_shape) * a[-1]


@flop_formula("aten::addmm", "aten::addmv", "aten::baddbmm", "aten::_addmm_activation")
def _product_and_sum(_self: Shape, a: Shape, *rest: Any, out_shape: Shape, **_: Any) -> int:
    return 2 * prod(out_shape) * a[-1]


@flop_formula("aten::addbmm")
def _sum_of_products(_self: Shape, a: Shape, b: Shape, **_: Any) -> int:
    return 2 * prod(a) * b[-1]


@flop_formula("aten::linear", "aten::mkldnn_linear", "aten::inner")
@flop_formula("quantized::linear", "quantized::linear_relu", "quantized::linear_dynamic")
@flop_formula("quantized::linear_relu_dynamic", "quantized::linear_dynamic_fp16")
def _linear(x: Shape, *rest: Any, out_shape: Shape, **_: Any) -> int:
    """``linear`` becomes ``addmm``: 2·rows·in·out. The weight may be packed, so its shape is not asked."""
    return 2 * prod(out_shape) * x[-1] if x else 0


@flop_formula("aten::linear_backward")
def _linear_backward(x: Shape, grad: Shape, _weight: Shape, mask: Sequence[bool], **_: Any) -> int:
    return 2 * prod(grad) * x[-1] * sum(mask[:2])


@flop_formula("aten::_grouped_mm", "aten::_scaled_grouped_mm")
def _grouped_product(a: Shape, b: Shape, *rest: Any, **_: Any) -> int:
    """Rows, columns or the inner dimension are shared out among the groups, so each counts once."""
    return 2 * prod(a[-2:] if len(b) == 2 else a) * b[-1]


@flop_formula("aten::einsum")
def _einsum(
    equation: str, operands: Sequence[Shape], path: Sequence[int] | None = None, **_: Any
) -> int:
    return einsum_flops(equation, operands, path)


@flop_formula("aten::tensordot")
def _tensordot(
    a: Shape, b: Shape, dims: Sequence[int], others: Sequence[int], *, out_shape: Shape, **_: Any
) -> int:
    """Becomes ``mm``; a dimension of size 1 beside a larger one is summed away before."""
    return 2 * prod(out_shape) * prod(min(a[i], b[j]) for i, j in zip(dims, others, strict=True))


# Convolutions. Source: ``conv_flop_count``: every element of the output (of the input, if transposed) meets
# the whole filter of its group, so 2·batch·positions·numel(weight), bias aside.


def _convolution_flops(x: Shape, weight: Shape, positions: Shape) -> int:
    batch = x[0] if len(x) == len(weight) else 1
    return 2 * batch * prod(positions[2 - len(weight) :]) * prod(weight)


@flop_formula("aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::cudnn_convolution")
@flop_formula("aten::mkldnn_convolution", "aten::miopen_convolution", "aten::_slow_conv2d_forward")
@flop_formula("aten::thnn_conv2d", "aten::slow_conv3d", "aten::slow_conv3d_forward")
@flop_formula("aten::conv_depthwise3d", "aten::_conv_depthwise2d", "aten::slow_conv_dilated2d")
@flop_formula("aten::slow_conv_dilated3d", "aten::cudnn_convolution_relu")
@flop_formula("aten::cudnn_convolution_add_relu", "aten::miopen_depthwise_convolution")
def _convolution(x: Shape, weight: Shape, *rest: Any, out_shape: Shape, **_: Any) -> int:
    return _convolution_flops(x, weight, out_shape)


@flop_formula("aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d")
@flop_formula("aten::slow_conv_transpose2d", "aten::slow_conv_transpose3d")
@flop_formula("aten::cudnn_convolution_transpose", "aten::miopen_convolution_transpose")
def _transposed_convolution(x: Shape, weight: Shape, *rest: Any, **_: Any) -> int:
    return _convolution_flops(x, weight, x)


@flop_formula("aten::convolution", "aten::_convolution", "aten::convolution_overrideable")
def _any_convolution(
    x: Shape, weight: Shape, _bias: Any, _stride: Any, _padding: Any, _dilation: Any,
    transposed: bool, *rest: Any, out_shape: Shape, **_: Any,
) -> int:  # fmt: skip
    return _convolution_flops(x, weight, x if transposed else out_shape)


@flop_formula("aten::conv_tbc")
def _convolution_over_time(_x: Shape, weight: Shape, *rest: Any, out_shape: Shape, **_: Any) -> int:
    return 2 * out_shape[0] * out_shape[1] * prod(weight)


@flop_formula("aten::convolution_backward", "aten::convolution_backward_overrideable")
def _convolution_backward(
    grad: Shape, x: Shape, weight: Shape, _bias: Any, _stride: Any, _padding: Any, _dilation: Any,
    transposed: bool, _output_padding: Any, _groups: Any, mask: Sequence[bool], **_: Any,
) -> int:  # fmt: skip
    """Source: ``conv_backward_flop``. Gradients of input and weight are convolutions of the same size."""
    return _convolution_flops(x, weight, x if transposed else grad) * sum(mask[:2])


# Attention. Source: ``sdpa_flop_count`` and ``sdpa_backward_flop_count``: two products of the size of the
# scores forward, five backward, since scores are computed again.


@flop_formula("aten::scaled_dot_product_attention", "aten::_scaled_dot_product_attention_math")
@flop_formula("aten::_scaled_dot_product_flash_attention")
@flop_formula("aten::_scaled_dot_product_flash_attention_for_cpu")
@flop_formula("aten::_scaled_dot_product_efficient_attention")
@flop_formula("aten::_scaled_dot_product_cudnn_attention")
@flop_formula("aten::_scaled_dot_product_fused_attention_overrideable")
@flop_formula("higher_order::flex_attention")
def _attention(query: Shape, key: Shape, value: Shape, *rest: Any, **results: Any) -> int:
    out = results["out_shape"]
    shape = out[0] if out and isinstance(out[0], tuple) else out
    return 2 * prod(shape[:-1]) * key[-2] * (query[-1] + value[-1])


@flop_formula("aten::_scaled_dot_product_flash_attention_backward")
@flop_formula("aten::_scaled_dot_product_flash_attention_for_cpu_backward")
@flop_formula("aten::_scaled_dot_product_efficient_attention_backward")
@flop_formula("aten::_scaled_dot_product_cudnn_attention_backward")
def _attention_backward(
    grad: Shape, query: Shape, key: Shape, value: Shape, *rest: Any, **_: Any
) -> int:
    return 2 * prod(grad[:-1]) * key[-2] * (3 * query[-1] + 2 * value[-1])


@flop_formula("aten::_flash_attention_forward")
def _flash_attention(
    query: Shape, key: Shape, value: Shape, cum_seq_q: Any, cum_seq_k: Any, *rest: Any, **_: Any
) -> int | None:
    """Here heads come after positions; the lengths of ragged batches are data."""
    if cum_seq_q is not None or cum_seq_k is not None:
        return None
    return 2 * prod(query[:3]) * key[1] * (query[-1] + value[-1])


@flop_formula("aten::_efficient_attention_forward")
def _efficient_attention(
    query: Shape, key: Shape, value: Shape, _bias: Any, lengths: Any, *rest: Any, **_: Any
) -> int | None:
    if lengths is not None:
        return None
    return 2 * prod(query[:3]) * key[1] * (query[-1] + value[-1])


@flop_formula("aten::_native_multi_head_attention")
def _multi_head_attention(
    query: Shape, key: Shape, value: Shape, width: int, *rest: Any, **_: Any
) -> int:
    """The products of ``F.multi_head_attention_forward``: three projections, attention, one projection."""
    batch, length, _width = query
    projections = 2 * batch * width * width * (2 * length + key[1] + value[1])
    return projections + 4 * batch * length * key[1] * width


@flop_formula("aten::_transformer_encoder_layer_fwd")
def _encoder_layer(x: Shape, width: int, _heads: int, *rest: Any, **_: Any) -> int:
    """``nn.TransformerEncoderLayer``: attention of ``x`` with itself, then two linear layers."""
    hidden = next(shape for shape in rest[10:] if isinstance(shape, tuple) and len(shape) == 2)
    rows = prod(x[:-1])
    return _multi_head_attention(x, x, x, width) + 4 * rows * prod(hidden)


# Recurrent layers. Every weight matrix meets every step of every sequence once: 2·steps·numel(weights). That
# is the sum of the ``addmm`` of which torch's composite kernels consist.


def _recurrent_flops(steps: int, weights: Sequence[Any]) -> int:
    return 2 * steps * sum(prod(w) for w in weights if isinstance(w, tuple) and len(w) == 2)


@flop_formula("aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu")
def _recurrent(x: Shape, *rest: Any, **_: Any) -> int:
    # The parameters come third; where sequences are packed, their sizes come second.
    packed = isinstance(rest[2], list)
    return _recurrent_flops(prod(x[:-1]), rest[2] if packed else rest[1])


@flop_formula("aten::lstm_cell", "aten::gru_cell", "aten::rnn_tanh_cell", "aten::rnn_relu_cell")
def _recurrent_cell(x: Shape, _hidden: Any, *weights: Any, **_: Any) -> int:
    return _recurrent_flops(prod(x[:-1]), weights[:2])


@flop_formula("aten::mkldnn_rnn_layer")
def _recurrent_layer(x: Shape, *rest: Any, **_: Any) -> int:
    return _recurrent_flops(prod(x[:-1]), rest[:2])


@flop_formula("aten::_cudnn_rnn", "aten::miopen_rnn")
def _fused_recurrent(x: Shape, weights: Sequence[Shape], *rest: Any, **_: Any) -> int:
    return _recurrent_flops(prod(x[:-1]), weights)
