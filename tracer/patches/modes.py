"""What stands before the contexts by which a program sets gradient, inference and autocast modes.

Operators are recorded with the modes in force. Where those are what they were around the program, only
this tells whether the program set them, or whether they are its caller's.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

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


def modes(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of regions in which the program sets modes."""
    for region, names in _REGIONS:
        yield region, "__enter__", functools.partial(_told, installed, "set", names)
        yield region, "__exit__", functools.partial(_told, installed, "unset", names)


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
