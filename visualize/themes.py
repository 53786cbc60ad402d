"""Colours of pictures, per theme. Colour is never the only sign: every box says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .families import Family
from .options import Theme
from .scene import BoxKind


@dataclass(frozen=True, slots=True)
class Tint:
    """Fill and border of a box."""

    fill: str
    border: str


@dataclass(frozen=True, slots=True)
class Palette:
    """All colours of one theme.

    Attributes:
        families: per family of operators.
        ends: inputs and outputs.
        scope: folded scopes.
        frames: fills of clusters, by depth, the last one for all deeper.
        frame: border of clusters.
        page: background; ``transparent`` leaves it to the page.
        text: titles.
        faint: details and edge labels.
        line: edges.
        skip: edges that go past others.
        write: edges that change their value in place.
    """

    families: dict[Family, Tint]
    ends: Tint
    scope: Tint
    frames: tuple[str, ...]
    frame: str
    page: str
    text: str
    faint: str
    line: str
    skip: str
    write: str

    def tint(self, kind: BoxKind, family: Family | None) -> Tint:
        """Return the colours of a box."""
        if kind in (BoxKind.INPUT, BoxKind.OUTPUT, BoxKind.STUB):
            return self.ends
        if family is not None:
            return self.families[family]
        return self.scope


_LIGHT: Final = Palette(
    families={
        Family.WEIGHTS: Tint("#ddf4ff", "#0969da"),
        Family.NORM: Tint("#dafbe1", "#1a7f37"),
        Family.ACTIVATION: Tint("#fff1e5", "#bc4c00"),
        Family.ATTENTION: Tint("#ffeff7", "#bf3989"),
        Family.ELEMENTWISE: Tint("#fbefff", "#8250df"),
        Family.REDUCTION: Tint("#d9f3f0", "#0e7490"),
        Family.SHAPE: Tint("#ffffff", "#afb8c1"),
        Family.INDEX: Tint("#eef0ff", "#5a63c8"),
        Family.SOURCE: Tint("#fff8c5", "#9a6700"),
        Family.CONTROL: Tint("#f1e9df", "#7d5a33"),
        Family.LOSS: Tint("#ffebe9", "#cf222e"),
        Family.COMMUNICATION: Tint("#e2f0d0", "#4d7c0f"),
        Family.OTHER: Tint("#ffffff", "#6e7781"),
    },
    ends=Tint("#eaeef2", "#57606a"),
    scope=Tint("#ffffff", "#57606a"),
    frames=("#f6f8fa", "#eef2f6", "#e6ebf1", "#dde4eb"),
    frame="#d0d7de",
    page="#ffffff",
    text="#1f2328",
    faint="#59636e",
    line="#8c959f",
    skip="#0969da",
    write="#cf222e",
)

_DARK: Final = Palette(
    families={
        Family.WEIGHTS: Tint("#12304d", "#4493f8"),
        Family.NORM: Tint("#14331f", "#3fb950"),
        Family.ACTIVATION: Tint("#3a2414", "#f0883e"),
        Family.ATTENTION: Tint("#3b1a30", "#f778ba"),
        Family.ELEMENTWISE: Tint("#2a1f45", "#ab7df8"),
        Family.REDUCTION: Tint("#0f3236", "#39c5cf"),
        Family.SHAPE: Tint("#1c2128", "#6e7681"),
        Family.INDEX: Tint("#20244a", "#8b94f5"),
        Family.SOURCE: Tint("#332a0f", "#d29922"),
        Family.CONTROL: Tint("#332820", "#c69c6d"),
        Family.LOSS: Tint("#3d1618", "#f85149"),
        Family.COMMUNICATION: Tint("#26330f", "#a3c75a"),
        Family.OTHER: Tint("#1c2128", "#949ba4"),
    },
    ends=Tint("#2a313c", "#949ba4"),
    scope=Tint("#0d1117", "#949ba4"),
    frames=("#151b23", "#1b222c", "#212a35", "#28323e"),
    frame="#3d444d",
    page="#0d1117",
    text="#f0f6fc",
    faint="#949ba4",
    line="#6e7681",
    skip="#4493f8",
    write="#f85149",
)

_PRINT: Final = Palette(
    families={family: Tint("#ffffff", "#000000") for family in Family}
    | {
        Family.WEIGHTS: Tint("#dcdcdc", "#000000"),
        Family.ATTENTION: Tint("#c8c8c8", "#000000"),
        Family.NORM: Tint("#efefef", "#000000"),
        Family.SHAPE: Tint("#ffffff", "#909090"),
    },
    ends=Tint("#ffffff", "#000000"),
    scope=Tint("#ffffff", "#000000"),
    frames=("#ffffff",),
    frame="#808080",
    page="#ffffff",
    text="#000000",
    faint="#404040",
    line="#404040",
    skip="#000000",
    write="#000000",
)

PALETTES: Final = {Theme.LIGHT: _LIGHT, Theme.DARK: _DARK, Theme.PRINT: _PRINT}
