"""Measures: a number for each of some nodes, to colour a picture by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .node import Node


@dataclass(frozen=True, slots=True)
class Measure:
    """A number for each of some nodes.

    Attributes:
        name: what it is called: ``FLOPs``.
        unit: what it counts, such as ``B``, ``s`` or ``FLOP``; numbers are shown with it.
        numbers: of the nodes that have one.
        is_additive: whether the number of a scope is the sum of those of its nodes, as with times and bytes,
            and not their largest.
    """

    name: str
    unit: str = ""
    numbers: Mapping[Node, float] = field(default_factory=dict)
    is_additive: bool = True
