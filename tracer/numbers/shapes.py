"""What is known of a result's sizes from those of an operator's arguments.

``h.shape[0]`` of a hidden tensor is mostly a size of an input, and ``h.shape[-1]`` that of a weight.
Saying so keeps graphs free of reads of sizes that are known, and lets guards speak of the inputs. A
rule that does not apply, and an operator without one, leave a size to be read from the tensor.

Rules are checked against the sizes of the run; what they promise for other sizes is what the
operators' documentation does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from ...errors import IRError
from ...ir import Argument, Effect, Node, Operator, TensorType, Value
from ...ir.types import Dim
from ..dispatch.number import Number
from .lineage import MASKS


@dataclass(frozen=True, slots=True, eq=False)
class SizeRead:
    """A size of which nothing is known but where it can be read; there is one object for each place.

    Attributes:
        value: the tensor that has it.
        dimension: which of its sizes.
        plain: what it was in the run; None if it was no number.
    """

    value: Value
    dimension: int
    plain: int | None


Dimension: TypeAlias = int | Number | SizeRead
Dimensions: TypeAlias = tuple[Dimension, ...]


class Shapes:
    """Derives the sizes of values, and tells which sizes are the same at every run.

    Nodes are gone through in their order, each once, as far as there are any when somebody asks. What
    is put behind that place later, numbers mostly, is not looked at: its sizes are read.

    Args:
        inputs: the sizes of a value that no node makes.
        is_fixed_input: whether these are the same at every run.
        numbers: the number that a value of the graph is, for values that are numbers.
    """

    def __init__(
        self,
        inputs: Callable[[Value], Dimensions],
        is_fixed_input: Callable[[Value], bool],
        numbers: Mapping[Value, Number],
    ) -> None:
        self._inputs = inputs
        self._is_fixed_input = is_fixed_input
        self._numbers = _Sizes(numbers)
        self._known: dict[Value, Dimensions] = {}
        self._fixed: dict[Value, bool] = {}  # of inputs and state as asked, of results that are
        self._visited: set[Node] = set()
        self._rules: dict[Operator, tuple[Rule | None, bool]] = {}  # and whether sizes are data

    def read(self, size: SizeRead, number: Number) -> None:
        """Take note that a number is a size, which it stands for from now on."""
        self._numbers.reads[number] = size

    def forget(self) -> None:
        """Let go of all that was derived."""
        self._known.clear()
        self._fixed.clear()
        self._visited.clear()
        self._numbers.reads.clear()

    def of(self, value: Value) -> Dimensions:
        """Return the sizes of a tensor value. O(new nodes)."""
        known = self._known.get(value)
        if known is not None:
            return known
        if value.node is None:
            known = self._inputs(value)
        else:
            self._visit_new(value.node)
            known = self._known.get(value) or _all_read(value)
        self._known[value] = known
        return known

    def may_vary(self, value: Value) -> bool:
        """Whether the sizes of a value may differ from run to run. O(new nodes)."""
        if value.node is not None:
            self._visit_new(value.node)
        return not self._is_fixed(value)

    def _is_fixed(self, value: Value) -> bool:
        fixed = self._fixed.get(value)
        if fixed is None:
            fixed = value.node is None and self._is_fixed_input(value)
            self._fixed[value] = fixed
        return fixed

    def _visit_new(self, node: Node) -> None:
        """Derive what the nodes of a block give, up to its end."""
        if node in self._visited or node.block is None:
            return
        new = []
        for latest in reversed(node.block):
            if latest in self._visited:
                break
            new.append(latest)
        self._visited.update(new)
        for earliest in reversed(new):
            self._visit(earliest)

    def _visit(self, node: Node) -> None:
        operator = node.operator
        facts = self._rules.get(operator)
        if facts is None:
            is_data_sized = Effect.DATA_SIZED in operator.effects
            facts = self._rules[operator] = (_rule_of(operator), is_data_sized)
        rule, is_data_sized = facts
        known = self._known
        reads = tensors_read(node)
        has_shapes = not node.blocks
        for value in reads:
            if value not in known:
                self.of(value)
            if cast(TensorType, value.type).shape is None:
                has_shapes = False
        outputs = node.outputs
        for position, output in enumerate(outputs):
            derived = None
            if rule is not None and has_shapes:
                derived = rule(_Call(node, position, reads, known, self._numbers))
            known[output] = _all_read(output) if derived is None else _fitting(derived, output)
        if not is_data_sized and all(map(self._is_fixed, node.inputs)):
            self._fixed.update(dict.fromkeys(outputs, True))


def _all_read(value: Value) -> Dimensions:
    return tuple([SizeRead(value, d, _plain(size)) for d, size in enumerate(_shape(value))])


def _fitting(derived: tuple[Dimension | None, ...], value: Value) -> Dimensions:
    """Return derived sizes, those that are not what they were in the run to be read instead."""
    shape = _shape(value)
    if len(derived) != len(shape):
        return _all_read(value)
    for size, plain in zip(derived, shape, strict=True):
        if size is None or (size if isinstance(size, int) else size.plain) != plain:
            break
    else:
        return derived  # type: ignore[return-value]  # the loop has found no None
    return tuple(
        [
            size
            if size is not None and (size if isinstance(size, int) else size.plain) == plain
            else SizeRead(value, d, _plain(plain))
            for d, (size, plain) in enumerate(zip(derived, shape, strict=True))
        ]
    )


class _Sizes:
    """What numbers among an operator's arguments are as sizes."""

    def __init__(self, numbers: Mapping[Value, Number]) -> None:
        self._numbers = numbers
        self.reads: dict[Number, SizeRead] = {}

    def size(self, argument: Argument) -> Dimension | None:
        if not isinstance(argument, Value):
            return argument if type(argument) is int else None
        number = self._numbers.get(argument)
        if number is None or not number.is_int():
            return None
        return self.reads.get(number, number)


