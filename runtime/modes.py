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

from ..ir import Autocast, DType, Modes
from .literals import torch_literal

Context = tuple[str, Callable[[], Any]]


def mode_contexts(ambient: Modes, wanted: Modes) -> list[Context]:
    """Return the contexts that turn ``ambient`` into ``wanted``: a readable name and a factory each."""
    return [_context(*setting) for setting in mode_settings(ambient, wanted)]


def mode_settings(ambient: Modes, wanted: Modes) -> list[list[Any]]:
    """Return what turns ``ambient`` into ``wanted``, as data.

    These are ``["grad", whether]``, ``["inference", whether]`` and
    ``["autocast", device, dtype, whether casts are kept]``, where no dtype means that it is off,
    and None that casts are kept as they are around it.
    """
    settings: list[list[Any]] = []
    is_grad_fixed, grad = "grad" in wanted.fixed, ambient.grad
    if wanted.inference != ambient.inference or "inference" in wanted.fixed:
        settings.append(["inference", wanted.inference])
        is_grad_fixed, grad = False, not wanted.inference  # which this mode brings along
    if wanted.grad != grad or is_grad_fixed:
        settings.append(["grad", wanted.grad])
    before = {region.device: region for region in ambient.autocast}
    after = {region.device: region for region in wanted.autocast}
    fixed = [name for name in wanted.fixed if name not in ("grad", "inference")]
    for device in dict.fromkeys([*before, *after, *fixed]):
        region = after.get(device)
        if region != before.get(device) or device in fixed:
            settings.append(_autocast(device, region))
    return settings


def _autocast(device: str, region: Autocast | None) -> list[Any]:
    if region is None:
        return ["autocast", device, None, None]
    return ["autocast", device, torch_literal(region.dtype), region.caches]


def _context(kind: str, *options: Any) -> Context:
    if kind == "inference":
        name = "inference_mode" if options[0] else "normal_mode"
        return name, partial(torch.inference_mode, options[0])
    if kind == "grad":
        return ("enable_grad", torch.enable_grad) if options[0] else ("no_grad", torch.no_grad)
    device, dtype, caches = options
    if dtype is None:
        return f"no_autocast_{device}", partial(torch.autocast, device, enabled=False)
    return (
        f"autocast_{device}_{_short_name(dtype)}{'' if caches else '_uncached'}",
        partial(torch.autocast, device, dtype=dtype, enabled=True, cache_enabled=caches),
    )


def _short_name(dtype: torch.dtype) -> str:
    long_name = str(dtype).removeprefix("torch.")
    return next((known.value for known in DType if known.long_name == long_name), long_name)
