"""What a call of a program does: arguments to leaves, a run of the graph, results to what is returned.

Note [Short calls]
    Between two calls of a program its operators have driven from the processor's caches what a call begins
    and ends with, so each function of Python on that way costs a microsecond or more, and not a tenth of one.
    Where a program leaves no objects changed, which is the rule, its calls pass few of them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch

from ..errors import GuardError, ReplayError
from ..ir import Graph, Node, TupleType, Type
from ..ir.conditions import Circumstance
from ..ir.findings import Diagnostic
from ..ir.identities import Way
from ..ir.mutation import Mutation
from ..ir.structure import Structure
from ..ir.tuples import flattened, nested
from ..ir.updates import Stored
from ..passes.torch_facts import TorchFacts
from ..runtime import (
    CompiledGraph,
    GraphRun,
    ObjectsAfter,
    SteppedGraph,
    WriteBack,
    call_plainly,
    circumstance_error,
    compile_graph,
    compile_steps,
    length_error,
    torch_literal,
)
from ..tracer import (
    DirectInputs,
    ExactBindings,
    HeldState,
    InputSpec,
    ModesOfModules,
    current_recorder,
    run_recorded,
)
from .recorded import Inputs, RecordedProgram

if TYPE_CHECKING:
    from torch.fx.graph_module import GraphModule


class ReplayedProgram(RecordedProgram):
    """A recorded program that can be called: each call is a replay of its graph.

    Attributes:
        state: what the graph reads besides its inputs, by name.
        inputs: what the program takes: parameter names, structure, types.
        stored: what the program puts into objects that it holds; a replay does so too.
        compilable: what ``torch.compile`` follows in the place of a replay; made when it first does.

    Args:
        modules: the modules of the program, with their paths, which must hold what they held.
        twins: the ways to objects among the arguments that change, each with all ways to that object.
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
        circumstances: tuple[Circumstance, ...] = (),
        updates: Mapping[str, Structure] | None = None,
        stored: tuple[Stored, ...] = (),
        modules: tuple[tuple[str, torch.nn.Module], ...] = (),
        twins: Mapping[Way, frozenset[Way]] | None = None,
        facts: TorchFacts | None = None,
    ) -> None:
        super().__init__(
            graph, outputs, diagnostics, lengths, mutations, circumstances, updates, facts
        )
        self.state = dict(state)
        self.inputs = inputs
        self._direct = DirectInputs(inputs)
        self.stored = stored
        self._twins = twins or {}
        self._held = HeldState(graph, self.state, modules)
        self._training = ModesOfModules()
        self.compilable: GraphModule | None = None

    @property
    def twins(self) -> Mapping[Way, frozenset[Way]]:
        """The ways to objects among the arguments that the program changes, each with all to that object."""
        return self._twins

    @property
    def _inputs(self) -> Inputs:
        return self.inputs

    def _forget_derived(self) -> None:
        super()._forget_derived()
        self.compilable = None
        for derived in ("_compiled", "_steps", "_bundled", "_is_short"):
            self.__dict__.pop(derived, None)

    @cached_property
    def _compiled(self) -> CompiledGraph:
        return self.compiled()

    def compiled(
        self, bindings: Callable[[Node], Callable[..., Any] | None] = lambda node: None
    ) -> CompiledGraph:
        """Compile the graph to a function of its inputs, which checks neither them nor circumstances.

        Args:
            bindings: gives the function that makes a node's call; where it gives None, the exact one does.

        Raises:
            ReplayError: an operator is not registered in this process.
        """
        exact = ExactBindings(torch_literal)

        def binding_of(node: Node) -> Callable[..., Any] | None:
            return bindings(node) or exact(node)

        return compile_graph(self.graph, self.state, binding_of, self._dimension_names())

    @cached_property
    def _steps(self) -> SteppedGraph:
        bindings = ExactBindings(torch_literal)
        return compile_steps(self.graph, self.state, bindings, self._dimension_names())

    def to_fx(self, *, checks: bool = True) -> GraphModule:
        """Return the program as a ``torch.fx.GraphModule``, which takes and gives what a call does.

        It holds the program's own parameters, buffers and constants. ``docs/fx.md`` says what its nodes are
        told in ``meta``, and what it does not check.

        Args:
            checks: whether it checks its inputs and the program's guards, by calls of functions of opscope.

        Raises:
            ReplayError: something in the program has no counterpart there.
        """
        from ..interop.fx import graph_module_of  # which a replay has no use for

        return graph_module_of(self, self._dimension_names(), checks=checks)

    @property
    def code(self) -> str:
        """The Python function that a replay runs."""
        return self._compiled.source

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the program. Inside a trace that is one ``prim::call`` of it.

        What the program writes to its arguments and state, the replay writes too. If the graph is
        functional, that happens when it has run, with the contents that ``mutations`` lists.

        Raises:
            InputError: the arguments do not fit those that the program was traced with.
            GuardError: the program would go another way than it went at the trace, or the model holds
                other parameters and buffers by now, or the same in another dtype or shape.
        """
        if torch.compiler.is_compiling():
            _prepare_compilation(self)
            return self.compilable(*args, **kwargs)  # type: ignore[misc]  # it is there now
        return self._call(self._compiled, args, kwargs)

    def call_through(
        self,
        function: Callable[..., tuple[Any, ...]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """Replay the program with another function in the place of its compiled graph.

        Args:
            function: takes the inputs of the graph, and returns what the graph does.
            args: positional arguments of the program.
            kwargs: keyword arguments.

        Raises:
            InputError: as a replay does.
            GuardError: as a replay does.
        """
        return self._call(CompiledGraph("", function, "", {}), args, kwargs)

    def takes_directly(self, args: tuple[Any, ...]) -> bool:
        """Whether positional arguments are the inputs of the graph, and results its outputs, as they are.

        So it is then for all calls with as many tensors, which must be different ones.

        Raises:
            InputError: they do not fit those that the program was traced with.
        """
        spec = self.inputs
        if self.mutations or self.objects_after is not None or self._bundled is not None:
            return False
        if any(twin is not None for twin in spec.same_as) or any(spec.state):
            return False
        leaves = spec.leaves(args, {})
        return len(leaves) == len(args) and all(map(operator.is_, leaves, args))

    def call_directly(
        self, function: Callable[..., tuple[Any, ...]], args: tuple[torch.Tensor, ...]
    ) -> Any:
        """Replay the program with another function, on arguments that it takes directly.

        Args:
            function: as for :meth:`call_through`.
            args: tensors that are known to fit.

        Raises:
            GuardError: as a replay does.
        """
        # As little on the way as in a short call; see Note [Short calls].
        if self.circumstances or self._held.is_anything:
            self.require_unchanged()
        if current_recorder() is None:
            results = call_plainly(function, *args)
        else:
            results = run_recorded(self, list(args), partial(call_plainly, function))
        if self._training.modules:
            self._training.set()
        return self.outputs.build(results)

    def _call(
        self, compiled: CompiledGraph, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        if not self._is_short or current_recorder() is not None:
            leaves, finish = self._begin(args, kwargs)
            return finish(run_recorded(self, list(leaves), partial(self._run, compiled)))
        # The same with less on the way; see Note [Short calls].
        if self.circumstances or self._held.is_anything:
            self.require_unchanged()
        results = self._run(compiled, *self._direct.leaves(args, kwargs))
        if self._training.modules:
            self._training.set()
        return self.outputs.build(results)

    @cached_property
    def _is_short(self) -> bool:
        """Whether a call is checked, runs the graph on its arguments, and returns results: nothing else."""
        return not self.mutations and self.objects_after is None and self._bundled is None

    def stepped_run(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[GraphRun, Callable[[tuple[Any, ...]], Any]]:
        """Return a run of the graph that halts where it is told to, and what makes the output of its results.

        Raises:
            GuardError: the program would go another way than it went at the trace.
            InputError: the arguments do not fit those that the program was traced with.
        """
        leaves, finish = self._begin(args, kwargs)
        bundled = self._bundled
        run = GraphRun(self._steps, self._given(leaves))
        return run, finish if bundled is None else lambda results: finish(
            tuple(flattened(bundled[1], results))
        )

    def graph_inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the inputs that the graph would run on in a call.

        Raises:
            InputError: the arguments do not fit those that the program was traced with.
        """
        return tuple(self._given(self._direct.leaves(args, kwargs)))

    def _begin(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Callable[[tuple[Any, ...]], Any]]:
        """Check a call; return what the graph takes, and what makes the program's output of its results."""
        self.require_unchanged()
        leaves = self._direct.leaves(args, kwargs)
        after = self.objects_after
        if after is None and not self.mutations:
            return leaves, self._output
        arguments: dict[str, Any] = {}
        objects: dict[Hashable, Any] = {}
        if after is not None:
            arguments = self.inputs.arguments.bind(args, kwargs)
            objects = after.found(arguments)

        write_back: WriteBack | None = None
        if self.mutations:
            write_back = WriteBack(self.mutations, leaves, self.inputs.names, self.state)
            leaves = write_back.arguments()

        def finish(results: tuple[Any, ...]) -> Any:
            if write_back is not None:
                results = tuple(write_back.write(results, self.graph.outputs))
            if after is None:
                return self._output(results)
            self._training.set()
            return after.leave(results, arguments, objects)

        return leaves, finish

    def _output(self, results: tuple[Any, ...]) -> Any:
        """Return what the program returns, where it leaves no objects changed but modules that it told to."""
        self._training.set()
        return self.outputs.build(results)

    def require_unchanged(self) -> None:
        """Require that what is around the program is as it was at the trace.

        Raises:
            GuardError: something is not.
        """
        self._require_circumstances()
        changed = self._held.failing()
        if changed is not None:
            raise GuardError(f"this run cannot follow the trace: {changed}")

    def _require_circumstances(self) -> None:
        for circumstance in self.circumstances:
            failing = circumstance.failing()
            if failing is not None:
                raise circumstance_error(circumstance, failing)

    @cached_property
    def objects_after(self) -> ObjectsAfter | None:
        """What the program leaves in objects; None where it leaves all as they are."""
        after = ObjectsAfter(
            self.inputs.structure, self.outputs, self.updates, self.stored, self._twins
        )
        return after if after.is_anything else None

    @cached_property
    def _bundled(self) -> tuple[tuple[Type, ...], tuple[Type, ...]] | None:
        """The types that the graph takes and returns, where a tuple is among them; None otherwise.

        What the program takes and returns has no tuples for leaves, whatever passes bundle in the graph.

        Raises:
            ReplayError: it is functional, and says by position which outputs are new contents.
        """
        takes, returns = (
            tuple([value.type for value in values])
            for values in (self.graph.inputs, self.graph.outputs)
        )
        if not any(isinstance(type_, TupleType) for type_ in (*takes, *returns)):
            return None
        if self.mutations:
            raise ReplayError(
                "a graph whose mutations are listed takes or returns tuples, which moves what they list\n"
                "  run the pass lower_all_tuples"
            )
        return takes, returns

    def _given(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """Return what the graph takes, in which passes may have bundled some of the leaves."""
        bundled = self._bundled
        return leaves if bundled is None else list(nested(bundled[0], iter(leaves)))

    def _run(self, compiled: CompiledGraph, *leaves: Any) -> tuple[Any, ...]:
        bundled = self._bundled
        try:
            if bundled is None:
                return call_plainly(compiled.function, *leaves)
            return tuple(
                flattened(bundled[1], call_plainly(compiled.function, *self._given(leaves)))
            )
        except ValueError as error:
            explained = self.explained(compiled, error)
            if explained is error:
                raise
            raise explained from error

    def explained(self, compiled: CompiledGraph, error: ValueError) -> Exception:
        """Return the error for a list that a node gave in another length than it did at the trace.

        That is ``error`` itself if it says something else.
        """
        names, nodes = self._dimension_names(), compiled.nodes
        return length_error(self.graph, nodes, names, compiled.filename, error) or error


def _prepare_compilation(program: ReplayedProgram) -> bool:
    """Have ready what a compiler follows in the place of a replay.

    The compiler runs this when it meets the call, and takes what it returns for a constant.

    Raises:
        GuardError: the program would go another way than it went at the trace.
    """
    program.require_unchanged()
    if program.compilable is None:
        program.compilable = program.to_fx()
    return True


# What ``torch.compiler.assume_constant_result`` does, without loading the compiler.
_prepare_compilation._dynamo_marked_constant = True  # type: ignore[attr-defined]
