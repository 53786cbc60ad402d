"""The graph: a program with its inputs, state, block of nodes, outputs, and the functions it calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..errors import IRError
from .arguments import Argument
from .block import Block
from .collector import paused_collector
from .composites import Composites, noted_composites
from .modes import DEFAULT_MODES, Modes
from .node import Node
from .operator import Operator
from .scope import Scope
from .search import find_nodes
from .source import Frame
from .types import Type
from .value import StateEntry, StateKind, Value


class Graph:
    """A program: inputs, state, a block of nodes, outputs, and the graphs it calls.

    Attributes:
        name: the traced class or function.
        block: the top block; ``inputs`` and ``outputs`` are its own.
        functions: graphs that ``prim::call`` nodes name, in the order they were added.
        modes: the modes in force when the program was entered.
        root_scope: the root of the scope tree.
        composites: the calls that scopes of composite operators stand for; see ``ir/composites.py``.
    """

    __slots__ = (
        "_insertion", "_state", "block", "composites", "functions", "modes", "name", "root_scope",
    )  # fmt: skip

    def __init__(
        self, name: str = "graph", modes: Modes = DEFAULT_MODES, root_scope: Scope | None = None
    ) -> None:
        self.name = name
        self.modes = modes
        self.root_scope = Scope.root() if root_scope is None else root_scope
        self.functions: dict[str, Graph] = {}
        self.composites: Composites = {}
        self.block = Block(self, None)
        self._state: dict[str, StateEntry] = {}
        self._insertion: tuple[Block, Node | None] = (self.block, None)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values that come in."""
        return tuple(self.block._inputs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values that go out."""
        return tuple(self.block._outputs)

    @property
    def state(self) -> Mapping[str, StateEntry]:
        """Parameters, buffers and constants by their first name, in order of first use."""
        return self._state

    def add_input(self, type_: Type, name: str | None = None) -> Value:
        """Add an input at the end and return its value."""
        return self.block.add_input(type_, name)

    def set_outputs(self, values: Iterable[Value]) -> None:
        """Make ``values`` the graph's outputs."""
        self.block.set_outputs(values)

    def add_state(
        self, names: str | Sequence[str], type_: Type, kind: StateKind = StateKind.PARAMETER
    ) -> Value:
        """Add a piece of state under one or several names and return its value.

        Raises:
            IRError: the first name is taken.
        """
        entry = StateEntry((names,) if isinstance(names, str) else tuple(names), kind, type_)
        if entry.name in self._state:
            raise IRError(f"the graph has state named {entry.name!r} already")
        self._state[entry.name] = entry
        return entry.value

    def remove_state(self, name: str) -> None:
        """Remove a piece of state that nothing reads.

        Raises:
            IRError: there is none of that name, or something reads it.
        """
        entry = self._state.get(name)
        if entry is None:
            raise IRError(f"the graph has no state named {name!r}")
        if entry.value.is_used:
            raise IRError(f"state {name!r} is still read")
        del self._state[name]

    def rename_state(self, names: Mapping[str, str]) -> None:
        """Give pieces of state other first names, all at once; their order stays. O(state).

        Raises:
            IRError: there is none of an old name, or two pieces would share a name.
        """
        missing = next((name for name in names if name not in self._state), None)
        if missing is not None:
            raise IRError(f"the graph has no state named {missing!r}")
        renamed = {
            entry: (new := names.get(name, name), *[n for n in entry.names[1:] if n != new])
            for name, entry in self._state.items()
        }
        taken = [name for all_names in renamed.values() for name in all_names]
        if len(set(taken)) < len(taken):
            twice = next(name for name in taken if taken.count(name) > 1)
            raise IRError(f"the graph would have two pieces of state named {twice!r}")
        for entry, all_names in renamed.items():
            if entry.name != all_names[0]:
                entry.value.name = all_names[0]
            entry.names = all_names
        self._state = {entry.name: entry for entry in renamed}

    def append(
        self,
        operator: Operator,
        args: tuple[Argument, ...] = (),
        types: Iterable[Type] = (),
        *,
        keywords: tuple[str, ...] = (),
        groups: tuple[int | None, ...] | None = None,
        scope: Scope | None = None,
        stack: Frame | None = None,
        modes: Modes | None = None,
    ) -> Node:
        """Make a node and insert it at the insertion point, the end if nobody moved it. O(arguments).

        Args:
            operator: what it runs.
            args: arguments in schema order; the last ``len(keywords)`` of them are passed by name.
            types: one type per result, lists taken apart.
            keywords: names of the arguments passed by name.
            groups: how results map to what the operator returns, see ``Node.groups``.
            scope: where it stands; the root scope if left out.
            stack: the Python stack that caused it.
            modes: the modes it ran under; the graph's own if left out.

        Raises:
            IRError: the node before which nodes are inserted was taken away.
        """
        block, before = self._insertion
        if before is not None and before._block is not block:
            raise IRError(f"{before.kind}, before which nodes are inserted, is no longer there")
        node = Node(
            operator,
            args,
            keywords,
            types,
            groups,
            self.root_scope if scope is None else scope,
            stack,
            self.modes if modes is None else modes,
        )
        block._link(node, before)
        return node

    def append_all(self, block: Block) -> None:
        """Take all nodes of a block that stands free to the insertion point. O(nodes)."""
        target, before = self._insertion
        block._move_all(target, before)

    @property
    def insertion_block(self) -> Block:
        """The block that new nodes go into."""
        return self._insertion[0]

    def inserting_after(self, where: Block | Node) -> _Inserting:
        """Insert new nodes at the start of a block, or directly after a node, until the ``with`` ends.

        Several come out in the order they are made.
        """
        if isinstance(where, Node):
            block, following = where._block, where._next
        else:
            block, following = where, where._first
        if block is None:
            raise IRError("cannot insert after a node that is in no block")
        return _Inserting(self, block, following)

    def inserting(self, where: Block | Node) -> _Inserting:
        """Insert new nodes at the end of a block, or directly before a node, until the ``with`` ends."""
        if isinstance(where, Node):
            if where._block is None:
                raise IRError(f"cannot insert before {where.kind}, which is in no block")
            return _Inserting(self, where._block, where)
        return _Inserting(self, where, None)

    def walk(self, *, reverse: bool = False) -> Iterator[Node]:
        """Yield every node, those in inner blocks too, each owner before its blocks.

        With ``reverse``, the order is exactly the opposite, so that users come before definitions.
        Erasing any node is safe; nodes inserted ahead of the current one are visited.
        """
        return self.block.walk(reverse=reverse)

    def values(self) -> list[Value]:
        """Return every value that the graph defines, state aside, in the order of definition. O(size)."""
        values: list[Value] = []
        collect_definitions(self.block, values)
        return values

    def nodes(self, *, scope: str = "*", op: str = "*", caused_by: str = "*") -> list[Node]:
        """Return the nodes whose scope, operator and stack match shell patterns, in order.

        Args:
            scope: matches a scope's path or address, or those of any scope around it, so ``layer1``
                gives all that happens inside ``layer1``.
            op: matches the operator with or without its overload: ``aten::conv2d``, ``aten::add*``.
            caused_by: matches a line of any function on the stack, ``model.py:41``, or its file alone.
                Nodes of a backward pass have the stack of the forward that they differentiate.
        """
        return find_nodes(self.walk(), scope, op, caused_by)

    def copy(self) -> Graph:
        """Return an independent copy; scopes, stacks and types, which never change, are shared. O(size)."""
        copy = Graph(self.name, self.modes, self.root_scope)
        copy.functions = {name: function.copy() for name, function in self.functions.items()}
        values: dict[Value, Value] = {}
        for entry in self._state.values():
            values[entry.value] = copy.add_state(entry.names, entry.value.type, entry.kind)
        with paused_collector():
            _copy_block(self.block, copy.block, values)
        noted = noted_composites(self)
        if noted:
            nodes = dict(zip(self.walk(), copy.walk(), strict=True))
            copy.composites = {s: composite.on(values, nodes) for s, composite in noted.items()}
        return copy

    def __str__(self) -> str:
        from .printer import print_graph  # the printer reads graphs, so it imports this file

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {self.block._length} nodes>"


class _Inserting:
    """A context in which a graph's new nodes go elsewhere; a trace enters one for every number."""

    __slots__ = ("_graph", "_place", "_saved")

    def __init__(self, graph: Graph, block: Block, before: Node | None) -> None:
        self._graph = graph
        self._place = (block, before)
        self._saved = self._place

    def __enter__(self) -> None:
        self._saved, self._graph._insertion = self._graph._insertion, self._place

    def __exit__(self, *error: object) -> None:
        self._graph._insertion = self._saved


def collect_definitions(block: Block, into: list[Value]) -> None:
    """Append every value that a block and those in it define, in order."""
    into.extend(block._inputs)
    for node in block:
        if node._results.__class__ is Value:
            into.append(node._results)
        else:
            into.extend(node.outputs)
        for inner in node._blocks:
            collect_definitions(inner, into)


def definitions(block: Block) -> Iterator[Value]:
    """Yield every value that a block and those in it define, in order."""
    yield from block._inputs
    for node in block:
        if node._results.__class__ is Value:
            yield node._results
        else:
            yield from node.outputs
        for inner in node._blocks:
            yield from definitions(inner)


def _copy_block(block: Block, into: Block, values: dict[Value, Value]) -> None:
    for value in block._inputs:
        values[value] = into.add_input(value.type, value.name)
    for node in block:
        if node._args is node._inputs:
            args: tuple[Argument, ...] = tuple(map(values.__getitem__, node._inputs))
        else:
            args = _translate(node._args, values)
        result = node._results
        twin = Node(
            node.operator,
            args,
            node._keywords,
            (result.type,) if isinstance(result, Value) else [value.type for value in result],
            node._groups,
            node.scope,
            node.stack,
            node.modes,
        )
        into._link(twin, None)
        if isinstance(result, Value):  # as most nodes have, so without the loop
            new = values[result] = twin.output
            new.name = result.name
        else:
            for value, new in zip(result, twin.outputs, strict=True):
                new.name = value.name
                values[value] = new
        for inner in node._blocks:
            _copy_block(inner, twin.add_block(), values)
    into.set_outputs([values[value] for value in block._outputs])


def _translate(args: tuple[Argument, ...], values: dict[Value, Value]) -> tuple[Argument, ...]:
    return tuple(
        [
            values[arg]  # the class test beside it is faster than isinstance
            if arg.__class__ is Value
            else _translate(arg, values)
            if arg.__class__ is tuple
            else arg
            for arg in args
        ]
    )
