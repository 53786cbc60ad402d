"""Threads: each traces its own program, and a trace takes note of threads that its program starts."""

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.replays import plain_text


class RMSNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            scale = x.pow(2).mean(-1, keepdim=True)
        return x * torch.rsqrt(scale + 1e-5) * self.weight


def programs() -> list[tuple[Callable[..., Any], torch.Tensor]]:
    return [
        (nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)), torch.randn(2, 8)),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
            torch.randn(1, 3, 6, 6),
        ),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(1, 4, 8)),
        (nn.LSTM(8, 8, 2), torch.randn(3, 1, 8)),
        (RMSNorm(), torch.randn(2, 8)),
        (nn.Sequential(*[nn.Linear(8, 8) for _ in range(12)]), torch.randn(2, 8)),
        (lambda x: sum(torch.sin(x) * k for k in range(5)), torch.randn(3)),
        (lambda x: nn.functional.layer_norm(x, (4,)).split(2, -1), torch.randn(3, 4)),
    ]


def test_eight_threads_trace_as_one_does_while_another_runs_eager_code() -> None:
    cases = programs()
    expected = [plain_text(opscope.trace(function, x)) for function, x in cases]
    found: list[set[str]] = [set() for _ in cases]
    failures: list[BaseException] = []
    start = threading.Barrier(len(cases) + 1, timeout=120)
    is_over = threading.Event()

    def trace(number: int) -> None:
        function, x = cases[number]
        start.wait()
        for _ in range(12):
            traced = opscope.trace(function, x)
            found[number].add(plain_text(traced))
            traced(x)
            assert not opscope.is_tracing()

    def run_eagerly() -> None:
        weight = torch.randn(8, 8)
        result = (weight @ weight).relu()
        start.wait()
        while not is_over.is_set():
            assert torch.equal((weight @ weight).relu(), result)
            assert opscope.get_tracing_state() is None

    def guarded(work: Callable[..., None], *args: Any) -> None:
        try:
            work(*args)
        except BaseException as error:  # noqa: BLE001  # the test fails with it
            failures.append(error)
            start.abort()

    tracers = [threading.Thread(target=guarded, args=(trace, n)) for n in range(len(cases))]
    eager = threading.Thread(target=guarded, args=(run_eagerly,))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that threads meet at every instruction
    try:
        for thread in (*tracers, eager):
            thread.start()
        for thread in tracers:
            thread.join()
    finally:
        is_over.set()
        eager.join()
        sys.setswitchinterval(interval)
    assert failures == []
    assert found == [{text} for text in expected]
    assert "numpy" not in vars(torch.Tensor)
    assert threading.Thread.start.__module__ == "threading"


def test_each_thread_has_its_own_tracing_state() -> None:
    seen: dict[str, Any] = {}
    both_run = threading.Barrier(2, timeout=120)

    def trace(name: str) -> None:
        def program(x: torch.Tensor) -> torch.Tensor:
            both_run.wait()
            state = opscope.get_tracing_state()
            assert state is not None
            state.push_scope(name)
            y = x + 1
            both_run.wait()
            state.pop_scope()
            seen[name] = state
            return y

        seen[f"{name} traced"] = opscope.trace(program, torch.zeros(1))

    threads = [threading.Thread(target=trace, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen["left"] is not seen["right"]
    for name in ("left", "right"):
        (node,) = seen[f"{name} traced"].graph.walk()
        assert node.scope.name == name


def test_what_a_helper_thread_computes_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        results: list[torch.Tensor] = []
        thread = threading.Thread(target=lambda: results.append(x * 2))
        thread.start()
        thread.join()
        return results[0] + 1

    traced = opscope.trace(program, torch.ones(2), warn=False)
    assert plain_text(traced) == (
        "graph program(%x : f32[2]) -> (f32[2]):\n"
        "  constant %constant : f32[2]\n"
        "  %0 : f32[2] = aten::add.Tensor(%constant, 1)\n"
        "  return (%0)"
    )
    thread, constant = traced.diagnostics
    assert thread.kind is opscope.DiagnosticKind.OTHER_THREAD
    assert thread.source is not None
    assert "lambda: results.append(x * 2)" in thread.source.text
    assert "a tensor f32[2] that aten::mul made in thread" in constant.message


def test_a_pool_made_in_the_program_is_watched_too() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with ThreadPoolExecutor(1) as pool:
            return x + pool.submit(torch.mul, x, 2).result()

    thread, constant = opscope.trace(program, torch.ones(2), warn=False).diagnostics
    assert thread.source is not None  # where it was started: no code of the user's runs in it
    assert "pool.submit(torch.mul, x, 2)" in thread.source.text
    assert "that aten::mul made in thread" in constant.message


@pytest.mark.parametrize("write", [lambda t: t.add_(1), lambda t: t.view(-1).data.mul_(2)])
def test_what_a_helper_thread_writes_is_reported(write: Callable[[torch.Tensor], Any]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        thread = threading.Thread(target=write, args=(x,))
        thread.start()
        thread.join()
        return x + 1

    traced = opscope.trace(program, torch.ones(2), warn=False)
    assert {found.kind.value for found in traced.diagnostics} == {"other thread", "untracked write"}
    given, expected = torch.ones(2), torch.ones(2)
    assert torch.equal(traced(given), program(expected))
    assert torch.equal(given, expected)


def test_a_helper_thread_that_leaves_the_trace_alone_is_no_matter() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        thread = threading.Thread(target=lambda: torch.ones(3).add_(1).sum().item())
        thread.start()
        y.mul_(2)  # a write of the program's own
        thread.join()
        return y

    traced = opscope.trace(program, torch.ones(2), strict=True)
    assert [node.kind for node in traced.graph.walk()] == ["aten::add.Tensor", "aten::mul_.Tensor"]


def test_a_thread_that_outlives_the_trace_runs_on_and_holds_nothing() -> None:
    go_on = threading.Event()
    results: list[torch.Tensor] = []

    def work() -> None:
        go_on.wait(30)
        results.append(torch.ones(2) + 1)

    thread = threading.Thread(target=work)

    class Starting(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            thread.start()
            return super().forward(x)

    model = Starting(2, 2)
    gone = weakref.ref(model)
    opscope.trace(model, torch.ones(1, 2))
    del model
    gc.collect()
    assert gone() is None
    go_on.set()
    thread.join()
    assert results[0].tolist() == [2.0, 2.0]
    assert "run" not in vars(thread)


def test_random_numbers_drawn_in_a_helper_thread_are_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        helper = threading.Thread(target=lambda: torch.rand(2), name="helper")
        helper.start()
        helper.join()
        return x + torch.rand(2)

    with pytest.warns(opscope.TracerWarning, match="draws random numbers in thread helper"):
        opscope.trace(program, torch.ones(2))
