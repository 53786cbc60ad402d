"""A backward pass knows its forward: its nodes have the scope and the line of what they differentiate."""

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import opscope
from opscope.ir import parse


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.fc(x))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = Layer()
        self.b = Layer()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x))


def trace(function: Any, *args: torch.Tensor) -> opscope.TracedProgram:
    return opscope.trace(function, args, warn=False)


def scopes(traced: opscope.TracedProgram, op: str) -> list[str]:
    return [node.scope.address for node in traced.graph.nodes(op=op)]


def lines(traced: opscope.TracedProgram, op: str) -> set[str]:
    found = set()
    for node in traced.graph.nodes(op=op):
        assert node.source is not None
        found.add(node.source.text.strip())
    return found


def test_a_backward_pass_stands_in_a_scope_that_mirrors_the_modules() -> None:
    net = Net()

    def step(x: torch.Tensor) -> None:
        net(x).sum().backward()

    traced = trace(step, torch.randn(2, 4))
    assert scopes(traced, "aten::tanh_backward") == [
        "backward<backward>/net.b",
        "backward<backward>/net.a",
    ]
    assert set(scopes(traced, "aten::mm")) == {
        "backward<backward>/net.b.fc/linear<operator>",
        "backward<backward>/net.a.fc/linear<operator>",
    }
    assert lines(traced, "aten::tanh_backward") == {"return torch.tanh(self.fc(x))"}
    # Gradients of parameters are collected where the module is that has them.
    assert set(scopes(traced, "aten::detach")) == {
        "backward<backward>/net.b.fc/linear<operator>",
        "backward<backward>/net.a.fc/linear<operator>",
    }
    assert lines(traced, "aten::detach") == {"net(x).sum().backward()"}
    assert str(parse(str(traced.graph))) == str(traced.graph)


def test_nodes_are_found_by_the_line_that_caused_them() -> None:
    net = Net()

    def step(x: torch.Tensor) -> None:
        net(x).sum().backward()

    traced = trace(step, torch.randn(2, 4))
    tanh = traced.graph.nodes(op="aten::tanh")[0]
    assert tanh.source is not None
    caused = traced.graph.nodes(caused_by=f"{tanh.source.file}:{tanh.source.line}")
    kinds = {node.kind for node in caused}
    assert {"aten::addmm", "aten::tanh", "aten::tanh_backward", "aten::mm"} <= kinds
    assert traced.graph.nodes(caused_by="elsewhere.py:*") == []
    # The whole program is called from this file.
    assert len(traced.graph.nodes(caused_by="test_causes.py")) == len(traced.graph.nodes())


def test_the_code_of_a_custom_function_keeps_its_own_lines_below_that_of_the_call() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
            (x,) = ctx.saved_tensors
            return gradients[0].div(0.5) * x

    class Apply(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = Square.apply(x)  # type: ignore[no-untyped-call]
            return result

    module = Apply()

    def step(x: torch.Tensor) -> None:
        loss = module(x).sum()
        loss.backward()

    traced = trace(step, torch.randn(3, requires_grad=True))
    (node,) = traced.graph.nodes(op="aten::div")
    assert node.scope.address == "backward<backward>/module/backward()"
    assert node.source is not None
    assert node.stack is not None
    assert node.source.text.strip() == "return gradients[0].div(0.5) * x"
    texts = [frame.range.text.strip() for frame in node.stack]
    assert any(text.startswith("result: torch.Tensor = Square.apply(x)") for text in texts)
    assert "loss.backward()" not in texts


def test_a_hook_stands_below_what_its_gradient_is_of() -> None:
    layer = Layer()

    def twice(gradient: torch.Tensor) -> torch.Tensor:
        return gradient.exp2()

    def step(x: torch.Tensor) -> None:
        y = layer(x)
        y.register_hook(twice)
        y.sum().backward()

    traced = trace(step, torch.randn(2, 4))
    assert scopes(traced, "aten::exp2") == ["backward<backward>/layer/twice()"]


def test_the_second_order_stands_below_the_first() -> None:
    layer = Layer()

    def step(x: torch.Tensor) -> None:
        (gradient,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
        gradient.pow(2).sum().backward()

    traced = trace(step, torch.randn(2, 4, requires_grad=True))
    assert scopes(traced, "aten::tanh_backward") == [
        "backward<backward>/layer",
        "backward<backward>#2/layer",
    ]
    second = "backward<backward>#2/backward<backward>/layer.fc/linear<operator>"
    assert second in scopes(traced, "aten::mm")


def test_what_a_checkpoint_computes_again_is_another_call() -> None:
    net = Net()

    def step(x: torch.Tensor) -> None:
        y: torch.Tensor = checkpoint(net.a, x, use_reentrant=False)  # type: ignore[no-untyped-call]
        y.sum().backward()

    traced = trace(step, torch.randn(2, 4, requires_grad=True))
    assert scopes(traced, "aten::addmm") == [
        "net.a.fc/linear<operator>",
        "backward<backward>/net.a#2.fc/linear<operator>",
    ]
    assert scopes(traced, "aten::tanh_backward") == ["backward<backward>/net.a"]


def test_the_steps_of_an_optimizer_have_a_scope() -> None:
    layer = Layer()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, foreach=False)

    def step(x: torch.Tensor) -> None:
        optimizer.zero_grad()
        layer(x).sum().backward()
        optimizer.step()

    traced = trace(step, torch.randn(2, 4))
    found = [str(node.scope) for node in traced.graph.nodes(op="aten::add_")]
    assert found == ["optimizer<optimizer> (SGD)"] * 2


def test_a_history_from_before_the_trace_has_no_forward() -> None:
    weight = torch.ones(3, requires_grad=True)
    before = weight.tanh()

    def step(x: torch.Tensor) -> None:
        (x * before).sum().backward()

    traced = trace(step, torch.randn(3))
    assert scopes(traced, "aten::tanh_backward") == ["backward<backward>"]


def test_a_module_that_is_called_by_two_ways_has_two_addresses() -> None:
    net = Net()

    def program(x: torch.Tensor) -> torch.Tensor:
        return net(x) + net.a(x)

    traced = trace(program, torch.randn(2, 4))
    assert scopes(traced, "aten::tanh") == ["net.a", "net.b", "net.a#2"]
    parsed = parse(str(traced.graph))
    assert [node.scope.depth for node in parsed.walk()] == [
        node.scope.depth for node in traced.graph.walk()
    ]
