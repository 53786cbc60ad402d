"""Custom autograd functions are one node with their forward, and replay with their own backward."""

from __future__ import annotations

import functools
import gc
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.autograd import Function, forward_ad
from torch.autograd.function import (
    FunctionCtx,
    _is_setup_context_defined,
    _SingleLevelFunction,
    once_differentiable,
)
from torch.testing._internal.autograd_function_db import autograd_function_db
from torch.utils.checkpoint import checkpoint

import opscope
from opscope.tracer.dispatch.dispatcher import kernels
from opscope.tracer.patches.functions import functions
from support.replays import plain_text, tensors_of


def gradients(
    function: Callable[..., Any], args: Sequence[Any], orders: int = 2
) -> list[torch.Tensor]:
    """Return a program's tensors, and their gradients up to an order, at fresh copies of ``args``."""
    args = [_fresh(arg) for arg in args]
    leaves = [part for part in tensors_of(args) if part.requires_grad]
    results = tensors_of(function(*args))
    found = [*results, *tensors_of(args)]
    for order in range(1, orders + 1):
        roots = [part for part in results if part.requires_grad]
        if not roots or not leaves:
            break
        weights = [torch.linspace(0.5, 2, part.numel()).to(part.dtype) for part in roots]
        total = sum((p.flatten() * w).sum() for p, w in zip(roots, weights, strict=True))
        results = [
            part
            for part in torch.autograd.grad(
                total, leaves, create_graph=order < orders, allow_unused=True
            )
            if part is not None
        ]
        found += results
    return found


def _fresh(arg: Any) -> Any:
    if isinstance(arg, torch.Tensor):
        return arg.detach().clone().requires_grad_(arg.requires_grad)
    if type(arg) in (list, tuple):
        return type(arg)(map(_fresh, arg))
    return {key: _fresh(part) for key, part in arg.items()} if type(arg) is dict else arg


def check_gradients(
    function: Callable[..., Any], *args: Any, orders: int = 2, warn: bool = True
) -> opscope.TracedProgram:
    """Trace, replay and run eagerly; values and gradients must agree bit by bit."""
    other = [_other(arg) for arg in args]
    expected = gradients(function, args, orders)
    traced = opscope.trace(function, tuple(map(_fresh, args)), warn=warn)
    for given in (args, other):
        expected = gradients(function, given, orders)
        actual = gradients(traced, given, orders)
        assert len(actual) == len(expected)
        for one, another in zip(actual, expected, strict=True):
            assert torch.equal(one, another)
            assert one.requires_grad == another.requires_grad
    opscope.verify(traced.graph)
    parsed = opscope.parse(str(traced.graph))
    assert str(parsed) == str(traced.graph)
    assert [node.effects for node in parsed.walk()] == [n.effects for n in traced.graph.walk()]
    assert str(traced.graph.copy()) == str(traced.graph)
    return traced


def _other(arg: Any) -> Any:
    """Return other data of the same structure, so that nothing of the trace's own run is enough."""
    if isinstance(arg, torch.Tensor) and arg.is_floating_point():
        return (arg.detach() * 0.75 + 0.125).requires_grad_(arg.requires_grad)
    if type(arg) in (list, tuple):
        return type(arg)(map(_other, arg))
    return {key: _other(part) for key, part in arg.items()} if type(arg) is dict else arg


def leaf(*sizes: int) -> torch.Tensor:
    return torch.randn(*sizes, requires_grad=True)


