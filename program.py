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
from .runtime import (
    CompiledGraph,
    compile_graph,
    find_overload,
    length_error,
    plain_calls,
    run_blocks,
    torch_literal,
)
from .tracer import Capture, Diagnostic, Dynamic, ExactBindings, InputSpec, capture, operator_of
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
    """

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, Any],
        inputs: InputSpec,
        outputs: Structure,
        diagnostics: tuple[Diagnostic, ...] = (),
        lengths: tuple[Node, ...] = (),
    ) -> None:
        self.graph = graph
        self.state = dict(state)
        self.inputs = inputs
        self.outputs = outputs
        self.diagnostics = diagnostics
        self._lengths = lengths

    @classmethod
    def _of(cls, captured: Capture) -> TracedProgram:
        return cls(
            captured.graph,
            captured.objects,
            captured.inputs,
            captured.outputs,
            captured.diagnostics,
            captured.lengths,
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

        Raises:
            InputError: the arguments do not fit those that the program was traced with.
            GuardError: the program would go another way than it went at the trace.
        """
        leaves = self.inputs.leaves(args, kwargs)
        compiled = self._compiled
        try:
            with plain_calls():
                results = compiled.function(*leaves)
        except ValueError as error:
            explained = length_error(self.graph, compiled.nodes, compiled.filename, error)
            if explained is None:
                raise
            raise explained from error
        return self.outputs.build(results)

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

    Raises:
        CaptureError: the program cannot be traced.
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
        run_blocks=run_blocks,
    )
    return TracedProgram._of(captured)


@cache
def operator_named(name: str) -> Operator:
    """Return the operator of a qualified name as torch's schemas describe it.

    A name that torch does not know gives an operator of unknown effect.
    """
    scalar = scalar_named(name)
    if scalar is not None:
        return scalar
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
    return program.outputs.leaf_paths() if isinstance(program, TracedProgram) else []