def _shape(value: Value) -> tuple[Dim, ...]:
    type_ = value.type
    return (type_.shape or ()) if isinstance(type_, TensorType) else ()


def _plain(size: Dim) -> int | None:
    return size if isinstance(size, int) else None


def tensors_read(node: Node) -> list[Value]:
    """Return the tensors among a node's inputs."""
    return [value for value in node.inputs if value.type.__class__ is TensorType]


class _Call:
    """One call of an operator, as its rule sees it: sizes for tensors, numbers for values that are."""

    __slots__ = ("_known", "_numbers", "_reads", "node", "position")

    def __init__(
        self,
        node: Node,
        position: int,
        reads: Sequence[Value],
        known: Mapping[Value, Dimensions],
        numbers: _Sizes,
    ) -> None:
        self.node = node
        self.position = position  # of the result that is asked for
        self._reads = reads
        self._known = known
        self._numbers = numbers

    def sizes(self, name: str = "self") -> Dimensions:
        """Return the sizes of a tensor argument."""
        argument = self.node.argument(name)
        assert isinstance(argument, Value), "rules ask for the sizes of tensors"
        return self._known[argument]

    def sizes_of(self, argument: Value) -> Dimensions:
        """Return the sizes of a tensor among the arguments."""
        return self._known[argument]

    def all_sizes(self) -> list[Dimensions]:
        """Return the sizes of every tensor that is read."""
        return [self._known[value] for value in self._reads]

    def argument(self, name: str) -> Argument:
        """Return an argument by the name its schema gives it; None if this overload has none."""
        try:
            return self.node.argument(name)
        except IRError:
            return None

    def number(self, argument: Argument) -> Dimension | None:
        """Return a number among the arguments, as the size that it is."""
        return self._numbers.size(argument)

    def integer(self, name: str) -> int | None:
        """Return an argument that is a plain ``int``."""
        argument = self.argument(name)
        return argument if type(argument) is int else None


Derived: TypeAlias = tuple[Dimension | None, ...] | None
Rule: TypeAlias = Callable[[_Call], Derived]


