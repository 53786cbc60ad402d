"""The tree of scopes that nodes stand in, with what each holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...ir import Graph, Node, Scope, StateEntry, StateKind, TensorType
from ...ir.collector import paused_collector


class Branch:
    """A scope with what stands in it: of a graph, or of a function that it calls.

    Attributes:
        scope: the scope; the root for a whole graph.
        graph: the graph or function that it is a scope of.
        function: the function's name; empty for the graph itself.
        parent: the branch around it; None for a whole graph.
        branches: those in it, in the order of their first nodes.
        nodes: the nodes that stand in the scope itself, in order.
        node_count: how many stand in it at any depth.
        parameter_count: elements of the distinct parameters that these read.
    """

    __slots__ = (
        "_parameters", "branches", "function", "graph", "node_count", "nodes", "parameter_count",
        "parent", "scope",
    )  # fmt: skip

    def __init__(self, scope: Scope, graph: Graph, function: str, parent: Branch | None) -> None:
        self.scope = scope
        self.graph = graph
        self.function = function
        self.parent = parent
        self.branches: list[Branch] = []
        self.nodes: list[Node] = []
        self.node_count = 0
        self.parameter_count = 0
        self._parameters: dict[StateEntry, None] | None = None  # until it is summed up
        if parent is not None:
            parent.branches.append(self)

    @property
    def name(self) -> str:
        """What people call it: the graph's name, or the scope's last step as addresses have it."""
        if self.parent is None:
            return self.function or self.graph.name
        around = self.parent.scope.address
        return self.scope.address[len(around) + 1 :] if around else self.scope.address

    @property
    def depth(self) -> int:
        """The number of branches around it."""
        return sum(1 for _ in self.around())

    def around(self) -> Iterator[Branch]:
        """Yield the branches around it, innermost first."""
        branch = self.parent
        while branch is not None:
            yield branch
            branch = branch.parent

    def walk(self, most_depth: int | None = None) -> Iterator[Branch]:
        """Yield it and the branches in it, each before those inside, no deeper than is said."""
        rest = [(self, 0)]
        while rest:
            branch, depth = rest.pop()
            yield branch
            if most_depth is None or depth < most_depth:
                rest += [(inner, depth + 1) for inner in reversed(branch.branches)]

    def operators(self) -> Counter[str]:
        """Return how often each operator stands in it, at any depth. O(nodes)."""
        return Counter(node.operator.name for branch in self.walk() for node in branch.nodes)

    def _take(self, node: Node) -> None:
        self.nodes.append(node)
        for value in node.inputs:
            entry = value.state
            if entry is not None and entry.kind is StateKind.PARAMETER:
                self._read({entry: None})

    def _read(self, parameters: dict[StateEntry, None]) -> None:
        if self._parameters is None:
            self._parameters = parameters.copy()
        else:
            self._parameters.update(parameters)

    def _sum_up(self) -> None:
        """Count what it holds and hand that on; the branches in it have done so."""
        self.node_count += len(self.nodes)
        parameters, self._parameters = self._parameters, None
        if parameters is not None:
            self.parameter_count = sum(map(_size, parameters))
        if self.parent is not None:
            self.parent.node_count += self.node_count
            if parameters is not None:
                self.parent._read(parameters)


class ScopeTree:
    """The branches of a graph and of the functions that it calls.

    Attributes:
        roots: one for the graph, then one per function.

    Args:
        graph: the graph.
        nodes: the nodes that are counted; all of them if left out.
    """

    def __init__(self, graph: Graph, nodes: Iterable[Node] | None = None) -> None:
        self._branches: dict[tuple[Graph, Scope], Branch] = {}
        self.roots: list[Branch] = []
        chosen = None if nodes is None else set(nodes)
        with paused_collector():
            for function, part in (("", graph), *graph.functions.items()):
                self.roots.append(self._grown(part, function, chosen))

    def branch_of(self, node: Node) -> Branch:
        """Return the branch that a node stands in itself."""
        graph = node.graph
        assert graph is not None, "a node of the tree stands in a graph"
        return self._branches[graph, node.scope]

    def walk(self, most_depth: int | None = None) -> Iterator[Branch]:
        """Yield all branches, each before those inside, no deeper than is said."""
        for root in self.roots:
            yield from root.walk(most_depth)

    def _grown(self, graph: Graph, function: str, chosen: set[Node] | None) -> Branch:
        root = Branch(graph.root_scope, graph, function, None)
        branches = {graph.root_scope: root}
        for node in graph.walk():
            if chosen is not None and node not in chosen:
                continue
            branch = branches.get(node.scope)
            if branch is None:
                branch = _branch_for(node.scope, root, branches)
            branch._take(node)
        for branch in reversed([*root.walk()]):
            branch._sum_up()
        self._branches.update({(graph, scope): branch for scope, branch in branches.items()})
        return root


def _branch_for(scope: Scope, root: Branch, branches: dict[Scope, Branch]) -> Branch:
    """Return the branch of a scope, made with those around it where they are new."""
    new = []
    part: Scope | None = scope
    while part is not None and part not in branches and part.parent is not None:
        new.append(part)
        part = part.parent
    branch = root if part is None else branches.get(part, root)
    for part in reversed(new):
        branch = branches[part] = Branch(part, root.graph, root.function, branch)
    branches.setdefault(scope, branch)
    return branch


def _size(entry: StateEntry) -> int:
    type_ = entry.value.type
    return (type_.numel or 0) if isinstance(type_, TensorType) else 0
