"""The depth of a trace, chosen by itself: flat until a backward pass runs, and deep from then on."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import opscope
from opscope.ir.composites import noted_composites
from support.random_writes import Program, programs
from support.replays import plain_text, tensors_of

Batch = tuple[torch.Tensor, torch.Tensor]


class Training:
    """A network, its optimizer and a step; subclasses take other steps."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = self.network()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)

    def network(self) -> Any:
        return nn.Sequential(
            nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 4)
        )

    def batch(self) -> Batch:
        return torch.randn(5, 8), torch.randint(4, (5,))

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.model(x), y)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def tensors(self) -> Iterator[torch.Tensor]:
        yield from self.model.buffers()
        for parameter in self.model.parameters():
            yield parameter.detach()
            if parameter.grad is not None:
                yield parameter.grad


class Sequence(Training):
    def network(self) -> nn.ModuleList:
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)
        return nn.ModuleList([nn.Embedding(11, 8), layer, nn.LSTM(8, 8, 2, dropout=0.2)])

    def batch(self) -> Batch:
        return torch.randint(11, (3, 5)), torch.randint(8, (3, 5))

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        embedding, layer, lstm = self.model
        hidden = layer(embedding(x)).reshape(*x.shape, -1)
        return F.cross_entropy(lstm(hidden)[0].flatten(0, 1), y.flatten(), label_smoothing=0.1)


class Images(Training):
    def network(self) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4)
        )

    def batch(self) -> Batch:
        return torch.randn(5, 3, 8, 8), torch.randint(4, (5,))


class Penalty(Training):
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x = x.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.model(x).sum(), x, create_graph=True)
        return ((gradient.norm(2, dim=1) - 1) ** 2).mean()


class Autocast(Training):
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return F.cross_entropy((self.model(x) + self.model(x * 2)).float(), y)


class Checkpointed(Training):
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(checkpoint(self.model, x, use_reentrant=False), y)  # type: ignore[no-untyped-call]


class Twice(Training):
    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.loss(x, y).backward()  # type: ignore[no-untyped-call]
        return super().step(x * 2, y)


class Raising(Training):
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        hidden = self.model[0](x)
        try:
            F.linear(hidden, hidden.new_ones(3, 3))
        except RuntimeError:
            hidden = hidden * 2
        return F.cross_entropy(self.model[4](hidden), y)


class Freezing(Training):
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        first = self.model(x)
        self.model[4].weight.requires_grad_(False)
        second = self.model(x)
        self.model[4].weight.requires_grad_(True)
        return F.cross_entropy(first + second, y)


class Hooked(Training):
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        hidden = self.model[0](x)
        hidden.register_hook(lambda gradient: F.linear(gradient, torch.eye(16) * 2))
        return F.cross_entropy(self.model[4](self.model[1](hidden)), y)


class Sized(Training):
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        count = x.shape[0]
        return (self.model(x.reshape(count, -1)) * count).sum() / (count + 1)


KINDS = (
    Training, Sequence, Images, Penalty, Autocast, Checkpointed, Twice, Raising, Freezing, Hooked, Sized,
)  # fmt: skip


def traced_step(
    kind: type[Training], **options: Any
) -> tuple[opscope.TracedProgram, Training, Training]:
    """Return a traced step, its training, and another that has taken the same steps."""
    ours, theirs = kind(), kind()
    torch.manual_seed(1)
    first = ours.batch()
    for training in (ours, theirs):
        for seed in (2, 3):  # the first step makes the optimizer's state
            torch.manual_seed(seed)
            if training is ours and seed == 3:
                traced = opscope.trace(ours.step, copy.deepcopy(first), **options)
            else:
                training.step(*copy.deepcopy(first))
    opscope.verify(traced.graph)
    return traced, ours, theirs


