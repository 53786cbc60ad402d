"""Building a scene from a graph: the steps of this folder, one after the other."""

from __future__ import annotations

from ..ir import Graph, StateEntry, StateKind
from .clutter import counter_updates, size_arithmetic
from .endings import add_inputs, add_outputs
from .families import Family, family_of
from .folding import fold
from .labels import elements
from .options import Direction, Theme, ViewOptions
from .placing import Placement, place
from .regions import build_regions, focus_on
from .routing import Routed, route
from .scene import Box, BoxKind, Scene
from .strokes import draw_edges
from .wiring import Wiring
from .wording import counted, human, usual_dtype


def build_scene(graph: Graph, options: ViewOptions | None = None) -> Scene:
    """Decide everything a picture of a graph shows. O(size).

    Raises:
        RenderError: ``options.focus`` matches no scope.
    """
    options = ViewOptions() if options is None else options
    sizes = {} if options.show_sizes else size_arithmetic(graph)
    counters = counter_updates(graph)
    root = build_regions(graph, sizes | counters)
    if options.focus is not None:
        root = focus_on(root, options.focus)
    drawn = list(root.nodes())
    placement = Placement()
    place(root, fold(root, options), placement)
    wiring = Wiring(placement, drawn, has_outside=options.focus is not None)
    usual = usual_dtype(graph)
    add_inputs(graph, drawn, placement, wiring, usual)
    wiring.connect()
    add_outputs(graph, drawn, placement, wiring, usual)
    lines = route(list(wiring.wires.values()), placement)
    placement.boxes = _arranged(placement, lines)
    boxes = tuple(placement.boxes.values())
    return Scene(
        title=graph.name,
        totals=_totals(graph),
        notes=_notes(graph, options, placement, len(drawn), len(sizes), len(counters)),
        boxes=boxes,
        clusters=tuple(placement.clusters.values()),
        edges=draw_edges(lines, placement, usual),
        legend=_legend(boxes),
        direction=Direction(options.direction),
        theme=Theme(options.theme),
    )


def _arranged(placement: Placement, lines: list[Routed]) -> dict[str, Box]:
    """Put inputs first and outputs last, and what was added for an edge before what reads it."""
    boxes = placement.boxes
    position = {name: float(number) for number, name in enumerate(boxes)}
    added = (BoxKind.JUNCTION, BoxKind.STUB)
    for line in reversed(lines):  # readers of junctions come after them in the list
        if boxes[line.source].kind in added:
            before = position[line.target] - 0.1
            position[line.source] = min(position[line.source], before)
        elif boxes[line.target].kind is BoxKind.STUB:
            position[line.target] = position[line.source] + 0.1
    ranks = {BoxKind.INPUT: 0, BoxKind.OUTPUT: 2}
    ordered = sorted(boxes, key=lambda name: (ranks.get(boxes[name].kind, 1), position[name]))
    return {name: boxes[name] for name in ordered}


def _legend(boxes: tuple[Box, ...]) -> tuple[Family, ...]:
    shown = {box.family for box in boxes}
    return tuple(family for family in Family if family in shown)


def _totals(graph: Graph) -> str:
    entries: dict[StateEntry, None] = {
        entry: None for entry in graph.state.values() if entry.kind is StateKind.PARAMETER
    }
    words = [f"{human(elements(entries))} parameters"] if entries else []
    return " · ".join([*words, counted(sum(1 for _ in graph.walk()), "operation")])


def _notes(
    graph: Graph,
    options: ViewOptions,
    placement: Placement,
    drawn: int,
    sizes: int,
    counters: int,
) -> tuple[str, ...]:
    """Say what the picture leaves out."""
    notes = []
    if options.focus is not None:
        notes.append(f"only {options.focus}: {counted(drawn, 'operation')}")
    folded = sum(1 for box in placement.boxes.values() if box.kind is BoxKind.SCOPE)
    if folded:
        notes.append(f"{counted(folded, 'block')} folded into one box each")
    hidden = []
    if sizes:
        hidden.append(f"{counted(sizes, 'size computation')}")
    if counters:
        hidden.append(f"{counted(counters, 'counter update')}")
    if hidden:
        notes.append(f"{' and '.join(hidden)} not drawn")
    return tuple(notes)
