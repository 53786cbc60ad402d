"""A training step traced without computing is the one that runs, and leaves nothing behind."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import opscope


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradients[0]


class Network(nn.Module):
    """What keeps masks, statistics and results for its backward, in place and in a function of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 12)
        self.norm = nn.BatchNorm1d(12)
        self.inner = nn.Sequential(nn.Linear(12, 12), nn.SiLU(), nn.Dropout(0.3))
        self.last = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = F.silu(self.norm(self.first(x)), inplace=True)
        hidden = hidden + cast(torch.Tensor, checkpoint(self.inner, hidden, use_reentrant=False))
        logits: torch.Tensor = self.last(cast(Any, Square).apply(hidden))
        return logits


def clip(network: nn.Module) -> None:
    nn.utils.clip_grad_norm_(network.parameters(), 0.5)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9),
    "SGD, fused": lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9, fused=True),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, 0.01),
    "AdamW, foreach": lambda parameters: torch.optim.AdamW(parameters, 0.01, foreach=True),
    "AdamW, fused": lambda parameters: torch.optim.AdamW(parameters, 0.01, fused=True),
    "Adam, rate as a tensor": lambda parameters: torch.optim.Adam(parameters, torch.tensor(0.01)),
}


class Training:
    """A network, its optimizer, a schedule, and a step; the same for each object that is made."""

    def __init__(self, optimizer: str) -> None:
        torch.manual_seed(0)
        self.network = Network()
        self.optimizer = OPTIMIZERS[optimizer](self.network.parameters())
        is_number = isinstance(self.optimizer.param_groups[0]["lr"], float)
        self.schedule = (
            torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.9) if is_number else None
        )
        self.step(*batch(0))

    def step(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.network(x), target)
        loss.backward()
        clip(self.network)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return loss.detach()

    def contents(self) -> Iterator[torch.Tensor]:
        """Yield all that a step changes."""
        yield from self.network.parameters()
        yield from self.network.buffers()
        yield from (cast(torch.Tensor, p.grad) for p in self.network.parameters())
        for state in self.optimizer.state.values():
            yield from state.values()
        yield from (torch.as_tensor(group["lr"]) for group in self.optimizer.param_groups)


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 8, generator=generator), torch.randint(4, (6,), generator=generator)


