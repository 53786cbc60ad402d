"""What a program asks of its surroundings, and goes by, must be at a replay as it was at the trace."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import opscope

X = torch.ones(4, 3)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        return self.drop(x)


def test_a_module_that_asked_whether_it_trains_must_still_do_so_or_not() -> None:
    model = Net().eval()
    traced = opscope.trace(model, X)
    assert [found.text for found in traced.circumstances] == [
        "norm.training is False, as for 1 more module"
    ]
    model.drop.train()
    with pytest.raises(
        opscope.GuardError, match=r"drop\.training is False there, and not now"
    ) as caught:
        traced(X)
    assert "x = self.norm(x)" in str(caught.value)
    model.eval()
    assert torch.equal(traced(X), model(X))


def test_a_module_that_did_not_ask_may_train_or_not() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    traced = opscope.trace(model, X)
    assert not traced.circumstances
    model.eval()
    assert torch.equal(traced(X), model(X))


def test_what_the_program_sets_or_makes_itself_is_its_own() -> None:
    drop = nn.Dropout(0.5)

    def program(x: torch.Tensor) -> torch.Tensor:
        drop.eval()
        y = nn.Dropout(0.0)(drop(x))
        drop.train()
        return y

    traced = opscope.trace(program, X)
    assert not traced.circumstances
    assert drop.training


@pytest.mark.parametrize("is_training", [True, False])
def test_modules_that_the_program_tells_to_train_are_left_as_it_leaves_them(
    is_training: bool,
) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).train(is_training)

    def step(x: torch.Tensor) -> torch.Tensor:
        model.train()
        y: torch.Tensor = model(x)
        model.eval()
        return y

    traced = opscope.trace(step, X, strict=True)
    model.train()
    traced(X)
    assert not any(module.training for module in model.modules())

    def alternate(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = traced(x)
        model[1].train()
        return y

    around = opscope.trace(alternate, X, strict=True)
    model.train()
    around(X)
    assert [module.training for module in model.modules()] == [False, False, True]


def test_what_a_program_sets_before_it_calls_a_traced_one_is_its_own() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))

    def backward(x: torch.Tensor) -> None:
        model(x).sum().backward()

    trains = opscope.trace(backward, X, depth="deep")
    model.zero_grad()
    evaluates = opscope.trace(model.eval(), X)

    def epoch(x: torch.Tensor) -> torch.Tensor:
        model.train()
        model.zero_grad()
        trains(x)
        model.eval()
        y: torch.Tensor = evaluates(x)
        return y

    traced = opscope.trace(epoch, X, strict=True)
    names = [circumstance.text for circumstance in traced.circumstances]
    assert not any("training" in name or ".grad is None" in name for name in names)
    for _ in range(2):
        torch.manual_seed(0)
        ours, gradient = traced(X), model[0].weight.grad
        torch.manual_seed(0)
        assert torch.equal(ours, epoch(X))
        assert model[0].weight.grad is not None
        assert gradient is not None
        assert torch.equal(gradient, model[0].weight.grad)


def test_functions_that_ask_for_the_grad_mode_are_replayed_in_it() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    x = torch.randn(2, 3, 4)
    traced = opscope.trace(layer, x)
    with (
        torch.no_grad(),
        pytest.raises(opscope.GuardError, match=r"torch\.is_grad_enabled\(\) is True there"),
    ):
        traced(x)  # the layer itself would take another way
    with torch.no_grad():
        fast = opscope.trace(layer, x)
        assert torch.equal(fast(x), layer(x))
    with pytest.raises(opscope.GuardError, match=r"torch\.is_grad_enabled\(\) is False there"):
        fast(x)


def test_contexts_optimizers_and_regions_of_the_program_ask_for_nothing() -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], 0.1)

    def program(x: torch.Tensor) -> torch.Tensor:
        weight.grad = torch.ones(3)
        optimizer.step()
        with torch.no_grad():
            y = x * 2 if torch.is_grad_enabled() else x * 3
        return y.detach()

    traced = opscope.trace(program, X, warn=False)
    (options,) = traced.circumstances
    assert options.text.startswith("optimizer.param_groups.0.")
    with torch.no_grad():
        traced(X)


def test_functions_that_ask_for_autocast_are_replayed_in_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            torch.is_autocast_enabled("cpu")  # known by itself
        low = torch.is_autocast_enabled("cpu")
        return x.to(torch.get_autocast_dtype("cpu")) if low else x

    traced = opscope.trace(program, X)
    assert [found.text for found in traced.circumstances] == [
        "torch.is_autocast_enabled('cpu') is False"
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with pytest.raises(
            opscope.GuardError, match=r"torch\.is_autocast_enabled\(.cpu.\) is False"
        ):
            traced(X)
        low = opscope.trace(program, X)
        assert low(X).dtype == torch.bfloat16
    with (
        torch.autocast("cpu", dtype=torch.float16),
        pytest.raises(opscope.GuardError, match=r"is torch\.bfloat16 there"),
    ):
        low(X)


def test_a_program_depends_on_what_those_that_it_calls_depend_on() -> None:
    drop = nn.Dropout(0.5).eval()
    inner = opscope.trace(drop, X)
    outer = opscope.trace(lambda x: inner(x) + 1, X)
    drop.train()
    with pytest.raises(opscope.GuardError, match=r"Dropout\.training is False there"):
        outer(X)


def test_scripted_modules_and_functions_of_modules_go_on_as_ever() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))).eval()

    def program(x: torch.Tensor) -> torch.Tensor:
        made = torch.jit.script(nn.Dropout(0.5))
        assert made.training
        made.training = False
        return made(F.dropout(scripted(x), training=scripted.training))

    assert torch.equal(opscope.trace(program, X, warn=False)(X), program(X))


def test_nothing_stays_in_torch() -> None:
    asks = torch.is_grad_enabled
    opscope.trace(Net().eval(), X)
    assert torch.is_grad_enabled is asks
    assert "training" not in vars(nn.Module)
