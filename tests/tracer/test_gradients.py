"""A replay under grad gives eager's gradients, of first and second order, bit by bit."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import opscope
from support.replays import plain_text

Case = tuple[Callable[..., Any], tuple[torch.Tensor, ...]]


def leaf(*sizes: int) -> torch.Tensor:
    return torch.randn(*sizes, requires_grad=True)


def mlp() -> Case:
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3)), (leaf(2, 4),)


def convolution_and_norm() -> Case:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    return network, (leaf(2, 3, 6, 6),)


def attention() -> Case:
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True), (leaf(2, 5, 8),)


def recurrent() -> Case:
    return nn.LSTM(4, 5), (leaf(3, 2, 4),)


def in_place() -> Case:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y.add_(1)
        y[0].mul_(weight[0])
        y[:, 1] = 0
        y.t_()
        return y

    return program, (leaf(4, 4),)


def views() -> Case:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x.clone()
        flat = y.view(-1)[2:6]
        flat.mul_(2)
        y.diagonal().mul_(3)
        first, second = (y * 2).chunk(2)
        return y.t(), flat, first, second[0].expand(3, 4)

    return program, (leaf(4, 4),)


def regions() -> Case:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            mean = (x @ weight).mean()
            with torch.enable_grad():
                inner = x * weight
        torch.set_grad_enabled(False)
        off = x * 3
        torch.set_grad_enabled(True)
        with torch.inference_mode():
            inference = x + 1
        return x @ weight - mean, inner, off * x, inference.clone() * x

    return program, (leaf(4, 4),)


def detached() -> Case:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        h = x @ weight
        again = h.detach().clone().requires_grad_()
        cut = x * weight
        cut.detach_()
        return h * h.detach(), again * x, h.data * x, cut * x

    return program, (leaf(4, 4),)


def flags() -> Case:
    weight = nn.Parameter(torch.randn(4, 4))
    linear = nn.Linear(4, 4)

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = (x * 2).detach()
        y.requires_grad_()
        for parameter in linear.parameters():
            parameter.requires_grad_(False)
        frozen = linear(y * weight)
        for parameter in linear.parameters():
            parameter.requires_grad_(True)
        made = torch.ones(4, 4, requires_grad=True)
        return frozen, linear(frozen), made * x

    return program, (torch.randn(4, 4),)


def frozen_parameters() -> Case:
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    network[0].requires_grad_(False)
    return network, (torch.randn(2, 4),)


def closure() -> Case:
    scale = leaf(4, 4)
    return lambda x: (x * scale).tanh(), (torch.randn(4, 4),)


def parametrized() -> Case:
    spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
    weight = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    return nn.Sequential(spectral, weight), (leaf(2, 4),)


def autocast() -> Case:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.autocast("cpu", torch.bfloat16):
            y = x @ weight
            return y, F.softmax(y, -1), y @ weight

    return program, (leaf(4, 4),)


def computed_input() -> Case:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor, row: torch.Tensor) -> tuple[torch.Tensor, ...]:
        row.add_(1)
        x.mul_(2)
        return x * weight, row

    base = leaf(4, 4) * 1
    return program, (base, base[0])


def written_parameter() -> Case:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            weight.mul_(0.5)
        weight.data.add_(1)
        return x @ weight

    return program, (leaf(4, 4),)


def choices() -> Case:
    weight = nn.Parameter(torch.randn(4, 4))

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values, places = x.topk(2)
        chosen = F.embedding(torch.tensor([0, 1]), weight)
        return values, x.gather(1, places), x.sort()[0], torch.where(x > 0, x, weight), chosen

    return program, (leaf(4, 4),)


def complex_numbers() -> Case:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (
            torch.fft.fft(x),
            torch.view_as_real(torch.fft.rfft(x)),
            x.to(torch.cfloat).conj() * 1j,
        )

    return program, (leaf(4, 4),)


CASES = [
    mlp, convolution_and_norm, attention, recurrent, in_place, views, regions, detached, flags,
    frozen_parameters, closure, parametrized, autocast, computed_input, written_parameter, choices,
    complex_numbers,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_first_and_second_order_are_eagers(case: Callable[[], Case]) -> None:
    torch.manual_seed(3)
    function, inputs = case()
    traced = opscope.trace(function, inputs, warn=False)
    report = traced.check(inputs, gradients=2)
    assert report.ok
    assert report.compared[opscope.checking.DifferenceKind.GRADIENT] > 0


def test_a_gradient_penalty_outside_the_trace() -> None:
    critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = leaf(3, 4)
    traced = opscope.trace(critic, x)

    def penalty(program: Callable[..., Any]) -> list[torch.Tensor]:
        (gradient,) = torch.autograd.grad(program(x).sum(), x, create_graph=True)
        loss = (gradient.norm(dim=1) - 1).pow(2).mean()
        return [loss, *torch.autograd.grad(loss, list(critic.parameters())[:3])]

    for ours, theirs in zip(penalty(traced), penalty(critic), strict=True):
        assert torch.equal(ours, theirs)


def test_a_gradient_penalty_inside_the_trace() -> None:
    critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def program(x: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return gradient.pow(2).mean()

    x = leaf(3, 4)
    assert opscope.trace(program, x).check(x, gradients=True).ok


def test_what_autograd_saved_is_the_value_that_was_saved() -> None:
    weight = nn.Parameter(torch.randn(2, 2))

    def program(x: torch.Tensor) -> torch.Tensor:
        y = (x @ weight).tanh()
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return gradient

    traced = opscope.trace(program, torch.zeros(2, 2, requires_grad=True), dynamic=False)
    assert plain_text(traced) == (
        "graph program(%x : f32[2, 2]{grad}) -> (f32[2, 2]{grad}):\n"
        "  state %weight : f32[2, 2]{grad}\n"
        "  %0 : f32[2, 2]{grad} = aten::mm(%x, %weight)\n"
        "  %y : f32[2, 2]{grad} = aten::tanh(%0)\n"
        "  %1 : f32[]{grad} = aten::sum(%y)\n"
        "  %2 : f32[] = aten::ones_like(%1, memory_format=memory.preserve_format)\n"
        "  %3 : f32[2, 2]{strides=[0, 0]} = aten::expand(%2, [2, 2])\n"
        "  %4 : f32[2, 2]{grad} = aten::tanh_backward(%3, %y)\n"
        "  %5 : f32[2, 2]{strides=[1, 2], grad} = aten::t(%weight)\n"
        "  %6 : f32[2, 2]{grad} = aten::mm(%4, %5)\n"
        "  return (%6)"
    )


SAVES_ITS_RESULT: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "softmax": lambda x: x.softmax(-1),
    "two results": lambda x: x.sort(-1, descending=True)[0],
    "one of two results": lambda x: x.sort(-1)[1] * x,
    "a composite": lambda x: F.normalize(x, dim=0),
    "in place": lambda x: (x * 1).sigmoid_(),
    "a reduction": lambda x: x.norm() + x.std() + x.logsumexp(0) + x.amax(),
    "a list": lambda x: torch.stack(list(torch._foreach_sqrt([x.abs() + 1, x.abs() + 2]))),
    "a custom function": lambda x: Squared.apply(x),
    "a checkpoint": lambda x: checkpoint(lambda y: (y * 2).exp().sin(), x, use_reentrant=False),
    "a reentrant checkpoint": lambda x: checkpoint(lambda y: (y * 2).exp(), x, use_reentrant=True),
}


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y = x * x
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0] * ctx.saved_tensors[0]


@pytest.mark.parametrize("name", SAVES_ITS_RESULT)
def test_what_autograd_saved_of_a_result_that_is_gone_is_that_result(name: str) -> None:
    function = SAVES_ITS_RESULT[name]

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.detach().requires_grad_()
        function(y * 2).sum().backward()
        assert y.grad is not None
        return y.grad

    traced = opscope.trace(program, torch.tensor([1.0, -2.0, 3.0]), strict=True)
    for other in (torch.tensor([-1.0, 2.0, 0.5]), torch.tensor([3.0, 1.0, 2.0])):
        assert torch.equal(traced(other), program(other))


def test_what_a_checkpoint_computes_again_is_not_what_it_computed_first() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.detach().requires_grad_()
        scale = torch.ones(3)

        def block(z: torch.Tensor) -> torch.Tensor:
            return (z * scale).exp().sin()

        total = checkpoint(block, y, use_reentrant=False).sum()
        scale.data.mul_(2)
        (gradient,) = torch.autograd.grad(total, y)
        return gradient

    traced = opscope.trace(program, torch.ones(3), strict=True)
    other = torch.tensor([0.5, -1.0, 2.0])
    assert torch.equal(traced(other), program(other))


def test_saved_tensors_that_hooks_exchange_are_not_taken_for_the_results() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.detach().requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t):
            total = (y * 2).exp().sum()
        (gradient,) = torch.autograd.grad(total, y)
        return gradient

    traced = opscope.trace(program, torch.ones(3), warn=False)
    assert [d.kind.value for d in traced.diagnostics] == ["untracked tensor"]
    assert torch.equal(traced(torch.ones(3)), program(torch.ones(3)))


@pytest.mark.skipif(
    not hasattr(torch.autograd.graph, "node_creation_hook"), reason="torch 2.14 has it"
)
def test_a_hook_on_the_nodes_that_autograd_creates_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.autograd.graph.node_creation_hook(lambda node: None):
            return x.exp()

    traced = opscope.trace(program, torch.ones(3, requires_grad=True), warn=False)
    (diagnostic,) = traced.diagnostics
    assert diagnostic.kind.value == "hook"
    assert "node_creation_hook" in diagnostic.message


def test_gradients_flow_through_what_autograd_saved_of_a_result_that_is_gone() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        total = (x * 2).exp().tanh().sum()
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
        return gradient.pow(2).sum()

    traced = opscope.trace(program, leaf(3), strict=True)
    x = leaf(3)
    assert traced.check(x, gradients=2).ok


def test_what_autograd_saved_inside_an_operator_is_reported_once_with_what_to_do() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        loss = F.cross_entropy(x, torch.tensor([0, 1]))
        (gradient,) = torch.autograd.grad(loss, x)
        return gradient

    with pytest.warns(opscope.TracerWarning, match="saved inside an operator") as caught:
        traced = opscope.trace(program, leaf(2, 3), depth="flat")
    assert len(caught) == 1
    (found,) = traced.diagnostics
    assert "depth='deep'" in found.hint
    assert "torch.func.grad" in found.hint


def test_what_autograd_saved_of_a_result_written_in_place_is_that_result() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y.relu_()
        (gradient,) = torch.autograd.grad(y.sum(), x)
        return gradient

    traced = opscope.trace(program, torch.ones(2, requires_grad=True), dynamic=False)
    assert plain_text(traced) == (
        "graph program(%x : f32[2]{grad}) -> (f32[2]):\n"
        "  %y : f32[2]{grad} = aten::mul.Tensor(%x, 2)\n"
        "  %0 : f32[2]{grad} = aten::relu_(%y)\n"
        "  %1 : f32[]{grad} = aten::sum(%0)\n"
        "  %2 : f32[] = aten::ones_like(%1, memory_format=memory.preserve_format)\n"
        "  mode no_grad\n"
        "  %3 : f32[2]{strides=[0]} = aten::expand(%2, [2])\n"
        "  %4 : f32[2] = aten::threshold_backward(%3, %0, 0)\n"
        "  %5 : f32[2] = aten::mul.Tensor(%4, 2)\n"
        "  return (%5)"
    )
    other = torch.tensor([3.0, -1.0], requires_grad=True)  # where the gradient is another
    assert torch.equal(traced(other), program(other))


def test_a_closure_tensor_that_requires_grad_is_state() -> None:
    scale = torch.full((2,), 3.0, requires_grad=True)
    traced = opscope.trace(lambda x: x * scale, torch.ones(2), strict=True)
    assert plain_text(traced) == (
        "graph function(%x : f32[2]) -> (f32[2]{grad}):\n"
        "  constant %scale : f32[2]{grad}\n"
        "  %0 : f32[2]{grad} = aten::mul.Tensor(%x, %scale)\n"
        "  return (%0)"
    )
    traced(torch.ones(2)).sum().backward()
    assert scale.grad is not None
    assert scale.grad.tolist() == [1.0, 1.0]


def test_training_on_the_replay_is_training_on_the_model() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), torch.randn(8, 4)
    start = [parameter.detach().clone() for parameter in model.parameters()]
    traced = opscope.trace(model, x)

    def train(program: Callable[..., Any]) -> list[torch.Tensor]:
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), start, strict=True):
                parameter.copy_(value)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            program(x).pow(2).mean().backward()
            optimizer.step()
        return [parameter.detach().clone() for parameter in model.parameters()]

    for ours, theirs in zip(train(traced), train(model), strict=True):
        assert torch.equal(ours, theirs)


def test_a_constant_does_not_keep_autograds_graph_of_the_trace() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            y = x * 2
        return y + x

    traced = opscope.trace(program, leaf(2), warn=False)
    assert traced.state["constant"].grad_fn is None
    assert [d.kind.value for d in traced.diagnostics] == ["untracked tensor"]


def test_what_autograd_saved_of_an_input_is_found_wherever_the_input_begins() -> None:
    def program(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        y = F.linear(x, weight)  # saves the transposed weight
        z = torch.kron(x, weight[1:])  # saves other views
        (gradient,) = torch.autograd.grad((y * y).sum() + (z * z).sum(), x)
        return gradient

    x, memory = leaf(4, 3), torch.randn(20)
    traced = opscope.trace(program, (x, memory[:6].view(2, 3)))
    assert "as_strided" not in str(traced.graph).partition("aten::kron")[0]
    for start in (0, 3, 14):
        weight = memory[start : start + 6].view(2, 3)
        assert torch.equal(traced(x, weight), program(x, weight))


def test_what_autograd_saved_of_a_conjugate_is_one() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        result = torch.tensordot(x, y.conj(), 1)
        (gradient,) = torch.autograd.grad(result.abs().sum(), x)
        return gradient

    def pair() -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(3, 4, dtype=torch.complex64, requires_grad=True)
        return x, torch.randn(4, 2, dtype=torch.complex64)

    traced, other = opscope.trace(program, pair()), pair()
    assert torch.equal(traced(*other), program(*other))


@pytest.mark.parametrize("functional", [False, True])
def test_a_tensor_that_retains_its_gradient_does_so_at_a_replay(functional: bool) -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = x * 2
        y.retain_grad()
        z = y.sin()
        z.add_(1)
        return y, z

    traced = opscope.trace(program, leaf(3), strict=True, force_outplace=functional)
    x = leaf(3)
    found, expected = traced(x), program(x)
    for y, z in (found, expected):
        z.sum().backward()
        assert y.retains_grad
    assert found[0].grad is not None
    assert expected[0].grad is not None
    assert torch.equal(found[0].grad, expected[0].grad)
    with torch.no_grad():
        traced(x)


def test_a_returned_tensor_has_the_gradient_that_the_program_computed() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        weight = torch.zeros(3, requires_grad=True)
        (weight * x).sum().backward()
        return weight

    traced = opscope.trace(program, torch.ones(3), strict=True)
    x = torch.randn(3)
    assert torch.equal(gradient_of(traced(x)), x)
    functional = opscope.trace(program, torch.ones(3), warn=False, force_outplace=True)
    (found,) = functional.diagnostics
    assert found.message.startswith("the tensor returned as result has a gradient")


def test_what_a_returned_tensor_carries_besides_its_data_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        tagged = x * 2
        tagged._mark = 1  # type: ignore[attr-defined]  # a private one is nobody's but its maker's
        tagged.tag = "mine"  # type: ignore[attr-defined]
        return tagged

    (found,) = opscope.trace(program, torch.ones(3), warn=False).diagnostics
    assert found.kind.value == "untracked effect"
    assert found.message.startswith("the tensor returned as result was given tag,")


def gradient_of(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.grad is not None
    return tensor.grad


def training(optimizer_class: Any, **options: Any) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = optimizer_class(model.parameters(), **options)

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss.detach()

    return model, step


@pytest.mark.parametrize("foreach", [False, True])
def test_a_replay_stores_gradients_as_eager_does(foreach: bool) -> None:
    ours, our_step = training(torch.optim.Adam, lr=0.1, foreach=foreach)
    theirs, their_step = training(torch.optim.Adam, lr=0.1, foreach=foreach)
    x = torch.randn(5, 3)
    for step in (our_step, their_step):
        step(x)  # makes the state of the optimizer
    traced = opscope.trace(our_step, x, strict=True)
    their_step(x)
    for _ in range(5):
        x = torch.randn(5, 3)
        assert torch.equal(traced(x), their_step(x))
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(one, other)
            assert torch.equal(gradient_of(one), gradient_of(other))


def test_gradients_are_summed_up_in_the_tensor_that_was_there() -> None:
    linear = nn.Linear(2, 1)

    def step(x: torch.Tensor) -> None:
        linear(x).sum().backward()
        linear(x * 2).sum().backward()

    x = torch.ones(1, 2)
    linear(x).sum().backward()
    before = gradient_of(linear.weight)
    traced = opscope.trace(step, x, strict=True)
    assert traced.graph.nodes(op="prim::set_gradient") == []
    assert torch.equal(before, torch.full((1, 2), 4.0))
    traced(x)
    assert gradient_of(linear.weight) is before
    assert torch.equal(before, torch.full((1, 2), 7.0))


@pytest.mark.parametrize("clears", [False, True])
def test_a_first_gradient_is_not_stored_over_one_that_it_would_be_added_to(clears: bool) -> None:
    linear = nn.Linear(2, 1)

    def step(x: torch.Tensor) -> None:
        if clears:
            linear.zero_grad()
        linear(x).sum().backward()

    x = torch.ones(1, 2)
    traced = opscope.trace(step, x, strict=True)
    if clears:
        traced(x * 3)
        assert torch.equal(gradient_of(linear.weight), x * 3)
    else:
        with pytest.raises(opscope.GuardError, match=r"linear\.weight\.grad is None there"):
            traced(x)
        linear.zero_grad()
        traced(x * 3)
        assert torch.equal(gradient_of(linear.weight), x * 3)


def test_a_first_gradient_of_an_input_is_not_stored_over_another() -> None:
    def step(x: torch.Tensor) -> None:
        (x * 2).sum().backward()

    traced = opscope.trace(step, torch.ones(2, requires_grad=True), strict=True)
    x = torch.ones(2, requires_grad=True)
    traced(x)
    assert gradient_of(x).tolist() == [2.0, 2.0]
    with pytest.raises(opscope.GuardError, match=r"x\.grad is None"):
        traced(x)


def test_gradients_that_python_sets_are_set() -> None:
    given = nn.Parameter(torch.ones(2))
    taken = nn.Parameter(torch.ones(2))

    def program(x: torch.Tensor) -> None:
        given.grad = x * 2
        taken.grad = None

    taken.grad = torch.ones(2)
    traced = opscope.trace(program, torch.ones(2), strict=True)
    assert plain_text(traced.graph) == (
        "graph program(%x : f32[2]) -> ():\n"
        "  state %given : f32[2]{grad}, %taken : f32[2]{grad}\n"
        "  %grad : f32[2] = aten::mul.Tensor(%x, 2)\n"
        "  prim::set_gradient(%given, %grad)\n"
        "  prim::set_gradient(%taken, None)\n"
        "  return ()"
    )
    taken.grad = torch.ones(2)
    traced(torch.full((2,), 3.0))
    assert torch.equal(gradient_of(given), torch.full((2,), 6.0))
    assert taken.grad is None


def test_a_gradient_that_counts_no_writes_is_left_alone() -> None:
    weight = nn.Parameter(torch.ones(2))
    with torch.inference_mode():
        weight.grad = torch.ones(2)
    traced = opscope.trace(lambda x: x * weight, torch.ones(2), strict=True)
    assert traced(torch.ones(2)).tolist() == [1.0, 1.0]


_LONG_CHAIN = """
import torch
import opscope

def program(x):
    for _ in range(100_000):
        x = x.relu()
    return x

traced = opscope.trace(program, torch.ones(2, requires_grad=True))
assert len(traced.graph.block) == 100_000
"""


def test_autograd_lets_go_of_a_long_chain() -> None:
    # Were each node seen by Python, its end would overflow the stack, and end the process.
    subprocess.run([sys.executable, "-c", _LONG_CHAIN], check=True, timeout=120)
