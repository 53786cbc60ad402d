"""What is browsed: a graph with what else is known, as the panels ask for it."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir import Graph, Node, Value
from ...ir.conditions import Guard
from ...ir.findings import Diagnostic
from ...ir.names import named_values
from ...ir.printer import Statements
from ..listing import Branch, ScopeTree


class Subject:
    """A graph and the functions that it calls, all nodes numbered one after the other.

    Attributes:
        graph: the graph.
        title: what people call it, such as the name of its file.
        facts: lines on all of it.
        diagnostics: what a trace could not record exactly.
        guards: the conditions that a replay checks.
        tree: the scopes.
        nodes: all nodes in order, those of functions behind those of the graph.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        title: str = "",
        facts: Sequence[str] = (),
        diagnostics: Sequence[Diagnostic] = (),
        guards: Sequence[Guard] = (),
    ) -> None:
        self.graph = graph
        self.title = title or graph.name
        self.facts = tuple(facts)
        self.diagnostics = tuple(diagnostics)
        self.guards = tuple(guards)
        self.tree = ScopeTree(graph)
        self._spans: dict[Graph, range] = {}
        self.nodes: list[Node] = []
        for part in (graph, *graph.functions.values()):
            start = len(self.nodes)
            self.nodes += part.walk()
            self._spans[part] = range(start, len(self.nodes))
        self._places = {node: place for place, node in enumerate(self.nodes)}
        self._statements: dict[Graph, Statements] = {}
        self._names: dict[Graph, dict[Value, str]] = {}
        self._found: dict[Node, list[Diagnostic]] = {}
        for found in self.diagnostics:
            for node in found.nodes:
                self._found.setdefault(node, []).append(found)
        self._guarded: dict[Node, list[Guard]] = {}
        for guard in self.guards:
            for node in _touched_by(guard):
                self._guarded.setdefault(node, []).append(guard)

    def place(self, node: Node) -> int:
        """Return the number of a node, from 0."""
        return self._places[node]

    def nodes_in(self, branch: Branch) -> Sequence[Node]:
        """Return the nodes in a scope, at any depth, in order."""
        if branch.parent is None:
            span = self._spans[branch.graph]
            return self.nodes[span.start : span.stop]
        inside = [node for part in branch.walk() for node in part.nodes]
        inside.sort(key=self._places.__getitem__)
        return inside

    def function(self, name: str) -> Branch | None:
        """Return the branch of a function that the graph calls; None if there is none."""
        return next((root for root in self.tree.roots if root.function == name and name), None)

    def names(self, graph: Graph) -> dict[Value, str]:
        """Return the names of the values of the graph, or of a function."""
        if graph not in self._names:
            self._names[graph] = dict(named_values(graph))
        return self._names[graph]

    def statements(self, node: Node) -> Statements:
        """Return what renders a node and its values as text."""
        graph = node.graph
        assert graph is not None, "a node that is browsed stands in a graph"
        if graph not in self._statements:
            self._statements[graph] = Statements(self.names(graph).items())
        return self._statements[graph]

    def diagnostics_of(self, node: Node) -> list[Diagnostic]:
        """Return the diagnostics that concern a node."""
        return self._found.get(node, [])

    def guards_of(self, node: Node) -> list[Guard]:
        """Return the guards that a node checks, or computes what is checked for."""
        return self._guarded.get(node, [])


def _touched_by(guard: Guard) -> list[Node]:
    """Return the node of a guard, and those that make what it reads."""
    nodes = [guard.node]
    nodes += [value.node for value in guard.node.inputs if value.node is not None]
    return list(dict.fromkeys(nodes))
