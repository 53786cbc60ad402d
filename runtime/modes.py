"""Ambient modes of a node as the contexts that restore them at replay.

Modes are restored relative to those in force when the program was entered: what ran under ``no_grad``
inside the program runs so again, and what ran in the caller's modes runs in the caller's modes again,
whatever they are then. What the program set to what it was already is noted as such
(``Modes.fixed``). So a program traced under grad can be replayed under ``inference_mode``, as the model
itself could.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from ..ir import Autocast, Modes
from .literals import torch_literal

Context = tuple[str, Callable[[], Any]]


def mode_contexts(ambient: Modes, wanted: Modes) -> list[Context]:
    """Return the contexts that turn ``ambient`` into ``wanted``: a readable name and a factory each."""
    contexts: list[Context] = []
    is_grad_fixed, grad = "grad" in wanted.fixed, ambient.grad
    if wanted.inference != ambient.inference or "inference" in wanted.fixed:
        name = "inference_mode" if wanted.inference else "normal_mode"
        contexts.append((name, partial(torch.inference_mode, wanted.inference)))
        is_grad_fixed, grad = False, not wanted.inference  # which this mode brings along
    if wanted.grad != grad or is_grad_fixed:
        contexts.append(
            ("enable_grad", torch.enable_grad) if wanted.grad else ("no_grad", torch.no_grad)
        )
    before = {region.device: region for region in ambient.autocast}
    after = {region.device: region for region in wanted.autocast}
    fixed = [name for name in wanted.fixed if name not in ("grad", "inference")]
    for device in dict.fromkeys([*before, *after, *fixed]):
        region = after.get(device)
        if region != before.get(device) or device in fixed:
            contexts.append(_autocast(device, region))
    return contexts


def _autocast(device: str, region: Autocast | None) -> Context:
    if region is None:
        return f"no_autocast_{device}", partial(torch.autocast, device, enabled=False)
    return (
        f"autocast_{device}_{region.dtype}{'' if region.caches else '_uncached'}",
        partial(
            torch.autocast,
            device,
            dtype=torch_literal(region.dtype),
            enabled=True,
            cache_enabled=region.caches,
        ),
    )
