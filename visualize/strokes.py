"""Strokes: routed lines as the edges of a scene, with their labels and kinds."""

from __future__ import annotations

from collections import deque

from ..ir import DType, TensorType, Value
from .families import Family
from .placing import Placement
from .routing import Routed
from .scene import BoxKind, Edge, EdgeKind
from .wording import TIMES, type_text

_SEARCH_LIMIT = 400  # boxes looked at to see whether an edge goes past others

_JOINING = (Family.ELEMENTWISE, Family.SHAPE)


def draw_edges(lines: list[Routed], placement: Placement, usual: DType | None) -> tuple[Edge, ...]:
    """Return the edges of a scene: parallel lines merged, labelled, in the order of their targets."""
    bundles: dict[tuple[str, str], list[Routed]] = {}
    for line in lines:
        bundles.setdefault((line.source, line.target), []).append(line)
    skips = _skips(bundles, placement)
    labels = _labels(lines, placement, usual)
    edges = []
    for (source, target), bundle in bundles.items():
        kind = EdgeKind.SKIP if (source, target) in skips else EdgeKind.FLOW
        if any(line.wire.writes for line in bundle):
            kind = EdgeKind.WRITE
        count = sum(line.wire.count for line in bundle)
        if placement.boxes[target].kind is not BoxKind.OPERATOR:
            count = len(bundle)  # how often a value is read inside shows when it is opened
        texts = list(dict.fromkeys(text for line in bundle if (text := labels.get(id(line), ""))))
        label = ", ".join(texts) if len(texts) < 3 else f"{texts[0]}, … {texts[-1]}"
        if count > 1:
            label = f"{label} {TIMES}{count}".strip()
        roles = {line.wire.role for line in bundle}
        if len(roles) == 1 and "" not in roles and _enters_rounds(source, target, placement):
            label = " · ".join(word for word in (label, roles.pop()) if word)
        types = dict.fromkeys(str(line.wire.value.type) for line in bundle)
        edges.append(Edge(source, target, label, ", ".join(types), kind, count))
    position = {name: number for number, name in enumerate(placement.boxes)}
    return tuple(sorted(edges, key=lambda edge: (position[edge.target], position[edge.source])))


def _enters_rounds(source: str, target: str, placement: Placement) -> bool:
    """Return whether an edge goes into something that is drawn once for many."""
    if placement.boxes[target].repeats > 1:
        return True
    outside = placement.around(placement.boxes[source].cluster)
    return any(
        placement.clusters[cluster].repeats > 1
        for cluster in placement.around(placement.boxes[target].cluster)
        if cluster not in outside
    )


def _labels(lines: list[Routed], placement: Placement, usual: DType | None) -> dict[int, str]:
    """Return the labels of lines, by id: each value gets one at most, on its first line."""
    labels: dict[int, str] = {}
    labelled: set[tuple[str, Value]] = set()
    for line in lines:
        key = (line.source, line.wire.value)
        if not line.is_first or key in labelled:
            continue
        source = placement.boxes[line.source]
        target = placement.boxes[line.target]
        if source.kind is BoxKind.INPUT or target.kind is BoxKind.STUB:
            continue
        value = line.wire.value
        crosses = source.cluster != target.cluster or any(
            box.kind in (BoxKind.SCOPE, BoxKind.SECTION) for box in (source, target)
        )
        if crosses or _is_changed(value):
            text = type_text(value.type, usual)
            is_said = source.detail == text or source.detail.endswith(f"→ {text}")
            if not is_said:
                labels[id(line)] = f"{_index(value)}{text}"
            labelled.add(key)
    return labels


def _is_changed(value: Value) -> bool:
    """Return whether shape or dtype differ from every tensor that the value was made from."""
    node = value.node
    if node is None:
        return True
    if not isinstance(value.type, TensorType):
        return False
    mine = (value.type.dtype, value.type.shape)
    return not any(
        isinstance(read.type, TensorType)
        and read.state is None
        and (read.type.dtype, read.type.shape) == mine
        for read in node.inputs
    )


def _index(value: Value) -> str:
    node = value.node
    if node is None or sum(output.is_used for output in node.outputs) < 2:
        return ""
    return f"[{node.outputs.index(value)}] "


def _skips(
    bundles: dict[tuple[str, str], list[Routed]], placement: Placement
) -> set[tuple[str, str]]:
    """Return the edges that go past what the other operand of their target is computed by."""
    sources: dict[str, list[str]] = {}
    for source, target in bundles:
        sources.setdefault(target, []).append(source)
    skips = set()
    for target, near in sources.items():
        box = placement.boxes[target]
        if len(near) < 2 or box.kind is not BoxKind.OPERATOR or box.family not in _JOINING:
            continue
        for source in near:
            others = [other for other in near if other != source]
            if any(_reaches(source, other, sources) for other in others):
                skips.add((source, target))
    return skips


def _reaches(source: str, target: str, sources: dict[str, list[str]]) -> bool:
    """Return whether data flows from one box to another, as far as the search looks."""
    seen = {target}
    pending = deque([target])
    while pending and len(seen) < _SEARCH_LIMIT:
        for box in sources.get(pending.popleft(), ()):
            if box == source:
                return True
            if box not in seen:
                seen.add(box)
                pending.append(box)
    return False
