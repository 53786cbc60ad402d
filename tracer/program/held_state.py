"""Whether the parameters and buffers that a graph reads are still what the program has, and of the same type.

A replay reads them by reference, so it sees what is trained or loaded into them. But a program goes by their
dtypes and sizes without any operator, and a model may come to hold other tensors in their place.

Note [Versions of dictionaries]
    torch has a number for a dictionary that is another one after each change of it. If none of the
    dictionaries in which modules hold what the graph reads has changed since all was in its place, all still
    is, and nothing needs to be looked up. A module that changes itself at each call, say by counting, would
    have its numbers asked for in vain, so they are given up after some changes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import torch

from ...ir import Graph, TensorType
from ..dispatch.dispatcher import quick_type_check, version_of_dict, without_hooks
from ..dispatch.tensors import PLAIN_CLASSES, type_of_tensor
from ..distributed.shards import flat_sharded, gathered_tensors
from .held_tensors import HeldTensor

_MOST_CHANGES: Final = 100  # of what modules hold, before their versions are given up


class HeldState:
    """The tensors of a graph's state, and where modules hold them.

    Attributes:
        is_anything: whether there is something that could be otherwise.

    Args:
        graph: the graph.
        objects: its state by name.
        modules: the modules of the program, with their paths.
    """

    def __init__(
        self,
        graph: Graph,
        objects: Mapping[str, Any],
        modules: Iterable[tuple[str, torch.nn.Module]] = (),
    ) -> None:
        self._types = {
            name: (objects[name], entry.value.type)
            for name, entry in graph.state.items()
            if _tensor(objects.get(name)).__class__ in PLAIN_CLASSES
            and isinstance(entry.value.type, TensorType)
        }
        # What the program itself changes from run to run is none of the caller's doing.
        with without_hooks():  # a mode around us does not see this
            changed = list(self._of_other_types())
        for name, _ in changed:
            del self._types[name]
        self._is_as_it_was: Callable[..., bool] | None = None  # made when it is first wanted
        self._may_be_quick = True
        tensors = self._tensors()
        named = dict(modules)
        self._not_replayed = flat_sharded(named.items())
        # To these and to what they are gathered of, a name of the module leads in turn.
        gathered = {id(tensor) for _, tensor in gathered_tensors(named.items())}
        self._holders = list(_holders(named, [t for t in tensors if id(t) not in gathered]))
        # The same by columns, which are gone through without a line of Python for each.
        self._dicts, self._keys, self._parts = (
            [row[column] for row in self._holders] for column in range(3)
        )
        self._each_dict = list({id(held): held for held in self._dicts}.values())
        self._versions: list[int] | None = None  # those at which all was in its place
        self._changes_left = _MOST_CHANGES
        self._version_of = version_of_dict()
        self.is_anything = bool(self._holders or self._types or self._not_replayed is not None)
        is_placed = any(isinstance(held, HeldTensor) for held, _ in self._types.values())
        self._fixed = None if is_placed else tensors  # all of them, where none can become another

    def failing(self) -> str | None:
        """Return in words what is not as it was; None where all of it is."""
        if self._not_replayed is not None:
            return f"{self._not_replayed}\n  shard the model with fully_shard instead"
        if not self._is_in_place():
            return self._replaced()
        if not self._types:
            return None
        tensors = self._tensors() if self._fixed is None else self._fixed
        if self._is_as_it_was is not None and self._is_as_it_was(*tensors):
            return None
        with without_hooks():
            changed = list(self._of_other_types())
        if not changed and self._may_be_quick:
            self._is_as_it_was = quick_type_check(tensors)
            self._may_be_quick = self._is_as_it_was is not None
        for name, now in changed:
            was = self._types[name][1]
            return f"{name} was {was} there, and is {now} now\n  convert it back, or trace again"
        return None

    def _is_in_place(self) -> bool:
        """Whether modules hold what they held; see Note [Versions of dictionaries]."""
        version_of, versions = self._version_of, None
        if version_of is not None:
            versions = list(map(version_of, self._each_dict))
            if versions == self._versions:
                return True
            self._changes_left -= 1
            if self._changes_left == 0:
                self._version_of = None
        get: Any = dict.get
        if not all(map(operator.is_, map(get, self._dicts, self._keys), self._parts)):
            return False
        self._versions = versions
        return True

    def _replaced(self) -> str | None:
        """Return in words what a module holds another object in the place of; None where there is nothing."""
        for held, key, part, name in self._holders:
            if dict.get(held, key) is not part:
                what = "module" if isinstance(part, torch.nn.Module) else "tensor"
                return (
                    f"{name} is another {what} now than at the trace, and the graph reads the one that was\n"
                    "  load into that one (load_state_dict without assign, copy_), or trace again"
                )
        return None

    def _tensors(self) -> list[Any]:
        return [_tensor(held) for held, _ in self._types.values()]

    def _of_other_types(self) -> Iterator[tuple[str, TensorType]]:
        for name, (held, was) in self._types.items():
            tensor = _tensor(held)
            if not isinstance(tensor, torch.Tensor):
                continue  # who reads it says so
            now = type_of_tensor(tensor)
            if now is was:
                continue
            if (now.dtype, now.shape, now.device) != (was.dtype, was.shape, was.device):
                yield name, now


def _tensor(held: Any) -> Any:
    """Return a tensor that is held by its place, as far as that is known without going there."""
    return held.known if isinstance(held, HeldTensor) else held


def _holders(
    modules: Mapping[str, torch.nn.Module], tensors: Iterable[torch.Tensor]
) -> Iterator[tuple[dict[str, Any], str, Any, str]]:
    """Yield where a graph's tensors are held, and the modules on the way there, each with its name."""
    known = {id(tensor): tensor for tensor in tensors}
    on_the_way: set[str] = set()
    for path, module in modules.items():
        start = f"{path}." if path else ""
        for held in (module._parameters, module._buffers):
            for key, tensor in held.items() if isinstance(held, dict) else ():  # else of a script
                if tensor is not None and known.get(id(tensor)) is tensor:
                    on_the_way.add(path)
                    yield held, key, tensor, start + key
    for path in list(on_the_way):
        while path := path.rpartition(".")[0]:
            on_the_way.add(path)
    for path in sorted(on_the_way):
        above, _, key = path.rpartition(".")
        parent, child = modules.get(above), modules.get(path)
        if parent is None or child is None or not isinstance(parent._modules, dict):
            continue  # a list on the way, or the children of a script
        if parent._modules.get(key) is child:
            yield parent._modules, key, child, path
