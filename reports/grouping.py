"""Grouping: the costs of a graph by module, by source line, or by operator."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..ir import ScopeKind, StateEntry, StateKind, TensorType
from .costs import Costs, Ledger, Path, Step, Tally
from .phases import Phase

_SHOWN: Final = (None, ScopeKind.MODULE, ScopeKind.REGION, ScopeKind.OPTIMIZER)


FIGURES: Final[dict[str, Callable[[Group], int]]] = {
    "flops": lambda group: group.total.flops,
    "moved": lambda group: group.total.moved_bytes,
    "activations": lambda group: group.total.activation_bytes,
    "messages": lambda group: group.total.message_bytes,
    "saved": lambda group: group.total.saved_bytes,
    "parameters": lambda group: group.parameters,
    "calls": lambda group: group.calls,
}
"""The figures that groups can be sorted by."""


@dataclass(slots=True)
class Group:
    """What belongs together, with all inside.

    Attributes:
        name: the step from the group around: a module's name, a line, an operator.
        class_name: the module's class; for a line, its text.
        path: the way from the top.
        costs: the sum, by phase.
        state: what of the graph's state is read.
        calls: how often a module was called; how many nodes, for other groups.
        members: the names of the equal neighbours that the group stands for, itself the first.
        inner: the groups inside, in order of first use.
    """

    name: str
    class_name: str = ""
    path: str = ""
    costs: dict[Phase, Costs] = field(default_factory=dict)
    state: dict[StateEntry, None] = field(default_factory=dict)
    calls: int = 0
    members: tuple[str, ...] = ()
    inner: dict[Hashable, Group] = field(default_factory=dict)

    @property
    def total(self) -> Costs:
        """The costs of all phases together."""
        total = Costs()
        for costs in self.costs.values():
            total.add(costs)
        return total

    def add(self, other: Group) -> None:
        """Take in the costs and state of another group, not the groups inside it."""
        for phase, costs in other.costs.items():
            self.costs.setdefault(phase, Costs()).add(costs)
        self.state.update(other.state)

    def enter(self, tally: Tally) -> None:
        """Take in the costs of some nodes."""
        self.costs.setdefault(tally.phase, Costs()).add(tally.costs)
        for value in tally.state:
            entry = value.state
            if entry is not None and entry.kind is StateKind.PARAMETER:
                self.state[entry] = None

    @property
    def parameters(self) -> int:
        """How many numbers are in the parameters that are read, each counted once."""
        return sum([type_.numel or 0 for type_ in self._types()])

    @property
    def parameter_bytes(self) -> int:
        """The size of these parameters."""
        return sum([type_.nbytes or 0 for type_ in self._types()])

    def _types(self) -> list[TensorType]:
        return [e.value.type for e in self.state if isinstance(e.value.type, TensorType)]


def by_module(ledger: Ledger, name: str, *, fold: bool) -> Group:
    """Return the tree of modules, with the whole program as its root.

    What a function between modules does belongs to the module around it; where there are no modules,
    functions take their place.

    Args:
        ledger: what is grouped.
        name: of the root.
        fold: whether neighbours that are of one class and cost the same become one group.
    """
    shown: Callable[[Step], bool] = lambda step: step.kind in _SHOWN  # noqa: E731
    if not any(shown(step) for tally in ledger.tallies for step in tally.path):
        shown = lambda step: step.kind is not ScopeKind.OPERATOR  # noqa: E731
    root = Group(name, calls=1)
    groups: dict[Path, Group] = {(): root}

    def at(path: Path) -> Group:
        known = groups.get(path)
        if known is None:
            if shown(path[-1]):
                known = _inside(at(path[:-1]), path[-1])
            else:
                known = at(path[:-1])
            groups[path] = known
        return known

    for tally in ledger.tallies:
        at(tally.path).enter(tally)
    for path, calls in ledger.calls.items():
        if path and shown(path[-1]):
            at(path).calls += calls
    _sum_up(root)
    if fold:
        _fold(root)
    return root


def by_line(ledger: Ledger, name: str, text: Callable[[str, int], str]) -> Group:
    """Return the lines of the program as groups of one root; ``text`` gives what stands on a line."""

    def group(tally: Tally) -> Group:
        if tally.line is None:
            return Group("?")
        file, line = tally.line
        return Group(f"{file}:{line}", text(file, line))

    return _flat(ledger.tallies, name, lambda tally: tally.line, group)


def by_operator(ledger: Ledger, name: str) -> Group:
    """Return the operators as groups of one root."""
    return _flat(
        ledger.tallies,
        name,
        lambda tally: tally.operator,
        lambda tally: Group(tally.operator.removeprefix("aten::")),
    )


def sort_by(group: Group, figure: Callable[[Group], float]) -> None:
    """Put the groups inside in order, most first, equal ones by what they move."""
    inner = sorted(
        group.inner.items(),
        key=lambda item: (figure(item[1]), item[1].total.moved_bytes),
        reverse=True,
    )
    group.inner = dict(inner)
    for _, each in inner:
        sort_by(each, figure)


def _flat(
    tallies: Iterable[Tally],
    name: str,
    key: Callable[[Tally], Hashable],
    make: Callable[[Tally], Group],
) -> Group:
    root = Group(name, calls=1)
    for tally in tallies:
        group = root.inner.get(key(tally))
        if group is None:
            group = root.inner[key(tally)] = make(tally)
            group.path = group.name
        group.enter(tally)
        group.calls += tally.costs.nodes
        root.enter(tally)
    return root


def _inside(around: Group, step: Step) -> Group:
    name = f"{step.name}()" if step.kind is ScopeKind.FUNCTION else step.name
    group = around.inner.get((step.kind, step.name))
    if group is None:
        path = f"{around.path}.{name}" if around.path else name
        group = around.inner[step.kind, step.name] = Group(name, step.class_name, path)
    return group


def _sum_up(group: Group) -> None:
    for inner in group.inner.values():
        _sum_up(inner)
        group.add(inner)


def _fold(group: Group) -> Hashable:
    """Make one group of equal neighbours, inside out; return what a group must share with its equals."""
    signatures = [(inner.name, _fold(inner)) for inner in group.inner.values()]
    items = list(group.inner.items())
    folded: dict[Hashable, Group] = {}
    start = 0
    while start < len(items):
        end = start + 1
        list_name = _list_of(signatures[start][0])
        while (
            list_name is not None
            and end < len(items)
            and signatures[end][1] == signatures[start][1]
            and _list_of(signatures[end][0]) == list_name
        ):
            end += 1
        run = [inner for _, inner in items[start:end]]
        key, one = items[start]
        if len(run) > 1:
            one = _merged(run)
            one.members = tuple(inner.name for inner in run)
        folded[key] = one
        start = end
    group.inner = folded
    costs = tuple(
        (phase, c.nodes, c.flops, c.moved_bytes, c.activation_bytes, c.saved_bytes, c.message_bytes)
        for phase, c in group.costs.items()
    )
    return group.class_name, group.calls, group.parameters, costs, tuple(signatures)


def _list_of(name: str) -> str | None:
    """Return the list that a module is a member of by its name: ``h`` for ``h.0``; None if it is none."""
    outer, _, last = name.rpartition(".")
    return outer if last.isdecimal() else None


def _merged(run: Sequence[Group]) -> Group:
    """Return one group for equal ones: their sum, and so inside, group by group."""
    first = run[0]
    merged = Group(first.name, first.class_name, first.path, members=first.members)
    for group in run:
        merged.calls += group.calls
        merged.add(group)
    inner = zip(*[group.inner.values() for group in run], strict=True)
    merged.inner = {key: _merged(column) for key, column in zip(first.inner, inner, strict=True)}
    return merged
