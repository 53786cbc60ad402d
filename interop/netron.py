"""Programs as the messages that Netron reads: one flat picture, weights inside the nodes that use them.

Note [What Netron draws]
    A file is a message where it begins with its signature. Values stand in a list and are read by their
    number; one that no node makes has no line. So a value that is read far from where it is made, and by
    many, is given to those readers by its name alone, and numbers computed from sizes stand in attributes,
    as text; lines of both would cover the picture. Functions are inlined. Blocks stand in the picture,
    between a node that begins them, where they take anything, and one that ends them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from ..errors import PassError
from ..ir import Argument, Graph, Node, TensorType, Value, value_names
from ..ir.arguments import values_in
from ..ir.collector import paused_collector
from ..passes.inline import Inline
from ..visualize.build import totals
from ..visualize.clutter import size_arithmetic
from ..visualize.endings import readable
from ..visualize.families import Family, bare_name, family_of
from ..visualize.labels import operator_title
from ..visualize.regions import block_name
from .arguments import argument_text, input_names, named_arguments

_Json: TypeAlias = dict[str, Any]

_FEW_READERS: Final = 6
_NEAR: Final = 12  # nodes between the maker of a value and a reader that always gets a line
_CATEGORIES: Final = {
    Family.WEIGHTS: "Layer",
    Family.NORM: "Normalization",
    Family.ACTIVATION: "Activation",
    Family.ATTENTION: "Attention",
    Family.REDUCTION: "Transform",
    Family.SHAPE: "Shape",
    Family.INDEX: "Tensor",
    Family.SOURCE: "Constant",
    Family.CONTROL: "Control",
    Family.COMMUNICATION: "Data",
}
_NAMED_CATEGORIES: Final = (("dropout", "Dropout"), ("pool", "Pool"), ("quantize", "Quantization"))


def to_netron(graph: Graph, output_names: Sequence[str] = ()) -> str:
    """Return a graph as a message for Netron, to be written into a file that ends in ``.netron``. O(size).

    Args:
        graph: what to show.
        output_names: where each output stands in what was returned, as Python writes the way there.
    """
    with paused_collector():
        flat = _inlined(graph)
        message = {
            "format": "opscope",
            "producer": "opscope",
            "description": f"{graph.name}: {totals(graph)}",
        }
        start = f'{{"signature": "netron:opscope", {json.dumps(message)[1:-1]}, "graphs": [\n'
        return f"{start}{_Writer(flat).text(output_names)}\n]}}\n"


def _inlined(graph: Graph) -> Graph:
    """Return the graph with what functions do in the place of calls; as it is where one calls itself."""
    if not graph.functions:
        return graph
    flat = graph.copy()
    try:
        Inline().run(flat)
    except PassError:
        return graph
    return flat


class _Writer:
    """Writes one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._names = value_names(graph)
        self._sizes = size_arithmetic(graph)
        self._inputs = {name: input_names(each) for name, each in graph.functions.items()}
        self._values: list[_Json] = []
        self._numbers: dict[tuple[Value, bool], int] = {}
        self._positions: dict[Value, int] = {}

    def text(self, output_names: Sequence[str]) -> str:
        """Return the graph as JSON with a value or a node on each line."""
        graph = self._graph
        inputs = [self._argument(self._names[value], [value]) for value in graph.inputs]
        nodes = []
        for position, node in enumerate(graph.walk()):
            for block in node.blocks:
                self._positions.update(dict.fromkeys(block.inputs, position))
            self._positions.update(dict.fromkeys(node.outputs, position))
            nodes += self._control(node, position) if node.blocks else [self._node(node, position)]
        named = list(map(readable, output_names)) if len(output_names) == len(graph.outputs) else []
        outputs = [
            self._argument(named[at] if named else self._names[value], [value])
            for at, value in enumerate(graph.outputs)
        ]
        parts = {"values": self._values, "inputs": inputs, "outputs": outputs, "nodes": nodes}
        return "{" + ",\n".join(f'"{key}": [\n{_lines(part)}]' for key, part in parts.items()) + "}"

    def _node(self, node: Node, position: int) -> _Json:
        inputs, attributes = self._reads(node, position)
        return self._written(node, operator_title(node), inputs, self._results(node), attributes)

    def _control(self, node: Node, position: int) -> list[_Json]:
        """Return the nodes that begin and end the blocks of a node."""
        title = operator_title(node)
        inputs, attributes = self._reads(node, position)
        takes = [
            self._argument(block_name(node, at), block.inputs)
            for at, block in enumerate(node.blocks)
            if block.inputs
        ]
        gives = [
            self._argument(block_name(node, at), block.outputs)
            for at, block in enumerate(node.blocks)
            if block.outputs
        ]
        if not takes:
            return [self._written(node, title, [*inputs, *gives], self._results(node), attributes)]
        return [
            self._written(node, title, inputs, takes, attributes),
            self._written(node, f"end of {title}", gives, self._results(node), []),
        ]

    def _written(
        self,
        node: Node,
        title: str,
        inputs: list[_Json],
        outputs: list[_Json],
        attributes: list[_Json],
    ) -> _Json:
        return {
            "name": node.scope.address or (self._names[node.outputs[0]] if node.outputs else ""),
            "type": {"name": title, "category": _category(node)},
            "inputs": inputs,
            "outputs": outputs,
            "attributes": [*attributes, *_facts(node, self._graph)],
        }

    def _reads(self, node: Node, position: int) -> tuple[list[_Json], list[_Json]]:
        """Return the arguments of a node that are lines or weights, and those that are text."""
        inputs, attributes = [], []
        for name, arg in named_arguments(node, self._graph.functions, self._inputs):
            values = values_in((arg,))
            shown = [value for value in values if self._is_shown(value, node)]
            if shown:
                inputs.append(self._argument(name, shown, position))
            if len(shown) < len(values) or not _is_values_only(arg):
                text = argument_text(arg, self._names)
                attributes.append({"name": name, "value": text})
        return inputs, attributes

    def _is_shown(self, value: Value, node: Node) -> bool:
        if value.state is not None:
            return isinstance(value.type, TensorType)
        return value.node not in self._sizes or node in self._sizes

    def _results(self, node: Node) -> list[_Json]:
        count = len(node.outputs)
        names = ["output"] if count == 1 else [f"output {at}" for at in range(count)]
        return [
            self._argument(name, [value]) for name, value in zip(names, node.outputs, strict=True)
        ]

    def _argument(self, name: str, values: Iterable[Value], position: int | None = None) -> _Json:
        return {"name": name, "value": [self._number(value, position) for value in values]}

    def _number(self, value: Value, position: int | None) -> int:
        """Return the number of a value, or of its name alone for a reader far away."""
        is_far = (
            position is not None
            and value.state is None
            and len(value.users) > _FEW_READERS
            and position - self._positions.get(value, 0) > _NEAR
        )
        number = self._numbers.get((value, is_far))
        if number is None:
            number = self._numbers[value, is_far] = len(self._values)
            name = self._names[value] or "(no name)"  # without one, Netron draws no line
            self._values.append(_value(value, f"{name} ▸" if is_far else name))
        return number


