"""The ambient modes of this thread, as the IR has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from ...ir import Autocast, Modes
from .dispatcher import (
    autocast_regions,
    is_any_autocast_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
)
from .literals import dtype_of


class ModeReader:
    """Reads gradient, inference and autocast modes; gives one object per combination.

    Args:
        ambient: the modes around the program; those in force now if left out.
    """

    def __init__(self, ambient: Modes | None = None) -> None:
        self._plain = {
            (grad, inference): Modes(grad, inference)
            for grad in (False, True)
            for inference in (False, True)
        }
        self._now = self._plain  # without autocast, until the program enters or leaves a region
        self._known: dict[Modes, Modes] = {}
        self._set: dict[str, int] = {}  # in how many regions the program is that set a mode
        self._ambient = self.read() if ambient is None else ambient

    def read(self) -> Modes:
        """Return the modes in force on this thread now."""
        key = is_grad_enabled(), is_inference_mode_enabled()
        if is_any_autocast_enabled():
            caches = torch.is_autocast_cache_enabled()
            regions = tuple(
                Autocast(device, dtype_of(dtype), caches) for device, dtype in autocast_regions()
            )
            return self._with_fixed(Modes(*key, regions))
        modes = self._now.get(key)
        if modes is None:
            modes = self._now[key] = self._with_fixed(self._plain[key])
        return modes

    def _with_fixed(self, modes: Modes) -> Modes:
        if self._set:
            modes = replace(modes, fixed=self._fixed(modes))
        return self._known.setdefault(modes, modes)

    def set(self, names: tuple[str, ...]) -> None:
        """Note that the program has entered a region of its own in which it set these modes."""
        for name in names:
            self._set[name] = self._set.get(name, 0) + 1
        self._now = {} if self._set else self._plain

    def is_set(self, name: str) -> bool:
        """Whether the program is in a region of its own in which it set a mode."""
        return name in self._set

    def unset(self, names: tuple[str, ...]) -> None:
        """Note that the program has left a region in which it set these modes."""
        for name in names:
            count = self._set.pop(name, 0) - 1
            if count > 0:
                self._set[name] = count
        self._now = {} if self._set else self._plain

    @contextmanager
    def setting(self, *names: str) -> Iterator[None]:
        """Take what runs until the ``with`` ends for a region in which the program set these modes."""
        self.set(names)
        try:
            yield
        finally:
            self.unset(names)

    def _fixed(self, modes: Modes) -> tuple[str, ...]:
        """Return which modes were set to what they are around the program."""
        # A copy: a generator that is collected meanwhile may leave a region.
        names = list(self._set)
        return tuple([name for name in names if _mode(modes, name) == _mode(self._ambient, name)])


def _mode(modes: Modes, name: str) -> bool | Autocast | None:
    if name == "grad":
        return modes.grad
    if name == "inference":
        return modes.inference
    return next((region for region in modes.autocast if region.device == name), None)
