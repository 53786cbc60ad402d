"""TracedProgram, what ``opscope.trace`` returns: the one place that composes the rooms."""

from __future__ import annotations

import copy
import operator
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, cached_property
from itertools import islice
from typing import Any, Literal

import torch

from .checking import CheckReport, KeptArguments, Runs, Subject, check_program, own_tensors
from .errors import CheckError, GuardError, InputError, ReplayError, ReportError
from .ir import Graph, Node, Operator, TensorType, TupleType, Type, Value, unknown_operator
from .ir import parse as parse_graph
from .ir.conditions import Circumstance
from .ir.files import Contents, Data
from .ir.findings import Diagnostic, DiagnosticKind
from .ir.identities import Way, objects_in, speaks_of_objects, unlike_twins, way_text
from .ir.mutation import Mutation
from .ir.own_operators import OWN_OPERATORS
from .ir.scalars import scalar_named
from .ir.structure import Structure
from .ir.tuples import flat_types, flattened, nested
from .ir.updates import Stored, update
from .passes.base import Pass
from .passes.functionalize import Functionalize
from .passes.patterns import Rule
from .passes.patterns import rewrite_rule as rule_for
from .program_contents import contents_of
from .recorded import Inputs, RecordedProgram
from .reports import Profile, Statistics, Summary, summarize
from .running import Keep, RunResult, profile_of, run_keeping, statistics_of
from .runtime import (
    CompiledGraph,
    GraphRun,
    StateTensors,
    SteppedGraph,
    Tolerance,
    WriteBack,
    circumstance_error,
    compile_graph,
    compile_steps,
    find_overload,
    length_error,
    mode_contexts,
    plain_calls,
    run_blocks,
    state_notes,
    torch_literal,
)
from .tracer import (
    Capture,
    Dynamic,
    ExactBindings,
    HeldState,
    InputSpec,
    MetaFacts,
    ModeReader,
    ModesOfModules,
    Sizes,
    apart,
    capture,
    inputs_at,
    operator_of,
    run_recorded,
    type_of_tensor,
    unrecorded,
)
from .tracer.blocks.hops import higher_order_named


