"""Writes as they are recorded: in order, through views, and done again to the arguments of a replay."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.replays import plain_text, tensors_of


def check_writes(function: Callable[..., Any], *args: torch.Tensor) -> opscope.TracedProgram:
    """Trace, replay and run eagerly on equal inputs; results and what inputs contain must agree."""
    ours, theirs = [x.clone() for x in args], [x.clone() for x in args]
    traced = opscope.trace(function, tuple(x.clone() for x in args))
    actual, expected = traced(*ours), function(*theirs)
    pairs = [*zip(tensors_of(actual), tensors_of(expected), strict=True)]
    for one, other in (*pairs, *zip(ours, theirs, strict=True)):
        assert one.dtype == other.dtype
        assert one.stride() == other.stride()
        assert torch.equal(one, other)
    for position, (ours_first, theirs_first) in enumerate(pairs):
        for ours_second, theirs_second in pairs[:position]:
            assert shares(ours_first, ours_second) == shares(theirs_first, theirs_second)
    return traced


def shares(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def test_views_of_views_are_written_where_they_lie() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x.t()
        z = y[1:].reshape(-1)[::2]
        row = y.unsqueeze(0)[0, 1]
        row.add_(10)
        z.mul_(2)
        y.diagonal().zero_()
        return x, y, row

    traced = check_writes(program, torch.arange(12.0).view(3, 4))
    assert "aten::diagonal" in str(traced)


def test_a_write_to_a_base_shows_in_its_views() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first, second = x.split(2)
        view = x.view(2, 2)
        x.add_(1)
        second *= 3
        return first + 0, second, view

    check_writes(program, torch.arange(4.0))


def test_slice_assignment_of_every_form() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        x[0] = 1.0
        x[:, 1:3] = torch.tensor([5.0, 6.0])
        x[..., -1] += 2
        x[1][::2] = x[0][::2]
        x[None, 2:] = -1.0
        return x * 1

    traced = check_writes(program, torch.zeros(3, 4))
    assert "aten::copy_" in str(traced)


def test_index_put_with_indices_masks_and_accumulation() -> None:
    def program(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        x[index] = 7.0
        x[x > 6] -= 1
        x[index, index] = x[0, 0].clone()
        x.index_put_((index,), torch.ones(4), accumulate=True)
        return x

    traced = check_writes(program, torch.arange(16.0).view(4, 4), torch.tensor([0, 2]))
    assert "aten::index_put_" in str(traced)


def test_one_out_argument() -> None:
    def program(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        torch.exp(x, out=out)
        torch.add(x, 1, out=out[1:])
        return torch.mul(x, 2, out=torch.empty(0))

    def whole(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        returned = torch.exp(x, out=out)
        assert returned is out
        return returned

    traced = check_writes(whole, torch.ones(3), torch.zeros(3))
    assert plain_text(traced) == (
        "graph whole(%x : f32[3], %out : f32[3]) -> (f32[3]):\n"
        "  %returned : f32[3] = aten::exp.out(%x, out=%out)\n"
        "  return (%returned)"
    )
    with pytest.warns(UserWarning, match="was resized"):
        opscope.trace(program, (torch.ones(3), torch.zeros(3)))


def test_several_out_arguments() -> None:
    def program(
        x: torch.Tensor, values: torch.Tensor, places: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        torch.max(x, 1, out=(values, places))
        torch.sort(x[0], out=(x[1], torch.empty(4, dtype=torch.int64)))
        return values + 1, places

    traced = check_writes(
        program, torch.randn(3, 4), torch.zeros(3), torch.zeros(3, dtype=torch.int64)
    )
    assert "max=%values, max_values=%places" in str(traced)


def test_foreach_writes_lists() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        torch._foreach_mul_([x, y[0]], 2.0)
        torch._foreach_add_([x, y[1]], [y[0], x])
        torch._foreach_zero_([y[0]])
        return x + y

    traced = check_writes(program, torch.ones(3), torch.ones(2, 3))
    assert "aten::_foreach_mul_.Scalar([%x, %" in str(traced)


def test_set_gives_a_tensor_other_memory() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.zeros(2)
        y.set_(x)
        y.add_(1)
        return x * 2, y

    traced = check_writes(program, torch.ones(3))
    assert "aten::set_.source_Tensor" in str(traced)


def test_resize_shrinks_and_grows() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y.resize_(2)
        y.add_(1)
        y.resize_(2, 3).fill_(4)
        return y * 2

    traced = check_writes(program, torch.arange(3.0))
    assert [n.kind for n in traced.graph.walk()].count("aten::resize_") == 2


def test_a_tensor_passed_twice_is_one_value() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return y * 2

    x = torch.zeros(2)
    traced = opscope.trace(program, (x, x))
    assert plain_text(traced) == (
        "graph program(%x : f32[2], %y : f32[2]) -> (f32[2]):\n"
        "  %0 : f32[2] = aten::add_.Tensor(%x, 1)\n"
        "  %1 : f32[2] = aten::mul.Tensor(%0, 2)\n"
        "  return (%1)"
    )
    x = torch.ones(2)
    assert traced(x, x).tolist() == [4.0, 4.0]
    assert x.tolist() == [2.0, 2.0]
    with pytest.raises(opscope.InputError, match="were one tensor when the program was traced"):
        traced(torch.ones(2), torch.ones(2))


def test_an_input_that_is_a_parameter_too_is_one_value() -> None:
    linear = nn.Linear(2, 2)

    def program(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            weight.mul_(2)
        return linear(x)

    x = torch.ones(1, 2)
    traced = opscope.trace(program, (linear.weight, x))
    assert "linear.weight" not in traced.graph.state
    before = linear.weight.detach().clone()
    result = traced(linear.weight, x)
    assert torch.equal(linear.weight, before * 2)
    assert torch.equal(result, linear(x))
    with pytest.raises(opscope.InputError, match=r"was linear\.weight of the program itself"):
        traced(torch.zeros(2, 2), x)


def test_an_output_that_is_a_written_input_is_the_input() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = x.relu_()
        return x, y

    traced = opscope.trace(program, torch.zeros(2))
    x = torch.tensor([-1.0, 1.0])
    first, second = traced(x)
    assert first is x
    assert second is x
    assert x.tolist() == [0.0, 1.0]


def test_a_value_returned_twice_is_one_tensor() -> None:
    def program(x: torch.Tensor) -> dict[str, Any]:
        y = (x + 1).mul_(2)
        return {"first": y, "again": [y, y]}

    result = opscope.trace(program, torch.zeros(2))(torch.zeros(2))
    assert result["first"] is result["again"][0] is result["again"][1]
