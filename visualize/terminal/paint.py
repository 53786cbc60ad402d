"""Styles of what is shown, in the colours of pictures, and text made safe to show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from rich.style import Style
from textual.theme import Theme as AppTheme

from ...ir import Operator
from ..families import Family, family_of
from ..options import Theme
from ..themes import PALETTES, Palette

_CURSORS = {Theme.DARK: ("#1f4b7a", "#2a313c"), Theme.LIGHT: ("#b6dcff", "#e1e7ed")}
_HITS = {Theme.DARK: "#e3b341", Theme.LIGHT: "#9a6700"}


@dataclass(frozen=True, slots=True)
class Paint:
    """The styles of one theme.

    Attributes:
        text: what is plain.
        strong: names and titles.
        faint: what is beside the point.
        accent: what leads somewhere.
        hit: what a search has found.
        warning: what is not recorded exactly.
        keyword: words of Python.
        literal: text and numbers in Python.
        cursor: the row with the cursor, where keys go there.
        cursor_away: the same, where they go elsewhere.
        families: names of operators.
    """

    text: Style
    strong: Style
    faint: Style
    accent: Style
    hit: Style
    warning: Style
    keyword: Style
    literal: Style
    cursor: Style
    cursor_away: Style
    families: dict[Family, Style]

    def operator(self, operator: Operator) -> Style:
        """Return the style of an operator's name."""
        return self.families[family_of(operator)]


@cache
def paint_for(*, is_dark: bool) -> Paint:
    """Return the styles on a dark or light ground."""
    theme = Theme.DARK if is_dark else Theme.LIGHT
    palette = PALETTES[theme]
    cursor, cursor_away = _CURSORS[theme]
    colours = {family: tint.border for family, tint in palette.families.items()}
    colours[Family.SHAPE] = palette.faint  # borders may be fainter than text
    return Paint(
        text=Style(color=palette.text),
        strong=Style(color=palette.text, bold=True),
        faint=Style(color=palette.faint),
        accent=Style(color=palette.skip),
        hit=Style(color=_HITS[theme], bold=True),
        warning=Style(color=palette.write, bold=True),
        keyword=Style(color=colours[Family.ATTENTION]),
        literal=Style(color=colours[Family.NORM]),
        cursor=Style(bgcolor=cursor),
        cursor_away=Style(bgcolor=cursor_away),
        families={family: Style(color=colour) for family, colour in colours.items()},
    )


def app_themes() -> Iterator[AppTheme]:
    """Yield the themes of the whole app, the dark one first."""
    for theme in (Theme.DARK, Theme.LIGHT):
        yield _app_theme(theme, PALETTES[theme])


def theme_name(*, is_dark: bool) -> str:
    """Return what a theme of the app is called."""
    return f"opscope-{(Theme.DARK if is_dark else Theme.LIGHT).value}"


def _app_theme(theme: Theme, palette: Palette) -> AppTheme:
    return AppTheme(
        name=f"opscope-{theme.value}",
        primary=palette.skip,
        accent=palette.skip,
        warning=_HITS[theme],
        error=palette.write,
        foreground=palette.text,
        background=palette.page,
        surface=palette.frames[0],
        panel=palette.frames[1],
        dark=theme is Theme.DARK,
        variables={
            "border-blurred": palette.frame,
            "footer-key-foreground": palette.skip,
            "footer-background": palette.frames[0],
        },
    )


def shown(text: str) -> str:
    """Return text on one line in which nothing can move the cursor or change how a terminal behaves.

    Names and source lines come from files, which may hold anything.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "    " if c == "\t" else ascii(c)[1:-1] for c in text)