def assert_next_steps_are_equal(
    traced: opscope.TracedProgram, ours: Training, theirs: Training, seed: int
) -> None:
    torch.manual_seed(seed)
    batch = ours.batch()
    found = traced(*copy.deepcopy(batch))
    torch.manual_seed(seed)
    theirs.batch()
    expected = theirs.step(*copy.deepcopy(batch))
    assert torch.equal(found, expected)
    for one, other in zip(ours.tensors(), theirs.tensors(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dynamic", [None, False])
def test_training_steps_replay_at_every_level(kind: type[Training], dynamic: bool | None) -> None:
    traced, ours, theirs = traced_step(kind, dynamic=dynamic, strict=True)
    assert traced.depth == "deep"
    text = str(traced.graph)
    assert str(opscope.parse(text)) == text
    assert_next_steps_are_equal(traced, ours, theirs, 4)
    assert traced.fold("operators").kept
    opscope.verify(traced.graph)
    assert_next_steps_are_equal(traced, ours, theirs, 5)
    assert_next_steps_are_equal(traced, ours, theirs, 6)
    traced.unfold("operators")
    assert str(traced.graph) == text
    assert_next_steps_are_equal(traced, ours, theirs, 7)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_off_is_what_a_deep_trace_records(kind: type[Training]) -> None:
    chosen, *_ = traced_step(kind, dynamic=False)
    told, *_ = traced_step(kind, dynamic=False, depth="deep")
    assert str(chosen.graph) == str(told.graph)
    assert [c.text for c in chosen.circumstances] == [c.text for c in told.circumstances]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dynamic", [None, False])
def test_functions_and_back_keep_what_scopes_stand_for(
    kind: type[Training], dynamic: bool | None
) -> None:
    traced, ours, theirs = traced_step(kind, dynamic=dynamic)
    count = len(noted_composites(traced.graph))
    assert count
    traced.apply("outline", "inline")
    assert len(noted_composites(traced.graph)) == count
    assert_next_steps_are_equal(traced, ours, theirs, 4)


def backward_in_vain(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    y = F.dropout(F.linear(x, weight), 0.3).reshape(x.shape[0], -1)
    if weight.dim() > 2:
        y.sum().backward()  # type: ignore[no-untyped-call]
    return F.layer_norm(y, (3,))


def test_without_a_backward_pass_the_trace_is_flat() -> None:
    x, weight = torch.randn(2, 4), nn.Parameter(torch.randn(3, 4))
    chosen = opscope.trace(backward_in_vain, (x, weight))
    flat = opscope.trace(backward_in_vain, (x, weight), depth="flat")
    assert chosen.depth == flat.depth == "flat"
    assert plain_text(chosen) == plain_text(flat)
    assert "aten::linear" in plain_text(chosen)
    assert [str(guard) for guard in chosen.guards] == [str(guard) for guard in flat.guards]
    assert [c.text for c in chosen.circumstances] == [c.text for c in flat.circumstances]
    for size in (2, 5):
        x = torch.randn(size, 4)
        torch.manual_seed(0)
        expected = backward_in_vain(x, weight)
        torch.manual_seed(0)
        assert torch.equal(chosen(x, weight), expected)
    with torch.no_grad():
        chosen(x, weight)


def test_a_flag_of_a_weight_is_held_as_it_was_when_an_operator_read_it() -> None:
    weight = nn.Parameter(torch.randn(3, 4))

    def program(x: torch.Tensor) -> torch.Tensor:
        y = F.linear(x, weight)
        weight.requires_grad_(False)
        z = F.linear(x, weight)
        weight.requires_grad_(True)
        (gradient,) = torch.autograd.grad((y + z).sum(), weight)
        return gradient

    traced = opscope.trace(program, torch.randn(2, 4))
    assert torch.equal(traced(torch.ones(2, 4)), program(torch.ones(2, 4)))
    weight.requires_grad_(False)
    with pytest.raises(opscope.GuardError, match=r"requires_grad is True"):
        traced(torch.ones(2, 4))


def test_a_backward_pass_that_no_code_names_finds_a_flat_trace() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        loss = F.cross_entropy(x, torch.tensor([0, 1]))
        getattr(loss, "back" + "ward")()
        return loss.detach()

    with pytest.warns(opscope.TracerWarning, match="depth='deep'"):
        traced = opscope.trace(program, torch.randn(2, 3, requires_grad=True))
    assert traced.depth == "flat"


def test_a_trace_inside_another_is_flat() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(F.linear(x, x).sum(), x)
        return gradient

    x = torch.randn(2, 2, requires_grad=True)
    inner: list[opscope.TracedProgram] = []
    opscope.trace(lambda y: inner.append(opscope.trace(step, y, warn=False)) or y, x, warn=False)
    assert inner[0].depth == "flat"


def test_a_fake_trace_is_deep_for_a_backward_pass() -> None:
    fake, *_ = traced_step(Training, fake=True, dynamic=False)
    real, *_ = traced_step(Training, dynamic=False)
    assert fake.depth == "deep"
    assert plain_text(fake) == plain_text(real)


def test_a_functional_graph_of_a_backward_pass_is_deep() -> None:
    weight = nn.Parameter(torch.randn(3, 4))

    def program(x: torch.Tensor) -> torch.Tensor:
        loss = F.dropout(F.linear(x, weight), 0.5).pow(2).sum()
        (gradient,) = torch.autograd.grad(loss, weight)
        return gradient

    traced = opscope.trace(program, torch.randn(2, 4), force_outplace=True)
    assert traced.depth == "deep"
    x = torch.randn(2, 4)
    torch.manual_seed(0)
    expected = program(x)
    torch.manual_seed(0)
    assert torch.equal(traced(x), expected)


def test_a_check_takes_operators_that_were_folded_for_what_they_are() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    traced = opscope.trace(model, torch.randn(2, 3), depth="deep")
    traced.fold("operators")
    report = traced.check(torch.randn(2, 3), gradients=True)
    assert (report.ok, report.notes) == (True, ())
    with pytest.raises(opscope.PassError, match="'operators'"):
        traced.fold("modules")  # type: ignore[arg-type]


def test_what_was_not_folded_cannot_be_unfolded() -> None:
    traced = opscope.trace(nn.Linear(3, 3), torch.randn(2, 3))
    text = str(traced.graph)
    with pytest.raises(opscope.PassError, match='depth="deep"'):
        traced.unfold("operators")
    assert str(traced.graph) == text
    deep = opscope.trace(nn.Linear(3, 3), torch.randn(2, 3), depth="deep")
    assert not deep.unfold("operators").changed


STEPS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "linear": lambda x, w: F.linear(x, w),
    "matmul": lambda x, w: x @ w.T @ w,
    "norm": lambda x, w: F.layer_norm(x, (4,), w[0], w[1]),
    "dropout": lambda x, w: F.dropout(x, 0.4),
    "evaluated": lambda x, w: F.dropout(x, 0.4, training=False),
    "reshape": lambda x, w: x.reshape(-1).reshape(x.shape),
    "cast": lambda x, w: x.to(torch.float32),
    "subtract": lambda x, w: (x + 0).subtract_(w),
    "where": lambda x, w: torch.where(x > 0, x, 0.5),
    "einsum": lambda x, w: torch.einsum("ij,kj->ik", x, w),
    "split": lambda x, w: torch.cat(x.chunk(2, 1)[::-1], 1),
    "attention": lambda x, w: F.scaled_dot_product_attention(x[None], x[None], w[None])[0],
    "add": lambda x, w: x + w[0],
    "exp": lambda x, w: x.tanh().exp(),
    "autocast": lambda x, w: _in_autocast(x, w),
}


def _in_autocast(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return F.linear(F.linear(x, w), w).float()


SETTINGS = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
    ],
)


@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6), st.booleans())
@SETTINGS
def test_random_programs_with_a_backward_pass(names: list[str], is_told: bool) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x
        for name in names:
            y = STEPS[name](y, weight)
        found = torch.autograd.grad(y.pow(2).sum(), (x, weight), allow_unused=True)
        return y, *(part for part in found if part is not None)

    def run(function: Callable[..., Any]) -> list[torch.Tensor]:
        torch.manual_seed(1)
        return tensors_of(function(torch.randn(4, 4, requires_grad=True)))

    expected = run(program)
    torch.manual_seed(2)
    options: dict[str, Any] = {"depth": "deep"} if is_told else {}
    traced = opscope.trace(program, torch.randn(4, 4, requires_grad=True), **options)
    text = str(traced.graph)
    for change in (
        lambda: None,
        lambda: traced.fold("operators"),
        lambda: traced.unfold("operators"),
    ):
        change()
        opscope.verify(traced.graph)
        assert all(map(torch.equal, run(traced), expected))
    assert str(traced.graph) == text


