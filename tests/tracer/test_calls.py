"""A traced program that another program calls is one function of its graph, each call one node."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.replays import check_replay, plain_text


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.fc2 = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(torch.relu(self.fc1(x)))


def test_called_twice_is_one_function_and_two_nodes() -> None:
    inner = opscope.trace(Mlp(), torch.randn(3, 4))
    traced = check_replay(lambda x: inner(inner(x) + 1), torch.randn(3, 4))
    assert plain_text(traced) == (
        "graph function(%x : f32[3, 4]) -> (f32[3, 4]{grad}):\n"
        "  state %inner.fc1.weight : f32[8, 4]{grad}, %inner.fc1.bias : f32[8]{grad},\n"
        "      %inner.fc2.weight : f32[4, 8]{grad}, %inner.fc2.bias : f32[4]{grad}\n"
        "  %0 : f32[3, 4]{grad} = prim::call(@Mlp, %x, %inner.fc1.weight, %inner.fc1.bias, "
        "%inner.fc2.weight, %inner.fc2.bias)\n"
        "  %1 : f32[3, 4]{grad} = aten::add.Tensor(%0, 1)\n"
        "  %2 : f32[3, 4]{grad} = prim::call(@Mlp, %1, %inner.fc1.weight, %inner.fc1.bias, "
        "%inner.fc2.weight, %inner.fc2.bias)\n"
        "  return (%2)\n"
        "\n"
        "function Mlp(%x : f32[3, 4], %fc1.weight : f32[8, 4]{grad}, %fc1.bias : f32[8]{grad},\n"
        "      %fc2.weight : f32[4, 8]{grad}, %fc2.bias : f32[4]{grad}) -> (f32[3, 4]{grad}):\n"
        "  %0 : f32[3, 8]{grad} = aten::linear(%x, %fc1.weight, %fc1.bias)\n"
        "  %1 : f32[3, 8]{grad} = aten::relu(%0)\n"
        "  %2 : f32[3, 4]{grad} = aten::linear(%1, %fc2.weight, %fc2.bias)\n"
        "  return (%2)"
    )
    assert [line for line in traced.code.splitlines() if line.startswith("def ")] == [
        "def Mlp(x, fc1_weight, fc1_bias, fc2_weight, fc2_bias):",
        "def function(x):",
    ]


def test_the_call_stands_in_the_users_line_and_scope() -> None:
    inner = opscope.trace(torch.relu, torch.randn(3))

    class Caller(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return inner(x)

    traced = opscope.trace(nn.Sequential(Caller()), torch.randn(3))
    (node,) = traced.graph.nodes(op="prim::call")
    assert node.source is not None
    assert "inner(x)" in node.source.underlined()
    assert node.scope.path == "0"
    assert node.modes == traced.graph.modes


def test_state_is_the_very_state_of_the_callee() -> None:
    model = Mlp()
    inner = opscope.trace(model, torch.randn(3, 4))

    class Around(nn.Module):
        """Has the model too, so its own name for it is the one that counts."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return inner(x) + self.model(x)

    traced = check_replay(Around(), torch.randn(3, 4))
    assert list(traced.graph.state) == [
        "model.fc1.weight",
        "model.fc1.bias",
        "model.fc2.weight",
        "model.fc2.bias",
    ]
    assert traced.state["model.fc1.weight"] is model.fc1.weight
    traced(torch.randn(3, 4)).sum().backward()
    assert model.fc1.weight.grad is not None
    with torch.no_grad():
        model.fc2.bias.add_(1)
    x = torch.randn(3, 4)
    assert torch.equal(traced(x), model(x) + model(x))


