"""A graph that runs node by node gives what the compiled graph gives, and halts where it is told to."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import opscope
from opscope.ir import Node, TupleType
from opscope.program.operators import operator_named
from opscope.runtime import GraphRun, compile_steps
from support.exactness import assert_identical


class Everywhere:
    """Every node."""

    def __contains__(self, node: object) -> bool:
        return node is not None


def stepped(program: opscope.TracedProgram, *args: Any) -> Any:
    """Call a program, with a halt before every node."""
    run, finish = program.stepped_run(args, {})
    while run.node is not None:
        run.advance(Everywhere())
    return finish(run.results())


def written_in_place(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    half = y[:2]
    half.add_(1)
    y.relu_()
    return y.view(-1) + half.sum()


def branches(x: torch.Tensor) -> Any:
    shift = x.mean()
    y = torch.cond(x.sum() > 0, lambda x: x.sin() + shift, lambda x: x.cos() - shift, (x,))
    return torch.func.vmap(torch.exp)(y)


def random(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.dropout(x, 0.5) + torch.rand_like(x)


def without_gradients(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        y = x.exp()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = y @ y
    with torch.inference_mode():
        w = z.float().neg()
    return (x * y).sum() + w.sum()


def complex_parts(x: torch.Tensor) -> torch.Tensor:
    a, b = torch.fft.fft(x).split(2)
    return torch.stack([a.conj(), b]).abs()


@pytest.mark.parametrize(
    "function", [written_in_place, branches, random, without_gradients, complex_parts]
)
def test_every_bit_is_that_of_eager_and_of_the_compiled_graph(
    function: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    x = torch.randn(4, 4, requires_grad=function in (random, without_gradients))
    traced = opscope.trace(function, x)
    torch.manual_seed(3)
    expected = function(x)
    torch.manual_seed(3)
    compiled = traced(x)
    torch.manual_seed(3)
    actual = stepped(traced, x)
    after = torch.rand(1)
    torch.manual_seed(3)
    traced(x)
    assert torch.equal(torch.rand(1), after)
    assert_identical(compiled, expected)
    assert_identical(actual, expected)


def training() -> tuple[nn.Module, Callable[[torch.Tensor], Any]]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.3)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def step(x: torch.Tensor) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return model, step


def test_a_training_step_trains_as_the_program_does() -> None:
    x = torch.randn(5, 4)
    model, step = training()
    twin, eager = training()
    for each in (step, eager):
        torch.manual_seed(1)
        each(x)  # makes the state of the optimizer
    torch.manual_seed(1)
    traced = opscope.trace(step, x)
    torch.manual_seed(1)
    eager(x)
    for _ in range(3):
        torch.manual_seed(1)
        actual = stepped(traced, x)
        torch.manual_seed(1)
        assert_identical(actual, eager(x))
    for (name, ours), theirs in zip(
        model.state_dict().items(), twin.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name


def test_a_functional_program_writes_to_its_arguments() -> None:
    def write(x: torch.Tensor) -> torch.Tensor:
        x.mul_(3)
        return x + 1

    traced = opscope.trace(write, torch.ones(2), force_outplace=True)
    x = torch.ones(2)
    assert torch.equal(stepped(traced, x), torch.full((2,), 4.0))
    assert torch.equal(x, torch.full((2,), 3.0))


def test_gradients_through_a_halted_autocast_region_are_those_of_one_that_is_not() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.weight = nn.Parameter(torch.randn(16, 16))

        def forward(self, x: torch.Tensor) -> Any:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return ((x @ self.weight) @ self.weight).float().sum()

    model, x = Twice(), torch.randn(16, 16)
    traced = opscope.trace(model, x)
    gradients = []
    for run in (lambda: model(x), lambda: traced(x), lambda: stepped(traced, x)):
        model.weight.grad = None
        run().backward()
        assert model.weight.grad is not None
        gradients.append(model.weight.grad)
    assert torch.equal(gradients[1], gradients[0])
    assert torch.equal(gradients[2], gradients[0])


def test_a_run_that_is_given_up_inside_autocast_leaves_no_region_open() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return (x @ x) @ x

    x = torch.randn(2, 2)
    traced = opscope.trace(program, x)
    run, _ = traced.stepped_run((x,), {})
    run.advance(Everywhere())
    assert torch.autocast_increment_nesting() == 2  # that of the run, and this one
    torch.autocast_decrement_nesting()
    run.close()
    assert torch.autocast_increment_nesting() == 1
    torch.autocast_decrement_nesting()


class _Scaling(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        return result * 2 if func is torch.ops.aten.exp.default else result


def test_modes_of_the_program_are_not_in_force_where_it_halts() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), _Scaling():
            y = x.exp()
            z = y.neg()
        return x * z

    x = torch.randn(3, requires_grad=True)
    traced = opscope.trace(program, x)
    run, finish = traced.stepped_run((x,), {})
    seen = []
    while run.node is not None:
        run.advance(Everywhere())
        assert torch.is_grad_enabled()
        seen.append(torch.equal(torch.zeros(1).exp(), torch.ones(1)))
    assert all(seen)
    assert len(seen) > 3
    assert_identical(finish(run.results()), program(x))


def test_values_go_after_their_last_use() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x.exp().neg().sin().sum()

    traced = opscope.trace(program, torch.ones(4))
    alive: list[weakref.ref[torch.Tensor]] = []
    counts = []

    class Watching:
        def begin(self, values: Any) -> None:
            pass

        def before(self, node: Node) -> None:
            counts.append(sum(reference() is not None for reference in alive))

        def after(self, node: Node, values: Any) -> None:
            alive.append(weakref.ref(values[node.output]))

    watched = compile_steps(traced.graph, traced.state).watched(Watching())
    watched.function(torch.ones(4))
    assert counts == [0, 1, 1, 1]


def test_a_graph_and_its_state_go_when_nobody_holds_them() -> None:
    inner = opscope.trace(lambda x: x * 2, torch.ones(2))
    traced = opscope.trace(lambda x: inner(x) + inner(x), torch.ones(2))
    held = torch.ones(3)
    traced.state["kept"] = held
    steps = compile_steps(traced.graph, traced.state)
    function = weakref.ref(steps.steps[0].function)
    run = GraphRun(steps, (torch.ones(2),))
    run.advance()
    assert torch.equal(run.results()[0], torch.full((2,), 4.0))
    del run, steps
    assert function() is None


def test_a_guard_ends_a_run_with_the_line_that_made_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.shape[0] > 2 else x - 1

    traced = opscope.trace(program, torch.ones(4))
    with pytest.raises(opscope.GuardError, match=r"return x \+ 1 if"):
        stepped(traced, torch.ones(2))


def test_a_list_of_another_length_ends_a_run() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        first, second = x.split(2)
        return first + second

    traced = opscope.trace(program, torch.ones(4))
    with pytest.raises(opscope.GuardError) as compiled:
        traced(torch.ones(6))
    with pytest.raises(opscope.GuardError) as halting:
        stepped(traced, torch.ones(6))
    assert str(halting.value) == str(compiled.value)


def test_tuples_that_a_graph_bundles_are_taken_apart() -> None:
    traced = opscope.trace(lambda x: (x + 1, x - 1), torch.ones(2))
    graph = traced.graph
    bundle = graph.append(
        operator_named("prim::TupleConstruct"),
        graph.outputs,
        [TupleType(tuple(value.type for value in graph.outputs))],
    )
    graph.set_outputs(bundle.outputs)
    assert [each.tolist() for each in stepped(traced, torch.ones(2))] == [[2.0, 2.0], [0.0, 0.0]]
