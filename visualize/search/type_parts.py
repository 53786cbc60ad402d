"""The tensors and scalars that types are made of."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir import DictType, ListType, RecordType, ScalarType, TensorType, TupleType, Type


def parts_of_type(type_: Type) -> Iterator[TensorType | ScalarType]:
    """Yield a type, or those that lie in it at any depth, in order."""
    rest = [type_]
    while rest:
        part = rest.pop()
        if isinstance(part, TensorType | ScalarType):
            yield part
        else:
            rest += reversed(_inside(part))


def _inside(type_: Type) -> tuple[Type, ...]:
    match type_:
        case ListType():
            return (type_.element,)
        case TupleType():
            return type_.elements
        case DictType():
            return (type_.key, type_.value)
        case RecordType():
            return tuple(field for _, field in type_.fields)
    return ()