def test_a_program_kept_by_a_module_is_named_by_its_attribute() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = opscope.trace(nn.Linear(4, 4), torch.randn(3, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.encoder(x)

    traced = check_replay(Around(), torch.randn(3, 4))
    assert list(traced.graph.state) == ["encoder.weight", "encoder.bias"]


def test_calls_of_calls_are_hoisted() -> None:
    inner = opscope.trace(Mlp(), torch.randn(3, 4))
    middle = opscope.trace(lambda x: inner(x).sin(), torch.randn(3, 4))
    traced = check_replay(lambda x: middle(x) + inner(x), torch.randn(3, 4))
    assert list(traced.graph.functions) == ["Mlp", "function"]
    assert not any(function.functions for function in traced.graph.functions.values())
    assert len(traced.graph.state) == 4
    opscope.verify(traced.graph)


def test_structures_effects_and_modes() -> None:
    counter = torch.zeros(1)

    def program(batch: dict[str, torch.Tensor], scale: float) -> Any:
        counter.add_(1)
        batch["x"].mul_(scale)
        with torch.no_grad():
            hidden = batch["x"] * counter
        return {"pair": (batch["x"], hidden)}, torch.rand(2)

    def call(x: torch.Tensor) -> Any:
        result, noise = inner({"x": x}, 2.0)
        with torch.no_grad():
            again, _ = inner({"x": x + 1}, 2.0)
        return result["pair"][1] + noise, again, x

    inner = opscope.trace(program, ({"x": torch.ones(2)}, 2.0))
    counter.zero_()
    traced = opscope.trace(call, torch.ones(2))
    assert counter.item() == 2
    counter.zero_()
    torch.manual_seed(1)
    expected = call(given := torch.full((2,), 3.0))
    counter.zero_()
    torch.manual_seed(1)
    actual = traced(x := torch.full((2,), 3.0))
    assert torch.equal(actual[0], expected[0])
    assert torch.equal(actual[1]["pair"][0], expected[1]["pair"][0])
    assert torch.equal(x, given)
    assert counter.item() == 2
    assert actual[2] is x
    assert [node.modes.grad for node in traced.graph.nodes(op="prim::call")] == [True, False]


def test_inputs_of_the_callee_are_checked_while_tracing() -> None:
    inner = opscope.trace(torch.relu, torch.ones(3, dtype=torch.float64))
    with pytest.raises(opscope.InputError, match="dtype"):
        opscope.trace(lambda x: inner(x), torch.ones(3))
    assert not opscope.is_tracing()


def test_what_the_callee_could_not_record_is_told_again() -> None:
    def reads(x: torch.Tensor) -> torch.Tensor:
        return x * float(x.sum())

    inner = opscope.trace(reads, torch.ones(2), warn=False)
    traced = opscope.trace(lambda x: inner(inner(x)), torch.ones(2), warn=False)
    assert list(map(str, traced.diagnostics)) == list(map(str, inner.diagnostics))
    (diagnostic,) = traced.diagnostics
    assert list(diagnostic.nodes) == traced.graph.nodes(op="prim::call")
    with pytest.raises(opscope.CaptureError, match="data read"):
        opscope.trace(lambda x: inner(x), torch.ones(2), strict=True)


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, sizes: Any) -> torch.Tensor:
        ctx.save_for_backward(x)
        return (x**3).reshape(sizes)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient.reshape(-1) * ctx.saved_tensors[0] * 7, None


def test_objects_that_a_callee_keeps_are_passed_on() -> None:
    generator = torch.Generator()

    def program(x: torch.Tensor) -> torch.Tensor:
        return Cube.apply(x, (2, 1)) + torch.rand(2, 1, generator=generator)

    def run(function: Any) -> list[torch.Tensor]:
        generator.manual_seed(3)
        x = torch.tensor([2.0, 3.0], requires_grad=True)
        result = function(x)
        return [result, *torch.autograd.grad(result.sum(), x)]

    x = torch.ones(2, requires_grad=True)
    inner = opscope.trace(program, x)
    traced = opscope.trace(lambda x: inner(x) * 2, x)
    for one, other in zip(run(traced), run(lambda x: program(x) * 2), strict=True):
        assert torch.equal(one, other)
    opscope.verify(traced.graph)


def test_a_trace_inside_a_trace_records_the_same_call() -> None:
    inner = opscope.trace(Mlp(), torch.randn(3, 4))
    seen: list[opscope.TracedProgram] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        seen.append(opscope.trace(lambda y: inner(y), x))
        return x * 2

    outer = opscope.trace(program, torch.randn(3, 4))
    assert len(outer.graph.nodes(op="prim::call")) == 1
    assert len(seen[0].graph.nodes(op="prim::call")) == 1


def test_pictures_show_a_box_for_the_call() -> None:
    inner = opscope.trace(Mlp(), torch.randn(3, 4))
    traced = opscope.trace(lambda x: inner(x) + 1, torch.randn(3, 4))
    dot = opscope.to_dot(traced)
    assert "@Mlp" in dot
    assert "@Mlp · @Mlp" not in dot
    nodes = opscope.to_networkx(traced).nodes(data=True)
    operators = {name: data["op"] for name, data in nodes if "op" in data}
    assert operators == {
        "node0": "prim::call",
        "node1": "aten::add.Tensor",
        "function0.node0": "aten::linear",
        "function0.node1": "aten::relu",
        "function0.node2": "aten::linear",
    }


def test_calls_replay_at_other_sizes_where_the_callee_does() -> None:
    inner = opscope.trace(lambda x: x.reshape(x.shape[0] * x.shape[1]), torch.randn(3, 4))
    traced = check_replay(lambda x: inner(x + 1).view(-1, x.shape[1]), torch.randn(3, 4))
    x = torch.randn(5, 2)
    assert torch.equal(traced(x), x + 1)


def test_sizes_that_the_callee_has_fixed_are_guards_of_the_caller() -> None:
    inner = opscope.trace(
        lambda x: x.reshape(x.shape[0] * x.shape[1]), torch.randn(3, 4), dynamic=False
    )
    traced = check_replay(lambda x: inner(x) + 1, torch.randn(3, 4))
    with pytest.raises(opscope.GuardError, match=r"size\(0\) == 3"):
        traced(torch.randn(5, 2))
    named = opscope.trace(lambda x: x.sum(), torch.randn(3, 3), dynamic={"x": {0: "n", 1: "n"}})
    traced = check_replay(lambda x: named(x) + 1, torch.randn(3, 3))
    traced(torch.randn(4, 4))
    with pytest.raises(opscope.GuardError):
        traced(torch.randn(4, 5))


def test_guards_and_numbers_of_the_callee() -> None:
    def program(x: torch.Tensor) -> Any:
        return x * 2 if x.shape[0] > 2 else x, x.shape[0] * 3

    inner = opscope.trace(program, torch.randn(3, 4))

    def caller(x: torch.Tensor) -> torch.Tensor:
        result, count = inner(x)
        return result + torch.zeros(count, 1).sum()

    traced = check_replay(caller, torch.randn(3, 4))
    x = torch.randn(5, 4)
    assert torch.equal(traced(x), caller(x))
    with pytest.raises(opscope.GuardError):
        traced(torch.randn(2, 4))


def test_sizes_passed_to_a_callee_that_fixed_them_are_guards() -> None:
    inner = opscope.trace(
        lambda x, n, shape: x.reshape(n, -1) * len(shape),
        (torch.randn(3, 4), 3, torch.Size([3, 4])),
    )
    traced = check_replay(lambda x: inner(x, x.shape[0], x.shape), torch.randn(3, 4))
    with pytest.raises(opscope.GuardError, match=r"size\(0\) == 3"):
        traced(torch.randn(2, 4))
    with pytest.raises(opscope.InputError, match="n was 3"):
        opscope.trace(lambda x: inner(x, x.shape[0], x.shape), torch.randn(2, 4))