class Scaled(Function):
    """Cubes, with a gradient that no operator of the forward would give."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: float) -> torch.Tensor:
        squared = x * x
        ctx.save_for_backward(x)
        ctx.factor = factor
        return squared * x * factor

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return gradient * x * x * 5 * ctx.factor, None


apply_scaled = Scaled.apply  # as programs keep it, from before any trace


def test_a_call_is_one_node_that_shows_its_forward() -> None:
    traced = check_gradients(lambda x: apply_scaled(x + 1, 2.0).sin(), leaf(3))
    assert plain_text(traced) == (
        "graph function(%x : f32[3]{grad}) -> (f32[3]{grad}):\n"
        "  constant %Scaled : object\n"
        "  %0 : f32[3]{grad} = aten::add.Tensor(%x, 1)\n"
        "  %1 : f32[3]{grad} = prim::autograd_function(%Scaled, %0, 2.0)\n"
        "    block0():\n"
        "      mode no_grad\n"
        "      %squared : f32[3] = aten::mul.Tensor(%0, %0)\n"
        "      %2 : f32[3] = aten::mul.Tensor(%squared, %0)\n"
        "      %3 : f32[3] = aten::mul.Tensor(%2, 2.0)\n"
        "      -> (%3)\n"
        "  mode grad\n"
        "  %4 : f32[3]{grad} = aten::sin(%1)\n"
        "  return (%4)"
    )
    assert not traced.diagnostics
    assert traced.state["Scaled"] is Scaled


def test_the_node_stands_where_the_user_called_it() -> None:
    traced = opscope.trace(lambda x: Scaled.apply(x, 1.0), leaf(2))
    node = traced.graph.nodes(op="prim::autograd_function")[0]
    assert node.source is not None
    assert node.source.file.endswith("test_autograd_functions.py")
    assert "Scaled.apply(x, 1.0)" in node.source.underlined()


@pytest.mark.parametrize("info", autograd_function_db, ids=lambda info: info.name)
def test_torchs_own_collection(info: Any) -> None:
    torch.manual_seed(0)
    for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True):
        args = (sample.input, *sample.args)
        with warnings.catch_warnings():
            if info.name == "NumpyCubeNotComposableAutogradFunction":
                warnings.simplefilter("ignore", opscope.TracerWarning)  # it returns an array too
            orders = 2 if info.supports_fwgrad_bwgrad or "Take" in info.name else 1
            traced = check_gradients(info.op, *args, orders=orders)
        assert len(traced.graph.nodes(op="prim::autograd_function")) >= 1


def test_the_collections_in_place_variant() -> None:
    info = next(info for info in autograd_function_db if "MarkDirty" in info.name)
    sample = next(iter(info.sample_inputs("cpu", torch.float64, requires_grad=True)))
    traced = check_gradients(lambda x: info.inplace_variant(x * 1) + x, sample.input)
    (node,) = traced.graph.nodes(op="prim::autograd_function")
    assert node.argument("dirty") == (0,)
    assert node.argument("setup_context") is True


class InPlace(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
        x.mul_(2)
        ctx.mark_dirty(x)
        return x, y + 1

    @staticmethod
    def backward(ctx: Any, one: torch.Tensor, other: torch.Tensor) -> Any:
        return one * 7, other * 3


def test_a_tensor_written_in_place_is_the_same_tensor_afterwards() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> Any:
        written = x * 1
        view = written.view(-1)
        result, other = InPlace.apply(written, y)
        assert result is written
        return view + 0, written * other, result

    traced = check_gradients(program, leaf(2, 3), leaf(2, 3))
    (node,) = traced.graph.nodes(op="prim::autograd_function")
    assert node.argument("dirty") == (0,)
    assert node.argument("non_differentiable") == ()


class Sorted(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> Any:
        values, order = x.sort()
        rank = order.to(x.dtype)
        ctx.mark_non_differentiable(order, rank)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(order)
        return values, order, rank

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Any, _order: None, rank: None) -> Any:
        assert rank is None
        (order,) = ctx.saved_tensors
        return torch.zeros_like(gradient).scatter(0, order, gradient)


def test_flags_are_read_from_the_node() -> None:
    traced = check_gradients(lambda x: Sorted.apply(x), leaf(5), orders=1)
    (node,) = traced.graph.nodes(op="prim::autograd_function")
    assert node.kwargs == {
        "non_differentiable": (1, 2),
        "materialize_grads": False,
        "once_differentiable": True,
    }
    assert "once_differentiable=True" in str(traced.graph)
    assert node.argument("generate_vmap_rule") is False
    values, order, rank = traced(leaf(5))
    assert [values.requires_grad, order.requires_grad, rank.requires_grad] == [True, False, False]
    squared = opscope.trace(lambda x: Sorted.apply(x)[0] ** 2, leaf(5))
    x = leaf(5)
    (gradient,) = torch.autograd.grad(squared(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


class Passed(Function):
    """Gives its arguments back: autograd makes views of them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
        ctx.mark_non_differentiable(y)
        return x, y

    @staticmethod
    def backward(ctx: Any, one: torch.Tensor, other: torch.Tensor) -> Any:
        return one * 9, None


