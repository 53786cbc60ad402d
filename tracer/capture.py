"""Capture: run a program once and return the graph of what it did."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch._subclasses import FakeTensor

from ..errors import CaptureError
from ..ir import Frame, Graph, Node, Scope, ScopeKind, TensorType, Value
from ..ir.conditions import Circumstance
from ..ir.identities import Identities, Way
from ..ir.own_operators import GRADIENT, MAKE_WRAPPER, WRAP
from ..ir.places import ABSENT
from ..ir.structure import Structure, take_apart
from ..ir.updates import Stored, with_kept_parts
from .active import Depth, tracing
from .diagnostics import Diagnostic, DiagnosticKind, Severity, allowed_kinds, conclude
from .dispatch.dispatcher import kernels, recording, without_hooks
from .dispatch.gradients import gradient_of
from .dispatch.memories import shared_memories
from .dispatch.modes import ModeReader
from .dispatch.number import Number, number_of
from .dispatch.tensors import PLAIN_CLASSES, type_of_tensor
from .effects import Before
from .fake.errors import explained, refusal
from .fake.world import FakeWorld
from .numbers.ragged import number_ragged_sizes
from .numbers.settling import settle
from .numbers.sizes import Dynamic, varying_dimensions
from .observed import Observer
from .partial import keep_partial_run
from .program.circumstances import ModesOfModules
from .program.foresight import may_run_backward
from .program.inputs import Arguments, InputSpec, input_leaves, input_names, is_opaque, is_tensor
from .program.program_state import root_module
from .program.stores import Store, circumstances
from .recorders.facts import hold_requires_grad
from .sources.variables import VariableNames
from .state import RunBlocks, TracingState, without_history

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


def _capture(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Options,
    observe: Observer | None = None,
) -> Capture:
    # What we read of tensors must not call the hooks of their classes, nor modes around the trace.
    with without_hooks():
        arguments = Arguments(function, args, kwargs)
        bound = arguments.bind(args, kwargs)
        leaves, structure = input_leaves(bound)
        graph = Graph(_program_name(function), ModeReader().read())
        state = TracingState(
            graph,
            function,
            strict=options.strict,
            warn=options.warn,
            allowed=options.allowed,
            force_outplace=options.force_outplace,
        )
        if options.run_blocks is not None:
            state.run_blocks = options.run_blocks
        spec = _add_inputs(state, arguments, structure, leaves, options.dynamic)
        identities = Identities(structure, bound)
        state.kept.exclude_arguments(bound)
        before = Before(state, function, bound, leaves, structure)
        state.kept.on_module = before.note_module
    try:
        with state.followed.followed():
            try:
                result = _run(state, function, args, kwargs, observe, options.depth)
            except Exception as error:
                keep_partial_run(error, graph, state.failed)
                _name_values(state)
                raise
            state.failed.erase()
            with without_hooks():
                compared = state.kept.held.compare()
        if state.force_outplace:
            state.functions.dissolve_all(state)
            _require_fixed(any(spec.dimensions))
            _require_told_effects(state)
        state.sizes.hold_contiguity()
        with without_hooks():
            changed = {
                name: (bound[name], owners) for name, owners in before.changed_arguments().items()
            }
            state.followed.record(compared)
            outputs, updates, stored = _finish(
                state, result, changed, structure, compared.stores, identities
            )
            state.followed.forget_unused()
            results = tuple(take_apart(result, is_tensor, is_opaque)[0])
            del result
            lengths = tuple(
                [
                    node
                    for node in graph.walk()
                    if node.gives_lists and state.sizes.length_may_vary(node)
                ]
            )
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
        if state.subclasses.ragged:
            number_ragged_sizes(graph)
            spec = replace(spec, types=_input_types(graph))
        if state.inputs_as_traced:
            spec = replace(spec, is_exact=True)
            for entry in graph.state.values():  # values made of them require gradients as they do
                hold_requires_grad(state, entry, lambda: None)
        before.report_changes(updates, compared)
        for _, name, change in compared.others:
            state.report(DiagnosticKind.CHANGED_OBJECT, f"{name} {change}", None, None)
        state.circumstances.include(tuple(circumstances(compared.stores)))
        memories = (
            shared_memories(graph, leaves, state.kept.objects) if state.force_outplace else {}
        )
        for name in state.kept.hold_by_place(compared):
            message = (
                f"{name} is held in more than one place, and the program puts another tensor in one of "
                "them; a replay reads the tensor of the trace"
            )
            state.report(DiagnosticKind.CHANGED_OBJECT, message, None, None)
        state.circumstances.include(tuple(state.kept.optimizer_circumstances(compared.stores)))
    found = state.diagnostics.all()
    return Capture(
        graph,
        state.kept.objects,
        spec,
        outputs,
        lengths,
        found,
        tuple(leaves),
        results,
        state.force_outplace,
        state.circumstances.all(),
        memories,
        updates,
        stored,
        tuple(state.kept.modules()),
        state.circumstances.training(),
        identities.twins(),
        Depth.DEEP if state.is_deep else Depth.FLAT,
        tuple(state.kept.private),
    )


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


def _run(
    state: TracingState,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    observe: Observer | None,
    depth: Depth,
) -> Any:
    state.walker.enter(sys._getframe(0), root_module(function))
    try:
        with tracing(state, observe, depth):
            return function(*args, **kwargs)
    finally:
        state.walker.leave()


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
        value = state.graph.add_input(type_of_tensor(leaf), _identifier(name))
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


def _finish(
    state: TracingState,
    result: Any,
    changed: Mapping[str, tuple[Any, list[Any]]],
    inputs: Structure,
    stores: Sequence[Store],
    identities: Identities,
) -> tuple[Structure, dict[str, Structure], tuple[Stored, ...]]:
    """Give the graph its outputs, names and diagnostics.

    Returns the structure of what the program returns, of what it made of the arguments in which it changed
    something, and what it put into the objects that it holds.
    """

    def is_whole(part: Any) -> bool:
        return is_opaque(part) or state.function_values.get(part) is not None

    held, updates = _updates(changed, inputs, is_whole, identities)
    stored = []
    for store in stores:
        own, left = take_apart(store.content, is_tensor_or_number, is_whole, identities=identities)
        held += own
        left = with_kept_parts(left, None, identities, ())
        is_gone = store.content is ABSENT
        stored.append(Stored(store.place, None if is_gone else left, store.is_whole))
    leaves, structure = take_apart(result, is_tensor_or_number, is_whole, identities=identities)
    if any(isinstance(part.constant, Iterator) for part in structure.walk()):
        raise CaptureError(
            "the program returns a generator or another iterator, which runs after the trace has ended\n"
            "  return a list instead"
        )
    if any(state.function_values.get(part.constant) is not None for part in structure.walk()):
        raise CaptureError(
            "the program returns a function that a transform made of tensors of this run, such as the second "
            "result of vjp\n  call it inside the program and return what it gives"
        )
    _report_modules(state, structure)
    root = state.graph.root_scope
    values: list[Value] = []
    paths = structure.leaf_paths("result")
    for name, update in updates.items():
        paths += update.leaf_paths(name)
    count = len(paths)
    for each in stored:
        if each.structure is not None:
            paths += each.structure.leaf_paths(each.place.name)
    leaves += held
    for leaf, path in zip(leaves, paths, strict=True):
        number = number_of(leaf)
        if number is not None:
            values.append(_returned_number(state, number))
            continue
        value = state.values.get(leaf) or state.made_without_operator(leaf, root, None)
        if value is None:
            value = state.kept.constant(without_history(leaf), "constant")
            message = f"the program returns, as {path}, a tensor that no recorded operator made: a constant"
            if not state.report_from_gap(leaf, f"is returned as {path}", None, "it is a constant"):
                state.report(DiagnosticKind.UNTRACKED_TENSOR, message, root, None)
        value = state.with_grad_flag(leaf, value, root, None)
        values.append(value)
        _report_attributes(state, leaf, value, path)
    state.flush_grad_flags()
    state.graph.set_outputs(
        [
            (state.values.get(leaf) if is_tensor(leaf) else None) or value
            for leaf, value in zip(leaves, values, strict=True)
        ]
    )
    _name_values(state)
    for value, path in zip(state.graph.outputs[count:], paths[count:], strict=True):
        if value.name is None and value.node is not None:
            value.name = _identifier(path)
    state.report_followed()
    if any(is_tensor(leaf) and leaf.requires_grad for leaf in leaves):
        state.functions.report_dissolved(state)
    return with_kept_parts(structure, None, identities, ()), updates, tuple(stored)


def _updates(
    changed: Mapping[str, tuple[Any, list[Any]]],
    inputs: Structure,
    is_whole: Callable[[Any], bool],
    identities: Identities,
) -> tuple[list[Any], dict[str, Structure]]:
    """Return the leaves and the structures of arguments that the program changed.

    One that cannot be rebuilt, a set of tensors say, is left out and reported as a change, and so is one in
    which something changed that holds no tensor, an object of settings say.
    """
    before = dict(zip(inputs.keys, inputs.children, strict=True))
    leaves: list[Any] = []
    afters = {}
    opened: set[int] = set()
    identities.note_changed({id(owner) for _, owners in changed.values() for owner in owners})
    for name in before.keys() - changed.keys():
        identities.settle(name)
    for name, (argument, owners) in changed.items():
        count = identities.count
        now_opened: set[int] = set()
        try:
            own, after = take_apart(
                argument, is_tensor_or_number, is_whole, identities=identities, opened=now_opened
            )
        except CaptureError:
            identities.dismiss(name, count)
            continue
        if not {id(owner) for owner in owners} <= opened | now_opened:
            identities.dismiss(name, count)
            continue
        opened |= now_opened
        leaves += own
        afters[name] = after
    return leaves, {
        name: with_kept_parts(after, before[name], identities, (name,))
        for name, after in afters.items()
    }


def _report_attributes(state: TracingState, leaf: torch.Tensor, value: Value, path: str) -> None:
    """Note what a tensor that the run made and returns carries besides its data."""
    if value.node is None or leaf.__class__ not in PLAIN_CLASSES:
        return
    root = state.graph.root_scope
    # A private one is a library's mark, such as Dynamo's for addresses that stay.
    names = ", ".join(name for name in vars(leaf) if not name.startswith("_"))
    if names:
        message = (
            f"the tensor returned as {path} was given {names}, which a replay does not give it"
        )
        state.report(DiagnosticKind.UNTRACKED_EFFECT, message, root, None)
    gradient = gradient_of(leaf)
    if gradient is not None and not state.gradients.is_as_noted(leaf, gradient):
        message = f"the tensor returned as {path} has a gradient; a replay computes it and does not store it"
        state.report(DiagnosticKind.STORED_GRADIENT, message, root, None)


def is_tensor_or_number(value: Any) -> bool:
    """Whether a value is a leaf of what a program returns."""
    return is_tensor(value) or number_of(value) is not None


def _returned_number(state: TracingState, number: Number) -> Value:
    """Return the value of a number that the program returns."""
    value = state.numbers.argument(number)
    if not isinstance(value, Value):  # a number of an earlier trace, which is plain by now
        return state.kept.constant(value, "constant")
    return value


def _report_modules(state: TracingState, structure: Structure) -> None:
    """Note that a replay returns the modules among the outputs as they are, and computes none."""
    for part in structure.walk():
        module = part.constant
        if isinstance(module, torch.nn.Module):
            is_known = state.kept.is_known(module)
            state.report(
                DiagnosticKind.UNTRACKED_EFFECT,
                f"the program returns a module, {type(module).__name__}; a replay returns this very object",
                state.graph.root_scope,
                None,
                severity=Severity.INFO if is_known else Severity.WARNING,
                hint=""
                if is_known
                else "return its tensors, and build the module from them outside",
            )


def _name_values(state: TracingState) -> None:
    """Name results after the variables that the user's code assigns them to."""
    variables = VariableNames(state.walker.above)
    backward: dict[Scope, bool] = {}
    for node in state.graph.walk():
        scope = node.scope
        if scope not in backward:
            backward[scope] = scope.is_backward
        outputs = node.outputs
        if scope.kind is ScopeKind.OPERATOR:
            continue  # many nodes of one call, whose results are named below
        if node in state.implied.nodes:
            source = node.inputs[0].name if node.inputs else None
            if node.operator is GRADIENT:
                node.output.name = f"{source}.grad" if source else None
            elif node.operator not in (WRAP, MAKE_WRAPPER):
                node.output.name = source
        elif node.stack is None or backward[scope]:
            continue  # in a backward pass, the stack is that of the forward
        elif node.kind == "aten::sym_size.int":
            node.output.name = _size_name(variables, node, node.stack)
        elif outputs:
            for value, name in zip(outputs, variables.of(node.stack, len(outputs)), strict=False):
                if value.name is None and name != "_":
                    value.name = name
    for called, results in state.named_as:
        names = variables.of(called, len(results)) if called is not None else ()
        for result, name in zip(results, names, strict=False):
            if result is not None and result.name is None and name != "_":
                result.name = name


def _size_name(variables: VariableNames, node: Node, stack: Frame) -> str | None:
    """Return the variable that one size of a tensor goes to, alone or unpacked with the others."""
    tensor, dimension = node.all_args
    type_ = tensor.type if isinstance(tensor, Value) else None
    if isinstance(type_, TensorType) and type_.rank and isinstance(dimension, int):
        names = variables.of(stack, type_.rank) if type_.rank > 1 else ()
        if names:
            return None if names[dimension] == "_" else names[dimension]
    alone = variables.of(stack, 1)
    return alone[0] if alone else None


def _program_name(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    module = root_module(function)
    if module is not None and (
        function is module or getattr(function, "__name__", "") == "forward"
    ):
        return type(module).__name__
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else name


def _identifier(path: str) -> str:
    """Return a leaf's path as a dotted name: ``batch['image'][0]`` becomes ``batch.image.0``."""
    return re.sub(r"\W+", ".", path).strip(".") or "input"
