"""What ran of a program that failed while it was traced."""

import gc
import weakref
from pathlib import Path

import pytest
import torch

import opscope
from opscope.exploring import exhibit_of


class Mismatched(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 8, bias=False)
        self.second = torch.nn.Linear(9, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x).relu()
        out: torch.Tensor = self.second(hidden)
        return out


def failed(program: object, *args: torch.Tensor, depth: str | None = None) -> opscope.FailedTrace:
    with pytest.raises(Exception, match=r"\w") as caught:
        opscope.trace(program, args, depth=depth)  # type: ignore[arg-type]
    found = opscope.failed_trace(caught.value)
    assert found is not None
    return found


def statements(trace: opscope.FailedTrace) -> list[str]:
    lines = str(trace.graph).splitlines()
    return [line.split("  #")[0].strip() for line in lines if "::" in line]


def test_the_operator_that_failed_stands_last_and_gives_nothing() -> None:
    trace = failed(Mismatched().eval(), torch.randn(1, 4))
    assert statements(trace) == [
        "%0 : f32[1, 8]{grad} = aten::linear(%x, %first.weight)",
        "%hidden : f32[1, 8]{grad} = aten::relu(%0)",
        "aten::linear(%hidden, %second.weight)",
    ]
    assert trace.failed_node is list(trace.graph.walk())[-1]
    assert trace.failure.startswith("RuntimeError: ")
    assert "mat1 and mat2 shapes cannot be multiplied" in trace.failure
    assert trace.failed_source is not None
    assert trace.failed_source.text.strip() == "out: torch.Tensor = self.second(hidden)"


def test_a_deep_trace_has_what_the_operator_called_before_it_failed() -> None:
    trace = failed(Mismatched().eval(), torch.randn(1, 4), depth="deep")
    assert statements(trace)[-2:] == [
        "%4 : f32[9, 2]{strides=[1, 9], grad} = aten::t(%second.weight)",
        "aten::mm(%hidden, %4)",
    ]
    assert trace.failed_node is list(trace.graph.walk())[-1]


def test_a_program_that_fails_between_operators_has_no_operator_that_failed() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        raise KeyError("no such layer")
        return y

    trace = failed(program, torch.ones(2))
    assert statements(trace) == ["%y : f32[2] = aten::add.Tensor(%x, 1)"]
    assert trace.failed_node is None
    assert trace.failure == "KeyError: 'no such layer'"
    assert trace.failed_source is not None
    assert trace.failed_source.text.strip() == 'raise KeyError("no such layer")'


def test_an_operator_whose_error_the_program_handles_is_not_in_the_graph() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        try:
            return x @ torch.ones(3)
        except RuntimeError:
            return x * 2

    traced = opscope.trace(program, (torch.ones(2),))
    assert [node.kind for node in traced.graph.walk()] == ["aten::ones", "aten::mul.Tensor"]
    opscope.verify(traced.graph)
    assert torch.equal(traced(torch.ones(2)), torch.full((2,), 2.0))


def test_of_several_failures_only_the_one_that_ended_the_program_is_shown() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        try:
            x @ torch.ones(3)
        except RuntimeError:
            pass
        return x.view(7)

    kinds = [node.kind for node in failed(program, torch.ones(2)).graph.walk()]
    assert kinds == ["aten::ones", "aten::view"]


def test_the_cause_of_an_error_leads_to_what_ran() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        try:
            return x.view(7)
        except RuntimeError as error:
            raise ValueError("bad batch") from error

    trace = failed(program, torch.ones(2))
    assert trace.failure == "ValueError: bad batch"
    assert trace.failed_node is not None
    assert trace.failed_node.kind == "aten::view"


def test_a_failure_while_another_is_handled_keeps_its_own_run() -> None:
    try:
        opscope.trace(lambda x: x.view(7), (torch.ones(2),))
    except RuntimeError:
        second = failed(lambda x: x.exp().reshape(5), torch.ones(2))
    assert [node.kind for node in second.graph.walk()] == ["aten::exp", "aten::reshape"]


def test_an_error_outside_any_trace_has_no_run() -> None:
    assert opscope.failed_trace(RuntimeError("elsewhere")) is None


def test_an_error_that_was_handled_keeps_no_tensor_alive() -> None:
    kept: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        def attempt() -> None:
            big = torch.ones(3)
            kept.append(weakref.ref(big))
            x @ big

        try:
            attempt()
        except RuntimeError:
            pass
        gc.collect()
        alive.append(kept[0]() is not None)
        return x + 1

    opscope.trace(program, (torch.ones(2),))
    assert alive == [False]


def test_a_failed_trace_is_saved_shown_and_searched(tmp_path: Path) -> None:
    trace = failed(Mismatched().eval(), torch.randn(1, 4))
    assert repr(trace).startswith("<FailedTrace Mismatched: 3 nodes, then RuntimeError")
    assert "cannot be multiplied" not in trace.save(tmp_path / "net.svg").read_text()
    page = trace.save(tmp_path / "net.html").read_text()
    assert page.startswith("<!doctype html>")
    with pytest.raises(opscope.FormatError, match="failed while it was traced"):
        trace.save(tmp_path / "net.opscope")
    loaded = opscope.load(opscope.save(trace.graph, tmp_path / "net.opscope"))
    assert str(loaded.graph) == str(trace.graph)


def test_what_is_no_error_is_refused() -> None:
    with pytest.raises(TypeError, match="an error that was raised is needed, not str"):
        opscope.failed_trace("text")  # type: ignore[arg-type]


def test_an_operator_that_failed_costs_nothing() -> None:
    trace = failed(Mismatched().eval(), torch.randn(1, 4))
    flops = exhibit_of(trace).measures[0]
    assert [node.kind for node in flops.numbers] == ["aten::linear"]
    assert trace.failed_node not in flops.numbers
