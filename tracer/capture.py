"""Capture: run a program once and return the graph of what it did."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch._subclasses import FakeTensor

from ..errors import CaptureError
from ..ir import Graph, Node, TensorType, Value
from ..ir.conditions import Circumstance
from ..ir.identities import Identities, Way
from ..ir.structure import Structure, take_apart
from ..ir.updates import Stored
from .active import Depth, tracing
from .diagnostics import Diagnostic, DiagnosticKind, allowed_kinds, conclude
from .dispatch.dispatcher import kernels, recording, without_hooks
from .dispatch.memories import shared_memories
from .dispatch.modes import ModeReader
from .dispatch.tensors import PLAIN_CLASSES, type_of_tensor
from .effects import Before
from .fake.errors import explained, refusal
from .fake.world import FakeWorld
from .naming import identifier, name_values, program_name
from .numbers.ragged import number_ragged_sizes
from .numbers.settling import settle
from .numbers.sizes import Dynamic, varying_dimensions
from .observed import Observer
from .outcome import Outcome, set_outcome
from .partial import keep_partial_run
from .program.circumstances import ModesOfModules
from .program.foresight import may_run_backward
from .program.inputs import Arguments, InputSpec, input_leaves, input_names, is_opaque, is_tensor
from .program.program_state import root_module
from .program.stores import Comparison, circumstances
from .recorders.facts import hold_requires_grad
from .state import RunBlocks, TracingState

_NOT_PLAIN = (
    "While a program is traced, sizes and items of tensors, and what optimizers hold, are numbers that the\n"
    "graph knows, which C code may not take for Python's own. Pass int(n) or float(n) there."
)


@dataclass(frozen=True, slots=True)
class Options:
    """How a program is captured; see :func:`capture`."""

    dynamic: Dynamic
    strict: bool
    warn: bool
    allowed: frozenset[DiagnosticKind]
    force_outplace: bool = False
    run_blocks: RunBlocks | None = None
    depth: Depth = Depth.FLAT


@dataclass(frozen=True, slots=True)
class Capture:
    """What one run of a program gave.

    Attributes:
        graph: every operator of the run.
        objects: the tensors and objects behind the graph's state, by name.
        inputs: what the program takes.
        outputs: the structure of what it returns; its leaves are the graph's outputs.
        lengths: the nodes that give a list whose length could be another at another run.
        diagnostics: what could not be recorded exactly.
        leaves: the tensors among the arguments, in the order of the graph's inputs.
        results: the tensors that the run returned.
        force_outplace: whether the graph is to be made functional.
        circumstances: what around the program decided which way it went.
        memories: a number per input and state value; those that share memory have one number.
        updates: the structures of the arguments in which the program changed something, by name.
        stored: what the program put into the objects that it holds.
        modules: the modules of the program, with their paths.
        training: which modules the program left training, and which not.
        twins: the ways to objects among the arguments that changed, each with all ways to that object.
        depth: what became of composite operators.
        private: names of the constants whose memory nobody else has.
    """

    graph: Graph
    objects: dict[str, Any]
    inputs: InputSpec
    outputs: Structure
    lengths: tuple[Node, ...]
    diagnostics: tuple[Diagnostic, ...]
    leaves: tuple[torch.Tensor, ...] = field(repr=False)
    results: tuple[torch.Tensor, ...] = field(repr=False)
    force_outplace: bool = False
    circumstances: tuple[Circumstance, ...] = ()
    memories: Mapping[Value, int] = field(default_factory=dict)
    updates: Mapping[str, Structure] = field(default_factory=dict)
    stored: tuple[Stored, ...] = ()
    modules: tuple[tuple[str, torch.nn.Module], ...] = field(default=(), repr=False)
    training: ModesOfModules = field(default=ModesOfModules(), repr=False)
    twins: Mapping[Way, frozenset[Way]] = field(default_factory=dict)
    depth: Depth = Depth.FLAT
    private: tuple[str, ...] = ()


def capture(
    function: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic: Dynamic = None,
    strict: bool = False,
    warn: bool = True,
    fake: bool = False,
    allow: Iterable[DiagnosticKind | str] = (),
    observe: Observer | None = None,
    force_outplace: bool = False,
    run_blocks: RunBlocks | None = None,
    depth: str | None = None,
) -> Capture:
    """Run ``function`` once and record every operator.

    Args:
        function: a module, a method of one, a function, or any other callable.
        args: positional arguments.
        kwargs: keyword arguments.
        dynamic: which sizes of the inputs may vary at a replay: all that the program does not pin
            (None), none (False), or those named by input and dimension.
        strict: whether something that cannot be recorded exactly is an error.
        warn: whether it is a warning otherwise.
        fake: whether nothing is computed: see Note [The fake world] in ``fake/world.py``.
        allow: kinds of diagnostics that are neither warned about nor errors.
        observe: is told of every operator that was recorded.
        force_outplace: whether the graph is to be made functional; the program may say so itself.
            Sizes are plain numbers then: where elements lie in memory depends on them.
        run_blocks: runs operators on functions made of blocks.
        depth: "flat", or "deep", with what composite operators call in place of them; None is deep if a
            backward pass runs that the program's code lets expect, and flat else.

    Raises:
        CaptureError: the program cannot be traced; or not exactly, and ``strict`` or a replay would be
            wrong for the very inputs of the trace.
        TypeError: ``function`` cannot be called, or not with these arguments.
    """
    if not callable(function):
        raise CaptureError(
            f"a module or function is needed to trace, not {type(function).__qualname__}"
        )
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise CaptureError(
            f"keyword arguments come as a mapping, and this is {type(kwargs).__qualname__}\n"
            "  pass several positional arguments as one tuple: opscope.trace(function, (x, y))"
        )
    if force_outplace:
        _require_fixed(dynamic is not None and dynamic is not False)
        dynamic = False
    kwargs = {} if kwargs is None else kwargs
    options = Options(
        dynamic,
        strict,
        warn,
        allowed_kinds(allow),
        force_outplace,
        run_blocks,
        _chosen_depth(function, (*args, *kwargs.values()))
        if depth is None
        else _depth_named(depth),
    )
    run = _capture_fake if fake else functools.partial(_capture, observe=observe)
    captured = run(function, args, kwargs, options)
    conclude(captured.diagnostics, options.allowed, strict=strict, warn=warn)
    return captured


def _capture_fake(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Options,
) -> Capture:
    """Capture in a fake world, and make the result stand for the real one."""
    try:
        # A trace around this one is of a program that computes; it does not see what happens here.
        with recording(kernels(), None):
            world = FakeWorld(function, args, kwargs)
        with recording(kernels(), None), world.entered():
            captured = _capture(function, world.args, world.kwargs, options)
    except Exception as error:
        explanation = explained(error)
        if explanation is not None:
            raise explanation from error
        note = refusal(error)
        if note is not None:
            error.add_note(note)
        raise
    named = [
        None if kept is None else (kept[0], world.real(kept[1])) for kept in captured.inputs.state
    ]
    return replace(
        captured,
        objects={name: world.real(kept) for name, kept in captured.objects.items()},
        inputs=replace(captured.inputs, state=tuple(named)),
        stored=tuple(replace(each, place=each.place.of(world.real)) for each in captured.stored),
        circumstances=(
            *(circumstance.of(world.real) for circumstance in captured.circumstances),
            *world.without_data(captured.objects),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Begun:
    """A trace whose program is about to run.

    Attributes:
        state: the trace.
        inputs: what the program takes.
        bound: its arguments, by name.
        leaves: the tensors among them.
        identities: which objects among arguments and results are one.
        before: what the program could change, as it was.
    """

    state: TracingState
    inputs: InputSpec
    bound: dict[str, Any]
    leaves: list[torch.Tensor]
    identities: Identities
    before: Before


def _capture(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Options,
    observe: Observer | None = None,
) -> Capture:
    # What we read of tensors must not call the hooks of their classes, nor modes around the trace.
    with without_hooks():
        begun = _begin(function, args, kwargs, options)
    state = begun.state
    try:
        with state.followed.followed():
            result = _run(state, function, args, kwargs, observe, options.depth)
            with without_hooks():
                compared = state.kept.held.compare()
        if state.force_outplace:
            state.functions.dissolve_all(state)
            _require_fixed(any(begun.inputs.dimensions))
            _require_told_effects(state)
        state.sizes.hold_contiguity()
        with without_hooks():
            outcome = _set_outcome(begun, result, compared)
            results = tuple(take_apart(result, is_tensor, is_opaque)[0])
            del result
            lengths = _varying_lengths(state)
    except TypeError as error:
        if state.numbers.seen:
            error.add_note(_NOT_PLAIN)
        raise
    finally:
        state.kept.on_module = None
        state.followed.settle()
        state.numbers.forget()
        state.sizes.forget()
        settle(state.numbers)
    with without_hooks():
        inputs = _settled_inputs(begun)
        _report_left(begun, outcome, compared)
        memories = (
            shared_memories(state.graph, begun.leaves, state.kept.objects)
            if state.force_outplace
            else {}
        )
    return Capture(
        state.graph,
        state.kept.objects,
        inputs,
        outcome.outputs,
        lengths,
        state.diagnostics.all(),
        tuple(begun.leaves),
        results,
        state.force_outplace,
        state.circumstances.all(),
        memories,
        outcome.updates,
        outcome.stored,
        tuple(state.kept.modules()),
        state.circumstances.training(),
        begun.identities.twins(),
        Depth.DEEP if state.is_deep else Depth.FLAT,
        tuple(state.kept.private),
    )


def _begin(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Options,
) -> _Begun:
    """Look at a program and its arguments before it runs."""
    arguments = Arguments(function, args, kwargs)
    bound = arguments.bind(args, kwargs)
    leaves, structure = input_leaves(bound)
    state = TracingState(
        Graph(program_name(function), ModeReader().read()),
        function,
        strict=options.strict,
        warn=options.warn,
        allowed=options.allowed,
        force_outplace=options.force_outplace,
    )
    if options.run_blocks is not None:
        state.run_blocks = options.run_blocks
    inputs = _add_inputs(state, arguments, structure, leaves, options.dynamic)
    identities = Identities(structure, bound)
    state.kept.exclude_arguments(bound)
    before = Before(state, function, bound, leaves, structure)
    state.kept.on_module = before.note_module
    return _Begun(state, inputs, bound, leaves, identities, before)


def _run(
    state: TracingState,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    observe: Observer | None,
    depth: Depth,
) -> Any:
    """Run the program; where it fails, what ran of it goes with the error."""
    try:
        state.walker.enter(sys._getframe(0), root_module(function))
        try:
            with tracing(state, observe, depth):
                result = function(*args, **kwargs)
        finally:
            state.walker.leave()
    except Exception as error:
        keep_partial_run(error, state.graph, state.failed)
        name_values(state)
        raise
    state.failed.erase()
    return result


def _set_outcome(begun: _Begun, result: Any, compared: Comparison) -> Outcome:
    """Make the graph's outputs of what the program returned, and of what it left in objects."""
    state = begun.state
    changed = {
        name: (begun.bound[name], owners)
        for name, owners in begun.before.changed_arguments().items()
    }
    state.followed.record(compared)
    outcome = set_outcome(
        state, result, changed, begun.inputs.structure, compared.stores, begun.identities
    )
    state.followed.forget_unused()
    return outcome


