"""Tracing, replaying and checking again and again leaves nothing behind."""

import gc
import linecache
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import opscope


def small_network() -> tuple[nn.Module, torch.Tensor]:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 5)
    )
    return network, torch.randn(2, 3, 6, 6)


def trace_only() -> tuple[Any, ...]:
    network, x = small_network()
    return network, x, opscope.trace(network, x)


def trace_and_replay() -> tuple[Any, ...]:
    network, x, traced = trace_only()
    return network, x, traced, traced(x)


def trace_and_check() -> tuple[Any, ...]:
    network, x = nn.Linear(40, 40), torch.randn(2, 40)
    traced = opscope.trace(network, x)
    assert traced.check(gradients=True).ok
    return network, x, traced


def trace_with_a_pause() -> tuple[Any, ...]:
    network, x = small_network()

    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            y = x + 1
        result: torch.Tensor = network(x) + y.sum()
        return result

    return network, x, program, opscope.trace(program, x, warn=False)


def trace_of_functions() -> tuple[Any, ...]:
    network, x = small_network()

    def program(x: torch.Tensor) -> torch.Tensor:
        scale = network[4].weight
        y: torch.Tensor = torch.cond(x.sum() > 0, torch.sin, lambda x: scale.sum() * x, (x,))
        result: torch.Tensor = torch.func.vmap(torch.func.grad(lambda row: (row * y[0]).sum()))(x)
        return result

    traced = opscope.trace(program, x)
    return network, x, program, traced, traced(x)


def trace_that_fails() -> tuple[Any, ...]:
    network, x = small_network()
    with pytest.raises(RuntimeError):
        opscope.trace(network, x[:, :2])
    return network, x


WORK = [
    trace_only,
    trace_and_replay,
    trace_and_check,
    trace_with_a_pause,
    trace_of_functions,
    trace_that_fails,
]


@pytest.mark.parametrize("work", WORK)
def test_everything_goes_without_the_garbage_collector(
    work: Callable[[], tuple[Any, ...]],
) -> None:
    work()
    gc.collect()
    gc.disable()
    try:
        references = [weakref.ref(made) for made in work()]
        assert [reference() for reference in references] == [None] * len(references)
    finally:
        gc.enable()


# Each call of torch.cond leaves something in torch's own caches.
@pytest.mark.parametrize("work", [work for work in WORK if work is not trace_of_functions])
def test_twenty_times_need_no_more_memory_than_one(work: Callable[[], tuple[Any, ...]]) -> None:
    for _ in range(3):
        work()
    gc.collect()
    objects = len(gc.get_objects())
    files = sum(1 for name in linecache.cache if name.startswith("<opscope"))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            work()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(gc.get_objects()) - objects < 40  # a graph has more than that
    assert sum(1 for name in linecache.cache if name.startswith("<opscope")) <= files
    assert after - before < 20 * 5_000  # a parameter of these networks, or a source text, is more
