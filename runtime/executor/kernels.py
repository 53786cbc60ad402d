"""Kernels of Inductor, made of graphs of ``torch.fx`` with the options that plans want."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import fx

from .decompositions import decompositions

_OPTIONS: Final[dict[str, Any]] = {"fallback_random": True}  # random numbers are those of eager
# Convolutions of small images take twice as long with channels last.
_CPU_OPTIONS: Final[dict[str, Any]] = {**_OPTIONS, "layout_optimization": False}


def kernels_of(graph: fx.GraphModule, inputs: Sequence[Any], **options: Any) -> Any:
    """Return what runs the kernels of a graph.

    Args:
        graph: calls operators of ``torch.ops``.
        inputs: what it takes, or stand-ins for that.
        options: further ones of Inductor.
    """
    from torch._inductor.compile_fx import compile_fx  # slow to import, so when it is needed

    usual = _CPU_OPTIONS if is_on_cpu(inputs) else _OPTIONS
    return compile_fx(
        graph,
        list(inputs),
        config_patches={**usual, **options},
        decompositions=decompositions(),
    )


def is_on_cpu(values: Sequence[Any]) -> bool:
    """Whether all tensors among some values are on a processor."""
    return all(v.device.type == "cpu" for v in values if isinstance(v, torch.Tensor))
