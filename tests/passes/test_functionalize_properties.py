"""Random programs of views and writes: the functional replay is eager, bit by bit."""

import warnings

import torch
from hypothesis import HealthCheck, event, given, reject, settings
from hypothesis import strategies as st

import opscope
from support.functional import check_functional
from support.random_writes import Program, programs

MANY = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
REFUSALS = (
    "several elements are one",  # writes through expand()
    "have elements in common",
    "reads elements that it writes",
    "sizes or strides of",  # unsqueeze_ of an input
    "off from its history",  # detach_ of an input or a view
    "may reach memory",  # as_strided and resize_ beyond their operand
    "is on the memory that is written is not known",  # as_strided of an input
    "shares its memory with others",  # out= that resizes what has views
    "unnoticed by autograd",  # writes around .data to what has a gradient
    "under no_grad, a tensor that has a history",  # transpose_, which autograd then knows nothing of
    "not one piece of its memory",  # out= with gaps
)


def check(drawn: Program, seed: int, *, requires_grad: bool) -> None:
    def inputs() -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [torch.randn(shape, requires_grad=requires_grad) * 1 for shape in ((2, 4), (4,))]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of resized out= tensors
        program = drawn.working(inputs)
        try:
            check_functional(program, *inputs())
        except opscope.PassError as error:
            if not any(reason in str(error) for reason in REFUSALS):
                raise
            event("refused")
            reject()


@given(programs, st.integers(0, 3))
@MANY
def test_replays_are_eager(program: Program, seed: int) -> None:
    check(program, seed, requires_grad=False)


@given(programs, st.integers(0, 3))
@MANY
def test_replays_are_eager_with_gradients(program: Program, seed: int) -> None:
    check(program, seed, requires_grad=True)
