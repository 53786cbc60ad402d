"""What people may ask of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..errors import RenderError


class Direction(Enum):
    """Which way data flows across the page."""

    DOWN = "TB"
    RIGHT = "LR"


class Theme(Enum):
    """Which colours a picture uses; ``PRINT`` is legible without any."""

    LIGHT = "light"
    DARK = "dark"
    PRINT = "print"


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How much of a graph to draw, and how.

    Attributes:
        depth: how many levels of scopes to open, so 0 draws each top-level scope as one box; None
            opens as many as ``max_boxes`` allows, one of each kind of block before its likes.
        max_boxes: about how many boxes to draw where ``depth`` is None.
        focus: draw only what happens in scopes whose path or address matches this shell pattern.
        around: draw only what is near the value of this name: ``%h``, as the graph's text has it.
        steps: how many operators near ``around`` reaches, before the value and behind it.
        fold_repeats: draw equal neighbouring blocks once, marked with their number.
        show_all: draw what only serves others too: arithmetic on sizes and other plain numbers,
            counters, results that nothing reads.
        direction: which way data flows: ``TB`` (down) or ``LR`` (right).
        theme: ``light``, ``dark`` or ``print``.
    """

    depth: int | None = None
    max_boxes: int = 60
    focus: str | None = None
    around: str | None = None
    steps: int = 2
    fold_repeats: bool = True
    show_all: bool = False
    direction: Direction | str = Direction.DOWN
    theme: Theme | str = Theme.LIGHT

    def __post_init__(self) -> None:
        """Turn names into members, so that ``ViewOptions(theme="dark")`` reads well.

        Raises:
            RenderError: a direction or theme does not exist, or a number makes no sense.
        """
        object.__setattr__(self, "direction", _member(Direction, "direction", self.direction))
        object.__setattr__(self, "theme", _member(Theme, "theme", self.theme))
        if self.depth is not None and self.depth < 0:
            raise RenderError(f"depth counts opened levels of scopes; it cannot be {self.depth}")
        if self.steps < 0:
            raise RenderError(f"steps counts operators from a value; it cannot be {self.steps}")
        if self.focus is not None and self.around is not None:
            raise RenderError(
                "a picture is of a scope (focus) or of what is around a value, not both"
            )
        if self.max_boxes < 1:
            raise RenderError(f"max_boxes cannot be {self.max_boxes}; a picture has boxes")


def _member(kind: type[Direction | Theme], name: str, given: object) -> Enum:
    try:
        return kind(given)
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        raise RenderError(f"{name} cannot be {given!r}; choose from {known}") from None
