"""The quickest function that makes exactly an operator's call, checked on the dispatcher.

Calling an operator through ``torch.ops`` parses its arguments by its schema, in C++ made for any
schema. The functions behind ``torch.relu`` and the like do the same with code generated for the one
operator, and take about two thirds of the time. But they choose an overload by their own rules. So a
candidate is called once with stand-ins for the tensors, under a recorder that stops the call where it
arrives at the dispatcher: it is used only if the very operator arrives with the very arguments.

They take numbers sooner one by one than in a list, and parts of a tensor sooner by an index than by
``aten::slice``, so arguments are spelled otherwise where the same arrives (``ir/spelling.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from ...ir import Argument, Literal, Node, ScalarType, TensorType, Value
from ...ir.spelling import SpelledCall, Spelling
from .dispatcher import Kernels, kernels, plain_torch, recording
from .literals import equal_literals, to_literal

_MODULES = tuple(
    getattr(torch._C, name)
    for name in ("_VariableFunctions", "_nn", "_linalg", "_special", "_fft", "TensorBase")
    if hasattr(torch._C, name)
)
_BASE: Any = torch._C.TensorBase
_FIRST_INTEGER = 1_000_003  # unlike any that a node has, and one that it counts on


class ExactBindings:
    """Finds bindings for the nodes of a graph.

    Args:
        literal: turns a literal into the object that an operator is called with.
    """

    def __init__(self, literal: Callable[[Literal], Any]) -> None:
        self._literal = literal
        self._kernels = kernels()
        self._known: dict[Any, Callable[..., Any] | None] = {}

    def __call__(self, node: Node) -> Callable[..., Any] | None:
        """Return a binding that makes the node's call; None if none is known to."""
        if not node.kind.startswith("aten::"):
            return None
        key = (node.operator, node.keywords, *map(_pattern, node.all_args))
        if key not in self._known:
            # A trace that compiles a replay must not see this, nor modes around it.
            with recording(self._kernels, None), plain_torch():
                self._known[key] = self._find(node)
        return self._known[key]

    def _find(self, node: Node) -> Callable[..., Any] | None:
        stand_ins = _StandIns(self._literal)
        try:
            args = [stand_ins.argument(arg) for arg in node.args]
            kwargs = {name: stand_ins.argument(arg) for name, arg in node.kwargs.items()}
        except _NoStandIn:
            return None
        candidates: list[Callable[..., Any]] = [*_spelled(node), *_candidates(node)]
        for candidate in candidates:
            arrived = _arrival(self._kernels, candidate, args, kwargs)
            if arrived is not None and arrived.is_call(node.kind, args, kwargs):
                return candidate
        return None


def _spelled(node: Node) -> Iterator[SpelledCall]:
    """Yield candidates that take arguments in another way than by the schema, the quickest first."""
    if node.kind == "aten::slice.Tensor":
        # An index by one slice is that operator, whatever the sizes are; those of more dimensions are not.
        if len(node.args) >= 4 and node.args[1] == 0 and not node.kwargs:
            yield SpelledCall(_BASE.__getitem__, Spelling.INDEX)
        return
    lists = [arg for arg in node.args if isinstance(arg, tuple) and arg and _are_integers(arg)]
    if not lists:
        return
    if node.args[-1] is lists[-1] and hasattr(_BASE, _name(node)):
        yield SpelledCall(getattr(_BASE, _name(node)), Spelling.SPREAD)
    if any(len(numbers) == 1 for numbers in lists):
        for candidate in _candidates(node):
            yield SpelledCall(candidate, Spelling.BARE)


def _are_integers(args: tuple[Argument, ...]) -> bool:
    return all(
        arg.type is ScalarType.INT if isinstance(arg, Value) else type(arg) is int for arg in args
    )


def _candidates(node: Node) -> Iterator[Callable[..., Any]]:
    for module in _MODULES:
        found = getattr(module, _name(node), None)
        if callable(found):
            yield found


def _name(node: Node) -> str:
    return node.operator.base_name.removeprefix("aten::")


def _pattern(arg: Argument) -> Any:
    """Return what of an argument decides which overload a binding chooses."""
    if isinstance(arg, Value):
        return arg.type
    if isinstance(arg, tuple):
        return tuple(map(_pattern, arg))
    return type(arg), repr(arg)


class _NoStandIn(Exception):
    """An argument cannot be stood in for."""


class _StandIns:
    """Makes tensors without memory for the values among a node's arguments."""

    def __init__(self, literal: Callable[[Literal], Any]) -> None:
        self._literal = literal
        self._tensors: dict[Value, torch.Tensor] = {}
        self._integers: dict[Value, int] = {}

    def argument(self, arg: Argument) -> Any:
        if isinstance(arg, tuple):
            return [self.argument(item) for item in arg]
        if isinstance(arg, Value) and arg.type is ScalarType.INT:
            # Which overload is chosen goes by its class, and the number arrives as it is.
            return self._integers.setdefault(arg, _FIRST_INTEGER + len(self._integers))
        return self._tensor(arg) if isinstance(arg, Value) else self._literal(arg)

    def _tensor(self, value: Value) -> torch.Tensor:
        known = self._tensors.get(value)
        if known is not None:
            return known
        type_ = value.type
        if not isinstance(type_, TensorType) or type_.dtype is None or type_.shape is None:
            raise _NoStandIn
        sizes = [size for size in type_.shape if isinstance(size, int)]
        if len(sizes) < len(type_.shape):
            raise _NoStandIn
        made = torch.empty(sizes, dtype=self._literal(type_.dtype), device="meta")
        self._tensors[value] = made
        return made


class _Arrived(BaseException):
    """Ends a call where it arrives at the dispatcher; carries what arrived."""

    def __init__(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.op = op
        self.args = args
        self.kwargs = kwargs

    def is_call(self, kind: str, args: list[Any], kwargs: dict[str, Any]) -> bool:
        """Whether the call is that of an operator with these arguments and no others."""
        if self.op.name() != kind or len(self.args) != len(args):
            return False
        if not all(_same(*pair) for pair in zip(self.args, args, strict=True)):
            return False
        defaults = {
            a.name: a.default_value for a in self.op._schema.arguments if a.has_default_value()
        }
        for name in {*self.kwargs, *kwargs}:
            ours = kwargs.get(name, defaults.get(name))
            theirs = self.kwargs.get(name, defaults.get(name))
            # C++ passes ``pin_memory=False`` where the schema's default is None; they mean the same.
            if not (_same(ours, theirs) or (not kwargs.get(name) and theirs is False)):
                return False
        return True


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        return one is other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return equal_literals(to_literal(one), to_literal(other))


class _Stopper:
    """A recorder that stops every operator instead of running it."""

    def record(self, op: Any, keyset: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise _Arrived(op, args, kwargs)


def _arrival(
    installed: Kernels, candidate: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
) -> _Arrived | None:
    """Return the first operator that a call arrives at the dispatcher with; None if it never does."""
    try:
        with recording(installed, _Stopper()):
            candidate(*args, **kwargs)
    except _Arrived as arrived:
        return arrived.with_traceback(
            None
        )  # which would hold the caller's frames, and what they hold
    except (TypeError, RuntimeError, ValueError):  # the binding does not take these arguments
        return None
    return None
