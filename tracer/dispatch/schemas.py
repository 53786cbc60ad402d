"""Torch's operator schemas as the IR's operators: parameters, results and effects."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Final, cast

import torch

from ...ir import MISSING, Effect, Operator, Parameter, Return
from ...ir.collectives import rule_of
from ...ir.operator import Default
from .literals import to_literal
from .operator_aliases import canonical_overload
from .own_kernels import has_autocast_kernel, own_kernels

_UNTAGGED: Final = frozenset(
    f"aten::{name}"
    for name in """
    where nonzero_numpy repeat_interleave.self_Tensor tensor_split.tensor_indices_or_sections
    _pack_padded_sequence _pad_packed_sequence
    """.split()
)
"""Operators whose sizes depend on data, which torch's tags do not say."""


@cache
def operator_of(op: torch._ops.OpOverload) -> Operator:
    """Return the IR's operator for one of torch's, made once."""
    schema = cast(Any, op._schema)
    name = cast(Any, op).name()
    overload = f".{schema.overload_name}" if schema.overload_name else ""
    parameters = tuple(_parameter(argument) for argument in schema.arguments)
    returns = tuple(Return(_type_text(r), _alias(r)) for r in schema.returns)
    effects = Effect.NONE
    if schema.is_mutable:
        effects |= Effect.WRITES
    rule = rule_of(schema.name)
    if rule is not None and schema.name.startswith("c10d::"):
        effects |= Effect.WRITES  # none of these may be left out or moved on one rank alone
        if rule.writes is not None:
            parameters, returns = _with_write(parameters, returns, rule.writes)
    if torch.Tag.nondeterministic_seeded in op.tags:
        effects |= Effect.RANDOM
    if torch.Tag.inplace_view in op.tags:
        effects |= Effect.RESHAPES
    if torch.Tag.dynamic_output_shape in op.tags or name in _UNTAGGED:
        effects |= Effect.DATA_SIZED
    is_pointwise = torch.Tag.pointwise in op.tags
    canonical = canonical_overload(op)
    return Operator(
        name=f"{schema.name}{overload}",
        parameters=parameters,
        returns=returns,
        effects=effects,
        is_pointwise=is_pointwise,
        casts=not is_pointwise or own_kernels(name) is not None or has_autocast_kernel(name),
        canonical=None if canonical is None else operator_of(canonical),
    )


def _with_write(
    parameters: tuple[Parameter, ...], returns: tuple[Return, ...], written: int
) -> tuple[tuple[Parameter, ...], tuple[Return, ...]]:
    """Return a schema that says which argument is written, and that the result is that argument.

    Those of torch's collectives do not.
    """
    parameter = replace(parameters[written], alias="a", is_written=True)
    results = (replace(r, alias="a") if "Tensor" in r.type else r for r in returns)
    return (*parameters[:written], parameter, *parameters[written + 1 :]), tuple(results)


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
