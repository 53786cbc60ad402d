"""What stands before the ways to change or copy a tensor that call no operator, or the wrong ones."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch.autograd.function import _HookMixin

from ..dispatch.dispatcher import Kernels, listeners, plain_data, recorder_here
from ..dispatch.replacing import Patch

_HOOKS = ("register_hook", "register_post_accumulate_grad_hook")
_ELEMENT_WRITES = ("apply_", "map_", "map2_")
_STORAGE_WRITES = ("copy_", "fill_", "__setitem__")


def writes(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of writes, copies and hooks."""
    yield torch.Tensor, "data", functools.partial(_data, installed)
    yield torch.Tensor, "__deepcopy__", functools.partial(_deepcopy, installed)
    yield torch.Tensor, "__copy__", functools.partial(_copy, installed)
    for name in _ELEMENT_WRITES:
        yield torch.Tensor, name, functools.partial(_element_write, installed)
    for name in _HOOKS:
        yield torch.Tensor, name, functools.partial(_hook, installed)
    yield torch.Tensor, "retain_grad", functools.partial(_retain_grad, installed)
    yield _HookMixin, "_register_hook", functools.partial(_graph_hook, installed)
    for storage in (torch.UntypedStorage, torch.TypedStorage):
        for name in _STORAGE_WRITES:
            yield storage, name, functools.partial(_storage_write, installed, name)
    yield torch.UntypedStorage, "resize_", functools.partial(_storage_resize, installed)
    for name in ("frombuffer", "from_dlpack"):
        yield torch, name, functools.partial(_made_outside, installed)


def _data(installed: Kernels, descriptor: Any) -> Any:
    """Tell of ``tensor.data``: a new tensor on the same memory; and of assignments to it."""

    def get(self: torch.Tensor) -> torch.Tensor:
        data: torch.Tensor = plain_data.__get__(self)
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_data(self, data)
        return data

    def set_(self: torch.Tensor, data: torch.Tensor) -> None:
        told = listeners(installed)
        with installed.excluded():
            plain_data.__set__(self, data)
        for unseen in told:
            unseen.set_data(self, data)

    return property(get, set_, doc=plain_data.__doc__)


def _deepcopy(installed: Kernels, method: Any) -> Any:
    """Make deep copies of plain tensors one node; torch builds them from storages, which no graph has."""

    @functools.wraps(method)
    def wrapped(self: torch.Tensor, memo: dict[int, Any]) -> Any:
        told = listeners(installed) if _is_plain(self) else []
        if not told:
            return method(self, memo)
        with installed.excluded():
            copied = method(self, memo)
        for unseen in told:
            unseen.copied(self, copied)
        return copied

    return wrapped


def _copy(installed: Kernels, before: Any) -> Any:
    """Make ``copy.copy`` of a plain tensor what it is: another tensor on the same memory."""

    def __copy__(self: torch.Tensor) -> Any:
        if before is not None:
            return before(self)
        told = listeners(installed)
        is_plain = _is_plain(self)
        with installed.excluded() if told and is_plain else nullcontext():
            function, args, *rest = _reduced(self, told)
            copied = function(*args)
            if rest and rest[0] is not None:
                vars(copied).update(rest[0])
        for unseen in told if is_plain else ():
            unseen.copied(self, copied)
        return copied

    return __copy__


def _reduced(tensor: torch.Tensor, told: list[Any]) -> tuple[Any, ...]:
    """Return what makes a copy of a tensor, as the copy module asks for it."""
    for unseen in told:
        unseen.is_copying = True
    try:
        return cast(tuple[Any, ...], cast(Any, tensor).__reduce_ex__(4))
    finally:
        for unseen in told:
            unseen.is_copying = False


def _is_plain(tensor: torch.Tensor) -> bool:
    return (
        type(tensor) is torch.Tensor
        and tensor.layout is torch.strided
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or tensor.is_meta)
    )


def _hook(installed: Kernels, method: Any) -> Any:
    @functools.wraps(method)
    def wrapped(self: torch.Tensor, hook: Any) -> Any:
        for unseen in listeners(installed):
            unseen.hooked(self, method.__name__, hook)
        return method(self, hook)

    return wrapped


def _retain_grad(installed: Kernels, method: Any) -> Any:
    @functools.wraps(method)
    def wrapped(self: torch.Tensor) -> None:
        method(self)
        for unseen in listeners(installed):
            unseen.retains_grad(self)

    return wrapped


def _graph_hook(installed: Kernels, register: Any) -> Any:
    """Tell of a hook on a node of autograd's graph, such as those that modules call in a backward."""

    @functools.wraps(register)
    def wrapped(hooks: Any, hook: Any) -> Any:
        for unseen in listeners(installed):
            unseen.hooked_graph(hook)
        return register(hooks, hook)

    return staticmethod(wrapped)


def _element_write(installed: Kernels, method: Any) -> Any:
    """Record what a Python function made of each element: torch calls it without an operator."""

    @functools.wraps(method)
    def wrapped(self: torch.Tensor, *args: Any) -> Any:
        told = listeners(installed)
        result = method(self, *args)
        for unseen in told:
            unseen.elements_written(self, f"by a Python function, through {method.__name__}()")
        return result

    return wrapped


def _storage_write(installed: Kernels, name: str, method: Any) -> Any:
    """Keep the tensors with which torch writes to storages out of the graph; record what they wrote."""

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        told = listeners(installed)
        if not told:
            return method(self, *args, **kwargs)
        with installed.excluded():
            result = method(self, *args, **kwargs)
        for unseen in told:
            unseen.storage_written(self, f"by {name} of its storage")
        return result

    return wrapped


def _storage_resize(installed: Kernels, method: Any) -> Any:
    """Tell of a storage that gets another size, which frees memory or makes room."""

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_resize(self)
        return result

    return wrapped


def _made_outside(installed: Kernels, function: Any) -> Any:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        told = listeners(installed)
        if not told:
            return function(*args, **kwargs)
        with installed.excluded():
            for argument in args[:1]:
                if isinstance(argument, torch.Tensor):
                    for unseen in told:
                        unseen.shared(argument, "through what torch.from_dlpack gave")
            tensor = function(*args, **kwargs)
        for unseen in told:
            unseen.made_outside(tensor, f"through what torch.{function.__name__} was given")
        return tensor

    return wrapped
