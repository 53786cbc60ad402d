"""What a replay is held to for composite operators that are traced through.

C++ goes its way by what it reads of tensors unseen; see Note [Traced through] in ``deep.py``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch

from ...ir import Argument, Frame, Modes, Operator, Scope, SourceRange, TensorType, Value
from ..dispatch.dispatcher import (
    autocast_regions,
    is_grad_enabled,
    is_inference_mode_enabled,
)
from ..numbers.data_sizes import DataSizes
from ..program.circumstances import Circumstances
from ..state import TracingState
from .facts import hold_requires_grad
from .inside import is_tensor

AUTOCAST_ON: Final = "the dtype of autocast on "
"""What the question is called that :func:`autocast_dtype` answers, before the kind of device."""


class Call(NamedTuple):
    """A call of a composite operator, as a flat trace records it.

    Attributes:
        operator: what was called.
        args: its arguments, those passed by name last.
        keywords: the names of these.
        inputs: the values among the arguments.
        scope: where it stands.
        stack: the Python stack of the call.
        modes: those that it was called in.
    """

    operator: Operator
    args: tuple[Argument, ...]
    keywords: tuple[str, ...]
    inputs: tuple[Value, ...]
    scope: Scope
    stack: Frame | None
    modes: Modes

    def source(self) -> SourceRange | None:
        """Return the user's line."""
        return None if self.stack is None else self.stack.user.range


class Holder:
    """Holds the replays of one trace to what C++ may have gone by."""

    def __init__(self, state: TracingState) -> None:
        self._state = state
        self._data_sizes = DataSizes(state.numbers.by_value, state.functions.took_data)
        self._holds_sizes = False  # of inputs, all of which a replay is held to
        self._states: set[Value] = set()  # whose flags it is held to
        self._modes: set[object] = set()  # that it is held to

    def can_hold(self, call: Call) -> bool:
        """Whether no numbers and sizes that data decides go in, for which a replay would be refused."""
        numbers, decide = self._state.numbers.by_value, self._data_sizes.decide
        for value in call.inputs:
            number = numbers.get(value)
            if (number is not None and number.is_data) or decide(value):
                return False
        return True

    def hold_sizes(self, call: Call) -> dict[Value, Argument]:
        """Hold a replay to the sizes and numbers that C++ may have gone by.

        Returns:
            The numbers among the arguments, and what each is at every replay.
        """
        sizes, numbers = self._state.sizes, self._state.numbers
        if sizes.may_be_data and not self._holds_sizes:
            self._holds_sizes = any(map(sizes.may_vary, filter(is_tensor, call.inputs)))
            if self._holds_sizes:
                sizes.pin_inputs(_fixed_by(call))
        held: dict[Value, Argument] = {}
        for value in call.inputs:
            number = numbers.by_value.get(value)
            if number is not None:
                held[value] = numbers.pin(number, _fixed_by(call))
        return held

    def hold_facts(self, call: Call, noted: Circumstances) -> None:
        """Note whether state requires gradients, and the modes that the caller of the program decides."""
        for value in call.inputs:
            entry = value.state
            if entry is not None and value not in self._states:
                self._states.add(value)
                hold_requires_grad(self._state, entry, call.source, noted)
        devices = {
            value.type.device.type for value in call.inputs if isinstance(value.type, TensorType)
        }
        # A trace has one object for equal modes.
        met = (id(call.modes), is_grad_enabled(), is_inference_mode_enabled(), *sorted(devices))
        if met not in self._modes:
            self._modes.add(met)
            self._hold_modes(call, devices, noted)

    def _hold_modes(self, call: Call, devices: set[str], noted: Circumstances) -> None:
        """Note the modes that are those around the program, which has not set them itself."""
        modes, around = call.modes, self._state.graph.modes
        asks: dict[str, Callable[[], Any]] = {}
        if modes.inference is around.inference and "inference" not in modes.fixed:
            asks["torch.is_inference_mode_enabled()"] = is_inference_mode_enabled
        # What ``autograd.Function.apply`` calls itself runs without gradients, whatever its caller's.
        if modes.grad is around.grad is is_grad_enabled() and "grad" not in modes.fixed:
            asks["torch.is_grad_enabled()"] = is_grad_enabled
        if modes.autocast == around.autocast:
            for device in sorted(devices - set(modes.fixed)):
                asks[AUTOCAST_ON + device] = functools.partial(autocast_dtype, device)
        for name, ask in asks.items():
            noted.read_mode(name, ask, call.source)


def _fixed_by(call: Call) -> str:
    return f"is fixed by {call.operator.base_name}, which is traced through"


def autocast_dtype(device: str) -> torch.dtype | None:
    """Return what autocast casts to on a kind of device; None where it is off."""
    return dict(autocast_regions()).get(device)
