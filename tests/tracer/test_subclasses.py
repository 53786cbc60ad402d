"""Tensors of other classes, and modes: what they do is in the graph, and tracing does not disturb them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import _disable_current_modes

import opscope
from support.exactness import assert_identical, check_exact, tensors_of
from support.replays import plain_text
from support.tensor_classes import (
    Hooked,
    Labelled,
    LoggingDispatchMode,
    LoggingFunctionMode,
    Named,
    Quantized,
)

Case = tuple[Callable[..., Any], Callable[[], tuple[Any, ...]]]


def two() -> tuple[Any]:
    return (TwoTensor(torch.randn(2, 3), torch.randn(2, 3)),)


def nested_two() -> tuple[Any]:
    return (TwoTensor(*two(), *two()),)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 3), torch.randn(2, 3)


def one() -> tuple[torch.Tensor]:
    return (torch.randn(2, 3),)


def weight() -> Any:
    return Quantized(torch.randint(-8, 8, (4, 3), dtype=torch.int8), torch.rand(4, 1))


CASES: dict[str, Case] = {
    "two: in and out": (lambda t: (t * 2, t.sin().a, t.b + 1, t @ t.t(), t.a), two),
    "two: made": (lambda a, b: (TwoTensor(a, b) * 2, TwoTensor(a + 1, b * 2)), pair),
    "two: dead before its part is read": (lambda t: (t + 1).a * 2 + (t * 2).b, two),
    "two: in one another": (
        lambda t: ((t * 2).a.b + 1, t + t, TwoTensor(t.a * 1, t.b * 1) * 3),
        nested_two,
    ),
    "two: with gradients": (
        lambda t: t * 2,
        lambda: (TwoTensor(*pair()).requires_grad_(),),
    ),
    "two: written": (lambda t: t.clone().mul_(2).add_(t), two),
    "quantized: in": (
        lambda w, x: (nn.functional.linear(x, w), w.scale * 2, w),
        lambda: (weight(), torch.randn(2, 3)),
    ),
    "quantized: made": (
        lambda x: nn.functional.linear(x, Quantized(torch.ones(4, 3).char(), x[:1, :1].exp())),
        one,
    ),
    "labelled: in": (lambda t: ((t * 2).wrapped, t.wrapped + 1), lambda: (Labelled(*one(), "x"),)),
    "labelled: made": (lambda x: (Labelled(x + 1, "x") * 2).wrapped, one),
    "labelled: out": (lambda x: Labelled(x + 1, "x") * 2, one),
    "named: in": (lambda t: t * 2, lambda: (Named(*one(), "abc"),)),
    "named: made": (lambda x: Named(x, "abc") * 2, one),
    "hooked: in": (
        lambda t: (t * 2, t.sin(), t.shape[0] * t, t.view(-1)),
        lambda: (torch.randn(3).as_subclass(Hooked),),
    ),
    "hooked: made": (lambda x: (x.as_subclass(Hooked).sin(), x.as_subclass(Hooked)), one),
}


class Plain(torch.Tensor):
    """A class with nothing of its own."""


CASES.update(
    {
        "plain: called": (lambda x: (Plain(x) * 2, Plain(x).add_(1), x + 0), one),
        "plain: of sizes and data": (
            lambda x: (Plain(2, 3).zero_() + x, Plain([1.0, 2.0]), Plain(x.shape).fill_(1) * x),
            one,
        ),
        "plain: with gradients": (
            lambda x: Plain(x).sin().sum(),
            lambda: (one()[0].requires_grad_(),),
        ),
    }
)


@pytest.mark.parametrize("name", CASES)
def test_what_a_class_does_replays(name: str) -> None:
    check_exact(*CASES[name])


def test_a_wrapper_reads_as_what_it_wraps() -> None:
    def program(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        both = TwoTensor(a + 1, b)
        doubled = both * 2
        return doubled.a.sin()  # type: ignore[no-any-return]

    check_exact(program, pair)
    traced = opscope.trace(program, pair(), dynamic=False)
    assert plain_text(traced) == (
        "graph program(%a : f32[2, 3], %b : f32[2, 3]) -> (f32[2, 3]):\n"
        "  constant %TwoTensor : object\n"
        "  %0 : f32[2, 3] = aten::add.Tensor(%a, 1)\n"
        "  %1 : f32[2, 3]{class=TwoTensor} = prim::wrap(%TwoTensor, "
        '["a", "b"], [%0, %b], None, [2, 3], [3, 1])\n'
        "  %doubled : f32[2, 3]{class=TwoTensor} = aten::mul.Tensor(%1, 2)\n"
        '  %doubled.1 : f32[2, 3] = prim::inner(%doubled, ["a"])\n'
        "  %2 : f32[2, 3] = aten::sin(%doubled.1)\n"
        "  return (%2)"
    )


def test_the_size_of_a_wrapper_is_guarded() -> None:
    traced = opscope.trace(lambda a, b: TwoTensor(a, b) * 2, pair())
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(4, 3), torch.ones(4, 3))


@pytest.mark.parametrize(
    "read",
    [
        lambda y: y.shape[0],
        lambda y: y.size(0),
        lambda y: y.numel(),
        len,
        lambda y: y[:2].sum(),
    ],
)
def test_sizes_that_are_read_of_a_class_of_the_users_are_guarded(
    read: Callable[[torch.Tensor], Any],
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x * read(x.as_subclass(Plain))

    traced = opscope.trace(program, pair()[0], warn=False)
    assert "x.size(0) == 2" in [guard.text for guard in traced.guards]
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(4, 3))


def test_attributes_that_operators_set_are_those_of_the_replay() -> None:
    def program(x: torch.Tensor) -> Any:
        return Labelled(x, "x") * 2 + 1

    traced = opscope.trace(program, one())
    assert traced(*one()).label == program(*one()).label == "x''"


def test_a_trace_keeps_no_wrapped_tensor_alive() -> None:
    gone: list[bool] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        both = TwoTensor(x + 1, x + 2)
        inner = weakref.ref(both.a)
        doubled = both * 2
        del both
        gone.append(inner() is None)
        return doubled.b  # type: ignore[no-any-return]

    opscope.trace(program, one())
    program(*one())
    assert gone == [True, True]


def test_an_input_must_be_of_the_class_that_it_was() -> None:
    traced = opscope.trace(lambda t: t * 2, two())
    with pytest.raises(
        opscope.InputError, match=r"it is a torch\.Tensor and was a TwoTensor; trace again"
    ):
        traced(*one())


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.two = nn.Parameter(TwoTensor(torch.randn(4, 3), torch.randn(4, 3)))
        self.quantized = nn.Parameter(weight(), requires_grad=False)
        self.buffer = nn.Buffer(torch.randn(4))

    def forward(self, x: torch.Tensor) -> Any:
        y = nn.functional.linear(nn.functional.linear(x, self.two).a, torch.ones(3, 4))
        return nn.functional.linear(y, self.quantized) + self.buffer


def test_parameters_of_other_classes_and_buffers() -> None:
    traced = check_exact(Model(), one)
    assert list(traced.state) == ["two", "quantized", "buffer"]
    text = str(traced)
    assert "state %two : f32[4, 3]{class=TwoTensor, grad}" in text
    assert "buffer %buffer : f32[4]" in text


def test_tracing_asks_nothing_of_a_class_that_the_program_does_not() -> None:
    for function, make in (CASES["hooked: in"], CASES["hooked: made"]):
        inputs = make()
        Hooked.calls.clear()
        function(*inputs)
        expected = list(Hooked.calls)
        Hooked.calls.clear()
        traced = opscope.trace(function, inputs)
        assert Hooked.calls == expected
        Hooked.calls.clear()
        traced(*inputs)
        assert Hooked.calls == [], "what the class did is in the graph"


def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    linear = nn.functional.linear(x, torch.ones(3, 3)) + 2 * torch.tensor([1.0, 2.0, 3.0])
    return linear, torch.arange(3) + torch.sin(x), x.data * 2, x.shape[0] * x


@pytest.mark.parametrize("mode", [LoggingFunctionMode, LoggingDispatchMode])
def test_a_mode_inside_the_program_is_called_as_ever_and_replays(mode: Any) -> None:
    def inside(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        before = torch.sin(x)
        with mode():
            results = program(x)
        return before, *results, torch.sin(x)

    (x,) = one()
    mode.calls.clear()
    expected = inside(x)
    log = list(mode.calls)
    mode.calls.clear()
    traced = opscope.trace(inside, x, warn=False)
    assert mode.calls == log
    for ours, theirs in zip(traced(x), expected, strict=True):
        assert_identical(ours, theirs)


@pytest.mark.parametrize("mode", [LoggingFunctionMode, LoggingDispatchMode])
def test_a_mode_around_the_trace_sees_the_program_and_nothing_else(mode: Any) -> None:
    for inputs in (one(), two()):
        with mode():
            mode.calls.clear()
            program(*inputs)
            log = list(mode.calls)
            mode.calls.clear()
            traced = opscope.trace(program, inputs, warn=False)
            assert mode.calls == log
            expected = program(*inputs)
            for ours, theirs in zip(tensors_of(traced(*inputs)), tensors_of(expected), strict=True):
                assert_identical(ours, theirs)


def test_modes_around_the_trace_that_are_set_aside_for_a_while_are_not_of_the_program() -> None:
    def inside(x: torch.Tensor) -> torch.Tensor:
        with _disable_current_modes():
            y = x + 1
        with LoggingDispatchMode():
            return y * 2

    with LoggingDispatchMode():
        traced = opscope.trace(inside, torch.ones(2))
    assert [node.kind for node in traced.graph.walk()] == [
        "aten::add.Tensor",
        "prim::enter_mode",
        "aten::mul.Tensor",
        "prim::exit_mode",
    ]
    assert traced(torch.ones(2)).tolist() == [4.0, 4.0]


def test_a_dispatch_mode_is_left_when_a_replay_fails() -> None:
    def inside(x: torch.Tensor) -> torch.Tensor:
        with LoggingDispatchMode():
            return torch.linalg.cholesky(x)

    traced = opscope.trace(inside, torch.eye(2), warn=False)
    with pytest.raises(torch.linalg.LinAlgError):
        traced(-torch.eye(2))
    LoggingDispatchMode.calls.clear()
    torch.ones(1)
    assert LoggingDispatchMode.calls == []


def test_a_device_context_is_in_the_graph() -> None:
    def inside(x: torch.Tensor) -> torch.Tensor:
        with torch.device("cpu"):
            return x + torch.ones(3)

    traced = check_exact(inside, one)
    with torch.device("meta"):
        assert traced(torch.zeros(2, 3, device="cpu")).device.type == "cpu"


def test_the_first_trace_of_a_process_may_run_under_a_mode() -> None:
    # Kernels are installed and probed once, with the modes of that moment set aside.
    from opscope.tracer.dispatch import dispatcher

    with LoggingDispatchMode(), LoggingFunctionMode(), torch.device("meta"):
        LoggingDispatchMode.calls.clear()
        LoggingFunctionMode.calls.clear()
        with dispatcher.plain_torch():
            assert torch.equal(torch.ones(2) * 2, torch.full((2,), 2.0))
            dispatcher._probe(dispatcher.kernels())
        assert LoggingDispatchMode.calls == LoggingFunctionMode.calls == []


@pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors")
@pytest.mark.filterwarnings("ignore:It is not recommended to create a MaskedTensor")
def test_masked_tensors() -> None:
    mask = torch.tensor([True, False, True])

    def made(x: torch.Tensor) -> torch.Tensor:
        return (torch.masked.masked_tensor(x, mask) * 2).get_data()

    check_exact(made, lambda: (torch.randn(3),))

    def given(t: Any) -> torch.Tensor:
        return (t + t).sum().get_data()  # type: ignore[no-any-return]

    check_exact(given, lambda: (torch.masked.masked_tensor(torch.randn(3), mask),))


def test_a_tensor_given_another_class_keeps_its_gradient() -> None:
    def program(x: torch.Tensor) -> Any:
        return (x.as_subclass(Plain) * 3).as_subclass(torch.Tensor)

    traced = opscope.trace(program, torch.ones(2))
    x = torch.ones(2, requires_grad=True)
    (gradient,) = torch.autograd.grad(traced(x).sum(), x)
    assert gradient.tolist() == [3.0, 3.0]
    assert not traced(torch.ones(2)).requires_grad


def test_sizes_of_another_class_are_held() -> None:
    def program(x: torch.Tensor) -> Any:
        other = x.as_subclass(Plain)
        return x * other.shape[0] + other.numel()

    traced = opscope.trace(program, torch.ones(2))
    assert torch.equal(traced(torch.ones(2)), torch.full((2,), 4.0).as_subclass(Plain))
    with pytest.raises(opscope.GuardError, match=r"size\(0\) == 2"):
        traced(torch.ones(3))
    unread = opscope.trace(lambda x: x.as_subclass(Plain)[1:] * 2, torch.ones(2))
    assert unread(torch.ones(5)).shape == (4,)