def _rule_of(operator: Operator) -> Rule | None:
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


def _same_as_first(call: _Call) -> Derived:
    return call.all_sizes()[0]


def _broadcast_all(call: _Call) -> Derived:
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


def _index(call: _Call) -> Derived:
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


def _index_select(call: _Call) -> Derived:
    sizes, dimension = list(call.sizes()), call.integer("dim")
    if dimension is None or not sizes:
        return None
    sizes[dimension] = (*call.sizes("index"), 1)[0]
    return tuple(sizes)


def _nonzero(call: _Call) -> Derived:
    return (None, len(call.sizes()))


def _pad(call: _Call) -> Derived:
    sizes, pad = call.sizes(), call.argument("pad")
    if not isinstance(pad, tuple):
        return None
    padded = len(pad) // 2
    return (*sizes[: len(sizes) - padded], *(None,) * padded)


def _stack(call: _Call) -> Derived:
    parts = call.all_sizes()
    dimension = call.integer("dim")
    if dimension is None:
        return None
    dimension %= len(parts[0]) + 1
    return (*parts[0][:dimension], len(parts), *parts[0][dimension:])


def _handed_on(call: _Call) -> Derived:
    return call.all_sizes()[call.position]


def _linear(call: _Call) -> Derived:
    x, weight = call.all_sizes()[:2]
    return (*x[:-1], weight[0]) if len(weight) == 2 else None


def _matmul(call: _Call) -> Derived:
    one, other = call.all_sizes()[-2:]
    if len(one) < 2 or len(other) < 2:
        return None
    batch = _broadcast(one[:-2], other[:-2])
    return None if batch is None else (*batch, one[-2], other[-1])


def _grouped_matmul(call: _Call) -> Derived:
    one, other = call.all_sizes()[:2]
    # One matrix for each group of rows; other ranks make groups of their own.
    return (one[0], other[2]) if len(one) == 2 and len(other) == 3 else None


def _embedding(call: _Call) -> Derived:
    return (*call.sizes("indices"), *call.sizes("weight")[1:])


def _convolution(call: _Call) -> Derived:
    x, weight = call.all_sizes()[:2]
    if len(x) != len(weight):
        return None
    return (x[0], weight[0], *(None,) * (len(x) - 2))


def _pool(call: _Call) -> Derived:
    """All sizes stay but the last ones, as many as the operator's name says: ``max_pool2d``."""
    pooled = int(call.node.operator.base_name[-2])
    return (*call.sizes()[:-pooled], *(None,) * pooled)


def _adaptive_pool(call: _Call) -> Derived:
    size = call.argument("output_size")
    if not isinstance(size, tuple):
        return None
    return (*call.sizes()[: -len(size)], *[call.number(part) for part in size])


def _attention(call: _Call) -> Derived:
    query, key, value = (call.sizes(name) for name in ("query", "key", "value"))
    batch = _broadcast(_broadcast(query[:-2], key[:-2]), value[:-2])
    return None if batch is None else (*batch, query[-2], value[-1])


def _transpose(call: _Call) -> Derived:
    sizes = list(call.sizes())
    one, other = call.integer("dim0"), call.integer("dim1")
    if one is None or other is None or not sizes:
        return None
    sizes[one], sizes[other] = sizes[other], sizes[one]
    return tuple(sizes)


def _reverse(call: _Call) -> Derived:
    return tuple(reversed(call.sizes()))


def _permute(call: _Call) -> Derived:
    order = call.argument("dims")
    if not isinstance(order, tuple):
        return None
    sizes = call.sizes()
    return tuple([sizes[d] if isinstance(d, int) else None for d in order])


def _unsqueeze(call: _Call) -> Derived:
    sizes, dimension = call.sizes(), call.integer("dim")
    if dimension is None:
        return None
    dimension %= len(sizes) + 1
    return (*sizes[:dimension], 1, *sizes[dimension:])


