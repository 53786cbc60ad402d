"""How a call is written for torch to read its arguments soonest: sizes as ``4, 4`` and not as ``[4, 4]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Spelling(Enum):
    """What becomes of positional arguments that an operator takes by its schema."""

    BARE = auto()  # a list of one number is the number: ``sum(x, 1)``
    SPREAD = (
        auto()
    )  # so it is, and the numbers of a list at the end are arguments: ``view(x, 4, 4)``
    INDEX = auto()  # a dimension, which is the first, a start and an end are a slice: ``x[2:4]``

    def spell(self, args: Sequence[Any], is_number: Callable[[Any], bool]) -> list[Any]:
        """Return arguments so spelled.

        Args:
            args: those of the schema, lists of numbers as tuples or lists.
            is_number: tells numbers.
        """
        if self is Spelling.INDEX:
            return [args[0], slice(*args[2:])]
        spelled: list[Any] = []
        for position, arg in enumerate(args):
            is_spread = self is Spelling.SPREAD and position == len(args) - 1
            if _are_numbers(arg, is_number) and (len(arg) == 1 or is_spread):
                spelled += arg
            else:
                spelled.append(arg)
        return spelled


@dataclass(frozen=True, slots=True)
class SpelledCall:
    """A function that makes an operator's call, if its arguments are spelled so.

    Called itself, it takes them as the operator does.
    """

    function: Callable[..., Any]
    spelling: Spelling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*self.spelling.spell(args, lambda arg: type(arg) is int), **kwargs)


def _are_numbers(arg: Any, is_number: Callable[[Any], bool]) -> bool:
    return isinstance(arg, tuple | list) and bool(arg) and all(map(is_number, arg))
