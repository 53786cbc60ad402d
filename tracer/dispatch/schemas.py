"""Torch's operator schemas as the IR's operators: parameters, results and effects."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch

from ...ir import MISSING, Effect, Operator, Parameter, Return
from ...ir.operator import Default
from .literals import to_literal


@cache
def operator_of(op: torch._ops.OpOverload) -> Operator:
    """Return the IR's operator for one of torch's, made once."""
    schema = cast(Any, op._schema)
    overload = f".{schema.overload_name}" if schema.overload_name else ""
    parameters = tuple(_parameter(argument) for argument in schema.arguments)
    effects = Effect.NONE
    if schema.is_mutable:
        effects |= Effect.WRITES
    if torch.Tag.nondeterministic_seeded in op.tags:
        effects |= Effect.RANDOM
    if torch.Tag.inplace_view in op.tags:
        effects |= Effect.RESHAPES
    if torch.Tag.dynamic_output_shape in op.tags:
        effects |= Effect.DATA_SIZED
    return Operator(
        name=f"{schema.name}{overload}",
        parameters=parameters,
        returns=tuple(Return(_type_text(r), _alias(r)) for r in schema.returns),
        effects=effects,
        is_pointwise=torch.Tag.pointwise in op.tags,
    )


def _parameter(argument: Any) -> Parameter:
    default: Default = MISSING
    if argument.has_default_value():
        default = _default(argument.default_value)
    return Parameter(
        name=argument.name,
        type=_type_text(argument),
        is_keyword=argument.kwarg_only,
        default=default,
        alias=_alias(argument),
        is_written=argument.is_write,
    )


def _default(value: Any) -> Default:
    if isinstance(value, list):
        return tuple(_default(item) for item in value)  # type: ignore[misc]  # schemas nest no lists
    return to_literal(value)


def _type_text(fact: Any) -> str:
    return str(fact.real_type if hasattr(fact, "real_type") else fact.type)


def _alias(fact: Any) -> str:
    info = fact.alias_info
    if info is None:
        return ""
    return "|".join(sorted(info.before_set | info.after_set))
