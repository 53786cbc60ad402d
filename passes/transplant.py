"""Copying nodes from one graph into another, or to another place of the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from ..ir import Argument, Block, Frame, Graph, Modes, Node, Scope, Value
from ..ir.arguments import values_in
from ..ir.composites import Composites


@dataclass(frozen=True, slots=True)
class Transplant:
    """Appends copies of nodes where a graph inserts nodes.

    Attributes:
        graph: the graph that they go into.
        values: what stands there for the values that they read; results are added to it.
        scope: gives the scope that stands there for one of theirs; it is asked for each node, so it had
            better remember.
        stack: likewise.
        modes: gives the modes that stand there for theirs, and is asked only where they change.
        nodes: what stands there for each node that was copied.
    """

    graph: Graph
    values: dict[Value, Argument]
    scope: Callable[[Scope], Scope]
    stack: Callable[[Frame | None], Frame | None]
    modes: Callable[[Modes], Modes]
    nodes: dict[Node, Node] = field(default_factory=dict)

    def copy(self, nodes: Iterable[Node]) -> None:
        """Append copies of nodes, in their order, with their blocks and the names of their results."""
        graph, values = self.graph, self.values
        before = after = None
        for node in nodes:
            if node.modes is not before:
                before, after = node.modes, self.modes(node.modes)
            args, results = node.all_args, node.outputs
            twin = graph.append(
                node.operator,
                tuple([values[a] if a.__class__ is Value else self._argument(a) for a in args]),
                [value.type for value in results],
                keywords=node.keywords,
                groups=node.groups if node.gives_lists else None,
                scope=self.scope(node.scope),
                stack=self.stack(node.stack),
                modes=after,
            )
            self.nodes[node] = twin
            for value, copy in zip(results, twin.outputs, strict=True):
                copy.name = value.name
                values[value] = copy
            for inner in node.blocks:
                self._copy_block(inner, twin.add_block())

    def results(self, values: Iterable[Value]) -> Iterator[Value]:
        """Yield what stands for values that a block or graph returns."""
        for value in values:
            copy = self.values[value]
            assert isinstance(copy, Value), "what is returned is a value in its new place as well"
            yield copy

    def note(self, composites: Composites) -> None:
        """Note what scopes stand for whose nodes were copied, where all that the call reads was as well."""
        for scope, composite in composites.items():
            if all(value in self.values for value in values_in(composite.args)):
                self.graph.composites[self.scope(scope)] = replace(
                    composite.on(self.values, self.nodes),
                    stack=self.stack(composite.stack),
                    modes=self.modes(composite.modes),
                )

    def _copy_block(self, block: Block, into: Block) -> None:
        for value in block.inputs:
            self.values[value] = into.add_input(value.type, value.name)
        with self.graph.inserting(into):
            self.copy(block)
        into.set_outputs(self.results(block.outputs))

    def _argument(self, arg: Argument) -> Argument:
        if isinstance(arg, Value):
            return self.values[arg]
        if isinstance(arg, tuple):
            return tuple([self._argument(item) for item in arg])
        return arg
