"""Which sizes of which tensors are data, and the numbers they are.

Sizes of the inputs are, as far as ``dynamic`` says so, and those of everything computed from tensors
or numbers whose sizes are. Those of parameters, buffers and constants are plain.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import torch

from ...errors import CaptureError
from ...ir import Argument, Node, Operator, ScalarType, TensorType, Value
from ...ir.scalars import GUARD_OPERATOR, read_operator
from ...passes.size_rules import is_data_sized, keeps_sizes
from ..dispatch.dispatcher import plain_shape, without_hooks
from ..dispatch.number import Number, with_plain_numbers
from .known_sizes import Dimension, Dimensions, SizeRead
from .lineage import is_written
from .numbers import Numbers, own_frames
from .shapes import Shapes
from .trace import Trace
from .traced_numbers import is_traced, traced

own_frames(__file__)

Dynamic: TypeAlias = bool | Mapping[str, Mapping[int, str] | Sequence[str | None]] | None
"""Which sizes of the inputs may vary: all unless pinned, none, or those that are named."""

_INTS = frozenset((int,))
_SIZE = read_operator("aten::sym_size.int", ("Tensor", "int"), ScalarType.INT)
_STRIDE = read_operator("aten::sym_stride.int", ("Tensor", "int"), ScalarType.INT)
_NUMEL = read_operator("aten::sym_numel", ("Tensor",), ScalarType.INT)
_OFFSET = read_operator("aten::sym_storage_offset", ("Tensor",), ScalarType.INT)
_CONTIGUOUS = read_operator("aten::is_contiguous", ("Tensor",), ScalarType.BOOL)
_CONTIGUOUS_IN = read_operator(
    "aten::is_contiguous.memory_format", ("Tensor", "MemoryFormat"), ScalarType.BOOL
)
_RANK = read_operator("aten::dim", ("Tensor",), ScalarType.INT)


class TracedSize(tuple[Any, ...]):
    """A ``torch.Size`` for all that Python can tell, with traced numbers for the sizes that vary.

    Torch's own class cannot be derived from, and its ``numel`` wants plain numbers.
    """

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return torch.Size

    def numel(self) -> Any:
        """Return the product of the sizes."""
        return math.prod(self[1:], start=self[0]) if self else 1

    def __repr__(self) -> str:
        text = f"torch.Size({[with_plain_numbers(size) for size in self]})"
        for size in filter(is_traced, self):
            size.node.numbers.shown(size.node, text, is_shape=True)
            break
        return text

    def __reduce__(self) -> Any:
        return torch.Size, (tuple(self),)

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return TracedSize(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Any:
        whole = tuple.__add__(self, tuple(other)) if isinstance(other, tuple) else NotImplemented
        return whole if whole is NotImplemented else TracedSize(whole)

    def __radd__(self, other: Any) -> Any:
        return TracedSize((*other, *self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: Any) -> Any:
        return TracedSize(tuple.__mul__(self, times))

    __rmul__ = __mul__


class Sizes:
    """Gives the sizes of live tensors as numbers of the graph, for one trace.

    Attributes:
        numbers: those of the trace.
        may_be_data: whether any size is; else all are plain.
    """

    def __init__(self, state: Trace, numbers: Numbers) -> None:
        self._state: Trace = weakref.proxy(state)  # who owns the sizes
        self.numbers = numbers
        self.may_be_data = True
        self._inputs: dict[Value, frozenset[int]] = {}  # the dimensions of each that vary
        self._names: dict[tuple[Value, int], str] = {}  # of the dimensions that vary, some empty
        self._named: dict[str, SizeRead] = {}  # the first size that is read of each name
        self._shapes = Shapes(self._given_sizes, self._is_fixed_input, numbers.by_value)
        self._contiguous: list[Node] = []  # calls of ``contiguous()`` that gave back their argument
        self._reads: dict[SizeRead, Number] = {}

    def add_input(self, value: Value, dimensions: Mapping[int, str]) -> None:
        """Let only these of an input's dimensions vary from run to run; all do of one not told of.

        Those of one name have one size.
        """
        self._inputs[value] = frozenset(dimensions)
        self._names.update(((value, dimension), name) for dimension, name in dimensions.items())

    def forget(self) -> None:
        """Let go of what the trace needed to know of sizes, once it is over."""
        self._inputs.clear()
        self._names.clear()
        self._named.clear()
        self._contiguous.clear()
        self._reads.clear()
        self._shapes.forget()

    def value_of(self, tensor: torch.Tensor) -> Value | None:
        """Return the value of a tensor whose sizes may vary; None for any other tensor."""
        if not self.may_be_data:
            return None
        value = self._state.values.get(tensor)
        if value is None:
            if self._state.values.was_inside(tensor):
                self.pin_inputs(
                    "decides the size of a tensor that left the function it was made in"
                )
            return None
        return value if self.may_vary(value) else None

    def size(self, value: Value, dimension: int, plain: int) -> Any:
        """Return one size of a tensor."""
        known = self._shapes.of(value)
        size = known[dimension] if dimension < len(known) else SizeRead(value, dimension, plain)
        if isinstance(size, int):
            return plain
        if isinstance(size, SizeRead):
            size = self._read_size(size, value, dimension, plain)
        return plain if size is None or size.is_pinned else traced(size)

    def _read_size(self, size: SizeRead, value: Value, dimension: int, plain: int) -> Number:
        """Return the number of a size: that of an input where it is one, else read from what is at hand."""
        known = self._reads.get(size)
        block = self._state.graph.insertion_block
        if known is not None and known.place is not None and block.is_within(known.place.block):
            return known
        if self._is_input(size.value):
            value, dimension = size.value, size.dimension
        number = self.numbers.number(
            _SIZE,
            (value, dimension),
            plain,
            is_entry=self._is_input(value),
            is_data=_is_decided_by_data(size),
        )
        self._reads[size] = number
        self._shapes.read(size, number)
        return number

    def _is_input(self, value: Value) -> bool:
        return value.definer is self._state.graph.block

    def _given_sizes(self, value: Value) -> Dimensions:
        """Return the sizes of a value that no node makes."""
        type_ = value.type
        if not isinstance(type_, TensorType) or type_.shape is None:
            return ()
        if value.state is not None and _INTS.issuperset(map(type, type_.shape)):
            return cast(tuple[int, ...], type_.shape)
        varying = frozenset[int]() if value.state is not None else self._inputs.get(value)
        return tuple(
            [
                size
                if isinstance(size, int) and varying is not None and d not in varying
                else self._given_size(value, d, size)
                for d, size in enumerate(type_.shape)
            ]
        )

    def _given_size(self, value: Value, dimension: int, size: Any) -> SizeRead:
        """Return a size that varies: that of another input where the two have one name."""
        read = SizeRead(value, dimension, size if isinstance(size, int) else None)
        name = self._names.get((value, dimension))
        return self._named.setdefault(name, read) if name else read

    def shape(self, value: Value, plain: torch.Size) -> TracedSize:
        """Return all sizes of a tensor."""
        return TracedSize([self.size(value, d, plain[d]) for d in range(len(plain))])

    def strides(self, value: Value, plain: Sequence[int]) -> tuple[Any, ...]:
        """Return the steps per dimension of a tensor, in elements."""
        return tuple([self._read(_STRIDE, (value, d), step) for d, step in enumerate(plain)])

    def numel(self, value: Value, plain: int) -> Any:
        """Return the number of elements."""
        if isinstance(value.type, TensorType) and value.type.shape == ():
            return plain  # one, as long as it has no dimensions
        return self._read(_NUMEL, (value,), plain)

    def storage_offset(self, value: Value, plain: int) -> Any:
        """Return where in its storage a tensor begins, in elements."""
        return self._read(_OFFSET, (value,), plain)

    def is_contiguous(self, value: Value, plain: bool, memory_format: Any = None) -> Any:
        """Return whether a tensor is contiguous."""
        if memory_format is None:
            return self._read(_CONTIGUOUS, (value,), plain)
        return self._read(_CONTIGUOUS_IN, (value, memory_format), plain)

    def hold_rank(self, node: Node, plain: int) -> None:
        """Guard the number of dimensions of a result, where it depends on sizes."""
        value = node.output
        if not self.may_vary(value) or self._keeps_rank(node):
            return
        number = self.numbers.number(_RANK, (value,), plain, is_entry=False)
        self.numbers.guard(number, "decides how many dimensions a result has")

    def hold_identity(self, argument: Value, result: Value) -> None:
        """Guard what makes a result the very tensor that was the argument, where that depends on sizes.

        ``broadcast_tensors`` gives back what has the common size already. From then on the tensor is
        the result to the trace, also where the program goes on with the argument.
        """
        node, type_ = result.node, result.type
        if node is None or not node.kind.startswith("aten::"):
            return  # whether others hand an argument on does not depend on sizes
        plain = cast(tuple[Any, ...], (isinstance(type_, TensorType) and type_.shape) or ())
        is_gone = (
            argument.node is not None and argument.block is None
        )  # all it did was to make memory
        if not plain or is_gone:
            return
        if node.kind == "aten::contiguous" and self.may_vary(argument):
            self._contiguous.append(node)
        if keeps_sizes(node.operator) and node.inputs[0] is argument:
            return
        if not (self.may_vary(result) or self.may_vary(argument)):
            return
        known = zip(self._shapes.of(result), self._shapes.of(argument), strict=False)
        for dimension, (size, other) in enumerate(known):
            is_ragged = not isinstance(plain[dimension], int)  # which is torch's affair
            if size != other and not is_ragged:
                sizes = [
                    self.size(value, dimension, plain[dimension]) for value in (result, argument)
                ]
                bool(sizes[0] == sizes[1])

    def hold_contiguity(self) -> None:
        """Guard that ``contiguous()`` gives back its argument again, where that is written afterwards.

        Of a copy, the argument would not be.
        """
        graph = self._state.graph
        for node in self._contiguous:
            if node.block is not graph.block:
                continue
            if not is_written(node.output, self._state.values.handed_on):
                continue
            args: tuple[Argument, ...] = (node.args[0],)
            operator = _CONTIGUOUS
            if node.kwargs:
                operator, args = _CONTIGUOUS_IN, (*args, node.argument("memory_format"))
            place: Any = {"scope": node.scope, "stack": node.stack, "modes": node.modes}
            with graph.inserting_after(node):
                read = graph.append(operator, args, (ScalarType.BOOL,), **place)
                graph.append(GUARD_OPERATOR, (read.output, True), (), **place)

    def _keeps_rank(self, node: Node) -> bool:
        """Whether ``squeeze`` looks at sizes only that are the same at every run."""
        sizes = self._shapes.of(node.inputs[0])
        names = [parameter.name for parameter in node.operator.parameters]
        wanted = node.argument("dim") if "dim" in names else tuple(range(len(sizes)))
        dimensions = wanted if isinstance(wanted, tuple) else (wanted,)
        return all(isinstance(d, int) and sizes and isinstance(sizes[d], int) for d in dimensions)

    def length_may_vary(self, node: Node) -> bool:
        """Whether the list that a node gives may have another length at another run."""
        if not node.gives_lists or not node.inputs or node.blocks:
            return False
        if not node.operator.returns:
            return False  # it has no schema: it gives one result for each of the functions that it calls
        if any(isinstance(argument, tuple) for argument in node.args):
            return False  # one result for each of a list of tensors
        if len(node.operator.parameters) == 1:
            return False  # one for each dimension, as ``where`` gives
        source = node.inputs[0]
        if not self.may_vary(source):
            return False
        names = [parameter.name for parameter in node.operator.parameters]
        dimension = node.argument("dim") if "dim" in names else None
        sizes = self._shapes.of(source)
        is_plain = isinstance(dimension, int) and bool(sizes) and isinstance(sizes[dimension], int)
        return not is_plain or len(node.inputs) > 1

    def pin_inputs(self, use: str) -> None:
        """Guard all sizes of the inputs; ``use`` says what for."""
        for value, dimensions in list(self._inputs.items()):
            type_ = value.type
            if isinstance(type_, TensorType) and type_.shape is not None:
                for dimension in sorted(dimensions):
                    plain = type_.shape[dimension]
                    if isinstance(plain, int) and is_traced(
                        size := self.size(value, dimension, plain)
                    ):
                        size.plain(use)

    def pin(self, tensor: torch.Tensor) -> None:
        """Guard all sizes of a tensor, for something that takes them as plain numbers."""
        value = self.value_of(tensor)
        if value is not None:
            with without_hooks():
                shape = plain_shape(tensor)
            for dimension, plain in enumerate(shape):
                size: Any = self.size(value, dimension, plain) if type(plain) is int else plain
                if is_traced(size):
                    size.plain("is fixed")

    def _read(self, operator: Operator, operands: tuple[Any, ...], plain: Any) -> Any:
        value = operands[0]
        number = self.numbers.number(
            operator,
            operands,
            plain,
            is_entry=self._is_input(value),
            is_data=any(map(_is_decided_by_data, self._shapes.of(value))),
        )
        return traced(number)

    def may_vary(self, value: Value) -> bool:
        """Whether the sizes of a value may differ from run to run. O(nodes), once for all values."""
        return self._shapes.may_vary(value)

    def _is_fixed_input(self, value: Value) -> bool:
        if value.state is not None:
            return True
        return self._inputs.get(value) == frozenset() and not _is_nested(value)


def _is_nested(value: Value) -> bool:
    """Whether a value is a nested tensor, whose parts may always be of other sizes."""
    shape = value.type.shape if isinstance(value.type, TensorType) else ()
    return shape is None or not all(isinstance(size, int) for size in shape)


def _is_decided_by_data(size: Dimension) -> bool:
    """Whether a size is one that an operator found in data, as ``nonzero`` does."""
    node = size.value.node if isinstance(size, SizeRead) else None
    return node is not None and is_data_sized(node)


def varying_dimensions(
    dynamic: Dynamic, names: Sequence[str], ranks: Sequence[int]
) -> list[dict[int, str]]:
    """Return, for each input, the dimensions that may vary with their names, empty where they have none.

    Raises:
        CaptureError: ``dynamic`` names an input or a dimension that there is not.
    """
    if dynamic is None or dynamic is True:
        return [dict.fromkeys(range(rank), "") for rank in ranks]
    if dynamic is False:
        return [{} for _ in ranks]
    if not isinstance(dynamic, Mapping):
        raise CaptureError(
            f"dynamic= takes a mapping from names of inputs to their dimensions, or True or False, not "
            f"{dynamic!r}\n  such as {{'x': {{0: 'batch'}}}} or {{'x': ('batch', None)}}"
        )
    unknown = [name for name in dynamic if name not in names]
    if unknown:
        raise CaptureError(
            f"dynamic= names the input {unknown[0]!r}, which the program does not have\n"
            f"  its inputs are {', '.join(names) or 'none'}"
        )
    return [
        _named_dimensions(name, dynamic[name], rank) if name in dynamic else {}
        for name, rank in zip(names, ranks, strict=True)
    ]


def _named_dimensions(
    name: str, wanted: Mapping[int, str] | Sequence[str | None], rank: int
) -> dict[int, str]:
    if not isinstance(wanted, Mapping):
        if not isinstance(wanted, list | tuple) or len(wanted) != rank:
            raise CaptureError(
                f"dynamic= needs one name or None per dimension of input {name}, which has {rank}; "
                f"got {wanted!r}"
            )
        wanted = {d: label for d, label in enumerate(wanted) if label is not None}
    named = {}
    for dimension, label in wanted.items():
        if type(dimension) is not int or not -rank <= dimension < rank:
            raise CaptureError(
                f"dynamic= names dimension {dimension!r} of input {name}, which has {rank} dimensions"
            )
        if not isinstance(label, str) or not label:
            raise CaptureError(
                f"dynamic= needs a text as the name of dimension {dimension} of input {name}; got {label!r}"
            )
        named[dimension % rank] = label
    return named
