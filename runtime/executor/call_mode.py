"""What around a call decides how its operators run: gradients, inference mode, autocast, and who looks on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.autograd import forward_ad


@dataclass(frozen=True, slots=True)
class CallMode:
    """The modes of torch that a call is made in. Each has plans of its own.

    Attributes:
        grad: whether gradients are recorded.
        inference: whether it is inference mode.
        autocast: devices that autocast is on for, each with its dtype.
        deterministic: whether only deterministic algorithms are allowed.
        observed: whether something besides the program sees what operators make: a transform of
            ``torch.func``, forward-mode AD, or a dispatch mode.
    """

    grad: bool
    inference: bool = False
    autocast: tuple[tuple[str, torch.dtype], ...] = ()
    deterministic: bool = False
    observed: bool = False

    @classmethod
    def current(cls) -> CallMode:
        """Return the modes around the caller."""
        return cls(*mode_key())

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Run in these modes, in a thread that is in none."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode(self.inference))
            stack.enter_context(torch.set_grad_enabled(self.grad))
            for device, dtype in self.autocast:
                stack.enter_context(torch.autocast(device, dtype=dtype))
            yield

    def __str__(self) -> str:
        named = "in inference mode" if self.inference else f"with grad mode {_on(self.grad)}"
        casts = "".join(f", autocast {device} {dtype}" for device, dtype in self.autocast)
        further = ", deterministic" if self.deterministic else ""
        return named + casts + further + (", inside a transform or mode" if self.observed else "")


ModeKey = tuple[bool, bool, tuple[tuple[str, torch.dtype], ...], bool, bool]


def mode_key() -> ModeKey:
    """Return the modes around the caller, as quickly as can be."""
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        _autocasts() if torch._C._is_any_autocast_enabled() else (),
        torch._C._get_deterministic_algorithms(),
        torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or torch._C._len_torch_dispatch_stack() > 0,
    )


def _autocasts() -> tuple[tuple[str, torch.dtype], ...]:
    devices = ["cpu"]
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is not None:
        devices.append(accelerator.type)
    return tuple(
        (device, torch.get_autocast_dtype(device))
        for device in devices
        if torch.is_autocast_enabled(device)
    )


def _on(is_on: bool) -> str:
    return "on" if is_on else "off"
