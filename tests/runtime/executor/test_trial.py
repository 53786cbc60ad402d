"""Engines that are measured: which plans are given to them, and which keep them."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from types import SimpleNamespace as Namespace
from typing import Any

import pytest
import torch

import opscope
from opscope.runtime.executor import EngineChoice
from opscope.runtime.executor.engines import Function
from opscope.runtime.executor.trial import Trial, Verdict


class Lasting:
    """Two functions that take what they are told to, on a clock of their own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, engine: Iterator[float]) -> None:
        self.now = 0.0
        self.ran: list[str] = []
        self.verdicts: list[Verdict] = []
        self._engine = engine
        monkeypatch.setattr("time.perf_counter", lambda: self.now)
        monkeypatch.setattr("time.thread_time", lambda: self.now)
        self.trial = Trial(self.engine, self.plain, self.verdicts.append)

    def engine(self, number: int) -> tuple[int]:
        self.ran.append("engine")
        self.now += next(self._engine)
        return (number,)

    def plain(self, number: int) -> tuple[int]:
        self.ran.append("plain")
        self.now += 2.0
        return (number,)

    def calls(self, count: int) -> None:
        for number in range(count):
            assert self.trial(number) == (number,)


@pytest.mark.parametrize(("engine_s", "is_faster"), [(1.0, True), (3.0, False), (1.99, False)])
def test_a_trial_takes_turns_and_decides_for_what_is_clearly_faster(
    engine_s: float, is_faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first call of a row is slow, and so are some that something disturbs; or it is luck.
    times = [90.0, *[engine_s] * 3, 0.1, engine_s, 9.0, engine_s, 90.0, *[engine_s] * 3]
    of = Lasting(monkeypatch, iter(times))
    of.calls(23)
    assert not of.verdicts, "it is too early"
    of.calls(1)
    assert of.ran == [*["engine"] * 4, *["plain"] * 4] * 3
    assert of.verdicts == [Verdict(is_faster, pytest.approx(engine_s), pytest.approx(2.0), 9)]


def test_a_trial_goes_on_while_the_fastest_calls_and_usual_ones_disagree_and_stays_exact_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = Lasting(monkeypatch, chain([1.0] * 2, repeat(2.5)))
    of.calls(87)
    assert not of.verdicts, "one call of 1 s, which the usual ones are far from"
    of.calls(1)
    assert of.verdicts == [Verdict(False, pytest.approx(1.0), pytest.approx(2.0), 33)]


def test_a_trial_ends_once_and_also_where_calls_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def times() -> Iterator[float]:
        yield 1.0
        raise RuntimeError("out of memory")

    of = Lasting(monkeypatch, chain(times()))
    of.calls(1)
    with pytest.raises(RuntimeError, match="out of memory"):
        of.trial(0)
    of._engine = repeat(1.0)
    of.calls(40)
    assert [verdict.is_faster for verdict in of.verdicts] == [True]


@pytest.mark.parametrize(
    ("threads", "resolution", "clock"),
    [(1, 1e-9, "thread_time"), (2, 1e-9, "perf_counter"), (1, 0.015, "perf_counter")],
)
def test_one_thread_is_measured_by_its_own_time(
    threads: int, resolution: float, clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    monkeypatch.setattr("time.get_clock_info", lambda name: Namespace(resolution=resolution))
    read = list[str]()
    for name in ("thread_time", "perf_counter"):
        monkeypatch.setattr(f"time.{name}", partial(reading, read, name))
    trial = Trial(lambda: (), lambda: (), lambda verdict: None)
    for _ in range(8):
        trial()
    assert set(read) == {clock}


def reading(read: list[str], name: str) -> float:
    """Note that a clock was read."""
    read.append(name)
    return 0.0


@pytest.mark.parametrize(
    ("engine_s", "plain_s", "told"),
    [(21e-6, 74e-6, "21 µs a call, and 74 µs"), (21e-6, 0.0745, "0.02 ms a call, and 74.50 ms")],
)
def test_a_verdict_names_both_times_in_one_unit(engine_s: float, plain_s: float, told: str) -> None:
    verdict = Verdict(True, engine_s, plain_s, 7)
    assert str(verdict) == f"{told} without (the fastest of 7 each)"


class Slow:
    """An engine whose functions take longer."""

    name = "slow"
    failures = ()

    def compile(self, function: Function, given: Sequence[Any], *, dynamic: bool) -> Function:
        def run(*given: Any) -> tuple[Any, ...]:
            time.sleep(0.001)
            return function(*given)

        return run


def measured(program: Any, *inputs: torch.Tensor) -> opscope.ProfilingExecutor:
    """Return an executor that measures an engine which is slower."""
    executor = opscope.ProfilingExecutor(opscope.trace(program, inputs))
    executor._engine = EngineChoice(Slow(), is_measured=True)
    executor.flush_cache()
    return executor


def test_a_plan_goes_on_without_an_engine_that_does_not_pay() -> None:
    executor = measured(lambda x: x.sin() * 2, torch.ones(3))
    x = torch.randn(3)
    for _ in range(3):
        assert torch.equal(executor(x), x.sin() * 2)
    assert "slow is being measured" in executor.explain()
    for _ in range(88):
        assert torch.equal(executor(x), x.sin() * 2)
    (level,) = executor.get_debug_state().levels
    assert (level.engine, level.failure) == ("plain", None)
    assert level.note is not None
    assert level.note.startswith("runs without engine slow, which does not pay: ")


def test_a_program_of_matrix_products_is_not_given_to_an_engine() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return (x @ x @ x).relu()

    executor = measured(program, torch.ones(300, 300))
    for _ in range(2):
        executor(torch.ones(300, 300))
    (level,) = executor.get_debug_state().levels
    assert level.engine == "plain"
    assert level.note is not None
    assert level.note.endswith(
        "% of the time goes to matrix products, convolutions and the like, which no engine fuses"
    )
