"""TracedProgram, what ``opscope.trace`` returns: the one place that composes the rooms."""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Never

import torch

from ..checking import CheckReport, KeptArguments, Runs, Subject, check_program, own_tensors
from ..errors import CaptureError, CheckError, InputError, ReplayError, ReportError
from ..ir import Graph, Node, TensorType, TupleType
from ..ir.conditions import Circumstance
from ..ir.files import Contents, Data
from ..ir.findings import Diagnostic, DiagnosticKind
from ..ir.identities import Way
from ..ir.mutation import Mutation
from ..ir.structure import Structure
from ..ir.tuples import flat_types
from ..ir.updates import Stored
from ..passes.base import Pass
from ..runtime import (
    StateTensors,
    Tolerance,
    mode_contexts,
    run_blocks,
    state_notes,
    torch_literal,
)
from ..tracer import (
    Capture,
    Dynamic,
    InputSpec,
    ModeReader,
    Sizes,
    apart,
    capture,
    inputs_at,
    type_of_tensor,
    unrecorded,
)
from .contents import contents_of
from .operators import functionalize, torch_facts
from .replayed import ReplayedProgram
from .running import Keep, RunResult, profile_of, run_keeping, statistics_of

if TYPE_CHECKING:
    from ..reports import Profile, Statistics, Summary


class TracedProgram(ReplayedProgram):
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
            state,
            inputs,
            outputs,
            diagnostics,
            lengths,
            mutations,
            circumstances,
            updates,
            stored,
            modules,
            twins,
            torch_facts(),
        )
        self.function = function
        # The inputs of the trace belong to the caller, who may let them go.
        self._traced_with: tuple[weakref.ref[torch.Tensor], ...] | None = None
        self._dynamic: Dynamic = None
        self._asked_depth: str | None = None
        self._is_functional = False
        self._private: dict[int, Any] = {}  # the constants that nobody else has, by their id
        self.torch_version = str(torch.__version__)

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

    def contents(self, *, with_state: bool) -> tuple[Contents, Data | None]:
        """Return what a file is to hold of the program, and the data of its tensors.

        Raises:
            FormatError: a tensor of its state cannot come back exactly.
        """
        return contents_of(self, with_state=with_state)

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
        from ..reports import summarize  # which a trace has no use for

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


def _nothing() -> None:
    """Stand for the program where there is only its graph, which knows its state."""


def trace(
    function: Callable[..., Any],
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *others: Never,
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
        others: nothing; several inputs are one tuple.
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
            wrong for the very inputs of the trace; or inputs are given one by one and not as a tuple.
        PassError: ``force_outplace``, and a write cannot be made a value.
        UnsupportedTorchError: the installed torch cannot be captured on.
    """
    if others or not (kwargs is None or isinstance(kwargs, Mapping)):
        raise CaptureError(_one_by_one(function, 2 + len(others)))
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


def _one_by_one(function: Callable[..., Any], count: int) -> str:
    """Return what to write where so many inputs were given one by one."""
    name = getattr(function, "__name__", "")
    name = name if name.isidentifier() else "model" if hasattr(function, "forward") else "function"
    try:
        known = list(inspect.signature(getattr(function, "forward", function)).parameters)
    except (TypeError, ValueError):  # as of what is written in C
        known = []
    inputs = ", ".join([*known, *(f"input{n}" for n in range(len(known) + 1, count + 1))][:count])
    return (
        "several inputs come as one tuple, and keyword arguments as a mapping after it\n"
        f"  opscope.trace({name}, ({inputs}))"
    )


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
