"""A trace leaves torch's classes what they are to C code, while it runs and afterwards."""

from __future__ import annotations

import ctypes

import pytest
import torch
from torch import nn

import opscope


def is_sequence(value: object) -> bool:
    """Whether C code takes an object for a sequence."""
    return bool(ctypes.pythonapi.PySequence_Check(ctypes.py_object(value)))


class Marked(torch.Tensor):
    pass


class Listed(torch.Tensor):
    def __getitem__(self, index: object) -> torch.Tensor:
        return super().__getitem__(index)


KINDS = {
    "tensor": torch.ones(2),
    "parameter": nn.Parameter(torch.ones(2)),
    "class of the user": torch.ones(2).as_subclass(Marked),
    "class that indexes itself": torch.ones(2).as_subclass(Listed),
}


@pytest.mark.parametrize("tensor", KINDS.values(), ids=KINDS)
def test_tensors_are_sequences_to_c_only_if_they_were(tensor: torch.Tensor) -> None:
    before = is_sequence(tensor)
    inside = []

    def program(x: torch.Tensor) -> torch.Tensor:
        inside.append(is_sequence(tensor))
        return x[0]

    opscope.trace(program, torch.ones(2), warn=False)
    assert inside == [before]
    assert is_sequence(tensor) == before


def test_a_class_made_while_a_trace_runs_is_no_sequence_afterwards() -> None:
    made: list[type[torch.Tensor]] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        made.append(type("Made", (torch.Tensor,), {}))
        return x[0]

    opscope.trace(program, torch.ones(2), warn=False)
    assert not is_sequence(torch.ones(2).as_subclass(made[0]))


def test_lists_of_tensors_become_tensors_after_a_trace() -> None:
    x = torch.arange(3.0)
    opscope.trace(lambda x: x[0], x)
    assert torch.tensor([x.max(), x.min()]).tolist() == [2.0, 0.0]
    assert torch.tensor([x[:1]]).tolist() == [0.0]
    assert torch.Tensor([x.max()]).tolist() == [2.0]
    assert x.new_tensor([x.max(), 1]).tolist() == [2.0, 1.0]
