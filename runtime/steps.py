"""A graph as one Python function per node, so that a run can halt between any two of them.

Note [A halt inside autocast]
    Autocast keeps what it casts until its outermost region ends, so that a weight that is used twice is cast
    once, and its gradient is summed up in the lower precision. A run that halts inside such a region leaves
    it and enters it anew. So that the casts are there again, it counts as a region itself meanwhile.
"""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Protocol

import torch
from torch.utils import _python_dispatch

from ..ir import Graph, Modes, Node, Value, value_names
from ..ir.conditions import DimensionNames
from ..ir.places import HeldPlace
from ..passes.liveness import dying_in
from .codegen import CompiledGraph, apart, run_source
from .guards import length_error
from .modes import mode_contexts
from .operators import plain_calls
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Step:
    """How one node runs.

    Attributes:
        node: the node.
        function: takes values, returns a tuple of those that the node makes.
        takes: the values that it takes.
        dying: the values that nothing reads afterwards.
    """

    node: Node
    function: Callable[..., tuple[Any, ...]]
    takes: tuple[Value, ...]
    dying: tuple[Value, ...]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SteppedGraph:
    """A graph compiled node by node: the text of each is that of its line in a compiled graph.

    Attributes:
        graph: the graph.
        steps: its nodes in order; one that owns blocks, or calls a function of the graph, is one step.
        state: the tensors and objects that it reads, by value.
        places: what it reads anew at each run.
        source: the functions' text.
        filename: the name under which tracebacks find the source.
        nodes: the node of each source line that runs one, by line number.
        dimension_names: what sizes of inputs are called where a guard fails.
    """

    graph: Graph
    steps: tuple[Step, ...]
    state: Mapping[Value, Any]
    places: Mapping[Value, HeldPlace]
    source: str
    filename: str
    nodes: Mapping[int, Node]
    dimension_names: DimensionNames

    def watched(self, observer: Observer) -> CompiledGraph:
        """Return the graph as one function that tells ``observer`` of each node that it runs."""

        def function(*leaves: Any) -> tuple[Any, ...]:
            run = GraphRun(self, leaves, observer)
            observer.begin(run.values)
            run.advance()
            return run.results()

        return CompiledGraph(self.source, function, self.filename, self.nodes)


def compile_steps(
    graph: Graph,
    state: Mapping[str, Any],
    binding_of: Callable[[Node], Callable[..., Any] | None] = lambda node: None,
    dimension_names: DimensionNames | None = None,
) -> SteppedGraph:
    """Compile each node of a graph to a function.

    What is passed is what :func:`compile_graph` takes.

    Raises:
        ReplayError: an operator is not registered in this process, or state is missing.
    """
    dimension_names = dimension_names or {}
    writer = Writer(value_names(graph), binding_of, dimension_names)
    callees = writer.write_callees(graph, state)
    kept = writer.take_state(graph, state)
    written = [(node, *writer.write_step(node)) for node in graph.block]
    source, filename = run_source(writer, graph.name)
    functions: dict[str, FunctionType] = {
        name: writer.namespace.pop(name) for name in (*callees, *(name for _, name, _ in written))
    }
    called = apart({name: functions[name] for name in callees}, writer.namespace)
    writer.namespace.update(called)
    dying = dying_in(graph.block)
    steps = tuple(
        Step(node, functions[name], tuple(takes), dying.get(node, ()))
        for node, name, takes in written
    )
    places = writer.places_read(graph)
    stepped = SteppedGraph(
        graph, steps, kept, places, source, filename, writer.nodes, dimension_names
    )
    weakref.finalize(stepped, linecache.cache.pop, filename, None)
    return stepped


class Observer(Protocol):
    """Sees a run node by node, in the modes of the node."""

    def begin(self, values: Mapping[Value, Any]) -> None:
        """The run begins; ``values`` has the state and what is passed in."""
        ...

    def before(self, node: Node) -> None:
        """A node is about to run."""
        ...

    def after(self, node: Node, values: Mapping[Value, Any]) -> None:
        """A node has run; ``values`` has what it read and made, too."""
        ...


