"""What a file holds of a program besides its graph, as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...errors import FormatError
from ..findings import Diagnostic, DiagnosticKind, Severity
from ..graph import Graph
from ..identities import Way
from ..mutation import Mutation
from ..node import Node
from ..structure import Structure, StructureKind
from ..tuples import flat_types
from ..types import TensorType
from ..value import Value
from .fields import fields, flag, item, listed, text, whole, wrong
from .graph_reader import GraphReader
from .graph_writer import GraphWriter
from .objects import ObjectReader, ObjectWriter
from .records import (
    ProgramRecord,
    SavedCircumstance,
    SavedInputs,
    SavedStored,
    no_longer_asked,
)
from .state import StateReader, StateWriter

_KINDS: Final = {kind.value: kind for kind in DiagnosticKind}
_SEVERITIES: Final = {severity.name.lower(): severity for severity in Severity}
_PARAMETER_KINDS: Final = {
    kind.name.lower(): kind
    for kind in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    )
}
_ASKED: Final = ("past", "setting", "fact", "places")
_DEPTHS: Final = ("flat", "deep")
_FIELDS: Final = (
    "inputs", "outputs", "depth", "diagnostics", "lengths", "mutations", "circumstances", "updates",
    "stored", "twins", "private", "obstacles", "state", "absent",
)  # fmt: skip


class ProgramWriter:
    """Writes a program whose graph was written."""

    def __init__(self, graph: GraphWriter) -> None:
        self._graph = graph
        self._objects = ObjectWriter()
        self._state = StateWriter(self._objects, graph.type)

    def write(self, record: ProgramRecord, graph: Graph) -> dict[str, Any]:
        """Return the JSON of a program.

        Raises:
            FormatError: what is known of the program does not fit its graph, which passes have changed.
        """
        require_fit(record, graph)
        structure = self._objects.structure
        made = {
            "inputs": self._inputs(record.inputs),
            "outputs": structure(record.outputs, "result"),
            "depth": record.depth,
            "diagnostics": list(map(self._diagnostic, record.diagnostics)),
            "lengths": self._nodes(record.lengths),
            "mutations": [[m.output, m.name, m.input, m.state, m.is_tracked] for m in record.mutations],
            "circumstances": list(map(self._circumstance, record.circumstances)),
            "updates": [[name, structure(part, name)] for name, part in record.updates.items()],
            "stored": list(map(self._stored, record.stored)),
            "twins": [
                [self._way(way), sorted(map(self._way, others), key=repr)]
                for way, others in record.twins.items()
            ],
            "private": list(record.private),
            "obstacles": list(record.obstacles),
            "state": None if record.state is None else self._state.write(record.state),
        }  # fmt: skip
        return {**made, "absent": self._objects.absent}

    def _inputs(self, inputs: SavedInputs) -> dict[str, Any]:
        return {
            "parameters": None
            if inputs.signature is None
            else list(map(self._parameter, inputs.signature.parameters.values())),
            "positional": inputs.positional,
            "by_name": list(inputs.by_name),
            "structure": self._objects.structure(inputs.structure, "inputs"),
            "names": list(inputs.names),
            "types": list(map(self._graph.type, inputs.types)),
            "dimensions": [[[d, name] for d, name in each.items()] for each in inputs.dimensions],
            "same_as": list(inputs.same_as),
            "state": [None if own is None else list(own) for own in inputs.state],
            "exact": inputs.is_exact,
        }

    def _parameter(self, parameter: inspect.Parameter) -> list[Any]:
        row: list[Any] = [parameter.name, parameter.kind.name.lower()]
        if parameter.default is not inspect.Parameter.empty:
            row.append(self._objects.write(parameter.default, f"inputs.{parameter.name}"))
        return row

    def _diagnostic(self, found: Diagnostic) -> dict[str, Any]:
        return {
            "kind": found.kind.value,
            "message": found.message,
            "source": self._graph.origins.place(found.source),
            "scope": found.scope,
            "severity": found.severity.name.lower(),
            "value": found.value,
            "nodes": self._nodes(found.nodes),
            "hint": found.hint,
            "count": found.count,
        }

    def _nodes(self, nodes: tuple[Node, ...]) -> list[Any]:
        """Return the numbers of nodes, without those that passes have taken out of the graph."""
        known = self._graph.nodes
        return [list(known[node]) for node in nodes if node in known]

    def _circumstance(self, each: SavedCircumstance) -> dict[str, Any]:
        return {
            "text": each.text,
            "source": self._graph.origins.place(each.source),
            "advice": each.advice,
            "asked": each.asked,
            "details": self._state.details(each),
        }

    def _stored(self, each: SavedStored) -> list[Any]:
        structure = None
        if each.structure is not None:
            structure = self._objects.structure(each.structure, each.name)
        return [each.name, each.place, structure, each.is_whole]

    def _way(self, way: Way) -> Any:
        return self._objects.write(way, "a way")


class ProgramReader:
    """Reads a program whose graph was read."""

    def __init__(self, graph: GraphReader) -> None:
        self._graph = graph

    def read(self, content: Any) -> ProgramRecord:
        """Return what the JSON of a program says.

        Raises:
            FormatError: it is no program, or none of this graph.
        """
        parts = fields(content, "program", _FIELDS)
        states = StateReader(self._graph.types, parts["state"], parts["absent"])
        objects = states.objects
        state = states.read()
        updates = [listed(pair, "updates", 2) for pair in listed(parts["updates"], "updates")]
        if parts["depth"] not in _DEPTHS:
            raise wrong("depth", " or ".join(_DEPTHS), parts["depth"])
        record = ProgramRecord(
            inputs=self._inputs(parts["inputs"], objects),
            outputs=objects.structure(parts["outputs"], "outputs"),
            depth=parts["depth"],
            diagnostics=tuple(map(self._diagnostic, listed(parts["diagnostics"], "diagnostics"))),
            lengths=self._nodes(parts["lengths"], "lengths"),
            mutations=tuple(map(self._mutation, listed(parts["mutations"], "mutations"))),
            circumstances=tuple(
                [
                    self._circumstance(each, states)
                    for each in listed(parts["circumstances"], "circumstances")
                ]
            ),
            updates={
                text(name, "updates"): objects.structure(part, "updates") for name, part in updates
            },
            stored=tuple([_stored(each, states) for each in listed(parts["stored"], "stored")]),
            twins=_twins(parts["twins"], objects),
            private=_texts(parts["private"], "private"),
            obstacles=tuple(
                [text(o, "obstacles") for o in listed(parts["obstacles"], "obstacles")]
            ),
            state=state,
            absent=tuple(objects.absent),
        )
        require_fit(record, self._graph.graph)
        return record

    def _inputs(self, value: Any, objects: ObjectReader) -> SavedInputs:
        names = ("parameters", "positional", "by_name", "structure", "names", "types", "dimensions",
                 "same_as", "state", "exact")  # fmt: skip
        parts = fields(value, "inputs", names)
        count = _parts(self._graph.graph.inputs)

        def per_input(name: str) -> list[Any]:
            return listed(parts[name], f"inputs.{name}", count)

        types = [item(n, self._graph.types, "inputs.types", "types") for n in per_input("types")]
        if not all(isinstance(type_, TensorType) for type_ in types):
            raise FormatError("inputs.types has a type that is none of a tensor")
        return SavedInputs(
            signature=_signature(parts["parameters"], objects),
            positional=whole(parts["positional"], "inputs.positional"),
            by_name=_texts(parts["by_name"], "inputs.by_name"),
            structure=objects.structure(parts["structure"], "inputs"),
            names=_texts(per_input("names"), "inputs.names"),
            types=tuple([type_ for type_ in types if isinstance(type_, TensorType)]),
            dimensions=tuple(map(_dimensions, per_input("dimensions"))),
            same_as=tuple(
                [
                    None if n is None else whole(n, "inputs.same_as", 0, count - 1)
                    for n in per_input("same_as")
                ]
            ),
            state=tuple([_own(each, objects) for each in per_input("state")]),
            is_exact=flag(parts["exact"], "inputs.exact"),
        )

    def _diagnostic(self, value: Any) -> Diagnostic:
        names = (
            "kind",
            "message",
            "source",
            "scope",
            "severity",
            "value",
            "nodes",
            "hint",
            "count",
        )
        parts = fields(value, "diagnostics", names)
        if parts["kind"].__class__ is not str or parts["kind"] not in _KINDS:
            raise wrong("diagnostics.kind", "a kind of diagnostics", parts["kind"])
        if parts["severity"].__class__ is not str or parts["severity"] not in _SEVERITIES:
            raise wrong(
                "diagnostics.severity", "one of " + ", ".join(_SEVERITIES), parts["severity"]
            )
        return Diagnostic(
            _KINDS[parts["kind"]],
            text(parts["message"], "diagnostics.message"),
            self._range(parts["source"], "diagnostics.source"),
            text(parts["scope"], "diagnostics.scope"),
            _SEVERITIES[parts["severity"]],
            text(parts["value"], "diagnostics.value"),
            self._nodes(parts["nodes"], "diagnostics.nodes"),
            text(parts["hint"], "diagnostics.hint"),
            whole(parts["count"], "diagnostics.count"),
        )

    def _range(self, value: Any, where: str) -> Any:
        return None if value == -1 else item(value, self._graph.origins.ranges, where, "ranges")

    def _nodes(self, value: Any, where: str) -> tuple[Node, ...]:
        found = []
        for pair in listed(value, where):
            graph, number = listed(pair, where, 2)
            nodes = item(graph, self._graph.nodes, where, "graphs")
            found.append(item(number, nodes, where, "nodes"))
        return tuple(found)

    def _mutation(self, row: Any) -> Mutation:
        output, name, input_, state, is_tracked = listed(row, "mutations", 5)
        graph = self._graph.graph
        if (input_ is None) == (state is None) or (state is not None and state not in graph.state):
            raise FormatError("mutations has one of neither an input nor of state")
        return Mutation(
            whole(output, "mutations", 0, len(graph.outputs) - 1),
            text(name, "mutations"),
            None if input_ is None else whole(input_, "mutations", 0, len(graph.inputs) - 1),
            state,
            flag(is_tracked, "mutations"),
        )

    def _circumstance(self, value: Any, states: StateReader) -> SavedCircumstance:
        parts = fields(value, "circumstances", ("text", "source", "advice", "asked", "details"))
        asked = parts["asked"]
        if asked not in _ASKED:
            raise wrong("circumstances.asked", "one of " + ", ".join(_ASKED), asked)
        return SavedCircumstance(
            text(parts["text"], "circumstances.text"),
            self._range(parts["source"], "circumstances.source"),
            no_longer_asked,
            asked=asked,
            details=states.details(asked, parts["details"]),
            advice=text(parts["advice"], "circumstances.advice"),
        )


def _signature(value: Any, objects: ObjectReader) -> inspect.Signature | None:
    if value is None:
        return None
    parameters = []
    for row in listed(value, "inputs.parameters"):
        if row.__class__ is not list or len(row) not in (2, 3):
            raise wrong("inputs.parameters", "lists of 2 or 3", row)
        name, kind, *default = row
        if kind.__class__ is not str or kind not in _PARAMETER_KINDS:
            raise wrong("inputs.parameters", "kinds of parameters", kind)
        given = (
            objects.read(default[0], "inputs.parameters") if default else inspect.Parameter.empty
        )
        try:
            parameters.append(
                inspect.Parameter(text(name, "inputs"), _PARAMETER_KINDS[kind], default=given)
            )
        except ValueError as error:
            raise FormatError(f"inputs.parameters has one that cannot be: {error}") from error
    try:
        return inspect.Signature(parameters)
    except ValueError as error:
        raise FormatError(f"inputs.parameters cannot be: {error}") from error


def _texts(value: Any, where: str) -> tuple[str, ...]:
    return tuple([text(each, where) for each in listed(value, where)])


def _dimensions(value: Any) -> dict[int, str]:
    where = "inputs.dimensions"
    pairs = [listed(pair, where, 2) for pair in listed(value, where)]
    return {whole(dimension, where): text(name, where) for dimension, name in pairs}


def _own(value: Any, objects: ObjectReader) -> tuple[str, int | None] | None:
    if value is None:
        return None
    name, number = listed(value, "inputs.state", 2)
    if number is not None:
        whole(number, "inputs.state", 0, objects.tensor_count - 1)
    return text(name, "inputs.state"), number


def _stored(row: Any, states: StateReader) -> SavedStored:
    name, place, structure, is_whole = listed(row, "stored", 4)
    if place is not None:
        whole(place, "stored", 0, states.place_count - 1)
    return SavedStored(
        text(name, "stored"),
        place,
        None if structure is None else states.objects.structure(structure, "stored"),
        flag(is_whole, "stored"),
    )


def _twins(value: Any, objects: ObjectReader) -> dict[Way, frozenset[Way]]:
    twins: dict[Way, frozenset[Way]] = {}
    for pair in listed(value, "twins"):
        way, others = listed(pair, "twins", 2)
        twins[_way(way, objects)] = frozenset(
            [_way(other, objects) for other in listed(others, "twins")]
        )
    return twins


def _way(value: Any, objects: ObjectReader) -> Way:
    way = objects.read(value, "twins")
    try:
        hash(way)
    except TypeError as error:
        raise FormatError(f"twins has a way that can be none: {error}") from error
    if not isinstance(way, tuple):
        raise FormatError("twins has a way that is none")
    return way


def _leaves(structure: Structure | None) -> int:
    if structure is None:
        return 0
    return sum(1 for part in structure.walk() if part.kind is StructureKind.LEAF)


def _parts(values: Iterable[Value]) -> int:
    """Return how many values there are, tuples taken apart."""
    return sum(1 for _ in flat_types([value.type for value in values]))


def require_fit(record: ProgramRecord, graph: Graph) -> None:
    """Raise a FormatError where what is said of a program does not fit its graph."""
    inputs = record.inputs
    takes, returns = (_parts(values) for values in (graph.inputs, graph.outputs))
    if _leaves(inputs.structure) != takes:
        raise FormatError("inputs.structure has not as many tensors as the graph has inputs")
    structures: Mapping[str, Structure | None] = {
        "outputs": record.outputs,
        **{f"updates.{name}": part for name, part in record.updates.items()},
        **{f"stored.{number}": each.structure for number, each in enumerate(record.stored)},
    }
    count = sum(map(_leaves, structures.values())) + len(record.mutations)
    if count != returns:
        raise FormatError(
            f"outputs, updates, stored and mutations have {count} parts, and the graph "
            f"{returns} outputs"
        )
    if any(name not in graph.state for name in record.private):
        raise FormatError("private has a name of no state")
    if record.state is not None and list(record.state.objects) != list(graph.state):
        raise FormatError("state has other entries than the graph")
