"""Fusion strategies: what text says, and which kind of plan comes at which depth."""

import pytest

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
    "part",
    [("static",), ("stable", 2), ("static", -1), ("static", True), 3, ("unspecialized", 1)],
)
def test_what_is_no_strategy_is_refused_with_an_example(part: object) -> None:
    with pytest.raises(opscope.ReplayError, match=r"is no part of a fusion strategy\n.*static"):
        Strategy.read([part])
