"""Whether a value of one type can stand where one of another type is expected."""

from __future__ import annotations

from typing import Final

from .arguments import Argument
from .dtype import DType
from .literals import Device, FunctionRef
from .types import (
    DictType,
    GroupType,
    ListType,
    RecordType,
    ScalarType,
    TensorType,
    TupleType,
    Type,
)
from .value import Value

_SCALARS: Final = {
    bool: ScalarType.BOOL,
    int: ScalarType.INT,
    float: ScalarType.FLOAT,
    complex: ScalarType.COMPLEX,
    str: ScalarType.STR,
    type(None): ScalarType.NONE,
    Device: ScalarType.DEVICE,
    DType: ScalarType.DTYPE,
    FunctionRef: ScalarType.FUNCTION,
}


def type_fits(given: Type, expected: Type) -> bool:
    """Whether a value of type ``given`` may stand where ``expected`` is said. O(size of the types).

    Tensors must agree in element type, rank, device, layout and class, as far as both are known. Sizes,
    strides and whether autograd follows a tensor are those of one run and may differ in another.
    """
    if given is expected or given is ScalarType.ANY or expected is ScalarType.ANY:
        return True
    if isinstance(given, TensorType) and isinstance(expected, TensorType):
        return _tensor_fits(given, expected)
    if isinstance(given, TupleType) and isinstance(expected, TupleType):
        return _all_fit(given.elements, expected.elements)
    if isinstance(given, ListType) and isinstance(expected, ListType):
        return type_fits(given.element, expected.element)
    if isinstance(given, DictType) and isinstance(expected, DictType):
        return type_fits(given.key, expected.key) and type_fits(given.value, expected.value)
    if isinstance(given, RecordType) and isinstance(expected, RecordType):
        return _record_fits(given, expected)
    return isinstance(given, GroupType) and isinstance(expected, GroupType)


def argument_fits(given: Argument, expected: Type) -> bool:
    """Whether a value, a literal, or a list of these may stand where a type is expected.

    A list is no tuple: what makes that of its parts is ``prim::TupleConstruct``.
    """
    if isinstance(given, Value):
        return type_fits(given.type, expected)
    if expected is ScalarType.ANY:
        return True
    if isinstance(given, tuple):
        if not isinstance(expected, ListType):
            return False
        return all([argument_fits(item, expected.element) for item in given])
    return type_of_literal(given) is expected


def type_of_literal(given: Argument) -> Type:
    """Return the type of a literal; of a list, as of a value, only that it may be any."""
    if isinstance(given, Value | tuple):
        return ScalarType.ANY
    return _SCALARS.get(type(given), ScalarType.OBJECT)


def _tensor_fits(given: TensorType, expected: TensorType) -> bool:
    return (
        (given.dtype is expected.dtype or given.dtype is None or expected.dtype is None)
        and (given.shape is None or expected.shape is None or given.rank == expected.rank)
        and given.device == expected.device
        and given.layout == expected.layout
        and given.class_name == expected.class_name
    )


def _record_fits(given: RecordType, expected: RecordType) -> bool:
    return (
        given.name == expected.name
        and [name for name, _ in given.fields] == [name for name, _ in expected.fields]
        and _all_fit(
            tuple([type_ for _, type_ in given.fields]),
            tuple([type_ for _, type_ in expected.fields]),
        )
    )


def _all_fit(given: tuple[Type, ...], expected: tuple[Type, ...]) -> bool:
    return len(given) == len(expected) and all(map(type_fits, given, expected))
