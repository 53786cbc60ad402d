"""A composite operator as one node, with what it calls kept beside the graph.

Note [At rest]
    What a folded operator calls is in no graph: it is no user of what it reads, and what it defines is not
    there. Only its results are, lent to the node, so that whoever holds them need not know at which level
    the operator stands. Unfolded, the very same nodes are back and define their results again. What became
    of the arguments of the node meanwhile becomes of what the nodes read.

These classes change the books of nodes and values, whose friend this file is;
see Note [One set of books] in ``value.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .arguments import exchange_all, values_in
from .block import Block
from .composites import Composites
from .graph import Graph
from .node import Node
from .scope import Scope
from .value import Value


class Folded:
    """A composite operator that is one node now.

    Attributes:
        node: stands for it.
        composites: the calls that scopes inside stand for.

    Args:
        node: stands for the operator; its own results are read by nothing.
        inside: a block that stands free, with what the operator calls.
        results: what this gives, in the place of the node's results; None where it gives nothing.
        composites: see above.
    """

    __slots__ = ("_given", "_inside", "_lent", "composites", "node")

    def __init__(
        self,
        node: Node,
        inside: Block,
        results: Sequence[Value | None],
        composites: Composites,
    ) -> None:
        self.node = node
        self.composites = composites
        self._inside = inside
        self._given = node._inputs
        self._lent: list[tuple[Value, Node]] = []
        inside._release()
        own = list(node.outputs)
        for position, result in enumerate(results):
            if result is not None:
                maker = result._definer
                assert isinstance(maker, Node), "what is lent is the result of a node inside"
                self._lent.append((result, maker))
                result._definer = node
                own[position] = result
        node._results = own[0] if len(own) == 1 else tuple(own)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What the operator calls."""
        return tuple(self._inside)

    @property
    def is_unfoldable(self) -> bool:
        """Whether the node is still there, and it is known what is to be read inside. O(nodes).

        The graph must still have what is no argument; and of two arguments that were one, both must be.
        """
        block = self.node._block
        if block is None or not block.is_in_graph:
            return False
        inputs = self.node._inputs
        given = dict(zip(self._given, inputs, strict=True))
        if any(given[old] is not new for old, new in zip(self._given, inputs, strict=True)):
            return False
        inner = {value for value, _ in self._lent}
        for node in _walk(self._inside):
            inner.update(node.outputs)
            for own in node._blocks:
                inner.update(own._inputs)
        return all(
            value in inner or value in given or block.sees(value)
            for reader in _readers(self._inside)
            for value in reader._reads()
        )

    def unfold(self) -> None:
        """Put what the operator calls in the place of its node, if it :attr:`is_unfoldable`. O(nodes).

        Given:   %1 = aten::linear(%x, %w, %b)
        Result:  %0 = aten::t(%w)
                 %1 = aten::addmm(%b, %x, %0)
        """
        node = self.node
        target = node._block
        assert target is not None, "it is unfoldable"
        becomes = {
            old: new for old, new in zip(self._given, node._inputs, strict=True) if old is not new
        }
        noted = self.composites
        if becomes:
            for reader in _readers(self._inside):
                _exchange_reads(reader, becomes)
            noted = {s: c.with_values(becomes) for s, c in self.composites.items()}
        for result, maker in self._lent:
            result._definer = maker
        target.graph.composites.update(noted)
        for inner in self._inside:
            inner.detach()
            target._link(inner, before=node)
            inner._hold()
        node._results = ()
        node.erase()


def fold(graph: Graph, scope: Scope, within: Composites) -> Folded:
    """Make one node of what a scope of a composite operator holds. O(nodes).

    Nothing else may read what is made inside, but for the results. The notes ``within``, those of the scope
    itself and of others inside, go from the graph.

    Given:   %0 = aten::t(%w)
             %1 = aten::addmm(%b, %x, %0)
    Result:  %1 = aten::linear(%x, %w, %b)
    """
    composite = within[scope]
    first = composite.nodes[0]
    inside = Block(graph, None, first._block)
    with graph.inserting(first):
        node = graph.append(
            composite.operator,
            composite.args,
            composite.types,
            keywords=composite.keywords,
            groups=composite.groups,
            scope=scope.parent,
            stack=composite.stack,
            modes=composite.modes,
        )
    for noted in within:
        del graph.composites[noted]
    for inner in composite.nodes:
        inner.detach()
        inside._link(inner, None)
    results = [result if isinstance(result, Value) else None for result in composite.results]
    return Folded(node, inside, results, within)


def _walk(block: Block) -> Iterator[Node]:
    for node in block:
        yield node
        for inner in node._blocks:
            yield from _walk(inner)


def _readers(block: Block) -> Iterator[Node | Block]:
    for node in _walk(block):
        yield node
        yield from node._blocks


def _exchange_reads(reader: Node | Block, becomes: dict[Value, Value]) -> None:
    if isinstance(reader, Node):
        reader._args = exchange_all(reader._args, becomes)
        reader._inputs = values_in(reader._args)
    else:
        reader._outputs = [becomes.get(value, value) for value in reader._outputs]
        reader._places = None
