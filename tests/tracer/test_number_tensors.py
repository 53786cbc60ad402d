"""Tensors made of sizes and items are data: a replay makes them of its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import opscope
from opscope.testing import check_text
from support.replays import check_replay, plain_text


def test_a_tensor_of_a_size_follows_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x.sum(0) / torch.tensor(x.shape[0])

    traced = check_replay(program, torch.randn(3, 2))
    check_text(
        opscope.parse(plain_text(traced)),
        """
        graph program(%x : f32[3, 2]) -> (f32[2]):
          %0 : int = aten::sym_size.int(%x, 0)
          %1 : f32[2] = aten::sum.dim_IntList(%x, [0])
          %2 : i64[] = aten::scalar_tensor(%0, dtype=i64, device=device.cpu)
          %3 : f32[2] = aten::div.Tensor(%1, %2)
          return (%3)
        """,
    )
    longer = torch.randn(7, 2)
    assert torch.equal(traced(longer), program(longer))


MADE: dict[str, Any] = {
    "int": lambda n, i: torch.tensor(n),
    "float": lambda n, i: torch.as_tensor(n * 0.1),
    "item": lambda n, i: torch.tensor(i),
    "bool": lambda n, i: torch.tensor(n > 2),
    "list": lambda n, i: torch.tensor([n, 1]),
    "nested": lambda n, i: torch.tensor([[n, 1], [2, n]]),
    "mixed with float": lambda n, i: torch.tensor([n, 0.5, True]),
    "mixed with bool": lambda n, i: torch.tensor([True, n]),
    "item and bool": lambda n, i: torch.tensor([i, True]),
    "dtype": lambda n, i: torch.as_tensor([n, n], dtype=torch.int32),
    "rounded down": lambda n, i: torch.tensor(i, dtype=torch.int64),
    "gradient": lambda n, i: torch.tensor(n, dtype=torch.float64, requires_grad=True),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_it_is_the_tensor_that_plain_numbers_make(make: Any) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = make(x.shape[0], x.sum().item())
        return result

    traced = check_replay(program, torch.arange(3.0) + 0.3)
    for size in (3, 6):
        x = torch.arange(float(size)) + 0.7
        expected, actual = program(x), traced(x)
        assert actual.dtype == expected.dtype
        assert actual.requires_grad == expected.requires_grad
        assert torch.equal(actual, expected)


def test_what_is_no_list_of_numbers_is_left_to_torch() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([x.shape[0], [1]])

    with pytest.raises(TypeError):
        opscope.trace(program, torch.ones(2), warn=False)

    def of_tensors(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([x.shape[0], torch.tensor(2)])

    check_replay(of_tensors, torch.ones(2))

    def rounded(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([x.max()], dtype=torch.int64)

    with pytest.raises(TypeError):
        opscope.trace(rounded, torch.ones(2), warn=False)


OF_TENSORS: dict[str, Any] = {
    "list": lambda x: torch.tensor([x.max(), x.min()]),
    "tuple": lambda x: torch.as_tensor((x.max(), 2)),
    "size": lambda x: torch.tensor([x.max(), x.shape[0]]),
    "nested": lambda x: torch.tensor([[x.max(), x.shape[0]], [True, x.sum()]]),
    "one element": lambda x: torch.tensor([x[:1], x[-1:]]),
    "promoted": lambda x: torch.tensor([x.max().half(), x.max().double(), 1]),
    "integer": lambda x: torch.tensor([x.argmax(), 1]),
    "integer and bool": lambda x: torch.tensor([x.argmax().int(), x.any()]),
    "half and int": lambda x: torch.tensor([x.max().bfloat16(), 1]),
    "dtype": lambda x: torch.tensor([x.max(), 0.5], dtype=torch.float64),
    "rows": lambda x: torch.tensor([row.max() - len(x) for row in x.view(-1, 1)]),
    "requires grad": lambda x: torch.tensor([x.max()], requires_grad=True),
}


@pytest.mark.parametrize("make", OF_TENSORS.values(), ids=OF_TENSORS)
def test_a_tensor_in_a_list_is_the_number_it_holds(make: Any) -> None:
    traced = check_replay(make, torch.arange(3.0) + 0.3)
    assert not traced.diagnostics
    other = torch.tensor([7.6, -1.0, 2.0])
    expected, actual = make(other), traced(other)
    assert actual.dtype == expected.dtype
    assert actual.requires_grad == expected.requires_grad
    assert torch.equal(actual, expected)


def test_torch_finds_its_functions_as_before() -> None:
    before = torch.tensor, torch.as_tensor
    opscope.trace(lambda x: torch.tensor(x.shape[0]), torch.ones(2))
    assert (torch.tensor, torch.as_tensor) == before
    with torch.device("meta"):
        assert torch.tensor(1).is_meta
