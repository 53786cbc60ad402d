"""Callees that are not plain Python: scripted, traced, frozen, forked and compiled functions."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.gradients import check_gradients, run
from support.replays import check_replay

pytestmark = [
    # Torch warns that TorchScript and what belongs to it are old.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
]

torch.manual_seed(3)
WEIGHT = torch.randn(3, 3).requires_grad_()
ONE, OTHER = torch.rand(3, 3) + 0.1, -torch.rand(3, 3)


def check(program: Callable[..., Any], module: nn.Module | None = None) -> opscope.TracedProgram:
    """Check a program on two inputs, with and without gradients.

    It runs some times before: TorchScript's gradients change in their last bits as it optimizes.
    """
    leaves = [WEIGHT, *(module.parameters() if module is not None else ())]
    buffers = list(module.buffers()) if module is not None else []
    needs_grad = [m.clone().requires_grad_() for m in (ONE, OTHER)]
    for _ in range(4):
        for m in (ONE, OTHER, *needs_grad):
            run(program, (m,), leaves, buffers)
    check_gradients(program, *((m,) for m in needs_grad), leaves=leaves, buffers=buffers)
    return check_gradients(program, (ONE,), (OTHER,), leaves=leaves, buffers=buffers)


def scripted(function: Any) -> Any:
    return torch.jit.script(function)


def choosing(x: torch.Tensor) -> torch.Tensor:
    if bool(x.sum() > 0):
        return x.sin()
    return x.cos()


def looping(x: torch.Tensor) -> torch.Tensor:
    for i in range(int(x.sum().abs())):
        x = x + i
    return x


def writing(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[0] = 2
    return y.mul_(3)


def joining(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x @ w).sum()


def forking(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    future = torch.jit.fork(joining, x, w)
    return x.sin() + torch.jit.wait(future)


class Drawing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.norm(self.linear(x)))


def test_scripted_functions_choose_and_loop_by_their_data_at_every_replay() -> None:
    for function in (choosing, looping, writing):
        callee = scripted(function)
        traced = check(lambda x, callee=callee: callee(x) * 2)
        assert [node.kind for node in traced.graph.walk()] == [
            "torchscript::call",
            "aten::mul.Tensor",
        ]


def test_scripted_functions_give_the_gradients_that_torchscript_makes() -> None:
    callee = scripted(joining)
    check(lambda x: callee(x, WEIGHT))


def test_scripted_modules_keep_their_buffers_and_random_numbers() -> None:
    module = scripted(Drawing())
    check(lambda x: module(x), module)
    check(module, module)
    fresh = scripted(Drawing())
    check_gradients(fresh, (ONE,), leaves=list(fresh.parameters()), buffers=list(fresh.buffers()))


def test_straight_scripted_code_without_gradients_is_recorded_operator_by_operator() -> None:
    module = scripted(nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
    with torch.no_grad():
        traced = check_replay(module, ONE)
    assert [node.kind for node in traced.graph.walk()] == ["aten::linear", "aten::relu"]
    traced = check_replay(module, ONE)
    assert [node.kind for node in traced.graph.walk()] == ["torchscript::call"]


def test_traced_frozen_and_optimized_modules() -> None:
    module = torch.jit.trace(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), ONE)
    check(lambda x: module(x), module)
    function = torch.jit.trace(lambda x: x.sin() * 2, ONE)
    check(lambda x: function(x))
    frozen = torch.jit.freeze(scripted(Drawing().eval()))
    check(lambda x: frozen(x))
    optimized = torch.jit.optimize_for_inference(scripted(Drawing().eval()))
    check(lambda x: optimized(x))


def structured(
    batch: dict[str, list[torch.Tensor]], pair: tuple[torch.Tensor, int], flag: bool = False
) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    total = batch["x"][0] * pair[1] + pair[0]
    return [total, total.sin()], {"y": total if flag else -total}


def test_containers_go_into_scripted_functions_and_come_out() -> None:
    callee = scripted(structured)
    check(lambda x: callee({"x": [x, x]}, (x + 1, 3), flag=True))


def test_numbers_that_a_scripted_function_gives_are_numbers_of_the_graph() -> None:
    @torch.jit.script
    def counting(x: torch.Tensor, add: int) -> int:
        return int(x.sum()) + add

    def program(x: torch.Tensor) -> torch.Tensor:
        return x * counting(x, x.shape[0])

    traced = check_replay(program, ONE)
    for x in (OTHER * 7, torch.ones(5, 3)):
        assert torch.equal(traced(x), program(x))


def test_forks() -> None:
    callee, joined = scripted(forking), scripted(joining)

    def program(x: torch.Tensor) -> torch.Tensor:
        plain = torch.jit.fork(lambda a: (a @ WEIGHT).relu() + torch.rand(3, 3), x)
        future = torch.jit.fork(joined, x, WEIGHT)
        return torch.jit.wait(plain) + x.sin() + torch.jit.wait(future)

    check(lambda x: callee(x, WEIGHT))
    check(program)


@pytest.fixture
def _fresh_dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_fresh_dynamo")
def test_compiled_callees_are_recorded_as_the_python_they_were_made_from() -> None:
    function = torch.compile(lambda x: (x @ WEIGHT).sin() + 1, backend="eager")
    warm = torch.compile(lambda x: (x @ WEIGHT).cos() + 1, backend="aot_eager")
    warm(ONE)
    module = nn.Linear(3, 3)
    module.compile(backend="eager")
    wrapped = torch.compile(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), backend="eager")
    check(lambda x: function(x))
    check(lambda x: warm(x))
    check(lambda x: module(x), module)
    traced = check(lambda x: wrapped(x), wrapped)
    assert [node.kind for node in traced.graph.walk()] == ["aten::linear", "aten::relu"]


def test_a_scripted_function_in_a_transform_or_a_branch() -> None:
    callee = scripted(joining)

    def program(x: torch.Tensor) -> Any:
        return (
            torch.func.grad(lambda t: callee(t, WEIGHT))(x),
            torch.cond(x.sum() > 0, lambda t: t.sin(), lambda t: t.cos(), (x,)),
        )

    check_replay(program, ONE)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_a_scripted_callee_that_returns_none_at_times_is_guarded() -> None:
    @torch.jit.script
    def parts(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if x.sum() > 0:
            return x, None
        return x, x + 1

    def program(x: torch.Tensor) -> torch.Tensor:
        first, second = parts(x)
        return first if second is None else second

    traced = opscope.trace(program, torch.ones(2))
    assert [guard.text for guard in traced.guards] == ["second is None"]
    assert torch.equal(traced(torch.ones(2)), torch.ones(2))
    with pytest.raises(opscope.GuardError, match="second is None does not hold"):
        traced(-torch.ones(2))
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)


def test_a_scripted_callee_that_returns_other_keys_is_refused() -> None:
    def named(x: torch.Tensor) -> dict[str, torch.Tensor]:
        if x.sum() > 0:
            return {"up": x}
        return {"down": x + 1}

    traced = opscope.trace(scripted(named), torch.ones(2))
    assert list(traced(torch.ones(2))) == ["up"]
    with pytest.raises(opscope.GuardError, match="named returns a dictionary with other keys"):
        traced(-torch.ones(2))
