"""Running a traced program step by step: a debugger whose lines are the nodes of the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import ReplayError
from ..ir import Graph, Node, Value
from ..ir.selection import Selection, firsts, firsts_of_turns
from ..runtime import GraphRun
from .loaded import LoadedProgram
from .running import require_no_trace
from .traced import TracedProgram


class Interpreter:
    """Runs a traced program node by node and halts where it is told to.

        interpreter = opscope.Interpreter(traced)
        interpreter.break_at(line="model.py:41")
        for stop in interpreter.stops(x):
            print(stop, stop.values["%h"].norm())

    A run gives bit by bit what a call of the program gives, and has the same effects. Nodes that own blocks,
    and calls of functions of the graph, are one step each.

    Args:
        program: what to run.

    Raises:
        TypeError: it is no program that was traced or loaded.
    """

    def __init__(self, program: TracedProgram | LoadedProgram) -> None:
        if not isinstance(program, TracedProgram | LoadedProgram):
            raise TypeError(
                f"a program that was traced or loaded can be run; this is {type(program).__name__}\n"
                "  trace it first, opscope.trace(model, inputs), or read it from its file, opscope.load(path)"
            )
        self.program = program
        self._breakpoints: list[_Breakpoint] = []

    def break_at(
        self, *, scope: str | None = None, op: str | None = None, line: str | None = None
    ) -> Interpreter:
        """Halt before some nodes; where several things are asked for, before those of which all hold.

        Args:
            scope: a pattern of addresses or paths, ``encoder.layer.*``: halt where a run enters such a scope.
            op: a pattern of operators, ``aten::softmax*``: halt before each.
            line: a line of the user's code, ``model.py:41``: halt each time a run comes to it.

        Returns:
            The interpreter.

        Raises:
            ReplayError: nothing in the program is called so; the message says what is near.
        """
        if scope is None and op is None and line is None:
            raise ReplayError(
                "a breakpoint needs a scope, an op or a line\n"
                "  without any breakpoint, stops() halts before every node"
            )
        point = _Breakpoint(scope, op, line)
        point.nodes(self.program.graph)
        self._breakpoints.append(point)
        return self

    def clear(self) -> None:
        """Forget all breakpoints."""
        self._breakpoints.clear()

    def stops(self, *args: Any, **kwargs: Any) -> Stops:
        """Run the program on some arguments; iterate over what this returns to go from halt to halt.

        Without breakpoints, a run halts before every node.

        Raises:
            GuardError: the program would go another way than it went at the trace.
            InputError: the arguments do not fit those that the program was traced with.
            ReplayError: a trace is running, which cannot record a run that halts.
        """
        require_no_trace("stops")
        graph = self.program.graph
        points = [point.nodes(graph) for point in self._breakpoints]
        halts = {node for nodes in points for node in nodes} if points else set(graph.block)
        program = self.program
        traced = program.traced if isinstance(program, LoadedProgram) else program
        return Stops(graph, halts, *traced.stepped_run(args, kwargs))


@dataclass(frozen=True, slots=True)
class _Breakpoint:
    """Where a run halts."""

    scope: str | None
    op: str | None
    line: str | None

    def nodes(self, graph: Graph) -> Sequence[Node]:
        """Return the nodes before which a run halts, those of which all that is asked for holds.

        Raises:
            ReplayError: there are none.
        """
        selection = Selection(graph)
        of_line = None if self.line is None else set(selection.by_line(self.line))
        of_scopes = [set(graph.block)]
        if self.scope is not None:
            of_scopes = [set(nodes) for nodes in selection.scopes(self.scope).values()]
        if of_line is not None:
            of_scopes = [nodes & of_line for nodes in of_scopes]
        if self.op is not None:
            operators = set(selection.by_operator(self.op))
            found = [
                node for nodes in of_scopes for node in graph.block if node in nodes & operators
            ]
        elif self.scope is not None:
            found = [node for nodes in of_scopes for node in firsts(graph.block, nodes)]
        else:
            found = firsts_of_turns(graph.block, of_scopes[0])
        if not found:
            asked = {"scope": self.scope, "op": self.op, "line": self.line}
            text = ", ".join(f"{name}={of!r}" for name, of in asked.items() if of is not None)
            raise ReplayError(f"{graph.name} has no node of which all of this holds: {text}")
        return found


class Stops(Iterator["Stop"]):
    """One run of a program, from halt to halt.

    Between halts the modes are the caller's. A run that is not to go on to its end needs no more than to be
    let go of; ``close`` gives up what it holds at once.
    """

    def __init__(
        self,
        graph: Graph,
        halts: set[Node],
        run: GraphRun,
        finish: Callable[[tuple[Any, ...]], Any],
    ) -> None:
        self._graph = graph
        self._selection = Selection(graph)
        self._halts = halts
        self._run = run
        self._finish = finish
        self._has_started = False
        self._is_open = True
        self._output: tuple[Any, ...] | None = None  # of one, once there is it

    def __next__(self) -> Stop:
        is_first = not self._has_started and self._run.node in self._halts
        self._has_started = True
        if self._is_open and not is_first:
            self._advance(self._halts)
        if not self._is_open:
            raise StopIteration
        return Stop(self)

    @property
    def output(self) -> Any:
        """What the program returned.

        Raises:
            ReplayError: the run has not come to its end.
        """
        if self._output is None:
            raise ReplayError("the run has not come to its end, so there is no output yet")
        return self._output[0]

    def close(self) -> None:
        """End the run where it is, and give up the values that it holds."""
        self._is_open = False
        self._run.close()

    def _advance(self, halts: set[Node]) -> None:
        try:
            if self._run.node is None or self._run.advance(halts) is None:
                self._output = (self._finish(self._run.results()),)
                self._is_open = False
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        self._run.close()


class Stop:
    """Where a run halts: before a node.

    It goes along with its run: once that goes on, this is where it halts next.
    """

    def __init__(self, stops: Stops) -> None:
        self._stops = stops

    @property
    def node(self) -> Node:
        """The node that runs next.

        Raises:
            ReplayError: the run is over.
        """
        node = self._stops._run.node if self._stops._is_open else None
        if node is None:
            raise ReplayError("the run is over\n  call stops() again for another one")
        return node

    @property
    def values(self) -> LiveValues:
        """What each value that is alive stands for: ``stop.values["%h"]``."""
        return LiveValues(self._stops._selection, self._stops._run)

    def replace(self, name: str, value: Any) -> None:
        """Put something else in the place of a value that is alive: all that runs from here on reads that.

        What has been made of the value before stays as it is, views of its memory included.

        Raises:
            ReplayError: there is no such value now, or what is given is of another dtype, shape or device.
        """
        target = self.values.find(name)
        _require_alike(name, self._stops._run.values[target], value)
        self._stops._run.values[target] = value

    def step(self) -> dict[str, Any]:
        """Run the node, halt before the one after it, and return what it made, by name.

        Raises:
            ReplayError: the run is over.
        """
        stops, node = self._stops, self.node
        made = _Made()
        stops._run.observer = made
        try:
            stops._advance(set() if node.next is None else {node.next})
        finally:
            stops._run.observer = None
        return {stops._selection.names[value]: each for value, each in made.values.items()}

    @property
    def is_over(self) -> bool:
        """Whether the run has come to its end."""
        return not self._stops._is_open

    def __str__(self) -> str:
        if self.is_over:
            return "the run is over"
        node = self.node
        lines = [f"before {self._stops._selection.statement(node)}"]
        source = node.source
        if source is not None:
            scope = f", scope {node.scope.address}" if node.scope.address else ""
            lines.append(f"  {source} in {source.function}{scope}")
            lines += [f"    {line}" for line in source.underlined().splitlines()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return "<Stop: over>" if self.is_over else f"<Stop before {self.node.kind}>"


class LiveValues(Mapping[str, Any]):
    """The values of a run that are alive, by name: inputs, state, and what is made and still to be read."""

    def __init__(self, selection: Selection, run: GraphRun) -> None:
        self._selection = selection
        self._run = run

    def find(self, name: str) -> Value:
        """Return the value of a name.

        Raises:
            ReplayError: there is none, or it is not alive here; the message says where it is.
        """
        value = self._selection.value(name)
        if value not in self._run.values:
            raise ReplayError(f"{name} is not alive here\n  {self._whereabouts(value)}")
        return value

    def __getitem__(self, name: str) -> Any:
        try:
            return self._run.values[self.find(name)]
        except ReplayError as error:
            raise NoSuchValue(str(error)) from None

    def __iter__(self) -> Iterator[str]:
        names = self._selection.names
        return (names[value] for value in self._run.values)

    def __len__(self) -> int:
        return len(self._run.values)

    def __repr__(self) -> str:
        return f"<LiveValues: {', '.join(self) or 'none'}>"

    def _whereabouts(self, value: Value) -> str:
        node, current = value.node, self._run.node
        statement = self._selection.statement
        if current is None:
            return "the run is over, and holds nothing"
        if node is not None and (node is current or not _comes_before(node, current)):
            return f"it is made by {statement(node)}, which has not run yet"
        users = [user for user in value.users if isinstance(user, Node)]
        if not users:
            return "nothing reads it, so it went as soon as it was there"
        return (
            f"it went when {statement(users[-1])} had read it; keep it with traced.run(keep=[...])"
        )


class NoSuchValue(ReplayError, KeyError):
    """A value of this name is not there, or not alive."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


