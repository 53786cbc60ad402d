"""Notes on the state of a program: what range its numbers have, in a line each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import torch

_MOST_NUMBERS: Final = 300_000_000  # of all state, which takes about a second to look through


def state_notes(state: Mapping[str, Any]) -> dict[str, str]:
    """Return mean, deviation and range of each plain tensor; nothing of others, and of too many.

    The tensors are read, not changed; those of one name after the other, until there are too many.
    """
    notes: dict[str, str] = {}
    left = _MOST_NUMBERS
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor) or not _is_plain(tensor):
            continue
        left -= tensor.numel()
        if left < 0:
            break
        notes[name] = _note(tensor)
    return notes


def _is_plain(tensor: torch.Tensor) -> bool:
    is_known = type(tensor) in (torch.Tensor, torch.nn.Parameter)
    return is_known and tensor.layout is torch.strided and not tensor.is_meta and tensor.numel() > 0


@torch.no_grad()
def _note(tensor: torch.Tensor) -> str:
    numbers = tensor.detach()
    if numbers.is_quantized or numbers.is_complex():
        return ""
    if not numbers.is_floating_point():
        return f"from {int(numbers.min())} to {int(numbers.max())}"
    numbers = numbers.float() if numbers.element_size() < 4 else numbers
    broken = numbers.numel() - int(torch.isfinite(numbers).sum())
    words = [f"mean {_short(numbers.mean())}"]
    if numbers.numel() > 1:
        words.append(f"std {_short(numbers.std())}")
    words.append(f"from {_short(numbers.min())} to {_short(numbers.max())}")
    if broken:
        words.append(f"{broken:,} not finite")
    return ", ".join(words)


def _short(number: torch.Tensor) -> str:
    value = float(number)
    return f"{value:.3g}" if math.isfinite(value) else str(value)
