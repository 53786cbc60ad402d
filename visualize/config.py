"""What a box says of its operator besides the name: ``64→128 3×3 s2`` for a convolution.

Each entry of the table reads a node's arguments by their schema names, or by position where the
operator's schema is not known. An entry that meets what it does not expect says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from ..errors import IRError
from ..ir import MISSING, Argument, Node, TensorType, Value
from .families import bare_name
from .wording import TIMES, shape_text, type_text

_WIDTH = 28  # characters of a box's second line, about


def configuration(node: Node) -> str:
    """Return the few arguments that tell this node from its likes; empty where there are none."""
    describe = _TABLE.get(bare_name(node.operator), _plain_arguments)
    try:
        return describe(_Given(node))
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return ""  # an operator of a known name with arguments of its own kind


class _Given:
    """A node's arguments, by name or else by position."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def get(self, name: str, position: int) -> Argument:
        """Return an argument or its default; None where there is neither."""
        try:
            return self.node.argument(name)
        except IRError:
            args = self.node.args
            has_schema = bool(self.node.operator.parameters)
            return args[position] if not has_schema and position < len(args) else None

    def shape(self, name: str, position: int) -> tuple[str, ...]:
        """Return the sizes of a tensor argument, as text; empty where they are not known."""
        return _sizes(self.get(name, position))

    def result(self, number: int = 0) -> str:
        """Return the shape of a result, as text."""
        type_ = self.node.outputs[number].type
        return shape_text(type_) if isinstance(type_, TensorType) else type_text(type_)


_Describe: TypeAlias = Callable[[_Given], str]


def _sizes(arg: Argument) -> tuple[str, ...]:
    if isinstance(arg, Value) and isinstance(arg.type, TensorType) and arg.type.shape is not None:
        return tuple(str(size) for size in arg.type.shape)
    return ()


def _times(arg: Argument) -> str:
    """Return ``3×3`` for a list of sizes, ``3`` for one."""
    if isinstance(arg, tuple):
        return TIMES.join(map(_scalar, arg))
    return _scalar(arg)


def _scalar(arg: Argument) -> str:
    if isinstance(arg, Value):
        return arg.name or "?"
    if isinstance(arg, float):
        return f"{arg:.4g}"
    return str(arg)


def _same(arg: Argument) -> str:
    """Return one number for a list of equal ones, as in a stride of 2×2; all of them otherwise."""
    if isinstance(arg, tuple) and arg and all(item == arg[0] for item in arg):
        return _scalar(arg[0])
    return _times(arg)


def _unless(arg: Argument, usual: int, prefix: str) -> str:
    text = "" if arg is None or arg == () else _same(arg)
    return "" if text in ("", str(usual)) else f" {prefix}{text}"


def _convolution(given: _Given, groups_at: int = 6, is_transposed: bool = False) -> str:
    weight = given.shape("weight", 1)
    groups = given.get("groups", groups_at)
    parts = int(groups) if isinstance(groups, int) else 1
    first, second, *kernel = weight
    into, out = (
        (first, _multiplied(second, parts))
        if is_transposed
        else (
            _multiplied(second, parts),
            first,
        )
    )
    text = f"{into}→{out} {TIMES.join(kernel)}"
    text += _unless(given.get("stride", 3), 1, "s")
    text += _unless(given.get("dilation", 7 if is_transposed else 5), 1, "d")
    if parts > 1:
        text += " depthwise" if str(parts) == into else f" g{parts}"
    return text


def _multiplied(size: str, factor: int) -> str:
    return str(int(size) * factor) if size.isdecimal() else size


def _transposed_convolution(given: _Given) -> str:
    return _convolution(given, groups_at=6, is_transposed=True)


def _raw_convolution(given: _Given) -> str:
    return _convolution(given, groups_at=8, is_transposed=given.get("transposed", 6) is True)


def _linear(given: _Given) -> str:
    out, into = given.shape("weight", 1)
    return f"{into}→{out}"


def _addmm(given: _Given) -> str:
    into, out = given.shape("mat2", 2)
    return f"{into}→{out}"


def _product(given: _Given) -> str:
    args = [arg for arg in given.node.args if isinstance(arg, Value)]
    left, right = (_sizes(arg) for arg in args[-2:])
    if args[-1].state is not None and len(right) == 2:
        return f"{right[0]}→{right[1]}"
    return f"{TIMES.join(left[-2:])} · {TIMES.join(right[-2:])}"


