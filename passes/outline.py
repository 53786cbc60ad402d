"""Outlining: scopes become functions of the graph, and those that do the same become one."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from ..ir import CALL, Frame, FunctionRef, Graph, Node, Scope, ScopeKind, Value
from ..ir.collector import paused_collector
from ..ir.composites import Composites, noted_composites
from ..ir.own_operators import CALL_FUNCTION, SET_NUMBER
from ..ir.search import matches_scope
from .base import Pass, PassResult
from .transplant import Transplant

_FEWEST_NODES = 2
_NUMBER = re.compile(r"(?:\.[0-9]+)+\Z")


@dataclass(frozen=True, slots=True)
class Outline(Pass):
    """Make a function of each scope that ``scopes`` names, the outermost ones, and call it there.

    Given:   %a : f32[2] = aten::neg(%x)        # net.py:4:8 layers.0
             %b : f32[2] = aten::exp(%a)        # net.py:5:8 layers.0
             %c : f32[2] = aten::neg(%b)        # net.py:4:8 layers.1
             %d : f32[2] = aten::exp(%c)        # net.py:5:8 layers.1
    Result:  %b : f32[2] = prim::call(@layers.0, %x)
             %d : f32[2] = prim::call(@layers.0, %b)
             function layers.0(%0 : f32[2]):
               %a : f32[2] = aten::neg(%0)      # net.py:4:8
               %1 : f32[2] = aten::exp(%a)      # net.py:5:8
               return (%1)

    Scopes that compute the same on values of the same types, from the same lines, are one function. State
    that a scope reads is passed to it. ``inline`` is the way back: the text is what it was.

    Keeps the order of nodes. What of a scope does not stand in one piece, such as sizes that are read at
    the start of the graph, stays outside. Sound for any graph that verifies. Cost: O(nodes + size of what
    becomes functions).

    Attributes:
        scopes: a shell pattern for paths or addresses of scopes: ``layers.*``.
    """

    name: ClassVar[str] = "outline"

    scopes: str = "*"

    @paused_collector()
    def run(self, graph: Graph) -> PassResult:
        """Outline the scopes of a graph's top block."""
        before = len(graph.functions)
        stretches = _stretches(graph, self.scopes)
        outliner = _Outliner(graph)
        for scope, nodes in stretches.items():
            outliner.outline(scope, nodes)
        graph.composites = outliner.left()
        return PassResult.of(calls=len(stretches), functions=len(graph.functions) - before)


def _stretches(graph: Graph, pattern: str) -> dict[Scope, list[Node]]:
    """Return, for the outermost scopes that match, the longest piece of nodes that stand there in a row."""
    outermost: dict[Scope, Scope | None] = {}
    longest: dict[Scope, list[Node]] = {}
    sizes = _Sizes(graph)
    most: dict[Scope, int] = {}
    last: Scope | None = None
    piece: list[Node] = []
    size = 0
    for node in graph.block:
        scope = node.scope
        if scope not in outermost:
            chain = scope.chain()[1:]
            outermost[scope] = next((s for s in chain if matches_scope(pattern, s)), None)
        found = outermost[scope]
        if found is None or found is not last:
            piece, size = [], 0
        last = found
        piece.append(node)
        size += sizes.of(node)
        if found is not None and size > most.get(found, 0):
            longest[found], most[found] = piece, size
    return {scope: nodes for scope, nodes in longest.items() if _can_be_function(scope, nodes)}


class _Sizes:
    """How many nodes stand for each: for a call, as many as its function has, so that it counts as before."""

    def __init__(self, graph: Graph) -> None:
        self._functions = graph.functions
        self._known: dict[str, int] = {}

    def of(self, node: Node) -> int:
        reference = node.all_args[0] if node.kind == CALL else None
        if not isinstance(reference, FunctionRef):
            return 1
        if reference.name not in self._known:
            self._known[reference.name] = 1  # for one that calls itself
            function = self._functions[reference.name]
            self._known[reference.name] = max(sum(map(self.of, function.block)), 1)
        return self._known[reference.name]


def _can_be_function(scope: Scope, nodes: Sequence[Node]) -> bool:
    """Whether nodes are worth a function, and may stand in one: it keeps no numbers, and is one scope."""
    return len(nodes) >= _FEWEST_NODES and all(
        node.operator is not SET_NUMBER and scope in node.scope.chain()
        for node in _with_inner(nodes)
    )


