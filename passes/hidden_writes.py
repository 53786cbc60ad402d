"""Operators that write arguments which their schemas call read-only.

Note [Schemas that do not tell]
    Effects come from schemas. These few operators of torch update running statistics in place, and
    neither their schema nor the version counter of the buffers says so. They are listed here, with the
    flag that makes them do it, because leaving a write out would make a functional graph wrong.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ..ir import Effect, Node, Operator, Value
from ..ir.collectives import rule_of
from ..ir.own_operators import (
    GET_RNG_STATE,
    MANUAL_SEED,
    NO_GRADIENT,
    RETAIN_GRAD,
    SEED_GENERATOR,
    SET_DEFAULT_DTYPE,
    SET_GRADIENT,
    SET_RNG_STATE,
)

_STATISTICS = ("running_mean", "running_var")
_HIDDEN: Final[dict[str, tuple[tuple[str, ...], str | None]]] = {
    "aten::batch_norm": (_STATISTICS, "training"),
    "aten::instance_norm": (_STATISTICS, "use_input_stats"),
    "aten::native_batch_norm": (_STATISTICS, "training"),
    "aten::native_batch_norm.out": (_STATISTICS, "training"),
    "aten::_batch_norm_impl_index": (_STATISTICS, "training"),
    "aten::cudnn_batch_norm": (_STATISTICS, "training"),
    "aten::cudnn_batch_norm.out": (_STATISTICS, "training"),
    "aten::miopen_batch_norm": (_STATISTICS, "training"),
    "aten::miopen_batch_norm.out": (_STATISTICS, "training"),
    "aten::batch_norm_update_stats": (_STATISTICS, None),
    "aten::batch_norm_update_stats.out": (_STATISTICS, None),
    "aten::batch_norm_gather_stats": (_STATISTICS, None),
    "aten::batch_norm_gather_stats.out": (_STATISTICS, None),
    "aten::batch_norm_gather_stats_with_counts": (_STATISTICS, None),
    "aten::batch_norm_gather_stats_with_counts.out": (_STATISTICS, None),
}

_SETTINGS = frozenset(
    operator.name
    for operator in (
        MANUAL_SEED,
        SEED_GENERATOR,
        SET_RNG_STATE,
        GET_RNG_STATE,
        SET_DEFAULT_DTYPE,
        RETAIN_GRAD,
        NO_GRADIENT,
        SET_GRADIENT,
    )
)
"""Operators of ours that write settings of torch or of a tensor, and no memory of tensors."""


def written_parameters(node: Node) -> tuple[str, ...]:
    """Return the parameters that a node writes and got values for, by name, in schema order."""
    return tuple([name for name in _written_names(node) if node.values_of(name)])


def written_values(node: Node) -> list[Value]:
    """Return the values that a node is given to write, in schema order."""
    return [value for name in _written_names(node) for value in node.values_of(name)]


def _written_names(node: Node) -> tuple[str, ...]:
    """Return the parameters that a node writes if it gets values for them."""
    _, flag = _HIDDEN.get(node.kind, ((), None))
    return _names_by_flag(node.operator, flag is None or bool(node.argument(flag)))


@lru_cache(maxsize=4096)
def _names_by_flag(operator: Operator, is_set: bool) -> tuple[str, ...]:
    """Return the parameters that an operator writes, those that it hides where its flag is set."""
    hidden = _HIDDEN[operator.name][0] if is_set and operator.name in _HIDDEN else ()
    return tuple([p.name for p in operator.parameters if p.is_written or p.name in hidden])


@lru_cache(maxsize=4096)
def hidden_parameters(operator: Operator) -> tuple[str, ...]:
    """Return the parameters that an operator may write though its schema calls them read-only."""
    return _HIDDEN.get(operator.name, ((), None))[0]


def may_write(operator: Operator) -> bool:
    """Whether an operator may write memory of tensors, called with the right arguments."""
    is_declared = any(p.is_written for p in operator.parameters)
    return is_declared or operator.name in _HIDDEN or may_write_untold(operator)


@lru_cache(maxsize=4096)
def may_write_untold(operator: Operator) -> bool:
    """Whether an operator may write memory without saying which: it has no schema, or hides it."""
    if operator.name in _SETTINGS:
        return False
    if Effect.UNKNOWN in operator.effects:
        return True
    if Effect.WRITES in operator.effects and not any(p.is_written for p in operator.parameters):
        return True
    rule = rule_of(operator.base_name)
    if rule is not None and rule.writes is not None:
        return True  # when it has written is for a wait to tell
    namespace, _, name = operator.base_name.partition("::")
    # Operators of other libraries that end as in-place ones do and declare nothing.
    return namespace not in ("aten", "prim") and name.endswith("_") and not operator.effects
