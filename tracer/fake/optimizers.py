"""What optimizers, and their companions, hold in a fake world.

Note [Optimizers in the fake world]
    An optimizer leads to parameters by lists, and by the parameters themselves to what it keeps for each. Its
    lists and dictionaries get twins in the place of tensors for the run, and their contents of before
    afterwards; they stay the very ones that they are, since others, schedulers say, may hold them.

    A tensor of one element, such as the count of steps or a learning rate, is no burden, and Python
    computes with what is in it. So its twin knows its data, as torch's fake tensors that are made of Python
    numbers do, and the run goes on with the step that comes next.

    Torch takes the ways of ``foreach`` for tensors of certain classes only, and twins are to go the way of
    what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch._subclasses import FakeTensor

from ...ir.places import like
from ..dispatch.dispatcher import FOREACH_CLASSES
from ..dispatch.replacing import Undo

_DEEPEST = 4  # containers within containers that are looked into

Twin = Callable[..., torch.Tensor]
"""Gives the twin of a tensor; with ``knows_data=True`` one that has its data."""


def put_twins(undo: Undo, holder: Any, twin: Twin) -> None:
    """Put twins in the place of all tensors that an optimizer or a companion of one holds."""
    attributes = vars(holder)
    undo.add(partial(restore_attributes, attributes, dict(attributes)))
    for name, held in list(attributes.items()):
        attributes[name] = _exchanged(undo, held, twin, _DEEPEST)


def go_ways_of_foreach(undo: Undo) -> None:
    """Let fake tensors go the ways that torch takes for tensors of its own class."""
    for classes in FOREACH_CLASSES:
        before = list(classes)
        undo.add(partial(classes.__setitem__, slice(None), before))
        classes.append(FakeTensor)


def restore_attributes(attributes: dict[str, Any], before: dict[str, Any]) -> None:
    """Give an object the attributes that it had."""
    for name in [name for name in attributes if name not in before]:
        del attributes[name]
    attributes.update(before)


def _exchanged(undo: Undo, held: Any, twin: Twin, depth: int) -> Any:
    """Return what is to stand in the place of an object; containers stay, with other contents."""
    if isinstance(held, torch.Tensor):
        return twin(held, knows_data=_is_number(held))
    if not depth or not isinstance(held, dict | list | tuple):
        return held
    if isinstance(held, dict):
        contents = dict(held)
        undo.add(partial(_refill, held, contents))
        exchanged = {
            _exchanged(undo, key, twin, 0): _exchanged(undo, item, twin, depth - 1)
            for key, item in contents.items()
        }
        _refill(held, exchanged)
        return held
    items = [_exchanged(undo, item, twin, depth - 1) for item in held]
    if isinstance(held, tuple):
        is_same = all(new is old for new, old in zip(items, held, strict=True))
        return held if is_same else like(held, items)
    undo.add(partial(held.__setitem__, slice(None), list(held)))
    held[:] = items
    return held


def _refill(held: dict[Any, Any], contents: dict[Any, Any]) -> None:
    held.clear()
    held.update(contents)


def _is_number(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a number that Python may ask for: in its memory, and no weight."""
    return (
        tensor.numel() == 1
        and tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not tensor.requires_grad
        and not isinstance(tensor, torch.nn.Parameter)
    )
