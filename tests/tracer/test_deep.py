"""Deep capture: what composite operators call stands in the place of them."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import opscope
from support.replays import plain_text, tensors_of


def deep(function: Callable[..., Any], *args: Any, **options: Any) -> opscope.TracedProgram:
    traced = opscope.trace(function, args, depth="deep", **options)
    opscope.verify(traced.graph)
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)
    return traced


def kinds(traced: opscope.TracedProgram) -> list[str]:
    return [n.kind for n in traced.graph.walk() if n.kind.startswith("aten::") and n.inputs]


def assert_replays(
    traced: opscope.TracedProgram, function: Callable[..., Any], *args: torch.Tensor
) -> None:
    torch.manual_seed(3)
    expected = tensors_of(function(*args))
    torch.manual_seed(3)
    actual = tensors_of(traced(*args))
    assert len(actual) == len(expected) > 0
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.requires_grad == theirs.requires_grad
        assert torch.equal(ours, theirs)


def test_what_a_composite_operator_calls_stands_in_a_scope_of_its_own() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(3, 2)

    def program(x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = linear(x)
        return F.dropout(hidden, 0.5).relu()

    traced = deep(program, torch.randn(4, 3), dynamic=False)
    assert plain_text(traced) == (
        "graph program(%x : f32[4, 3]) -> (f32[4, 2]{grad}):\n"
        "  state %linear.weight : f32[2, 3]{grad}, %linear.bias : f32[2]{grad}\n"
        "  %0 : f32[3, 2]{strides=[1, 3], grad} = aten::t(%linear.weight)\n"
        "  %hidden : f32[4, 2]{grad} = aten::addmm(%linear.bias, %x, %0)\n"
        "  %1 : f32[4, 2] = aten::empty_like(%hidden)\n"
        "  %2 : f32[4, 2] = aten::bernoulli_.float(%1)\n"
        "  %3 : f32[4, 2] = aten::div_.Scalar(%2, 0.5)\n"
        "  %4 : f32[4, 2]{grad} = aten::mul.Tensor(%hidden, %3)\n"
        "  %5 : f32[4, 2]{grad} = aten::relu(%4)\n"
        "  return (%5)"
    )
    assert [str(node.scope) for node in traced.graph.walk()] == [
        *2 * ["linear/linear<operator>"],
        *4 * ["dropout<operator>"],
        "",
    ]
    for _ in range(3):
        assert_replays(traced, program, torch.randn(4, 3))


class Network(nn.Module):
    """Everything that keeps something for its backward that only its parts make."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)
        self.lstm = nn.LSTM(8, 8, 2, batch_first=True, dropout=0.2)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 11)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.layer(self.embedding(tokens))
        x = self.norm(self.lstm(x)[0].transpose(1, 2)).transpose(1, 2)
        logits: torch.Tensor = self.head(x)
        return logits


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
}


