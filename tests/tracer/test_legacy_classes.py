"""``torch.FloatTensor`` and its kin tell a shape from data by its class, in a trace too."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import opscope

PROGRAMS: tuple[Callable[[Any, torch.Tensor], Any], ...] = (
    lambda class_, x: class_(x.shape).zero_(),
    lambda class_, x: class_(x.size()).zero_(),
    lambda class_, x: class_(*x.shape).zero_(),
    lambda class_, x: class_(x.size(0), 3).zero_(),
    lambda class_, x: class_(x.shape[1:]).zero_(),
    lambda class_, x: class_([1, 0]),
    lambda class_, x: x.type(class_),
    lambda class_, x: x.to(class_.dtype),
    lambda class_, x: x * (2.0 if isinstance(x, class_) else 3.0),
    lambda class_, x: x * {class_: 2.0}[class_],
)


@pytest.mark.parametrize("name", ["FloatTensor", "LongTensor", "DoubleTensor", "BoolTensor"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_shape_is_a_shape(program: Callable[[Any, torch.Tensor], Any], name: str) -> None:
    def make(x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = program(getattr(torch, name), x)
        return made

    traced = opscope.trace(make, torch.ones(3, 4), strict=True)
    assert not traced.guards
    for shape in ((3, 4), (5, 2)):
        actual, expected = traced(torch.ones(shape)), make(torch.ones(shape))
        assert actual.dtype is expected.dtype
        assert torch.equal(actual, expected)


def test_the_classes_are_put_back_and_are_what_they_were() -> None:
    before = torch.FloatTensor

    def program(x: torch.Tensor) -> torch.Tensor:
        assert before == torch.FloatTensor
        assert hash(before) == hash(torch.FloatTensor)
        return x * 2

    opscope.trace(program, torch.ones(2))
    assert torch.FloatTensor is before
