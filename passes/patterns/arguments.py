"""Arguments by parameter: two calls are alike however their arguments are passed, and defaults left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

from ...ir import Literal, Operator
from ...ir.operator import Default, Missing

_T = TypeVar("_T")


def by_parameter(
    operator: Operator, args: Sequence[_T], keywords: Sequence[str]
) -> Sequence[_T | Literal | tuple[Literal, ...]] | None:
    """Return one argument per parameter of a schema, in its order, defaults filled in. O(parameters).

    None if they do not fit the schema, or the operator has none: then only calls that are written alike are.
    """
    schema = _schema_of(operator)
    count = len(args) - len(keywords)
    if count > schema.positional:
        return None
    if not keywords:
        if count == len(schema.defaults):
            return args if count else None
        if count >= schema.required:
            filled: Any = schema.defaults[count:]  # none of them is missing
            return (*args, *filled)
    found: list[_T | Default] = [*args[:count], *schema.defaults[count:]]
    for name, arg in zip(keywords, args[count:], strict=True):
        place = schema.places.get(name, -1)
        if place < count:
            return None
        found[place] = arg
    if any(isinstance(arg, Missing) for arg in found):
        return None
    return cast("Sequence[_T | Literal | tuple[Literal, ...]]", found)


@dataclass(frozen=True, slots=True)
class _Schema:
    """What of an operator's parameters decides where an argument belongs.

    Attributes:
        defaults: one per parameter.
        places: the positions of parameters by their names.
        positional: how many may be passed without a name.
        required: how many arguments without names there are at least, where there are no others.
    """

    defaults: tuple[Default, ...]
    places: dict[str, int]
    positional: int
    required: int


@lru_cache(maxsize=4096)
def _schema_of(operator: Operator) -> _Schema:
    parameters = operator.parameters
    needed = [n for n, p in enumerate(parameters) if isinstance(p.default, Missing)]
    return _Schema(
        tuple([parameter.default for parameter in parameters]),
        {parameter.name: place for place, parameter in enumerate(parameters)},
        sum(1 for parameter in parameters if not parameter.is_keyword),
        needed[-1] + 1 if needed else 0,
    )
