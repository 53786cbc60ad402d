"""Tensors on memory that torch did not allocate are constants, which is said; Python's numbers are not."""

from collections.abc import Callable

import numpy
import pytest
import torch

import opscope
from support.replays import check_replay, plain_text

ARRAY = numpy.array([1.0, 2.0, 3.0], dtype=numpy.float32)
X = torch.tensor([1.0, 2.0, 3.0])

BROUGHT_IN: dict[str, Callable[[], torch.Tensor]] = {
    "from_numpy": lambda: torch.from_numpy(ARRAY * 2),
    "as_tensor": lambda: torch.as_tensor(ARRAY),
    "asarray": lambda: torch.asarray(ARRAY),
    "tensor": lambda: torch.tensor(ARRAY),
    "class": lambda: torch.Tensor(ARRAY),
    "without dimensions": lambda: torch.from_numpy(numpy.array(2.0)),
    "frombuffer": lambda: torch.frombuffer(bytearray(12), dtype=torch.float32),
    "dlpack": lambda: torch.from_dlpack(ARRAY),
}

NUMBERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a list": lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
    "a list as a tensor": lambda x: x + torch.as_tensor([1.0, 2.0, 3.0]),
    "a list as an array": lambda x: x + torch.asarray([1.0, 2.0, 3.0]),
    "a number": lambda x: x * torch.tensor(2),
    "an index": lambda x: x[[0, 2]],
}


@pytest.mark.parametrize("name", BROUGHT_IN)
def test_data_that_torch_did_not_allocate_is_reported_where_it_comes_in(name: str) -> None:
    make = BROUGHT_IN[name]
    traced = opscope.trace(lambda x: x + make(), X, warn=False)
    (found,) = traced.diagnostics
    assert found.kind.value == "untracked tensor"
    assert "its present data became the constant %constant" in found.message
    assert found.source is not None
    assert found.source.path == __file__
    assert found.nodes[0].kind == "aten::clone"


def test_other_data_at_the_next_run_is_not_in_the_replay_and_the_warning_says_so() -> None:
    random = numpy.random.default_rng(0)

    def program(x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_numpy(random.random(3, dtype=numpy.float32))

    with pytest.warns(opscope.TracerWarning, match=r"is made here of an array of NumPy"):
        traced = opscope.trace(program, X)
    assert torch.equal(traced(X), traced(X))
    assert not torch.equal(program(X), traced(X))


def test_a_strict_trace_refuses_data_that_torch_did_not_allocate() -> None:
    with pytest.raises(opscope.CaptureError, match="untracked tensor"):
        opscope.trace(lambda x: x + torch.from_numpy(ARRAY), X, strict=True)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_python_are_constants_of_the_program(name: str) -> None:
    assert check_replay(NUMBERS[name], X).diagnostics == ()


def test_a_number_that_is_assigned_to_a_slice_is_a_constant_of_the_program() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 1
        y[1:] = 5.0
        return y

    assert check_replay(program, X).diagnostics == ()


def test_an_array_on_the_memory_of_a_known_tensor_brings_nothing_in() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_numpy(x.numpy())

    traced = opscope.trace(program, X, warn=False)
    assert [found.kind.value for found in traced.diagnostics] == ["data read"]
    other = torch.tensor([4.0, 5.0, 6.0])
    assert torch.equal(traced(other), program(other))
    assert "constant" not in plain_text(traced)


def test_a_fake_trace_reports_it_and_reads_no_memory_of_a_fake_tensor() -> None:
    with pytest.warns(opscope.TracerWarning) as issued:
        opscope.trace(lambda x: x + torch.from_numpy(ARRAY), X, fake=True)
    assert [str(warning.message).split(":")[0] for warning in issued] == ["untracked tensor"]
