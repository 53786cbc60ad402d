"""Random number generators: what they would draw next, kept and put back."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch


class TorchRandomness:
    """The state of torch's generators: the CPU's, those of the devices in use, and any given ones.

    Args:
        devices: devices that a program computes on.
        generators: generators of its own.
    """

    def __init__(
        self, devices: Iterable[torch.device], generators: Iterable[torch.Generator]
    ) -> None:
        self._restorers: list[Callable[[], Any]] = []
        self._keep(torch.get_rng_state, torch.set_rng_state)
        for module, index in sorted(_device_generators(devices), key=str):
            backend = getattr(torch, module)
            if index is None:  # a backend with a single device
                self._keep(backend.get_rng_state, backend.set_rng_state)
            else:
                state = backend.get_rng_state(index)
                self._restorers.append(_device_restorer(backend, state, index))
        for generator in {id(found): found for found in generators}.values():
            self._keep(generator.get_state, generator.set_state)

    def _keep(self, get: Callable[[], torch.Tensor], put: Callable[[torch.Tensor], Any]) -> None:
        state = get()
        self._restorers.append(lambda: put(state))

    def restore(self) -> None:
        """Make every generator draw again what it would have drawn."""
        for restore in self._restorers:
            restore()


class PythonRandomness:
    """The state of the generators of Python and NumPy, which a graph knows nothing of."""

    def __init__(self) -> None:
        self._python = random.getstate()
        numpy: Any = sys.modules.get("numpy")  # a program that has not imported it draws nothing
        self._numpy_random = None if numpy is None else numpy.random
        self._numpy = None if numpy is None else numpy.random.get_state()

    def restore(self) -> None:
        """Make both draw again what they would have drawn."""
        random.setstate(self._python)
        if self._numpy_random is not None:
            self._numpy_random.set_state(self._numpy)


def _device_generators(devices: Iterable[torch.device]) -> set[tuple[str, int | None]]:
    """Return backend module and device number of every generator that a run may draw from."""
    found: set[tuple[str, int | None]] = set()
    for device in devices:
        backend = getattr(torch, device.type, None)
        if device.type == "cpu" or not hasattr(backend, "get_rng_state"):
            continue
        if device.type == "mps":
            found.add(("mps", None))
            continue
        index = device.index
        found.add((device.type, backend.current_device() if index is None else index))
    cuda: Any = torch.cuda
    if cuda.is_available() and cuda.is_initialized():
        found.update(("cuda", index) for index in range(cuda.device_count()))
    return found


def _device_restorer(backend: Any, state: torch.Tensor, index: int) -> Callable[[], None]:
    return lambda: backend.set_rng_state(state, index)