class GraphRun:
    """One run of a graph, which halts where it is told to and frees values after their last use.

    Modes that the program sets are in force while its nodes run and no longer: where a run halts, they are
    the caller's. See Note [A halt inside autocast].

    Args:
        stepped: the graph.
        leaves: what it is given.

    Attributes:
        values: what each value that is alive stands for.
        observer: is told of each node.
    """

    def __init__(
        self, stepped: SteppedGraph, leaves: Sequence[Any], observer: Observer | None = None
    ) -> None:
        graph = stepped.graph
        self.values: dict[Value, Any] = dict(stepped.state)
        self.values.update((value, place.read()) for value, place in stepped.places.items())
        self.values.update(zip(graph.inputs, leaves, strict=True))
        self._stepped = stepped
        self.observer = observer
        self._position = 0
        self._modes: Modes = graph.modes  # those that are entered when the run goes on
        self._dispatch_modes: list[Any] = []  # that the program has entered and not left
        self._keeps_casts = False

    @property
    def node(self) -> Node | None:
        """The node that runs next; None at the end."""
        steps = self._stepped.steps
        return steps[self._position].node if self._position < len(steps) else None

    def advance(self, halts: Container[Node] = ()) -> Node | None:
        """Run the next node, go on to one of ``halts``, and return that; to the end if none comes.

        Raises:
            GuardError: the program would go another way than it went at the trace.
        """
        steps = self._stepped.steps
        with self._explained(), plain_calls(), self._program_modes(), ExitStack() as entered:
            self._enter_modes(entered)
            self._drop_casts()
            while self._position < len(steps):
                step = steps[self._position]
                if step.node.modes != self._modes:
                    entered.close()
                    self._modes = step.node.modes
                    self._enter_modes(entered)
                self._run(step)
                if self.node in halts:
                    self._keep_casts()
                    break
        return self.node

    def results(self) -> tuple[Any, ...]:
        """Return what the graph returns, once it has run."""
        results = tuple([self.values[value] for value in self._stepped.graph.outputs])
        self.close()
        return results

    def close(self) -> None:
        """Give up what the run holds."""
        self.values.clear()
        self._drop_casts()

    def _run(self, step: Step) -> None:
        values, node, observer = self.values, step.node, self.observer
        taken = [values[value] for value in step.takes]
        if observer is not None:
            observer.before(node)
        made = step.function(*taken)
        del taken
        self._position += 1
        values.update(zip(node.outputs, made, strict=True))
        if observer is not None:
            observer.after(node, values)
        for value in step.dying:
            values.pop(value, None)

    def _enter_modes(self, entered: ExitStack) -> None:
        for _, make in mode_contexts(self._stepped.graph.modes, self._modes):
            entered.enter_context(make())

    @contextmanager
    def _program_modes(self) -> Iterator[None]:
        """Put dispatch modes that the program has entered where they were, and take them away at a halt."""
        depth = torch._C._len_torch_dispatch_stack()
        while self._dispatch_modes:
            _python_dispatch._push_mode(self._dispatch_modes.pop())
        yield
        while self.node is not None and torch._C._len_torch_dispatch_stack() > depth:
            self._dispatch_modes.append(_python_dispatch._pop_mode())

    def _keep_casts(self) -> None:
        if self._modes.autocast:
            torch.autocast_increment_nesting()
            self._keeps_casts = True

    def _drop_casts(self) -> None:
        if self._keeps_casts:
            self._keeps_casts = False
            if torch.autocast_decrement_nesting() == 0:
                torch.clear_autocast_cache()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        stepped = self._stepped
        try:
            yield
        except ValueError as error:
            explained = length_error(
                stepped.graph, stepped.nodes, stepped.dimension_names, stepped.filename, error
            )
            if explained is None:
                raise
            raise explained from error
