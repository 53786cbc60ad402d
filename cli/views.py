"""How pictures look, read from the command line."""

from __future__ import annotations

from typing import Final

from ..visualize import ViewOptions
from .usage import read_choice, read_whole

_DIRECTIONS: Final = ("TB", "LR")
_THEMES: Final = ("light", "dark", "print")


def read_view(
    depth: str | None,
    direction: str,
    theme: str,
    focus: str | None = None,
    around: str | None = None,
    steps: str = "2",
) -> ViewOptions:
    """Return what options ask of a picture.

    Raises:
        CommandError: one of them cannot be.
    """
    return ViewOptions(
        depth=None if depth is None else read_whole("--depth", depth),
        direction=read_choice("--direction", direction, _DIRECTIONS),
        theme=read_choice("--theme", theme, _THEMES),
        focus=focus,
        around=around,
        steps=read_whole("--steps", steps),
    )
