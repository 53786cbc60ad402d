"""Counting FLOPs: a formula for each node that has one, and a reason for each that cannot be counted."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from ..errors import ReportError
from ..ir import Argument, Node, Operator, TensorType, Type, Value, provenance, unknown_operator
from ..ir.own_operators import OUTPLACE
from .formulas import Formula, formula_of
from .plain_operators import is_plain


class Uncounted(NamedTuple):
    """An operator whose FLOPs are not known, and why."""

    operator: str
    reason: str


NO_FORMULA = "no formula"
_UNKNOWN_SIZE = "sparse or ragged"


class _UnknownShape(ValueError):
    """A tensor has no shape of plain numbers."""


class FlopCounter:
    """Counts the nodes of a graph, and remembers what it has found out of operators."""

    def __init__(self) -> None:
        self._known: dict[Operator, Formula | int | Uncounted] = {}

    def formula(self, node: Node) -> Formula | None:
        """Return the formula of a node's operator."""
        known = self._look_up(node)
        return None if isinstance(known, int | Uncounted) else known

    def _look_up(self, node: Node) -> Formula | int | Uncounted:
        operator = _called(node)
        known = self._known.get(operator)
        if known is None:
            plain = 0 if is_plain(operator) else Uncounted(operator.name, NO_FORMULA)
            known = self._known[operator] = formula_of(operator.name) or plain
        return known

    def count(self, node: Node) -> int | Uncounted:
        """Return the FLOPs of a node without regard to blocks.

        Raises:
            ReportError: the formula failed, or gave no number.
        """
        formula = self._look_up(node)
        if isinstance(formula, int | Uncounted):
            return formula
        operator = _called(node)
        try:
            args = [_shapes(arg) for arg in _arguments(node)]
            results = [_shape(value.type) for value in node.outputs]
        except _UnknownShape:
            return Uncounted(operator.name, _UNKNOWN_SIZE)
        count = len(node.keywords)
        named = dict(zip(node.keywords, args[len(args) - count :], strict=True))
        is_single = len(results) == 1 or operator is not node.operator
        out = results[0] if is_single and results else tuple(results)
        try:
            found = formula(*args[: len(args) - count], out_shape=out, **named)
        except Exception as error:
            raise _failure(node, f"{type(error).__name__}: {error}") from error
        if found is None:
            return Uncounted(operator.name, _UNKNOWN_SIZE)
        if not isinstance(found, int):
            raise _failure(node, f"it gave {found!r}, which is no whole number")
        return found


def _called(node: Node) -> Operator:
    """Return the operator that a node runs; our own for graphs without writes name another."""
    if node.operator.name == OUTPLACE.name and isinstance(node.args[0], str):
        return _named(node.args[0])
    return node.operator


@cache
def _named(name: str) -> Operator:
    return unknown_operator(name)


def _arguments(node: Node) -> tuple[Argument, ...]:
    return node.all_args[2:] if node.operator.name == OUTPLACE.name else node.all_args


def _shapes(arg: Argument) -> Any:
    """Return an argument as formulas take it."""
    if isinstance(arg, Value):
        return _shape(arg.type)
    if isinstance(arg, tuple):
        return [_shapes(item) for item in arg]
    return arg


def _shape(type_: Type) -> Any:
    """Return the shape of a tensor; None for what is no tensor, whose value the graph does not hold."""
    if not isinstance(type_, TensorType):
        return None
    shape = type_.shape
    if shape is None or type_.layout.name not in ("strided", "_mkldnn"):
        raise _UnknownShape
    for size in shape:
        if size.__class__ is not int:
            raise _UnknownShape
    return shape


def _failure(node: Node, problem: str) -> ReportError:
    where = provenance(node)
    return ReportError(
        f"the FLOP formula of {node.kind} failed: {problem}\n"
        + (f"  at {where}\n" if where else "")
        + "  it is called with a shape for each tensor, a list for each list, and out_shape; "
        "register another with opscope.flop_formula"
    )
