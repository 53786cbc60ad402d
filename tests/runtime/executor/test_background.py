"""Compilation in threads: what serves meanwhile, what bounds it, and how it ends."""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch

import opscope
from opscope.runtime.executor import Declined
from opscope.runtime.executor.engines import Function


class Gate:
    """An engine that compiles when it is let, and notes the modes that it was called in."""

    name = "gate"
    failures = ()

    def __init__(self, error: Exception | None = None) -> None:
        self.open = threading.Event()
        self.modes: list[tuple[bool, bool, bool]] = []
        self._error = error

    def compile(self, function: Function, given: Sequence[Any], *, dynamic: bool) -> Function:
        casts = torch.is_autocast_enabled("cpu")
        self.modes.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled(), casts))
        assert self.open.wait(5)
        if self._error is not None:
            raise self._error
        return function


def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def executor_with(engine: Gate, **options: Any) -> opscope.ProfilingExecutor:
    traced = opscope.trace(doubled, torch.ones(3))
    options = {"background": True, "fusion_strategy": [("static", 2)], **options}
    return opscope.ProfilingExecutor(traced, engine=engine, **options)


def run(executor: opscope.ProfilingExecutor, *sizes: int) -> None:
    for size in sizes:
        x = torch.randn(size)
        assert torch.equal(executor(x), doubled(x))


@contextmanager
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_calls_run_the_program_as_traced_while_a_thread_compiles() -> None:
    engine = Gate()
    executor = executor_with(engine)
    run(executor, 3, 3, 3)
    (level,) = executor.get_debug_state().levels
    assert (level.phase, level.hits, level.served) == ("compiling", 0, 2)
    assert (
        "depth 2, static: being compiled; watched 1x, ran as traced 2x meanwhile"
        in executor.explain()
    )
    assert not executor.wait(0.01)
    engine.open.set()
    assert executor.wait(5)
    run(executor, 3, 3)
    (level,) = executor.get_debug_state().levels
    assert (level.phase, level.engine, level.hits, level.served) == ("compiled", "gate", 2, 2)
    assert "; watched 1x, ran 2x, ran as traced 2x meanwhile" in executor.explain()


def test_a_plan_is_compiled_in_the_modes_of_its_calls() -> None:
    engine = Gate()
    engine.open.set()
    executor = executor_with(engine)
    with torch.inference_mode(), torch.autocast("cpu"):
        executor.prepare(torch.ones(3))
    with torch.no_grad():
        executor.prepare(torch.ones(3))
    executor.prepare(torch.ones(3))
    assert executor.wait(5)
    assert sorted(engine.modes) == [
        (False, False, False), (False, True, True), (True, False, False),
    ]  # fmt: skip


def test_an_error_in_the_thread_is_one_warning_at_the_next_call() -> None:
    engine = Gate(error=RuntimeError("out of registers"))
    executor = executor_with(engine)
    with no_warnings():
        run(executor, 3, 3)
    engine.open.set()
    assert executor.wait(5)
    with pytest.warns(opscope.ExecutorWarning, match="RuntimeError: out of registers") as warned:
        run(executor, 3)
    assert warned[0].filename == __file__, "it points at the call"
    with no_warnings():
        run(executor, 3, 4, 4, 4)
        assert executor.wait(5)
        run(executor, 4)
    assert [level.engine for level in executor.get_debug_state().levels] == ["plain", "plain"]


def test_a_call_waits_for_an_engine_no_longer_than_it_may_take() -> None:
    engine = Gate()
    executor = executor_with(engine, background=False, slow_after=0.05)
    run(executor, 3)
    with pytest.warns(opscope.ExecutorWarning, match=r"takes more than 0\.05 s for the plan"):
        run(executor, 3)
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.hits, level.is_waiting) == ("plain", 1, True)
    assert "  the engine is still at work on it" in executor.explain()
    engine.open.set()
    assert executor.wait(5)
    run(executor, 3)
    assert executor.get_debug_state().levels[0].engine == "gate"


def test_the_engine_compiles_no_more_plans_than_it_may() -> None:
    engine = Gate()
    engine.open.set()
    executor = executor_with(engine, background=False, most_compilations=1)
    with no_warnings():
        run(executor, 3, 3, 4, 4, 4)
    first, second = executor.get_debug_state().levels
    assert (first.engine, second.engine) == ("gate", "plain")
    assert second.note == "runs without the engine, which compiled 1 plans and may no more"


def test_what_an_engine_declines_is_told_without_a_warning() -> None:
    engine = Gate(error=Declined("it is too small"))
    engine.open.set()
    executor = executor_with(engine, background=False)
    with no_warnings():
        run(executor, 3, 3)
    assert "  runs without engine gate: it is too small" in executor.explain()
    assert executor.get_debug_state().levels[0].failure is None


def test_without_a_compiler_the_plain_plan_serves_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    traced = opscope.trace(doubled, torch.ones(3))
    with no_warnings():
        executor = opscope.ProfilingExecutor(traced, engine="auto")
        run(executor, 3, 3, 3)
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.hits) == ("plain", 2)
    assert level.note == (
        "runs without an engine, since no C++ compiler was found (no-such-compiler)"
    )


def test_twelve_threads_with_mixed_shapes_get_what_eager_gives() -> None:
    engine = Gate()
    executor = executor_with(engine, fusion_strategy=[("static", 2), ("dynamic", 1)])
    start, wrong = threading.Barrier(12), []

    def work(number: int) -> None:
        start.wait()
        with torch.set_grad_enabled(number % 3 > 0):
            for turn in range(30):
                x = torch.randn(3 + (number + turn) % 5)
                if not torch.equal(executor(x), doubled(x)):
                    wrong.append(x.shape)
                if number == turn == 6:
                    engine.open.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert executor.wait(5)
    state = executor.get_debug_state()
    planned = [level for level in state.levels if level.depth and level.phase == "compiled"]
    assert len(engine.modes) == len(planned), "each plan is compiled once"
    profiled = sum(level.profiled_runs for level in state.levels)
    ran = sum(level.hits + level.served for level in state.levels)
    assert profiled + ran == 12 * 30
    assert "\n360 calls: " in executor.explain()