def _embedding(given: _Given) -> str:
    return TIMES.join(given.shape("weight", 0))


def _normalized_shape(given: _Given) -> str:
    return _times(given.get("normalized_shape", 1))


def _batch_norm(given: _Given) -> str:
    weight = given.shape("weight", 1) or given.shape("running_mean", 3)
    return weight[0] if weight else given.shape("input", 0)[1]


def _group_norm(given: _Given) -> str:
    return f"{given.shape('input', 0)[1]} in {_scalar(given.get('num_groups', 1))} groups"


def _pool(given: _Given) -> str:
    kernel = given.get("kernel_size", 1)
    stride = given.get("stride", 2)
    text = _times(kernel) if isinstance(kernel, tuple) else _times((kernel, kernel))
    return text + _unless(stride, 1, "s")


def _output_size(given: _Given) -> str:
    return f"→ {_times(given.get('output_size', 1))}"


def _upsample(given: _Given) -> str:
    return f"→ {TIMES.join(_sizes(given.node.output)[2:])}"


def _dim(given: _Given) -> str:
    dim = given.get("dim", 1)
    return "" if dim is None or dim == () else f"dim {_list(dim)}"


def _list(arg: Argument) -> str:
    return ",".join(map(_scalar, arg)) if isinstance(arg, tuple) else _scalar(arg)


def _reduction(given: _Given) -> str:
    dim = given.get("dim", 1)
    if isinstance(dim, bool | Value) or dim is None or dim == ():
        return ""
    return f"dim {_list(dim)}"


def _dropout(given: _Given) -> str:
    text = f"p {_scalar(given.get('p', 1))}"
    return text if given.get("train", 2) is not False else f"{text}, off"


def _reshape(given: _Given) -> str:
    return f"→ {given.result()}"


def _created(given: _Given) -> str:
    return given.result()


def _transpose(given: _Given) -> str:
    return f"{_scalar(given.get('dim0', 1))} ↔ {_scalar(given.get('dim1', 2))}"


def _permute(given: _Given) -> str:
    return f"dims {_list(given.get('dims', 1))}"


def _flatten(given: _Given) -> str:
    return f"→ {given.result()}"


def _concatenation(given: _Given) -> str:
    tensors, dim = given.node.args[0], given.get("dim", 1)
    count = len(tensors) if isinstance(tensors, tuple) else 1
    return f"{count} on dim {0 if dim is None else _scalar(dim)}"


def _split(given: _Given) -> str:
    dim = given.get("dim", 2)
    return f"{len(given.node.outputs)} on dim {0 if dim is None else _scalar(dim)}"


def _unbind(given: _Given) -> str:
    dim = given.get("dim", 1)
    return f"{len(given.node.outputs)} on dim {0 if dim is None else _scalar(dim)}"


def _slice(given: _Given) -> str:
    dim, start, end = given.get("dim", 1), given.get("start", 2), given.get("end", 3)
    step = given.get("step", 4)
    first = "" if start in (None, 0) else _scalar(start)
    last = "" if end is None or (isinstance(end, int) and end >= 2**62) else _scalar(end)
    every = "" if step in (None, 1) else f":{_scalar(step)}"
    return f"dim {0 if dim is None else _scalar(dim)} [{first}:{last}{every}]"


def _select(given: _Given) -> str:
    return f"dim {_scalar(given.get('dim', 1))} [{_scalar(given.get('index', 2))}]"


def _cast(given: _Given) -> str:
    source = given.node.inputs[0].type if given.node.inputs else None
    target = given.node.output.type
    if not isinstance(source, TensorType) or not isinstance(target, TensorType):
        return ""
    if source.device != target.device:
        return f"→ {target.device}"
    return f"→ {target.dtype}" if source.dtype is not target.dtype else ""


def _attention(given: _Given) -> str:
    query = given.shape("query", 0)
    text = f"{query[-3]} heads {TIMES} {query[-1]}" if len(query) > 3 else ""
    if given.get("is_causal", 5) is True:
        text += " · causal"
    return text


def _einsum(given: _Given) -> str:
    return str(given.node.args[0])


def _recurrent(given: _Given) -> str:
    weights = given.node.args[2] if isinstance(given.node.args[2], tuple) else given.node.args[3]
    assert isinstance(weights, tuple)
    gates, into = _sizes(weights[0])
    name = bare_name(given.node.operator)
    hidden = int(gates) // {"lstm": 4, "gru": 3}.get(name, 1)
    return f"{into}→{hidden}"


