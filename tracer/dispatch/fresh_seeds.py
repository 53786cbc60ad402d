"""Whether torch's own random number generator was seeded since it was last looked at, by whatever method.

Note [The mark in a used-up block]
    The generator of the CPU draws from blocks of 624 words. Just seeded, its block is used up: one word is
    "left", and the next draw makes a new block before it reads. Where in the used-up block it would go on
    is then of no account. Seeding sets that place to zero; so if we set it to one, no number that is ever
    drawn is another one, but a generator that was seeded once more, even with the same seed, shows it.

    Where a generator's state is not built like that, nothing is marked and nothing is found.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch

from .dispatcher import plain_torch, without_hooks

_FIELDS = struct.Struct("<iiQ")  # how many words are left, whether there is a seed, the place
_OFFSET = 8  # behind the seed
_FRESH = (1, 1, 0)
_MARKED = (1, 1, 1)
_data_ptr: Callable[[torch.Tensor], int] = cast(Any, torch._C.TensorBase).data_ptr


def is_fresh(state: torch.Tensor) -> bool:
    """Whether a state is that of a generator just seeded, and is not marked."""
    return _fields(state) == _FRESH


def mark() -> bool:
    """Mark torch's generator if it was just seeded; return whether that was done."""
    return _exchange(_FRESH, _MARKED) if is_markable() else False


def unmark() -> None:
    """Take the mark away, if it is there."""
    _exchange(_MARKED, _FRESH)


def without_mark(state: torch.Tensor) -> None:
    """Take the mark out of a state that the program was given."""
    if _fields(state) == _MARKED:
        _set_fields(state, _FRESH)


def _exchange(before: tuple[int, int, int], after: tuple[int, int, int]) -> bool:
    generator = torch.default_generator
    state = generator.get_state()
    if _fields(state) != before:
        return False
    _set_fields(state, after)
    generator.set_state(state)
    return True


def _fields(state: torch.Tensor) -> tuple[int, ...]:
    return _FIELDS.unpack(ctypes.string_at(_address(state), _FIELDS.size))


def _set_fields(state: torch.Tensor, fields: tuple[int, int, int]) -> None:
    ctypes.memmove(_address(state), _FIELDS.pack(*fields), _FIELDS.size)


def _address(state: torch.Tensor) -> int:
    with without_hooks():  # nor is there an operator, so no mode sees us
        return _data_ptr(state) + _OFFSET


@cache
def is_markable() -> bool:
    """Whether a generator draws the same with a mark and without, tried on one of our own."""
    with plain_torch(), torch.inference_mode(False):
        plain, marked = (torch.Generator().manual_seed(5) for _ in range(2))
        state = marked.get_state()
        if _fields(state) != _FRESH:
            return False
        _set_fields(state, _MARKED)
        marked.set_state(state)
        drawn = [torch.rand(1300, generator=generator) for generator in (plain, marked)]
        seeded = marked.manual_seed(5).get_state()
        return torch.equal(*drawn) and _fields(seeded) == _FRESH
