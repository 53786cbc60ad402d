"""Transforms of torch.func are nodes whose block is the function; replay is eager bit for bit."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import nn
from torch._functorch.vmap import restore_vmap
from torch.autograd.functional import jacobian
from torch.func import (
    functional_call,
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)
from torch.utils import _pytree as pytree

import opscope
from support.gradients import check_gradients
from support.replays import check_replay, plain_text

# Torch warns of its own doings: ``linearize`` of a graph that it folds.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch.*")

LINEAR = nn.Linear(3, 3)
MADE_BEFORE = vmap(grad(lambda x: (x**2).sum()))
torch.manual_seed(5)
MATRIX, OTHER = torch.randn(4, 3), torch.randn(4, 3)


def check(program: Callable[[torch.Tensor], Any], *, warn: bool = True) -> opscope.TracedProgram:
    """Check a program of one matrix on two inputs, with and without gradients."""
    check_gradients(program, (MATRIX,), (OTHER,), leaves=list(LINEAR.parameters()), warn=warn)
    needs_grad = [m.clone().requires_grad_() for m in (MATRIX, OTHER)]
    return check_gradients(
        program, *((m,) for m in needs_grad), leaves=list(LINEAR.parameters()), warn=warn
    )


def test_a_transform_is_one_node_and_its_function_a_block() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        return vmap(lambda row, s: row.sum() * y + s, in_dims=(0, None), out_dims=1)(x, x.sum())

    traced = check_replay(program, MATRIX)
    assert plain_text(traced) == (
        "graph program(%x : f32[4, 3]) -> (f32[4, 4, 3]{strides=[3, 12, 1]}):\n"
        "  %y : f32[4, 3] = aten::mul.Tensor(%x, 2)\n"
        "  %0 : f32[] = aten::sum(%x)\n"
        "  [%1 : f32[4, 4, 3]{strides=[3, 12, 1]}] = "
        'functorch::vmap(%x, %0, in_dims=[0, None], out_dims=[1], randomness="error", chunk_size=None)\n'
        "    block0(%row : f32[3], %s : f32[]):\n"
        "      %2 : f32[] = aten::sum(%row)\n"
        "      %3 : f32[4, 3] = aten::mul.Tensor(%2, %y)\n"
        "      %4 : f32[4, 3] = aten::add.Tensor(%3, %s)\n"
        "      -> (%4)\n"
        "  return (%1)"
    )
    check(program)


def test_sizes_and_items_that_a_function_closes_over_are_data() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows, columns = x.shape
        total = x.sum().item()

        def padded(row: torch.Tensor) -> torch.Tensor:
            assert columns > 1
            return row.new_zeros(columns + 1).index_put((torch.arange(columns),), row) * rows

        nested = vmap(vmap(lambda e: e * rows + columns))(x)
        return vmap(padded)(x), grad(lambda m: (m * rows * total).sum())(x), nested

    traced = check_replay(program, MATRIX)
    assert not traced.diagnostics
    assert [guard.text for guard in traced.guards] == ["x.size(1) > 1"]
    for shape in ((4, 3), (2, 5), (6, 2)):
        x = torch.randn(shape)
        for ours, theirs in zip(traced(x), program(x), strict=True):
            assert torch.equal(ours, theirs)


def test_a_size_that_leaves_its_function_is_told() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        sizes = []

        def noting(row: torch.Tensor) -> torch.Tensor:
            sizes.append(row.shape[0])
            return row * 2

        return vmap(noting)(x) + sizes[0]

    with pytest.warns(opscope.TracerWarning, match="a size is used outside the function that"):
        opscope.trace(program, MATRIX)


def test_vmap_over_containers_in_chunks_and_with_keywords() -> None:
    check(
        lambda x: vmap(lambda t: {"a": t * 2, "b": (t + 1, t.sum())}, out_dims={"a": 1, "b": 0})(x)
    )
    check(
        lambda x: vmap(lambda d: d["x"] * d["n"], in_dims=({"x": 1, "n": None},))({"x": x, "n": 3})
    )
    check(lambda x: vmap(lambda t: t.sin().sum(), chunk_size=2)(x))
    check(lambda x: vmap(lambda t, *, s: t * s)(x, s=x.sum()))
    check(lambda x: vmap(lambda t: (t * 2,), out_dims=(1,))(x))


def test_random_numbers_are_drawn_as_vmap_says() -> None:
    check(lambda x: vmap(lambda t: t + torch.randn(3), randomness="different")(x))
    check(lambda x: vmap(lambda t: nn.functional.dropout(t, 0.5), randomness="same")(x))
    check(lambda x: vmap(lambda t: t + torch.rand(3), randomness="same", chunk_size=3)(x))


def test_grad_takes_arguments_apart_by_number_and_passes_the_rest_on() -> None:
    def over_containers(x: torch.Tensor) -> Any:
        w = x.exp()
        return grad(lambda d: (d["a"] * w).sin().sum())({"a": x})

    def with_auxiliary(x: torch.Tensor) -> Any:
        return grad_and_value(lambda t: ((t**2).sum(), {"twice": t * 2}), has_aux=True)(x)

    def some(x: torch.Tensor) -> Any:
        return grad(lambda a, b, c: (a * b["x"] ** 2 * c).sum(), argnums=(-2, 0))(
            x, {"x": x + 1}, 2.0
        )

    check(over_containers)
    check(with_auxiliary)
    check(some)
    check(lambda x: grad(lambda t, s: (t * s).sum())(x, s=x))


def test_vjp_gives_a_function_whose_calls_are_nodes() -> None:
    def program(x: torch.Tensor) -> Any:
        results, pull_back = vjp(lambda a, b: (a * b, {"s": a.sin()}), x, x + 1)
        one = pull_back((torch.ones_like(x), {"s": x}))
        return results, one, pull_back((x, {"s": x}))

    traced = check(program)
    assert [node.kind for node in traced.graph.nodes(op="functorch::*")] == [
        "functorch::vjp",
        "functorch::call",
        "functorch::call",
    ]
    check(lambda x: vjp(lambda t: (t.sin(), t * 2), x, has_aux=True)[2])


def test_jvp_and_linearize() -> None:
    def linearized(x: torch.Tensor) -> Any:
        result, push_forward = linearize(lambda a: (a.sin() * a).sum(), x)
        return result, push_forward(x * 2), push_forward(x)

    check(lambda x: jvp(lambda a, b: (a.sin(), a * b), (x, x + 1), (x * 2, x)))
    check(lambda x: jvp(lambda a: (a.sin(), a * 3), (x,), (x * 2,), has_aux=True, strict=True))
    check_replay(linearized, MATRIX)


def test_jacobians_and_hessians() -> None:
    check(lambda x: jacrev(lambda a: LINEAR(a.sin()))(x[0]))
    check(lambda x: jacrev(lambda a, b: (a * b, a.sum()), argnums=(0, 1))(x[0], x[1]))
    check(lambda x: jacrev(lambda a: (a.sin() ** 2, a), has_aux=True, chunk_size=2)(x[0]))
    check(lambda x: jacrev(lambda a: a.sin() ** 2, chunk_size=1)(x[0]))
    check(lambda x: jacfwd(lambda a: (LINEAR(a.sin()), a * 2), has_aux=True)(x[0]))
    check(lambda x: jacfwd(lambda a, b: a * b, argnums=(1, 0))(x[0], x[1]))
    check(lambda x: hessian(lambda a: (a.sin() ** 3).sum())(x[0]))
    check(lambda x: vmap(hessian(lambda a: (a.sin() ** 3).sum()))(x))


def test_functionalize_takes_mutation_away_and_gives_it_back() -> None:
    def functional(x: torch.Tensor) -> Any:
        def mutating(a: torch.Tensor) -> torch.Tensor:
            b = a.clone()
            b.add_(1)
            return b.view(-1)

        return functionalize(mutating)(x), functionalize(mutating, remove="mutations_and_views")(x)

    def writing(x: torch.Tensor) -> Any:
        kept = x.clone()
        return functionalize(lambda a: a.add_(2) * 2)(kept), kept

    check(functional)
    check(writing)


def test_gradients_per_example_of_a_module() -> None:
    def program(x: torch.Tensor) -> Any:
        def loss(parameters: Any, row: torch.Tensor) -> torch.Tensor:
            return functional_call(LINEAR, parameters, (row,)).pow(2).sum()

        return vmap(grad(loss), in_dims=(None, 0))(dict(LINEAR.named_parameters()), x)

    check(program)


def test_ensembles_of_modules() -> None:
    models = [nn.Linear(3, 2) for _ in range(3)]

    def program(x: torch.Tensor) -> torch.Tensor:
        parameters, buffers = stack_module_state(models)
        result: torch.Tensor = vmap(
            lambda p, b, x: functional_call(models[0], (p, b), (x,)), in_dims=(0, 0, None)
        )(parameters, buffers, x)
        return result

    traced = opscope.trace(program, MATRIX, warn=False)
    assert torch.equal(traced(OTHER), program(OTHER))


def test_modes_around_and_inside_a_transform() -> None:
    def inside(t: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            kept = t**2
        return (t - kept * t).sum()

    def around(x: torch.Tensor) -> Any:
        with torch.no_grad():
            results, pull_back = vjp(lambda t: t.sin(), x)
            return results, pull_back(x), grad(inside)(x), vmap(grad(inside))(x)

    def in_autocast(x: torch.Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return vmap(LINEAR)(x)

    check(around)
    check(lambda x: grad(inside)(x))
    check(in_autocast)
    with torch.no_grad():
        check_gradients(around, (MATRIX,), (OTHER,))
        traced = opscope.trace(lambda x: grad(inside)(x), MATRIX)
    assert torch.equal(traced(OTHER), grad(inside)(OTHER))


def test_transforms_made_before_the_trace() -> None:
    check(lambda x: MADE_BEFORE(x))


def test_a_function_that_vjp_made_works_after_the_trace() -> None:
    kept: list[Any] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        result, pull_back = vjp(torch.sin, x)
        kept.append(pull_back)
        return result

    opscope.trace(program, MATRIX)
    assert torch.equal(kept[0](OTHER)[0], OTHER * MATRIX.cos())


def test_a_program_may_not_return_a_function_of_its_run() -> None:
    with pytest.raises(opscope.CaptureError, match="returns a function"):
        opscope.trace(lambda x: vjp(torch.sin, x), MATRIX)


def test_vectorized_derivatives_of_autograd() -> None:
    functional = torch.autograd.functional

    def batched(x: torch.Tensor) -> Any:
        leaf = x.detach().requires_grad_()
        result = leaf.sin() @ torch.ones(3, 2)
        directions = torch.stack([torch.ones(4, 2), torch.zeros(4, 2)])
        return torch.autograd.grad(result, leaf, directions, is_grads_batched=True)

    check_replay(batched, MATRIX)
    check_replay(lambda x: functional.jacobian(torch.sin, x[0], vectorize=True), MATRIX)
    check_replay(
        lambda x: functional.jacobian(torch.sin, x[0], vectorize=True, strategy="forward-mode"),
        MATRIX,
    )
    check_replay(lambda x: functional.hessian(lambda a: (a**3).sum(), x[0], vectorize=True), MATRIX)


def test_forward_derivatives_by_hand() -> None:
    forward = torch.autograd.forward_ad

    def program(x: torch.Tensor) -> Any:
        with forward.dual_level():
            dual = forward.make_dual(x, x * 2)
            return tuple(forward.unpack_dual(dual.sin() * x))

    check_replay(program, MATRIX)


def test_what_the_trace_does_not_know_of_is_an_error() -> None:
    def program(x: torch.Tensor) -> Any:
        return restore_vmap(lambda t: t * 2, (0,), 4, "error")(x)

    with pytest.raises(
        opscope.CaptureError, match="a function transform that the trace does not know"
    ):
        opscope.trace(program, MATRIX)


def test_traces_inside_traces_and_what_torch_has_after_them() -> None:
    from torch._functorch import apis, eager_transforms

    found = [
        apis.vmap_impl,
        eager_transforms.grad_impl,
        eager_transforms._vjp_with_argnums,
        eager_transforms.functionalize.__code__,
        eager_transforms.linearize.__code__,
    ]
    inner: list[opscope.TracedProgram] = []

    def program(x: torch.Tensor) -> Any:
        result, pull_back = vjp(lambda t: vmap(torch.sin)(t), x)
        return result, pull_back(x)

    def outer(x: torch.Tensor) -> Any:
        inner.append(opscope.trace(program, x))
        return program(x)

    traced = opscope.trace(outer, MATRIX)
    for candidate in (traced, inner[0]):
        actual, expected = candidate(OTHER), program(OTHER)
        assert torch.equal(actual[0], expected[0])
        assert torch.equal(actual[1][0], expected[1][0])
    assert len(traced.graph.nodes(op="functorch::vjp")) == 2
    assert found == [
        apis.vmap_impl,
        eager_transforms.grad_impl,
        eager_transforms._vjp_with_argnums,
        eager_transforms.functionalize.__code__,
        eager_transforms.linearize.__code__,
    ]


def gradient(x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = grad(lambda row: (row * 2).sin().sum())(x)
    return result


def test_what_a_transform_makes_in_a_pause_is_reported_there() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            y = gradient(x)
        return x + y

    traced = opscope.trace(program, MATRIX, warn=False)
    assert torch.equal(traced(MATRIX), MATRIX + gradient(MATRIX))
    (found,) = traced.diagnostics
    assert "made while the trace was paused is read" in found.message


def test_a_transform_in_a_helper_thread_is_reported() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        made: list[torch.Tensor] = []
        thread = threading.Thread(target=lambda: made.append(gradient(x)), name="helper")
        thread.start()
        thread.join()
        return x + made[0]

    traced = opscope.trace(program, MATRIX, warn=False)
    assert torch.equal(traced(MATRIX), MATRIX + gradient(MATRIX))
    messages = [found.message for found in traced.diagnostics]
    assert any(m.startswith("grad runs in thread helper on a tensor of this") for m in messages)


def test_a_check_runs_blocks_too() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))
        return y + gradient(x)

    traced = opscope.trace(program, MATRIX)
    assert traced.check((MATRIX,), (-MATRIX,), (OTHER,)).ok


@pytest.mark.parametrize(
    "program",
    [
        lambda x: vmap(lambda row: row * x.shape[0])(x),
        lambda x: vmap(lambda row, n: row * n, in_dims=(0, None))(x, x.shape[1]),
        lambda x: vmap(lambda row: vmap(lambda t: t * x.shape[0] + row.shape[0])(row))(x),
        lambda x: vmap(lambda row: row / (x.shape[0] + 1) ** 0.5)(x),
        lambda x: grad(lambda t: (t * x.shape[0]).sin().sum())(x),
        lambda x: jvp(lambda t: t * x.numel(), (x,), (x,)),
        lambda x: vjp(lambda t: t * x.shape[1], x)[1](x),
        lambda x: jacfwd(lambda t: t.sin() * x.shape[1])(x),
        lambda x: functionalize(lambda t: (t + x.shape[0]).mul_(x.shape[1]))(x),
        lambda x: (lambda y: vmap(lambda row: row + y.shape[0])(x))(x.repeat(2, 1)),
    ],
)
def test_numbers_from_around_a_function_are_data_inside_it(program: Callable[..., Any]) -> None:
    traced = opscope.trace(program, MATRIX)
    assert not traced.diagnostics
    for rows, columns in ((4, 3), (2, 5), (1, 1)):
        x = torch.randn(rows, columns)
        for actual, expected in zip(
            pytree.tree_leaves(traced(x)), pytree.tree_leaves(program(x)), strict=True
        ):
            assert torch.equal(actual, expected)
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)


def test_an_item_from_around_a_function_is_data_inside_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        factor = x.sum().item()
        return vmap(lambda row: row * factor)(x)

    traced = opscope.trace(program, MATRIX)
    assert not traced.diagnostics
    assert torch.equal(traced(OTHER), program(OTHER))


def test_a_number_that_leaves_its_function_says_so() -> None:
    sizes: list[int] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        y = vmap(lambda row: (sizes.append(row.shape[0]), row * 2)[1])(x)  # type: ignore[func-returns-value]
        return y + sizes.pop()

    traced = opscope.trace(program, MATRIX, warn=False)
    (found,) = traced.diagnostics
    assert "is used outside the function that computed it; it was 3" in found.message


def test_a_traced_program_is_called_inside_a_transform() -> None:
    inner = opscope.trace(lambda t: (t.sin() * t.shape[0]).sum(), torch.ones(3))

    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return vmap(lambda row: inner(row) + row)(x), grad(lambda t: inner(t) * 2)(x[0])

    traced = check_replay(program, MATRIX)
    for actual, expected in zip(traced(OTHER), program(OTHER), strict=True):
        assert torch.equal(actual, expected)


def test_what_a_transform_writes_is_written_by_its_replay() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return vmap(lambda row: row.mul_(2))(x.view(-1)), x

    traced = opscope.trace(program, MATRIX.clone())
    assert not traced.diagnostics
    ours, theirs = OTHER.clone(), OTHER.clone()
    for actual, expected in zip(traced(ours), program(theirs), strict=True):
        assert torch.equal(actual, expected)


def test_a_transform_adds_no_condition_of_its_own() -> None:
    def program(x: torch.Tensor) -> Any:
        return (
            vmap(grad(lambda row: row.sin().sum()))(x),
            vjp(torch.sin, x)[1](x),
            jacrev(torch.sin)(x),
        )

    assert opscope.trace(program, MATRIX).guards == ()


@pytest.mark.parametrize(
    "program",
    [
        lambda x: jacobian(lambda t: t.sin().sum(0), x, vectorize=True),
        lambda x: jacobian(torch.sin, x, vectorize=True, strategy="forward-mode"),
    ],
)
def test_sizes_are_held_that_autograd_keeps_inside_a_vmap(program: Callable[..., Any]) -> None:
    traced = opscope.trace(program, MATRIX)
    assert torch.equal(traced(OTHER), program(OTHER))
    with pytest.raises(opscope.GuardError, match=r"x\.size\(0\) == 4"):
        traced(torch.ones(5, 3))


def test_a_transform_inside_a_custom_function_sees_what_is_around_it() -> None:
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return vmap(lambda row: row * y.sum())(x)

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            return gradient, None

    traced = opscope.trace(lambda x: Scaled.apply(x, x * 2), MATRIX)
    assert "constant %constant" not in str(traced.graph)
    assert not traced.diagnostics


def test_a_module_called_with_other_parameters_inside_a_transform_has_not_changed() -> None:
    parameters = dict(LINEAR.named_parameters())

    def program(x: torch.Tensor) -> Any:
        return grad(lambda given: functional_call(LINEAR, given, (x,)).sum())(parameters)

    assert not opscope.trace(program, MATRIX).diagnostics


def test_what_a_transform_did_before_it_raised_is_reported() -> None:
    def failing(row: torch.Tensor) -> torch.Tensor:
        row.mul_(2)
        raise ValueError("too late")

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 1
        with suppress(ValueError):
            vmap(failing)(y)
        return y

    with pytest.warns(opscope.TracerWarning, match="vmap raised ValueError after its function had"):
        opscope.trace(program, MATRIX)
