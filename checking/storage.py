"""What tensors hold, copied apart from them, so that it can be put back or given to tensors like them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch

from ..runtime.compare import is_given_back, same_bits
from ..tracer import storage_key


def storage_of(tensor: torch.Tensor) -> int | None:
    """Return what tensors of one storage have in common; None for tensors that have none of their own.

    Those are sparse and nested tensors, and subclasses that hold other tensors.
    """
    if tensor.layout is not torch.strided or tensor.is_nested or tensor.is_quantized:
        return None
    if type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        return None
    try:
        return storage_key(tensor)
    except (RuntimeError, NotImplementedError):
        return None


def copy_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy of a tensor without its history; an empty one where its memory is given back."""
    tensor = tensor.detach()
    return tensor.new_empty(0) if is_given_back(tensor) else tensor.clone()


class Content:
    """A copy of all that stands in the storage of a tensor; of the tensor itself where it has none."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._storage: torch.UntypedStorage | None = None
        self._tensor: torch.Tensor | None = None
        if storage_of(tensor) is None:
            self._tensor = tensor.detach().clone()
        else:
            self._storage = _cloned(tensor.untyped_storage())

    def copied(self) -> Content:
        """Return another copy of the same content."""
        twin = Content.__new__(Content)
        twin._storage = None if self._storage is None else _cloned(self._storage)
        twin._tensor = None if self._tensor is None else self._tensor.clone()
        return twin

    def maker_of(self, tensor: torch.Tensor) -> Callable[[Content], torch.Tensor]:
        """Return what makes a tensor like ``tensor``, without a history, of any copy of its content."""
        class_ = type(tensor)
        if self._storage is None:
            return _given
        shape, strides = tuple(tensor.shape), tensor.stride()
        offset, dtype, device = tensor.storage_offset(), tensor.dtype, tensor.device
        is_conj, is_neg = tensor.is_conj(), tensor.is_neg()
        is_parameter = isinstance(tensor, torch.nn.Parameter)

        def make(content: Content) -> torch.Tensor:
            assert content._storage is not None, "copies of a storage are storages"
            made = torch.empty(0, dtype=dtype, device=device)
            if not content._storage.nbytes() and 0 not in shape:
                return made  # its memory was given back
            made.set_(content._storage, offset, shape, strides)
            if is_conj:
                torch._C._set_conj(made, True)
            if is_neg:
                torch._C._set_neg(made, True)
            if is_parameter:
                return torch.nn.Parameter(made, requires_grad=False)
            return made if class_ is torch.Tensor else made.as_subclass(class_)

        return make

    def is_in(self, tensor: torch.Tensor) -> bool:
        """Whether the elements of ``tensor`` are those that were copied. O(elements)."""
        was_given_back = self._storage is not None and tensor.numel() and not self._storage.nbytes()
        if was_given_back or is_given_back(tensor):
            return bool(was_given_back) is is_given_back(tensor)
        with torch.no_grad():
            return same_bits(self.maker_of(tensor)(self).detach(), tensor.detach())

    def put_back(self, tensor: torch.Tensor) -> None:
        """Write the content into the storage of ``tensor`` again.

        A storage is written behind autograd's back: what it has saved for a backward pass is valid
        again with the old content.
        """
        if self._storage is None:
            assert self._tensor is not None, "content is a storage or a tensor"
            with torch.no_grad():
                tensor.detach().copy_(self._tensor)
            return
        storage = tensor.untyped_storage()
        if storage.nbytes() != self._storage.nbytes():
            storage.resize_(self._storage.nbytes())
        storage.copy_(self._storage)


def _cloned(storage: Any) -> torch.UntypedStorage:
    return cast(torch.UntypedStorage, storage.clone())  # torch gives the method no types


def _given(content: Content) -> torch.Tensor:
    assert content._tensor is not None, "copies of a tensor are tensors"
    return content._tensor.detach()
