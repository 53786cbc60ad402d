"""What an executor did so far, as data and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ...ir import Graph
from .chain import Chain
from .chains import Chains
from .level import Level
from .strategy import NO_PLANS, Kind

_MOST_REASONS: Final = 8  # that are shown of a level, the most frequent ones


@dataclass(frozen=True, slots=True)
class LevelState:
    """One level of an executor.

    Attributes:
        depth: how many specialized plans there can be from here on.
        kind: ``"static"``, ``"dynamic"`` or ``"unspecialized"``.
        phase: ``"profiling"``, ``"planned"`` (its guard is there, and nothing that it admits has come yet),
            ``"compiling"`` (a thread makes what it runs, and calls run the program as it was traced) or
            ``"compiled"``.
        profiled_runs: how many runs it has watched.
        guards: what is checked before the plan runs, in words.
        hits: how often the plan ran.
        served: how many calls ran the program as it was traced, since the plan was being compiled, or other
            calls were being watched.
        misses: how often a guard failed.
        miss_reasons: how often, by the reason in words.
        engine: what compiled the plan; empty before.
        compile_seconds: how long optimizing and compiling took.
        failure: why the plan is not what it was meant to be; None if it is.
        note: what else there is to tell of the engine, such as whether it pays; None for nothing.
        is_waiting: whether the plan runs without its engine as long as a thread works on that.
        graph: the optimized graph; None before it is compiled.
        code: the Python function that opscope made of it; for another engine, what that compiled.
        profiled_graph: the graph whose ``prim::profile`` nodes tell what was found; None before it was
            watched and after it was released.
    """

    depth: int
    kind: str
    phase: str
    profiled_runs: int
    guards: tuple[str, ...]
    hits: int
    served: int
    miss_reasons: Mapping[str, int]
    engine: str
    compile_seconds: float
    failure: str | None
    note: str | None
    is_waiting: bool
    graph: Graph | None = field(repr=False)
    code: str | None = field(repr=False)
    profiled_graph: Graph | None = field(repr=False)

    @property
    def misses(self) -> int:
        """How often a guard failed."""
        return sum(self.miss_reasons.values())


@dataclass(frozen=True, slots=True)
class ChainState:
    """The levels for calls in one set of modes.

    Attributes:
        mode: the modes, in words.
        levels: those that were needed so far.
    """

    mode: str
    levels: tuple[LevelState, ...]


@dataclass(frozen=True, slots=True)
class ExecutorState:
    """An executor as it was when somebody asked.

    Attributes:
        name: what the program is called.
        strategy: the kinds of plans, in words.
        profiled_runs: how many runs each level watches.
        chains: the levels, by the modes of the calls that they are for.
        last_depth: the depth of the level that took the last call; None before the first call.
        levels: those of all chains.
        compile_seconds: how long all compilations took.
    """

    name: str
    strategy: str
    profiled_runs: int
    chains: tuple[ChainState, ...]
    last_depth: int | None

    @property
    def levels(self) -> tuple[LevelState, ...]:
        """The levels of all chains."""
        return tuple(level for chain in self.chains for level in chain.levels)

    @property
    def compile_seconds(self) -> float:
        """How long all compilations took."""
        return sum(level.compile_seconds for level in self.levels)

    def __str__(self) -> str:
        runs = _counted(self.profiled_runs, "watched run")
        plans = f"plans {self.strategy} at most, each made after {runs}"
        if self.strategy == NO_PLANS:
            plans = "one plan, for all inputs"
        lines = [f"{self.name}: {plans}"]
        for chain in self.chains:
            if len(self.chains) > 1:
                lines.append(f"calls {chain.mode}:")
            for level in chain.levels:
                lines += _lines_of(level)
        return "\n".join([*lines, self._totals()])

    def _totals(self) -> str:
        """Say where all calls went, and what that took."""
        watched, by_plans, as_traced = (
            sum(counts)
            for counts in zip(
                *[(level.profiled_runs, level.hits, level.served) for level in self.levels],
                strict=True,
            )
        )
        if not watched + by_plans + as_traced:
            return f"no call so far; compiling took {self.compile_seconds * 1e3:.1f} ms in all"
        calls = _counted(watched + by_plans + as_traced, "call")
        parts = [f"{calls}: {watched} watched, {by_plans} ran plans"]
        if as_traced:
            parts.append(f"{as_traced} ran as traced")
        text = f"{', '.join(parts)}; compiling took {self.compile_seconds * 1e3:.1f} ms in all"
        if self.last_depth is None:
            return text
        return f"{text}; the last call ended at depth {self.last_depth}"


def state_of(chains: Chains) -> ExecutorState:
    """Return what the chains of an executor did so far."""
    settings = chains.settings
    return ExecutorState(
        settings.program.graph.name,
        str(settings.strategy),
        settings.profiled_runs,
        tuple(map(_state_of_chain, chains.all())),
        chains.last_depth,
    )


def _state_of_chain(chain: Chain) -> ChainState:
    return ChainState(str(chain.mode), tuple(map(_state_of_level, chain.levels())))


def _state_of_level(level: Level) -> LevelState:
    plan, profiling = level.plan, level.profiling
    body = None if plan is None else plan.body
    hits, reasons = (0, {}) if plan is None else plan.counts()
    is_compiling = plan is not None and plan.is_compiling
    without_body = "compiling" if is_compiling else "planned"
    phase = "profiling" if plan is None else without_body if body is None else "compiled"
    return LevelState(
        level.depth,
        level.kind.value,
        phase,
        level.runs,
        () if plan is None else plan.guard.lines(),
        hits,
        level.served + (0 if plan is None else plan.served),
        reasons,
        "" if body is None else body.engine,
        0.0 if body is None else body.seconds,
        None if body is None else body.failure,
        None if body is None else body.note,
        body is not None and is_compiling,
        None if body is None else body.program.graph,
        None if body is None else body.compiled.source,
        None if profiling is None else profiling.program.graph,
    )


def _lines_of(level: LevelState) -> Iterator[str]:
    yield f"depth {level.depth}, {level.kind}: {_made(level)}; {_used(level)}"
    if level.is_waiting:
        yield "  the engine is still at work on it"
    if level.note is not None:
        yield f"  {level.note}"
    if level.failure is not None:
        yield f"  it {level.failure}"
    if level.kind == Kind.UNSPECIALIZED.value:
        yield "  for all inputs"
    for guard in level.guards:
        yield f"  if   {guard}"
    reasons = sorted(level.miss_reasons.items(), key=lambda counted: -counted[1])
    for reason, count in reasons[:_MOST_REASONS]:
        yield f"  miss {reason}" + ("" if count == 1 else f"  {count}x")
    if reasons[_MOST_REASONS:]:
        others = sum(count for _, count in reasons[_MOST_REASONS:])
        yield (
            f"  miss for {_counted(len(reasons) - _MOST_REASONS, 'other reason')}  {others}x; "
            "get_debug_state() lists them"
        )


def _made(level: LevelState) -> str:
    """Say how far the plan of a level is."""
    if level.phase == "profiling":
        return "no plan yet"
    if level.phase == "compiling":
        return "being compiled"
    if level.phase == "planned":
        return "not compiled, since no call that it is for came yet"
    by = "" if level.engine == "plain" else f" by {level.engine}"
    return f"compiled{by} in {level.compile_seconds * 1e3:.1f} ms"


def _used(level: LevelState) -> str:
    """Say what came to a level."""
    parts = [f"watched {level.profiled_runs}x"] if level.profiled_runs else []
    if level.phase == "compiled":
        parts.append(f"ran {level.hits}x")
    if level.served:
        parts.append(f"ran as traced {level.served}x meanwhile")
    if level.misses:
        parts.append(f"handed on {level.misses}x")
    return ", ".join(parts) or "no call so far"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
