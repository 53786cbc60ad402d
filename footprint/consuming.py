"""What an app does with the tensors that go into a model and come out of it: read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def consume(value: Any) -> None:
    """Call on each tensor in a value what bindings of apps call: a copy to the CPU, and back.

    A tensor that cannot be written to is as good: the operators have been called by then.
    """
    for tensor in tensors_in(value):
        try:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not _is_leaf(tensor)):
                tensor.copy_(torch.ops.aten.to.dtype_layout(tensor, device="cpu"))
        except RuntimeError:
            continue


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in lists, tuples and the values of dictionaries."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, torch.Tensor):
            yield item
        elif isinstance(item, dict):
            stack.extend(reversed(item.values()))
        elif isinstance(item, list | tuple):
            stack.extend(reversed(item))


def _is_leaf(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and tensor.is_leaf
