"""What a functional graph computes for inputs and state, written to them when it has run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..errors import InputError
from ..ir import Value
from ..ir.mutation import Mutation
from ..ir.places import HeldPlace
from .outplace import keep_history


class WriteBack:
    """The writes of one call of a functional graph.

    Args:
        mutations: which outputs are new contents, and of what.
        leaves: the tensors of the call, in the order of the graph's inputs.
        names: a name per leaf, for messages.
        state: the tensors and objects behind the graph's state.

    Raises:
        InputError: a leaf that is written shares memory with another leaf, or with state.
    """

    def __init__(
        self,
        mutations: Sequence[Mutation],
        leaves: Sequence[torch.Tensor],
        names: Sequence[str],
        state: Mapping[str, Any],
    ) -> None:
        self._mutations = mutations
        self._leaves = leaves
        kept = {name: _tensor_of(part) for name, part in state.items()}
        self._targets: list[Any] = [  # tensors, and the places of numbers
            leaves[mutation.input] if mutation.input is not None else kept[str(mutation.state)]
            for mutation in mutations
        ]
        self._require_apart(names, kept)

    def _require_apart(self, names: Sequence[str], state: Mapping[str, Any]) -> None:
        named = [
            *zip(names, self._leaves, strict=True),
            *((name, kept) for name, kept in state.items() if isinstance(kept, torch.Tensor)),
        ]
        by_memory: dict[int, list[tuple[str, torch.Tensor]]] = {}
        for name, tensor in named:
            memory = _memory_of(tensor)
            if memory is not None:
                by_memory.setdefault(memory, []).append((name, tensor))
        for mutation, target in zip(self._mutations, self._targets, strict=True):
            memory = _memory_of(target)
            for name, other in () if memory is None else by_memory[memory]:
                if other is not target:
                    raise InputError(
                        f"{mutation.name} and {name} share memory, and the program writes to the first\n"
                        "  pass a clone of one of them; a functional graph holds for separate tensors"
                    )

    def arguments(self) -> list[torch.Tensor]:
        """Return what to call the graph with: copies of the leaves that will be written, under autograd.

        Autograd may save a leaf, and the write afterwards would spoil what it saved.
        """
        arguments = list(self._leaves)
        if torch.is_grad_enabled():
            for mutation in self._mutations:
                if mutation.input is not None:
                    arguments[mutation.input] = arguments[mutation.input].clone()
        return arguments

    def write(self, results: Sequence[Any], outputs: Sequence[Value]) -> list[Any]:
        """Write the new contents, and return what the program itself returns.

        Where that is an input or state that was written, it is the very tensor; where it is on the memory
        of one, it is a view of it.
        """
        own = list(results[: len(results) - len(self._mutations)])
        for mutation, target in zip(self._mutations, self._targets, strict=True):
            if not isinstance(target, torch.Tensor):
                target.write(results[mutation.output])
                continue
            content, memory = results[mutation.output], _memory_of(results[mutation.output])
            with torch.set_grad_enabled(torch.is_grad_enabled() and mutation.is_tracked):
                target.copy_(content)
            for number in range(len(own)):
                if outputs[number] is outputs[mutation.output]:
                    own[number] = target
                elif memory is not None and _memory_of(own[number]) == memory:
                    own[number] = _moved(own[number], content, target)
        return own


def _tensor_of(part: Any) -> Any:
    """Return the tensor in a place that the graph reads; any other piece of state as it is."""
    content = part.find() if isinstance(part, HeldPlace) else None
    return content if isinstance(content, torch.Tensor) else part


def _moved(part: torch.Tensor, content: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return a tensor on the memory of ``content`` as what it is on that of ``target``, laid out alike."""
    distance = int(part.storage_offset()) * part.element_size()
    distance += int(target.storage_offset() - content.storage_offset()) * content.element_size()
    start, rest = divmod(distance, part.element_size())
    if rest or target.stride() != content.stride():
        return part
    if part.dtype == target.dtype and not part.is_conj() and not part.is_neg():
        if _is_view_of(part, content) and part.requires_grad and target.requires_grad:
            return target.as_strided(part.size(), part.stride(), start)
        moved = target.detach().as_strided(part.size(), part.stride(), start)
        return keep_history(moved, part) if part.requires_grad else moved
    if part.requires_grad or target.is_conj() or target.is_neg():
        return part
    moved = _elements(target.detach(), part.dtype).as_strided(part.size(), part.stride(), start)
    moved = moved.conj() if part.is_conj() else moved
    return torch._neg_view(moved) if part.is_neg() else moved


def _is_view_of(part: torch.Tensor, content: torch.Tensor) -> bool:
    """Whether autograd knows a tensor as a view of another, so that it has the history of that."""
    base = content._base if content._is_view() else content
    return part is content or (part._is_view() and part._base is base)


def _elements(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return all memory of a tensor as elements of a dtype, so that writes to it count as its own."""
    size = tensor.element_size()
    count = tensor.untyped_storage().nbytes() // size
    count -= count % max(1, dtype.itemsize // size)
    return tensor.as_strided((count,), (1,), 0).view(dtype)


def _memory_of(tensor: Any) -> int | None:
    """Return the address of a tensor's memory; None for what has none of its own."""
    if (
        not isinstance(tensor, torch.Tensor)
        or tensor.layout is not torch.strided
        or tensor.numel() == 0
    ):
        return None
    try:
        return tensor.untyped_storage().data_ptr() or None
    except (
        RuntimeError,
        NotImplementedError,
    ):  # wrapper subclasses and functorch tensors have none
        return None
