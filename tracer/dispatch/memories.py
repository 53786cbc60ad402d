"""Which inputs and which state of a program are on the same memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from ...ir import Graph, Value
from .dispatcher import plain_layout, plain_numel, plain_untyped_storage, storage_key


def memory_of(tensor: torch.Tensor) -> int | None:
    """Return a number that live tensors on one memory share; None for those without memory of their own."""
    return None if plain_numel(tensor) == 0 else owned_memory_of(tensor)


def owned_memory_of(tensor: torch.Tensor) -> int | None:
    """Return the same of a tensor that may have no elements, in memory that others have a part of."""
    if plain_layout(tensor) is not torch.strided:
        return None
    try:
        return storage_key(tensor)
    except (
        RuntimeError,
        NotImplementedError,
    ):  # wrapper subclasses and functorch tensors have none
        return None


def is_foreign_memory(tensor: torch.Tensor) -> bool:
    """Whether a tensor is on memory that torch did not allocate, such as a NumPy array's.

    Torch can resize the storages that it allocated, and no others.
    """
    return not plain_untyped_storage(tensor).resizable()


def shared_memories(
    graph: Graph, leaves: Iterable[torch.Tensor], objects: Mapping[str, Any]
) -> dict[Value, int]:
    """Return a number per input and state value of a graph; those on one memory have the same.

    A leaf that is one tensor with an earlier one is left out: the graph reads the earlier one alone.
    """
    memories: dict[Value, int] = {}
    seen: set[int] = set()
    kept = [(entry.value, objects[name]) for name, entry in graph.state.items()]
    for value, tensor in (*zip(graph.inputs, leaves, strict=True), *kept):
        if not isinstance(tensor, torch.Tensor) or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        memory = memory_of(tensor)
        if memory is not None:
            memories[value] = memory
    return memories
