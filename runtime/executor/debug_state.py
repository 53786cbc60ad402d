"""What an executor did so far, as data and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ...ir import Graph
from .chain import Chain
from .level import Level
from .strategy import Kind


@dataclass(frozen=True, slots=True)
class LevelState:
    """One level of an executor.

    Attributes:
        depth: how many specialized plans there can be from here on.
        kind: ``"static"``, ``"dynamic"`` or ``"unspecialized"``.
        phase: ``"profiling"``, ``"planned"`` (its guard is there, and nothing that it admits has come yet) or
            ``"compiled"``.
        profiled_runs: how many runs it has watched.
        guards: what is checked before the plan runs, in words.
        hits: how often the plan ran.
        misses: how often a guard failed.
        miss_reasons: how often, by the reason in words.
        engine: what compiled the plan; empty before.
        compile_seconds: how long optimizing and compiling took.
        failure: why the plan is not what it was meant to be; None if it is.
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
    miss_reasons: Mapping[str, int]
    engine: str
    compile_seconds: float
    failure: str | None
    graph: Graph | None = field(repr=False)
    code: str | None = field(repr=False)
    profiled_graph: Graph | None = field(repr=False)

    @property
    def misses(self) -> int:
        """How often a guard failed."""
        return sum(self.miss_reasons.values())


@dataclass(frozen=True, slots=True)
class ExecutorState:
    """An executor as it was when somebody asked.

    Attributes:
        name: what the program is called.
        strategy: the kinds of plans, in words.
        profiled_runs: how many runs each level watches.
        levels: those that were needed so far.
        last_depth: the depth of the level that took the last call; None before the first call.
        compile_seconds: how long all compilations took.
    """

    name: str
    strategy: str
    profiled_runs: int
    levels: tuple[LevelState, ...]
    last_depth: int | None

    @property
    def compile_seconds(self) -> float:
        """How long all compilations took."""
        return sum(level.compile_seconds for level in self.levels)

    def __str__(self) -> str:
        runs = f"{self.profiled_runs} profiled run{'' if self.profiled_runs == 1 else 's'} each"
        lines = [f"{self.name}: plans {self.strategy}; {runs}"]
        for level in self.levels:
            lines += _lines_of(level)
        total = f"compiling took {self.compile_seconds * 1e3:.1f} ms in all"
        last = (
            "" if self.last_depth is None else f"; the last call ended at depth {self.last_depth}"
        )
        return "\n".join([*lines, total + last])


def state_of(chain: Chain) -> ExecutorState:
    """Return what a chain of levels did so far."""
    settings = chain.settings
    return ExecutorState(
        settings.program.graph.name,
        str(settings.strategy),
        settings.profiled_runs,
        tuple(map(_state_of, chain.levels())),
        chain.last_depth,
    )


def _state_of(level: Level) -> LevelState:
    plan, profiling = level.plan, level.profiling
    body = None if plan is None else plan.body
    hits, reasons = (0, {}) if plan is None else plan.counts()
    phase = "profiling" if plan is None else "planned" if body is None else "compiled"
    return LevelState(
        level.depth,
        level.kind.value,
        phase,
        level.runs,
        () if plan is None else plan.guard.lines(),
        hits,
        reasons,
        "" if body is None else body.engine,
        0.0 if body is None else body.seconds,
        None if body is None else body.failure,
        None if body is None else body.program.graph,
        None if body is None else body.compiled.source,
        None if profiling is None else profiling.program.graph,
    )


def _lines_of(level: LevelState) -> Iterator[str]:
    title = f"depth {level.depth}, {level.kind}: "
    if level.phase == "profiling":
        title += (
            f"profiling, {level.profiled_runs} run{'' if level.profiled_runs == 1 else 's'} seen"
        )
    elif level.phase == "planned":
        title += f"not compiled, since nothing it is for came yet; missed {level.misses}x"
    else:
        title += (
            f"compiled by {level.engine} in {level.compile_seconds * 1e3:.1f} ms, "
            f"ran {level.hits}x, missed {level.misses}x"
        )
    yield title
    if level.failure is not None:
        yield f"  it {level.failure}"
    if level.kind == Kind.UNSPECIALIZED.value:
        yield "  for all inputs"
    for guard in level.guards:
        yield f"  if   {guard}"
    for reason, count in level.miss_reasons.items():
        yield f"  miss {reason}" + ("" if count == 1 else f"  {count}x")
