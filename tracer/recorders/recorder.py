"""The recorder: runs each operator that arrives from the dispatcher and adds its node to the graph.

This is the hot path of a trace. Everything that depends on the operator alone is worked out once,
in :class:`_Facts`; per call there remain one walk over new frames, a look-up per argument, the
operator itself, and a node.
"""

from __future__ import annotations

import copy
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, cast

import torch
from torch._subclasses import FakeTensor

from ...ir import Argument, Effect, Frame, Modes, Node, Scope, Type, Value
from ...ir.operator import DROPOUT_SWITCHES
from ...ir.own_operators import AS_SUBCLASS, DATA, MAKE_SUBCLASS
from ..diagnostics import DiagnosticKind
from ..dispatch.dispatcher import NUMBERS, Kernels, plain_requires_grad, without_torch_dispatch
from ..dispatch.generators import GENERATOR
from ..dispatch.gradients import sequence_number
from ..dispatch.literals import PLAIN, equal_literals, to_literal
from ..dispatch.memories import is_foreign_memory
from ..dispatch.number import number_of, with_plain_numbers
from ..dispatch.saved_results import history_of, is_written_view, saves_results
from ..dispatch.schemas import operator_of
from ..dispatch.tensors import PLAIN_CLASSES, requires_grad_of, type_of_tensor, type_of_value
from ..distributed.collectives import names_group
from ..numbers.numbers import SCALAR_TYPES
from ..numbers.ragged import is_ragged_size
from ..numbers.traced_numbers import traced
from ..state import TracingState
from .events import EventRecorder
from .facts import Facts
from .unseen import Unseen

_PLAIN = frozenset(PLAIN)
_LISTS = (list, tuple)
_DATA_TYPES = frozenset(("int", "float", "bool", "number", "Scalar"))
# What these give follows from the types of their arguments, which a replay checks.
_METADATA_READS = frozenset(
    f"aten::{name}"
    for name in (
        "_fused_sdp_choice", "_has_compatible_shallow_copy_type", "_nested_get_ragged_idx", "dim",
        "get_device", "is_complex", "is_contiguous", "is_floating_point", "is_inference", "is_leaf",
        "is_signed", "q_per_channel_axis", "result_type", "sym_is_contiguous",
    )
)  # fmt: skip
_LAYOUT_READS = frozenset(f"aten::{name}" for name in ("_dimI", "_dimV", "dense_dim", "sparse_dim"))
# What these give follows from sizes.
_SIZE_READS = frozenset(("aten::cudnn_is_acceptable", "aten::is_same_size"))
_MAKE_EMPTY = frozenset(("aten::empty", "aten::to", "aten::_to_copy"))


