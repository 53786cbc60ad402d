"""Values that are found to be plain numbers, and what becomes of the nodes that read them."""

from __future__ import annotations

from ..ir import Argument, Effect, Graph, Literal, Node, Value
from ..ir.own_operators import LITERAL
from .scalar_evaluation import is_same_number


class KnownLiterals:
    """The values of one graph that are the same plain value at every run, found in the order of nodes.

    Attributes:
        values: what each of them is.
        found: the nodes that compute these, and others that are to go with them, in order.
        arguments: how many arguments became literals.
        guards: how many guards went.
        computed: how many nodes went.
    """

    def __init__(self, graph: Graph) -> None:
        self.values: dict[Value, Literal] = {}
        self.found: dict[Node, None] = {}
        self.arguments = 0
        self.guards = 0
        self.computed = 0
        self._graph = graph

    def fill_in(self, node: Node) -> None:
        """Make a node read literals where it reads values that are known."""
        values = self.values
        if not values or values.keys().isdisjoint(node.inputs) or not takes_literals(node):
            return
        self.arguments += sum([value in values for value in node.inputs])
        node.replace_inputs({value: values[value] for value in node.inputs if value in values})

    def check(self, guard: Node) -> bool:
        """Erase a guard that holds at every run; say whether it did.

        One that never does stays as it is, with what it is about.
        """
        actual, expected = guard.all_args
        found: Argument = actual
        if isinstance(actual, Value):
            if actual not in self.values:
                return False
            found = self.values[actual]
        if is_same_number(found, expected):
            guard.erase()
            self.guards += 1
            return True
        if isinstance(actual, Value) and actual.node is not None:
            self.found.pop(actual.node, None)
        return False

    def remove_found(self) -> None:
        """Erase the nodes whose results are known; put a literal where something must read a value."""
        for node in reversed(self.found):
            is_read = any([value.is_used for value in node.outputs])
            if is_read and node.operator is LITERAL:
                continue
            if is_read:
                self._stand_in(node)
            node.erase()
            self.computed += 1

    def _stand_in(self, node: Node) -> None:
        with self._graph.inserting(node):
            for value in node.outputs:
                if value.is_used:
                    literal = self._graph.append(
                        LITERAL,
                        (self.values[value],),
                        (value.type,),
                        scope=node.scope,
                        stack=node.stack,
                        modes=node.modes,
                    ).output
                    literal.name = value.name
                    value.replace_all_uses_with(literal)


def takes_literals(node: Node) -> bool:
    """Whether a node may be given a literal for a value: what calls something wants values to hand on."""
    return not node.blocks and Effect.UNKNOWN not in node.operator.effects
