"""The corpora that torch ships replay as exceptions.toml says, and the check sees what it must see."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.testing._internal.hop_db import hop_db

import opscope

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def _on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def _room(name: str) -> ModuleType:
    return importlib.import_module(f"conformance.{name}")


def test_a_representative_part_passes(tmp_path: Path) -> None:
    written = tmp_path / "found.json"
    part = ["--sample", "2", "--every", "20", "--workers", "1", "--json", str(written)]
    command = [sys.executable, "-m", "conformance", *part]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    suites = json.loads(written.read_text())["suites"]
    assert {name: suite["entries"] for name, suite in suites.items()} == {
        "op_db": 36,
        "module_db": 6,
        "optim_db": 15,
        "hop_db": len(hop_db),  # all of it, which grows from release to release
        "custom_op_db": 11,
        "autograd_function_db": 14,
        "foreach_op_db": 48,
        "njt_op_db": 36,
        "python_ref_db": 18,
        "exportability": 36,
    }
    exported = suites["exportability"]["exported"]
    assert suites["exportability"]["samples"]["passed"] > exported > 0


class Counter:
    """Makes programs that do something else each time they run, and thus cannot be replayed.

    A check runs a program twice, eagerly and captured, and then once more each in filled memory.
    """

    def __init__(self) -> None:
        self.runs = 0

    def is_eager(self) -> bool:
        self.runs += 1
        return self.runs % 2 == 1

    def times(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return x * self.runs

    def written(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        x.add_(self.runs)
        return x.detach().clone().zero_()

    def viewed(self, x: torch.Tensor) -> torch.Tensor:
        return x[:] if self.is_eager() else x[:].clone()

    def transposed(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones(2, 2).t() if self.is_eager() else torch.ones(2, 2)

    def drawn(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        torch.rand(self.runs)
        return x + 1

    def numbered(self, x: torch.Tensor) -> tuple[torch.Tensor, int]:
        self.runs += 1
        return x + 1, self.runs

    def signed(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(2) if self.is_eager() else torch.zeros(2).neg()

    def detached(self, x: torch.Tensor) -> torch.Tensor:
        return x * (x if self.is_eager() else x.detach())


def _outcome(program: Callable[..., Any], requires_grad: bool = False) -> Any:
    samples = _room("samples")

    def build() -> Any:
        x = torch.ones(2, 2, requires_grad=requires_grad)
        return samples.Trial(program, (x,), {}, is_differentiable=requires_grad)

    (outcome,) = _room("check").check(samples.Sample(0, build))
    return outcome


@pytest.mark.parametrize(
    ("program", "stage"),
    [
        (Counter().times, "result"),
        (Counter().written, "traced run"),
        (Counter().viewed, "aliasing"),
        (Counter().transposed, "result"),
        (Counter().drawn, "traced run"),
        (Counter().numbered, "result"),
        (Counter().signed, "result"),
    ],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_a_replay_that_is_not_exact_is_seen(program: Callable[..., Any], stage: str) -> None:
    outcome = _outcome(program)
    assert (outcome.verdict.name, outcome.stage.value) == ("FAILED", stage)


def test_a_lost_gradient_is_seen() -> None:
    outcome = _outcome(Counter().detached, requires_grad=True)
    assert (outcome.verdict.name, outcome.stage.value) == ("FAILED", "gradients")


def test_each_list_of_passes_is_applied_to_the_graph_as_it_was_traced() -> None:
    samples, check = _room("samples"), _room("check")
    wrong = opscope.rewrite_rule(
        "graph(%x : tensor):\n  %y : tensor = aten::relu(%x)\n  return (%y)",
        "graph(%x : tensor):\n  %y : tensor = aten::neg(%x)\n  return (%y)",
    )
    opscope.register_pass(opscope.RewriteRules((wrong,), name="wrong"))
    sample = samples.Sample(0, lambda: samples.Trial(torch.relu, (torch.ones(2),), {}))
    outcomes = check.check(sample, check.Way(passes=("wrong", "noopt")))
    assert [(outcome.passes, outcome.verdict.name) for outcome in outcomes] == [
        ("", "PASSED"),
        ("wrong", "FAILED"),
        ("noopt", "PASSED"),
    ]
    assert outcomes[1].problem == "result 0: 2 of 2 values differ"


class Momentum:
    """A program that keeps a tensor, and in Python the number of its step."""

    def __init__(self) -> None:
        self.total = torch.zeros(2, 2)
        self.steps = 0

    def step(self, x: torch.Tensor) -> None:
        self.steps += 1
        self.total.add_(x, alpha=self.steps)


@pytest.mark.parametrize(("runs", "verdict"), [(1, "PASSED"), (2, "FAILED")])
def test_what_a_program_keeps_is_compared_after_all_runs(runs: int, verdict: str) -> None:
    samples = _room("samples")

    def build() -> Any:
        program = Momentum()
        kept = lambda: [program.total]  # noqa: E731
        return samples.Trial(program.step, (torch.ones(2, 2),), {}, kept, runs=runs)

    (outcome,) = _room("check").check(samples.Sample(0, build))
    assert outcome.verdict.name == verdict
    assert outcome.stage.value == ("" if verdict == "PASSED" else "kept")


def test_uninitialised_memory_is_compared_filled() -> None:
    assert _outcome(lambda x: torch.empty(50, 50)).verdict.name in ("PASSED", "PASSED_FILLED")
    outcome = _outcome(lambda x: torch.empty(5000) + float(torch.rand(())))
    assert outcome.verdict.name in ("PASSED", "PASSED_FILLED")


def test_a_program_that_eager_cannot_run_is_none() -> None:
    outcome = _outcome(lambda x: x @ torch.ones(3))
    assert outcome.verdict.name == "NO_PROGRAM"
    assert "mat" in outcome.problem


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ([1.0, float("nan")], [1.0, float("nan")], None),
        ([0.0], [-0.0], "1 of 1 values differ"),
        ([1.0], [1], "dtype torch.float32 is torch.int64 in eager"),
        ([[1.0, 2.0]], [[1.0], [2.0]], "shape [1, 2] is [2, 1] in eager"),
        ([1 + 2j], [1 - 2j], "1 of 2 values differ"),
        ([True, False], [True, True], "1 of 2 values differ"),
    ],
)
def test_tensors_are_compared_bit_by_bit(one: Any, other: Any, difference: str | None) -> None:
    found = _room("comparison").tensor_difference(torch.tensor(one), torch.tensor(other))
    assert found == difference


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_sparse_and_conjugate_tensors_are_compared_by_what_they_hold() -> None:
    difference = _room("comparison").tensor_difference
    x = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    for convert in (torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr):
        assert difference(convert(x), convert(x)) is None
        assert difference(convert(x), convert(2 * x)) == "2 of 2 values differ"
    z = torch.tensor([1 + 2j])
    assert difference(z.conj(), z.conj()) is None
    assert difference(z.conj(), z.conj().clone()) == "conjugate bit True is False in eager"


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_copies_share_memory_as_the_originals_do() -> None:
    base = torch.ones(4, requires_grad=True)
    computed = base * 2
    csr = torch.eye(2).to_sparse_csr()
    one, view, again, sparse = _room("samples").duplicate((computed, computed[1:], computed, csr))
    assert again is one
    assert view.untyped_storage()._cdata == one.untyped_storage()._cdata
    assert one.is_leaf
    assert one.requires_grad
    assert sparse.layout is torch.sparse_csr


def test_exceptions_name_entries_that_exist_and_say_why() -> None:
    suite_named = _room("entry").suite_named
    for known in _room("exceptions").load():
        assert known.entry in suite_named(known.suite).entries()
        assert len(known.reason) > 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[exception]]\nsuite = "op_db"\nentry = "abs"', "lacks reason"),
        ('[[exception]]\nsuite = "a"\nentry = "b"\nreason = "c"\nnumbers = [1]', "numbers"),
        ('[[exception]]\nsuite = "a"\nentry = "b"\nreason = "c"\nsamples = 1', "not a list"),
    ],
)
def test_malformed_exceptions_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "exceptions.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        _room("exceptions").load(file)


def test_exceptions_excuse_their_samples_only_and_are_told_when_they_pass() -> None:
    check, entry, exceptions = _room("check"), _room("entry"), _room("exceptions")
    failed, passed = check.Verdict.FAILED, check.Verdict.PASSED
    reports = [
        entry.Report(
            entry.Task("op_db", name), tuple(map(check.Outcome, range(len(verdicts)), verdicts))
        )
        for name, verdicts in {"one": [failed, failed], "other": [passed, passed]}.items()
    ]
    known = [
        exceptions.Expected("op_db", "one", "the reason", frozenset([1])),
        exceptions.Expected("op_db", "other", "the reason"),
    ]
    summary = _room("summary").Summary(reports, known)
    assert [outcome.number for _, outcome in summary.unexpected("op_db")] == [0]
    assert [outcome.number for _, outcome, _ in summary.expected("op_db")] == [1]
    assert [known.entry for known in summary.mended()] == ["other"]
    assert not summary.is_clean()
    assert _room("summary").Summary(reports[1:], known).is_clean()


def test_a_worker_that_dies_costs_its_entry_only() -> None:
    workers, entry = _room("workers"), _room("entry")
    worker = workers._Worker()
    try:
        worker.give(entry.Task("op_db", "abs", 1))
        worker._process.kill()
        lost = _report_of(worker)
        worker.give(entry.Task("op_db", "abs", 1))
        served = _report_of(worker)
    finally:
        worker.stop()
    assert [outcome.stage.value for outcome in lost.outcomes] == ["process"]
    assert [outcome.verdict.name for outcome in served.outcomes] == ["PASSED"]


def _report_of(worker: Any) -> Any:
    report = None
    while report is None:
        worker.pipe.poll(1.0)
        report = worker.report()
    return report
