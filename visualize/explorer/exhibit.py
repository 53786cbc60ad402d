"""The document of a page: all that the explorer shows, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ...ir import Graph, Node, SourceRange
from ...ir.collector import paused_collector
from ...ir.measures import Measure
from ..families import Family
from ..options import Theme
from ..themes import PALETTES, Palette
from .graph_columns import GraphColumns
from .tables import Frames, Texts

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was found about some nodes: a diagnostic, or a condition that a replay checks.

    Attributes:
        kind: ``error``, ``warning``, ``info`` or ``guard``.
        title: a sentence.
        hint: what to do about it; may be empty.
        source: the user's line that caused it.
        nodes: what it concerns.
    """

    kind: str
    title: str
    hint: str = ""
    source: SourceRange | None = None
    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What a page shows.

    Attributes:
        graph: the graph; its functions come along.
        output_names: where each output stands in what was returned, as Python writes the way there.
        remarks: what was found about it.
        measures: numbers to colour by.
        subtitle: facts in a line, such as the release of torch.
        state_notes: facts about entries of the state, by name: ``mean 0.01, std 0.2``.
        with_sources: whether the text of the user's files comes along.
    """

    graph: Graph
    output_names: Sequence[str] = ()
    remarks: Sequence[Remark] = ()
    measures: Sequence[Measure] = ()
    subtitle: str = ""
    state_notes: Mapping[str, str] = field(default_factory=dict)
    with_sources: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a node from one graph to another.

    Attributes:
        kind: ``added``, ``removed``, ``changed`` or ``moved``.
        before: the node in the first graph; None if it was added.
        after: the node in the second; None if it was removed.
        details: in what the two differ, a line each.
    """

    kind: str
    before: Node | None
    after: Node | None
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two programs side by side.

    Attributes:
        before: the first.
        after: the second.
        changes: what became of nodes that are not in both as they were, in program order.
        matches: the nodes of the first that the second has too, with those there.
        notes: what differs besides, a sentence each: inputs, outputs, state.
        names: what the two are called.
    """

    before: Exhibit
    after: Exhibit
    changes: Sequence[Change]
    matches: Mapping[Node, Node]
    notes: Sequence[str] = ()
    names: tuple[str, str] = ("before", "after")


def document(exhibit: Exhibit | Comparison) -> dict[str, Any]:
    """Return all that a page shows of a program, or of two, as JSON has it. O(size)."""
    with paused_collector():
        if isinstance(exhibit, Comparison):
            return _comparison(exhibit)
        return _program(exhibit)[0]


def _comparison(comparison: Comparison) -> dict[str, Any]:
    before, old = _program(comparison.before)
    after, new = _program(comparison.after)
    # Those of functions are told in words: the panes show the programs themselves.
    changes = [
        change
        for change in comparison.changes
        if (change.before is None or change.before in old.number)
        and (change.after is None or change.after in new.number)
    ]
    pairs = [
        (old.number[one], new.number[other])
        for one, other in comparison.matches.items()
        if one in old.number and other in new.number
    ]
    return {
        "format": FORMAT,
        "title": f"{comparison.names[0]} and {comparison.names[1]}",
        "names": list(comparison.names),
        "before": before,
        "after": after,
        "changes": {
            "kind": [change.kind for change in changes],
            "before": [-1 if c.before is None else old.number[c.before] for c in changes],
            "after": [-1 if c.after is None else new.number[c.after] for c in changes],
            "details": [list(change.details) for change in changes],
        },
        "matches": {"before": [one for one, _ in pairs], "after": [other for _, other in pairs]},
        "notes": list(comparison.notes),
    }


def _program(exhibit: Exhibit) -> tuple[dict[str, Any], GraphColumns]:
    texts = Texts()
    frames = Frames(texts)
    graph = exhibit.graph
    writers = {graph.name: GraphColumns(graph, texts, frames, exhibit.output_names)}
    functions = {
        name: GraphColumns(function, texts, frames) for name, function in graph.functions.items()
    }
    main = writers[graph.name]
    graphs = [main.columns()]
    for name, writer in functions.items():
        graphs.append({**writer.columns(), "name": name})
    remarks = [_remark(remark, main, frames) for remark in exhibit.remarks]
    content = {
        "format": FORMAT,
        "title": graph.name,
        "subtitle": exhibit.subtitle,
        "graphs": graphs,
        "remarks": remarks,
        "measures": [_measure(measure, main) for measure in exhibit.measures],
        "stateNotes": dict(exhibit.state_notes),
        "families": [family.value for family in Family],
        "palettes": {theme.value: _colours(PALETTES[theme]) for theme in (Theme.LIGHT, Theme.DARK)},
        "frames": frames.columns(),
        "sources": frames.sources() if exhibit.with_sources else {},
        "texts": texts.listed(),
    }
    return content, main


def _remark(remark: Remark, main: GraphColumns, frames: Frames) -> dict[str, Any]:
    return {
        "kind": remark.kind,
        "title": remark.title,
        "hint": remark.hint,
        "frame": frames.place(remark.source),
        "nodes": [main.number[node] for node in remark.nodes if node in main.number],
    }


def _measure(measure: Measure, main: GraphColumns) -> dict[str, Any]:
    known = [(main.number[node], n) for node, n in measure.numbers.items() if node in main.number]
    return {
        "name": measure.name,
        "unit": measure.unit,
        "isAdditive": measure.is_additive,
        "nodes": [number for number, _ in known],
        "numbers": [number for _, number in known],
    }


def _colours(palette: Palette) -> dict[str, Any]:
    return {
        "families": [
            [palette.families[family].fill, palette.families[family].border] for family in Family
        ],
        "ends": [palette.ends.fill, palette.ends.border],
        "scope": [palette.scope.fill, palette.scope.border],
        "frames": list(palette.frames),
        "frame": palette.frame,
        "page": palette.page,
        "text": palette.text,
        "faint": palette.faint,
        "line": palette.line,
        "skip": palette.skip,
        "write": palette.write,
    }
