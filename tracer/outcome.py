"""What a run returns and leaves in objects, as the outputs of its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..errors import CaptureError
from ..ir import Value
from ..ir.identities import Identities
from ..ir.places import ABSENT
from ..ir.structure import Structure, take_apart
from ..ir.updates import Stored, with_kept_parts
from .diagnostics import DiagnosticKind, Severity
from .dispatch.gradients import gradient_of
from .dispatch.number import Number, number_of
from .dispatch.tensors import PLAIN_CLASSES
from .naming import identifier, name_values
from .program.inputs import is_opaque, is_tensor
from .program.stores import Store
from .state import TracingState, without_history


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the outputs of a graph are made into.

    Attributes:
        outputs: the structure of what the program returns.
        updates: the structures of the arguments in which it changed something, by name.
        stored: what it put into the objects that it holds.
    """

    outputs: Structure
    updates: Mapping[str, Structure]
    stored: tuple[Stored, ...]

    def paths(self) -> tuple[list[str], int]:
        """Return what the leaves are called, and how many of them are no part of objects that it holds."""
        paths = self.outputs.leaf_paths("result")
        for name, update in self.updates.items():
            paths += update.leaf_paths(name)
        count = len(paths)
        for each in self.stored:
            if each.structure is not None:
                paths += each.structure.leaf_paths(each.place.name)
        return paths, count


def set_outcome(
    state: TracingState,
    result: Any,
    changed: Mapping[str, tuple[Any, list[Any]]],
    inputs: Structure,
    stores: Sequence[Store],
    identities: Identities,
) -> Outcome:
    """Give the graph its outputs, names and diagnostics.

    Args:
        state: the trace.
        result: what the program returned.
        changed: the arguments in which it changed something, each with the objects that it changed.
        inputs: the structure of its arguments.
        stores: what it put into the objects that it holds.
        identities: which objects among arguments and results are one.

    Raises:
        CaptureError: the program returns what no replay can make.
    """

    def is_whole(part: Any) -> bool:
        return is_opaque(part) or state.function_values.get(part) is not None

    left, updates = _updates(changed, inputs, is_whole, identities)
    stored = []
    for store in stores:
        own, content = take_apart(
            store.content, is_tensor_or_number, is_whole, identities=identities
        )
        left += own
        content = with_kept_parts(content, None, identities, ())
        is_gone = store.content is ABSENT
        stored.append(Stored(store.place, None if is_gone else content, store.is_whole))
    leaves, structure = take_apart(result, is_tensor_or_number, is_whole, identities=identities)
    _require_returnable(state, structure)
    _report_modules(state, structure)
    outcome = Outcome(structure, updates, tuple(stored))
    leaves += left
    _set_outputs(state, leaves, outcome)
    state.report_followed()
    if any(is_tensor(leaf) and leaf.requires_grad for leaf in leaves):
        state.functions.report_dissolved(state)
    outputs = with_kept_parts(structure, None, identities, ())
    return replace(outcome, outputs=outputs)


def _set_outputs(state: TracingState, leaves: list[Any], outcome: Outcome) -> None:
    """Make the values of leaves the outputs of the graph, and name all values of it."""
    paths, count = outcome.paths()
    values = [_output(state, leaf, path) for leaf, path in zip(leaves, paths, strict=True)]
    state.flush_grad_flags()
    state.graph.set_outputs(
        [
            (state.values.get(leaf) if is_tensor(leaf) else None) or value
            for leaf, value in zip(leaves, values, strict=True)
        ]
    )
    name_values(state)
    for value, path in zip(state.graph.outputs[count:], paths[count:], strict=True):
        if value.name is None and value.node is not None:
            value.name = identifier(path)


def _output(state: TracingState, leaf: Any, path: str) -> Value:
    """Return the value of one tensor or number that the program returns or leaves somewhere."""
    number = number_of(leaf)
    if number is not None:
        return _returned_number(state, number)
    root = state.graph.root_scope
    value = state.values.get(leaf) or state.made_without_operator(leaf, root, None)
    if value is None:
        value = state.kept.constant(without_history(leaf), "constant")
        message = (
            f"the program returns, as {path}, a tensor that no recorded operator made: a constant"
        )
        if not state.report_from_gap(leaf, f"is returned as {path}", None, "it is a constant"):
            state.report(DiagnosticKind.UNTRACKED_TENSOR, message, root, None)
    value = state.with_grad_flag(leaf, value, root, None)
    _report_attributes(state, leaf, value, path)
    return value


def _require_returnable(state: TracingState, structure: Structure) -> None:
    """Refuse a result that only this run could make."""
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