def _value(value: Value, name: str) -> _Json:
    type_ = value.type
    if not isinstance(type_, TensorType):
        return {"name": name}
    dtype = "?" if type_.dtype is None else type_.dtype.long_name
    dimensions = ["*"] if type_.shape is None else type_.shape
    shape = [size if isinstance(size, int | str) else size.name for size in dimensions]
    told = {"dataType": dtype, "shape": {"dimensions": shape}}
    return {"name": name} | ({"initializer": {"type": told}} if value.state else {"type": told})


def _category(node: Node) -> str:
    name = bare_name(node.operator)
    for part, category in _NAMED_CATEGORIES:
        if part in name:
            return category
    return _CATEGORIES.get(family_of(node.operator), "")


def _facts(node: Node, graph: Graph) -> list[_Json]:
    """Return what is known of a node besides its arguments, as far as there is anything to say."""
    source = node.source
    place = "" if source is None else f"{source} in {source.function}".removesuffix(" in ")
    facts = {
        "operator": node.kind,
        "module": node.scope.class_name,
        "source": place,
        "writes": ", ".join(p.name for p in node.operator.parameters if p.is_written),
        "mode": "" if node.modes == graph.modes else str(node.modes),
    }
    return [{"name": key, "value": text} for key, text in facts.items() if text]


def _is_values_only(arg: Argument) -> bool:
    """Whether a list, or what stands for one, is all values."""
    if isinstance(arg, tuple):
        return bool(arg) and all(isinstance(item, Value) for item in arg)
    return isinstance(arg, Value)


def _lines(items: list[_Json]) -> str:
    return ",\n".join(map(json.dumps, items)) + "\n" if items else ""
