"""Writes in place that become new tensors, and those that stay."""

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from torch import nn

import opscope
from opscope.passes.remove_mutation import RemoveMutation
from opscope.runtime import torch_literal
from opscope.testing import check_pass
from opscope.tracer import MetaFacts
from support.functional import assert_same
from support.random_writes import COMPUTED, VIEWS, WRITES, Program
from support.replays import tensors_of

PASS = RemoveMutation(MetaFacts(torch_literal))


def test_a_write_to_a_fresh_tensor_becomes_a_new_one_under_all_its_names() -> None:
    result = check_pass(
        PASS,
        before="""
            graph(%x : f32[2, 3]) -> (f32[2, 3], f32[2, 3], f32[2, 3]):
              %y : f32[2, 3] = aten::mul.Tensor(%x, %x)
              %s : f32[2, 3] = aten::add.Tensor(%y, 1)
              %z : f32[2, 3] = aten::add_.Tensor(%y, 2)
              %w : f32[2, 3] = aten::relu_(%z)
              return (%y, %z, %s)
        """,
        after="""
            graph(%x : f32[2, 3]) -> (f32[2, 3], f32[2, 3], f32[2, 3]):
              %y : f32[2, 3] = aten::mul.Tensor(%x, %x)
              %s : f32[2, 3] = aten::add.Tensor(%y, 1)
              %z : f32[2, 3] = aten::add.Tensor(%y, 2)
              %w : f32[2, 3] = aten::relu(%z)
              return (%w, %w, %s)
        """,
    )
    assert result.stats == {"removed": 2}


def test_what_may_be_broadcast_is_expanded_so_that_what_does_not_fit_fails_as_before() -> None:
    check_pass(
        PASS,
        before="""
            graph(%x : f32[2, 3], %w : f32[3], %n : f32[]) -> (f32[2, 3]):
              %y : f32[2, 3] = aten::neg(%x)
              %z : f32[2, 3] = aten::add_.Tensor(%y, %w)
              %u : f32[2, 3] = aten::mul_.Tensor(%z, %n)
              return (%u)
        """,
        after="""
            graph(%x : f32[2, 3], %w : f32[3], %n : f32[]) -> (f32[2, 3]):
              %y : f32[2, 3] = aten::neg(%x)
              %0 : f32[2, 3]{strides=[0, 1]} = aten::expand_as(%w, %y)
              %z : f32[2, 3] = aten::add.Tensor(%y, %0)
              %u : f32[2, 3] = aten::mul.Tensor(%z, %n)
              return (%u)
        """,
    )


def test_autograd_may_save_what_a_removed_write_reads() -> None:
    check_pass(
        PASS,
        before="""
            graph(%x : f32[2], %a : f32[2]) -> (f32[2], f32[2]):
              %y : f32[2] = aten::neg(%x)
              %w : f32[2] = aten::clone(%x)
              %u : f32[2] = aten::addcmul_(%w, %y, %a)
              %r : f32[2] = aten::relu_(%y)
              return (%u, %r)
        """,
        after="""
            graph(%x : f32[2], %a : f32[2]) -> (f32[2], f32[2]):
              %y : f32[2] = aten::neg(%x)
              %w : f32[2] = aten::clone(%x)
              %0 : f32[2] = aten::expand_as(%a, %w)
              %1 : f32[2] = aten::expand_as(%y, %w)
              %u : f32[2] = aten::addcmul(%w, %1, %0)
              %r : f32[2] = aten::relu_(%y)
              return (%u, %r)
        """,
    )


def test_reads_inside_blocks_and_functions_are_seen_to() -> None:
    check_pass(
        PASS,
        before="""
            graph(%c : bool[], %x : f32[2]) -> (f32[2]):
              [%r : f32[2]] = higher_order::cond(%c, [%x])
                block0(%a : f32[2]):
                  %b : f32[2] = aten::neg(%a)
                  %d : f32[2] = aten::relu_(%b)
                  %e : f32[2] = aten::exp(%b)
                  -> (%e)
                block1(%a : f32[2]):
                  %b : f32[2] = aten::clone(%a)
                  -> (%b)
              %y : f32[2] = prim::call(@f, %r)
              return (%y)

            function f(%a : f32[2]) -> (f32[2]):
              %b : f32[2] = aten::neg(%a)
              %d : f32[2] = aten::relu_(%b)
              return (%b)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]) -> (f32[2]):
              [%r : f32[2]] = higher_order::cond(%c, [%x])
                block0(%a : f32[2]):
                  %b : f32[2] = aten::neg(%a)
                  %d : f32[2] = aten::relu(%b)
                  %e : f32[2] = aten::exp(%d)
                  -> (%e)
                block1(%a : f32[2]):
                  %b : f32[2] = aten::clone(%a)
                  -> (%b)
              %y : f32[2] = prim::call(@f, %r)
              return (%y)

            function f(%a : f32[2]) -> (f32[2]):
              %b : f32[2] = aten::neg(%a)
              %d : f32[2] = aten::relu(%b)
              return (%d)
        """,
    )


