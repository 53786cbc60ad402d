"""In what inputs, outputs, state and names of two graphs differ."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir import StateEntry, Value
from .boundaries import align_in_rounds
from .changes import ChangeKind, SignatureChange, StateChange
from .differences import of_types
from .facts import (
    ArgumentChange,
    Fact,
    KindChange,
    ModesChange,
    NameChange,
    NamesChange,
    TypeChange,
)
from .matching import Matching


def signature_changes(matching: Matching, function: str | None) -> Iterator[SignatureChange]:
    """Yield in what two graphs differ as seen from outside; names of functions aside.

    Args:
        matching: which node and value is which.
        function: the function of the graph that this is; None for the graph itself.
    """
    graph, other = matching.before.graph, matching.after.graph
    changed = ChangeKind.CHANGED
    if graph.name != other.name and function is None:
        name = NameChange(graph.name, other.name)
        yield SignatureChange(changed, "name", 0, graph.name, other.name, (name,), function)
    if graph.modes != other.modes:
        modes = ModesChange(graph.modes, other.modes)
        what = "ambient modes"
        yield SignatureChange(changed, what, 0, graph.modes, other.modes, (modes,), function)
    yield from _of("input", graph.inputs, other.inputs, _Inputs(matching), function)
    yield from _of("output", graph.outputs, other.outputs, _Outputs(matching), function)


class _Inputs:
    """Pairs inputs as the matching has them."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching

    def positions(self) -> list[tuple[int, int]]:
        graph, other = self._matching.before.graph, self._matching.after.graph
        places = {value: at for at, value in enumerate(graph.inputs)}
        other_places = {value: at for at, value in enumerate(other.inputs)}
        return sorted((places[value], other_places[twin]) for value, twin in self._matching.inputs)

    def facts(self, value: Value, twin: Value) -> Iterator[Fact]:
        yield from of_types("input", (value,), (twin,))


class _Outputs:
    """Pairs outputs by their order if there are as many, else by what they are."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching

    def positions(self) -> list[tuple[int, int]]:
        matching = self._matching
        outputs, others = matching.before.graph.outputs, matching.after.graph.outputs
        if len(outputs) == len(others):
            return [(at, at) for at in range(len(outputs))]
        atoms = [matching.atoms.get(value, 1) for value in outputs]
        other_atoms = [matching.other_atoms.get(value, 2) for value in others]
        if len(atoms) < len(other_atoms):
            return _aligned(atoms, other_atoms)
        # From the shorter to the longer, so that both directions give the same.
        return [(at, other_at) for other_at, at in _aligned(other_atoms, atoms)]

    def facts(self, value: Value, twin: Value) -> Iterator[Fact]:
        if not self._matching.is_same(value, twin):
            yield ArgumentChange("output", value, twin)
        yield from of_types("output", (value,), (twin,))


def _aligned(atoms: list[int], others: list[int]) -> list[tuple[int, int]]:
    """Align outputs by what they are, and what is between the same by order."""
    return align_in_rounds([(atoms, others), ([0] * len(atoms), [0] * len(others))])


def _of(
    what: str,
    values: tuple[Value, ...],
    twins: tuple[Value, ...],
    kind: _Inputs | _Outputs,
    function: str | None,
) -> Iterator[SignatureChange]:
    pairs = kind.positions()
    paired, other_paired = {at for at, _ in pairs}, {at for _, at in pairs}
    for at, value in enumerate(values):
        if at not in paired:
            yield SignatureChange(ChangeKind.REMOVED, what, at, value, None, (), function)
    for at, other_at in pairs:
        value, twin = values[at], twins[other_at]
        facts = tuple(kind.facts(value, twin))
        if facts:
            changed = ChangeKind.CHANGED
            yield SignatureChange(changed, what, other_at, value, twin, facts, function)
    for other_at, twin in enumerate(twins):
        if other_at not in other_paired:
            yield SignatureChange(ChangeKind.ADDED, what, other_at, None, twin, (), function)


def state_changes(matching: Matching, function: str | None) -> Iterator[StateChange]:
    """Yield what became of each piece of state that is not as it was."""
    state, other_state = matching.before.graph.state, matching.after.graph.state
    for entry in state.values():
        other = matching.state.get(entry)
        if other is None:
            yield StateChange(ChangeKind.REMOVED, entry, None, (), function)
            continue
        facts = tuple(_of_entries(entry, other))
        if facts:
            yield StateChange(ChangeKind.CHANGED, entry, other, facts, function)
    known = dict.fromkeys(matching.state.values())
    for other in other_state.values():
        if other not in known:
            yield StateChange(ChangeKind.ADDED, None, other, (), function)


def _of_entries(entry: StateEntry, other: StateEntry) -> Iterator[Fact]:
    if entry.names != other.names:
        if len(entry.names) == len(other.names) == 1:
            yield NameChange(entry.name, other.name)
        else:
            yield NamesChange(entry.names, other.names)
    if entry.value.type != other.value.type:
        yield TypeChange("type", entry.value.type, other.value.type)
    if entry.kind is not other.kind:
        yield KindChange(entry.kind.name.lower(), other.kind.name.lower())