class _Facts:
    """What the recorder knows of an operator before any call of it."""

    __slots__ = (
        "defaults",
        "dropout_switch",
        "fills_outside",
        "is_known_to_save",
        "may_be_saved",
        "may_change_rank",
        "name",
        "operator",
        "reads_data",
        "redispatch",
        "returns_list",
        "returns_one",
        "returns_scalar",
        "tensor_slots",
    )

    def __init__(self, op: torch._ops.OpOverload) -> None:
        self.operator = operator_of(op)
        self.name = self.operator.name
        self.redispatch: Callable[..., Any] = cast(Any, op)._handle.redispatch_boxed
        parameters = self.operator.parameters
        # Arguments that may arrive as Python numbers where the schema says Tensor.
        self.tensor_slots = tuple(n for n, p in enumerate(parameters) if p.type == "Tensor")
        self.defaults: dict[str, Any] = {p.name: p.default for p in parameters}
        self.dropout_switch = next(
            ((n, p.name) for n, p in enumerate(parameters) if p.name in DROPOUT_SWITCHES), None
        )
        returns = self.operator.returns
        self.returns_list = tuple(r.type.startswith("List[") for r in returns)
        self.returns_one = self.returns_list == (False,)
        # These come back to Python as torch makes a number of a Scalar, symbolic ones included.
        self.returns_scalar = [r.type for r in returns] in (["number"], ["Scalar"])
        # Without a dimension to look at, or if its size is not 1, it takes none out.
        self.may_change_rank = self.operator.base_name.startswith("aten::squeeze")
        # Until a result shows whether autograd saves it.
        self.may_be_saved = any("Tensor" in r.type for r in returns)
        self.is_known_to_save = False
        self.reads_data = (
            bool(parameters)
            and any(r.type in _DATA_TYPES for r in returns)
            and self.operator.base_name not in _METADATA_READS
        )
        # ``torch.tensor([...])`` fills memory behind the dispatcher's back and then calls this.
        self.fills_outside = self.operator.base_name == "aten::lift_fresh"

    def is_dropout_off(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether an operator that draws random numbers for dropout is told not to, in a call of it."""
        if self.dropout_switch is None:
            return False
        slot, name = self.dropout_switch
        told = args[slot] if slot < len(args) else kwargs.get(name, self.defaults[name])
        return told.__class__ in (bool, float) and not told


@cache
def _facts_of(op: torch._ops.OpOverload) -> _Facts:
    return _Facts(op)


def reads_data(op: torch._ops.OpOverload) -> bool:
    """Whether an operator gives Python what it finds in the data of a tensor."""
    return _facts_of(op).reads_data


class Recorder(EventRecorder):
    """Records the operators of one trace; torch's dispatcher calls it through ``dispatcher.Kernels``.

    Attributes:
        state: the trace it records into.
        outer: the recorder of the trace that this one runs inside; it records the same operators.
        unseen: records or reports what no operator tells of.
        facts: holds a replay to what the program found when it asked tensors for more than data and sizes.
    """

    def __init__(
        self, state: TracingState, kernels: Kernels, outer: Recorder | None = None
    ) -> None:
        super().__init__(state, outer)
        self.outer: Recorder | None = outer
        self._kernels = kernels
        self._below = kernels.below
        self._excluded = kernels.excluded
        self._set_excluded = kernels.set_excluded
        self._modes_of_apply: Modes = state.graph.modes
        self._fresh_constant: Value | None = None
        self._has_numbers = False  # whether a traced number is among the arguments being looked at
        self.unseen = Unseen(state, self._modes)
        self.facts = Facts(state)
        self.unseen.exposed.on_first = self._watch_memory
        self.unseen.exposed.on_last = self._unwatch_memory
        self._facts: dict[int, _Facts] = {}  # by address: operators live as long as the process

    def record(
        self,
        op: torch._ops.OpOverload,
        keyset: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None = None,
    ) -> Any:
        """Run one operator, record it, and return what it returned."""
        facts = self._facts.get(id(op))
        if facts is None:
            facts = self._facts[id(op)] = self._facts_for(op)
        state = self.state
        if frame is None:
            frame = sys._getframe(2)
        scope, stack = state.walker.locate(frame)
        modes = self._modes.read()
        if state.walker.behind_apply:
            # There gradients are off in C++, but not for what comes out of it.
            modes = self._modes_of_apply
        entries = state.values.entries
        # Arguments are looked up before the operator runs: it may change what a tensor is.
        arguments: list[Argument] = []
        has_plain = False
        if facts.fills_outside and self._is_filled_outside(args[0], frame):
            return self._record_constant(op, keyset, args, frame, (scope, stack, modes))
        for arg in args:
            if type(arg) in _PLAIN:  # a traced number says that its class is that of a plain one
                arguments.append(arg)
                has_plain = True
                continue
            entry: Any = entries.get(id(arg))
            if entry is not None and entry[0]() is arg:
                value = entry[1]
                if arg.__class__ not in PLAIN_CLASSES or (
                    value.type.requires_grad is not plain_requires_grad(arg)
                ):
                    value = state.with_grad_flag(arg, value, scope, stack)
                arguments.append(value)
            elif arg.__class__ is list and _PLAIN.issuperset(map(type, arg)):
                arguments.append(tuple(arg))
            else:
                arguments.append(self._argument(arg, scope, stack))
        keywords: tuple[str, ...] = ()
        if kwargs:
            keywords = self._keyword_arguments(facts, kwargs, arguments, scope, stack)
        if self._has_numbers:
            self._has_numbers = False
            has_plain = True
            args = tuple([with_plain_numbers(arg) for arg in args])
            kwargs = {name: with_plain_numbers(arg) for name, arg in kwargs.items()}

        first = sequence_number() if modes.grad else 0
        if self.outer is not None:
            result = self.outer.record(op, keyset, args, kwargs, frame)
        else:
            if has_plain:
                args = self._with_wrapped_numbers(facts, args)
            # What the operator calls inside goes unseen: the key is excluded until it returns.
            try:
                self._set_excluded(True)
                result = facts.redispatch(keyset & self._below, *args, **kwargs)
            except Exception as error:
                place = (scope, stack, modes)
                state.failed.note(
                    error, state.graph, facts.operator, tuple(arguments), keywords, place
                )
                raise
            finally:
                self._set_excluded(False)

        results: Sequence[Any]
        types: tuple[Type, ...]
        if facts.returns_one:
            results, groups = (result,), None
            is_plain = result.__class__ in PLAIN_CLASSES
            types = (type_of_tensor(result) if is_plain else type_of_value(result),)
        else:
            results, groups = taken_apart(facts, result)
            types = tuple(map(type_of_value, results))
        if self._fresh_constant is not None:
            is_copied = arguments[:1] == [self._fresh_constant]
            self._fresh_constant = None
            if is_copied and facts.name == "aten::detach_":
                return result  # the last step of ``torch.tensor``: its copy is detached already
        node = state.graph.append(
            facts.operator,
            tuple(arguments),
            types,
            keywords=keywords,
            groups=groups,
            scope=scope,
            stack=stack,
            modes=modes,
        )
        values = node.outputs
        if facts.returns_one:
            self._remember(result, values[0])
        else:
            self._remember_all(results, values)
        if modes.grad and (end := sequence_number()) != first:
            state.walker.causes.calls.append((first, end, scope, stack))
            if facts.may_be_saved or state.saved.hooks:
                self._note_saved(facts, results, values, end - 1)
        if facts.reads_data:
            return self._read_data(facts, args, result, node)
        if facts.may_change_rank and isinstance(result, torch.Tensor):
            state.sizes.hold_rank(node, result.dim())
        return result

    def _facts_for(self, op: torch._ops.OpOverload) -> _Facts:
        """Return what is known of an operator; some look at a generator or a group before they run."""
        facts = _facts_of(op)
        if names_group(facts.operator):
            facts, run = copy.copy(facts), facts.redispatch
            state = weakref.proxy(self.state)

            def communicate(keyset: Any, *args: Any, **kwargs: Any) -> Any:
                state.note_group_of(args)
                return run(keyset, *args, **kwargs)

            facts.redispatch = communicate
            return facts
        if Effect.RANDOM not in facts.operator.effects:
            return facts
        facts, known = copy.copy(facts), facts
        run = known.redispatch

        def draw(keyset: Any, *args: Any, **kwargs: Any) -> Any:
            # To look at the generator copies its whole state.
            if not known.is_dropout_off(args, kwargs):
                self.unseen.before_draw()
            return run(keyset, *args, **kwargs)

        facts.redispatch = draw
        return facts

    def _read_data(self, facts: _Facts, args: tuple[Any, ...], result: Any, node: Node) -> Any:
        """Return what an operator read from data, with a number of the graph where there can be one."""
        state = self.state
        if not facts.returns_one:
            for part, value in zip(taken_apart(facts, result)[0], node.outputs, strict=True):
                if type(part) in SCALAR_TYPES:
                    self._hold_number(facts, part, value)
            return result
        outer = number_of(result)
        if outer is not None:
            result = outer.numbers.pin(outer, "goes into a trace inside this one")
        if node.inputs and _is_literal_data(args[0], node.inputs[0]):
            return result
        if facts.returns_scalar and type(result) in SCALAR_TYPES:
            if state.reducers.counts_in(node):
                state.numbers.guard(state.numbers.of_value(node.output, result, is_data=False), "")
                return result
            return traced(self.state.numbers.of_value(node.output, result))
        self._hold_number(facts, result, node.output)
        return result

    def _hold_number(self, facts: _Facts, result: Any, value: Value) -> None:
        """Guard what an operator gave Python as a plain number, or report it where no guard can be."""
        state, node = self.state, value.node
        assert node is not None, "an operator gave it"
        if facts.operator.base_name in _LAYOUT_READS:
            state.numbers.guard(state.numbers.of_value(value, result, is_data=False), "")
            return
        if type(result) in SCALAR_TYPES:
            use = (
                f"decides, through {facts.name}, which way the program goes"
                if type(result) is bool
                else f"comes to Python through {facts.name}"
            )
            is_data = facts.name not in _SIZE_READS
            number = state.numbers.of_value(value, result, is_data=is_data)
            if is_data or any(map(state.sizes.may_vary, node.inputs)):
                state.numbers.pin(number, use)
            return
        state.report(
            DiagnosticKind.DATA_READ,
            f"{facts.name} gives Python the value {result!r}; whatever the program computes from it "
            "there is fixed in the trace",
            node.scope,
            node.stack,
            value=repr(result),
            nodes=(node,),
        )

    def _record_watched(
        self,
        op: torch._ops.OpOverload,
        keyset: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None = None,
    ) -> Any:
        """Record an operator while something else than operators can write to memory of tensors."""
        if frame is None:
            frame = sys._getframe(2)
        touched = self.unseen.exposed.touch((*args, *kwargs.values()))
        try:
            return type(self).record(self, op, keyset, args, kwargs, frame)
        finally:
            for region in touched:
                region.settle()

    @contextmanager
    def taking(self, numbers: Mapping[str, Any]) -> Iterator[None]:
        """Record traced numbers for the plain ones that an operator is given by these names."""
        before = vars(self).get("record")
        record = self.record

        def record_with_numbers(
            op: Any, keyset: Any, args: Any, kwargs: dict[str, Any], frame: Any = None
        ) -> Any:
            frame = sys._getframe(2) if frame is None else frame
            return record(op, keyset, args, {**kwargs, **numbers}, frame)

        self.record = record_with_numbers  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.record
            if before is not None:
                self.record = before  # type: ignore[method-assign]

    def _watch_memory(self) -> None:
        self.record = self._record_watched  # type: ignore[method-assign]

    def _unwatch_memory(self) -> None:
        vars(self).pop("record", None)

    def _with_wrapped_numbers(self, facts: _Facts, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments with tensors for the numbers that stand where the schema says Tensor."""
        for slot in facts.tensor_slots:
            if slot < len(args) and args[slot].__class__ in NUMBERS:
                args = (*args[:slot], self._kernels.numbers.wrap(args[slot]), *args[slot + 1 :])
        return args

    def _remember(self, result: Any, value: Value) -> None:
        """Make ``value`` what a result of an operator is from now on."""
        state = self.state
        if isinstance(result, torch.Tensor):
            entries = state.values.entries
            key = id(result)
            known = entries.get(key)
            if known is not None and known[0]() is result:
                state.handed_on(known[1], value)
            entries[key] = (weakref.ref(result), value)
            if result.__class__ not in PLAIN_CLASSES:
                state.subclasses.note(result, value)
            if state.lookup_var_name_fn is not None:
                value.name = state.lookup_var_name_fn(result) or None
        elif result.__class__ is torch.ScriptObject:
            state.note_object(result, value)

    def _remember_all(self, results: Sequence[Any], values: tuple[Value, ...]) -> None:
        """Make each of ``values`` what the result in its place is from now on."""
        for result, value in zip(results, values, strict=True):
            self._remember(result, value)

    def _note_saved(
        self, facts: _Facts, results: Sequence[Any], values: tuple[Value, ...], last: int
    ) -> None:
        """Note which values autograd may give out again as what it saved of an operator's results.

        The history of a result is not looked at but for the first of each operator: autograd lets go of a
        long chain of nodes one inside the other, which ends the process, if Python has seen them. It is the
        ``last`` node that the operator made; of others, what was saved is not found again.
        """
        saved = self.state.saved
        for result, value in zip(results, values, strict=True):
            known: Any = value.type
            if not isinstance(result, torch.Tensor) or not known.requires_grad:
                continue
            if is_written_view(result):
                continue
            if not facts.is_known_to_save:
                history = history_of(result)
                if history is None:
                    continue
                facts.is_known_to_save = saves_results(history, facts.defaults)
                facts.may_be_saved = facts.is_known_to_save
            if facts.may_be_saved or saved.hooks:
                saved.note(result, last, value)

    def _note_histories(self, results: Sequence[Any], values: tuple[Value, ...]) -> None:
        """Note which values autograd may give out again as what it saved of the results of a call."""
        for result, value in zip(results, values, strict=True):
            known: Any = value.type
            if isinstance(result, torch.Tensor) and known.requires_grad:
                history = history_of(result)
                if history is not None:
                    self.state.saved.note(result, history._sequence_nr(), value)

    def _keyword_arguments(
        self,
        facts: _Facts,
        kwargs: dict[str, Any],
        arguments: list[Argument],
        scope: Scope,
        stack: Frame | None,
    ) -> tuple[str, ...]:
        """Append the arguments passed by name, those that only repeat a default left out."""
        names = []
        for name, arg in kwargs.items():
            argument = self._argument(arg, scope, stack)
            default = facts.defaults.get(name)
            # C++ passes ``pin_memory=False`` where the schema's default is None; they mean the same.
            if equal_literals(argument, default) or (argument is False and default is None):
                continue
            names.append(name)
            arguments.append(argument)
        return tuple(names)

    def _argument(self, arg: Any, scope: Scope, stack: Frame | None) -> Argument:
        """Return anything an operator may be called with as an argument of a node."""
        if type(arg) in _LISTS:
            for item in arg:
                if type(item) not in _PLAIN:
                    return tuple([self._argument(item, scope, stack) for item in arg])
            return tuple(arg)
        if type(arg) in _PLAIN:
            return arg  # type: ignore[no-any-return]
        if isinstance(arg, torch.Tensor):
            value = self.state.values.get(arg)
            if value is None:
                return self.state.adopt(arg, scope, stack)
            return self.state.with_grad_flag(arg, value, scope, stack)
        number = number_of(arg)
        if number is not None:
            self._has_numbers = True
            return self.state.numbers.argument(number)
        if isinstance(arg, list | tuple):  # such as a torch.Size
            return tuple([self._argument(item, scope, stack) for item in arg])
        if isinstance(arg, torch.UntypedStorage | torch.TypedStorage):
            message = (
                "an operator is given a storage, as when a tensor is unpickled; its present data became a "
                "constant of the graph"
            )
            self.state.report(DiagnosticKind.UNTRACKED_TENSOR, message, scope, stack)
        if arg.__class__ is GENERATOR:
            with self._excluded():
                self.unseen.generator_used(arg, scope, stack)
        if arg.__class__ is torch.ScriptObject:
            return self.state.script_object(arg)
        if is_ragged_size(arg):
            return self.state.ragged_size(arg, scope, stack)
        try:
            return to_literal(arg)
        except TypeError:  # a generator, a process group, a storage: passed on as the object it is
            return self.state.kept.constant(arg, type(arg).__name__)

    def _is_filled_outside(self, tensor: torch.Tensor, frame: FrameType) -> bool:
        """Whether a tensor's memory was left for others to fill, or is not torch's own."""
        value = self.state.values.get(tensor)
        if value is None:
            return self.state.kept.value_of(tensor, frame) is None
        users = 0
        while (node := value.node) is not None and len(value.users) == users:
            if node.operator.base_name not in _MAKE_EMPTY:
                return False
            if not node.inputs:
                return True
            value, users = node.inputs[0], 1
        return False

    def _record_constant(
        self,
        op: torch._ops.OpOverload,
        keyset: Any,
        args: tuple[Any, ...],
        frame: FrameType,
        place: tuple[Scope, Frame | None, Modes],
    ) -> torch.Tensor:
        """Record a tensor made from Python data: a constant, and a fresh copy of it at each run."""
        scope, stack, modes = place
        known = self.state.values.get(args[0])
        with self._excluded():
            tensor: torch.Tensor = op.redispatch(keyset & self._below, *args)
            with (
                without_torch_dispatch()
            ):  # a mode must not see our copy, and a fake one has no data
                data = args[0].detach().clone()
        if self.outer is not None:
            self.outer.record(op, keyset, args, {}, frame)
        if known is None and self.unseen.is_part_of_known(tensor, scope, stack):
            return tensor
        constant = self.state.kept.constant(data, "constant", is_copy=True)
        if known is not None:
            _erase_dead_producers(known)
        node = self.state.graph.append(
            operator_of(torch.ops.aten.clone.default),
            (constant,),
            (type_of_tensor(tensor),),
            scope=scope,
            stack=stack,
            modes=modes,
        )
        self._remember(tensor, node.output)
        if known is None:  # NumPy's memory, which the program may go on to write to
            if is_foreign_memory(args[0]):  # and not a number that is assigned to a slice
                self.unseen.data_brought_in(tensor, "an array of NumPy", node, scope, stack)
            self.unseen.exposed.add(tensor, "through the array it was made from", scope, stack)
        self._fresh_constant = node.output
        return tensor

    def record_data(self, source: torch.Tensor, data: torch.Tensor) -> None:
        """Record that ``data`` is ``source.data``: a view of its memory that autograd does not follow."""
        state = self.state
        if data is source or state.values.get(data) is not None:
            return
        scope, stack = state.walker.locate(sys._getframe(2))
        value = state.values.get(source)
        if value is None and (value := state.kept.value_of(source)) is None:
            return  # made below our sight, by the machinery of a subclass or a mode
        state.values.set(source, value)
        node = state.graph.append(
            DATA,
            (value,),
            (type_of_tensor(data),),
            scope=scope,
            stack=stack,
            modes=self._modes.read(),
        )
        self._remember(data, node.output)
        if self.outer is not None:
            self.outer.record_data(source, data)

    def record_subclass(
        self,
        cls: type[torch.Tensor],
        source: torch.Tensor,
        make: Callable[[], torch.Tensor],
        *,
        is_followed: bool,
    ) -> torch.Tensor:
        """Make a tensor of another class on the memory of ``source`` and record that.

        Args:
            cls: the class.
            source: the tensor.
            make: makes the other one.
            is_followed: whether autograd follows it.
        """
        known = self.state.values.get(source)
        if self.outer is not None:
            result = self.outer.record_subclass(cls, source, make, is_followed=is_followed)
        else:
            result = make()
        if known is None or issubclass(cls, FakeTensor):
            return result  # made below our sight, by the machinery of a subclass or a mode
        scope, stack = self.state.walker.locate(sys._getframe(2))
        class_object = self.state.kept.constant(cls, cls.__name__)
        arguments: tuple[Argument, ...] = (class_object, known)
        if not is_followed:
            arguments = (*arguments, requires_grad_of(result))
        node = self.state.graph.append(
            AS_SUBCLASS if is_followed else MAKE_SUBCLASS,
            arguments,
            (type_of_tensor(result),),
            scope=scope,
            stack=stack,
            modes=self._modes.read(),
        )
        self._remember(result, node.output)
        return result


def _is_literal_data(tensor: Any, value: Value) -> bool:
    """Whether a tensor is one that ``torch.tensor`` made of Python numbers and that nobody has written to."""
    node = value.node
    if node is None or node.kind != "aten::clone" or node.inputs[0].state is None:
        return False
    return not tensor.is_inference() and tensor._version == 0


def taken_apart(facts: _Facts, result: Any) -> tuple[list[Any], tuple[int | None, ...] | None]:
    """Return an operator's results as one list, and how they are grouped in what it returned."""
    lists = facts.returns_list
    if not lists:
        return [], None
    if len(lists) == 1:
        parts = list(result) if lists[0] else [result]
        return parts, (len(parts),) if lists[0] else None
    if True not in lists:
        return list(result), None
    results: list[Any] = []
    groups: list[int | None] = []
    for part, is_list in zip(result, lists, strict=True):
        results.extend(part if is_list else (part,))
        groups.append(len(part) if is_list else None)
    return results, tuple(groups)


def _erase_dead_producers(value: Value) -> None:
    """Erase the operators that made a tensor whose data was then written outside the dispatcher."""
    while (node := value.node) is not None and not any(output.is_used for output in node.outputs):
        sources = node.inputs
        node.erase()
        if len(sources) != 1:
            return
        value = sources[0]