def _varying_lengths(state: TracingState) -> tuple[Node, ...]:
    """Return the nodes that give a list whose length could be another at another run."""
    return tuple(
        [
            node
            for node in state.graph.walk()
            if node.gives_lists and state.sizes.length_may_vary(node)
        ]
    )


def _settled_inputs(begun: _Begun) -> InputSpec:
    """Return what the program takes, as its run has turned out to need it."""
    state, inputs = begun.state, begun.inputs
    if state.subclasses.ragged:
        number_ragged_sizes(state.graph)
        inputs = replace(inputs, types=_input_types(state.graph))
    if state.inputs_as_traced:
        inputs = replace(inputs, is_exact=True)
        for entry in state.graph.state.values():  # values made of them require gradients as they do
            hold_requires_grad(state, entry, lambda: None)
    return inputs


def _report_left(begun: _Begun, outcome: Outcome, compared: Comparison) -> None:
    """Report what the program has changed that a replay does not, and note what it went by."""
    state = begun.state
    begun.before.report_changes(outcome.updates, compared)
    for _, name, change in compared.others:
        state.report(DiagnosticKind.CHANGED_OBJECT, f"{name} {change}", None, None)
    state.circumstances.include(tuple(circumstances(compared.stores)))
    for name in state.kept.hold_by_place(compared):
        message = (
            f"{name} is held in more than one place, and the program puts another tensor in one of "
            "them; a replay reads the tensor of the trace"
        )
        state.report(DiagnosticKind.CHANGED_OBJECT, message, None, None)
    state.circumstances.include(tuple(state.kept.optimizer_circumstances(compared.stores)))