@pytest.mark.parametrize(
    ("why", "body"),
    [
        ("an input is the caller's", "%r : f32[4] = aten::relu_(%x)"),
        ("state outlives the run", "%r : f32[4] = aten::relu_(%kept)"),
        ("a view is read behind the write",
         "%y : f32[4] = aten::neg(%x)\n%v : f32[2, 2] = aten::view(%y, [2, 2])\n"
         "%r : f32[4] = aten::relu_(%y)\n%s : f32[2, 2] = aten::exp(%v)"),
        ("the base is read behind a write through a view",
         "%y : f32[4] = aten::neg(%x)\n%v : f32[2, 2] = aten::view(%y, [2, 2])\n"
         "%w : f32[2, 2] = aten::relu_(%v)\n%r : f32[4] = aten::exp(%y)"),
        ("a view leaves the graph",
         "%y : f32[4] = aten::neg(%x)\n%r : f32[2, 2] = aten::view(%y, [2, 2])\n"
         "%w : f32[4] = aten::relu_(%y)"),
        ("a block sees a view",
         "%y : f32[4] = aten::neg(%x)\n%v : f32[2, 2] = aten::view(%y, [2, 2])\n"
         "%w : f32[4] = aten::relu_(%y)\n"
         "[%r : f32[2, 2]] = higher_order::cond(%c, [%x])\n"
         "  block0(%a : f32[4]):\n    %q : f32[2, 2] = aten::neg(%v)\n    -> (%q)\n"
         "  block1(%a : f32[4]):\n    %q : f32[2, 2] = aten::exp(%v)\n    -> (%q)"),
        ("autograd has saved the result that is written over",
         "%y : f32[4] = aten::exp(%x)\n%r : f32[4] = aten::relu_(%y)"),
        ("autograd has saved an operand that is written over",
         "%y : f32[4] = aten::neg(%x)\n%z : f32[4] = aten::sin(%y)\n%r : f32[4] = aten::relu_(%y)"),
        ("autograd has saved what another write read",
         "%y : f32[4] = aten::neg(%x)\n%u : f32[4] = aten::addcmul_(%x, %y, %kept)\n"
         "%r : f32[4] = aten::relu_(%y)"),
        ("the gradient is computed from the result in place, and from the operand elsewhere",
         "%y : f32[4] = aten::neg(%x)\n%r : f32[4] = aten::elu_(%y)"),
        ("a tensor written without autograd keeps its history",
         "%y : f32[4] = aten::neg(%x)\nmode no_grad\n%r : f32[4] = aten::relu_(%y)"),
        ("torch would give another type",
         "%y : f32[4] = aten::neg(%x)\n%r : f32[4] = aten::add_.Tensor(%y, %double)"),
        ("the number of writes is read",
         "%y : f32[4] = aten::neg(%x)\n%w : f32[4] = aten::relu_(%y)\n%r : int = prim::version(%w)"),
        ("a tuple hides who reads it",
         "%y : f32[4] = aten::neg(%x)\n%t : tuple[f32[4]] = prim::TupleConstruct(%y)\n"
         "%w : f32[4] = aten::relu_(%y)\n%r : f32[4] = prim::TupleIndex(%t, 0)"),
        ("out= is left alone",
         "%y : f32[4] = aten::neg(%x)\n%r : f32[4] = aten::add.out(%x, %x, out=%y)"),
        ("sizes are left alone",
         "%y : f32[4] = aten::neg(%x)\n%r : f32[2] = aten::resize_(%y, [2])"),
        ("the gradient of a parameter is kept",
         "%y : f32[4] = prim::gradient(%kept)\n%r : f32[4] = aten::mul_.Tensor(%y, 2)"),
        ("a stored gradient is kept",
         "%y : f32[4] = aten::neg(%x)\nprim::set_gradient(%kept, %y)\n"
         "%r : f32[4] = aten::mul_.Tensor(%y, 2)"),
        ("another function may keep it",
         "%y : f32[4] = aten::neg(%x)\nmy::keep(%y)\n%r : f32[4] = aten::mul_.Tensor(%y, 2)"),
        ("it is written in a block and made outside",
         "%y : f32[4] = aten::neg(%x)\n"
         "[%r : f32[4]] = higher_order::cond(%c, [%x])\n"
         "  block0(%a : f32[4]):\n    %q : f32[4] = aten::relu_(%y)\n    -> (%a)\n"
         "  block1(%a : f32[4]):\n    -> (%a)"),
        ("a view of a block's input is the caller's",
         "%y : f32[4] = aten::neg(%x)\n"
         "[%r : f32[4]] = higher_order::cond(%c, [%y])\n"
         "  block0(%a : f32[4]):\n    %v : f32[2, 2] = aten::view(%a, [2, 2])\n"
         "    %q : f32[2, 2] = aten::relu_(%v)\n    -> (%a)\n"
         "  block1(%a : f32[4]):\n    -> (%a)"),
        ("self may be broadcast where torch computes elsewhere",
         "%y : f32[2, 2] = aten::zeros([2, 2])\n"
         "%r : f32[2, 2] = aten::addmm_(%y, %m, %m)"),
    ],
)  # fmt: skip
def test_a_write_that_somebody_sees_stays(why: str, body: str) -> None:
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    text = (
        "graph(%x : f32[4], %double : f64[4], %c : bool[], %m : f32[2, 2]):\n"
        f"  state %kept : f32[4]{{grad}}\n{lines}\n  return (%r)"
    )
    assert not check_pass(PASS, before=text, after=text).changed, why


