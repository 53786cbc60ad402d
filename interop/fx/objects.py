"""Modules of torch.fx that read, or change, what objects such as optimizers hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch.fx.graph_module import GraphModule

from ...ir.places import HeldPlace
from ...runtime import ObjectsAfter


def program_of(module: GraphModule) -> Callable[..., Any]:
    """Return a module's program as a trace takes it: with the objects whose places it goes by, if any.

    That is no call of the module itself: torch.fx would print its own account of an error.
    """
    owners = {
        place.owner_name or type(place.owner).__name__: place.owner for place in places_of(module)
    }
    if not owners:
        return module.forward
    # A trace knows the objects that are passed, by the names under which they are.
    program = partial(MethodType(_run, module), **owners)
    program.__signature__ = inspect.signature(module.forward)  # type: ignore[attr-defined]
    return program


def _run(module: GraphModule, *args: Any, **kwargs: Any) -> Any:
    known = inspect.signature(module.forward).parameters
    return module.forward(*args, **{name: part for name, part in kwargs.items() if name in known})


def places_of(module: torch.nn.Module) -> Iterator[HeldPlace]:
    """Yield the places that a module, or one in it, reads or writes."""
    for part in module.modules():
        for held in vars(part).values():
            if isinstance(held, HeldPlace):
                yield held
            elif isinstance(held, ObjectsAfter):
                yield from (stored.place for stored in held.stored)
