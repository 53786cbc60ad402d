"""TracedProgram, what ``opscope.trace`` returns: the one place that composes the rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import visualize
from .ir import Graph, Node, Operator, StateKind, TensorType, Value, unknown_operator
from .ir import parse as parse_graph
from .ir.conditions import Guard, guards_of
from .ir.scalars import scalar_named
from .ir.structure import Structure
from .passes.functionalize import Functionalize, Mutation
from .passes.own_operators import OWN
from .runtime import (
    CompiledGraph,
    WriteBack,
    compile_graph,
    find_overload,
    length_error,
    plain_calls,
    torch_literal,
)
from .tracer import (
    Capture,
    Diagnostic,
    Dynamic,
    ExactBindings,
    InputSpec,
    MetaFacts,
    capture,
    operator_of,
)
from .visualize import ViewOptions, save_picture

if TYPE_CHECKING:  # what the exports return; the libraries are loaded when one is asked for
    import graphviz
    import networkx
    import pydot


class TracedProgram:
    """A program as it ran once: its graph, its state, and how to call it.

    Calling it replays the graph: the same operators in the same order, on the parameters of the
    model it was traced from (by reference, so training the model trains the replay).

    Attributes:
        graph: every operator of the run.
        state: the parameters, buffers and constants that the graph reads, by name.
        inputs: what the program takes: parameter names, structure, types.
        outputs: the structure of what it returns.
        diagnostics: what could not be recorded exactly, with the lines that caused it.
        mutations: for a functional graph, which of its outputs are new contents of inputs and state.
    """

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, Any],
        inputs: InputSpec,
        outputs: Structure,
        diagnostics: tuple[Diagnostic, ...] = (),
        lengths: tuple[Node, ...] = (),
        mutations: tuple[Mutation, ...] = (),
    ) -> None:
        self.graph = graph
        self.state = dict(state)
        self.inputs = inputs
        self.outputs = outputs
        self.diagnostics = diagnostics
        self._lengths = lengths
        self.mutations = mutations

    @classmethod
    def _of(cls, captured: Capture) -> TracedProgram:
        mutations: tuple[Mutation, ...] = ()
        if captured.force_outplace:
            mutations = functionalize(captured.graph, captured.memories)
        return cls(
            captured.graph,
            captured.objects,
            captured.inputs,
            captured.outputs,
            captured.diagnostics,
            tuple(node for node in captured.lengths if node.block is not None),
            mutations,
        )

    @cached_property
    def _compiled(self) -> CompiledGraph:
        return compile_graph(self.graph, self.state, ExactBindings(torch_literal))

    @property
    def code(self) -> str:
        """The Python function that a replay runs."""
        return self._compiled.source

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the program.

        What the program writes to its arguments and state, the replay writes too. If the graph is
        functional, that happens when it has run, with the contents that ``mutations`` lists.

        Raises:
            InputError: the arguments do not fit those that the program was traced with.
            GuardError: the program would go another way than it went at the trace.
        """
        leaves = self.inputs.leaves(args, kwargs)
        if self.mutations:
            write_back = WriteBack(self.mutations, leaves, self.inputs.names, self.state)
            results = self._run(write_back.arguments())
            return self.outputs.build(write_back.write(results, self.graph.outputs))
        return self.outputs.build(self._run(leaves))

    def _run(self, leaves: list[Any]) -> tuple[Any, ...]:
        compiled = self._compiled
        try:
            with plain_calls():
                return compiled.function(*leaves)
        except ValueError as error:
            explained = length_error(self.graph, compiled.nodes, compiled.filename, error)
            if explained is None:
                raise
            raise explained from error

    @cached_property
    def guards(self) -> tuple[Guard, ...]:
        """The conditions that a replay checks, with the lines that made them."""
        return guards_of(self.graph, self._dimension_names(), self._lengths)

    def _dimension_names(self) -> dict[tuple[Value, int], str]:
        return {
            (value, dimension): name
            for value, dimensions in zip(self.graph.inputs, self.inputs.dimensions, strict=True)
            for dimension, name in dimensions.items()
            if name
        }

    @property
    def parameter_count(self) -> int:
        """The number of elements in all parameters that the graph reads."""
        count = 0
        for entry in self.graph.state.values():
            if entry.kind is StateKind.PARAMETER and isinstance(entry.value.type, TensorType):
                count += entry.value.type.numel or 0
        return count

    def save(self, path: str | Path, **options: Any) -> Path:
        """Draw the graph into a file; see :func:`save`."""
        return save(self, path, **options)

    def __repr__(self) -> str:
        return f"<TracedProgram {self.graph.name}: {len(self.graph.block)} nodes>"

    def __str__(self) -> str:
        return str(self.graph)


