"""Reads modes: ``no_grad, autocast(cuda, bf16)``."""

from __future__ import annotations

import re
from typing import Final

from .cursor import Cursor
from .modes import Autocast, Modes
from .type_parser import parse_dtype

_WORD = re.compile(r"\w+")
_UNCACHED = re.compile(r"uncached\b")

_ADVICE: Final = (
    "write grad, no_grad or inference, then autocast(cuda, f16) where it is on, then fixed(grad)"
)


def parse_modes(cursor: Cursor) -> Modes:
    """Read the modes that stand at the cursor."""
    grad = inference = False
    autocast: list[Autocast] = []
    fixed: tuple[str, ...] = ()
    while True:
        word = cursor.expect(_WORD, "a mode", _ADVICE)
        if word[0] == "grad":
            grad = True
        elif word[0] == "inference":
            inference = True
        elif word[0] == "autocast":
            autocast.append(_autocast(cursor))
        elif word[0] == "fixed":
            fixed = _fixed_modes(cursor)
        elif word[0] != "no_grad":
            raise cursor.error(f"{word[0]} is not a mode", _ADVICE, word.start(), len(word[0]))
        if not cursor.take(","):
            return Modes(grad, inference, tuple(autocast), fixed)


def _fixed_modes(cursor: Cursor) -> tuple[str, ...]:
    cursor.demand("(", "after fixed", _ADVICE)
    names = [cursor.expect(_WORD, "a mode or a kind of device", _ADVICE)[0]]
    while cursor.take(","):
        names.append(cursor.expect(_WORD, "a mode or a kind of device", _ADVICE)[0])
    cursor.demand(")", "at the end of fixed", _ADVICE)
    return tuple(names)


def _autocast(cursor: Cursor) -> Autocast:
    cursor.demand("(", "after autocast", _ADVICE)
    device = cursor.expect(_WORD, "a kind of device", _ADVICE)[0]
    cursor.demand(",", "after the kind of device", _ADVICE)
    dtype = parse_dtype(cursor)
    caches = not cursor.take(",")
    if not caches:
        cursor.expect(_UNCACHED, '"uncached"', _ADVICE)
    cursor.demand(")", "at the end of autocast", _ADVICE)
    return Autocast(device, dtype, caches)
