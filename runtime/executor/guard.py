"""Guards of plans: one generated function that checks them all, and words for the one that fails.

Note [Quick checks]
    torch has a check of many tensors at once, in C++, of exactly those types that some tensors had when it
    was made, and of more, such as that no two are one. So inputs that a guard has admitted get one, which
    admits those like them in a tenth of the time. It decides nothing else: what it refuses is looked at as if
    it were not there. Where inputs of several such types come in turn, it is given up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import torch

from ...ir.literals import CPU
from ...ir.types import SymDim
from ..literals import torch_literal
from .facts import InputFact

_MOST_QUICK_CHECKS: Final = 8  # of one guard; each takes some microseconds to make

PLAIN_CLASSES: frozenset[Any] = frozenset((torch.Tensor, torch.nn.Parameter))


class PlanGuard:
    """Tells whether a plan may run on inputs of the layout that they had at the trace.

    Attributes:
        admits: takes the inputs of the graph, and returns whether all that is promised of them holds.
        source: the text of that function.

    Args:
        count: how many inputs the graph has.
        facts: what the plan goes by.
        grad: the gradient mode that it was made for; None for either.
    """

    def __init__(self, count: int, facts: Sequence[InputFact], grad: bool | None) -> None:
        self._facts = tuple(facts)
        self._grad = grad
        writer = _GuardWriter(count, facts, grad)
        self.source = writer.source()
        self.admits: Callable[..., bool] = writer.function()

    def lines(self) -> tuple[str, ...]:
        """Return what is checked, a line each."""
        mode = () if self._grad is None else (f"grad mode {_on(self._grad)}",)
        return (*mode, *map(str, self._facts))

    def failing(self, given: Sequence[Any]) -> str | None:
        """Return in words the first thing that is not as promised; None where all is."""
        if self._grad is not None and torch.is_grad_enabled() is not self._grad:
            return f"grad mode: profiled {_on(self._grad)}, got {_on(not self._grad)}"
        bound: dict[SymDim, tuple[str, int]] = {}
        for fact in self._facts:
            reason = _failing_base(fact, given[fact.number]) or _failing_sizes(
                fact, given[fact.number], bound
            )
            if reason is not None:
                return f"input {fact.number} {reason}"
        return None


def _on(is_on: bool) -> str:
    return "on" if is_on else "off"


def _failing_base(fact: InputFact, tensor: Any) -> str | None:
    if tensor.__class__ not in PLAIN_CLASSES:
        return f"class: profiled torch.Tensor, got {tensor.__class__.__name__}"
    dtype, device = fact.base.dtype, torch_literal(fact.base.device)
    if dtype is not None and tensor.dtype is not torch_literal(dtype):
        return f"dtype: profiled {torch_literal(dtype)}, got {tensor.dtype}"
    if tensor.device != device:
        return f"device: profiled {device}, got {tensor.device}"
    if fact.requires_grad is not None and tensor.requires_grad is not fact.requires_grad:
        return f"requires_grad: profiled {fact.requires_grad}, got {tensor.requires_grad}"
    return None


def _failing_sizes(
    fact: InputFact, tensor: Any, bound: dict[SymDim, tuple[str, int]]
) -> str | None:
    if fact.shape is None:
        return None
    sizes, steps = tuple(tensor.shape), tensor.stride()
    if len(sizes) != len(fact.shape):
        return f"rank: profiled {len(fact.shape)}, got {len(sizes)}"
    for dimension, (profiled, got) in enumerate(zip(fact.shape, sizes, strict=True)):
        if isinstance(profiled, SymDim):
            place, known = bound.setdefault(profiled, (f"input {fact.number} dim {dimension}", got))
            if known != got:
                return f"dim {dimension}: profiled equal to {place}, which is {known}, got {got}"
        elif profiled != got:
            return f"dim {dimension}: profiled {profiled}, got {got}"
    if fact.strides is not None and steps != fact.strides:
        return f"strides: profiled {fact.strides}, got {steps}"
    if fact.order is not None and steps != _dense(sizes, fact.order):
        return f"strides: profiled dense in the order {fact.order}, got {steps}"
    return None


def _dense(sizes: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    steps, step = [0] * len(order), 1
    for dimension in reversed(order):
        steps[dimension] = step
        step *= sizes[dimension]
    return tuple(steps)


class _QuickCheck:
    """Makes the quick check of a guard for inputs that it has admitted; see Note [Quick checks]."""

    def __init__(self, has_sizes: Sequence[bool]) -> None:
        self._has_sizes = has_sizes
        self._most_left = _MOST_QUICK_CHECKS

    def after(self, namespace: dict[str, Any], *tensors: torch.Tensor) -> None:
        """Have the function with this namespace look for tensors like these first."""
        if self._most_left <= 0:
            namespace["quick"] = _never
            return
        self._most_left -= 1
        pairs = list(zip(tensors, self._has_sizes, strict=True))
        sizes = [list(t.shape) if told else [None] * t.dim() for t, told in pairs]
        strides = [list(t.stride()) if told else [None] * t.dim() for t, told in pairs]
        try:
            guards: Any = torch._C._dynamo.guards.TensorGuards
            made = guards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides)
        except (AttributeError, RuntimeError, TypeError, ValueError):  # a torch that has none
            self._most_left = 0
        else:
            namespace["quick"] = made.check


def _never(*tensors: torch.Tensor) -> bool:
    return False


class _GuardWriter:
    """Writes the function of a guard, which ends at the first thing that is not as promised."""

    def __init__(self, count: int, facts: Sequence[InputFact], grad: bool | None) -> None:
        self._namespace: dict[str, Any] = {
            "plain": PLAIN_CLASSES,
            "is_grad_enabled": torch.is_grad_enabled,
            "quick": _never,
        }
        self._lines = [f"def admits({', '.join(f't{number}' for number in range(count))}):"]
        self._indent = " " * 4
        self._bound: dict[SymDim, str] = {}
        if grad is not None:
            self._refuse_if(f"is_grad_enabled() is not {grad}")
        tensors = ", ".join(f"t{fact.number}" for fact in facts)
        # With its sizes, a check of types says all that there is to say of an input.
        is_all = [fact.is_exact or fact.shape is None for fact in facts]
        if facts:
            self._lines.append(f"    if not quick({tensors}):")
            self._indent = " " * 8
            for fact, is_told in zip(facts, is_all, strict=True):
                self._write_base(fact)
                if is_told:
                    self._write_sizes(fact)
            learn = _QuickCheck([fact.is_exact for fact in facts]).after
            self._namespace["learn"] = partial(learn, self._namespace)
            self._lines.append(f"        learn({tensors})")
            self._indent = " " * 4
            for fact, is_told in zip(facts, is_all, strict=True):
                if not is_told:
                    self._write_sizes(fact)

    def _write_base(self, fact: InputFact) -> None:
        tensor = f"t{fact.number}"
        base = fact.base
        checks = [f"{tensor}.__class__ not in plain"]
        if base.device == CPU:  # devices take long to compare
            checks.append(f"not {tensor}.is_cpu")
        else:
            device = self._bind("device", torch_literal(base.device))
            checks.append(f"{tensor}.device != {device}")
        if base.dtype is not None:
            dtype = self._bind("dtype", torch_literal(base.dtype))
            checks.append(f"{tensor}.dtype is not {dtype}")
        if fact.requires_grad is not None:
            checks.append(f"{tensor}.requires_grad is not {fact.requires_grad}")
        self._refuse_if(" or ".join(checks))

    def _write_sizes(self, fact: InputFact) -> None:
        if fact.shape is None:
            return
        tensor, shape = f"t{fact.number}", fact.shape
        if all(isinstance(size, int) for size in shape):
            self._refuse_if(f"{tensor}.shape != {shape!r}")
        else:
            sizes = [f"{tensor}_{dimension}" for dimension in range(len(shape))]
            self._lines.append(f"{self._indent}sizes = {tensor}.shape")
            self._refuse_if(f"len(sizes) != {len(shape)}")
            self._lines.append(f"{self._indent}{', '.join(sizes)}, = sizes")
            for name, size in zip(sizes, shape, strict=True):
                wanted = repr(size) if isinstance(size, int) else self._bound.setdefault(size, name)
                if wanted != name:
                    self._refuse_if(f"{name} != {wanted}")
        if fact.strides is not None:
            self._refuse_if(f"{tensor}.stride() != {fact.strides!r}")
        elif fact.order is not None:
            self._refuse_if(f"{tensor}.stride() != {_dense_text(tensor, fact)}")

    def _refuse_if(self, condition: str) -> None:
        self._lines += [f"{self._indent}if {condition}:", f"{self._indent}    return False"]

    def _bind(self, what: str, bound: Any) -> str:
        name = f"{what}_{len(self._namespace)}"
        known = next((n for n, held in self._namespace.items() if held == bound), name)
        self._namespace[known] = bound
        return known

    def source(self) -> str:
        """Return the text."""
        return "\n".join([*self._lines, "    return True", ""])

    def function(self) -> Callable[..., bool]:
        """Return the function."""
        exec(compile(self.source(), "<opscope guard>", "exec"), self._namespace)
        function: Callable[..., bool] = self._namespace.pop("admits")
        return function


def _dense_text(tensor: str, fact: InputFact) -> str:
    """Return the steps of dimensions that lie densely in an order, as an expression over sizes."""
    shape, order = fact.shape or (), fact.order or ()
    names = [
        str(size) if isinstance(size, int) else f"{tensor}_{dimension}"
        for dimension, size in enumerate(shape)
    ]
    steps = {
        dimension: " * ".join(names[inner] for inner in order[place + 1 :]) or "1"
        for place, dimension in enumerate(order)
    }
    return f"({''.join(f'{steps[dimension]}, ' for dimension in range(len(shape)))})"
