"""Numbers on nodes, as Model Explorer shows them over a graph: times, bytes, errors, counts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

from ..errors import RenderError
from ..ir import Graph, Node
from .parts import take_apart

_GRADIENT: Final = [
    {
        "stop": stop,
        "bgColor": colour,
        "textColor": "#000000",
    }  # legible where the viewer is dark too
    for stop, colour in ((0.0, "#ffffff"), (0.5, "#ffd8a8"), (1.0, "#ff6b6b"))
]


def to_overlay(graph: Graph, numbers: Mapping[Node, float]) -> str:
    """Return numbers on nodes of a graph as node data for Model Explorer. O(size).

    Nodes of functions and blocks may be among them; the smallest number is white and the largest red.

    Raises:
        RenderError: a node is not in the graph, or its number is not finite.
    """
    program = take_apart(graph)
    results: dict[str, dict[str, dict[str, float]]] = {}
    for node, number in numbers.items():
        part = None if node.block is None else program.part_of.get(node.block)
        if part is None or node not in program.ids:
            raise RenderError(
                f"{node!r} has a number but is not in {graph.name}\n"
                "  give nodes of the graph itself, of its functions, or of blocks in it"
            )
        if not math.isfinite(number):
            raise RenderError(
                f"{program.ids[node]} ({node.kind}) of {part.name} has the number {number}, which has no"
                " place between the smallest and the largest\n  leave the node out"
            )
        results.setdefault(part.name, {})[program.ids[node]] = {"value": number}
    told = {part: {"results": values, "gradient": _GRADIENT} for part, values in results.items()}
    return json.dumps(told) + "\n"
