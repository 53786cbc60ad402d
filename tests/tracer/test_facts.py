"""What a program asks of tensors besides data and sizes, and goes by, must be so at a replay too."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.replays import plain_text

X = torch.arange(12.0).view(3, 4)


def followed(x: torch.Tensor = X) -> torch.Tensor:
    return x.clone().requires_grad_()


def with_gradient() -> torch.Tensor:
    x = followed()
    x.grad = torch.ones_like(x)
    return x


def branch(asks: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: x * 2 if asks(x) else x * 3


FACTS: tuple[tuple[str, Callable[[torch.Tensor], Any], Callable[[], torch.Tensor], str], ...] = (
    ("requires_grad", lambda x: x.requires_grad, followed, "not x.requires_grad"),
    ("computed", lambda x: (x + 1).requires_grad, followed, "not %0.requires_grad"),
    ("is_leaf", lambda x: x.is_leaf, lambda: followed() * 1, "x.is_leaf"),
    ("grad_fn", lambda x: x.grad_fn is None, lambda: followed() * 1, "x.grad_fn is None"),
    ("grad_fn of computed", lambda x: (x + 1).grad_fn, followed, "%0.grad_fn is None"),
    ("grad", lambda x: x.grad is None, with_gradient, "x.grad is None"),
    ("_version", lambda x: x._version > 1, lambda: X.clone().add_(1).add_(1), "x._version <= 1"),
    ("_is_view", lambda x: x._is_view(), lambda: X.clone()[:], "not x._is_view()"),
    ("_base", lambda x: x._base is None, lambda: X.clone()[:], "x._base is None"),
    ("is_shared", lambda x: x.is_shared(), lambda: X.clone().share_memory_(), "not x.is_shared()"),
    ("is_conj", lambda x: x.is_conj(), lambda: X.to(torch.cfloat).conj(), "not x.is_conj()"),
    (
        "torch.is_conj",
        lambda x: torch.is_conj(x),
        lambda: X.to(torch.cfloat).conj(),
        "not x.is_conj()",
    ),
    (
        "is_inference",
        lambda x: x.is_inference(),
        torch.inference_mode()(lambda: X * 1),
        "not x.is_inference()",
    ),
    (
        "storage",
        lambda x: x.untyped_storage().nbytes() == x.nbytes,
        lambda: torch.ones(9, 4)[:3],
        "x.untyped_storage().nbytes() == x.numel() * 4",
    ),
    (
        "len of a storage",
        lambda x: len(x.storage()) == 12,
        lambda: torch.ones(9, 4)[:3],
        "x.untyped_storage().nbytes() // 4 == 12",
    ),
)


@pytest.mark.parametrize(
    ("asks", "other", "guard"), [row[1:] for row in FACTS], ids=[row[0] for row in FACTS]
)
@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_a_branch_on_a_fact_of_an_input_is_a_guard(
    asks: Callable[[torch.Tensor], Any], other: Callable[[], torch.Tensor], guard: str
) -> None:
    program = branch(asks)
    second = other()
    first = X.clone().to(second.dtype)
    traced = opscope.trace(program, first, strict=True)
    assert guard in [found.text for found in traced.guards]
    assert torch.equal(traced(first), program(first))
    with pytest.raises(opscope.GuardError, match="does not hold") as caught:
        traced(second)
    assert "x * 2 if asks(x) else x * 3" in str(caught.value) or "lambda x: " in str(caught.value)
    assert torch.equal(opscope.trace(program, second, strict=True)(second), program(second))


def test_nothing_is_held_that_the_program_does_not_ask_for() -> None:
    traced = opscope.trace(lambda x: x * 2, X)
    assert not traced.guards
    assert traced(followed()).requires_grad


def test_facts_of_state_are_circumstances() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    def program(x: torch.Tensor) -> torch.Tensor:
        trained = [p for p in model.parameters() if p.requires_grad]
        return model(x) * len(trained)

    traced = opscope.trace(program, X, strict=True)
    assert [found.text for found in traced.circumstances] == [
        "model.0.weight.requires_grad is True, as for 3 more tensors"
    ]
    assert not traced.guards
    model[1].weight.requires_grad_(False)
    with pytest.raises(
        opscope.GuardError, match=r"model\.1\.weight\.requires_grad is True there, and not now"
    ) as caught:
        traced(X)
    assert "if p.requires_grad" in str(caught.value)
    model[1].weight.requires_grad_(True)
    assert torch.equal(traced(X), program(X))


def test_whether_state_has_a_gradient_is_a_circumstance() -> None:
    weight = nn.Parameter(torch.ones(4))

    def program(x: torch.Tensor) -> torch.Tensor:
        return x * weight if weight.grad is None else x * 3

    traced = opscope.trace(program, X, strict=True)
    weight.grad = torch.ones(4)
    with pytest.raises(opscope.GuardError, match=r"weight\.grad is None there, and not now"):
        traced(X)
    traced = opscope.trace(program, X, strict=True)
    assert [found.text for found in traced.circumstances] == ["weight.grad is not None"]
    assert torch.equal(traced(X), program(X))
    weight.grad = None
    with pytest.raises(opscope.GuardError, match=r"weight\.grad is not None there, and not now"):
        traced(X)


def test_a_gradient_that_the_graph_reads_needs_no_circumstance() -> None:
    weight = nn.Parameter(torch.ones(4))
    weight.grad = torch.ones(4)

    def program(x: torch.Tensor) -> torch.Tensor:
        return x if weight.grad is None else x * weight.grad

    traced = opscope.trace(program, X, strict=True)
    assert not traced.circumstances
    weight.grad = torch.full((4,), 5.0)
    assert torch.equal(traced(X), program(X))


def test_what_the_caller_decides_of_computed_tensors_is_a_guard() -> None:
    weight = nn.Parameter(torch.ones(4))

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * weight
        return y * 2 if y.requires_grad else y * 3

    traced = opscope.trace(program, X, strict=True)
    assert plain_text(traced) == (
        "graph program(%x : f32[3, 4]) -> (f32[3, 4]{grad}):\n"
        "  state %weight : f32[4]{grad}\n"
        "  %y : f32[3, 4]{grad} = aten::mul.Tensor(%x, %weight)\n"
        "  %0 : bool = prim::requires_grad(%y)\n"
        "  prim::guard(%0, True)\n"
        "  %1 : f32[3, 4]{grad} = aten::mul.Tensor(%y, 2)\n"
        "  return (%1)"
    )
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)
    with torch.no_grad(), pytest.raises(opscope.GuardError, match=r"y\.requires_grad does not"):
        traced(X)
    weight.requires_grad_(False)
    with pytest.raises(opscope.GuardError, match=r"y\.requires_grad does not hold"):
        traced(X)
    assert torch.equal(traced(followed()), program(followed()))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.zeros(4),
        lambda x: torch.zeros(4).requires_grad_(),
        lambda x: (x * 2).detach(),
        lambda x: (x * 2).detach().requires_grad_(),
        lambda x: x > 1,
        lambda x: (x * 2).data,
        torch.no_grad()(lambda x: x * 2),
        lambda x: nn.Parameter(torch.ones(4)),
    ],
)
def test_what_the_program_itself_decides_is_no_guard(make: Callable[..., Any]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = make(x)
        return x * 2 if y.requires_grad else x * 3

    traced = opscope.trace(program, X, strict=True)
    assert not traced.guards
    with torch.no_grad():
        assert torch.equal(traced(followed()), program(followed()))


def test_a_flag_that_the_program_sets_is_its_own() -> None:
    weight = nn.Parameter(torch.ones(4))

    def program(x: torch.Tensor) -> torch.Tensor:
        weight.requires_grad_(False)
        y = x * weight * (2 if weight.requires_grad else 3)
        weight.requires_grad_(True)
        return y

    traced = opscope.trace(program, X, strict=True)
    assert not traced.circumstances
    assert not traced.guards
    weight.requires_grad_(False)
    assert torch.equal(traced(X), X * 3)


def test_versions_and_sizes_of_storages_are_numbers_of_the_graph() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        before = x._version
        y = x * x.untyped_storage().nbytes() + before
        x.add_(1)
        return y * (x._version - before)

    traced = opscope.trace(program, X.clone(), strict=True)
    for rows in (3, 5):
        x, other = (torch.ones(9, 4).add_(1)[:rows] for _ in range(2))
        assert torch.equal(traced(x), program(other))
        assert torch.equal(x, other)


def test_fixed_sizes_have_fixed_versions() -> None:
    traced = opscope.trace(lambda x: x * (1 + x._version), X.clone(), dynamic=False)
    with pytest.raises(opscope.GuardError, match=r"x\._version == 0 does not hold, it is 1 now"):
        traced(X.clone().add_(1))


def test_an_address_is_told_of() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.data_ptr() % 64 else x * 3

    traced = opscope.trace(program, X, strict=True)
    (found,) = traced.diagnostics
    assert found.severity is opscope.Severity.INFO
    assert found.source is not None
    assert "x.data_ptr() % 64" in found.source.text
    assert not traced.guards


def test_an_encoder_layer_asks_whether_any_tensor_is_followed() -> None:
    layers = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False
    ).eval()
    x = torch.randn(2, 3, 8)
    traced = opscope.trace(layers, x, strict=True)
    asked = [found.text for found in traced.circumstances if "requires_grad" in found.text]
    assert asked == ["layers.0.self_attn.in_proj_weight.requires_grad is True"]
    assert not any("requires_grad" in found.text for found in traced.guards)
    assert torch.equal(traced(x.clone().requires_grad_()), layers(x))
    layers.requires_grad_(False)
    with pytest.raises(opscope.GuardError, match=r"in_proj_weight\.requires_grad is True there"):
        traced(x)  # the layers would take the fast path
    fast = opscope.trace(layers, x, strict=True)
    assert torch.equal(fast(x), layers(x))
    with pytest.raises(opscope.GuardError, match=r"not src\.requires_grad does not hold"):
        fast(x.clone().requires_grad_())
    layers.requires_grad_(True)
    with pytest.raises(opscope.GuardError, match=r"requires_grad is False there"):
        fast(x)


def test_a_training_step_holds_for_what_it_trains() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    model[0].bias.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(x).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    traced = opscope.trace(step, X, warn=False)
    assert [found.text for found in traced.circumstances] == [
        "model.0.weight.requires_grad is True, as for 2 more tensors",
        "model.0.bias.requires_grad is False",
        "torch.is_inference_mode_enabled() is False",
        "torch.is_grad_enabled() is True",
        "the dtype of autocast on cpu is None",
        "optimizer.param_groups.0.nesterov is False, as for 4 more options",
    ]
    traced(X)
    model[0].bias.requires_grad_(True)
    with pytest.raises(opscope.GuardError, match=r"model\.0\.bias\.requires_grad is False there"):
        traced(X)


def test_a_step_holds_for_the_parameters_that_have_gradients() -> None:
    weights = [nn.Parameter(torch.ones(4)) for _ in range(2)]
    optimizer = torch.optim.SGD(weights, 0.1)
    weights[0].grad = torch.ones(4)

    def step() -> None:
        optimizer.step()

    traced = opscope.trace(step, (), warn=False)
    weights[1].grad = torch.ones(4)
    with pytest.raises(opscope.GuardError, match=r"\.grad is None there, and not now"):
        traced()
    optimizer.zero_grad()
    with pytest.raises(opscope.ReplayError):
        traced()


def test_a_step_holds_for_the_parameters_that_its_backward_does_not_reach() -> None:
    used, unused = (nn.Parameter(torch.ones(4)) for _ in range(2))
    optimizer = torch.optim.SGD([used, unused], 0.1)

    def step(x: torch.Tensor) -> None:
        (x * used).sum().backward()
        optimizer.step()
        used.grad = None

    traced = opscope.trace(step, X, strict=True)
    traced(X)
    unused.grad = torch.ones(4)  # the optimizer would step it
    with pytest.raises(opscope.GuardError, match=r"\.grad is None there, and not now"):
        traced(X)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_that_a_step_clears_are_gone_though_it_had_none(set_to_none: bool) -> None:
    model = nn.ModuleList([nn.Linear(4, 1), nn.Linear(4, 1)])
    model[1].bias.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(x: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=set_to_none)
        torch.autograd.grad(model[0](x).sum(), model[0].weight)

    traced = opscope.trace(step, X, strict=True)
    cleared = [node.inputs[0].name for node in traced.graph.nodes(op="prim::set_gradient")]
    model[1](X).sum().backward()
    if not set_to_none:
        with pytest.raises(opscope.GuardError, match=r"1\.weight\.grad is None there"):
            traced(X)
        return
    assert cleared == ["model.0.weight", "model.0.bias", "model.1.weight"]
    traced(X)
    assert model[1].weight.grad is None


def test_a_program_that_is_called_holds_its_caller_too() -> None:
    weight = nn.Parameter(torch.ones(4))
    inner = opscope.trace(
        lambda x: x * weight if weight.requires_grad and not x.requires_grad else x, X
    )
    outer = opscope.trace(lambda x: inner(x * 2), X, strict=True)
    assert torch.equal(outer(X), X * 2)
    with pytest.raises(opscope.GuardError, match=r"not x\.requires_grad does not hold"):
        outer(followed())
    weight.requires_grad_(False)
    with pytest.raises(opscope.GuardError, match=r"weight\.requires_grad is True there"):
        outer(X)


def test_functional_graphs_hold_flags() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y.add_(1)
        assert y._version == 1
        return y if y.requires_grad else y * 3

    traced = opscope.trace(program, X, force_outplace=True)
    assert torch.equal(traced(X), program(X))
    with pytest.raises(opscope.GuardError, match=r"requires_grad does not hold"):
        traced(followed())


def test_facts_are_asked_inside_functions_of_transforms() -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return (x * 2 if x.requires_grad else x * 3).sum()

    traced = opscope.trace(torch.func.grad(loss), X, strict=True)
    assert torch.equal(traced(X), torch.func.grad(loss)(X))
    assert torch.equal(traced(followed()), torch.func.grad(loss)(followed()))


def test_torch_keeps_its_own_books_unheard() -> None:
    linear = nn.Linear(4, 4)

    def program(x: torch.Tensor) -> torch.Tensor:
        repr(x)
        linear.zero_grad()
        linear.to(torch.float32)
        return linear(x)

    traced = opscope.trace(program, X)
    assert not traced.circumstances
    assert not traced.guards


def test_attributes_can_be_set_deleted_and_looked_up_while_a_trace_runs() -> None:
    original = torch.Tensor.requires_grad

    def program(x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros(2)
        y.requires_grad = True
        y.grad = torch.ones(2)
        del y.grad
        assert y.grad is None
        assert torch.Tensor.requires_grad is original
        assert torch.Tensor.requires_grad.__doc__
        with pytest.raises(AttributeError):
            y.is_leaf = False  # type: ignore[misc]
        return x * 2

    opscope.trace(program, X, strict=True)
    assert not {"requires_grad", "grad", "is_leaf", "grad_fn"} & vars(torch.Tensor).keys()
    assert torch.Tensor.requires_grad is original


def test_torchs_warning_about_gradients_of_others_than_leaves_is_at_the_users_line() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        assert (x * 2).grad is None
        return x * 2

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opscope.trace(program, followed())
    (found,) = caught
    assert found.filename == __file__
    assert "not a leaf Tensor" in str(found.message)
