"""What a program does to tensors without an operator, told to a trace by what stands in torch's classes.

What has an exact counterpart is recorded as a node of our own (``ir/own_operators.py``). What has none is
reported.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, cast

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils.hooks import BackwardHook

from ...ir import Argument, Frame, Node, Operator, Scope, TensorType, Type, Value
from ...ir.own_operators import (
    DEEPCOPY,
    GET_RNG_STATE,
    MANUAL_SEED,
    NO_GRADIENT,
    RETAIN_GRAD,
    SEED_GENERATOR,
    SET_DATA,
    SET_DEFAULT_DTYPE,
    SET_RNG_STATE,
)
from ..diagnostics import DiagnosticKind, Severity, short_text
from ..dispatch.dispatcher import kernels, plain_data, plain_numel
from ..dispatch.fresh_seeds import without_mark
from ..dispatch.literals import to_literal
from ..dispatch.modes import ModeReader
from ..dispatch.schemas import operator_of
from ..dispatch.tensors import tensors_in, type_of_tensor
from ..distributed.shards import owner_of_hook
from ..numbers.lineage import is_fixed, rows_of, sizing_node
from ..state import TracingState
from .exposed import ExposedMemory, Region
from .stored_gradients import StoredGradients

_PACKAGE = __name__.rpartition(".recorders.")[0]


class Unseen:
    """Records or reports, for one trace, what no operator tells of.

    Attributes:
        exposed: the memory that others than operators may write to.
        gradients: what the program leaves in ``.grad``.
        is_copying: whether a tensor is being copied, which reads it as pickling does.
    """

    def __init__(self, state: TracingState, modes: ModeReader) -> None:
        self._state = state
        self._modes = modes
        self.exposed = ExposedMemory(state)
        self.gradients = StoredGradients(state)
        self.is_copying = False

    def read(self, source: torch.Tensor, how: str, result: Any) -> None:
        """Report that ``how`` gave Python the data of a tensor, unless it is the same at every run.

        What it gave is shown, except where it only leads to the data, as a pickle does.
        """
        if self.is_copying:
            return
        value = self._state.values.get(source)
        if self._state.kept.is_constant(source) if value is None else self._is_fixed(value):
            return
        self._state.sizes.pin(source)  # Python sees them too
        shown = "" if result is None else short_text(result)
        self._report(
            DiagnosticKind.DATA_READ,
            f"{how} gives Python the data of a tensor {type_of_tensor(source)}{shown and f': {shown}'}; what "
            "the program computes or decides from it is fixed in the trace",
            value=shown,
            nodes=_producer(value),
        )

    def located(self, holder: torch.Tensor | torch.UntypedStorage) -> None:
        """List a line that asks where in memory a tensor lies, which another run will find elsewhere."""
        what = f"tensor {type_of_tensor(holder)}" if isinstance(holder, torch.Tensor) else "storage"
        self._report(
            DiagnosticKind.DATA_READ,
            f"data_ptr() gives Python the address of a {what}; what the program decides by it, and what "
            "others than operators read or write there, is not in the trace",
            severity=Severity.INFO,
            hint="compare tensors with `is`, and views with is_set_to()",
        )

    def shown(self, source: torch.Tensor, text: str) -> None:
        """Report that a tensor was turned into text."""
        self._report(
            DiagnosticKind.PRINTED,
            f"a tensor {type_of_tensor(source)} is turned into text here; the text is that of the trace, and "
            "a replay shows nothing",
            value=short_text(text),
            nodes=_producer(self._state.values.get(source)),
        )

    def counted(self, source: torch.Tensor, how: str) -> None:
        """Report that Python counts the rows of a tensor, if data decided how many there are."""
        value = self._state.values.get(source)
        node = None if value is None else sizing_node(value)
        if node is None or value is None or self._is_fixed(node.outputs[0]):
            return
        rows = rows_of(value)
        self._report(
            DiagnosticKind.DATA_READ,
            f"{how} a tensor {type_of_tensor(source)} gives Python its number of rows, {rows}, which "
            f"{node.operator.base_name} found in data; the trace is fixed to it",
            value=str(rows),
            nodes=(node, *_producer(value)),
            hint="compute on the whole tensor instead of row by row, or use a mask in place of selected rows",
        )

    def _is_fixed(self, value: Value) -> bool:
        state = self._state
        return is_fixed(value, state.kept.copies, state.values.handed_on)

    def shared(self, source: torch.Tensor, how: str) -> None:
        """Take note that something besides operators can write to the memory of a tensor from now on."""
        scope, stack = self._place()
        self.exposed.add(source, how, scope, stack)

    def is_part_of_known(self, tensor: torch.Tensor, scope: Scope, stack: Frame | None) -> bool:
        """Whether a tensor made outside is of memory that a known tensor exposed; record it if so."""
        found = self.exposed.join(tensor)
        if found is None:
            return False
        base, place = found
        self._state.implied.add_view(base, tensor, place, scope, stack)
        return True

    def made_outside(self, tensor: torch.Tensor, how: str) -> None:
        """Record a tensor on memory that came from somewhere else than an operator."""
        state = self._state
        scope, stack = self._place()
        if state.values.get(tensor) is not None or self.is_part_of_known(tensor, scope, stack):
            return
        with kernels().excluded():
            data = plain_data.__get__(tensor).clone()
        constant = state.kept.constant(data, "constant", is_copy=True)
        clone = operator_of(torch.ops.aten.clone.default)
        node = self._append(clone, (constant,), (type_of_tensor(tensor),), scope, stack)
        state.values.set(tensor, node.output)
        self.data_brought_in(tensor, "memory that is not torch's", node, scope, stack)
        self.exposed.add(tensor, how, scope, stack)

    def data_brought_in(
        self, tensor: torch.Tensor, whence: str, node: Node, scope: Scope, stack: Frame | None
    ) -> None:
        """Report a tensor on memory that others than operators filled, which ``node`` makes of a constant.

        Its numbers may be other ones at another run, and nothing tells whether they are.
        """
        self._state.report(
            DiagnosticKind.UNTRACKED_TENSOR,
            f"a tensor {type_of_tensor(tensor)} is made here of {whence}; its present data became the "
            f"constant %{node.inputs[0].name}",
            scope,
            stack,
            nodes=(node,),
            shaped=node.output,
        )

    def storage_written(self, storage: Any, how: str) -> None:
        """Record what a write to a storage left in the tensors that are known to be on it."""
        scope, stack = self._place()
        covered = False
        known = self._state.implied.known_on(storage._cdata)
        for tensor in sorted(known, key=plain_numel, reverse=True):
            if not covered:
                self.exposed.record_contents(tensor, how, scope, stack)
            covered |= plain_numel(tensor) * tensor.element_size() == storage.nbytes()

    def elements_written(self, tensor: torch.Tensor, how: str) -> None:
        """Record what a write that is no operator left in a tensor."""
        self.exposed.record_contents(tensor, how, *self._place())

    def set_data(self, target: torch.Tensor, source: torch.Tensor) -> None:
        """Record ``target.data = source``, which has been done."""
        if isinstance(target, UninitializedParameter | UninitializedBuffer):
            return  # a lazy module makes its parameter now
        state = self._state
        known = state.values.get(target) or state.kept.value_of(target)
        scope, stack = self._place()
        if known is None:  # made below our sight
            if state.values.get(source) is not None:
                state.adopt(target, scope, stack)
            return
        given = state.values.get(source) or state.adopt(source, scope, stack)
        node = self._append(SET_DATA, (known, given), (type_of_tensor(target),), scope, stack)
        state.values.set(target, node.output)

    def copied(self, source: torch.Tensor, copy: torch.Tensor) -> None:
        """Record that ``copy`` is a shallow or deep copy of ``source``."""
        state = self._state
        if copy is source or state.values.get(copy) is not None:
            return
        value = state.values.get(source) or state.kept.value_of(source)
        if value is None:
            return
        scope, stack = self._place()
        state.values.set(source, value)
        if state.implied.shares_memory(copy):
            state.adopt(copy, scope, stack)
            return
        node = self._append(DEEPCOPY, (value,), (type_of_tensor(copy),), scope, stack)
        state.values.set(copy, node.output)

    def seeded(self, seed: int) -> None:
        """Record ``torch.manual_seed(seed)``."""
        self._append(MANUAL_SEED, (int(seed),), (), *self._place())
        self._state.circumstances.set_setting("manual_seed")
        self._state.generators.default_seed_told()

    def before_draw(self) -> None:
        """Report that the program has seeded torch's own generator, if nothing has told of that yet."""
        generators = self._state.generators
        if not generators.is_default_seed_untold():
            return
        generators.default_seed_told()
        self._report(
            DiagnosticKind.UNTRACKED_EFFECT,
            "the program has seeded torch's default generator by a method of it before this; a replay does "
            "not, and draws other random numbers",
            hint="seed it with torch.manual_seed, which a replay does as well",
        )

    def generator_used(self, generator: torch.Generator, scope: Scope, stack: Frame | None) -> None:
        """Record that the program seeded a generator before an operator that draws from it.

        Runs with our key excluded.
        """
        is_new, seed = self._state.generators.seed_before_use(generator)
        if seed is not None:
            self._record_seed(generator, seed, scope, stack)
        elif is_new:
            self._state.report(
                DiagnosticKind.UNTRACKED_EFFECT,
                "an operator draws from a generator that no argument, attribute or variable of the program "
                "leads to, and that was not just seeded; a replay draws on from where it then is",
                scope,
                stack,
                hint="pass the generator in as an argument, or seed it in the program with manual_seed",
            )

    def backward_ended(self, frame: FrameType) -> list[torch.Tensor]:
        """Record which gradients a backward pass, run from a frame, has left; return whose are the first."""
        begun = self.gradients.store(*self._state.walker.locate(frame))
        state = self._state
        for owner in state.backward_hooks.owners():
            if isinstance(owner, torch.nn.Module) and any(
                map(state.gradients.is_given, owner.parameters())
            ):
                state.backward_hooks.ran(owner)
        return begun

    def before_whole(self, scope: Scope, stack: Frame | None) -> list[Region]:
        """Record what no operator has told of yet, before a part of the program that is one node.

        Returns the exposed memory, as :meth:`ExposedMemory.touch` does.
        """
        with kernels().excluded():
            for generator, seed in self._state.generators.seeded():
                self._record_seed(generator, seed, scope, stack)
        self.gradients.store(scope, stack)
        return self.exposed.finish()

    def _record_seed(
        self, generator: torch.Generator, seed: int, scope: Scope, stack: Frame | None
    ) -> None:
        known = self._state.kept.constant(generator, type(generator).__name__)
        self._append(SEED_GENERATOR, (known, seed), (), scope, stack)

    def rng_state_read(self, rng_state: torch.Tensor) -> None:
        """Record that ``torch.get_rng_state()`` returned ``rng_state``."""
        without_mark(rng_state)
        node = self._append(GET_RNG_STATE, (), (type_of_tensor(rng_state),), *self._place())
        self._state.values.set(rng_state, node.output)

    def rng_state_set(self, rng_state: torch.Tensor) -> None:
        """Record ``torch.set_rng_state(rng_state)``."""
        scope, stack = self._place()
        known = self._state.values.get(rng_state) or self._state.adopt(rng_state, scope, stack)
        self._append(SET_RNG_STATE, (known,), (), scope, stack)
        self._state.circumstances.set_setting("manual_seed")
        self._state.generators.default_seed_told()

    def default_dtype_set(self, dtype: torch.dtype) -> None:
        """Record ``torch.set_default_dtype(dtype)``."""
        literal: Argument = to_literal(dtype)
        self._append(SET_DEFAULT_DTYPE, (literal,), (), *self._place())
        self._state.circumstances.set_setting("set_default_dtype")

    def assigned(self, module: torch.nn.Module, name: str) -> None:
        """Note where an attribute of a module was set."""
        self._state.assigned[id(module), name] = self._place()

    def optimizer_made(self, optimizer: torch.optim.Optimizer) -> None:
        """Note that the program makes an optimizer."""
        self._state.kept.exclude(optimizer)

    def optimizer_steps(self, optimizer: torch.optim.Optimizer) -> None:
        """Note an optimizer that is about to take a step, should no name have led to it."""
        self._state.kept.register_late(optimizer, sys._getframe(1))

    def retains_grad(self, tensor: torch.Tensor) -> None:
        """Record that a backward is to leave a gradient on a tensor that is no leaf."""
        value = self._state.values.get(tensor)
        if value is not None and not tensor.is_leaf:
            self._append(RETAIN_GRAD, (value,), (), *self._place())

    def hooked(self, tensor: torch.Tensor, how: str, hook: Any) -> None:
        """Report that a hook was registered on a tensor."""
        sharded = owner_of_hook(hook)
        if sharded is not None:
            does = (
                "gathers its parameters for a backward, and has their gradients reduced, by hooks"
            )
            self._needs_hooks(sharded, self._state.values.get(tensor), does)
            return
        value = self._state.values.get(tensor)
        is_of_this_run = value is not None and value.node is not None
        report = self._state.report_if_followed if is_of_this_run else self._state.report
        report(
            DiagnosticKind.HOOK,
            f"{how}() hangs {_name_of(hook)} on a tensor {type_of_tensor(tensor)}; a replay does not, but "
            "what it did in a backward inside the program is recorded",
            *self._place(),
            value=_name_of(hook),
            nodes=_producer(value),
        )

    def replicated(self, module: DistributedDataParallel, output: Any) -> None:
        """Note a forward after which a module has gradients reduced as they are computed."""
        problem = self._state.reducers.problem(module)
        if problem is not None:
            what, is_certain = problem
            name = self._state.kept.outer_names.get(id(module)) or "the module"
            self._report(
                DiagnosticKind.UNTRACKED_EFFECT,
                f"{name} ({type(module).__name__}) reduces gradients: {what}",
                severity=Severity.ERROR if is_certain else Severity.WARNING,
                hint="register a hook of torch.distributed.algorithms.ddp_comm_hooks instead"
                if is_certain
                else "take three steps before the trace; with more than two processes the last bits of sums "
                "depend on buckets",
            )
        for tensor in tensors_in((output,)):
            value = self._state.values.get(tensor)
            if tensor.requires_grad:
                self._needs_hooks(
                    module, value, "has gradients reduced as they are computed, by hooks"
                )

    def _needs_hooks(self, owner: Any, value: Value | None, does: str) -> None:
        """Note hooks without which no backward must go through a value."""
        scope, stack = self._place()
        reason = f"{scope.path or 'the module'} {does}, which a replay does not hang"
        hint = "run backward() inside the program, or trace it under torch.no_grad()"

        def refuse() -> None:
            if value is not None and value.node is not None and value.block is not None:
                args = (
                    value,
                    f"no gradients can be computed of what a replay gives: {reason}\n  {hint}",
                )
                self._append(NO_GRADIENT, args, (), scope, stack).move_after(value.node)
            message = f"{reason}; no gradients can be computed of what it gives"
            self._state.report(DiagnosticKind.HOOK, message, scope, stack, hint=hint)

        self._state.backward_hooks.hung(owner, refuse)

    def module_hooked(self, module: torch.nn.Module, how: str, handle: Any) -> None:
        """Note that a hook was registered on a module, which the program may remove again."""
        path, kind = self._state.kept.outer_names.get(id(module)), type(module).__name__
        message = f"{how}() leaves a hook on {f'{path} ({kind})' if path else f'a {kind}'}"
        self._state.module_hooks.append((handle, message, self._place()))

    def hooked_graph(self, hook: Any) -> None:
        """Report that a hook was registered on a node of autograd's graph."""
        module = _module_hooked_by(hook)
        what = _name_of(hook) if module is None else f"a backward hook of {type(module).__name__}"
        report = self._state.report if module is None else self._state.report_if_followed
        report(
            DiagnosticKind.HOOK,
            f"{what} is hung on autograd's graph and may change gradients; a replay hangs none, but what "
            "it did in a backward inside the program is recorded",
            *self._place(),
            value=what,
            hint="compute gradients inside the program, or remove the hook and do its work on those of a "
            "replay",
        )

    def saved_tensor_hooks(self, change: int) -> None:
        """Note that hooks on what autograd saves come into force, or no longer are."""
        self._state.saved.hooks += change

    def packs_saved_tensors(self, hooks: Any) -> None:
        """Report that tensors saved for backward go through hooks."""
        self._state.report_if_followed(
            DiagnosticKind.HOOK,
            f"{type(hooks).__name__} changes what autograd saves for backward; a replay saves the tensors "
            "themselves",
            *self._place(),
            hint="enter it outside the program, around the replay",
        )

    def watches_autograd_nodes(self) -> None:
        """Report that a hook is called for each node of autograd's graph."""
        self._state.report_if_followed(
            DiagnosticKind.HOOK,
            "node_creation_hook has a hook called for every node of autograd's graph, which a replay does "
            "not",
            *self._place(),
            hint="enter it outside the program, around the replay",
        )

    def effect(self, message: str, hint: str = "") -> None:
        """Report anything else that a replay does not repeat."""
        self._report(DiagnosticKind.UNTRACKED_EFFECT, message, hint=hint)

    def _append(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        types: tuple[Type | TensorType, ...],
        scope: Scope,
        stack: Frame | None,
    ) -> Node:
        return self._state.graph.append(
            operator, args, types, scope=scope, stack=stack, modes=self._modes.read()
        )

    def _place(self) -> tuple[Scope, Frame | None]:
        return self._state.walker.locate(_outside_frame())

    def _report(self, kind: DiagnosticKind, message: str, **details: Any) -> None:
        scope, stack = self._place()
        self._state.report(kind, message, scope, stack, **details)


def _outside_frame() -> FrameType:
    """Return the innermost frame that is not of the tracer."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    return frame


def _producer(value: Value | None) -> tuple[Node, ...]:
    return () if value is None or value.node is None else (value.node,)


def _module_hooked_by(hook: Any) -> torch.nn.Module | None:
    """Return the module whose backward hooks a hook on autograd's graph calls; None if it calls none."""
    for cell in getattr(hook, "__closure__", None) or ():
        if isinstance(cell.cell_contents, BackwardHook):
            return cast(torch.nn.Module, cell.cell_contents.module)
    return None


def _name_of(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