class TracedProgram(RecordedProgram):
    """A program as it ran once: its graph, its state, and how to call it.

    Calling it replays the graph: the same operators in the same order, on the parameters of the
    model it was traced from (by reference, so training the model trains the replay).

    Attributes:
        graph: every operator of the run.
        state: the parameters, buffers and constants that the graph reads, by name; for what an optimizer
            holds, and for a tensor that the run replaces, the place, which has ``read()`` and ``write()``.
        inputs: what the program takes: parameter names, structure, types.
        outputs: the structure of what it returns.
        diagnostics: what could not be recorded exactly, with the lines that caused it.
        function: the program itself, which :meth:`check` runs; None for a graph that was read from
            text. It is held, as its parameters are, and lets go of when the traced program does.
        mutations: for a functional graph, which of its outputs are new contents of inputs and state.
        circumstances: what around the program, besides its inputs, a replay must find as it was: whether
            modules train, what requires gradients, options of optimizers, settings of torch.
        updates: what becomes of the arguments whose contents the program changes, by the argument's name;
            a replay changes its own arguments so.
        depth: "deep" if what composite operators call was recorded in the place of them, else "flat".
        stored: what the program puts into objects that it holds, such as the state of an optimizer; a replay
            does so too.
        torch_version: that of the torch that the program was traced with.
    """

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, Any],
        inputs: InputSpec,
        outputs: Structure,
        diagnostics: tuple[Diagnostic, ...] = (),
        lengths: tuple[Node, ...] = (),
        function: Callable[..., Any] | None = None,
        mutations: tuple[Mutation, ...] = (),
        circumstances: tuple[Circumstance, ...] = (),
        updates: Mapping[str, Structure] | None = None,
        stored: tuple[Stored, ...] = (),
        modules: tuple[tuple[str, torch.nn.Module], ...] = (),
        twins: Mapping[Way, frozenset[Way]] | None = None,
    ) -> None:
        super().__init__(
            graph,
            outputs,
            diagnostics,
            lengths,
            mutations,
            circumstances,
            updates,
            torch_facts(),
        )
        self.state = dict(state)
        self.inputs = inputs
        self.function = function
        # The inputs of the trace belong to the caller, who may let them go.
        self._traced_with: tuple[weakref.ref[torch.Tensor], ...] | None = None
        self._dynamic: Dynamic = None
        self._asked_depth: str | None = None
        self._is_functional = False
        self._private: dict[int, Any] = {}  # the constants that nobody else has, by their id
        self.stored = stored
        self.torch_version = str(torch.__version__)
        self._twins = twins or {}
        self._held = HeldState(graph, self.state, modules)
        self._training = ModesOfModules()

    @classmethod
    def _of(
        cls, captured: Capture, function: Callable[..., Any], dynamic: Dynamic, depth: str | None
    ) -> TracedProgram:
        mutations: tuple[Mutation, ...] = ()
        if captured.force_outplace:
            mutations = functionalize(captured.graph, captured.memories)
        program = cls(
            captured.graph,
            captured.objects,
            captured.inputs,
            captured.outputs,
            captured.diagnostics,
            tuple(node for node in captured.lengths if node.block is not None),
            function,
            mutations,
            captured.circumstances,
            captured.updates,
            captured.stored,
            captured.modules,
            captured.twins,
        )
        program._traced_with = tuple(map(weakref.ref, captured.leaves))
        program._dynamic = dynamic
        program._asked_depth = depth
        program.depth = captured.depth.value
        program._is_functional = captured.force_outplace
        program._training = captured.training
        program.claim(name for name in captured.private if name in captured.objects)
        return program

    @property
    def twins(self) -> Mapping[Way, frozenset[Way]]:
        """The ways to objects among the arguments that the program changes, each with all to that object."""
        return self._twins

    @property
    def _inputs(self) -> Inputs:
        return self.inputs

    @property
    def private(self) -> tuple[str, ...]:
        """The names of the constants whose memory nobody else has."""
        return tuple([name for name, kept in self.state.items() if id(kept) in self._private])

    def claim(self, names: Iterable[str]) -> None:
        """Take note that nobody else has the memory of some constants."""
        self._private.update((id(self.state[name]), self.state[name]) for name in names)

    @contextmanager
    def _equipped(self, passes: Sequence[Pass]) -> Iterator[list[Pass]]:
        tensors = StateTensors(self.state, self._private, self.graph.modes, type_of_tensor, apart)
        with super()._equipped(passes) as equipped:
            yield [pass_.with_tensors(tensors) for pass_ in equipped]
        known = {circumstance.text for circumstance in self.circumstances}
        self.circumstances += tuple(c for c in tensors.circumstances if c.text not in known)

    def _forget_derived(self) -> None:
        super()._forget_derived()
        for derived in ("_compiled", "_steps", "_bundled"):
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

    def copy(self) -> TracedProgram:
        """Return the program with a graph of its own, for passes to change; its tensors are the same.

        Operators that were folded can be unfolded in the original only.
        """
        copied = copy.copy(self)
        copied.graph = self.graph.copy()
        copied.state = dict(self.state)
        copied._private = dict(self._private)
        ours, theirs = (
            [n for part in (graph, *graph.functions.values()) for n in part.walk()]
            for graph in (self.graph, copied.graph)
        )
        twins = dict(zip(ours, theirs, strict=True))
        copied._lengths = tuple(twins[node] for node in self._lengths if node in twins)
        copied._folded = ()
        copied._forget_derived()
        return copied

    def type_of(self, tensor: torch.Tensor) -> TensorType:
        """Return the type of a tensor as graphs tell it."""
        return type_of_tensor(tensor)

    def input_dimensions(self) -> list[tuple[str, frozenset[int]] | None]:
        """Return a name per input of the graph, and which of its sizes may differ; None for a tuple."""
        leaves = iter(zip(self.inputs.names, self.inputs.dimensions, strict=True))
        found: list[tuple[str, frozenset[int]] | None] = []
        for value in self.graph.inputs:
            parts = list(islice(leaves, sum(1 for _ in flat_types([value.type]))))
            is_tuple = isinstance(value.type, TupleType)
            found.append(None if is_tuple else (parts[0][0], frozenset(parts[0][1])))
        return found

    @cached_property
    def _steps(self) -> SteppedGraph:
        bindings = ExactBindings(torch_literal)
        return compile_steps(self.graph, self.state, bindings, self._dimension_names())

    @property
    def code(self) -> str:
        """The Python function that a replay runs."""
        return self._compiled.source

    def contents(self, *, with_state: bool) -> tuple[Contents, Data | None]:
        """Return what a file is to hold of the program, and the data of its tensors.

        Raises:
            FormatError: a tensor of its state cannot come back exactly.
        """
        return contents_of(self, with_state=with_state)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the program. Inside a trace that is one ``prim::call`` of it.

        What the program writes to its arguments and state, the replay writes too. If the graph is
        functional, that happens when it has run, with the contents that ``mutations`` lists.

        Raises:
            InputError: the arguments do not fit those that the program was traced with.
            GuardError: the program would go another way than it went at the trace, or the model holds
                other parameters and buffers by now, or the same in another dtype or shape.
        """
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
        if self.mutations or self._has_objects or self._bundled is not None:
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
        self._require_same_surroundings()

        def run(*args: torch.Tensor) -> tuple[Any, ...]:
            with plain_calls():
                return function(*args)

        results = run_recorded(self, list(args), run)
        self._training.set()
        return self.outputs.build(results)

    def _call(
        self, compiled: CompiledGraph, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        leaves, finish = self._begin(args, kwargs)
        return finish(run_recorded(self, list(leaves), lambda *leaves: self._run(compiled, leaves)))

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

    def _begin(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Callable[[tuple[Any, ...]], Any]]:
        """Check a call; return what the graph takes, and what makes the program's output of its results."""
        self._require_same_surroundings()
        leaves = self.inputs.leaves(args, kwargs)
        arguments: dict[str, Any] = {}
        objects: dict[Hashable, Any] = {}
        if self._has_objects:
            arguments = self.inputs.arguments.bind(args, kwargs)
            objects = self._objects(arguments)

        write_back: WriteBack | None = None
        if self.mutations:
            write_back = WriteBack(self.mutations, leaves, self.inputs.names, self.state)
            leaves = write_back.arguments()

        def finish(results: tuple[Any, ...]) -> Any:
            if write_back is not None:
                results = tuple(write_back.write(results, self.graph.outputs))
            self._training.set()
            if self._has_objects:
                return self._updated(results, arguments, objects)
            return self.outputs.build(results)

        return leaves, finish

    def _require_same_surroundings(self) -> None:
        self._require_circumstances()
        changed = self._held.failing()
        if changed is not None:
            raise GuardError(f"this run cannot follow the trace: {changed}")

    def _objects(self, arguments: Mapping[str, Any]) -> dict[Hashable, Any]:
        """Return the objects among the arguments of a replay by the ways to them.

        Raises:
            InputError: one that the program changes stands in two places, or not, as it did not at the trace.
        """
        spec = self.inputs.structure
        objects: dict[Hashable, Any] = {w: whole for w, whole, _ in objects_in(spec, arguments)}
        unlike = unlike_twins(self._twins, objects)
        if unlike is None:
            return objects
        one, other = (way_text(spec, way) for way in unlike)
        are_one = objects[unlike[0]] is objects[unlike[1]]
        now, then = ("one object", "two") if are_one else ("two objects", "one")
        raise InputError(
            f"inputs {one} and {other} are {now} now and were {then} when the program was traced, which "
            "changes what they hold\n  pass them as they were, or trace again with these"
        )

    def _updated(
        self, results: Sequence[Any], arguments: Mapping[str, Any], objects: dict[Hashable, Any]
    ) -> Any:
        """Change the caller's arguments, and what the program holds, as it does; return what it returns."""
        count = len(self.outputs.leaf_paths())
        held = iter(results[count:])
        for name, structure in self.updates.items():
            update(structure, arguments[name], held, objects)
        for stored in self.stored:
            stored.store(held, objects)
        return update(self.outputs, None, iter(results[:count]), objects)

    @cached_property
    def _has_objects(self) -> bool:
        """Whether arguments or held objects change, or what the program returns has an object of theirs."""
        return bool(self.updates or self.stored) or speaks_of_objects(self.outputs)

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

    def _run(self, compiled: CompiledGraph, leaves: Sequence[Any]) -> tuple[Any, ...]:
        bundled = self._bundled
        try:
            with plain_calls():
                results = compiled.function(*self._given(leaves))
                return results if bundled is None else tuple(flattened(bundled[1], results))
        except ValueError as error:
            explained = self.explained(compiled, error)
            if explained is error:
                raise
            raise explained from error

    def run(
        self, *args: Any, keep: Iterable[Keep] | Keep = (), copy: bool = True, **kwargs: Any
    ) -> RunResult:
        """Replay the program as a call does, and keep some of the values that it makes.

        Args:
            args: what the program takes, as are ``kwargs``.
            keep: names of values, ``"%attn"``; source lines, ``"model.py:41"``, for all tensors made there,
                or of a line that only calls functions what these return; patterns of scopes, ``"layer1.*"``,
                for the results of each; or functions that tell for each node whether its tensors are kept.
            copy: whether copies are kept, without a history for gradients, so that what the program later
                writes to a value does not show. Otherwise it is the very tensors.
            kwargs: keyword arguments.

        Raises:
            GuardError: the program would go another way than it went at the trace.
            InputError: the arguments do not fit those that the program was traced with.
            ReplayError: nothing in the program is called so, and the message says what is near; or a trace is
                running.
        """
        return run_keeping(
            self._steps, keep, lambda compiled: self._call(compiled, args, kwargs), copy=copy
        )

    def profile(self, *args: Any, repeats: int = 5, **kwargs: Any) -> Profile:
        """Measure how long each node takes: the median over some runs, after a first one.

        Each run is from the same state, on copies of the arguments, and afterwards model, gradients and
        random number generators are as before. Meanwhile a copy of parameters, buffers and inputs is held.

        Args:
            args: what the program takes, as are ``kwargs``; without any, the inputs of the trace are taken,
                if they still exist.
            repeats: the number of runs that count.
            kwargs: keyword arguments.

        Raises:
            GuardError: the program would go another way than it went at the trace.
            InputError: the arguments do not fit, or ``repeats`` is no number of runs.
            ReplayError: there are no inputs to run it on, or a trace is running.
        """
        return profile_of(self._steps, lambda: self._runs(args, kwargs), repeats)

    def statistics(self, *args: Any, **kwargs: Any) -> Statistics:
        """Run the program once and return what the floating-point numbers that each node made are like.

        Model, inputs and random number generators are left as they were, as :meth:`profile` does.

        Args:
            args: what the program takes, as are ``kwargs``; without any, the inputs of the trace are taken,
                if they still exist.
            kwargs: keyword arguments.

        Raises:
            GuardError: the program would go another way than it went at the trace.
            InputError: the arguments do not fit those that the program was traced with.
            ReplayError: there are no inputs to run it on, or a trace is running.
        """
        return statistics_of(self._steps, lambda: self._runs(args, kwargs))

    def _runs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Runs:
        """Return what runs the program again and again from the same state."""
        if not args and not kwargs and self.inputs.names:
            args, kwargs = self._inputs_of_trace()
        function = _nothing if self.function is None else self.function
        with unrecorded():
            kept = KeptArguments(args, kwargs, own_tensors(function, self.state))
            runs = Runs(self._subject(function), kept, 0)
        runs.require_fit()
        return runs

    def graph_inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the inputs that the graph would run on in a call.

        Raises:
            InputError: the arguments do not fit those that the program was traced with.
        """
        return tuple(self._given(self.inputs.leaves(args, kwargs)))

    def explained(self, compiled: CompiledGraph, error: ValueError) -> Exception:
        """Return the error for a list that a node gave in another length than it did at the trace.

        That is ``error`` itself if it says something else.
        """
        names, nodes = self._dimension_names(), compiled.nodes
        return length_error(self.graph, nodes, names, compiled.filename, error) or error

    def check(
        self,
        *more_inputs: Any,
        kwargs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        gradients: bool | int = False,
        rtol: float = 0.0,
        atol: float = 0.0,
    ) -> CheckReport:
        """Compare the replay with the program itself, run eagerly, and return a report.

        Both run on copies of the inputs, in the caller's modes, from the same state and with the same
        random numbers; what they return, what they write into inputs and state, and gradients if asked
        for, must be equal bit by bit. The program is traced once more as well, to find out whether it
        does the same each time. Afterwards model, gradients and random number generators are as before.
        Meanwhile a copy of the program's parameters, buffers and inputs is held. Random numbers are
        torch's default generators', so nobody else may draw from them at the same time.

        Args:
            more_inputs: sets of inputs, each as ``trace`` takes them: a tuple of positional arguments;
                anything else is the only one. Without any, the inputs of the trace are taken, as they
                are now, if they still exist.
            kwargs: keyword arguments for all sets; or a sequence with those of each set.
            gradients: whether to compare the gradients of differentiable inputs and parameters; 2 also
                compares those of the gradients, and so on.
            rtol: relative difference that floating-point numbers may have.
            atol: absolute difference that they may have.

        Raises:
            CheckError: something differs, and the message says what and where first; or the program
                itself fails on the inputs.
            InputError: the inputs do not fit the traced program.
            ReplayError: there is no program to run, or there are no inputs to run it on.
        """
        subject = self._subject(self._required_function())
        sets = list(_input_sets(more_inputs, kwargs))
        if not sets:
            sets = [self._inputs_of_trace()]
        own = own_tensors(subject.function, subject.state)
        with unrecorded():
            kept = [KeptArguments(args, keywords, own) for args, keywords in sets]
        return self._require_equal(subject, kept, gradients, Tolerance(rtol, atol))

    def _require_equal(
        self, subject: Subject, sets: list[KeptArguments], gradients: int, tolerance: Tolerance
    ) -> CheckReport:
        report = check_program(subject, sets, int(gradients), tolerance)
        if not report:
            raise CheckError(str(report), report)
        return report

    def _required_function(self) -> Callable[..., Any]:
        if self.function is None:
            raise ReplayError(
                f"{self.graph.name} was not traced in this process, so there is no program to check it "
                "against\n  call trace() with the program and compare the two graphs"
            )
        return self.function

    def _subject(self, function: Callable[..., Any]) -> Subject:
        return Subject(
            function,
            self.graph,
            self.state,
            self.inputs,
            self,
            self._call,
            bool(self.updates),
            self.stored,
            self._dynamic,
            self._asked_depth,
            bool(self._folded),
        )

    def _inputs_of_trace(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        leaves = [reference() for reference in self._traced_with or ()]
        if self._traced_with is None or any(leaf is None for leaf in leaves):
            raise ReplayError(
                f"the inputs that {self.graph.name} was traced with are gone\n"
                "  pass inputs: traced.check((x,)), traced.profile(x); or check while tracing:"
                " opscope.trace(..., check=True)"
            )
        return self.inputs.arguments.unbind(self.inputs.structure.build(leaves))

    def state_notes(self) -> dict[str, str]:
        """Return mean, deviation and range of the tensors of the state, by name, in a line each."""
        with apart():
            return state_notes(self.state)

    def summary(self, *, at: Sizes | None = None, **options: Any) -> Summary:
        """Return what the program computes, moves and keeps: FLOPs, bytes, parameters and memory.

        Args:
            at: other sizes of inputs than those of the trace: ``{"x": (8, 128)}``, ``{"x": {0: 8}}``, or, by
                the name that ``dynamic=`` gave to a dimension, ``{"batch": 8}``. The program is traced anew
                with inputs of these sizes, as it is now and without computing.
            options: those of :func:`opscope.summarize`: ``by``, ``depth``, ``sort``, ``top``, ``fold`` and
                ``width``.

        Raises:
            CaptureError: the program cannot be traced without data.
            GuardError: what around the program decides which way it goes is not as it was.
            InputError: no input can have these sizes.
            ReportError: an option is not as it should be, or a FLOP formula failed; or the graph was read
                from text, and there is no program to trace at other sizes.
        """
        return summarize(self.graph if at is None else self._traced_at(at).graph, **options)

    def _traced_at(self, sizes: Sizes) -> TracedProgram:
        """Return the program traced with inputs of other sizes, in the modes of the trace."""
        if self.function is None:
            raise ReportError(
                f"{self.graph.name} was not traced in this process, so its sizes are those that it has\n"
                "  trace the program, with inputs of the sizes that matter if it is not this one"
            )
        with ExitStack() as modes:
            for _, enter in mode_contexts(ModeReader().read(), self.graph.modes):
                modes.enter_context(enter())
            leaves = inputs_at(self.inputs, sizes, torch_literal)
            args, kwargs = self.inputs.arguments.unbind(self.inputs.structure.build(leaves))
            self._require_circumstances()
            try:
                captured = capture(
                    self.function,
                    args,
                    kwargs,
                    dynamic=self._dynamic,
                    warn=False,
                    fake=True,
                    force_outplace=self._is_functional,
                    run_blocks=run_blocks,
                    depth=self._asked_depth,
                )
            except Exception as error:
                error.add_note(
                    "For a summary at other sizes the program is traced anew without data."
                )
                raise
        return TracedProgram._of(captured, self.function, self._dynamic, self._asked_depth)

    def _require_circumstances(self) -> None:
        for circumstance in self.circumstances:
            failing = circumstance.failing()
            if failing is not None:
                raise circumstance_error(circumstance, failing)


def _nothing() -> None:
    """Stand for the program where there is only its graph, which knows its state."""


def trace(
    function: Callable[..., Any],
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic: Dynamic = None,
    strict: bool = False,
    warn: bool = True,
    fake: bool = False,
    allow: Iterable[DiagnosticKind | str] = (),
    check: bool = False,
    force_outplace: bool = False,
    depth: Literal["flat", "deep"] | None = None,
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
            model and its optimizers are left as they were. Model and inputs may be real, on the meta device,
            or fake; the graph is that of a run with real tensors, and a program traced from a real model
            replays on them. ``docs/fake.md`` says where a backward pass goes another way.
        allow: kinds of diagnostics that you expect, such as ``{"data read"}``: they are listed, and
            neither warned about nor errors.
        check: whether to run the program again and compare, on these inputs as they were before the
            trace; see :meth:`TracedProgram.check`, which can do more.
        force_outplace: whether writes to memory become values, so that the graph is functional; what
            the program writes to inputs and state are further outputs then, see ``mutations``. Sizes
            are those of the trace.
        depth: "flat", where a composite operator such as ``aten::linear`` is one node; or "deep", where
            what it calls stands in a scope of its own, so that a backward pass inside the program finds
            all that it reads. Sizes are fixed by operators that are traced through. None, the default,
            is deep if a backward pass runs, and flat else; that one may run is told from the code that
            the program can reach, which names it.

    Raises:
        CheckError: ``check`` found a difference.
        CaptureError: the program cannot be traced; or not exactly, and ``strict`` or a replay would be
            wrong for the very inputs of the trace.
        PassError: ``force_outplace``, and a write cannot be made a value.
        UnsupportedTorchError: the installed torch cannot be captured on.
    """
    args = inputs if type(inputs) is tuple else (inputs,)
    if fake and check:
        raise CheckError(
            "a fake trace computes nothing that could be checked\n"
            "  call check() of the traced program with real inputs"
        )
    before = _kept_arguments(function, args, kwargs or {}) if check else None
    captured = capture(
        function,
        args,
        kwargs,
        dynamic=dynamic,
        strict=strict,
        warn=warn,
        fake=fake,
        allow=allow,
        force_outplace=force_outplace,
        run_blocks=run_blocks,
        depth=depth,
    )
    traced = TracedProgram._of(captured, function, dynamic, depth)
    if before is not None:
        traced._require_equal(traced._subject(function), [before], 0, Tolerance())
    if fake:
        traced._traced_with = None  # its tensors are of the fake world
    return traced