def test_without_facts_it_says_what_to_do() -> None:
    graph = opscope.parse("graph(%x : f32[2]):\n  %y : f32[2] = aten::relu_(%x)\n  return (%y)")
    with pytest.raises(opscope.PassError, match="run it on a traced program"):
        RemoveMutation().run(graph)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.3, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.norm(self.conv(x)))
        z: torch.Tensor = self.norm(self.conv(y))
        z += y
        return self.drop(self.relu(z).mean((2, 3)))


@pytest.mark.parametrize("depth", ["flat", "deep"])
def test_a_network_with_batch_norm_trains_as_before(depth: str) -> None:
    model = Residual()
    twin = copy.deepcopy(model)
    x = torch.randn(2, 3, 5, 5)
    traced = opscope.trace(model, x, depth=depth)  # type: ignore[arg-type]
    twin.load_state_dict(model.state_dict())
    stats = traced.apply("remove_mutation", verify_each=True).runs[0].result.stats
    assert stats["removed"] >= 3
    assert not any(node.kind in ("aten::relu_", "aten::add_.Tensor") for node in traced.graph.block
                   if node.scope.path.startswith("relu"))  # fmt: skip
    for seed, size in enumerate((5, 5) if depth == "deep" else (5, 6, 4)):
        x = torch.randn(2, 3, size, size, requires_grad=depth == "flat")
        inputs = x.clone().detach().requires_grad_(x.requires_grad)
        torch.manual_seed(seed)
        expected = twin(inputs)
        after = torch.rand(1)
        torch.manual_seed(seed)
        actual = traced(x)
        assert torch.equal(torch.rand(1), after)
        assert_same(actual, expected)
        expected.square().sum().backward()
        actual.square().sum().backward()
        if x.requires_grad:
            assert x.grad is not None
            assert_same(x.grad, inputs.grad)
    for one, other in zip(model.buffers(), twin.buffers(), strict=True):
        assert_same(one, other)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert_same(ours.grad, theirs.grad)


def test_what_fails_for_its_sizes_fails_as_before() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = x * 2
        z += y
        return z

    traced = opscope.trace(program, (torch.ones(3, 2), torch.ones(3, 2)))
    assert traced.apply("remove_mutation").changed
    small, large = torch.ones(1, 2), torch.ones(3, 2)
    assert_same(traced(large, small), program(large, small))
    for run in (program, traced):
        with pytest.raises(RuntimeError, match=r"size|shape"):
            run(small, large)


def test_a_backward_that_fails_since_something_was_written_fails_as_before() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        y.mul_(2)
        return y

    x = torch.randn(3, requires_grad=True)
    traced = opscope.trace(program, x)
    assert not traced.apply("remove_mutation").changed
    for run in (program, traced):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            run(x).sum().backward()


