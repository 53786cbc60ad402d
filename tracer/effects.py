"""What a run changed without an operator: gradients, attributes, the caller's containers, settings.

A graph holds operators, so a replay does not do these things again. They are found by comparing what
there was before the run with what there is after it, and reported.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cached_property
from types import MethodType
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ..ir import Effect, Value
from ..ir.own_operators import GRADIENT
from ..ir.structure import Structure
from .diagnostics import DiagnosticKind, Severity
from .dispatch.dispatcher import is_grad_enabled, plain_is_leaf
from .dispatch.memories import memory_of
from .dispatch.tensors import tensors_in, type_of_tensor
from .distributed.shards import Gathered, flat_sharded
from .numbers.lineage import Writes, is_written, writes_to
from .program.program_state import mentioned_objects
from .program.snapshots import Change, Snapshot
from .program.stores import Comparison
from .state import TracingState

# What they hold is noted for itself, if it can change; a region for the profiler holds nothing that counts.
_FIXED = (tuple, type, MethodType, torch.autograd.profiler.record_function)
_UNINITIALIZED: frozenset[Any] = frozenset((UninitializedParameter, UninitializedBuffer))
_COMPARED = (int, float, complex, bool, str, type(None), list, dict, set, torch.Tensor)


class Before:
    """What a program could change, noted before it runs."""

    def __init__(
        self,
        state: TracingState,
        function: Callable[..., Any],
        bound: dict[str, Any],
        leaves: list[torch.Tensor],
        structure: Structure,
    ) -> None:
        self._state = state
        self._versions: list[tuple[torch.Tensor, int]] = []
        held = {id(tensor): tensor for tensor in (*state.kept.candidates(), *leaves)}
        self._note_tensors(held.values())
        self._settings = _settings()
        self._randomness = _python_randomness()
        self._objects = Snapshot()
        for path, module in state.kept.modules():
            self._objects.add_module(path, module)
            self._objects.add_class(type(module))
        state.generators.note(self._objects.generators)
        state.generators.note(found for _, found in mentioned_objects(function))
        state.generators.note(part.constant for part in structure.walk())
        self._variables = Snapshot()
        self._variables.add_variables(function, _variables)
        for name, held in mentioned_objects(function):
            if isinstance(held, Iterator):
                self._variables.add_iterator(name, held)
        for name, held in state.kept.looked_into():
            if held.__class__ not in _FIXED and not self._objects.has_seen(held):
                self._variables.add_object(name, held, _COMPARED)
                self._objects.add_class(type(held))
        self._gathered = Gathered(state.kept.modules())
        self._arguments = Snapshot()
        for name, argument in bound.items():
            self._arguments.add_argument(name, argument)

    def note_module(self, path: str, module: torch.nn.Module) -> None:
        """Note a module that turns up while the program runs."""
        self._objects.add_module(path, module)
        self._note_tensors(
            tensor
            for held in (module._parameters, module._buffers)
            for tensor in held.values()
            if tensor is not None
        )

    def _note_tensors(self, tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            if tensor.__class__ in _UNINITIALIZED:  # has nothing to note yet
                continue
            if plain_is_leaf(tensor):
                self._state.gradients.found(tensor, tensor.grad)
            if not tensor.is_inference():
                self._versions.append((tensor, tensor._version))

    def changed_arguments(self) -> dict[str, list[Any]]:
        """Return the objects that the run changed in each argument, by the argument's name."""
        return {
            name: [change.owner for change in changes]
            for name, changes in self._changes_by_argument.items()
        }

    def report_changes(self, updated: Container[str], compared: Comparison) -> None:
        """Report each thing that the run changed and that a replay will not change.

        Args:
            updated: names of arguments that a replay will change.
            compared: what a replay will change of the objects that the program holds.
        """
        self._report_gradients()
        self._report_versions()
        training = self._state.circumstances.training()
        for change in self._objects.changes():
            if change.name == "training" and change.owner in training:
                continue
            if self._gathered.manages(change.owner, change.name) or compared.includes(
                change.owner, change.name, change.path
            ):
                continue
            self._report_change(change, f"{change.path} {change.text}; {_at_replay(change)}")
        for change in self._variables.changes():
            if self._state.kept.is_stored(change.path):
                continue
            if compared.includes(change.owner, change.name, change.path):
                continue
            # What collects things outside, a list that a test looks at, say, seldom shapes a result.
            is_collected = change.name is None and not self._is_read(change.owner)
            is_quiet = is_collected or _is_torchs_own(change)
            severity = Severity.INFO if is_quiet else Severity.WARNING
            message = f"the variable {change.path} {change.text}; {_at_replay(change)}"
            self._report_change(change, message, severity)
        for name, (change, *others) in self._changes_by_argument.items():
            if name in updated:
                continue
            more = f", and {len(others)} more" if others else ""
            message = (
                f"the program changed a container or an object among its arguments: {change.path} "
                f"{change.text}{more}; a replay leaves its arguments as they are, except for what operators "
                "write into tensors"
            )
            self._report_change(change, message)
        self._report_settings()
        self._report_randomness()
        self._report_module_hooks()
        self._hold_gathered()
        flat = flat_sharded(self._state.kept.modules())
        if flat is not None:
            self._state.report(
                DiagnosticKind.UNTRACKED_EFFECT,
                f"{flat}; the trace shows what it does and communicates, and a replay is refused",
                None,
                None,
                hint="shard the model with fully_shard instead",
            )

    def _hold_gathered(self) -> None:
        """Hold a replay to the sharded modules that find their parameters gathered, or do not."""
        state = self._state
        kept = {id(held) for held in state.kept.objects.values()}
        is_state: Callable[[Any], bool] = lambda tensor: id(tensor) in kept  # noqa: E731
        state.circumstances.include(tuple(self._gathered.circumstances(is_state)))
        path = self._gathered.given_back(is_state)
        if path is not None:
            state.report(
                DiagnosticKind.CHANGED_OBJECT,
                f"the parameters of {path or 'the module'} were gathered when the trace began, and are "
                "sharded now; a replay would give their memory back without the module knowing",
                None,
                None,
                severity=Severity.ERROR,
                hint="call reshard() on the module before the trace",
            )

    @cached_property
    def _changes_by_argument(self) -> dict[str, list[Change]]:
        """Return what changed in each argument: in a cache of keys and values that is two things a layer."""
        changes: dict[str, list[Change]] = {}
        for change in self._arguments.changes():
            name = re.split(r"[.\[]", change.path, maxsplit=1)[0]
            changes.setdefault(name, []).append(change)
        return changes

    def _is_read(self, container: Any) -> bool:
        """Whether the run has read tensors that a container held before it."""
        items = container.values() if isinstance(container, dict) else container
        state = self._state
        for tensor in tensors_in(list(items)):
            value = state.values.get(tensor)
            if value is not None and value.is_used and state.kept.named(tensor) is not None:
                return True
        return False

    def _report_change(
        self, change: Change, message: str, severity: Severity = Severity.WARNING
    ) -> None:
        state = self._state
        scope, stack = state.assigned.get((id(change.owner), change.name), (None, None))
        is_private = str(change.name).startswith("_")
        if isinstance(change.owner, DistributedDataParallel):
            severity = Severity.INFO  # what it remembers of its steps
        if stack is not None and stack.is_library and (change.tensor is not None or is_private):
            severity = Severity.INFO  # torch's own affair, as where weight_norm sets the weight
        value = None if change.tensor is None else state.values.get(change.tensor)
        nodes = () if value is None or value.node is None else (value.node,)
        if stack is None and nodes:  # the next best line is that of the new content
            scope, stack = nodes[0].scope, nodes[0].stack
        state.report(
            DiagnosticKind.CHANGED_OBJECT,
            message,
            scope,
            stack,
            severity=severity,
            value=change.value,
            nodes=nodes,
        )

    def _report_gradients(self) -> None:
        written = [
            tensor
            for tensor, is_same in self._state.gradients.changed()
            if not (is_same and self._is_recorded(tensor))
        ]
        if not written:
            return
        computed = [self._state.values.get(t.grad) for t in written if t.grad is not None]
        nodes = [value.node for value in computed if value is not None and value.node is not None]
        self._state.report(
            DiagnosticKind.STORED_GRADIENT,
            f"backward() wrote the .grad of {len(written)} tensor{'s' if len(written) > 1 else ''}; a replay "
            "computes these gradients and does not store them",
            None,
            None,
            nodes=nodes,
        )

    def _is_recorded(self, tensor: torch.Tensor) -> bool:
        """Whether recorded operators wrote into a gradient, as a replay does."""
        values, gradient = self._state.values, tensor.grad
        value = None if gradient is None else values.get(gradient)
        if value is None:
            return False
        while (node := value.node) is not None and node.operator.effects & Effect.WRITES:
            value = node.inputs[0]  # what an operator that writes in place returns
        is_read = node is not None and node.operator is GRADIENT
        return is_read and is_written(value, values.handed_on)

    def _report_versions(self) -> None:
        """Report inputs and state that were written, though no recorded operator wrote them."""
        inside = self._state.writes_inside
        written = [t for t, before in self._versions if t._version != before + inside.get(id(t), 0)]
        if not written:
            return
        roots = self._state.roots()
        writes = self._writes_by_memory({_memory(tensor) for tensor in written}, roots)
        gaps = self._state.gaps
        for tensor in written:
            root, memory = roots.get(id(tensor)), _memory(tensor)
            if root is None and self._state.values.get(tensor) is not None:
                continue  # made by the run, as what a module holds that it builds
            found = writes.get(memory, Writes.NONE)
            if found is not Writes.CERTAIN and not any(gap.has_written(memory) for gap in gaps):
                self._report_unseen_write(tensor, root, found)

    def _writes_by_memory(
        self, memories: set[int], roots: Mapping[int, Value]
    ) -> dict[int, Writes]:
        """Say whether recorded operators write to memory through any of the tensors on it."""
        found: dict[int, Writes] = {}
        for tensor, _ in self._versions:
            root, memory = roots.get(id(tensor)), _memory(tensor)
            if root is not None and memory in memories:
                both = (
                    found.get(memory, Writes.NONE),
                    writes_to(root, self._state.values.handed_on),
                )
                found[memory] = max(both, key=lambda writes: writes.value)
        return found

    def _report_unseen_write(
        self, tensor: torch.Tensor, root: Value | None, writes: Writes
    ) -> None:
        state = self._state
        name = state.kept.named(tensor) or (None if root is None else root.name) or "a tensor"
        is_certain = writes is Writes.NONE and not state.was_paused
        state.report(
            DiagnosticKind.UNTRACKED_WRITE,
            f"{name} ({type_of_tensor(tensor)}) was written in place while the program ran, by no operator "
            "that was recorded, such as one in a thread that was there before; a replay does not write it",
            None,
            None,
            severity=Severity.ERROR if is_certain else Severity.WARNING,
            shaped=root,
            hint="write it in the thread that is traced, with torch operators",
        )

    def _report_settings(self) -> None:
        now = _settings()
        for name, before in self._settings.items():
            if now[name] != before:
                self._state.report(
                    DiagnosticKind.UNTRACKED_EFFECT,
                    f"the program leaves {name} at {now[name]}, which was {before}; a replay does not set it",
                    None,
                    None,
                    value=f"{before} -> {now[name]}",
                    hint="set it outside the program, or set it back before the program ends",
                )

    def _report_randomness(self) -> None:
        """Report random numbers that are not torch's."""
        now = _python_randomness()
        for module, before in self._randomness.items():
            if now[module] != before:
                self._state.report(
                    DiagnosticKind.UNTRACKED_EFFECT,
                    f"the program draws random numbers from {module}, or seeds it; a replay does neither, "
                    "and computes as with those of the trace",
                    None,
                    None,
                    hint="draw them with torch, or pass them in as an argument",
                )

    def _report_module_hooks(self) -> None:
        """Report hooks that the program registered on modules and did not remove."""
        for handle, message, (scope, stack) in self._state.module_hooks:
            hooks = handle.hooks_dict_ref()
            if hooks is not None and handle.id in hooks:
                self._state.report(
                    DiagnosticKind.HOOK,
                    f"{message}; a replay does what it did in this run, and leaves none",
                    scope,
                    stack,
                    hint="register it before the program runs, or remove it before the program ends",
                )