def _input_sets(
    more_inputs: tuple[Any, ...], kwargs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
) -> Iterator[tuple[tuple[Any, ...], Mapping[str, Any]]]:
    """Yield positional and keyword arguments of each set of inputs."""
    if kwargs is None or isinstance(kwargs, Mapping):
        keywords = [kwargs or {}] * max(len(more_inputs), 1 if kwargs else 0)
    else:
        keywords = list(kwargs)
    inputs = more_inputs or ((),) * len(keywords)
    if len(inputs) != len(keywords):
        raise InputError(
            f"{len(inputs)} sets of inputs and {len(keywords)} of keyword arguments do not pair up"
        )
    for each, named in zip(inputs, keywords, strict=True):
        yield (each if type(each) is tuple else (each,)), named


def _kept_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> KeptArguments:
    """Return the arguments of a trace as they are before it."""
    with unrecorded():
        return KeptArguments(args, kwargs, own_tensors(function, {}))


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
    pass_ = Functionalize(torch_facts(), {} if memories is None else memories)
    return pass_.run(graph).mutations


def torch_facts() -> MetaFacts:
    """Return what answers the questions of passes about operators of the torch that runs."""
    return MetaFacts(torch_literal)


@cache
def operator_named(name: str) -> Operator:
    """Return the operator of a qualified name as torch's schemas describe it.

    A name that neither torch nor opscope knows gives an operator of unknown effect.
    """
    own = OWN_OPERATORS.get(name) or scalar_named(name) or higher_order_named(name)
    if own is not None:
        return own
    overload = find_overload(name)
    return unknown_operator(name) if overload is None else operator_of(overload)


def parse(text: str) -> Graph:
    """Read a graph from its text, with operators as torch's schemas describe them.

    Raises:
        ParseError: the text is not a graph; the message points at the line and column.
    """
    return parse_graph(text, operator_named)


def rewrite_rule(
    before: str | Callable[..., Any], after: str | Callable[..., Any], **options: Any
) -> Rule:
    """Make a rule for :class:`RewriteRules`: a pattern of nodes, and what comes in its place.

    Both are a graph's text, whose inputs are what is captured, or a function that calls ``op``. Operators are
    those of the torch that runs, which is asked for the types of what a replacement makes; see
    ``docs/writing_passes.md``.

    Args:
        before: the pattern.
        after: the replacement.
        options: those of ``opscope.passes.patterns.rewrite_rule``: ``name``, ``captures``, ``where``,
            ``commutative``, ``is_same_object``, ``draws_nothing``, ``keeps_inner`` and ``asks_types``.

    Raises:
        PassError: one of the two cannot be read, or the two do not fit each other.
    """
    facts = torch_facts()
    return rule_for(before, after, **{"operators": operator_named, "facts": facts, **options})
