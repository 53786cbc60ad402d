"""What stands before the ways in which a program sets modes, and asks for them.

Operators are recorded with the modes in force. Where those are what they were around the program, only
this tells whether the program set them, or whether they are its caller's. What the program asks for may
decide which way it goes.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import Any, Final

import torch

from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch

_REGIONS = (
    (torch.no_grad, ("grad",)),
    (torch.enable_grad, ("grad",)),
    (torch.set_grad_enabled, ("grad",)),
    (torch.inference_mode, ("grad", "inference")),  # one brings the other along
    (torch.autocast, ()),
)

_ASKS = {
    "is_grad_enabled": "grad",
    "is_inference_mode_enabled": "inference",
    "is_autocast_enabled": "",  # of a kind of device
    "get_autocast_dtype": "",
}
"""Functions that tell of a mode, and its name."""

MODE_QUESTIONS: Final = frozenset(_ASKS)
"""The names of these, in ``torch``."""

_PUT_BACK = (
    "torch.autograd.",
    "torch.optim.",
    "torch.utils.",
    "torch.amp.",
    __name__.partition(".")[0],
)
"""Modules of those who ask for a mode to put it back later, or to leave out what gives no result."""


def modes(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of regions in which the program sets modes."""
    for region, names in _REGIONS:
        yield region, "__enter__", functools.partial(_told, installed, "set", names)
        yield region, "__exit__", functools.partial(_told, installed, "unset", names)

    for name in _ASKS:
        yield torch, name, functools.partial(_asks_for_mode, installed, name)
    yield torch.nn.Module, "training", functools.partial(_Training, installed)


def _asks_for_mode(installed: Kernels, name: str, function: Any) -> Any:
    @functools.wraps(function)
    def wrapped(*device: Any) -> Any:
        frame = sys._getframe(1)
        if not frame.f_globals.get("__name__", "").startswith(_PUT_BACK):
            mode = _ASKS[name] or (device or ("cuda",))[0]
            call = f"torch.{name}({', '.join(map(repr, device))})"
            recorder = recorder_here(installed)
            while recorder is not None:
                state = recorder.state
                if not state.modes.is_set(mode):
                    ask = functools.partial(function, *device)
                    source = functools.partial(state.walker.user_range, frame)
                    state.circumstances.read_mode(call, ask, source)
                recorder = recorder.outer
        return function(*device)

    return wrapped


class _Training:
    """Stands before ``module.training`` to tell who asks for it."""

    def __init__(self, installed: Kernels, before: Any) -> None:
        self._installed = installed

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None or "training" not in vars(module):
            raise AttributeError("training")  # a scripted module finds its own then
        value = vars(module)["training"]
        recorder = recorder_here(self._installed)
        while recorder is not None:
            state = recorder.state
            path = state.kept.outer_names.get(id(module))
            # Without a path, the program made it.
            if path is not None and not state.circumstances.knows_training(module):
                name = f"{path or type(module).__name__}.training"
                source = functools.partial(state.walker.user_range, sys._getframe(1))
                state.circumstances.read_training(module, name, value, source)
            recorder = recorder.outer
        return value

    def __set__(self, module: Any, value: Any) -> None:
        vars(module)["training"] = value
        recorder = recorder_here(self._installed)
        while recorder is not None:
            recorder.state.circumstances.set_training(module, value)
            recorder = recorder.outer

    def __delete__(self, module: Any) -> None:
        del vars(module)["training"]


def _told(installed: Kernels, note: str, names: tuple[str, ...], method: Any) -> Any:
    @functools.wraps(method)
    def wrapped(self: Any, *args: Any) -> Any:
        result = method(self, *args)
        recorder = recorder_here(installed)
        while recorder is not None:
            getattr(recorder.state.modes, note)(names or (self.device,))
            recorder = recorder.outer
        return result

    return wrapped
