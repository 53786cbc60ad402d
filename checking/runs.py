"""Running a program, its replay and its trace again, each from the same state, and what each gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import CaptureError
from ..ir import Graph
from ..ir.structure import Structure, take_apart
from ..ir.updates import Stored
from ..passes.fold_operators import FoldOperators
from ..runtime import CompiledGraph, run_blocks
from ..tracer import (
    Capture,
    DiagnosticKind,
    Dynamic,
    InputSpec,
    capture,
    input_leaves,
    input_names,
    is_opaque,
    is_tensor,
)
from .arguments import Call, KeptArguments
from .randomness import TorchRandomness
from .state import ProgramSnapshot
from .storage import storage_of


@dataclass(frozen=True, slots=True)
class Subject:
    """A traced program, as far as a check is concerned.

    Attributes:
        function: the program itself.
        graph: what was recorded of it.
        state: what the graph's state stands for.
        inputs: what it takes.
        replay: calls it as the traced program is called.
        replay_by: the same with the graph compiled in another way than usual.
        changes_arguments: whether a replay changes objects among its arguments.
        stored: what a replay puts into objects that the program holds.
        dynamic: which sizes were allowed to vary when it was traced.
        depth: what was to become of composite operators when it was traced.
        is_folded: whether operators of the graph were folded since.
    """

    function: Callable[..., Any]
    graph: Graph
    state: Mapping[str, Any]
    inputs: InputSpec
    replay: Callable[..., Any]
    replay_by: Callable[[CompiledGraph, tuple[Any, ...], Mapping[str, Any]], Any]
    changes_arguments: bool
    stored: Sequence[Stored]
    dynamic: Dynamic
    depth: str | None = None
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run gave.

    Attributes:
        leaves: the tensors that it returned.
        structure: what they were returned in.
        inputs: the tensors among its arguments, and those that the arguments hold afterwards, by name.
        arguments: what the arguments hold them in afterwards; None where that cannot be taken apart.
        sharing: for each leaf, the tensor whose memory it shares, in words; None where it is its own.
        changes: what now stands under the names of the program's state, where that has changed.
        gradients: for each order, the gradient of each differentiable tensor, by name.
    """

    leaves: list[torch.Tensor]
    structure: Structure
    inputs: dict[str, torch.Tensor]
    arguments: Structure | None
    sharing: list[str | None]
    changes: dict[str, torch.Tensor | None]
    gradients: list[dict[str, torch.Tensor | None]]


