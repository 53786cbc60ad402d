"""Which input and which state of one graph is which of the other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ..ir import ScopeKind, StateEntry, Value
from .labels import Labels, Numbers
from .scopes import ScopePairs
from .sequences import Pairs, align
from .side import Side


def pair_inputs(
    before: Sequence[Value], after: Sequence[Value], labels: Labels
) -> list[tuple[Value, Value]]:
    """Return which input is which: by their order if there are as many, else by names and types."""
    if len(before) == len(after):
        return list(zip(before, after, strict=True))
    numbers = Numbers()
    types = [labels.type_number(value.type) for value in before]
    other_types = [labels.type_number(value.type) for value in after]
    names, other_names = [v.name for v in before], [v.name for v in after]
    both = list(zip(names, types, strict=True)), list(zip(other_names, other_types, strict=True))
    rounds: list[tuple[Sequence[Hashable], Sequence[Hashable]]] = [
        both, (names, other_names), (types, other_types)
    ]  # fmt: skip
    pairs = align_in_rounds([(_numbered(k, numbers), _numbered(o, numbers)) for k, o in rounds])
    return [(before[at], after[other_at]) for at, other_at in pairs]


def align_in_rounds(rounds: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Pairs:
    """Align two sequences by one kind of keys after the other, each where those before left gaps."""
    before, after = rounds[0]
    pairs: Pairs = []
    for keys, other_keys in rounds:
        found: Pairs = []
        start = other_start = 0
        for at, other_at in [*pairs, (len(before), len(after))]:
            found += [
                (start + x, other_start + y)
                for x, y in align(keys[start:at], other_keys[other_start:other_at])
            ]
            start, other_start = at + 1, other_at + 1
        pairs = sorted([*pairs, *found])
    return pairs


def _numbered(keys: Sequence[Hashable], numbers: Numbers) -> list[int]:
    return [numbers[key] for key in keys]


def pair_state(
    before: Side, after: Side, scopes: ScopePairs
) -> list[tuple[StateEntry, StateEntry]]:
    """Return which piece of state is which, by their names, as far as modules were not renamed."""
    state, other_state = before.graph.state, after.graph.state
    paths = _paths(scopes)
    pairs: dict[StateEntry, StateEntry] = {}
    taken: dict[StateEntry, None] = {}
    for is_exact in (False, True):
        for entry in state.values():
            if entry in pairs:
                continue
            other = other_state.get(entry.name if is_exact else _expected(entry.name, paths))
            if other is not None and other not in taken:
                pairs[entry] = other
                taken[other] = None
    return list(pairs.items())


def _paths(scopes: ScopePairs) -> dict[str, str]:
    """Return the paths of modules in the first graph, with those in the second."""
    paths: dict[str, str] = {}
    for scope, other in scopes.items():
        kinds = {scope.kind, other.kind}
        if kinds <= {ScopeKind.MODULE, ScopeKind.ROOT}:
            paths.setdefault(scope.path, other.path)
    return paths


def _expected(name: str, paths: dict[str, str]) -> str:
    """Return what a piece of state is called in the second graph if its module is all that was renamed."""
    end = len(name)
    while end > 0:
        end = name.rfind(".", 0, end)
        start = name[: max(end, 0)]
        path = paths.get(start)
        if path == start:
            return name
        if path is not None:
            rest = name[end + 1 :]
            return f"{path}.{rest}" if path else rest
    return name
