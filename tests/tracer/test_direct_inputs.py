"""Calls that are like one before are taken as they are; any other is looked at closely."""

import pytest
import torch

import opscope
from opscope.errors import InputError


def add(x: torch.Tensor, y: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    return x + y * scale


def traced() -> opscope.TracedProgram:
    program = opscope.trace(add, (torch.ones(2, 3), torch.ones(2, 3)), dynamic=False)
    for _ in range(3):
        program(torch.ones(2, 3), torch.ones(2, 3))
        program(y=torch.ones(2, 3), x=torch.ones(2, 3))
    return program


def test_arguments_by_name_are_told_apart_from_those_by_position() -> None:
    program = opscope.trace(lambda x, y: x - y, (torch.ones(2), torch.zeros(2)))
    one, other = torch.tensor([5.0, 6.0]), torch.tensor([1.0, 2.0])
    for _ in range(3):
        assert torch.equal(program(one, other), one - other)
        assert torch.equal(program(y=one, x=other), other - one)
        assert torch.equal(program(one, y=other), one - other)


def test_one_tensor_for_two_is_refused_after_calls_that_fit() -> None:
    program, x = traced(), torch.ones(2, 3)
    with pytest.raises(InputError, match="are one tensor now"):
        program(x, x)


def test_another_constant_is_refused_after_calls_that_fit() -> None:
    program = traced()
    x, y = torch.ones(2, 3), torch.ones(2, 3)
    assert torch.equal(program(x, y, 1.0), x + y)
    with pytest.raises(InputError, match=r"input scale was 1\.0"):
        program(x, y, 2.0)
    with pytest.raises(InputError, match="do not fit"):
        program(x, y, 1.0, 1.0)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (torch.ones(2, 3).double(), "its dtype is"),
        (torch.ones(2, 4), "dimension 1 is 4"),
        (torch.ones(3, 2).t(), "its strides are"),
        (torch.ones(2, 3).to_sparse(), "its layout is"),
        (2.0, "must be a tensor"),
    ],
)
def test_another_type_is_refused_after_calls_that_fit(other: object, message: str) -> None:
    program = traced()
    with pytest.raises(InputError, match=message):
        program(torch.ones(2, 3), other)


def test_a_list_that_has_changed_is_refused_after_calls_that_fit() -> None:
    sizes = [2, 3]
    program = opscope.trace(lambda x, sizes: x.view(sizes), (torch.ones(6), sizes))
    program(torch.ones(6), sizes)
    program(torch.ones(6), sizes)
    sizes[:] = [3, 2]
    with pytest.raises(InputError, match="input sizes"):
        program(torch.ones(6), sizes)


class Adding(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor = torch.ones(2)) -> torch.Tensor:  # noqa: B008
        return x + y


def test_a_default_tensor_is_no_argument_of_a_call() -> None:
    program = opscope.trace(Adding(), torch.zeros(2))
    for _ in range(3):
        assert program(torch.zeros(2)).tolist() == [1.0, 1.0]
    assert program(torch.zeros(2), torch.full((2,), 3.0)).tolist() == [3.0, 3.0]
