"""What stands before the functions that set what later operators depend on: seeds and defaults."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..dispatch.dispatcher import Kernels, listeners
from ..dispatch.replacing import Patch, Undo, exchange_code

_CHECKPOINT = "torch.utils.checkpoint"
_MODULE_HOOKS = tuple(
    f"register_{kind}_hook"
    for kind in ("forward", "forward_pre", "full_backward", "full_backward_pre")
)


def settings(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of seeds, defaults and hooks that are set while a program runs."""
    for module in (torch, torch.random):
        yield module, "manual_seed", functools.partial(_told, installed, _seeded)
        yield module, "get_rng_state", functools.partial(_told, installed, _rng_state_read)
        yield module, "set_rng_state", functools.partial(_told, installed, _rng_state_set)
    yield torch, "set_default_dtype", functools.partial(_told, installed, _default_dtype)
    for name in _MODULE_HOOKS:
        yield torch.nn.Module, name, functools.partial(_told, installed, _module_hooked(name))
    hooks = torch.autograd.graph.saved_tensors_hooks
    yield hooks, "__enter__", functools.partial(_told, installed, _packing)
    yield hooks, "__exit__", functools.partial(_told, installed, _packing_no_more)
    of_nodes = getattr(torch.autograd.graph, "node_creation_hook", None)  # from torch 2.14
    if of_nodes is not None:
        yield of_nodes, "__enter__", functools.partial(_told, installed, _watching_nodes)


def tell_of_attributes(installed: Kernels, undo: Undo) -> None:
    """Tell of each attribute of a module that is set.

    The method keeps its place: another one there would be put into every class of modules in the process,
    of which ``torch.jit.trace`` leaves one behind for each module that it traces.
    """
    exchange_code(undo, torch.nn.Module.__setattr__, functools.partial(_told, installed, _assigned))


def _told(installed: Kernels, tell: Callable[..., None], function: Any) -> Any:
    """Wrap a function so that ``tell(unseen, result, *args)`` follows each call."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        told = listeners(installed)
        result = function(*args, **kwargs)
        for unseen in told:
            tell(unseen, result, *args, **kwargs)
        return result

    return wrapped


def _seeded(unseen: Any, generator: Any, seed: Any) -> None:
    unseen.seeded(seed)


def _rng_state_read(unseen: Any, rng_state: torch.Tensor) -> None:
    unseen.rng_state_read(rng_state)


def _rng_state_set(unseen: Any, result: None, new_state: torch.Tensor) -> None:
    unseen.rng_state_set(new_state)


def _default_dtype(unseen: Any, result: None, d: torch.dtype) -> None:
    unseen.default_dtype_set(d)


def _assigned(unseen: Any, result: None, module: Any, name: str, value: Any) -> None:
    unseen.assigned(module, name)


def _module_hooked(how: str) -> Callable[..., None]:
    def tell(unseen: Any, handle: Any, module: Any, *args: Any, **kwargs: Any) -> None:
        unseen.module_hooked(module, how, handle)

    return tell


def _packing(unseen: Any, result: Any, hooks: Any) -> None:
    unseen.saved_tensor_hooks(1)
    if not type(hooks).__module__.startswith(_CHECKPOINT):  # recomputation changes no gradient
        unseen.packs_saved_tensors(hooks)


def _packing_no_more(unseen: Any, result: Any, hooks: Any, *error: Any) -> None:
    unseen.saved_tensor_hooks(-1)


def _watching_nodes(unseen: Any, result: Any, hook: Any) -> None:
    unseen.watches_autograd_nodes()
