"""Engines that are measured: which plans are given to them, and which keep them."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
import torch

import opscope
from opscope.runtime.executor import EngineChoice
from opscope.runtime.executor.engines import Function
from opscope.runtime.executor.trial import Trial, Verdict


@pytest.mark.parametrize(("engine_s", "is_faster"), [(1.0, True), (3.0, False), (1.99, False)])
def test_a_trial_takes_turns_and_decides_for_what_is_clearly_faster(
    engine_s: float, is_faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, ran, verdicts = [0.0], list[float](), list[Verdict]()
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def lasting(seconds: float) -> Function:
        def run(*given: Any) -> tuple[Any, ...]:
            ran.append(seconds)
            now[0] += seconds + (9 if len(ran) in (1, 2, 6) else 0)  # something disturbs these
            return given

        return run

    trial = Trial(lasting(engine_s), lasting(2.0), verdicts.append)
    for number in range(14):
        assert not verdicts, f"it is too early after {number} calls"
        assert trial(number) == (number,)
    assert ran == [engine_s, 2.0] * 7
    assert verdicts == [Verdict(is_faster, pytest.approx(engine_s), pytest.approx(2.0))]


def test_a_verdict_names_both_times() -> None:
    assert str(Verdict(True, 21e-6, 0.0745)) == "21 µs a call, and 74 ms without"


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
    for _ in range(14):
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
