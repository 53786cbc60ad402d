"""ProfilingExecutor: runs a traced program on plans that are made of what its runs were like."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Final, Never, cast

from ..errors import ReplayError
from ..runtime.executor import (
    Chains,
    Complaints,
    Engine,
    ExecutorState,
    Settings,
    Strategy,
    engine_of,
    state_of,
)
from .loaded import LoadedProgram
from .traced import TracedProgram

DEFAULT_STRATEGY: Final = (("static", 2), ("dynamic", 10))


class ProfilingExecutor:
    """Runs a traced program, and gives what the program gives.

    The first runs are watched; then the program is optimized for inputs like theirs, and a guard stands
    before that plan. Inputs that a guard does not admit go to the next plan, which is made in the same way,
    with one less behind it, down to a plan for all inputs. ``docs/executor.md`` shows it.

    With the plain engine results are bit by bit those of the replay, and so are gradients. Calls may come
    from several threads.

    Args:
        program: what to run, traced or loaded. What passes make of it later counts after :meth:`flush_cache`.
        profiled_runs: how many runs each level watches before it makes its plan.
        fusion_strategy: the kinds of plans, in order, with how many of each: ``"static"`` plans hold to the
            sizes and strides that were found, ``"dynamic"`` ones to which sizes were equal.
        engine: what compiles plans further: ``"plain"``, which is nothing; ``"inductor"``, whose results
            differ from eager's in last bits; ``"auto"``, which is Inductor for plans that are measured to be
            faster with it, and nothing for others, or where there is no C++ compiler; or an object that has
            ``name``, ``failures`` and ``compile()``, as ``opscope.runtime.executor.Engine`` describes.
        background: whether plans are compiled in threads, while calls run the program as it was traced.
        slow_after: seconds that calls wait for an engine; if that takes longer, the plan runs without it
            until it is done, and further plans do without.
        most_compilations: how many plans the engine may compile; further ones do without.

    Raises:
        FormatError: the file of a loaded program is damaged.
        ReplayError: an option is not as it should be, or there is no program that can be run.
    """

    _chains: Chains
    _direct: int | None  # how many tensors a call has that are the inputs as they are; -1 for none

    def __init__(
        self,
        program: TracedProgram | LoadedProgram,
        *,
        profiled_runs: int = 1,
        fusion_strategy: Iterable[tuple[str, int]] = DEFAULT_STRATEGY,
        engine: str | Engine = "plain",
        background: bool = False,
        slow_after: float = 120.0,
        most_compilations: int = 32,
    ) -> None:
        _check_options(background, slow_after, most_compilations)
        self._program = _traced(program)
        self._strategy = Strategy.read(fusion_strategy)
        self._engine = engine_of(engine)
        self._background = background
        self._slow_after = slow_after
        self._most_compilations = most_compilations
        self._release_after: float | None = None
        self._lock = threading.Lock()
        self._runs_noopt = False
        self.num_profiled_runs = profiled_runs
        self.flush_cache()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program.

        Raises:
            InputError: the arguments do not fit those that the program was traced with.
            GuardError: the program would go another way than it went at the trace.
        """
        chains, program = self._chains, self._program
        # Where the guard of a plan has looked at all there is, nobody needs to look again.
        if not kwargs and len(args) == self._direct:
            run = chains.run_of(args)
            if run is not None:
                return program.call_directly(run, args)
        elif self._direct is None and not kwargs:
            self._direct = len(args) if program.takes_directly(args) else -1
        return program.call_through(chains.run, args, kwargs)

    @property
    def num_profiled_runs(self) -> int:
        """How many runs each level watches; a new number counts after :meth:`flush_cache`."""
        return self._profiled_runs

    @num_profiled_runs.setter
    def num_profiled_runs(self, count: int) -> None:
        if type(count) is not int or count < 0:
            raise ReplayError(f"{count!r} is no number of runs\n  give 0 or more; 1 is usual")
        self._profiled_runs = count

    @property
    def bailout_depth(self) -> int:
        """How many specialized plans there can be; to set it is to ask for so many static ones."""
        return self._strategy.depth

    @bailout_depth.setter
    def bailout_depth(self, depth: int) -> None:
        self.set_fusion_strategy([("static", depth)])

    def set_fusion_strategy(self, strategy: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
        """Set the kinds of plans, which counts after :meth:`flush_cache`; return those of before.

        Raises:
            ReplayError: it is no list of pairs of a kind and a count.
        """
        before, self._strategy = self._strategy, Strategy.read(strategy)
        return before.pairs()

    @property
    def run_noopt_pass_pipeline(self) -> bool:
        """Whether calls are neither profiled nor optimized: they run what the pipeline ``noopt`` makes."""
        return self._runs_noopt

    @run_noopt_pass_pipeline.setter
    def run_noopt_pass_pipeline(self, is_on: bool) -> None:
        self._runs_noopt = bool(is_on)
        self._choose()

    def flush_cache(self) -> None:
        """Forget all plans and all that was found, and take program and settings as they are now."""
        program = self._program.copy()
        self._direct: int | None = (
            None  # how many tensors a call has that are the inputs as they are
        )
        with self._lock:
            complaints = Complaints(program.graph.name, self._slow_after, self._most_compilations)
            profiled = Settings(
                program,
                self._strategy,
                complaints,
                self._profiled_runs,
                self._engine,
                waits=not self._background,
            )
            plain = Settings(program, Strategy(()), complaints, pipeline="noopt")
            self._profiled = Chains(profiled, self._release_after)
            self._plain = Chains(plain)
        self._choose()

    def _choose(self) -> None:
        self._chains = self._plain if self._runs_noopt else self._profiled

    def release_profiling_graph(self, after_seconds: float | None = 0.0) -> None:
        """Let go of the graphs that were watched, so many seconds after their plans were made.

        It happens at the next call or look after that time; what was found stays in the guards.

        Args:
            after_seconds: the time, also for plans that are made later; None keeps the graphs.
        """
        self._release_after = after_seconds
        self._profiled.release(after_seconds)

    def prepare(self, *inputs: Any) -> None:
        """Compile plans ahead, without running the program.

        Each set of inputs gets the plan that would admit it; where none does, the next level that has none
        yet makes one of it, as if it had been profiled. Gradient mode and the like are those around this
        call. With ``background`` it does not wait; see :meth:`wait`.

        Args:
            inputs: sets of inputs, each as :func:`opscope.trace` takes them: a tuple of positional arguments;
                anything else is the only one.

        Raises:
            InputError: inputs do not fit the program.
        """
        chains = self._chains
        for given in inputs:
            args = given if type(given) is tuple else (given,)
            chains.prepare(self._program.graph_inputs(args, {}))

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for plans that threads compile, so long at most; return whether none is compiled any more."""
        return self._chains.wait(seconds)

    def get_debug_state(self) -> ExecutorState:
        """Return what was done so far: levels, guards with hits and misses, graphs and times."""
        self._profiled.release(self._release_after)
        return state_of(self._chains)

    def explain(self) -> str:
        """Return in words what was done so far."""
        return str(self.get_debug_state())

    def __reduce_ex__(self, protocol: object) -> Never:
        raise ReplayError(
            "an executor holds compiled functions and locks, which can be neither copied nor pickled\n"
            "  save() its program, and make an executor of what load() gives"
        )

    def __repr__(self) -> str:
        return f"<ProfilingExecutor of {self._program!r}: plans {self._strategy}>"


def _traced(program: TracedProgram | LoadedProgram) -> TracedProgram:
    if isinstance(program, LoadedProgram):
        return program.traced
    if not isinstance(program, TracedProgram):
        raise ReplayError(
            f"an executor runs a traced program, not {type(program).__qualname__}\n"
            '  trace it first: opscope.trace(model, inputs); of a TracedModule take a method, m["forward"]'
        )
    return program


def _check_options(background: object, slow_after: object, most_compilations: object) -> None:
    """Raise a ReplayError if an option is not as it should be."""
    if type(background) is not bool:
        raise ReplayError(f"background is True or False, not {background!r}")
    is_time = type(slow_after) in (int, float)
    if not (is_time and 0 <= cast("float", slow_after) <= threading.TIMEOUT_MAX):
        raise ReplayError(
            f"slow_after={slow_after!r} is no number of seconds to wait\n  give 0 or more; 120 is usual"
        )
    if type(most_compilations) is not int or most_compilations < 0:
        raise ReplayError(
            f"most_compilations={most_compilations!r} is no number of plans\n  give 0 or more; 32 is usual"
        )