def _memory(tensor: torch.Tensor) -> int:
    """Return a number that tensors share whose writes are each other's."""
    memory = memory_of(tensor)
    return -id(tensor) if memory is None else memory


def _is_torchs_own(change: Change) -> bool:
    """Whether a change is of what an object of torch's keeps for itself."""
    home = type(change.owner).__module__
    if home.startswith("torch.distributed."):
        return True  # what sharded modules remember of their steps
    is_torchs = home.startswith("torch.")
    return is_torchs and change.path.rpartition(".")[2].startswith("_")


def _at_replay(change: Change) -> str:
    if change.tensor is not None and change.name is not None:
        if change.is_new:
            return "a replay does not store one"
        return "a replay reads the one that was there at the trace, and stores none"
    return "a replay leaves it as it is, and computes as in the trace"


def _variables(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the variables outside a function that it can see and that may count or collect something."""
    return {
        name: value
        for name, value in mentioned_objects(function)
        if isinstance(value, _COMPARED) and "." not in name
    }


def _python_randomness() -> dict[str, Any]:
    """Return what the generators of Python and NumPy would draw next."""
    states: dict[str, Any] = {"Python's random": random.getstate()}
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        name, keys, *rest = numpy_random.get_state()
        states["numpy.random"] = (name, keys.tobytes(), *rest)
    return states


def _settings() -> dict[str, Any]:
    """Return the settings of torch that change what later operators do."""
    return {
        "grad mode": is_grad_enabled(),
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "the number of threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "the float32 matmul precision": torch.get_float32_matmul_precision(),
    }