def trace(
    function: Callable[..., Any],
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic: Dynamic = None,
    strict: bool = False,
    warn: bool = True,
    fake: bool = False,
    force_outplace: bool = False,
) -> TracedProgram:
    """Run ``function`` once and return the program it was, operator by operator.

    The run is the program's own: same results, same random numbers, same memory.

    Args:
        function: a module, a method of one, a function, or any other callable.
        inputs: a tuple of positional arguments; anything else, a tensor say, is the only one.
        kwargs: keyword arguments.
        dynamic: which sizes of the inputs may differ at a replay. None: all that the program does not
            use in a way that fixes them; ``guards`` lists what it fixed. False: none. Else a mapping
            from input names to dimensions: ``{"x": {0: "batch"}}`` or ``{"x": ("batch", None)}``;
            dimensions of one name have one size.
        strict: whether something that cannot be recorded exactly is an error instead of a warning.
        warn: whether it is a warning otherwise; ``diagnostics`` lists it either way.
        fake: whether to trace without computing: nothing of the size of a tensor is allocated, and the
            model is left as it was. Model and inputs may be real, on the meta device, or fake; the graph
            is that of a run with real tensors, and a program traced from a real model replays on them.
        force_outplace: whether writes to memory become values, so that the graph is functional; what
            the program writes to inputs and state are further outputs then, see ``mutations``. Sizes
            are those of the trace.

    Raises:
        CaptureError: the program cannot be traced.
        PassError: ``force_outplace``, and a write cannot be made a value.
        UnsupportedTorchError: the installed torch cannot be captured on.
    """
    args = inputs if type(inputs) is tuple else (inputs,)
    captured = capture(
        function,
        args,
        kwargs,
        dynamic=dynamic,
        strict=strict,
        warn=warn,
        fake=fake,
        force_outplace=force_outplace,
    )
    return TracedProgram._of(captured)


def functionalize(
    graph: Graph, memories: Mapping[Value, int] | None = None
) -> tuple[Mutation, ...]:
    """Turn the writes of a graph into values, in place; return the outputs that this adds.

    Args:
        graph: what to change; see ``passes.functionalize`` for what is kept.
        memories: a number for each input and state value; those that share memory have one number.
            Left out, no two of them do.

    Raises:
        PassError: a write cannot be made a value; the graph is left as it was.
    """
    pass_ = Functionalize(MetaFacts(torch_literal), {} if memories is None else memories)
    return pass_.run(graph).mutations


@cache
def operator_named(name: str) -> Operator:
    """Return the operator of a qualified name as torch's schemas describe it.

    A name that torch does not know gives an operator of unknown effect.
    """
    scalar = scalar_named(name)
    if scalar is not None:
        return scalar
    if name in OWN:
        return OWN[name]
    overload = find_overload(name)
    return unknown_operator(name) if overload is None else operator_of(overload)


def parse(text: str) -> Graph:
    """Read a graph from its text, with operators as torch's schemas describe them.

    Raises:
        ParseError: the text is not a graph; the message points at the line and column.
    """
    return parse_graph(text, operator_named)


def save(program: TracedProgram | Graph, path: str | Path, **options: Any) -> Path:
    """Draw a program into a file and return its path; the suffix chooses dot, svg, png or pdf.

    Args:
        program: a traced program or a graph.
        path: where to write; an existing file is replaced in one step.
        options: fields of ``ViewOptions``, such as ``depth=2`` or ``theme="dark"``.

    Raises:
        RenderError: the suffix is not known, or the picture cannot be made.
    """
    return save_picture(
        _graph_of(program),
        Path(path),
        ViewOptions(**options),
        output_names=_output_names(program),
    )


def to_dot(program: TracedProgram | Graph, **options: Any) -> str:
    """Return a program's picture as DOT text; ``options`` are fields of ``ViewOptions``."""
    return visualize.to_dot(_scene_of(program, options))


def to_pydot(program: TracedProgram | Graph, **options: Any) -> pydot.Dot:
    """Return a program's picture as a ``pydot.Dot``; ``options`` are fields of ``ViewOptions``."""
    return visualize.to_pydot(_scene_of(program, options))


def to_graphviz(program: TracedProgram | Graph, **options: Any) -> graphviz.Source:
    """Return a program's picture as a ``graphviz.Source``; ``options`` are fields of ``ViewOptions``."""
    return visualize.to_graphviz(_scene_of(program, options))


def to_networkx(program: TracedProgram | Graph) -> networkx.MultiDiGraph[str]:
    """Return the whole graph as a ``networkx.MultiDiGraph``: a node per operator, an edge per use."""
    return visualize.to_networkx(_graph_of(program))


def _graph_of(program: TracedProgram | Graph) -> Graph:
    return program.graph if isinstance(program, TracedProgram) else program


def _scene_of(program: TracedProgram | Graph, options: dict[str, Any]) -> visualize.Scene:
    return visualize.build_scene(_graph_of(program), ViewOptions(**options), _output_names(program))


def _output_names(program: TracedProgram | Graph) -> list[str]:
    if not isinstance(program, TracedProgram):
        return []
    return [*program.outputs.leaf_paths(), *(f"new {m.name}" for m in program.mutations)]
