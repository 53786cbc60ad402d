"""What a trace cannot record exactly is listed once per site, with the line, and warned about."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch

import opscope


def reads_data(x: torch.Tensor) -> torch.Tensor:
    total = 0.0
    for _ in range(3):
        total += float(x.sum())
    return x * total


def test_data_handed_to_python_is_reported_once_per_site() -> None:
    with pytest.warns(
        opscope.TracerWarning, match=r"needed as a plain float by torch; it was 2.0"
    ) as warned:
        traced = opscope.trace(reads_data, torch.ones(2))
    assert len(warned) == 1
    assert warned[0].filename == __file__
    (diagnostic,) = traced.diagnostics
    assert diagnostic.source is not None
    assert diagnostic.source.text.strip() == "total += float(x.sum())"
    assert "float(x.sum())\n             ^^^^^^^^^^^^^^" in str(diagnostic)


def test_a_branch_on_data_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x

    with pytest.warns(opscope.TracerWarning, match="decides, through aten::is_nonzero, which way"):
        opscope.trace(program, torch.ones(2))


@pytest.mark.parametrize(
    "read", [lambda x: x.tolist(), lambda x: x.numpy(), lambda x: numpy.asarray(x)]
)
def test_data_handed_to_numpy_or_lists_is_reported(read: Callable[[torch.Tensor], Any]) -> None:
    with pytest.warns(opscope.TracerWarning, match="hands the data of a tensor"):
        opscope.trace(lambda x: x * float(read(x)[0]), torch.ones(2))
    assert "numpy" not in vars(torch.Tensor)


def test_an_operator_run_in_another_thread_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        results: list[torch.Tensor] = []
        thread = threading.Thread(target=lambda: results.append(x * 2))
        thread.start()
        thread.join()
        return results[0] + 1

    with pytest.warns(opscope.TracerWarning, match="no recorded operator made"):
        traced = opscope.trace(program, torch.ones(2))
    assert traced.diagnostics[0].kind.value == "untracked tensor"


def test_a_custom_backward_that_cannot_be_kept_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        doubled = x * 2

        class Square(torch.autograd.Function):
            @staticmethod
            def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
                return x * doubled

            @staticmethod
            def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
                return gradient * 3

        return Square.apply(x)  # type: ignore[no-any-return]

    with pytest.warns(opscope.TracerWarning, match="no gradient flows through it"):
        opscope.trace(program, torch.ones(2, requires_grad=True))


def test_strict_makes_it_an_error_and_warn_false_makes_it_silent() -> None:
    with pytest.raises(opscope.CaptureError, match="needed as a plain float"):
        opscope.trace(reads_data, torch.ones(2), strict=True)
    assert not opscope.is_tracing()
    traced = opscope.trace(reads_data, torch.ones(2), warn=False)
    assert len(traced.diagnostics) == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copied_tensor_is_reported(duplicate: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.warns(opscope.TracerWarning, match="the storage of a tensor"):
        opscope.trace(lambda x: duplicate(x) + 1, torch.ones(2))


def test_gradients_written_by_backward_are_reported() -> None:
    linear = torch.nn.Linear(2, 2)

    def step(x: torch.Tensor) -> torch.Tensor:
        loss = linear(x).pow(2).sum()
        loss.backward()
        return loss.detach()

    with pytest.warns(opscope.TracerWarning, match=r"wrote the \.grad of 2 tensors"):
        opscope.trace(step, torch.ones(1, 2))


def test_a_replaced_buffer_is_reported() -> None:
    class Counter(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count = self.count + 1
            return x * self.count

    with pytest.warns(opscope.TracerWarning, match="replaced count by another tensor"):
        opscope.trace(Counter(), torch.ones(2))


def test_a_changed_container_among_the_arguments_is_reported() -> None:
    def program(cache: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        cache["x"] = x + 1
        return x * 2

    with pytest.warns(opscope.TracerWarning, match="changed a container"):
        opscope.trace(program, ({}, torch.ones(2)))


def test_an_assignment_to_data_is_reported() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x.data = y
        return x + 1

    with pytest.warns(opscope.TracerWarning, match=r"an assignment to tensor\.data"):
        opscope.trace(program, (torch.ones(2), torch.zeros(2)))
