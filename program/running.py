"""Running a traced program while somebody looks on: what it made, what that is like, how long it took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from ..checking import Runs, copy_of, undefined_nodes
from ..errors import InputError, ReplayError
from ..ir import Graph, Node, Value
from ..ir.numbers import Numbers
from ..ir.selection import Selection, tensors_of
from ..passes.hidden_writes import written_values
from ..runtime import Clock, CompiledGraph, SteppedGraph, numbers_of
from ..tracer import apart, is_tracing

if TYPE_CHECKING:
    from ..reports import Profile, Statistics

Keep: TypeAlias = str | Callable[[Node], bool]
"""A value's name, a source line or a scope pattern; or what tells of a node whether its tensors are kept."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run gave.

    Attributes:
        output: what the program returned.
        kept: what was to be kept. Values go by their names, ``%h``; the result of a scope goes by the scope's
            address, ``encoder.layer.0``, and where a scope has several, by address and name.
    """

    output: Any
    kept: dict[str, Any] = field(repr=False)

    def __repr__(self) -> str:
        return f"<RunResult: kept {', '.join(self.kept) or 'nothing'}>"


def run_keeping(
    stepped: SteppedGraph,
    keep: Iterable[Keep] | Keep,
    call: Callable[[CompiledGraph], Any],
    *,
    copy: bool,
) -> RunResult:
    """Run a program and keep some of its values.

    Args:
        stepped: its graph.
        keep: which values.
        call: calls the program by a graph that is compiled in its own way.
        copy: whether copies are kept, which no later write changes.
    """
    require_no_trace("run")
    asked = [keep] if isinstance(keep, str) or callable(keep) else list(keep)
    keeper = _Keeper(_wanted(stepped.graph, asked), copy=copy)
    output = call(stepped.watched(keeper))
    return RunResult(output, keeper.in_order())


def profile_of(stepped: SteppedGraph, runs_of: Callable[[], Runs], repeats: int) -> Profile:
    """Measure how long each node of a program takes, from the same state each time."""
    from ..reports import Profile  # which a trace has no use for

    require_no_trace("profile")
    if not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1:
        raise InputError(f"repeats is a whole number from 1, not {repeats!r}")
    runs = runs_of()
    clock = Clock(uses_cuda=any(tensor.is_cuda for tensor in runs.tensors()))
    runs.replay_by(stepped.watched(clock))
    clock.forget()  # the first run allocates memory, and chooses kernels
    for _ in range(repeats):
        runs.replay_by(stepped.watched(clock))
    return Profile(stepped.graph, clock.medians(), repeats)


def statistics_of(stepped: SteppedGraph, runs_of: Callable[[], Runs]) -> Statistics:
    """Run a program once and return statistics of what each node made."""
    from ..reports import Statistics  # which a trace has no use for

    require_no_trace("statistics")
    numbers = _Numbered(stepped.graph)
    runs_of().replay_by(stepped.watched(numbers))
    return Statistics(stepped.graph, numbers.found, numbers.given)


def require_no_trace(name: str) -> None:
    """Raise a ``ReplayError`` where a trace is running, to which a program that is looked at is of no use."""
    if is_tracing():
        raise ReplayError(
            f"{name}() looks at a run, which a trace cannot record\n"
            "  inside a trace, call the traced program itself"
        )


def _wanted(graph: Graph, asked: Iterable[Keep]) -> dict[str, Value]:
    """Return which values are kept, by the name that each is kept under, in the order that is asked for.

    Raises:
        ReplayError: nothing is called so.
    """
    selection = Selection(graph)
    wanted: dict[str, Value] = {}
    for entry in asked:
        if not isinstance(entry, str) and not callable(entry):
            raise ReplayError(
                f"keep has {entry!r}, which is no value's name, source line, scope or function of nodes\n"
                '  keep=["%h", "model.py:41", "encoder.layer.*"]'
            )
        if callable(entry) or selection.is_line(entry):
            made = (
                tensors_of(node for node in graph.block if entry(node))
                if callable(entry)
                else selection.made_on_line(entry)
            )
            wanted.update((selection.names[value], value) for value in made)
        elif entry.startswith("%"):
            wanted[entry] = selection.value(entry)
        else:
            for scope, nodes in selection.scopes(entry).items():
                results = selection.results(nodes)
                for value in results:
                    is_alone = len(results) == 1
                    name = selection.names[value]
                    wanted[scope.address if is_alone else f"{scope.address} {name}"] = value
    return wanted


class _Keeper:
    """Keeps values as they are when they are made."""

    def __init__(self, wanted: Mapping[str, Value], *, copy: bool) -> None:
        self._names = wanted
        self._wanted = set(wanted.values())
        self._copy = copy
        self._kept: dict[Value, Any] = {}

    def begin(self, values: Mapping[Value, Any]) -> None:
        """Keep inputs and state."""
        for value in self._wanted:
            if value in values:
                self._keep(value, values[value])

    def before(self, node: Node) -> None:
        """Take no notice."""

    def after(self, node: Node, values: Mapping[Value, Any]) -> None:
        """Keep what a node has made."""
        for value in node.outputs:
            if value in self._wanted:
                self._keep(value, values[value])

    def _keep(self, value: Value, made: Any) -> None:
        kept = made
        if self._copy:
            with apart(), torch.no_grad():
                kept = _copied(made)
        self._kept[value] = kept

    def in_order(self) -> dict[str, Any]:
        """Return what was kept, in the order in which it was asked for."""
        return {name: self._kept[v] for name, v in self._names.items() if v in self._kept}


def _copied(made: Any) -> Any:
    if isinstance(made, torch.Tensor):
        return copy_of(made)
    return type(made)(map(_copied, made)) if type(made) in (list, tuple) else made


class _Numbered:
    """Takes the numbers of what each node makes or, where it makes nothing, writes."""

    def __init__(self, graph: Graph) -> None:
        self.found: dict[Node, Numbers] = {}
        self.given: dict[Value, Numbers] = {}
        self._undefined = undefined_nodes(graph)

    def begin(self, values: Mapping[Value, Any]) -> None:
        """Look at inputs and state."""
        for value, made in values.items():
            numbers = _numbers(made)
            if numbers is not None:
                self.given[value] = numbers

    def before(self, node: Node) -> None:
        """Take no notice."""

    def after(self, node: Node, values: Mapping[Value, Any]) -> None:
        """Look at what a node has made or written."""
        if node in self._undefined:
            return
        if node.gives_lists or not node.outputs:
            shown = node.outputs or written_values(node)
            numbers = _numbers(*[values.get(value) for value in shown])
        else:
            numbers = _of_first([_numbers(values[value]) for value in node.outputs])
        if numbers is not None:
            self.found[node] = numbers


def _of_first(parts: list[Numbers | None]) -> Numbers | None:
    """Return the numbers of the first of several results, with what is not finite in any of them."""
    known = [numbers for numbers in parts if numbers is not None]
    if len(known) <= 1:
        return known[0] if known else None
    count, nans, infs = (
        sum(column) for column in zip(*[(n.count, n.nans, n.infs) for n in known], strict=True)
    )
    if nans or infs:
        return Numbers(count, None, None, None, nans, infs)
    return replace(known[0], count=count)


def _numbers(*made: Any) -> Numbers | None:
    with apart(), torch.no_grad():
        return numbers_of(made)
