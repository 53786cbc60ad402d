"""Types of values: what is known of them without running anything."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .dtype import DType
from .literals import CPU, STRIDED, Device, Layout

_PLAIN_NAME = re.compile(r"[^\W\d]\w*(\.\w+)*\Z")


def quote_name(name: str) -> str:
    """Return ``name`` as text shows it: plain where it is a dotted identifier, else in JSON quotes."""
    return name if _PLAIN_NAME.match(name) else json.dumps(name)


@dataclass(frozen=True, slots=True)
class SymDim:
    """A dimension known by name only, such as ``batch`` or ``s0``."""

    name: str

    def __str__(self) -> str:
        return quote_name(self.name)


Dim: TypeAlias = int | SymDim


def row_major_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides, in elements, of a contiguous tensor of this shape."""
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


@dataclass(frozen=True, slots=True)
class TensorType:
    """What is known of a tensor.

    Attributes:
        dtype: element type; None where it is not known.
        shape: sizes per dimension, in elements; None where even the rank is not known.
        strides: steps per dimension, in elements; None means row-major, which text leaves out.
        device: where the elements are.
        layout: how the elements are stored.
        requires_grad: whether autograd follows the tensor.
        class_name: the class of a tensor that is not torch's own, such as ``TwoTensor``.
    """

    dtype: DType | None = None
    shape: tuple[Dim, ...] | None = None
    strides: tuple[int, ...] | None = None
    device: Device = CPU
    layout: Layout = STRIDED
    requires_grad: bool = False
    class_name: str = ""

    @property
    def rank(self) -> int | None:
        """The number of dimensions, where it is known."""
        return None if self.shape is None else len(self.shape)

    @property
    def numel(self) -> int | None:
        """The number of elements, where every size is known."""
        if self.shape is None:
            return None
        sizes = [size for size in self.shape if isinstance(size, int)]
        return math.prod(sizes) if len(sizes) == len(self.shape) else None

    @property
    def is_exact(self) -> bool:
        """Whether element type and every size are known, and so strides are."""
        return self.dtype is not None and self.numel is not None

    @property
    def nbytes(self) -> int | None:
        """The size of the elements in bytes (dense, not of the storage), where it is known."""
        numel = self.numel
        return None if numel is None or self.dtype is None else numel * self.dtype.nbytes

    def __str__(self) -> str:
        text = "tensor" if self.dtype is None else self.dtype.value
        if self.shape is not None:
            text += "[" + ", ".join(map(str, self.shape)) + "]"
        elif self.dtype is not None:
            text += "[*]"
        facts = []
        if self.strides is not None:
            facts.append(f"strides=[{', '.join(map(str, self.strides))}]")
        if self.device != CPU:
            facts.append(f"device={self.device}")
        if self.layout != STRIDED:
            facts.append(f"layout={self.layout}")
        if self.class_name:
            facts.append(f"class={quote_name(self.class_name)}")
        if self.requires_grad:
            facts.append("grad")
        return f"{text}{{{', '.join(facts)}}}" if facts else text


class ScalarType(Enum):
    """A value that is not a tensor and has no parts."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STR = "str"
    COMPLEX = "complex"
    NONE = "none"
    DEVICE = "device"
    DTYPE = "dtype"
    FUNCTION = "function"
    OBJECT = "object"  # a Python object that the graph only passes on, such as a generator
    ANY = "any"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ListType:
    """A list whose elements share one type."""

    element: Type

    def __str__(self) -> str:
        return f"list[{self.element}]"


@dataclass(frozen=True, slots=True)
class TupleType:
    """A tuple with one type per element."""

    elements: tuple[Type, ...]

    def __str__(self) -> str:
        return f"tuple[{', '.join(map(str, self.elements))}]"


@dataclass(frozen=True, slots=True)
class DictType:
    """A dictionary whose keys and whose values share one type each."""

    key: Type
    value: Type

    def __str__(self) -> str:
        return f"dict[{self.key}, {self.value}]"


@dataclass(frozen=True, slots=True)
class RecordType:
    """A named tuple, dataclass or other object with named fields.

    Attributes:
        name: the class, qualified by its module.
        fields: name and type of each field, in order.
        is_tuple: whether it is a named tuple.
    """

    name: str
    fields: tuple[tuple[str, Type], ...]
    is_tuple: bool = False

    def __str__(self) -> str:
        kind = "namedtuple" if self.is_tuple else "record"
        fields = ", ".join(f"{quote_name(name)}: {type_}" for name, type_ in self.fields)
        return f"{kind} {quote_name(self.name)}[{fields}]"


@dataclass(frozen=True, slots=True)
class GroupType:
    """A group of processes that work together: ``group[0:8]{gloo, rank=3}``.

    Attributes:
        ranks: the numbers of its processes in the world, in the order of the group.
        rank: the one among them that was traced.
        backend: what carries its messages.
    """

    ranks: tuple[int, ...]
    rank: int
    backend: str = ""

    def __str__(self) -> str:
        facts = [quote_name(self.backend)] if self.backend else []
        facts.append(f"rank={self.rank}")
        return f"group[{', '.join(_spans(self.ranks))}]{{{', '.join(facts)}}}"


def _spans(numbers: tuple[int, ...]) -> Iterator[str]:
    """Yield numbers as text; three and more at equal distance as ``start:end`` or ``start:end:step``."""
    at = 0
    while at < len(numbers):
        step = numbers[at + 1] - numbers[at] if at + 1 < len(numbers) else 0
        end = at + 1
        while end < len(numbers) and step > 0 and numbers[end] - numbers[end - 1] == step:
            end += 1
        if end - at < 3:
            yield str(numbers[at])
            at += 1
            continue
        span = f"{numbers[at]}:{numbers[end - 1] + 1}"
        yield span if step == 1 else f"{span}:{step}"
        at = end


Type: TypeAlias = TensorType | ScalarType | ListType | TupleType | DictType | RecordType | GroupType
