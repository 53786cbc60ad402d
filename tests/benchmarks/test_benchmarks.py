"""The benchmarks run from the root of the checkout and measure what they say."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.harness")


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.pages")


def test_one_command_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "replay", "--json", written]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "opscope / eager" in done.stdout
    found = json.loads(written.read_text())
    assert found["machine"]["torch"]
    figures = [row["figures"] for row in found["reports"]["replay"]["comparisons"]]
    assert all(value > 0 for row in figures for value in row.values())


def test_contestants_take_turns_after_a_warm_up(harness: ModuleType) -> None:
    turns: list[str] = []
    harness.interleave({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, 0.001)
    rounds = list(zip(turns[::2], turns[1::2], strict=True))
    assert rounds[0] == ("a", "b"), "to warm up"
    assert len(rounds) == 4
    assert set(rounds[1:]) == {("a", "b"), ("b", "a")}, "orders are drawn"


def test_what_takes_longer_than_the_budget_has_no_turn_that_does_not_count(
    harness: ModuleType,
) -> None:
    turns: list[str] = []
    harness.interleave({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, 0.0)
    rounds = list(zip(turns[::2], turns[1::2], strict=True))
    assert len(rounds) == 3
    assert all(set(pair) == {"a", "b"} for pair in rounds)


def test_a_contestant_that_changes_something_gets_a_new_one_each_turn(harness: ModuleType) -> None:
    given: list[list[int]] = []
    harness.interleave({"a": given.append, "b": lambda: None}, 0.001, fresh={"a": lambda: []})
    assert len(given) == 4
    assert all(one is not other for one, other in pairwise(given))


def test_ratios_are_taken_within_rounds(harness: ModuleType) -> None:
    samples = harness.Samples(
        {"one": [2.0, 20.0, 6.0], "other": [1.0, 10.0, 2.0], "base": [0.0, 0.0, 1.0]}
    )
    assert samples.ratio("one", "other") == 2.0
    assert samples.ratio("one", "other", over="base") == 2.0
    assert samples.median_over("one", "other") == 4.0


@pytest.mark.parametrize(
    ("limit", "is_at_least", "is_met"),
    [
        (None, False, None),
        (2.0, False, True),
        (1.0, False, False),
        (2.0, True, False),
        (1.0, True, True),
    ],
)
def test_targets_bound_from_above_or_below(
    harness: ModuleType, limit: float | None, is_at_least: bool, is_met: bool | None
) -> None:
    assert harness.Claim("", 1.5, "x", limit, is_at_least).is_met is is_met


def test_the_peak_of_live_tensor_bytes_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    memory = importlib.import_module("benchmarks.memory")

    def two_at_once() -> torch.Tensor:
        kept = torch.ones(1000)
        torch.ones(500)
        return torch.relu(kept)

    assert memory.peak_bytes(two_at_once) == 8000


def test_what_a_peer_does_not_come_to_fails_and_what_it_is_not_asked_is_left_out(
    pages: ModuleType,
) -> None:
    rows = list(pages._beside([1.0, 2.0, 3.0, 4.0], [10.0, None, 9.0]))
    assert [row.figures.get("Model Explorer", "not asked") for row in rows] == [
        10.0,
        None,
        9.0,
        "not asked",
    ]
    assert [[claim.value for claim in row.claims] for row in rows] == [
        [1.0, 10.0],
        [2.0],
        [3.0, 3.0],
        [4.0],
    ]


def test_without_a_peer_its_column_is_left_out(pages: ModuleType) -> None:
    rows = list(pages._beside([1.0, 2.0, 3.0, 4.0], None))
    assert [list(row.figures) for row in rows] == [["opscope"]] * 4
