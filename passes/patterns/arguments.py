"""Arguments by parameter: two calls are alike however their arguments are passed, and defaults left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ...ir import Literal, Operator
from ...ir.operator import Missing

_T = TypeVar("_T")


def by_parameter(
    operator: Operator, args: Sequence[_T], keywords: Sequence[str]
) -> list[_T | Literal | tuple[Literal, ...]] | None:
    """Return one argument per parameter of a schema, in its order, defaults filled in. O(parameters).

    None if they do not fit the schema, or the operator has none: then only calls that are written alike are.
    """
    parameters = operator.parameters
    count = len(args) - len(keywords)
    if count > len(parameters) or not parameters:
        return None
    named = dict(zip(keywords, args[count:], strict=True))
    found: list[_T | Literal | tuple[Literal, ...]] = []
    for position, parameter in enumerate(parameters):
        if position < count:
            if parameter.is_keyword:
                return None
            found.append(args[position])
        elif parameter.name in named:
            found.append(named.pop(parameter.name))
        elif isinstance(parameter.default, Missing):
            return None
        else:
            found.append(parameter.default)
    return None if named else found
