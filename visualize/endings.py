"""Endings: boxes for what comes into a picture and what goes out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..ir import DType, Graph, Node, TensorType, Value
from .labels import operator_title
from .placing import Placement
from .scene import BoxKind
from .wiring import Wiring, as_read, drawn_sources
from .wording import TIMES, TO, counted, shortened, type_text

_MANY = 8  # endings with the same neighbours above which they share one box
_MANY_INSIDE = 4  # outputs in one container from which on they share one box
_STEP = re.compile(r"""\[(?:['"](.*?)['"]|(-?\w+))\]|\.([^.\[]+)""")


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
    graph: Graph,
    drawn: list[Node],
    placement: Placement,
    wiring: Wiring,
    usual: DType | None,
    names: Sequence[str] = (),
) -> None:
    """Add a box for each value that the graph returns, or that a focused part hands on.

    Many from one container, such as a cache, share one box, and so do very many from one box.
    """
    is_whole = not wiring.has_outside
    results = list(graph.outputs) if is_whole else list(_handed_on(drawn))
    named = is_whole and len(names) == len(results)
    writer = _OutputWriter(list(map(readable, names)) if named else [], len(results), usual)
    places: dict[Value, list[int]] = {}  # one value may be returned twice, as field and as entry
    for number, result in enumerate(results):
        places.setdefault(result, []).append(number)
    containers: dict[str, list[Value]] = {}
    for result, numbers in places.items():
        containers.setdefault(writer.container(numbers[0]), []).append(result)
    groups: dict[str | None, list[Value]] = {}
    boxes: list[tuple[str, list[Value]]] = []
    for container, members in containers.items():
        if container and len(members) >= _MANY_INSIDE:
            boxes.append((container, members))
            continue
        for result in members:
            sources = [found for value in drawn_sources(result) if (found := wiring.box_of(value))]
            groups.setdefault(sources[0][0] if sources else None, []).append(result)
    for members in groups.values():
        boxes.extend(
            ("", part)
            for part in ([members] if len(members) > _MANY else [[member] for member in members])
        )
    boxes.sort(key=lambda entry: places[entry[1][0]][0])
    for container, part in boxes:
        title, detail, tooltip = writer.label(part, places, container)
        box = placement.add_box(BoxKind.OUTPUT, None, title, detail, tooltip)
        for result in part:
            for value in drawn_sources(result):
                found = wiring.box_of(value)
                if found is not None:
                    wiring.add(found[0], box, as_read(found[1], result))


def readable(path: str) -> str:
    """Return the way to an output as people say it: ``feats.h`` for ``['feats']['h']``.

    What starts with a number is ``output 0``; an output that is all there is has no name.
    """
    steps = [quoted or number or field for quoted, number, field in _STEP.findall(path)]
    name = ".".join(steps) if steps else path
    return f"output {name}" if path.startswith("[") and name[:1].isdecimal() else name


class _OutputWriter:
    """Labels outputs, with the names of their places where these are known."""

    def __init__(self, names: list[str], count: int, usual: DType | None) -> None:
        self._names = names
        self._count = count
        self._usual = usual

    def container(self, number: int) -> str:
        """Return the name of what holds an output; empty where nothing does."""
        first, _, rest = self._names[number].partition(".") if self._names else ("", "", "")
        return first if rest else ""

    def label(
        self, part: list[Value], places: dict[Value, list[int]], container: str
    ) -> tuple[str, str, str]:
        """Return title, detail and tooltip of the box of one result, or of several."""
        numbers = [number for value in part for number in places[value]]
        tooltip = "\n".join(f"{self._name(places[value][0])} : {value.type}" for value in part[:20])
        if len(part) > 1:
            if container:
                types = dict.fromkeys(type_text(value.type, self._usual) for value in part)
                noun = "tensor" if isinstance(part[0].type, TensorType) else "value"
                detail = f"{counted(len(part), noun)} · {', '.join(types)}"
                return shortened(container, 24), shortened(detail, 38), tooltip
            title = f"outputs {numbers[0]} {TO} {numbers[-1]}"
            return title, counted(len(part), "value"), tooltip
        value = part[0]
        text = type_text(value.type, self._usual)
        given = list(dict.fromkeys(name for name in map(self._given, numbers) if name))
        if given:
            return shortened(", ".join(given), 34), text, tooltip
        kind = "output"
        if self._count > 1:
            named = list(dict.fromkeys(self._name(number)[7:] for number in numbers))
            kind = f"output{'' if len(named) == 1 else 's'} {', '.join(named)}"
        if value.name and value.node is not None:
            return shortened(value.name, 24), f"{kind} · {text}", tooltip
        return kind, text, tooltip

    def _given(self, number: int) -> str:
        """Return the name that somebody chose for the place of an output, if there is one."""
        name = self._names[number] if self._names else ""
        return "" if name.startswith("output ") else name

    def _name(self, number: int) -> str:
        return (self._names[number] if self._names else "") or f"output {number}"


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