def assert_same(one: Training, other: Training) -> None:
    for ours, theirs in zip(one.contents(), other.contents(), strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_replays_bit_for_bit_on_real_tensors(optimizer: str) -> None:
    traced_one, eager = Training(optimizer), Training(optimizer)
    traced = opscope.trace(traced_one.step, batch(1), fake=True, depth="deep")
    opscope.verify(traced.graph)
    assert traced.diagnostics == ()
    for seed in range(2, 6):
        torch.manual_seed(seed)
        expected = eager.step(*batch(seed))
        torch.manual_seed(seed)
        assert torch.equal(traced(*batch(seed)), expected)
        assert_same(traced_one, eager)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_graph_is_that_of_a_real_step(optimizer: str) -> None:
    one, other = Training(optimizer), Training(optimizer)

    def text(training: Training, fake: bool) -> str:
        traced = opscope.trace(training.step, batch(1), fake=fake, depth="deep")
        # Autograd adds up the gradients of what is used twice in place, where tensors are its own.
        return str(traced.graph).replace("aten::add_.Tensor", "aten::add.Tensor ")

    assert "_foreach" in text(one, fake=True)  # of the gradients' norms, at least
    with torch.random.fork_rng():
        expected = text(other, fake=False)
    found = text(one, fake=True)
    ours, theirs = ([line.split("  #")[0] for line in t.splitlines()] for t in (found, expected))
    assert [kinds(line) for line in ours if kept(line)] == [
        kinds(line) for line in theirs if kept(line)
    ]


def kept(line: str) -> bool:
    """Whether a line is of what the program calls; a checkpoint finds weights in other ways."""
    return "=" in line and "aten::detach" not in line and "aten::permute" not in line


def kinds(line: str) -> str:
    """Return a node's results and operator, without the names of values."""
    results, _, call = line.partition(" = ")
    types = [part.partition(" : ")[2] for part in results.split("%")]
    return f"{types} {call.partition('(')[0].strip()}"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nothing_is_left_of_the_run(optimizer: str) -> None:
    training, untouched = Training(optimizer), Training(optimizer)
    parameters = list(training.network.parameters())
    held = (training.optimizer.state, training.optimizer.param_groups)
    gradients = [parameter.grad for parameter in parameters]
    random = torch.get_rng_state()

    def fails(*inputs: torch.Tensor) -> None:
        training.step(*inputs)
        raise ValueError("after the step")

    opscope.trace(training.step, batch(1), fake=True, depth="deep")
    with pytest.raises(ValueError, match="after the step"):
        opscope.trace(fails, batch(1), fake=True, depth="deep")
    assert_same(training, untouched)
    assert torch.equal(torch.get_rng_state(), random)
    assert held[0] is training.optimizer.state
    assert held[1] is training.optimizer.param_groups
    assert all(a is b for a, b in zip(training.optimizer.state, parameters, strict=True))
    assert all(a is b for a, b in zip(held[1][0]["params"], parameters, strict=True))
    assert all(p.grad is g for p, g in zip(parameters, gradients, strict=True))
    if training.schedule is not None and untouched.schedule is not None:
        assert training.schedule.state_dict() == untouched.schedule.state_dict()


def test_a_replay_is_held_to_what_the_run_found() -> None:
    linear = nn.Linear(3, 3)

    def program(x: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = linear(x).sum()
        loss.backward()
        return loss.detach()

    traced = opscope.trace(program, torch.ones(2, 3), fake=True, depth="deep")
    traced(torch.ones(2, 3))
    with pytest.raises(opscope.GuardError, match=r"linear.weight.grad is None"):
        traced(torch.ones(2, 3))
    linear.zero_grad()
    linear.bias.requires_grad_(False)
    with pytest.raises(opscope.GuardError, match=r"linear.bias.requires_grad is True"):
        traced(torch.ones(2, 3))


def test_a_rate_that_is_a_tensor_of_another_type_is_refused() -> None:
    training = Training("Adam, rate as a tensor")
    traced = opscope.trace(training.step, batch(1), fake=True, depth="deep")
    training.optimizer.param_groups[0]["lr"] = torch.tensor(0.01, dtype=torch.float64)
    with pytest.raises(opscope.GuardError, match=r"lr was f32\[\] there, and is f64\[\] now"):
        traced(*batch(1))


def test_a_model_and_its_optimizer_may_be_arguments() -> None:
    network = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)

    def step(
        model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    step(network, optimizer, *batch(0))
    before = copy.deepcopy(network.state_dict())
    fake = opscope.trace(step, (network, optimizer, *batch(1)), fake=True, depth="deep")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    real = opscope.trace(step, (network, optimizer, *batch(1)), depth="deep")
    assert str(fake.graph) == str(real.graph)


def test_an_optimizer_that_no_name_leads_to_is_found_at_its_step() -> None:
    linear = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(linear.parameters(), 0.1, momentum=0.9)
    find = weakref.ref(optimizer)
    before = linear.weight.detach().clone()

    def step(x: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = linear(x).sum()
        loss.backward()
        cast(Any, find()).step()
        return loss.detach()

    step(torch.ones(2, 3))
    after = linear.weight.detach().clone()
    assert not torch.equal(after, before)
    traced = opscope.trace(step, torch.ones(2, 3), fake=True, depth="deep", warn=False)
    assert torch.equal(linear.weight, after)
    assert traced.state["linear.weight"] is linear.weight
    buffer = optimizer.state[linear.weight]["momentum_buffer"]
    assert traced.state["SGD.state.linear.weight.momentum_buffer"].read() is buffer


def test_state_that_the_first_step_makes_is_let_go_of() -> None:
    linear = nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(linear.parameters())

    def step(x: torch.Tensor) -> None:
        linear(x).sum().backward()
        optimizer.step()

    traced = opscope.trace(step, torch.ones(2, 3), fake=True, depth="deep")
    assert not optimizer.state
    traced(torch.ones(2, 3))  # makes it for the optimizer itself
    assert list(optimizer.state) == list(linear.parameters())
    assert type(optimizer.state[linear.weight]["exp_avg"]) is torch.Tensor
    optimizer.zero_grad()
    with pytest.raises(opscope.GuardError, match=r"no entry for linear\.weight"):
        traced(torch.ones(2, 3))


def test_a_graph_that_reads_what_was_not_computed_is_not_replayed() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))

    def program(x: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = network(x).sum()
        loss.backward()
        return loss.detach()

    with pytest.warns(opscope.TracerWarning, match="without data: no replay on real"):
        traced = opscope.trace(program, torch.ones(2, 3), fake=True, depth="flat")
    with pytest.raises(opscope.GuardError, match="no data was computed for %constant"):
        traced(torch.ones(2, 3))


def test_a_model_that_no_machine_holds_takes_a_step() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Linear(1 << 20, 1 << 20), nn.ReLU(), nn.Linear(1 << 20, 4))
    optimizer = torch.optim.AdamW(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.empty_like(parameter)
    optimizer.step()

    def step(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    inputs = torch.zeros(2, 1 << 20), torch.zeros(2, dtype=torch.long)
    traced = opscope.trace(step, inputs, fake=True, depth="deep")
    assert traced.diagnostics == ()
    assert traced.parameter_count > 1 << 40
    assert traced.state["optimizer.state.network.0.weight.exp_avg"].read().is_meta