class _Outliner:
    """Makes functions of one graph, each once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made: dict[Hashable, str] = {}
        self._relative: dict[tuple[Frame, Frame | None], Frame] = {}
        self._noted = noted_composites(graph)
        self._became: dict[Value, Value] = {}  # what is read now for results of nodes that are gone
        self._stack_key = cache(_stack_key)

    def left(self) -> Composites:
        """Return what the scopes of operators stand for that were not outlined."""
        if not self._noted:
            return {}
        return {
            scope: composite.with_values(self._became)
            for scope, composite in self._noted.items()
            if composite.nodes[0].block is not None
        }

    def outline(self, scope: Scope, nodes: Sequence[Node]) -> None:
        """Replace a stretch of nodes, all in ``scope``, by a call."""
        above = _common_stack(nodes)
        reads, returns = _read_outside(nodes), _read_by_others(nodes)
        function = self._function(scope, nodes, above, reads, returns)
        name = self._name_of(function, scope)
        with self._graph.inserting(nodes[0]):
            call = self._graph.append(
                CALL_FUNCTION,
                (FunctionRef(name), *reads),
                [value.type for value in returns],
                scope=scope,
                stack=above,
            )
        for value, result in zip(returns, call.outputs, strict=True):
            result.name = value.name
            self._became[value] = result
            value.replace_all_uses_with(result)
        for node in reversed(nodes):
            node.erase()

    def _function(
        self,
        scope: Scope,
        nodes: Sequence[Node],
        above: Frame | None,
        reads: Iterable[Value],
        returns: Iterable[Value],
    ) -> Graph:
        function = Graph("", self._graph.modes)

        @cache
        def below(inner: Scope) -> Scope:
            if inner is scope:
                return function.root_scope
            assert inner.parent is not None, "it stands in the scope that becomes a function"
            parent = below(inner.parent)
            return Scope(parent, inner.kind, inner.name, inner.class_name, inner.call)

        transplant = Transplant(
            function,
            {value: function.add_input(value.type, _input_name(value, scope)) for value in reads},
            scope=below,
            stack=cache(lambda stack: None if stack is None else self._without(stack, above)),
            modes=lambda modes: modes,
        )
        transplant.copy(nodes)
        copied = set(nodes)
        transplant.note(
            {
                inner: composite.with_values(self._became)
                for inner, composite in self._noted.items()
                if inner is not scope and copied.issuperset(composite.nodes)
            }
        )
        function.set_outputs(transplant.results(returns))
        for node in function.walk():
            for value in node.outputs:
                if value.name is not None:  # numbered in a graph that was read from text
                    value.name = _NUMBER.sub("", value.name)
        for value in function.outputs:
            value.name = None  # each caller has a name for what it gets
        return function

    def _without(self, stack: Frame, above: Frame | None) -> Frame:
        """Return a stack without the frames of ``above``, its outermost."""
        key = (stack, above)
        found = self._relative.get(key)
        if found is None:
            caller = stack.caller
            inner = None if caller is None or caller is above else self._without(caller, above)
            found = self._relative[key] = stack.called_by(inner)
        return found

    def _name_of(self, function: Graph, scope: Scope) -> str:
        """Return the name under which the graph has a function, added if there is none like it."""
        key = (str(function), tuple([self._stack_key(node.stack) for node in function.walk()]))
        name = self._made.get(key)
        if name is None:
            wanted = scope.class_name if scope.kind is ScopeKind.MODULE else scope.name
            name, suffix = wanted or scope.name, 0
            while name in self._graph.functions:
                suffix += 1
                name = f"{wanted or scope.name}.{suffix}"
            self._made[key] = name
            self._graph.functions[name] = function
            function.name = name
        return name


def _common_stack(nodes: Sequence[Node]) -> Frame | None:
    """Return the longest stack that is above a frame of every node's."""
    chains = [[] if node.stack is None else list(node.stack)[:0:-1] for node in nodes]
    common: Frame | None = None
    for frames in zip(*chains, strict=False):
        if any(frame is not frames[0] for frame in frames):
            break
        common = frames[0]
    return common


def _read_outside(nodes: Sequence[Node]) -> list[Value]:
    """Return the values that nodes read and do not make, in order of first use."""
    made: set[Value] = set()
    read: dict[Value, None] = {}
    for node in _with_inner(nodes):
        made.update(node.outputs)
        for block in node.blocks:
            made.update(block.inputs)
            read.update(dict.fromkeys(block.outputs))
        read.update(dict.fromkeys(node.inputs))
    return [value for value in read if value not in made]


def _read_by_others(nodes: Sequence[Node]) -> list[Value]:
    """Return the results of nodes that anything else reads."""
    inside = set(_with_inner(nodes))
    blocks = {block for node in inside for block in node.blocks}
    return [
        value
        for node in nodes
        for value in node.outputs
        if any(user not in inside and user not in blocks for user in value.users)
    ]


def _with_inner(nodes: Iterable[Node]) -> Iterable[Node]:
    for node in nodes:
        yield node
        for block in node.blocks:
            yield from block.walk()


def _input_name(value: Value, scope: Scope) -> str | None:
    """Return what a function calls a value it is given: state by its name as seen from the scope."""
    if value.state is None:
        return None
    return value.state.name.removeprefix(f"{scope.path}.")


def _stack_key(stack: Frame | None) -> Hashable:
    if stack is None:
        return None
    # Code objects live as long as the frames that hold them, and take long to compare.
    return tuple(
        [
            (frame.range if frame.code is None else id(frame.code), frame.instruction)
            for frame in stack
        ]
    )
