"""Pauses: what runs inside is not recorded, and what of it matters to the trace is reported."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

import opscope
from support.replays import plain_text


def test_operators_in_a_pause_are_not_recorded() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        with opscope.paused():
            assert not opscope.is_tracing()
            assert opscope.get_tracing_state() is None
            assert y.mean().item() == 2.0
            repr(y * 3)
        assert opscope.is_tracing()
        return y * 2

    traced = opscope.trace(program, torch.ones(2), strict=True)
    assert plain_text(traced) == (
        "graph program(%x : f32[2]) -> (f32[2]):\n"
        "  %y : f32[2] = aten::add.Tensor(%x, 1)\n"
        "  %0 : f32[2] = aten::mul.Tensor(%y, 2)\n"
        "  return (%0)"
    )


def test_a_tensor_made_in_a_pause_is_reported_when_it_is_used() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            y = x + 1
        return x * y

    traced = opscope.trace(program, torch.ones(2), warn=False)
    assert plain_text(traced) == (
        "graph program(%x : f32[2]) -> (f32[2]):\n"
        "  constant %constant : f32[2]\n"
        "  %0 : f32[2] = aten::mul.Tensor(%x, %constant)\n"
        "  return (%0)"
    )
    (diagnostic,) = traced.diagnostics
    assert "made while the trace was paused is read at test_gaps.py:" in diagnostic.message
    assert diagnostic.source is not None
    assert diagnostic.source.text.strip() == "with opscope.paused():"


def test_a_tensor_made_in_a_pause_is_reported_when_it_is_returned() -> None:
    def program(x: torch.Tensor) -> dict[str, torch.Tensor]:
        with opscope.paused():
            return {"y": x + 1}

    with pytest.warns(opscope.TracerWarning, match=r"paused is returned as result\['y'\]"):
        opscope.trace(program, torch.ones(2))


def test_a_view_made_in_a_pause_is_a_view_still() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            row = x[1]
        return row * 2

    traced = opscope.trace(program, torch.ones(2, 2), strict=True)
    assert traced(torch.arange(4.0).view(2, 2)).tolist() == [4.0, 6.0]


buffer = torch.zeros(2)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(1),
        lambda x: x[0].fill_(3),
        lambda x: x.data.mul_(2),
        lambda x: torch.mul(torch.ones(2), 2, out=x),
        lambda x: torch._foreach_add_([x], 1),
        lambda x: buffer.add_(1),
    ],
)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_write_in_a_pause_is_reported(
    write: Callable[[torch.Tensor], Any], mode: Callable[[], Any]
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + buffer
        with opscope.paused():
            write(y)
        return y * 2

    with mode(), pytest.warns(opscope.TracerWarning, match="written while the trace was paused"):
        opscope.trace(program, torch.ones(2))


def test_a_strict_trace_does_not_go_on_after_such_a_write() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            x.add_(1)
        pytest.fail("the trace went on")
        return x

    with pytest.raises(opscope.CaptureError, match="x was written while the trace was paused"):
        opscope.trace(program, torch.ones(2), strict=True)
    assert not opscope.is_tracing()


def test_sizes_are_plain_numbers_in_a_pause() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows = x.shape[0]
        with opscope.paused():
            assert (torch.ones(rows) * rows).sum().item() == rows * rows
            assert torch.zeros(x.shape).add(x.shape[1]).shape == x.shape
        return x * rows

    traced = opscope.trace(program, torch.ones(2, 3), strict=True)
    assert [node.kind for node in traced.graph.walk() if node.kind.startswith("aten::mul")] == [
        "aten::mul.Tensor"
    ]


def test_pauses_nest_and_exceptions_end_them() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            with opscope.paused():
                torch.ones(1)
            assert not opscope.is_tracing()
            with pytest.raises(ValueError, match="stop"), opscope.paused():
                raise ValueError("stop")
            assert not opscope.is_tracing()
        with pytest.raises(KeyboardInterrupt), opscope.paused():
            raise KeyboardInterrupt
        return x + 1

    traced = opscope.trace(program, torch.ones(1), strict=True)
    assert [node.kind for node in traced.graph.walk()] == ["aten::add.Tensor"]


def test_a_pause_outside_a_trace_does_nothing() -> None:
    with opscope.paused():
        assert (torch.ones(1) + 1).item() == 2.0
    assert not opscope.is_tracing()


def test_a_pause_is_for_one_thread() -> None:
    paused, recorded = threading.Event(), threading.Event()
    results: list[opscope.TracedProgram] = []

    def other(x: torch.Tensor) -> torch.Tensor:
        assert paused.wait(30)
        assert opscope.is_tracing()
        y = x + 1
        recorded.set()
        return y

    thread = threading.Thread(target=lambda: results.append(opscope.trace(other, torch.ones(1))))
    thread.start()

    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            paused.set()
            assert recorded.wait(30)
        return x * 2

    traced = opscope.trace(program, torch.ones(1), strict=True)
    thread.join()
    assert [node.kind for node in traced.graph.walk()] == ["aten::mul.Tensor"]
    assert [node.kind for node in results[0].graph.walk()] == ["aten::add.Tensor"]


def test_a_trace_in_a_pause_records_its_own_program() -> None:
    inner: list[opscope.TracedProgram] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            inner.append(opscope.trace(lambda t: t * 3, torch.ones(2)))
        return x + 1

    traced = opscope.trace(program, torch.ones(1), strict=True)
    assert [node.kind for node in inner[0].graph.walk()] == ["aten::mul.Tensor"]
    assert [node.kind for node in traced.graph.walk()] == ["aten::add.Tensor"]


def test_a_pause_pauses_the_traces_around_it_too() -> None:
    def inner(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            y = x + 1
        return y * 2

    def outer(x: torch.Tensor) -> torch.Tensor:
        return opscope.trace(inner, x, warn=False)(x) + inner(x)

    traced = opscope.trace(outer, torch.ones(1), warn=False)
    kinds = [node.kind for node in traced.graph.walk()]
    assert kinds.count("aten::add.Tensor") == 1
    assert {d.kind.value for d in traced.diagnostics} == {"untracked tensor"}


def test_a_pause_by_set_tracing_state_that_nobody_ends_is_reported_too() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        opscope.set_tracing_state(None)
        x.add_(1)
        return x

    with pytest.warns(opscope.TracerWarning, match="x was written while the trace was paused"):
        opscope.trace(program, torch.ones(1))
    assert not opscope.is_tracing()


@pytest.mark.parametrize("draw", [lambda: torch.rand(2), lambda: torch.manual_seed(3)])
def test_random_numbers_of_a_pause_are_reported(draw: Callable[[], Any]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            draw()
        return x + torch.rand(2)

    with pytest.warns(opscope.TracerWarning, match="random numbers were drawn, or a seed was set"):
        opscope.trace(program, torch.ones(2))


def test_a_pause_decorates_a_function() -> None:
    @opscope.paused()
    def look(x: torch.Tensor) -> float:
        return (x * 2).sum().item()

    def program(x: torch.Tensor) -> torch.Tensor:
        assert look(x) == 4.0
        return x + 1

    traced = opscope.trace(program, torch.ones(2), strict=True)
    assert plain_text(traced).count("aten::") == 1


LINES: tuple[Callable[[torch.Tensor], Any], ...] = (
    lambda x: x.sum().item(),
    lambda x: float(x.mean() * 2),
    lambda x: 1 if x.sum() > 100 else 2,
    lambda x: 1 if torch.equal(x, x + 1) else 2,
    lambda x: x.tolist()[0],
    lambda x: float(x.numpy()[0]),
    lambda x: x.shape[0],
    lambda x: len(x),
)


@pytest.mark.parametrize("read", LINES)
def test_numbers_that_are_read_in_a_pause_are_listed(read: Callable[[torch.Tensor], Any]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            number = read(x)
        return x * number

    traced = opscope.trace(program, torch.ones(2), strict=True)
    (found,) = traced.diagnostics
    assert found.kind is opscope.DiagnosticKind.DATA_READ
    assert found.severity is opscope.Severity.INFO
    assert "while the trace was paused; where the program goes by it" in found.message
    assert found.source is not None
    assert "lambda x:" in found.source.text


def test_what_is_shown_in_a_pause_is_not_listed() -> None:
    model = torch.nn.Linear(2, 2)

    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            assert repr(x)
            assert f"{x.mean():.3f}" != str(x.mean())
            model(x)  # sizes that a model reads give tensors, which are told from others
        return x * 2

    assert not opscope.trace(program, torch.ones(2), strict=True).diagnostics
