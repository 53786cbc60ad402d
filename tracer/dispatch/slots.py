"""Keeps tensors from becoming sequences where ``__getitem__`` is patched.

Note [Indexing does not make a sequence]
    A class that is given ``__getitem__`` in Python fills two slots in C, for mappings and for sequences.
    Torch's tensors fill only the first. With both, C code takes a tensor inside a list for one more list,
    so that ``torch.tensor([x.max()])`` fails; and CPython leaves the second one filled when the method is
    taken away again, until the process ends. Nothing in Python empties a slot, so its word is written.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Any

_SEQUENCE_ITEM = 44  # Py_sq_item of CPython's stable interface


def empty_sequence_slot(owner: Any) -> None:
    """Make instances no sequences to C, for a class and those derived from it that index as it does."""
    place = _place_of_slot()
    if place is None:
        return
    for derived in _with_derived(owner):
        if derived.__getitem__ is owner.__getitem__:
            ctypes.c_void_p.from_address(id(derived) + place).value = None


def _with_derived(owner: Any) -> Iterator[Any]:
    yield owner
    for derived in type.__subclasses__(owner):
        yield from _with_derived(derived)


@cache
def _place_of_slot() -> int | None:
    """Return where in a class its slot for the items of a sequence is, in bytes; None if not found."""

    class Indexed:
        def __getitem__(self, index: int) -> None: ...

    get_slot = ctypes.pythonapi.PyType_GetSlot
    get_slot.argtypes = (ctypes.py_object, ctypes.c_int)
    get_slot.restype = ctypes.c_void_p
    filled = get_slot(Indexed, _SEQUENCE_ITEM)
    size = ctypes.sizeof(ctypes.c_void_p)
    classes: Any = type(Indexed)
    words = (ctypes.c_void_p * (classes.__basicsize__ // size)).from_address(id(Indexed))
    places = [n * size for n, word in enumerate(words) if word == filled is not None]
    return places[0] if len(places) == 1 else None
