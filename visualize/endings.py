"""Endings: boxes for what comes into a picture and what goes out of it."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir import DType, Graph, Node, TensorType, Value
from .labels import operator_title
from .placing import Placement
from .scene import BoxKind
from .wiring import Wiring
from .wording import TIMES, TO, counted, shortened, type_text

_MANY = 8  # endings with the same neighbours above which they share one box


def add_inputs(
    graph: Graph, drawn: list[Node], placement: Placement, wiring: Wiring, usual: DType | None
) -> None:
    """Add a box for each value that drawn nodes or the graph's outputs read from outside.

    Many inputs that go to the same boxes, such as a cache per layer, share one box.
    """
    groups: dict[tuple[object, ...], list[Value]] = {}
    for value in _outer_values(graph, drawn, wiring):
        targets = dict.fromkeys(
            placement.box_of[placement.shown(user)]
            for user in value.users
            if isinstance(user, Node) and placement.shown(user) in placement.box_of
        )
        groups.setdefault((*targets, value.node is None), []).append(value)
    for values in groups.values():
        shared = [values] if len(values) > _MANY else [[value] for value in values]
        for members in shared:
            title, detail, tooltip = _input_label(members, usual)
            box = placement.add_box(BoxKind.INPUT, None, title, detail, tooltip)
            for value in members:
                wiring.input_boxes[value] = box


def add_outputs(
    graph: Graph, drawn: list[Node], placement: Placement, wiring: Wiring, usual: DType | None
) -> None:
    """Add a box for each value that the graph returns, or that a focused part hands on."""
    is_whole = not wiring.has_outside
    results = list(graph.outputs) if is_whole else list(_handed_on(drawn))
    places: dict[Value, list[int]] = {}  # one value may be returned twice, as field and as entry
    for number, result in enumerate(results):
        places.setdefault(result, []).append(number)
    groups: dict[str | None, list[Value]] = {}
    for result in places:
        sources = [found for value in wiring.sources(result) if (found := wiring.box_of(value))]
        groups.setdefault(sources[0][0] if sources else None, []).append(result)
    for members in groups.values():
        for part in [members] if len(members) > _MANY else [[member] for member in members]:
            box = _add_output(part, places, placement, usual)
            for result in part:
                for value in wiring.sources(result):
                    found = wiring.box_of(value)
                    if found is not None:
                        wiring.add(found[0], box, found[1])


def _add_output(
    part: list[Value], places: dict[Value, list[int]], placement: Placement, usual: DType | None
) -> str:
    """Add the box of one result, or of several that come from the same box."""
    numbers = [number for value in part for number in places[value]]
    total = sum(len(numbers) for numbers in places.values())
    tooltip = "\n".join(f"output {places[value][0]} : {value.type}" for value in part[:20])
    if len(part) > 1:
        title = f"outputs {numbers[0]} {TO} {numbers[-1]}"
        return placement.add_box(BoxKind.OUTPUT, None, title, counted(len(part), "value"), tooltip)
    kind = "output"
    if total > 1:
        kind = f"output{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
    value = part[0]
    text = type_text(value.type, usual)
    if value.name and value.node is not None:
        title, detail = shortened(value.name, 24), f"{kind} · {text}"
    else:
        title, detail = kind, text
    return placement.add_box(BoxKind.OUTPUT, None, title, detail, tooltip)


def _outer_values(graph: Graph, drawn: list[Node], wiring: Wiring) -> Iterator[Value]:
    """Yield what comes in from outside the drawn nodes, the graph's inputs first."""
    inside = set(drawn)
    read = dict.fromkeys(value for node in drawn for value in node.inputs)
    if not wiring.has_outside:
        read |= dict.fromkeys(graph.outputs)
    yield from (value for value in graph.inputs if value in read)
    if wiring.has_outside:
        for value in read:
            node = value.node
            if node is not None and node not in inside and isinstance(value.type, TensorType):
                yield value


def _handed_on(drawn: list[Node]) -> Iterator[Value]:
    inside = set(drawn)
    for node in drawn:
        for value in node.outputs:
            if any(user not in inside for user in value.users):
                yield value


def _input_label(values: list[Value], usual: DType | None) -> tuple[str, str, str]:
    names = [_name(value) for value in values]
    first = values[0]
    kind = "input" if first.node is None else f"from {first.node.scope.address or 'outside'}"
    tooltip = "\n".join(
        f"{name} : {value.type}" for name, value in zip(names[:20], values[:20], strict=True)
    )
    if len(values) == 1:
        return names[0], f"{kind} · {type_text(first.type, usual)}", tooltip
    title = f"{names[0]} {TO} {names[-1]}  {TIMES}{len(values)}"
    types = list(dict.fromkeys(type_text(value.type, usual) for value in values))
    return title, shortened(f"{counted(len(values), kind)} · {', '.join(types)}", 38), tooltip


def _name(value: Value) -> str:
    if value.name:
        return shortened(value.name, 24)
    return operator_title(value.node) if value.node is not None else "input"
