"""One graph as columns: flat lists of numbers and of texts by number, quick to read and small when packed.

Note [The columns of a page]
    A list per fact, an entry per branch, node, value, argument or flow. What belongs to a node in varying
    number follows each other in its own columns, and a column ``...Start`` with one entry more than there
    are nodes says where. Values are numbered: inputs of the graph first, then state, then what blocks are
    given, then results in the order of the nodes. Nodes are numbered in the order of the branches: inputs
    first, then operators, then outputs, which count as nodes so that they have boxes and edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ...ir import (
    DEFAULT_MODES,
    Argument,
    FunctionRef,
    Graph,
    Node,
    ScopeKind,
    TensorType,
    Value,
    literal_text,
    value_names,
)
from ..endings import readable
from ..families import Family, family_of
from ..labels import operator_detail, operator_title
from ..wiring import drawn_sources, is_written, last_writers
from ..wording import type_text, usual_dtype
from .forest import Branch, Forest, grow
from .tables import Frames, Texts

_FAMILIES: Final = {family: number for number, family in enumerate(Family)}
_MANY_ENDS: Final = 12  # inputs or outputs from which on they share a branch
_VALUE: Final = "\x01"  # stands for a value in the text of an argument
_FLAG_WRITES: Final = 16
_FLAG_BLOCKS: Final = 32


class GraphColumns:
    """Writes one graph, or one function of it.

    Args:
        graph: what to write.
        texts: the page's texts.
        frames: the page's frames.
        output_names: where each output stands in what was returned, as Python writes the way there.
    """

    def __init__(
        self, graph: Graph, texts: Texts, frames: Frames, output_names: Sequence[str] = ()
    ) -> None:
        self._graph = graph
        self._text = texts
        self._frames = frames
        self._usual = usual_dtype(graph)
        self._forest: Forest = grow(graph)
        self._names = value_names(graph)
        named = len(output_names) == len(graph.outputs)
        self._output_names = [
            (readable(output_names[i]) if named and output_names[i] else "")
            or (f"output {i}" if len(graph.outputs) > 1 else "output")
            for i in range(len(graph.outputs))
        ]
        first = len(graph.inputs)
        self.number: dict[Node, int] = {
            node: first + number for number, node in enumerate(self._forest.nodes)
        }
        self._entries = list(dict.fromkeys(graph.state.values()))
        self._of_value: dict[Value, int] = {}
        self._producers: list[int] = []
        self._number_values()

    def columns(self) -> dict[str, Any]:
        """Return everything about the graph, ready for JSON."""
        return {
            "name": self._graph.name,
            "inputs": len(self._graph.inputs),
            "outputs": len(self._graph.outputs),
            "branches": self._branches(),
            "nodes": self._nodes(),
            "values": self._value_columns(),
            "state": self._state(),
            "args": self._args(),
            "flows": self._flows(),
        }

    def value_number(self, value: Value) -> int:
        """Return the number of a value."""
        return self._of_value[value]

    def _number_values(self) -> None:
        """Number all values, and note for each which node it comes from; -1 for state."""

        def add(values: Iterable[Value], producer: int) -> None:
            for value in values:
                self._of_value[value] = len(self._of_value)
                self._producers.append(producer)

        for number, value in enumerate(self._graph.inputs):
            add((value,), number)
        add((entry.value for entry in self._entries), -1)
        for node in self._forest.nodes:
            for block in node.blocks:
                add(block.inputs, self.number[node])
        self._first_result = len(self._of_value)
        for node in self._forest.nodes:
            add(node.outputs, self.number[node])

    def _branches(self) -> dict[str, list[int]]:
        branches = [*self._forest.branches]
        items = [self._item_numbers(branch) for branch in branches]
        last = len(self._graph.inputs) + len(self.number)
        first_ends = list(range(len(self._graph.inputs)))
        last_ends = list(range(last, last + len(self._graph.outputs)))
        before = self._gathered_ends(branches, items, "inputs", first_ends)
        after = self._gathered_ends(branches, items, "outputs", last_ends)
        items[0] = [*before, *items[0], *after]
        columns: dict[str, list[int]] = {
            "kind": [self._text(branch.kind) for branch in branches],
            "parent": [branch.parent for branch in branches],
            "title": [self._text(branch.title) for branch in branches],
            "className": [self._text(branch.class_name) for branch in branches],
            "address": [self._text(branch.address) for branch in branches],
            "note": [self._text(branch.note) for branch in branches],
            "call": [branch.call for branch in branches],
            "parameters": [branch.parameters for branch in branches],
            "isChain": [int(branch.is_chain) for branch in branches],
            "isOpen": [int(branch.is_open) for branch in branches],
        }
        columns["itemStart"] = _starts(items)
        columns["items"] = [item for some in items for item in some]
        return columns

    def _item_numbers(self, branch: Branch) -> list[int]:
        return [item if isinstance(item, int) else self.number[item] for item in branch.items]

    def _gathered_ends(
        self, branches: list[Branch], items: list[list[int]], title: str, ends: list[int]
    ) -> list[int]:
        """Return how inputs or outputs stand in the root: in a branch of their own if they are many."""
        if len(ends) <= _MANY_ENDS:
            return ends
        branches.append(Branch("section", 0, f"{len(ends)} {title}"))
        items.append(ends)
        return [~(len(branches) - 1)]

    def _nodes(self) -> dict[str, list[int]]:
        text = self._text
        rows = [*self._input_rows(), *self._node_rows(), *self._output_rows()]
        names = (
            "operator",
            "title",
            "detail",
            "family",
            "scope",
            "scopeClass",
            "phase",
            "frame",
            "flags",
            "modes",
            "callee",
        )
        columns: dict[str, list[int]] = {name: [] for name in names}
        for row in rows:
            for column, entry in zip(columns.values(), row, strict=True):
                column.append(text(entry) if isinstance(entry, str) else entry)
        return columns

    def _input_rows(self) -> Iterator[tuple[str | int, ...]]:
        for value in self._graph.inputs:
            kind = type_text(value.type, self._usual)
            yield ("input", self._names[value], kind, -1, "", "", 0, -1, 0, "", "")

    def _output_rows(self) -> Iterator[tuple[str | int, ...]]:
        for name, value in zip(self._output_names, self._graph.outputs, strict=True):
            kind = type_text(value.type, self._usual)
            yield ("output", name, kind, -1, "", "", 0, -1, 0, "", "")

    def _node_rows(self) -> Iterator[tuple[str | int, ...]]:
        phases: dict[Any, tuple[int, str]] = {}
        words: dict[str, tuple[str, int]] = {}  # of each operator's name: its title and family
        flags = self._forest.flags
        for node in self._forest.nodes:
            scope, kind = node.scope, node.operator.name
            if scope not in phases:
                phases[scope] = _phase(node), scope.address
            if kind not in words:
                words[kind] = operator_title(node), _FAMILIES[family_of(node.operator)]
            callee = next((arg.name for arg in node.args if isinstance(arg, FunctionRef)), "")
            yield (
                node.kind,
                words[kind][0],
                operator_detail(node),
                words[kind][1],
                phases[scope][1],
                scope.class_name,
                phases[scope][0],
                self._frames.number(node.stack),
                flags.get(node, 0)
                | (_FLAG_WRITES if any(p.is_written for p in node.operator.parameters) else 0)
                | (_FLAG_BLOCKS if node.blocks else 0),
                "" if node.modes == DEFAULT_MODES else str(node.modes),
                callee,
            )

    def _value_columns(self) -> dict[str, list[int]]:
        text = self._text
        values = self._of_value
        types = {id(value.type): value.type for value in values}  # many values share one
        whole = {key: text(str(type_)) for key, type_ in types.items()}
        short = {key: text(type_text(type_, self._usual)) for key, type_ in types.items()}
        return {
            "name": [text(self._names[value]) for value in values],
            "type": [whole[id(value.type)] for value in values],
            "shape": [short[id(value.type)] for value in values],
            "producer": self._producers,
            "resultStart": self._result_starts(),
        }

    def _result_starts(self) -> list[int]:
        """Return where the results of each node start among the values; none for inputs and outputs."""
        starts = [self._first_result] * (len(self._graph.inputs) + 1)
        for node in self._forest.nodes:
            starts.append(starts[-1] + len(node.outputs))
        return [*starts, *[starts[-1]] * len(self._graph.outputs)]

    def _state(self) -> dict[str, list[int]]:
        entries = self._entries
        types = [entry.value.type for entry in entries]
        return {
            "names": [self._text("\n".join(entry.names)) for entry in entries],
            "kind": [self._text(entry.kind.value) for entry in entries],
            "elements": [
                (type_.numel or 0) if isinstance(type_, TensorType) else 0 for type_ in types
            ],
        }

    def _args(self) -> dict[str, list[int]]:
        """Return the arguments of each node: name, text with a mark for each value, the values."""
        starts = [0] * (len(self._graph.inputs) + 1)
        names: list[int] = []
        keywords: list[int] = []
        texts: list[int] = []
        value_starts: list[int] = [0]
        values: list[int] = []
        for node in self._forest.nodes:
            for name, arg, is_keyword in _named_arguments(node):
                operands: list[Value] = []
                names.append(self._text(name))
                keywords.append(int(is_keyword))
                texts.append(self._text(_template(arg, operands)))
                values.extend(self._of_value[operand] for operand in operands)
                value_starts.append(len(values))
            starts.append(len(names))
        for value in self._graph.outputs:
            names.append(self._text(""))
            keywords.append(0)
            texts.append(self._text(_VALUE))
            values.append(self._of_value[value])
            value_starts.append(len(values))
            starts.append(len(names))
        return {
            "start": starts,
            "name": names,
            "isKeyword": keywords,
            "text": texts,
            "valueStart": value_starts,
            "values": values,
        }

    def _flows(self) -> dict[str, list[int]]:
        """Return what flows into each node: from which node, which value, and whether it is written.

        ``isOther`` says that it is another origin of what the flow before it brings, as where a node gives
        what one or the other of its blocks gave.
        """
        starts = [0] * (len(self._graph.inputs) + 1)
        sources: list[int] = []
        values: list[int] = []
        written: list[int] = []
        others: list[int] = []
        writers = last_writers(self._graph, self.number.keys())
        for node in self._forest.nodes:
            for operand, read in enumerate(node.inputs):
                if read.state is not None and (node, read) not in writers:
                    continue
                for turn, (source, value) in enumerate(self._origins(node, read, writers)):
                    sources.append(source)
                    values.append(value)
                    written.append(int(is_written(node, operand)))
                    others.append(int(turn > 0))
            starts.append(len(sources))
        for result in self._graph.outputs:
            for turn, (source, value) in enumerate(self._origins(None, result, writers)):
                sources.append(source)
                values.append(value)
                written.append(0)
                others.append(int(turn > 0))
            starts.append(len(sources))
        return {
            "start": starts,
            "source": sources,
            "value": values,
            "isWrite": written,
            "isOther": others,
        }

    def _origins(
        self, reader: Node | None, read: Value, writers: Mapping[tuple[Node, Value], Node]
    ) -> Iterator[tuple[int, int]]:
        writer = None if reader is None else writers.get((reader, read))
        if writer is not None:
            yield self.number[writer], self._of_value[read]
            return
        for value in drawn_sources(read):
            if value.state is None:
                number = self._of_value[value]
                yield self._producers[number], number


def _starts(lists: Sequence[Sequence[int]]) -> list[int]:
    starts = [0]
    for some in lists:
        starts.append(starts[-1] + len(some))
    return starts


def _named_arguments(node: Node) -> Iterator[tuple[str, Argument, bool]]:
    """Yield the name of each argument, what it is, and whether it is passed by that name."""
    parameters = node.operator.parameters
    for position, arg in enumerate(node.args):
        yield (parameters[position].name if position < len(parameters) else ""), arg, False
    for name, arg in node.kwargs.items():
        yield name, arg, True


def _template(arg: Argument, operands: list[Value]) -> str:
    """Return an argument as text with a mark in the place of each value, which are added to a list."""
    if isinstance(arg, Value):
        operands.append(arg)
        return _VALUE
    if isinstance(arg, tuple):
        return f"[{', '.join(_template(item, operands) for item in arg)}]"
    return literal_text(arg).replace(_VALUE, "\ufffd")


def _phase(node: Node) -> int:
    """Return 0 for a node of a forward, 1 for one of a backward, 2 for one of an optimizer's step."""
    if node.scope.is_backward:
        return 1
    kinds = [scope.kind for scope in (node.scope, *node.scope.ancestors())]
    return 2 if ScopeKind.OPTIMIZER in kinds else 0
