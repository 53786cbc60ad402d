"""What stands before torch's fused optimizer steps, which take their numbers as plain ``float`` only.

Torch's argument parser would ask each traced number for the plain one, and so pin it. Here it gets
plain ones, and the operator is recorded with the traced ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch
from ..numbers.numbers import own_frames
from ..numbers.traced_numbers import is_traced

own_frames(__file__)


def fused_steps(installed: Kernels) -> Iterator[Patch]:
    """Yield what keeps the numbers of fused steps traced."""
    for name in dir(torch):
        if name.startswith("_fused_") and _takes_floats(name):
            yield torch, name, functools.partial(_with_numbers, installed)


def _takes_floats(name: str) -> bool:
    packet = getattr(torch.ops.aten, name, None)
    overloads = [] if packet is None else [getattr(packet, found) for found in packet.overloads()]
    return any(
        argument.kwarg_only and isinstance(argument.type, torch.FloatType)
        for overload in overloads
        for argument in overload._schema.arguments
    )


def _with_numbers(installed: Kernels, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        numbers = {name: arg for name, arg in kwargs.items() if is_traced(arg)}
        if recorder is None or not numbers:
            return function(*args, **kwargs)
        plain = {name: number.node.plain for name, number in numbers.items()}
        with recorder.taking(numbers):
            return function(*args, **{**kwargs, **plain})

    return wrapped