class Training:
    """A network, its optimizer and a step, the same for each object that is made."""

    def __init__(self, optimizer: str) -> None:
        torch.manual_seed(0)
        self.model = Network()
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def step(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        logits = self.model(tokens).flatten(0, 1)
        loss = F.cross_entropy(logits, targets.flatten(), label_smoothing=0.1)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def tensors(self) -> list[torch.Tensor]:
        parameters = list(self.model.parameters())
        return [*parameters, *self.model.buffers(), *(cast(Any, p.grad) for p in parameters)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_steps_replay_bit_for_bit(optimizer: str) -> None:
    torch.manual_seed(1)
    batches = [(torch.randint(11, (3, 5)), torch.randint(11, (3, 5))) for _ in range(7)]
    ours, theirs = Training(optimizer), Training(optimizer)
    for training in (ours, theirs):  # the first step makes the optimizer's state
        torch.manual_seed(2)
        training.step(*batches[0])
    torch.manual_seed(3)
    traced = deep(ours.step, *batches[1], strict=True)
    torch.manual_seed(3)
    theirs.step(*batches[1])
    for number, batch in enumerate(batches[2:]):
        torch.manual_seed(number)
        found = traced(*batch)
        torch.manual_seed(number)
        assert torch.equal(found, theirs.step(*batch))
        for one, other in zip(ours.tensors(), theirs.tensors(), strict=True):
            assert torch.equal(one, other)


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0] * 2


class Sized(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.repeat(int(x.sum().sign().abs()) + 1, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0].sum(0)


def test_what_follows_a_custom_function_is_traced_through() -> None:
    linear = nn.Linear(3, 2)

    def program(x: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, linear(cast(Any, Twice).apply(x)))

    def sized(x: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, linear(cast(Any, Sized).apply(x)))

    x = torch.ones(4, 3)
    assert kinds(deep(program, x))[-2:] == ["aten::t", "aten::addmm"]
    assert kinds(deep(sized, x, warn=False))[-1] == "aten::linear"  # data may give another size


class InPlace(nn.Module):
    """Writes over what its gradients need."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.rand(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = F.silu(self.first(x), inplace=True)
        hidden = F.hardswish(hidden.mul_(self.scale), inplace=True)
        hidden = hidden.clamp_(-1, 0.5).pow_(2)
        logits: torch.Tensor = self.last(hidden)
        return F.leaky_relu_(logits * 2, 0.1)


def test_what_was_written_over_is_there_for_the_gradients() -> None:
    def make() -> tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]:
        torch.manual_seed(0)
        model = InPlace()

        def step(x: torch.Tensor) -> torch.Tensor:
            model.zero_grad()
            loss: torch.Tensor = model(x).square().sum()
            loss.backward()
            return loss.detach()

        return model, step

    (ours, program), (theirs, eager) = make(), make()
    traced = deep(program, torch.randn(5, 4), dynamic=False, strict=True)
    for seed in range(3):
        torch.manual_seed(seed)
        x = torch.randn(5, 4)
        assert torch.equal(traced(x), eager(x))
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(cast(Any, one.grad), cast(Any, other.grad))
    copies = [node for node in traced.graph.walk() if node.kind == "aten::clone"]
    assert len(copies) == 5  # silu_, mul_, hardswish_, clamp_, pow_


def test_flat_capture_of_a_training_step_says_what_to_do() -> None:
    training = Training("SGD")
    batch = torch.randint(11, (3, 5)), torch.randint(11, (3, 5))
    training.step(*batch)
    with pytest.warns(opscope.TracerWarning, match="depth='deep'"):
        opscope.trace(training.step, batch, depth="flat")


def test_what_torchs_own_code_may_go_by_is_held() -> None:
    weight = nn.Parameter(torch.randn(3, 3))

    def program(x: torch.Tensor) -> torch.Tensor:
        return torch.matmul(x, weight)

    traced = deep(program, torch.randn(2, 4, 3))
    assert_replays(traced, program, torch.randn(2, 4, 3))
    with pytest.raises(opscope.GuardError, match=r"x.size\(1\) == 4 does not hold"):
        traced(torch.randn(2, 5, 3))
    with pytest.raises(opscope.InputError, match="its strides are"):
        traced(torch.randn(4, 2, 3).transpose(0, 1))
    with pytest.raises(opscope.InputError, match="it did not require gradients"):
        traced(torch.randn(2, 4, 3, requires_grad=True))
    with pytest.raises(opscope.GuardError, match="is_grad_enabled"), torch.no_grad():
        traced(torch.randn(2, 4, 3))
    with (
        pytest.raises(opscope.GuardError, match="autocast on cpu"),
        torch.autocast("cpu", torch.bfloat16),
    ):
        traced(torch.randn(2, 4, 3))
    weight.requires_grad_(False)
    with pytest.raises(opscope.GuardError, match=r"weight.requires_grad is True"):
        traced(torch.randn(2, 4, 3))


def test_what_requires_gradients_through_something_else_is_held_too() -> None:
    scale, weight = nn.Parameter(torch.ones(2, 4, 3)), torch.randn(3, 3)

    def program(x: torch.Tensor) -> torch.Tensor:
        return torch.matmul(x, weight) + torch.matmul(x * scale, weight)

    traced = deep(program, torch.randn(2, 4, 3))
    assert_replays(traced, program, torch.randn(2, 4, 3))
    scale.requires_grad_(False)
    with pytest.raises(opscope.GuardError, match=r"scale.requires_grad is True"):
        traced(torch.randn(2, 4, 3))


def test_a_number_that_data_gave_goes_into_a_whole_operator() -> None:
    def program(x: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return torch.float_power(x, p.item())

    traced = deep(program, torch.rand(4), torch.tensor(0.25), strict=True)
    assert "aten::float_power.Tensor_Scalar" in kinds(traced)
    assert_replays(traced, program, torch.rand(4), torch.tensor(0.75))


def test_memory_that_torch_fills_itself_stays_inside() -> None:
    def program(p: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.ctc_loss(p, targets, (5, 5), (3, 2))

    args = torch.randn(5, 2, 4).log_softmax(2), torch.ones(2, 3, dtype=torch.int64)
    traced = deep(program, *args)
    assert "aten::ctc_loss.IntList" in kinds(traced)
    assert_replays(traced, program, *args)


def test_sizes_stay_data_where_nothing_is_traced_through() -> None:
    traced = deep(lambda x: (x + x.shape[0]).sum(), torch.randn(3))
    assert not traced.guards
    assert not traced.circumstances
    assert torch.equal(traced(torch.ones(5)), torch.tensor(30.0))


LENGTHS = torch.tensor([5, 5]), torch.tensor([3, 4])


@pytest.mark.parametrize(
    ("kind", "program", "args", "others"),
    [
        (
            "aten::ctc_loss.Tensor",
            lambda p, n: F.ctc_loss(
                p, torch.ones(2, 3, dtype=torch.int64), n, torch.tensor([1, 1])
            ),
            (torch.randn(5, 2, 4).log_softmax(2), LENGTHS[0]),
            (torch.randn(5, 2, 4).log_softmax(2), LENGTHS[1]),
        ),
        (
            "aten::_pad_packed_sequence",
            lambda x, n: torch._VF._pad_packed_sequence(x, n, False, 0.0, 3),  # type: ignore[attr-defined]
            (torch.randn(5, 2), torch.tensor([2, 2, 1])),
            (torch.randn(5, 2), torch.tensor([3, 1, 1])),
        ),
        ("aten::one_hot", F.one_hot, (torch.tensor([0, 1, 2]),), (torch.tensor([0, 1, 4]),)),
        (
            "aten::linear",
            lambda x, w: F.linear(x[x[:, 0] > 0], w),
            (torch.tensor([[1.0, 2], [-1, 1]]), torch.ones(3, 2)),
            (torch.tensor([[1.0, 2], [1, 1]]), torch.ones(3, 2)),
        ),
    ],
)
def test_an_operator_that_reads_data_stays_whole(
    kind: str,
    program: Callable[..., Any],
    args: tuple[torch.Tensor, ...],
    others: tuple[torch.Tensor, ...],
) -> None:
    traced = deep(program, *args, strict=True)
    assert kind in kinds(traced)
    assert_replays(traced, program, *others)


def test_the_data_that_decides_is_a_guard_where_gradients_flow() -> None:
    def program(x: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return torch.quantile(x, q)

    x, q = torch.randn(7, requires_grad=True), torch.tensor([0.25, 0.5])
    traced = deep(program, x, q, allow={"data read"})
    assert "aten::quantile" not in kinds(traced)
    assert_replays(traced, program, x, q / 2)
    with pytest.raises(opscope.GuardError):
        traced(x, q * 8)


@pytest.mark.parametrize(
    ("kind", "program"),
    [
        ("aten::requires_grad_", lambda x: (x + 1).requires_grad_()),
        ("aten::expand_as", lambda x: x[:1].expand_as(x) * 2),
        ("aten::item", lambda x: x.sum() * x.sum().item()),
    ],
)
def test_an_operator_whose_effect_no_other_tells_of_stays_whole(
    kind: str, program: Callable[..., Any]
) -> None:
    traced = deep(program, torch.randn(2, 3), warn=False)
    assert kind in [node.operator.base_name for node in traced.graph.walk()]
    assert_replays(traced, program, torch.randn(2, 3))


def test_results_that_are_arguments_are_those() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        same = x.contiguous().to(torch.float32)
        same.mul_(2)
        return F.dropout(same, 0.5, training=False), x

    traced = deep(program, torch.ones(3), dynamic=False)
    assert kinds(traced) == ["aten::to.dtype", "aten::mul_.Tensor", "aten::dropout"]
    x = torch.ones(3)
    one, other = traced(x)
    assert one is other is x
    assert torch.equal(x, torch.full((3,), 2.0))


def test_weights_that_autocast_cast_once_get_the_gradients_of_one_cast() -> None:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return F.linear(F.linear(x, weight), weight)

    traced = deep(program, torch.randn(3, 4))
    assert kinds(traced).count("aten::_to_copy") == 2
    assert traced.check(torch.randn(3, 4), gradients=True).ok


def test_what_ran_before_an_operator_raised_is_kept() -> None:
    library = torch.library.Library("opscope_test_deep", "DEF")
    library.define("noisy(Tensor x) -> Tensor")

    def noisy(x: torch.Tensor) -> torch.Tensor:
        x.add_(torch.rand(2))
        raise ValueError("noisy")

    library.impl("noisy", noisy, "CompositeImplicitAutograd")

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + 0
        try:
            torch.ops.opscope_test_deep.noisy(y)
        except ValueError:
            y = y * 2
        return y

    traced = deep(program, torch.ones(2))
    assert kinds(traced) == ["aten::add.Tensor", "aten::add_.Tensor", "aten::mul.Tensor"]
    assert_replays(traced, program, torch.randn(2))


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, torch.eye(3) * 2)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * 2


WEIGHT = nn.Parameter(torch.randn(3, 3))


@pytest.mark.parametrize(
    "program",
    [
        lambda x: torch.func.vmap(torch.func.grad(lambda row: F.linear(row, WEIGHT).sum()))(x),
        lambda x: torch.autograd.functional.hessian(
            lambda a: (F.linear(a, WEIGHT) ** 3).sum(), x, vectorize=True
        ),
        lambda x: Doubled.apply(x.reshape(-1, 3)),
        lambda x: torch.autograd.grad(
            checkpoint(lambda a: F.dropout(F.linear(a, WEIGHT), 0.5), x, use_reentrant=False).sum(),
            WEIGHT,
        ),
        lambda x: torch.cond(x.sum() > 0, lambda a: F.linear(a, WEIGHT), torch.sin, (x,)),
        lambda x: F.layer_norm(x.to_sparse().to_dense(), (3,)),
        lambda x: F.silu(x, inplace=True) + F.pad(x, (1, 1), mode="circular")[:, :3],
        lambda x: torch.matmul(x, WEIGHT.detach(), out=x.new_empty(2, 3)),
        lambda x: torch.einsum("ij,kj->ik", x, WEIGHT).tensor_split(2),
        lambda x: torch.linalg.pinv(x),
    ],
)
def test_everything_that_flat_capture_knows_goes_on(program: Callable[..., Any]) -> None:
    x = torch.randn(2, 3)
    traced = deep(program, x.clone(), strict=True)
    for _ in range(2):
        x = torch.randn(2, 3)
        torch.manual_seed(0)
        expected = tensors_of(program(x.clone()))
        torch.manual_seed(0)
        for ours, theirs in zip(tensors_of(traced(x.clone())), expected, strict=True):
            assert torch.equal(ours, theirs)


def test_a_check_runs_at_the_depth_of_the_trace_and_names_a_node() -> None:
    linear = nn.Linear(3, 3)

    def program(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = linear(x).sum()
        return result

    assert deep(program, torch.randn(2, 3)).check(torch.randn(2, 3)).ok
    traced = deep(program, torch.randn(2, 3))
    (transposed,), (product,) = (traced.graph.nodes(op=f"aten::{n}") for n in ("t", "addmm"))
    product.replace_input(2, transposed.inputs[0])
    with pytest.raises(opscope.CheckError, match=r"first difference: aten::addmm"):
        traced.check(torch.randn(2, 3))


def test_a_functional_graph_may_be_deep() -> None:
    norm = nn.BatchNorm1d(3)
    before = copy.deepcopy(norm)
    x = torch.randn(4, 3)
    traced = deep(norm, x, force_outplace=True)
    norm.load_state_dict(before.state_dict())
    assert torch.equal(traced(x), before(x))
    assert torch.equal(norm.running_mean, before.running_mean)  # type: ignore[arg-type]


def test_depths_that_there_are_not() -> None:
    with pytest.raises(opscope.CaptureError, match="'flat' or 'deep', not 'middle'"):
        opscope.trace(torch.sin, torch.ones(1), depth="middle")  # type: ignore[arg-type]
    with pytest.raises(opscope.CaptureError, match="cannot run inside another trace"):
        opscope.trace(lambda x: deep(torch.sin, x)(x), torch.ones(1))


def test_a_trace_inside_a_deep_one_sees_operators_once() -> None:
    linear = nn.Linear(3, 3)
    inner: list[opscope.TracedProgram] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        inner.append(opscope.trace(lambda y: F.dropout(linear(y), 0.5), x))
        called: torch.Tensor = linear(x)
        return called

    x = torch.randn(2, 3)
    traced = deep(program, x, warn=False)
    assert kinds(inner[0]) == ["aten::linear", "aten::dropout"]
    assert_replays(inner[0], lambda y: F.dropout(linear(y), 0.5), x)
    assert torch.equal(traced(x), linear(x))


def test_a_pause_inside_a_deep_trace_leaves_out_all() -> None:
    linear = nn.Linear(3, 3)

    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            linear(x)
        called: torch.Tensor = linear(x)
        return called

    traced = deep(program, torch.randn(2, 3), dynamic=False)
    assert kinds(traced) == ["aten::t", "aten::addmm"]


def test_a_deep_trace_lets_go_of_its_program_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        linear = nn.Linear(2, 2)
        traced = deep(linear, torch.ones(3, 2))
        reference = weakref.ref(linear)
        del linear, traced
        assert reference() is None
    finally:
        gc.enable()


def test_a_checkpoint_that_ends_with_what_autograd_saves_is_computed_again_whole() -> None:
    inner = torch.nn.Linear(4, 4)

    def block(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(F.dropout(inner(x).relu(), 0.5))  # whose result is what it saves

    def step(x: torch.Tensor) -> torch.Tensor:
        inner.zero_grad()
        loss: torch.Tensor = checkpoint(block, x, use_reentrant=False).sum()
        loss.backward()
        return loss.detach()

    traced = opscope.trace(step, torch.randn(3, 4), strict=True)
    for seed in range(3):
        x = torch.randn(3, 4)
        gradients = []
        for run in (step, traced):
            torch.manual_seed(seed)
            run(x)
            assert inner.weight.grad is not None
            gradients.append(inner.weight.grad.clone())
        assert torch.equal(*gradients)
