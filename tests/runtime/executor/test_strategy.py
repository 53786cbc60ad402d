"""Fusion strategies: what text says, and which kind of plan comes at which depth."""

import pytest
import torch

import opscope
from opscope.runtime.executor import Strategy


def test_kinds_come_in_order_and_end_unspecialized() -> None:
    strategy = Strategy.read([("static", 2), ("DYNAMIC", 1)])
    assert strategy.depth == 3
    assert [str(strategy.kind_at(depth)) for depth in (3, 2, 1, 0)] == [
        "static", "static", "dynamic", "unspecialized",
    ]  # fmt: skip
    assert strategy.pairs() == [("static", 2), ("dynamic", 1)]


def test_no_plans_at_all_are_a_strategy() -> None:
    assert str(Strategy.read([])) == "none"
    assert str(Strategy.read([]).kind_at(0)) == "unspecialized"


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("background", "yes", "background is True or False, not 'yes'"),
        ("background", 1, "background is True or False, not 1"),
        ("slow_after", -1, "slow_after=-1 is no number of seconds"),
        ("slow_after", float("nan"), "slow_after=nan is no number of seconds"),
        ("slow_after", float("inf"), "slow_after=inf is no number of seconds"),
        ("slow_after", "2", "slow_after='2' is no number of seconds"),
        ("slow_after", True, "slow_after=True is no number of seconds"),
        ("most_compilations", -1, "most_compilations=-1 is no number of plans"),
        ("most_compilations", 1.5, "most_compilations=1.5 is no number of plans"),
        ("profiled_runs", True, "True is no number of runs"),
    ],
)
def test_options_that_mean_nothing_are_refused(option: str, value: object, told: str) -> None:
    program = opscope.trace(torch.sin, torch.ones(2))
    with pytest.raises(opscope.ReplayError, match=told):
        opscope.ProfilingExecutor(program, **{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "part",
    [("static",), ("stable", 2), ("static", -1), ("static", True), 3, ("unspecialized", 1)],
)
def test_what_is_no_strategy_is_refused_with_an_example(part: object) -> None:
    with pytest.raises(opscope.ReplayError, match=r"is no part of a fusion strategy\n.*static"):
        Strategy.read([part])
