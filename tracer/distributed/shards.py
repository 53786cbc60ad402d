"""Sharded modules: the memory that ``fully_shard`` keeps beside parameters, and its hooks.

A sharded parameter is a ``DTensor`` of which each process has a part. Before its module runs, the parts are
gathered into memory that is kept, empty, from step to step: a flat tensor and the unsharded parameter that
is a view of it, to which the module's name leads meanwhile. So both are state of the program.

Hooks on what the modules return gather again before their backward, and a custom function that gives its
arguments back has the gradients reduced behind it. What they do in a backward inside the program is recorded;
a backward of what a replay returns would not find them.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Final, cast

import torch

from ...ir.conditions import Circumstance

_FSDP: Final = "torch.distributed.fsdp._fully_shard"


class Gathered:
    """Which sharded modules had their parameters gathered when a trace began.

    A module that is not sharded again after its forward, as the outermost is not, finds them gathered at
    its next. A replay does with its memory what the program did, so the module must be as it was.

    Args:
        modules: the modules of the program with their paths.
    """

    def __init__(self, modules: Iterable[tuple[str, torch.nn.Module]]) -> None:
        self._before = {
            id(group): (path, weakref.ref(group), group.is_unsharded)
            for path, module in modules
            for group in _groups_of(module)
        }

    def manages(self, owner: object, name: object) -> bool:
        """Whether an attribute of a module is a parameter that is gathered and sharded again."""
        return any(
            parameter._module_info.module is owner and parameter._module_info.param_name == name
            for _, group, _ in self._live()
            for parameter in group.fsdp_params
        )

    def circumstances(self, is_state: Callable[[Any], bool]) -> Iterator[Circumstance]:
        """Yield what a replay must find as it was.

        Args:
            is_state: whether a graph reads or writes a tensor that the program keeps.
        """
        for path, group, was_gathered in self._live():
            if not _is_used(group, is_state) or (group.is_unsharded and not was_gathered):
                continue  # memory that is not used, or that is filled whatever is in it, and left so
            yield _circumstance(path, weakref.ref(group), was_gathered)

    def given_back(self, is_state: Callable[[Any], bool]) -> str | None:
        """Return the path of a module that was gathered and that the run has sharded; None for none.

        A replay gives back its memory, and cannot tell the module.
        """
        for path, group, was_gathered in self._live():
            if was_gathered and not group.is_unsharded and _is_used(group, is_state):
                return path
        return None

    def _live(self) -> Iterator[tuple[str, Any, bool]]:
        for path, reference, was_gathered in self._before.values():
            group = reference()
            if group is not None:
                yield path, group, was_gathered


def _is_used(group: Any, is_state: Callable[[Any], bool]) -> bool:
    return any(
        is_state(tensor)
        for parameter in group.fsdp_params
        for tensor in (*parameter.all_gather_outputs, getattr(parameter, "_unsharded_param", None))
    )


def _circumstance(path: str, group: weakref.ref[Any], was_gathered: bool) -> Circumstance:
    how = "gathered" if was_gathered else "sharded"
    text = f"the parameters of {path or 'the module'} are {how} when it starts"

    def failing() -> str | None:
        live = group()
        return None if live is None or live.is_unsharded is was_gathered else text

    return Circumstance(text, None, failing)


def state_class() -> Any:
    """Return the class that has the hooks of a sharded module; None where nothing has loaded it."""
    module = _loaded("_fsdp_state")
    return None if module is None else module.FSDPState


def group_class() -> Any:
    """Return the class whose objects gather parameters together; None where nothing has loaded it."""
    module = _loaded("_fsdp_param_group")
    return None if module is None else module.FSDPParamGroup


def flat_sharded(modules: Iterable[tuple[str, torch.nn.Module]]) -> str | None:
    """Return in words the first module that is sharded by exchanging the data of a flat parameter.

    What the classic ``FullyShardedDataParallel`` does to that, by ``.data`` and by resizing storages, a
    graph shows but cannot do again.
    """
    loaded = sys.modules.get("torch.distributed.fsdp.fully_sharded_data_parallel")
    if loaded is None:
        return None
    for path, module in modules:
        if isinstance(module, loaded.FullyShardedDataParallel):
            what = "is a FullyShardedDataParallel, which exchanges the data of its parameters"
            return f"{path or 'the module'} {what}"
    return None


def owner_of_hook(hook: Any) -> Any:
    """Return the state of the sharded module whose hook before its backward this is; None for others."""
    class_, owner = state_class(), getattr(hook, "__self__", None)
    if class_ is None or not isinstance(owner, class_):
        return None
    return owner if getattr(hook, "__name__", "") == "_pre_backward" else None


def is_post_backward(function: type) -> bool:
    """Whether a custom function gives its arguments back, and has gradients reduced in its backward."""
    module = _loaded("_fsdp_param_group")
    return module is not None and function is module.RegisterPostBackwardFunction


def _loaded(name: str) -> ModuleType | None:
    return sys.modules.get(f"{_FSDP}.{name}")


def gathered_tensors(
    modules: Iterable[tuple[str, torch.nn.Module]],
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the memory that parts of parameters are gathered in, with names like those of the parameters.

    Args:
        modules: modules with their paths, those around others too.
    """
    if _loaded("_fully_shard") is None:
        return
    paths: dict[int, str] = {}
    groups: dict[int, Any] = {}
    for path, module in modules:
        paths.setdefault(id(module), path)
        for group in _groups_of(module):
            groups[id(group)] = group
    for group in groups.values():
        for parameter in group.fsdp_params:
            held = parameter._module_info
            if id(held.module) not in paths:
                continue
            path = paths[id(held.module)]
            start = f"{path}." if path else ""
            for tensor in parameter.all_gather_outputs:
                yield f"{start}gathered_{held.param_name}", tensor
            unsharded = getattr(parameter, "_unsharded_param", None)  # from the first forward on
            if unsharded is not None:
                yield f"{start}unsharded_{held.param_name}", unsharded


def _groups_of(module: torch.nn.Module) -> list[Any]:
    """Return the groups of parameters that a module gathers together."""
    loaded = _loaded("_fully_shard")
    if loaded is None or not isinstance(module, loaded.FSDPModule):
        return []
    state: Any = cast(Any, module)._get_fsdp_state()
    return list(state._fsdp_param_groups)