def _chosen_depth(function: Callable[..., Any], arguments: Iterable[Any]) -> Depth:
    """Return the depth for a program of which nobody has said one."""
    if may_run_backward(function, arguments):
        return Depth.DEEP_FOR_BACKWARD
    return Depth.FLAT


def _depth_named(name: str) -> Depth:
    known = {depth.value: depth for depth in (Depth.FLAT, Depth.DEEP)}
    if name not in known:
        raise CaptureError(f"depth= takes {' or '.join(map(repr, known))}, not {name!r}")
    return known[name]


def _require_fixed(varies: bool) -> None:
    """Refuse sizes that are data for a functional graph."""
    if varies:
        raise CaptureError(
            "a functional graph holds for the sizes it was traced with, and sizes are data in this trace\n"
            "  pass force_outplace=True to opscope.trace without dynamic; where the program asks for it "
            "itself, pass dynamic=False"
        )


def _require_told_effects(state: TracingState) -> None:
    """Refuse a program for a functional graph that wrote past the dispatcher, where no operator tells."""
    for diagnostic in state.diagnostics.all():
        if diagnostic.kind in (DiagnosticKind.UNTRACKED_EFFECT, DiagnosticKind.UNTRACKED_WRITE):
            raise CaptureError(f"the program cannot be made functional\n{diagnostic}")