class Runs:
    """Runs on one set of inputs, each from the state, and with the random numbers, of the first.

    Args:
        subject: what is run.
        arguments: what it is run on.
        orders: up to which order gradients are computed.
    """

    def __init__(self, subject: Subject, arguments: KeptArguments, orders: int) -> None:
        self._subject = subject
        self._arguments = arguments
        self._orders = orders
        self.snapshot = ProgramSnapshot(
            subject.function, subject.state, arguments.modules, subject.stored
        )
        kept = list(self.snapshot.tensors())
        devices = {tensor.device for tensor in (*kept, *arguments.fresh().leaves)}
        generators = [g for g in subject.state.values() if isinstance(g, torch.Generator)]
        self._randomness = TorchRandomness(devices, [*generators, *arguments.generators])

    @contextmanager
    def from_start(self) -> Iterator[None]:
        """Restore state and random numbers after a run, so that the next begins as the first did."""
        try:
            with self._modes():
                yield
        finally:
            self.restore()

    def restore(self) -> None:
        """Make state and random number generators as they were at first."""
        self.snapshot.restore()
        self._randomness.restore()

    def _modes(self) -> Any:
        return _gradient_modes() if self._orders else _as_they_are()

    def tensors(self) -> list[torch.Tensor]:
        """Return the tensors of the program, and those among its arguments."""
        return [*self.snapshot.tensors(), *self._for_replay().leaves]

    def require_fit(self) -> None:
        """Raise an ``InputError`` if the traced program does not take these arguments."""
        call = self._arguments.fresh(for_python=False)
        self._subject.inputs.leaves(call.args, call.kwargs)

    def eager(self) -> Outcome:
        """Run the program."""
        with self.from_start():
            return self._outcome(self._subject.function, self._arguments.fresh())

    def replay(self) -> Outcome:
        """Run the graph."""
        with self.from_start():
            return self._outcome(self._subject.replay, self._for_replay())

    def replay_by(self, compiled: CompiledGraph) -> None:
        """Run the graph compiled in another way than usual."""
        with self.from_start():
            call = self._for_replay()
            self._subject.replay_by(compiled, call.args, call.kwargs)

    def _for_replay(self) -> Call:
        return self._arguments.fresh(for_python=self._subject.changes_arguments)

    def retrace(self, observe: Any = None) -> tuple[Capture, list[torch.Tensor]]:
        """Trace the program again; return the trace, and copies of what the program returned."""
        with self.from_start():
            call = self._arguments.fresh()
            subject = self._subject
            captured = capture(
                subject.function,
                call.args,
                call.kwargs,
                dynamic=subject.dynamic,
                warn=False,
                allow=DiagnosticKind,  # what is wrong shows in what it gives
                observe=observe,
                run_blocks=run_blocks,
                depth=subject.depth,
            )
            if subject.is_folded:
                FoldOperators().run(captured.graph)
            return captured, self._apart_from_state(list(captured.results))

    def _outcome(self, function: Callable[..., Any], call: Call) -> Outcome:
        result = function(*call.args, **call.kwargs)
        leaves, structure = take_apart(result, is_tensor, is_opaque)
        names = _leaf_names(self._subject.inputs, call)
        inputs = {names.get(id(leaf), f"input {n}"): leaf for n, leaf in enumerate(call.leaves)}
        held, arguments = _held_by(self._subject.inputs, call)
        gradients = []
        changes = self.snapshot.changes()
        if self._orders:
            sources = {
                names.get(id(leaf), f"input {n}"): source
                for n, (leaf, source) in enumerate(call.sources)
            }
            sources.update(self.snapshot.differentiable())
            gradients = list(_gradients(leaves, sources, self._orders))
        sharing = self._sharing(leaves, inputs)
        leaves = self._apart_from_state(leaves)
        return Outcome(
            leaves, structure, {**held, **inputs}, arguments, sharing, changes, gradients
        )

    def _apart_from_state(self, leaves: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return results, with copies of those whose memory is the program's and will be restored."""
        own = {_memory_of(tensor) for tensor in self.snapshot.tensors()} - {None}
        return [
            leaf.detach().clone().requires_grad_(leaf.requires_grad)
            if _memory_of(leaf) in own
            else leaf
            for leaf in leaves
        ]

    def _sharing(
        self, leaves: list[torch.Tensor], inputs: dict[str, torch.Tensor]
    ) -> list[str | None]:
        """Say of each leaf whether it is, or shares memory with, an input, state or an earlier leaf."""
        objects: dict[int, str] = {}
        storages: dict[int, str] = {}
        known = [*((f"input {name}", tensor) for name, tensor in inputs.items())]
        known += [(f"state {n}", tensor) for n, tensor in enumerate(self.snapshot.tensors())]
        for name, tensor in known:
            _note(name, tensor, objects, storages)
        sharing: list[str | None] = []
        for number, leaf in enumerate(leaves):
            if id(leaf) in objects:
                sharing.append(f"is {objects[id(leaf)]}")
            else:
                key = _memory_of(leaf)
                shared = None if key is None else storages.get(key)
                sharing.append(None if shared is None else f"shares the memory of {shared}")
            _note(f"output {number}", leaf, objects, storages)
        return sharing


def _note(
    name: str, tensor: torch.Tensor, objects: dict[int, str], storages: dict[int, str]
) -> None:
    objects.setdefault(id(tensor), name)
    key = _memory_of(tensor)
    if key is not None:
        storages.setdefault(key, name)


def _memory_of(tensor: torch.Tensor) -> int | None:
    return None if tensor.numel() == 0 else storage_of(tensor)


def _held_by(spec: InputSpec, call: Call) -> tuple[dict[str, torch.Tensor], Structure | None]:
    """Return the tensors that arguments hold after a run, by name, and what they are held in."""
    try:
        leaves, structure = input_leaves(spec.arguments.bind(call.args, call.kwargs))
    except CaptureError:  # a set of tensors, say, that the program has made there
        return {}, None
    return dict(zip(input_names(structure), leaves, strict=True)), structure


def _leaf_names(spec: InputSpec, call: Call) -> dict[int, str]:
    leaves, _ = input_leaves(spec.arguments.bind(call.args, call.kwargs))
    return {id(leaf): name for leaf, name in zip(leaves, spec.names, strict=False)}


def _gradients(
    outputs: list[torch.Tensor], sources: dict[str, torch.Tensor], orders: int
) -> Iterator[dict[str, torch.Tensor | None]]:
    """Yield the gradients of a weighted sum of the outputs, then those of the gradients, and so on."""
    names, leaves = list(sources), list(sources.values())
    values = outputs
    for order in range(1, orders + 1):
        values = [value for value in values if value.requires_grad and _is_floating(value)]
        if not values or not leaves:
            return
        found = torch.autograd.grad(
            values,
            leaves,
            [_weights(value, order * 1000 + n) for n, value in enumerate(values)],
            create_graph=order < orders,
            allow_unused=True,
        )
        yield dict(zip(names, found, strict=True))
        values = [gradient for gradient in found if gradient is not None]


def _is_floating(value: torch.Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _weights(value: torch.Tensor, seed: int) -> torch.Tensor:
    """Return numbers between 0.5 and 1.5, the same at each call, so that no two gradients cancel out."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weights = torch.rand(value.shape, generator=generator, dtype=torch.float64) + 0.5
        return weights.to(value.dtype).to(value.device).expand_as(value)


@contextmanager
def _gradient_modes() -> Iterator[None]:
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def _as_they_are() -> Iterator[None]:
    yield
