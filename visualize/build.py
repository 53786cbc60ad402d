"""Building a scene from a graph: the steps of this folder, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..ir import Graph, Node, StateEntry, StateKind
from ..ir.collector import paused_collector
from .clutter import bookkeeping, size_arithmetic, unused_results, without_identities
from .endings import add_inputs, add_outputs
from .families import Family
from .folding import fold
from .labels import elements
from .neighbourhood import neighbourhood
from .options import Direction, Theme, ViewOptions
from .placing import Placement, place
from .regions import build_regions, focus_on
from .routing import Routed, route
from .scene import Box, BoxKind, Scene
from .strokes import draw_edges
from .wiring import Wiring
from .wording import counted, human, usual_dtype

_LONG = 30  # boxes in a column up to which a picture is never too tall
_TALL = 24  # boxes in a column, for each column there is about, above which fewer are opened
_WORTHWHILE = 0.85  # of the height that is left, for opening fewer to be worth it


@dataclass(frozen=True, slots=True)
class _Clutter:
    """What a picture leaves out, each node under one heading."""

    sizes: dict[Node, None] = field(default_factory=dict)
    bookkeeping: dict[Node, None] = field(default_factory=dict)
    unused: dict[Node, None] = field(default_factory=dict)
    identities: int = 0


def _find_clutter(graph: Graph, identities: int) -> _Clutter:
    sizes = size_arithmetic(graph)
    unused = {node: None for node in unused_results(graph) if node not in sizes}
    return _Clutter(sizes, bookkeeping(graph), unused, identities)


def build_scene(
    graph: Graph, options: ViewOptions | None = None, output_names: Sequence[str] = ()
) -> Scene:
    """Decide everything a picture of a graph shows. O(size).

    Args:
        graph: what to draw.
        options: how much of it, and how.
        output_names: where each output stands in what was returned, as Python writes the way there:
            ``['logits']``, ``.hidden``.

    Raises:
        RenderError: ``options.focus`` matches no scope, or no value is called ``options.around``.
    """
    with paused_collector():
        options = ViewOptions() if options is None else options
        scene = _build(graph, options, output_names)
        height = _longest_chain(scene)
        is_tall = height > _LONG and height**2 > _TALL * len(scene.boxes)
        if options.depth is not None or not is_tall:
            return scene
        fewer = replace(options, max_boxes=max(options.max_boxes // 2, 1))
        shorter = _build(graph, fewer, output_names)
        return shorter if _longest_chain(shorter) <= _WORTHWHILE * height else scene


def _longest_chain(scene: Scene) -> int:
    """Return how many boxes follow each other at most. O(boxes + edges)."""
    targets: dict[str, list[str]] = {box.name: [] for box in scene.boxes}
    missing = dict.fromkeys(targets, 0)
    for edge in scene.edges:
        targets[edge.source].append(edge.target)
        missing[edge.target] += 1
    height = dict.fromkeys(targets, 1)
    ready = [name for name, count in missing.items() if not count]
    for name in ready:
        for target in targets[name]:
            height[target] = max(height[target], height[name] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    return max(height.values(), default=0)


def _build(graph: Graph, options: ViewOptions, output_names: Sequence[str]) -> Scene:
    identities = 0
    if not options.show_all:
        graph, identities = without_identities(graph)
    clutter = _Clutter() if options.show_all else _find_clutter(graph, identities)
    hidden = clutter.sizes | clutter.bookkeeping | clutter.unused
    if options.around is not None:
        near = neighbourhood(graph, options.around, options.steps)
        own = next(iter(near), None)  # is shown, whatever it is
        hidden = {n: None for n in graph.walk() if n is not own and (n in hidden or n not in near)}
    root = build_regions(graph, hidden)
    if options.focus is not None:
        root = focus_on(root, options.focus)
    drawn = list(root.nodes())
    placement = Placement()
    place(root, fold(root, options), placement)
    is_part = options.focus is not None or options.around is not None
    wiring = Wiring(graph, placement, drawn, has_outside=is_part)
    usual = usual_dtype(graph)
    add_inputs(graph, drawn, placement, wiring, usual)
    wiring.connect()
    add_outputs(graph, drawn, placement, wiring, usual, output_names)
    lines = route(list(wiring.wires.values()), placement)
    placement.boxes = _arranged(placement, lines)
    boxes = tuple(placement.boxes.values())
    return Scene(
        title=graph.name,
        totals=totals(graph, identities),
        notes=_notes(options, placement, len(drawn), clutter),
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


def totals(graph: Graph, left_out: int = 0) -> str:
    """Return the size of a graph in words; ``left_out`` nodes were taken out of it."""
    entries: dict[StateEntry, None] = {
        entry: None for entry in graph.state.values() if entry.kind is StateKind.PARAMETER
    }
    words = [f"{human(elements(entries))} parameters"] if entries else []
    return " · ".join([*words, counted(sum(1 for _ in graph.walk()) + left_out, "operation")])


def _notes(
    options: ViewOptions, placement: Placement, drawn: int, clutter: _Clutter
) -> tuple[str, ...]:
    """Say what the picture leaves out."""
    notes = []
    if options.focus is not None:
        notes.append(f"only {options.focus}: {counted(drawn, 'operation')}")
    if options.around is not None:
        near = counted(options.steps, "step")
        notes.append(
            f"only what is within {near} of {options.around}: {counted(drawn, 'operation')}"
        )
    folded = sum(1 for box in placement.boxes.values() if box.kind is BoxKind.SCOPE)
    if folded:
        notes.append(f"{counted(folded, 'block')} folded")
    hidden = [
        counted(number, noun)
        for number, noun in (
            (len(clutter.sizes), "size computation"),
            (len(clutter.bookkeeping), "bookkeeping step"),
            (len(clutter.unused), "unread result"),
            (clutter.identities, "idle cast"),
        )
        if number
    ]
    if hidden:
        notes.append(f"not drawn: {', '.join(hidden)}")
    return tuple(notes)
