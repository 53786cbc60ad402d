"""Higher-order operators: nodes whose blocks are the functions that the operator was given.

Note [Branches run as blocks]
    A function that an operator such as ``torch.cond`` is given is recorded once, on stand-ins. Then
    the operator runs on the functions that were compiled from the blocks, as it does at every replay.
    That is more than a convenience. Outside a trace, ``torch.cond`` goes through ``torch.compile``,
    which passes the tensors that a branch closes over to the operator as further operands, so that
    they get gradients; called on the plain function, the operator would give them none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.utils import _pytree as pytree

from ...errors import CaptureError
from ...ir import Block, Value, unknown_operator
from ...passes.liveness import outer_values
from ..dispatch.dispatcher import Kernels, kernels, recording
from ..recorders.calls import CallRecorder
from ..state import TracingState
from .building import Place, add_inputs, input_names, plain_numbers, recording_into
from .hops import HigherOrderCall, Scalar, Slice, call_of, operator_with_blocks
from .stand_ins import ClonedStandIns, FakeStandIns, StandIns, can_be_fake, entered_unseen


class ProgramRecorder(CallRecorder):
    """Records all that a program calls: operators, and those that take functions."""

    def admitted(self, arguments: Any) -> Any:
        """Return arguments as the recorded program may be given them."""
        return arguments

    def unrecorded(self) -> Any:
        """Return a context in which operators are not recorded."""
        return self._excluded()

    def record_higher_order(
        self,
        op: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None = None,
    ) -> Any:
        """Run one operator that takes Python functions, record it as one node, and return its result.

        Raises:
            CaptureError: a function that cannot become a block closes over a tensor of the trace.
        """
        frame = sys._getframe(2) if frame is None else frame
        args, kwargs = self.admitted((args, kwargs))
        place = Place(self.state, frame)
        call = call_of(op.name(), args, kwargs)
        if call is None:
            return self._record_opaque(op, args, kwargs, place, frame)
        arguments = [place.argument(arg) for arg in call.args]
        keywords = {name: place.argument(value) for name, value in call.kwargs.items()}
        branches = self._branches(op, call, frame)
        blocks = [branch.block for branch in branches]
        try:
            if self.outer is not None:
                result = self._run_outer(op, args, kwargs, frame)
            else:
                result = self._run(op, call, branches, place)
        except BaseException:
            for block in blocks:
                block.discard()
            raise
        leaves, structure = pytree.tree_flatten(result)
        results = place.append(
            operator_with_blocks(op.name()),
            arguments,
            leaves,
            keywords=keywords,
            groups=(len(leaves),) if call.is_nested else _groups_of(op, result),
            blocks=blocks,
        )
        return pytree.tree_unflatten(results, structure)

    def _run_outer(
        self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType
    ) -> Any:
        outer: Any = self.outer
        with recording(kernels(), outer):
            return outer.record_higher_order(op, args, kwargs, frame)

    def _run(
        self, op: Any, call: HigherOrderCall, branches: Sequence[_Branch], place: Place
    ) -> Any:
        run_blocks = self.state.run_blocks
        objects: dict[Value, Any] = {}
        for branch in branches:
            objects.update(branch.objects)
        blocks = [branch.block for branch in branches]
        for value in outer_values(blocks):
            if value not in objects:
                objects[value] = _object_of(self.state, value)
        with self._excluded():
            kind = f"higher_order::{op.name()}"
            args, kwargs = plain_numbers((call.args, dict(call.kwargs)))
            result = run_blocks(kind, blocks, place.modes, objects, args, kwargs)
        if any(isinstance(leaf, torch.SymInt) for leaf in pytree.tree_leaves(result)):
            raise DataDependentOutputException(op)  # a number that a fake loop has counted
        if not call.is_nested:
            return result
        return pytree.tree_unflatten(pytree.tree_leaves(result), branches[0].structure)

    def _branches(self, op: Any, call: HigherOrderCall, frame: FrameType) -> list[_Branch]:
        """Record each function of a call once, on stand-ins."""
        tensors = [leaf for leaf in pytree.tree_leaves(call.examples) if _is_tensor(leaf)]
        if can_be_fake(tensors):
            try:
                return self._branches_on(FakeStandIns(), call, frame)
            except RuntimeError:
                pass  # most likely an operator that needs data; if not, clones fail as well
        return self._branches_on(ClonedStandIns(), call, frame)

    def _branches_on(
        self, stand_ins: StandIns, call: HigherOrderCall, frame: FrameType
    ) -> list[_Branch]:
        branches: list[_Branch] = []
        try:
            for function, example in zip(call.functions, call.examples, strict=True):
                branch = _Branch(self, stand_ins)
                branches.append(branch)
                with entered_unseen(self._excluded, call.running()):
                    branch.record(function, tuple(example), has_numbers=call.has_numbers)
        except BaseException:
            for branch in branches:
                branch.block.discard()
            raise
        return branches

    def _record_opaque(
        self,
        op: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        place: Place,
        frame: FrameType,
    ) -> Any:
        """Record an operator whose functions stay the Python they are."""
        for value in pytree.tree_leaves((args, kwargs)):
            self._require_closed(op, value, place)
        arguments = [place.argument(arg) for arg in args]
        keywords = {name: place.argument(value) for name, value in kwargs.items()}
        if self.outer is not None:
            result = self._run_outer(op, args, kwargs, frame)
        else:
            args, kwargs = plain_numbers((args, kwargs))
            with self._excluded():
                result = op(*args, **kwargs)
        leaves, structure = pytree.tree_flatten(result)
        results = place.append(
            unknown_operator(f"higher_order::{op.name()}"),
            arguments,
            leaves,
            keywords=keywords,
            groups=_groups_of(op, result),
        )
        return pytree.tree_unflatten(results, structure)

    def _require_closed(self, op: Any, function: Any, place: Place) -> None:
        """Refuse a function whose closure holds a tensor of this run: a replay could not give it one."""
        source = None if place.stack is None else place.stack.user.range
        where = "" if source is None else f"\n  from {source} in {source.function}"
        for name, tensor in _closed_over(function):
            value = self.state.values.get(tensor)
            if value is not None and value.state is None:
                raise CaptureError(
                    f"a function passed to {op.name()} closes over the tensor {name!r}, which this run "
                    f"computed{where}\n"
                    "  pass the tensor as an operand instead"
                )


class _Branch:
    """One function that an operator was given, recorded as a block.

    Attributes:
        block: what it does.
        structure: how what it returns is nested.
        objects: what stands for the values that it reads from around it.
    """

    def __init__(self, parent: ProgramRecorder, stand_ins: StandIns) -> None:
        graph = parent.state.graph
        self.block = Block(graph, None, graph.insertion_block)
        self.objects: dict[Value, Any] = {}
        self.structure: Any = None
        self._parent = parent
        self._stand_ins = stand_ins
        self._kernels = kernels()

    def record(
        self, function: Callable[..., Any], example: tuple[Any, ...], *, has_numbers: bool
    ) -> None:
        """Run the function on stand-ins for its arguments and record it."""
        state = self._parent.state
        recorder = BranchRecorder(self._parent, self._kernels, self.block, self._stand_ins)
        leaves, spec = pytree.tree_flatten(example)
        leaves = [recorder.input(leaf) for leaf in leaves]
        names = input_names(function, pytree.tree_unflatten(leaves, spec))
        with recording_into(state, self.block):
            leaves = add_inputs(state, self.block, leaves, names, has_numbers=has_numbers)
            args = pytree.tree_unflatten(leaves, spec)
            with entered_unseen(self._kernels.excluded, self._stand_ins.running()):
                try:
                    with recording(self._kernels, recorder):
                        result = function(*args)
                finally:
                    recorder.unseen.exposed.close()
                results, self.structure = pytree.tree_flatten(result)
                place = Place(state, sys._getframe())
                outputs = [place.value(recorder.admitted(leaf)) for leaf in results]
            self.block.set_outputs(outputs)
        self.objects = recorder.objects


class BranchRecorder(ProgramRecorder):
    """Records a function that runs on stand-ins: what it reads from around it is stood in for as well."""

    def __init__(
        self, parent: ProgramRecorder, installed: Kernels, block: Block, stand_ins: StandIns
    ) -> None:
        super().__init__(parent.state, installed)
        self.objects: dict[Value, Any] = {}
        self._parent = parent
        self._block = block
        self._stand_ins = stand_ins
        self._made: dict[int, torch.Tensor] = {}  # stand-ins; held, so that addresses stay theirs
        self._of: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # with what they stand for

    def input(self, example: Any) -> Any:
        """Return what stands for one argument of the function."""
        match example:
            case torch.Tensor():
                return self._stand_in(example)
            case Slice(tensor):
                with self._excluded():
                    return self._keep(self._stand_in(tensor).select(0, 0))
            case Scalar(like, dtype):
                with self._excluded(), self._stand_ins.running():
                    return self._keep(torch.zeros((), dtype=dtype, device=like.device))
            case _:
                return example

    def record(
        self,
        op: torch._ops.OpOverload,
        keyset: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None = None,
    ) -> Any:
        """Run one operator on stand-ins, record it, and return what it returned."""
        frame = sys._getframe(2) if frame is None else frame
        args, kwargs = self.admitted((args, kwargs))
        return super().record(op, keyset, args, kwargs, frame)

    def admitted(self, arguments: Any) -> Any:
        """Return arguments with stand-ins for the tensors that do not come from the function itself."""
        return pytree.tree_map_only(torch.Tensor, self._inside, arguments)

    def _inside(self, tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) in self._made:
            return tensor
        state = self.state
        value = state.values.get(tensor)
        if value is not None and value.block is not None and value.block.is_within(self._block):
            return tensor
        if value is None:
            if isinstance(tensor, torch._subclasses.FakeTensor):
                return tensor  # made below our sight, in this very run
            scope, stack = state.walker.locate(sys._getframe(2))
            value = state.adopt(tensor, scope, stack)
        known = self._of.get(id(tensor))
        if known is not None:
            return known[1]
        base = self._parent.admitted(tensor)
        made = self._stand_in(base)
        self._of[id(tensor)] = (tensor, made)
        self.objects[value] = base
        state.values.set(made, value)
        return made

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        with self._excluded(), torch.utils._python_dispatch._disable_current_modes():
            made = self._stand_ins.make(tensor)
            # Two arguments, say, that are one tensor now and may not stay so.
            if id(made) in self._made:
                made = self._stand_ins.make_another(tensor)
            return self._keep(made)

    def _keep(self, made: torch.Tensor) -> torch.Tensor:
        self._made[id(made)] = made
        return made


def _groups_of(op: Any, result: Any) -> tuple[int | None, ...] | None:
    """Return how what an operator returned is made of single results, and of lists of them.

    Raises:
        CaptureError: there are lists in its lists, or other containers.
    """
    if not isinstance(result, list | tuple):
        parts = [result]
        groups: tuple[int | None, ...] | None = None
    elif any(isinstance(part, list | tuple) for part in result):
        parts = [p for part in result for p in (part if isinstance(part, list | tuple) else [part])]
        groups = tuple(len(p) if isinstance(p, list | tuple) else None for p in result)
    else:
        parts, groups = list(result), (len(result),)
    if len(parts) != len(pytree.tree_leaves(parts)):
        raise CaptureError(
            f"{op.name()}() returned a nested structure, which a node cannot have as its results"
        )
    return groups


def _object_of(state: TracingState, value: Value) -> Any:
    """Return what a value of a running trace stands for."""
    number = state.numbers.by_value.get(value)
    if number is not None:
        return number.plain
    if value.state is not None:
        return state.kept.objects[value.state.name]
    for tensor, known in state.values.live():
        if known is value:
            return tensor
    raise CaptureError(f"a function reads %{value.name}, which is no longer alive")


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor)


def _closed_over(function: Any) -> list[tuple[str, torch.Tensor]]:
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    found = []
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            content = cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
        if isinstance(content, torch.Tensor):
            found.append((name, content))
        elif content is not function:
            found.extend(_closed_over(content))
    return found