def _without_dimension(call: _Call) -> Derived:
    sizes, dimension = call.sizes(), call.integer("dim")
    if dimension is None:
        return None
    dimension %= len(sizes)
    return (*sizes[:dimension], *sizes[dimension + 1 :])


def _squeeze(call: _Call) -> Derived:
    sizes, dimension = call.sizes(), call.integer("dim")
    if dimension is None or not sizes:
        return None
    if sizes[dimension] == 1:
        return _without_dimension(call)
    return sizes if isinstance(sizes[dimension], int) else None


def _except_dimension(call: _Call) -> Derived:
    """All sizes stay but that of the dimension worked along."""
    sizes = list[Dimension | None](call.sizes())
    dimension = call.integer("dim")
    if dimension is None or not sizes:
        return None
    if isinstance(sizes[dimension], int):
        sizes[dimension] = _plain(_shape(call.node.outputs[call.position])[dimension])
        # A fixed size is cut at fixed places only if those are plain as well.
        if len(call.node.inputs) > 1:
            sizes[dimension] = None
    else:
        sizes[dimension] = None
    return tuple(sizes)


def _slice(call: _Call) -> Derived:
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


def _concatenate(call: _Call) -> Derived:
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


def _reshape(call: _Call) -> Derived:
    wanted = call.argument("size" if call.node.operator.base_name == "aten::view" else "shape")
    if not isinstance(wanted, tuple):
        return None
    return _inferred(call.sizes(), [call.number(part) for part in wanted])


def _unflatten(call: _Call) -> Derived:
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


def _flatten(call: _Call) -> Derived:
    sizes = call.sizes()
    start, end = call.integer("start_dim"), call.integer("end_dim")
    if start is None or end is None or not sizes:
        return None
    start, end = start % len(sizes), end % len(sizes)
    return (*sizes[:start], _quotient(sizes[start : end + 1], []), *sizes[end + 1 :])


def _expand(call: _Call) -> Derived:
    wanted = call.argument("size")
    if not isinstance(wanted, tuple):
        return None
    sizes = call.sizes()
    padded = (*(1,) * (len(wanted) - len(sizes)), *sizes)
    numbers = [call.number(part) for part in wanted]
    return tuple([own if n == -1 else n for own, n in zip(padded, numbers, strict=True)])


def _reduce(call: _Call) -> Derived:
    sizes = call.sizes()
    dims = call.argument("dim")
    if dims is None or dims == ():
        return (1,) * len(sizes) if call.argument("keepdim") else ()
    dims = dims if isinstance(dims, tuple) else (dims,)
    reduced = {d % len(sizes) for d in dims if isinstance(d, int) and sizes}
    if call.argument("keepdim"):
        return tuple([1 if d in reduced else size for d, size in enumerate(sizes)])
    return tuple([size for d, size in enumerate(sizes) if d not in reduced])


def _arange(call: _Call) -> Derived:
    names = [parameter.name for parameter in call.node.operator.parameters]
    if "step" in names or ("start" in names and call.argument("start") != 0):
        return None
    return (call.number(call.argument("end")),)


def _factory(call: _Call) -> Derived:
    wanted = call.argument("size")
    return tuple(map(call.number, wanted)) if isinstance(wanted, tuple) else None


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
_RULES: Final[dict[str, Rule]] = {
    **{f"aten::{name}": _same_as_first for name in _SAME},
    **{f"aten::{name}": _reduce for name in _REDUCTIONS},
    **{f"aten::conv{n}d": _convolution for n in (1, 2, 3)},
    **{f"aten::{kind}_pool{n}d": _pool for kind in ("max", "avg") for n in (1, 2, 3)},
    **{f"aten::adaptive_{kind}_pool{n}d": _adaptive_pool for kind in ("avg",) for n in (1, 2, 3)},
    **{f"aten::{name}": _factory for name in ("zeros", "ones", "empty", "full", "rand", "randn")},
    **{f"aten::new_{name}": _factory for name in ("zeros", "ones", "empty", "full")},
    **{f"aten::atleast_{n}d": _handed_on for n in (1, 2, 3)},
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
