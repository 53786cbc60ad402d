"""Settings of torch that a program asks for must be at a replay as they were at the trace."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

import opscope

X = torch.ones(2, 4)
THREADS = torch.get_num_threads()

SETTINGS: tuple[tuple[str, Callable[[], Any], Callable[[], Any]], ...] = (
    (
        r"torch.get_default_dtype\(\) is torch.float32",
        lambda: torch.get_default_dtype(),
        lambda: torch.set_default_dtype(torch.float64),
    ),
    (
        rf"torch.get_num_threads\(\) is {THREADS}",
        lambda: torch.get_num_threads(),
        lambda: torch.set_num_threads(THREADS + 1),
    ),
    (
        r"torch.are_deterministic_algorithms_enabled\(\) is False",
        lambda: torch.are_deterministic_algorithms_enabled(),
        lambda: torch.use_deterministic_algorithms(True),
    ),
    (
        r"torch.initial_seed\(\) is 3",
        lambda: torch.initial_seed(),
        lambda: torch.manual_seed(4),
    ),
)


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    torch.manual_seed(3)
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(False)
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize(("text", "ask", "change"), SETTINGS)
def test_a_setting_that_is_asked_for_is_a_circumstance(
    text: str, ask: Callable[[], Any], change: Callable[[], Any]
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x * 2 if ask() else x * 3

    traced = opscope.trace(program, X, strict=True)
    assert torch.equal(traced(X), program(X))
    change()
    with pytest.raises(opscope.GuardError, match=f"{text} there, and not now") as caught:
        traced(X)
    assert "lambda:" in str(caught.value)
    assert torch.equal(opscope.trace(program, X, strict=True)(X), program(X))


def test_a_flag_of_a_backend_that_is_asked_for_is_a_circumstance() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x * 2 if torch.backends.cudnn.enabled else x * 3

    traced = opscope.trace(program, X, strict=True)
    assert torch.equal(traced(X), program(X))
    with (
        torch.backends.cudnn.flags(enabled=False),
        pytest.raises(opscope.GuardError, match=r"torch\.backends\.cudnn\.enabled is True there"),
    ):
        traced(X)


def test_a_setting_that_the_program_makes_is_its_own() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        torch.set_default_dtype(torch.float64)
        y = x.to(torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(9)
        with torch.backends.cudnn.flags(enabled=False):
            return y if torch.backends.cudnn.enabled else y * torch.initial_seed()

    traced = opscope.trace(program, X, strict=True)
    assert not traced.circumstances


def test_what_only_operators_go_by_is_no_circumstance() -> None:
    norm = nn.LayerNorm(4)
    traced = opscope.trace(lambda x: norm(x) + torch.ones(4), X)
    assert not traced.circumstances
    torch.set_num_threads(THREADS + 1)
    assert torch.equal(traced(X), norm(X) + 1)


def test_whether_attention_may_take_its_fast_path_is_a_circumstance() -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True).eval()
    x = torch.randn(2, 3, 4)
    with torch.no_grad():
        traced = opscope.trace(layer, (x, x, x))
        assert torch.equal(traced(x, x, x)[0], layer(x, x, x)[0])
        torch.backends.mha.set_fastpath_enabled(False)
        with pytest.raises(opscope.GuardError, match=r"mha\.get_fastpath_enabled\(\) is True"):
            traced(x, x, x)


def test_nothing_stays_in_torch() -> None:
    before = torch.get_default_dtype, vars(torch.backends.ContextProp)["__get__"]
    opscope.trace(lambda x: x * 2, X)
    assert before == (torch.get_default_dtype, vars(torch.backends.ContextProp)["__get__"])