def _add_inputs(
    state: TracingState,
    arguments: Arguments,
    structure: Structure,
    leaves: list[torch.Tensor],
    dynamic: Dynamic,
) -> InputSpec:
    """Add the graph's inputs; return what the program takes."""
    names = input_names(structure)
    dimensions = varying_dimensions(dynamic, names, [_rank(leaf) for leaf in leaves])
    state.sizes.may_be_data = any(dimensions) or any(leaf.is_nested for leaf in leaves)
    first: dict[int, int] = {}
    same_as: list[int | None] = []
    for position, (leaf, name) in enumerate(zip(leaves, names, strict=True)):
        value = state.graph.add_input(type_of_tensor(leaf), identifier(name))
        twin = first.setdefault(id(leaf), position)
        same_as.append(None if twin == position else twin)
        if twin == position:
            state.values.set(leaf, value)
            state.sizes.add_input(value, dimensions[position])
            state.inputs.append((leaf, value))
            if leaf.__class__ not in PLAIN_CLASSES:
                state.subclasses.note(leaf, value)
    known = map(state.kept.named, leaves)
    spec = InputSpec(
        arguments=arguments,
        structure=structure,
        names=tuple(names),
        types=_input_types(state.graph),
        dimensions=tuple(dimensions),
        same_as=tuple(same_as),
        state=tuple(
            None if own is None else (own, leaf) for own, leaf in zip(known, leaves, strict=True)
        ),
    )
    unequal = spec.unequal_names(leaves)
    if unequal is not None:
        raise CaptureError(f"{unequal}\n  give them different names in dynamic=")
    return spec


def _input_types(graph: Graph) -> tuple[TensorType, ...]:
    return tuple([value.type for value in graph.inputs if isinstance(value.type, TensorType)])


def _rank(leaf: torch.Tensor) -> int:
    """Return the number of dimensions that may vary: none for nested tensors and classes not torch's own."""
    if leaf.is_nested or leaf.is_mkldnn:
        return 0
    is_plain = leaf.__class__ in PLAIN_CLASSES or isinstance(leaf, FakeTensor)
    return leaf.dim() if is_plain else 0
