"""Patterns: text with ``*`` in it, as something that is looked for in other text, whatever the case."""

from __future__ import annotations

import re
from enum import Enum, auto

_RUNS_OF_STARS = re.compile(r"\*+")


class Fit(Enum):
    """How much of the text a pattern has to be."""

    ANYWHERE = auto()  # any part of it
    WORDS = auto()  # whole words of it: add is in aten::add.Tensor, and not in aten::addmm
    ALL = auto()  # all of it


def compile_pattern(text: str, fit: Fit, *, is_literal: bool = False) -> re.Pattern[str]:
    """Return what finds a text in others, in any case.

    Args:
        text: what to find; ``*`` stands for any characters.
        fit: how much of the other text it has to be.
        is_literal: whether ``*`` stands for itself.
    """
    pieces = [text] if is_literal else _RUNS_OF_STARS.split(text)
    expression = ".*".join(map(re.escape, pieces))
    if fit is Fit.ALL:
        expression = rf"\A(?:{expression})\Z"
    elif fit is Fit.WORDS:
        expression = f"{_edge(text[:1], '<!')}(?:{expression}){_edge(text[-1:], '!')}"
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


def _edge(character: str, look: str) -> str:
    """Return what holds where a word ends, if this character of a pattern is of a word."""
    return rf"(?{look}\w)" if re.match(r"\w", character) else ""