def _recurrent_cell(given: _Given) -> str:
    _, into = _sizes(given.node.args[2])
    return f"{into}→{_sizes(given.node.output)[-1]}"


def _operand(given: _Given) -> str:
    """Describe ``x + 1`` by its plain operand; two tensors say nothing more."""
    words = [_scalar(arg) for arg in given.node.args if isinstance(arg, int | float | complex)][:1]
    alpha = given.node.kwargs.get("alpha", 1)
    is_told = alpha != 1 and not (isinstance(alpha, Value) and not alpha.name)  # an edge shows that
    return ", ".join([*words, *([f"alpha {_scalar(alpha)}"] if is_told else [])])


def _clamp(given: _Given) -> str:
    low, high = given.get("min", 1), given.get("max", 2)
    return f"{'' if low is None else _scalar(low)}…{'' if high is None else _scalar(high)}"


def _owner_of_gradient(given: _Given) -> str:
    owner = given.get("self", 0)
    return f"of {owner.state.name}" if isinstance(owner, Value) and owner.state else ""


def _plain_arguments(given: _Given) -> str:
    """Name the arguments that were given and are not the defaults, as far as they fit."""
    node = given.node
    names = [p.name for p in node.operator.parameters if not p.is_keyword]
    defaults = {p.name: p.default for p in node.operator.parameters}
    texts: list[str] = []
    pairs = [(names[n] if n < len(names) else "", arg) for n, arg in enumerate(node.args)]
    for name, arg in (*pairs, *node.kwargs.items()):
        if arg is None or isinstance(arg, Value) or arg == defaults.get(name, MISSING):
            continue
        if isinstance(arg, tuple) and any(not isinstance(item, int | float) for item in arg):
            continue
        text = f"{name} {_list(arg)}" if name else _list(arg)
        if sum(map(len, texts)) + 2 * len(texts) + len(text) > _WIDTH:
            break
        texts.append(text)
    return ", ".join(texts)


_NAMES: Final[dict[_Describe, str]] = {
    _convolution: "conv1d conv2d conv3d mkldnn_convolution",
    _transposed_convolution: "conv_transpose1d conv_transpose2d conv_transpose3d",
    _raw_convolution: "convolution _convolution",
    _linear: "linear",
    _addmm: "addmm",
    _product: "matmul mm bmm baddbmm mv dot linalg_matmul",
    _embedding: "embedding embedding_bag",
    _normalized_shape: "layer_norm native_layer_norm rms_norm _fused_rms_norm",
    _batch_norm: "batch_norm native_batch_norm instance_norm _native_batch_norm_legit",
    _group_norm: "group_norm",
    _pool: "max_pool2d avg_pool2d max_pool2d_with_indices",
    _output_size: "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d",
    _upsample: """upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_bilinear2d
        upsample_bicubic2d upsample_trilinear3d upsample_linear1d interpolate""",
    _dim: "softmax _softmax log_softmax _log_softmax squeeze unsqueeze cumsum cumprod glu sort argsort",
    _reduction: """mean sum prod std var amax amin argmax argmin max min all any logsumexp
        linalg_vector_norm norm var_mean std_mean""",
    _dropout: "dropout feature_dropout alpha_dropout native_dropout",
    _reshape: "view reshape _unsafe_view expand repeat expand_as broadcast_to as_strided unflatten",
    _flatten: "flatten",
    _created: "zeros ones full empty arange rand randn zeros_like ones_like full_like linspace eye",
    _transpose: "transpose swapaxes",
    _permute: "permute",
    _concatenation: "cat concat concatenate stack hstack vstack",
    _split: "split split_with_sizes chunk tensor_split",
    _unbind: "unbind",
    _slice: "slice",
    _select: "select",
    _cast: "to _to_copy type_as",
    _attention: "scaled_dot_product_attention _scaled_dot_product_flash_attention_for_cpu",
    _einsum: "einsum",
    _recurrent: "lstm gru rnn_tanh rnn_relu",
    _recurrent_cell: "gru_cell rnn_tanh_cell rnn_relu_cell",
    _operand: "add sub rsub mul div pow floor_divide remainder eq ne lt le gt ge masked_fill",
    _clamp: "clamp clip hardtanh",
    _owner_of_gradient: "set_gradient gradient",
}
_TABLE: Final = {name: describe for describe, names in _NAMES.items() for name in names.split()}