CALLS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu_": lambda y: y.relu_(),
    "sigmoid_": lambda y: y.sigmoid_(),
    "silu_": lambda y: nn.functional.silu(y, inplace=True),
    "leaky_relu_": lambda y: nn.functional.leaky_relu_(y, 0.1),
    "elu_": lambda y: nn.functional.elu_(y),
    "hardswish_": lambda y: nn.functional.hardswish(y, inplace=True),
    "dropout_": lambda y: nn.functional.dropout(y, 0.5, True, inplace=True),
    "clamp_": lambda y: y.clamp_(-0.5, 0.5),
    "add_": lambda y: y.add_(torch.arange(3.0), alpha=2),
    "mul_": lambda y: y.mul_(torch.arange(3.0)),
    "mul_self_": lambda y: y.mul_(y.detach().clone()),
    "div_": lambda y: y.div_(3),
    "pow_": lambda y: y.pow_(3),
    "lerp_": lambda y: y.lerp_(torch.ones(3), 0.3),
    "addcmul_": lambda y: y.addcmul_(torch.ones(3), torch.arange(3.0)),
    "masked_fill_": lambda y: y.masked_fill_(torch.arange(3) > 0, -1.0),
    "index_put_": lambda y: y.index_put_((torch.tensor([0, 0]),), torch.ones(2, 3), accumulate=True),
    "index_fill_": lambda y: y.index_fill_(1, torch.tensor([0, 2]), 3.0),
    "scatter_add_": lambda y: y.scatter_add_(0, torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 3)),
    "cumsum_": lambda y: y.cumsum_(0),
    "tril_": lambda y: y.tril_(),
    "fill_": lambda y: y.fill_(3),
    "zero_": lambda y: y.zero_(),
    "copy_": lambda y: y.copy_(torch.arange(3.0)),
    "uniform_": lambda y: y.uniform_(),
    "bernoulli_": lambda y: y.bernoulli_(0.5),
    "normal_": lambda y: y.normal_(),
    "round_": lambda y: y.round_(),
    "sign_": lambda y: y.sign_(),
    "logical_not_": lambda y: y.logical_not_(),
    "eq_": lambda y: y.eq_(0.0),
    "detach_": lambda y: y.detach_(),
    "transpose_": lambda y: y.transpose_(0, 1),
    "addmm_": lambda y: y.addmm_(torch.ones(4, 2), torch.ones(2, 3)),
    "renorm_": lambda y: y.renorm_(2, 0, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_operators_that_write_give_the_same_values_and_gradients(
    name: str, grad: bool, layout: str
) -> None:
    weight = nn.Parameter(torch.randn(3, 4).t() if layout == "columns" else torch.randn(4, 3))

    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.set_grad_enabled(grad):
            y = x - weight
            CALLS[name](y)
            return y + y

    x = torch.randn(4, 3, requires_grad=True)
    traced = opscope.trace(program, x)
    traced.apply("remove_mutation", verify_each=True)
    outcomes = []
    for run in (program, traced):
        x.grad = weight.grad = None
        torch.manual_seed(3)
        result = run(x)
        if result.requires_grad:
            (result * torch.arange(result.numel()).reshape(result.shape)).sum().backward()
        outcomes.append((result, result.stride(), x.grad, weight.grad, torch.rand(1)))
    for one, other in zip(*outcomes, strict=True):
        if isinstance(one, torch.Tensor):
            assert_same(one, other)
        else:
            assert one == other


_LATEST = st.sampled_from([-1, -1, -1, -2, -3]) | st.integers(0, 40)
FRESH = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "clone", "product"] * 20 + [*COMPUTED] * 2 + [*WRITES] * 2 + [*VIEWS]
        ),
        _LATEST,
        _LATEST,
        st.integers(0, 40),
        st.sampled_from([False] * 5 + [True]),
    ),
    min_size=3,
    max_size=14,
).map(lambda drawn: Program(tuple(drawn)))
"""Programs that write mostly what they have just computed."""


@given(FRESH, st.integers(0, 3), st.integers(1, 3))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_programs_that_write_have_the_same_results_and_gradients_or_errors(
    drawn: Program, seed: int, every: int
) -> None:
    leaves: list[torch.Tensor] = []

    def inputs() -> list[torch.Tensor]:
        torch.manual_seed(seed)
        leaves[:] = [torch.randn(shape, requires_grad=True) for shape in ((2, 4), (4,))]
        return [leaf * 1 for leaf in leaves]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of resized out= tensors
        working = drawn.working(inputs)

        def program(*inputs: torch.Tensor) -> list[torch.Tensor]:
            return working(*inputs)[::-every]

        traced = opscope.trace(program, tuple(inputs()), warn=False)
        result = traced.apply("remove_mutation", verify_each=True).runs[0].result
        event(f"removed {min(result.stats.get('removed', 0), 3)}")
        outcomes: list[list[torch.Tensor | None]] = []
        for run in (program, traced):
            given = inputs()
            results = run(*given)
            outcomes.append([*tensors_of([results, given]), torch.rand(1)])
            outcomes[-1] += _gradients(results, leaves)
    for one, other in zip(*outcomes, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            assert_same(one, other)


def _gradients(
    results: list[torch.Tensor], leaves: list[torch.Tensor]
) -> list[torch.Tensor | None]:
    """Return the gradients of leaves, None where there is none; nothing if the backward fails."""
    followed = [r for r in tensors_of(results) if r.requires_grad and r.is_floating_point()]
    if not followed:
        return []
    total = torch.stack([(r * (1 + n)).sum() for n, r in enumerate(followed)]).sum()
    try:
        return list(torch.autograd.grad(total, leaves, allow_unused=True))
    except RuntimeError:
        return []
