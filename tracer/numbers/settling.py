"""Traced numbers that a program keeps beyond its trace become the plain numbers they were.

A module that caches ``x.shape[1]`` goes on with it after the trace, in code that nothing records and
where torch could not take a symbolic number.
"""

from __future__ import annotations

import copyreg
import gc
import inspect
from collections import deque
from types import CellType
from typing import Any

from .numbers import Numbers

_ROUNDS = 4  # tuples within tuples that are looked into


def settle(numbers: Numbers) -> None:
    """Put plain numbers in the place of a trace's numbers, wherever anything still holds one.

    Looks through the whole heap, but only where there is something to find.
    """
    held = [made for reference in numbers.seen if (made := reference()) is not None]
    numbers.seen.clear()
    plain: dict[int, Any] = {id(made): made.node.plain for made in held}
    for _ in range(_ROUNDS):
        if not held:
            return
        tuples = []
        for holder in gc.get_referrers(*held):
            if holder is held:
                continue
            if isinstance(holder, tuple):
                tuples.append(holder)
            else:
                _replace_in(holder, plain)
        for whole in tuples:
            parts = [plain.get(id(part), part) for part in whole]
            plain[id(whole)] = _same_tuple(whole, parts)
        held = tuples


def _same_tuple(whole: tuple[Any, ...], parts: list[Any]) -> tuple[Any, ...]:
    if hasattr(whole, "_fields"):
        return tuple.__new__(type(whole), parts)
    # The class that sizes claim to be: ``torch.Size``, or ``tuple``.
    class_: Any = whole.__class__
    return class_(parts)  # type: ignore[no-any-return]


def _replace_in(holder: Any, plain: dict[int, Any]) -> None:
    """Replace what a container or object holds; leave frames and everything else alone."""
    if isinstance(holder, dict):
        for key, value in list(holder.items()):
            if id(value) in plain:
                holder[key] = plain[id(value)]
    elif isinstance(holder, set):
        for value in [value for value in holder if id(value) in plain]:
            holder.remove(value)
            holder.add(plain[id(value)])
    elif isinstance(holder, list | deque):
        for position, value in enumerate(holder):
            if id(value) in plain:
                holder[position] = plain[id(value)]
    elif isinstance(holder, CellType):
        if id(holder.cell_contents) in plain:
            holder.cell_contents = plain[id(holder.cell_contents)]
    elif not isinstance(holder, type):
        _replace_in(getattr(holder, "__dict__", {}), plain)
        for slot in copyreg._slotnames(type(holder)):  # type: ignore[attr-defined]  # as the copy module
            member = inspect.getattr_static(type(holder), slot, None)
            known = plain.get(id(getattr(holder, slot, None)))
            if known is not None and inspect.ismemberdescriptor(member):
                member.__set__(holder, known)  # which a frozen class does not hinder