class _Made:
    """Holds what a node makes."""

    def __init__(self) -> None:
        self.values: dict[Value, Any] = {}

    def begin(self, values: Mapping[Value, Any]) -> None:
        """Take no notice."""

    def before(self, node: Node) -> None:
        """Take no notice."""

    def after(self, node: Node, values: Mapping[Value, Any]) -> None:
        """Hold what a node has made."""
        self.values.update((value, values[value]) for value in node.outputs)


def _comes_before(node: Node, other: Node) -> bool:
    following: Node | None = node
    while following is not None and following is not other:
        following = following.next
    return following is other


def _require_alike(name: str, now: Any, given: Any) -> None:
    """Raise a ``ReplayError`` if what is given cannot stand where something else stands now."""
    if not isinstance(now, torch.Tensor):
        if type(given) is not type(now):
            raise ReplayError(
                f"{name} is {now!r}, for which {given!r} cannot stand: it is of another type"
            )
        return
    if not isinstance(given, torch.Tensor):
        raise ReplayError(f"{name} is a tensor, for which {given!r} cannot stand")
    shown = [f"{each.dtype} {list(each.shape)} on {each.device}" for each in (now, given)]
    if shown[0] != shown[1]:
        raise ReplayError(
            f"{name} is {shown[0]} here, and what is given is {shown[1]}\n"
            "  a trace holds for tensors like those that it saw"
        )
