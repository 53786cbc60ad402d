"""Programs as JSON for Model Explorer: scopes are layers, blocks and functions are graphs to step into.

Note [What Model Explorer takes]
    All attributes are strings, or lists of nodes to jump to. Nodes have names that are unique in their
    graph, and stand in the layer that ``namespace`` leads to; an edge from an unknown node is left out
    without a word. A fill would stay light where the viewer is dark and its text white, so families of
    operators have borders of their colours alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from ..ir import (
    FunctionRef,
    Graph,
    Node,
    StateEntry,
    StateKind,
    TensorType,
    Type,
    Value,
)
from ..ir.collector import paused_collector
from ..ir.printer import value_text
from ..visualize.clutter import size_arithmetic
from ..visualize.config import configuration
from ..visualize.endings import readable
from ..visualize.families import family_of
from ..visualize.labels import elements, operator_title
from ..visualize.options import Theme
from ..visualize.scene import BoxKind
from ..visualize.themes import PALETTES, Tint
from ..visualize.wording import human
from .arguments import argument_text, named_arguments, operand_names
from .layout import Layout, lay_out
from .levels import Level, all_levels
from .parts import Part, Program, captured, take_apart

_Json: TypeAlias = dict[str, Any]

_PALETTE: Final = PALETTES[Theme.LIGHT]
_MOST_LINKS: Final = 50  # to nodes, in one attribute
_NOTE: Final = (
    "state is among the arguments of what reads it; a stub (▸) stands for a value from afar"
)


def to_model_explorer(graph: Graph, output_names: Sequence[str] = ()) -> str:
    """Return a graph, its blocks and its functions as JSON for Model Explorer. O(size x nesting).

    Nodes are called ``node0``, ``input0`` and ``output0`` as in every export.

    Args:
        graph: what to show.
        output_names: where each output stands in what was returned, as Python writes the way there.
    """
    with paused_collector():
        program = take_apart(graph)
        inner = captured(program)
        graphs = []
        sizes: dict[Node, None] = {}
        for part in program.parts:
            if part.block.owner is None:
                sizes = size_arithmetic(part.graph)
            names = list(map(readable, output_names)) if part.block is graph.block else []
            graphs.append(_PartWriter(program, part, inner, sizes, names).text())
        label = json.dumps(graph.name or "graph")
        return f'{{"label": {label}, "graphs": [\n' + ",\n".join(graphs) + "]}\n"


class _PartWriter:
    """Writes one part as a graph of Model Explorer."""

    def __init__(
        self,
        program: Program,
        part: Part,
        inner: Mapping[Node, dict[Value, None]],
        sizes: dict[Node, None],
        output_names: Sequence[str],
    ) -> None:
        self._program = program
        self._part = part
        self._inner = inner
        self._output_names = output_names
        self._operands = {node: (*node.inputs, *inner.get(node, ())) for node in part.block}
        self._layout: Layout = lay_out(part, program.ids, self._operands, sizes, output_names)

    def text(self) -> str:
        """Return the graph as JSON with a node on each line."""
        block, layout = self._part.block, self._layout
        nodes = [self._input(number, value) for number, value in enumerate(block.inputs)]
        nodes += [self._stub(name) for name in layout.stubs]
        nodes += [self._operator(node) for node in block]
        nodes += [self._output(number, value) for number, value in enumerate(block.outputs)]
        about = {
            "id": self._part.name,
            "groupNodeAttributes": self._levels(),
        }
        lines = ",\n".join(map(json.dumps, nodes))
        return f'{json.dumps(about)[:-1]}, "nodes": [\n{lines}\n]}}'

    def _node(self, name: str, label: str, attributes: list[_Json], tint: Tint) -> _Json:
        layout = self._layout
        return {
            "id": name,
            "label": label,
            "namespace": layout.way_to[layout.level_of[name]],
            "attrs": attributes,
            "incomingEdges": [
                {
                    "sourceNodeId": edge.source,
                    "sourceNodeOutputId": str(edge.result),
                    "targetNodeInputId": str(edge.operand),
                }
                for edge in layout.edges.get(name, ())
            ],
            "style": {"borderColor": tint.border},
        }

    def _input(self, number: int, value: Value) -> _Json:
        name = f"input{number}"
        attributes = [_attribute("input", str(number)), *self._far_readers(name)]
        node = self._node(name, self._part.names[value], attributes, _PALETTE.ends)
        return node | {"outputsMetadata": [self._result(0, value)]}

    def _output(self, number: int, value: Value) -> _Json:
        names = self._output_names
        label = names[number] if number < len(names) else value.name or f"output {number}"
        attributes = [
            _attribute("output", str(number)),
            _attribute("returns", value_text(self._part.names[value])),
        ]
        return self._node(f"output{number}", label, attributes, _PALETTE.ends)

    def _stub(self, name: str) -> _Json:
        stub = self._layout.stubs[name]
        maker = (
            _links("stands for", [stub.maker])
            if stub.maker
            else _attribute("stands for", f"{self._part.names[stub.value]}, from around this block")
        )
        node = self._node(name, f"{self._value_label(stub.value)} ▸", [maker], _PALETTE.ends)
        return node | {"outputsMetadata": [self._result(0, stub.value)]}

    def _value_label(self, value: Value) -> str:
        """Return what to call a value: its name, or else what makes it."""
        if value.name or value.node is None:
            return self._part.names[value]
        return operator_title(value.node)

    def _operator(self, node: Node) -> _Json:
        program, name = self._program, self._program.ids[node]
        arguments = named_arguments(node, program.functions, program.input_names)
        attributes = [
            *self._facts(node),
            *(_attribute(key, argument_text(arg, self._part.names)) for key, arg in arguments),
            *self._far_readers(name),
        ]
        numbers = self._layout.numbers.get(name)
        if numbers:
            attributes.append(_links("numbers from", list(dict.fromkeys(numbers))))
        tint = _PALETTE.tint(BoxKind.OPERATOR, family_of(node.operator))
        operands = [
            *operand_names(arguments),
            *("read in a block" for _ in self._inner.get(node, ())),
        ]
        written = self._node(name, _label(node), attributes, tint) | {
            "inputsMetadata": [
                {"id": str(at), "attrs": [_attribute("__tensor_tag", operand)]}
                for at, operand in enumerate(operands)
            ],
            "outputsMetadata": [self._result(at, value) for at, value in enumerate(node.outputs)],
        }
        entered = [
            *map(program.function, _callees(node)),
            *(program.part_of[block] for block in node.blocks),
        ]
        if entered:
            written["subgraphIds"] = [part.name for part in entered if part is not None]
        return written

    def _facts(self, node: Node) -> list[_Json]:
        """Return what is known of a node besides its arguments, as far as there is anything to say."""
        source = node.source
        place = "" if source is None else f"{source} in {source.function}".removesuffix(" in ")
        written = [p.name for p in node.operator.parameters if p.is_written]
        facts = {
            "operator": node.kind,
            "in short": "" if _callees(node) else configuration(node),
            "scope": str(node.scope),
            "source": place,
            "writes": ", ".join(written),
            "mode": "" if node.modes == self._part.graph.modes else str(node.modes),
        }
        return [_attribute(key, text) for key, text in facts.items() if text]

    def _far_readers(self, name: str) -> list[_Json]:
        stubs = self._layout.readers.get(name)
        return [_links("read through", stubs[:_MOST_LINKS])] if stubs else []

    def _result(self, number: int, value: Value) -> _Json:
        attributes = [_attribute("__tensor_tag", self._part.names[value])]
        shape = _shape_text(value.type)
        if shape:
            attributes.append(_attribute("tensor_shape", shape))
        if not shape or str(value.type).endswith("}"):
            attributes.append(_attribute("type", str(value.type)))
        return {"id": str(number), "attrs": attributes}

    def _levels(self) -> dict[str, dict[str, str]]:
        """Return what is told of each layer, by the way to it."""
        counts, entries = self._contents()
        told = {}
        for level, way in self._layout.way_to.items():
            scope = level.scope
            facts = {
                "program": self._part.name if level.parent is None else "",
                "class": scope.class_name if scope is not None else "",
                "scope": scope.address if scope is not None else "",
                "parameters": human(elements(entries.get(level, {}))) if entries.get(level) else "",
                "operations": f"{counts.get(level, 0):,}",
                "note": _NOTE if level.parent is None else "",
            }
            told[way] = {key: text for key, text in facts.items() if text}
        return told

    def _contents(self) -> tuple[dict[Level, int], dict[Level, dict[StateEntry, None]]]:
        """Return how many nodes and which parameters are in each level, at any depth."""
        counts: dict[Level, int] = {}
        entries: dict[Level, dict[StateEntry, None]] = {}
        for node in self._part.block:
            level = self._layout.level_of[self._program.ids[node]]
            counts[level] = counts.get(level, 0) + 1
            for value in self._operands[node]:
                if value.state is not None and value.state.kind is StateKind.PARAMETER:
                    entries.setdefault(level, {})[value.state] = None
        for level in reversed(all_levels(self._layout.root)):
            if level.parent is not None:
                counts[level.parent] = counts.get(level.parent, 0) + counts.get(level, 0)
                entries.setdefault(level.parent, {}).update(entries.get(level, {}))
        return counts, entries


def _label(node: Node) -> str:
    """Return what a node is called: the function that it calls, or the operator."""
    return next(iter(_callees(node)), operator_title(node))


def _callees(node: Node) -> list[str]:
    return [arg.name for arg in node.args if isinstance(arg, FunctionRef)]


def _shape_text(type_: Type) -> str:
    """Return the dtype and shape of a tensor, ``float32[1,64]``; empty for what is none."""
    if not isinstance(type_, TensorType):
        return ""
    dtype = "tensor" if type_.dtype is None else type_.dtype.long_name
    shape = "*" if type_.shape is None else ",".join(map(str, type_.shape))
    return f"{dtype}[{shape}]"


def _attribute(key: str, value: str) -> _Json:
    return {"key": key, "value": value}


def _links(key: str, nodes: list[str]) -> _Json:
    return {"key": key, "value": {"type": "node_ids", "nodeIds": nodes}}