def test_arguments_given_back() -> None:
    traced = check_gradients(lambda x, y: [r * x for r in Passed.apply(x, y)], leaf(3), leaf(3))
    (node,) = traced.graph.nodes(op="prim::autograd_function")
    assert node.argument("dirty") == ()
    assert node.argument("non_differentiable") == (1,)


class Outer(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return Scaled.apply(x, 3.0) + 1

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return Scaled.apply(x * gradient, 0.5)


def test_functions_inside_functions() -> None:
    traced = check_gradients(lambda x: Outer.apply(x) * x, leaf(3))
    outer, inner = traced.graph.nodes(op="prim::autograd_function")
    assert inner.block is outer.blocks[0]


class Pair(NamedTuple):
    first: torch.Tensor
    second: Any


class Nested(Function):
    """Takes and gives containers, objects and None; autograd follows tensors at the top alone."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, sizes: Any, batch: dict[str, Any], pair: Pair, mode: Any
    ) -> Any:
        assert (type(sizes), type(pair), type(batch)) == (tuple, Pair, dict)
        y = x.reshape(sizes) + batch["items"][0] * batch["by"] + pair.first
        return y, None, [y * 2, mode], mode

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, *others: None) -> Any:
        return gradient.reshape(-1) * 4, None, None, None, None


def test_containers_objects_and_none() -> None:
    mode = object()

    def program(x: torch.Tensor, y: torch.Tensor) -> Any:
        batch = {"items": [y * 2, "a"], "by": 3}
        result, nothing, (doubled, inside), same = Nested.apply(x, (2, 2), batch, Pair(y, 1), mode)
        assert nothing is None
        assert inside is same is mode
        return result * x.sum(), doubled + 1

    traced = check_gradients(program, leaf(4), leaf(2, 2))
    text = plain_text(traced)
    assert (
        'prim::autograd_function(%Nested, %x, [2, 2], [[%0, "a"], 3], [%y, 1], %object, '
        "structure=%structure)" in text
    )


class Defaults(Function):
    @staticmethod
    def forward(x: torch.Tensor, power: int = 2) -> torch.Tensor:
        return x**power

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient * ctx.saved_tensors[0] * 11, None


def test_arguments_by_name_and_by_default() -> None:
    traced = check_gradients(
        lambda x: Defaults.apply(x) + Defaults.apply(x=x, power=3), leaf(3), orders=1
    )
    text = plain_text(traced)
    assert "(%Defaults, %x, 2, setup_context=True)" in text
    assert "(%Defaults, %x, 3, setup_context=True)" in text


def test_arguments_by_name_of_a_forward_that_takes_its_context() -> None:
    traced = check_gradients(
        lambda x: Scaled.apply(x, factor=2.0) + apply_scaled(factor=3.0, x=x.sin()), leaf(3)
    )
    text = plain_text(traced)
    assert "prim::autograd_function(%Scaled, %x, 2.0)" in text
    assert "prim::autograd_function(%Scaled, %3, 3.0)" in text


@pytest.mark.parametrize("named", [{"x": 1.0}, {"scale": 2.0}, {"factor": 2.0, "other": 1}])
def test_arguments_that_apply_refuses_are_refused_as_without_a_trace(named: Any) -> None:
    with pytest.raises(TypeError) as eager:
        Scaled.apply(leaf(2), **named)
    with pytest.raises(TypeError) as traced:
        opscope.trace(lambda x: Scaled.apply(x, **named), leaf(2))
    assert str(traced.value) == str(eager.value)


def test_a_program_that_asks_which_functions_have_a_setup_context_gets_the_truth() -> None:
    seen: list[bool] = []

    def program(x: torch.Tensor) -> Any:
        for function in (Scaled, Defaults):
            seen.append(function.setup_context != Function.setup_context)
            seen.append(_is_setup_context_defined(function.setup_context))
        with pytest.raises(NotImplementedError):
            Scaled.setup_context(None, (), None)
        return Scaled.apply(x, 2.0)

    opscope.trace(program, leaf(2))
    assert seen == [False, False, True, True]


class NeedsInput(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        _, y = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False)
        return gradient * y * 2, None


def test_needs_input_grad_is_that_of_the_replay() -> None:
    check_gradients(NeedsInput.apply, leaf(3), torch.randn(3))


def test_under_no_grad_and_inference_mode() -> None:
    def program(x: torch.Tensor) -> Any:
        with torch.no_grad():
            first = Scaled.apply(x, 2.0)
        with torch.inference_mode():
            second = Scaled.apply(x, 2.0)
        return first + x, second.clone()

    check_gradients(program, leaf(3))
    traced = opscope.trace(lambda x: Scaled.apply(x, 2.0), leaf(3))
    with torch.no_grad():
        assert not traced(leaf(3)).requires_grad


def test_under_autocast() -> None:
    class Product(Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu")
        def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x, y)
            return x @ y

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            x, y = ctx.saved_tensors
            return gradient @ y.T, x.T @ gradient

    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return Product.apply(x, y)

    check_gradients(program, leaf(3, 3), leaf(3, 3), orders=1)


def test_saved_tensor_hooks_see_the_replay() -> None:
    traced = opscope.trace(lambda x: Scaled.apply(x, 2.0), leaf(3))
    packed: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        packed.append(tensor)
        return tensor

    x = leaf(3)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        traced(x)
    assert len(packed) == 1
    assert torch.equal(packed[0], x)


class Layer(nn.Module):
    """A function that reads a parameter of its module without being given it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        layer = self

        class Weighted(Function):
            @staticmethod
            def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
                return x * layer.weight

            @staticmethod
            def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
                return gradient * layer.weight * 2

        self.function = Weighted

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function.apply(x)


def test_state_that_a_forward_reads_is_live() -> None:
    layer = Layer()
    traced = check_gradients(layer, leaf(3))
    assert not traced.diagnostics
    assert "state %weight" in str(traced.graph)
    with torch.no_grad():
        layer.weight.mul_(3)
    x = leaf(3)
    assert torch.equal(traced(x), layer(x))


def test_a_tensor_of_the_run_in_a_closure_dissolves_the_node() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        mask = (x > 0) * 2.0

        class Masked(Function):
            @staticmethod
            def forward(ctx: Any, y: torch.Tensor) -> torch.Tensor:
                return y * mask

            @staticmethod
            def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
                return gradient * mask

        return Masked.apply(x)

    with pytest.warns(opscope.TracerWarning, match="not among its arguments"):
        traced = opscope.trace(program, leaf(4))
    assert not traced.graph.nodes(op="prim::autograd_function")
    (found,) = traced.diagnostics
    assert found.kind.value == "custom backward"
    assert found.source is not None
    assert "Masked.apply(x)" in found.source.underlined()
    x = leaf(4)
    assert torch.equal(traced(x), program(x))
    with warnings.catch_warnings():  # no gradient is asked for, so none is missing
        warnings.simplefilter("error")
        check_gradients(program, torch.randn(4))


def test_a_backward_inside_the_trace_reads_what_the_forward_made() -> None:
    class Kept(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.root = x.sqrt()
            return ctx.root * 2

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient / ctx.root

    def step(x: torch.Tensor) -> torch.Tensor:
        loss = Kept.apply(x).sum()
        (gradient,) = torch.autograd.grad(loss, x)
        return gradient

    traced = check_gradients(step, torch.rand(3).add(1).requires_grad_())
    assert not traced.graph.nodes(op="prim::autograd_function")
    assert "aten::sqrt" in str(traced.graph)
    assert not traced.diagnostics


def test_a_backward_inside_the_trace_that_reads_arguments_leaves_the_node_whole() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(Scaled.apply(x, 2.0).sum(), x)
        return gradient

    traced = check_gradients(step, leaf(3))
    assert len(traced.graph.nodes(op="prim::autograd_function")) == 1


def test_a_tensor_that_escapes_two_forwards_dissolves_both() -> None:
    kept: list[torch.Tensor] = []

    class Inner(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            kept[:] = [x.exp()]
            return kept[0] + 1

    class Around(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return Inner.apply(x * 2) + 1

    traced = check_gradients(lambda x: (Around.apply(x), kept[0] + 0), torch.randn(3), warn=False)
    assert "prim" not in plain_text(traced)
    assert not traced.diagnostics


def test_a_forward_that_raises_leaves_what_it_did() -> None:
    class Failing(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            y.add_(x)
            raise ValueError("not today")

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        with pytest.raises(ValueError, match="not today"):
            Failing.apply(x, y)
        return y

    traced = check_gradients(program, torch.randn(3))
    assert "aten::add_" in plain_text(traced)
    assert not opscope.is_tracing()


def test_data_that_stays_inside_is_no_concern_and_data_that_leaves_is() -> None:
    class Counted(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> Any:
            count = int((x > 0).sum())
            return x * count, count

    traced = check_gradients(lambda x: Counted.apply(x)[0], torch.randn(5), warn=False)
    assert [found.kind.value for found in traced.diagnostics] == ["data read"]
    assert "returned, besides tensors, an object of class int" in traced.diagnostics[0].message

    class Inside(Counted):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> Any:
            return x * int((x > 0).sum())

    assert not check_gradients(Inside.apply, torch.randn(5)).diagnostics


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoints(use_reentrant: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Tanh())

    def program(x: torch.Tensor) -> torch.Tensor:
        return checkpoint(model, x, use_reentrant=use_reentrant) * 2

    def run(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Any:
        torch.manual_seed(3)
        x = x.clone().requires_grad_()
        model.zero_grad()
        result = function(x)
        result.pow(2).sum().backward()
        return [result, x.grad, *[p.grad for p in model.parameters()]]

    traced = opscope.trace(program, leaf(2, 4))
    assert not traced.diagnostics
    assert "%model.0.weight" in str(traced.graph)
    for x in (torch.randn(2, 4), torch.ones(2, 4)):
        for one, other in zip(run(traced, x), run(program, x), strict=True):
            assert torch.equal(one, other)


def test_a_reentrant_checkpoint_whose_function_holds_tensors_of_the_run() -> None:
    def block(x: torch.Tensor, *, mask: torch.Tensor) -> torch.Tensor:
        return (x * mask).exp()

    def program(x: torch.Tensor) -> torch.Tensor:
        masks = [x.detach().abs() + 1]
        y = checkpoint(lambda y: (y * masks[0]).sin(), x * 2, use_reentrant=True)
        return checkpoint(functools.partial(block, mask=masks[0]), y, use_reentrant=True)

    def run(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Any:
        x = x.clone().requires_grad_()
        result = function(x)
        result.sum().backward()
        return [result, x.grad]

    traced = opscope.trace(program, leaf(4))
    assert not traced.diagnostics
    assert len(traced.graph.nodes(op="prim::autograd_function")) == 2
    x = torch.randn(4)
    for one, other in zip(run(traced, x), run(program, x), strict=True):
        assert torch.equal(one, other)


def test_a_reentrant_checkpoint_of_a_method_over_a_tensor_of_the_run() -> None:
    class Block(nn.Module):
        def remember(self, x: torch.Tensor) -> None:
            self.mask = x > 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.mask

    block = Block()

    def program(x: torch.Tensor) -> torch.Tensor:
        block.remember(x)
        return checkpoint(block, x, use_reentrant=True)

    with (
        pytest.warns(opscope.TracerWarning, match="CheckpointFunction reads a tensor of this run"),
        pytest.warns(opscope.TracerWarning, match=r"block\.mask is new"),
    ):
        traced = opscope.trace(program, leaf(4))
    x = leaf(4)
    assert torch.equal(traced(x), program(x))
    found = next(d for d in traced.diagnostics if d.kind.value == "custom backward")
    assert found.source is not None
    assert "checkpoint(" in found.source.underlined()


def test_modules_with_backward_hooks() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    seen: list[str] = []
    model[0].register_full_backward_hook(lambda *_: seen.append("backward"))
    model[1].register_full_backward_pre_hook(lambda *_: seen.append("before"))
    with pytest.warns(opscope.TracerWarning, match="a backward hook of Linear"):
        traced = check_gradients(model, leaf(2, 3))
    assert seen
    assert "prim::autograd_function" not in str(traced.graph)
    assert plain_text(traced).count("aten::view_as") == 4


def test_two_traces_at_once_record_the_same() -> None:
    inner: list[opscope.TracedProgram] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        inner.append(opscope.trace(lambda y: Sorted.apply(y)[0], x))
        return inner[0].graph and x * 2

    outer = opscope.trace(program, leaf(3))
    one = inner[0].graph.nodes(op="prim::autograd_function")
    two = outer.graph.nodes(op="prim::autograd_function")
    assert [node.kwargs for node in one] == [node.kwargs for node in two]


def test_a_function_with_an_apply_of_its_own() -> None:
    class Doubling(Function):
        @classmethod
        def apply(cls, x: torch.Tensor) -> Any:
            return super().apply(x * 2)

        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x + 1

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient * 3

    check_gradients(lambda x: Doubling.apply(x), leaf(3))


def test_forward_mode_goes_through_the_functions_own_jvp() -> None:
    class Squared(Function):
        @staticmethod
        def forward(x: torch.Tensor) -> torch.Tensor:
            return x**2

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor) -> torch.Tensor:
            return tangent * 5

    def program(x: torch.Tensor, tangent: torch.Tensor) -> Any:
        dual = forward_ad.make_dual(x, tangent)
        return tuple(forward_ad.unpack_dual(Squared.apply(dual)))

    with forward_ad.dual_level():
        traced = opscope.trace(program, (torch.randn(3), torch.randn(3)))
        x, tangent = torch.randn(3), torch.randn(3)
        actual, expected = traced(x, tangent), program(x, tangent)
    assert len(traced.graph.nodes(op="prim::autograd_function")) == 1
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def test_results_are_named_by_the_callers_function() -> None:
    state = opscope.TracingState(opscope.Graph())
    state.lookup_var_name_fn = lambda tensor: f"made.{tensor.dim()}"
    with opscope.tracing(state):
        Scaled.apply(torch.randn(3), 1.0)
    (node,) = state.graph.nodes(op="prim::autograd_function")
    assert node.output.name == "made.1"


def test_nothing_of_the_patches_stays() -> None:
    places = (FunctionCtx, _SingleLevelFunction, Function, torch.autograd.function)
    before = [dict(vars(place)) for place in places]
    opscope.trace(lambda x: Scaled.apply(x, 1.0), leaf(2))
    assert [dict(vars(place)) for place in places] == before


def test_a_wrapper_that_somebody_put_around_apply_is_passed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = vars(Function)["apply"]
    seen: list[Any] = []

    def apply(cls: Any, *args: Any) -> Any:
        seen.append(cls)
        return before.__get__(None, cls)(*args)

    monkeypatch.setattr(Function, "apply", classmethod(apply))
    traced = opscope.trace(lambda x: Scaled.apply(x, 2.0) + apply_scaled(x, 3.0), leaf(3))
    assert seen == [Scaled]
    assert len(traced.graph.nodes(op="prim::autograd_function")) == 2


def test_a_torch_that_applies_functions_in_another_way_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_bind_default_args", "_call_custom_function_call"):
        monkeypatch.delattr(torch.autograd.function, name, raising=False)
    monkeypatch.setattr(Function, "apply", staticmethod(lambda: None))
    with pytest.raises(opscope.UnsupportedTorchError, match="custom autograd functions"):
        list(functions(kernels()))


def test_functions_under_transforms_run_as_they_do_untraced() -> None:
    info = next(info for info in autograd_function_db if info.name.startswith("MulGenVmap"))
    x = torch.randn(3, 4)
    seen: list[torch.Tensor] = []
    opscope.trace(lambda x: seen.append(torch.func.vmap(info.op)(x, x)), x, warn=False)
    assert torch.equal(seen[0], x * x)


class Folded(Function):
    """Takes sizes, in all the forms in which programs pass them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, rows: int, shape: torch.Size, sizes: Any) -> Any:
        ctx.shape = shape
        assert isinstance(shape, torch.Size)
        return x.reshape(rows, -1).sum(0) * shape.numel() + x.new_ones(sizes[0]).sum()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient.sum().expand(ctx.shape) * 3, None, None, None


def test_sizes_given_to_a_function_are_those_of_the_replay() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = Folded.apply(x, x.shape[0], x.shape, [x.size(1) + 1, 2])
        return y.reshape(y.shape[0], 1)

    traced = check_gradients(program, leaf(2, 3))
    assert not traced.diagnostics
    for sizes in ((2, 3), (5, 4), (1, 7)):
        x = leaf(*sizes)
        for one, other in zip(gradients(traced, [x]), gradients(program, [x]), strict=True):
            assert torch.equal(one, other)


def test_a_size_of_a_result_that_depends_on_data_is_read_at_the_replay() -> None:
    class Positive(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x[x > 0]

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            return None

    traced = opscope.trace(
        lambda x: torch.zeros(Positive.apply(x).shape[0]), torch.tensor([1.0, -1.0, 2.0])
    )
    assert traced(torch.tensor([1.0, 1.0, 2.0])).shape == (3,)
    assert traced(torch.tensor([-1.0, 1.0, -2.0])).shape == (1,)


def test_a_number_that_leaves_a_forward_is_reported_and_what_stays_inside_is_no_guard() -> None:
    class Halved(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> Any:
            total = x.sum().item()
            if total > 0:
                x = x * 2
            ctx.mark_non_differentiable(x)
            return x * total, total

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return None

    def program(x: torch.Tensor) -> torch.Tensor:
        y, total = Halved.apply(x)
        return y + torch.full((2,), 1.0) * total

    traced = opscope.trace(program, torch.ones(2), warn=False)
    assert traced.diagnostics
    assert {found.kind.value for found in traced.diagnostics} == {"data read"}
    assert not traced.guards
    opscope.verify(traced.graph)
    inside = opscope.trace(lambda x: Halved.apply(x)[0], torch.ones(2), warn=False)
    assert torch.equal(inside(-torch.ones(2)), torch.full((2,), 2.0))


def test_a_size_that_a_forward_closes_over_is_a_guard() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows = x.shape[0]

        class Reshaped(Function):
            @staticmethod
            def forward(ctx: Any, y: torch.Tensor) -> torch.Tensor:
                return y.reshape(rows, -1) * 2

            @staticmethod
            def backward(ctx: Any, gradient: torch.Tensor) -> Any:
                return gradient * 3

        return Reshaped.apply(x)

    traced = check_gradients(program, leaf(2, 3))
    with pytest.raises(opscope.GuardError, match=r"size\(0\) == 2"):
        traced(leaf(4, 3))
    assert torch.equal(traced(x := leaf(2, 5)), x * 2)


def test_a_checkpointed_closure_over_sizes_replays_at_other_sizes() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows = x.shape[0]
        return checkpoint(lambda y: y.reshape(rows, -1).sin(), x.flatten(), use_reentrant=True)

    traced = opscope.trace(program, leaf(2, 3))
    assert not traced.guards
    x = leaf(4, 5)
    assert torch.equal(traced(x), program(x))


def test_a_trace_holds_not_what_a_forward_made_and_lets_go_of_the_model() -> None:
    made: list[weakref.ref[torch.Tensor]] = []
    seen: list[bool] = []

    class Watched(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, sizes: Any) -> torch.Tensor:
            inner = x * 2
            made.append(weakref.ref(inner))
            return inner + 1

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            return gradient, None

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = Watched.apply(x, [1])
            made.append(weakref.ref(y))
            y = y * 2
            seen.extend(reference() is None for reference in made)
            return y

    model = Model()
    gone = weakref.ref(model)
    gc.collect()
    gc.disable()
    try:
        traced = opscope.trace(model, torch.ones(3))
        assert torch.equal(traced(torch.ones(3)), torch.full((3,), 6.0))
        del model, traced
        assert gone() is None
    finally:
        gc.enable()
    assert seen == [True, True]
