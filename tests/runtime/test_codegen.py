"""Replay code: readable Python that frees what it no longer needs."""

import math
import traceback
import weakref

import pytest
import torch
from torch import nn

import opscope


def block(x: torch.Tensor) -> torch.Tensor:
    hidden = x.exp()
    left, right = hidden.chunk(2)
    return torch.cat([left, right], dim=0) * float("inf")


def test_the_code_of_a_program() -> None:
    traced = opscope.trace(block, torch.ones(4))
    lines = [line.partition("  # ")[0].rstrip() for line in traced.code.splitlines()]
    assert lines == [
        "def block(x):",
        "    hidden = aten_exp(x); del x",
        "    [left, right] = aten_chunk(hidden, 2); del hidden",
        "    v0 = aten_cat([left, right]); del left, right",
        "    v1 = aten_mul_Tensor(v0, inf); del v0",
        "    return (v1,)",
    ]
    assert "# " in traced.code
    assert "test_codegen.py:" in traced.code


def test_numbers_without_a_literal_of_pythons_stand_in_arithmetic() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x * (x.shape[0] * math.inf) + min(x.shape[0], math.nan)

    traced = opscope.trace(program, torch.ones(2))
    for size in (2, 3):
        assert torch.equal(traced(-torch.ones(size)), program(-torch.ones(size)))


def test_intermediates_die_after_their_last_use() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    class Watched(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.exp().neg().sin().sum()

    traced = opscope.trace(Watched(), torch.ones(4))
    namespace = traced._compiled.function.__globals__
    for name in ("aten_exp", "aten_neg", "aten_sin"):
        real = namespace[name]

        def watching(*args: torch.Tensor, real: object = real) -> torch.Tensor:
            assert all(ref() is None or ref() is args[0] for ref in alive), (
                "an intermediate is still alive"
            )
            result: torch.Tensor = real(*args)  # type: ignore[operator]
            alive.append(weakref.ref(result))
            return result

        namespace[name] = watching
    traced(torch.ones(4))
    assert len(alive) == 3


def test_dtypes_devices_formats_and_odd_numbers() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (
            x.to(torch.float64),
            x.to("cpu"),
            x[None, None, None].contiguous(memory_format=torch.channels_last),
            torch.full_like(x, float("nan")),
            torch.full((2,), -float("inf"), dtype=torch.float16),
            x * 1e-30,
            x + (1 + 2j),
        )

    x = torch.randn(4)
    results, expected = opscope.trace(program, x)(x), program(x)
    for one, other in zip(results, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.stride() == other.stride()
        assert torch.equal(one.nan_to_num(), other.nan_to_num())


def test_names_that_python_reserves_or_that_clash_are_changed() -> None:
    class Clash(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("x", torch.ones(2))

        def forward(self, x: torch.Tensor, aten_add_Tensor: torch.Tensor) -> torch.Tensor:
            return x + self.x + aten_add_Tensor

    x = torch.randn(2)
    traced = opscope.trace(Clash(), (x, x + 1))
    assert torch.equal(traced(x, x + 1), x + torch.ones(2) + (x + 1))


def test_a_failing_replay_shows_the_line_of_its_code() -> None:
    traced = opscope.trace(lambda x, y: x @ y, (torch.ones(2, 2), torch.ones(2, 2)))
    with pytest.raises(RuntimeError) as raised:
        traced._compiled.function(torch.ones(2, 2), torch.ones(3, 2))
    assert "aten_matmul(x, y)" in "".join(traceback.format_exception(raised.value))


def test_an_operator_that_is_not_registered_is_named() -> None:
    graph = opscope.parse(
        "graph(%x : f32[2]):\n  %y : f32[2] = nowhere::missing(%x)\n  return (%y)"
    )
    from opscope.runtime import compile_graph

    with pytest.raises(opscope.ReplayError, match="no operator nowhere::missing is registered"):
        compile_graph(graph, {})


def test_missing_state_is_named() -> None:
    traced = opscope.trace(nn.Linear(2, 2), torch.ones(1, 2))
    from opscope.runtime import compile_graph

    with pytest.raises(opscope.ReplayError, match=r"the program needs state 'weight'"):
        compile_graph(traced.graph, {})


def test_a_parsed_graph_runs() -> None:
    graph = opscope.parse(
        """
        graph(%x : f32[2], %y : f32[2]):
          %sum : f32[2] = aten::add.Tensor(%x, %y, alpha=2)
          return (%sum, %x)
        """
    )
    from opscope.runtime import compile_graph

    x, y = torch.randn(2), torch.randn(2)
    total, same = compile_graph(graph, {}).function(x, y)
    assert torch.equal(total, torch.add(x, y, alpha=2))
    assert same is x


def test_five_thousand_operators_compile_and_run() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        for _ in range(5000):
            x = x + 1
        return x

    assert opscope.trace(program, torch.zeros(1))(torch.zeros(1)).item() == 5000
