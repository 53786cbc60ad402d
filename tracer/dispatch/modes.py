"""The ambient modes of this thread, as the IR has them."""

from __future__ import annotations

import torch

from ...ir import Autocast, Modes
from .dispatcher import autocast_regions, is_any_autocast_enabled
from .literals import dtype_of


class ModeReader:
    """Reads gradient, inference and autocast modes; gives one object per combination."""

    def __init__(self) -> None:
        self._plain = {
            (grad, inference): Modes(grad, inference)
            for grad in (False, True)
            for inference in (False, True)
        }
        self._known: dict[Modes, Modes] = {}

    def read(self) -> Modes:
        """Return the modes in force on this thread now."""
        plain = self._plain[torch.is_grad_enabled(), torch.is_inference_mode_enabled()]
        if not is_any_autocast_enabled():
            return plain
        caches = torch.is_autocast_cache_enabled()
        regions = tuple(
            Autocast(device, dtype_of(dtype), caches) for device, dtype in autocast_regions()
        )
        modes = Modes(plain.grad, plain.inference, regions)
        return self._known.setdefault(modes, modes)
