"""Routing: what becomes of wires on the page.

Note [Hubs and junctions]
    A value that many far-off boxes read, such as an attention mask, would cross the whole picture as a
    bundle of long lines; each reader gets a small stub with the value's name instead. A value that
    several boxes of one cluster read enters the cluster once, at a junction, and branches there; so a
    residual connection stays inside its block.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..ir import Value
from .labels import operator_title
from .placing import Placement
from .scene import BoxKind
from .wiring import Wire
from .wording import shortened

_FEW_READERS = 6
_SHORT_SPAN = 12  # boxes between a hub and the last that reads it


@dataclass(slots=True)
class Routed:
    """A line from box to box that stands for a wire or a part of one."""

    source: str
    target: str
    wire: Wire
    is_first: bool = True  # whether the line starts where the value is made


@dataclass(slots=True)
class _Entry:
    """What of one value goes into a cluster, or at the top, to boxes and to inner clusters."""

    wires: list[Wire] = field(default_factory=list)
    inner: dict[str, _Entry] = field(default_factory=dict)


def route(wires: list[Wire], placement: Placement) -> list[Routed]:
    """Return the lines of a picture, adding boxes for stubs and junctions. O(wires x nesting)."""
    position = {name: number for number, name in enumerate(placement.boxes)}
    by_value: dict[tuple[str, Value], list[Wire]] = {}
    for wire in wires:
        by_value.setdefault((wire.source, wire.value), []).append(wire)
    lines: list[Routed] = []
    for (source, value), group in by_value.items():
        readers = {wire.target for wire in group}
        span = max(abs(position[reader] - position[source]) for reader in readers)
        if len(readers) > _FEW_READERS and span > _SHORT_SPAN:
            lines.extend(_stubs(source, value, group, placement))
        else:
            lines.extend(_branches(source, group, placement))
    return lines


def value_title(value: Value) -> str:
    """Return what to call a value: its name, or else the operator that makes it."""
    if value.name:
        return shortened(value.name, 24)
    return operator_title(value.node) if value.node is not None else "input"


def _stubs(source: str, value: Value, group: list[Wire], placement: Placement) -> list[Routed]:
    title = value_title(value)
    tooltip = f"{title} : {value.type}"
    lines = []
    maker = placement.boxes[source]
    if maker.kind is not BoxKind.INPUT:
        stub = placement.add_box(BoxKind.STUB, maker.cluster, f"▸ {title}", "", tooltip)
        lines.append(Routed(source, stub, Wire(source, stub, value)))
    stubs: dict[str, str] = {}
    for wire in group:
        cluster = placement.boxes[wire.target].cluster
        home = cluster or wire.target
        if home not in stubs:
            stubs[home] = placement.add_box(BoxKind.STUB, cluster, f"{title} ▸", "", tooltip)
        lines.append(Routed(stubs[home], wire.target, wire, is_first=False))
    return lines


def _branches(source: str, group: list[Wire], placement: Placement) -> list[Routed]:
    if len(group) == 1:
        return [Routed(source, group[0].target, group[0])]
    outside = placement.around(placement.boxes[source].cluster)
    top = _Entry()
    entries = [("", top)]  # each after the one around it
    for wire in group:
        path = [
            c for c in placement.around(placement.boxes[wire.target].cluster) if c not in outside
        ]
        entry = top
        for cluster in reversed(path):
            if cluster not in entry.inner:
                entry.inner[cluster] = _Entry()
                entries.append((cluster, entry.inner[cluster]))
            entry = entry.inner[cluster]
        entry.wires.append(wire)
    # From the innermost out: an entry with several ends becomes a junction, which is one end.
    ends: dict[int, list[tuple[str, Wire]]] = {}
    lines: list[Routed] = []
    for cluster, entry in reversed(entries):
        own = [(wire.target, wire) for wire in entry.wires]
        own.extend(end for inner in entry.inner.values() for end in ends[id(inner)])
        flowing = [end for end in own if not end[1].writes]
        if entry is not top and len(flowing) > 1:
            value = flowing[0][1].value
            junction = placement.add_box(
                BoxKind.JUNCTION, cluster, "", "", f"{value_title(value)} : {value.type}"
            )
            lines.extend(Routed(junction, end, wire, is_first=False) for end, wire in flowing)
            own = [end for end in own if end[1].writes]
            roles = {wire.role for _, wire in flowing}
            role = roles.pop() if len(roles) == 1 else ""
            own.append((junction, Wire(source, junction, value, role=role)))
        ends[id(entry)] = own
    lines.extend(Routed(source, end, wire) for end, wire in ends[id(top)])
    return lines