@pytest.fixture
def filled_memory() -> Iterator[None]:
    """Let torch fill memory that it would leave as it was, so that two runs find the same there."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("filled_memory")
@given(programs, st.booleans())
@SETTINGS
def test_random_programs_fold_to_the_flat_graph(drawn: Program, requires_grad: bool) -> None:
    def inputs() -> list[torch.Tensor]:
        torch.manual_seed(0)
        return [torch.randn(shape, requires_grad=requires_grad) * 1 for shape in ((2, 4), (4,))]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of resized out= tensors
        program = drawn.working(inputs)
        flat, deep = (
            opscope.trace(program, tuple(inputs()), dynamic=False, warn=False, depth=depth)
            for depth in ("flat", "deep")
        )
        text = str(deep.graph)
        if not deep.fold("operators").kept:
            assert plain_text(deep) == plain_text(flat)
        torch.manual_seed(1)
        expected = program(*inputs())
        torch.manual_seed(1)
        for one, other in zip(deep(*inputs()), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
        deep.unfold("operators")
        assert str(deep.graph) == text


def test_a_program_that_is_called_keeps_its_levels() -> None:
    linear = nn.Linear(3, 3)
    inner = opscope.trace(linear, torch.randn(2, 3), depth="deep", dynamic=False)
    traced = opscope.trace(lambda x: inner(x) * 2, torch.randn(2, 3), dynamic=False)
    text = str(traced.graph)
    assert " is %" in text
    x = torch.randn(2, 3)
    for change in (lambda: None, lambda: traced.fold("operators")):
        change()
        assert torch.equal(traced(x), linear(x) * 2)
    assert [node.kind for node in traced.graph.functions["Linear"].walk()] == ["aten::linear"]
    traced.unfold("operators")
    assert str(traced.graph) == text
    assert traced.apply("inline", "fold_operators").changed
    assert "aten::linear" in plain_text(traced)
    assert "@Linear" not in plain_text(traced)
    assert torch.equal(traced(x), linear(x) * 2)
    traced.unfold("operators")
    assert "aten::linear" not in plain_text(traced)
    assert torch.equal(traced(x), linear(x) * 2)


def test_what_an_operator_went_on_with_is_told_if_a_backward_pass_runs() -> None:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor, rows: torch.Tensor, runs: bool) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            y = F.linear(F.linear(x, weight)[rows[:, 0] > 0], weight)
        if runs:
            (gradient,) = torch.autograd.grad(y.float().sum(), weight, create_graph=True)
            return gradient
        return y

    rows = torch.tensor([[1.0], [-1.0], [1.0]])
    x = torch.randn(3, 4)
    flat = opscope.trace(program, (x, rows, False), depth="flat", warn=False)
    chosen = opscope.trace(program, (x, rows, False), warn=False)
    assert [str(each) for each in chosen.diagnostics] == [str(each) for each in flat.diagnostics]
    chosen, told = (
        opscope.trace(program, (x, rows, True), warn=False, depth=depth)  # type: ignore[arg-type]
        for depth in (None, "deep")
    )
    assert [each.message for each in chosen.diagnostics] == [
        each.message for each in told.diagnostics
    ]
    assert any("went on with a tensor" in each.message for each in chosen.diagnostics)
