"""Higher-order operators are nodes whose functions are blocks; results and gradients are eager's."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._higher_order_ops import associative_scan, scan, while_loop
from torch._higher_order_ops import map as map_operator
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.testing._internal.hop_db import hop_db

import opscope
from support.gradients import check_gradients, run
from support.replays import check_replay, plain_text

# Torch warns of its own doings: of an attention that is not compiled, of recompilations.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch.*")

LINEAR = nn.Linear(3, 3)
BUFFER = torch.linspace(0.5, 1.5, 3)
WEIGHT = torch.linspace(-1, 1, 3).requires_grad_()
LEAVES = (WEIGHT, *LINEAR.parameters())
UP = torch.tensor([0.25, 1.5, 2.0])


def check(program: Callable[..., Any]) -> opscope.TracedProgram:
    """Check a program of one vector, with and without gradients, on both sides of zero."""
    check_gradients(program, (UP,), (-UP,), leaves=LEAVES)
    needs_grad = UP.clone().requires_grad_(), (-UP).requires_grad_()
    return check_gradients(program, *((x,) for x in needs_grad), leaves=LEAVES)


def compiled_anew(program: Callable[..., Any]) -> Callable[..., Any]:
    """Return a program that torch compiles at every eager run.

    Dynamo of torch 2.15 refuses a condition whose branches close over a float that has changed.
    """

    def anew(*args: torch.Tensor) -> Any:
        torch._dynamo.reset()
        return program(*args)

    return anew


def is_positive(x: torch.Tensor) -> torch.Tensor:
    return x.sum() > 0


def test_both_branches_of_a_condition_are_blocks() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        result: torch.Tensor = torch.cond(is_positive(x), lambda t: t.sin() * y, torch.cos, (x,))
        return result

    with torch.no_grad():
        traced = check_replay(program, UP)
        assert torch.equal(traced(-UP), program(-UP))
    assert plain_text(traced) == (
        "graph program(%x : f32[3]) -> (f32[3]):\n"
        "  ambient no_grad\n"
        "  %y : f32[3] = aten::mul.Tensor(%x, 2)\n"
        "  %0 : f32[] = aten::sum(%x)\n"
        "  %1 : bool[] = aten::gt.Scalar(%0, 0)\n"
        "  [%2 : f32[3]] = higher_order::cond(%1, [%x])\n"
        "    block0(%t : f32[3]):\n"
        "      %3 : f32[3] = aten::sin(%t)\n"
        "      %4 : f32[3] = aten::mul.Tensor(%3, %y)\n"
        "      -> (%4)\n"
        "    block1(%input.0 : f32[3]):\n"
        "      %5 : f32[3] = aten::cos(%input.0)\n"
        "      -> (%5)\n"
        "  return (%2)"
    )
    code = [line.partition("  # ")[0].rstrip() for line in traced.code.splitlines()]
    assert code[4:11] == [
        "    def cond_0(t, y):",
        "        v3 = aten_sin(t); del t",
        "        v4 = aten_mul_Tensor(v3, y); del v3",
        "        return (v4,)",
        "    def cond_1(input_0, y):",
        "        v5 = aten_cos(input_0); del input_0",
        "        return (v5,)",
    ]


def test_closures_get_gradients_though_the_operator_was_not_passed_them() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        return torch.cond(
            is_positive(x), lambda t: t.sin() * y * WEIGHT, lambda t: LINEAR(t) + BUFFER, (x,)
        )

    traced = check(program)
    assert {"WEIGHT", "BUFFER"} < set(traced.state)


def test_sizes_and_items_that_a_branch_closes_over_are_data() -> None:
    @compiled_anew
    def program(x: torch.Tensor) -> torch.Tensor:
        size, total = x.shape[0], x.detach().abs().sum().item()
        result: torch.Tensor = torch.cond(
            is_positive(x), lambda t: t.sin() * size, lambda t: t.new_ones(size) * t - total, (x,)
        )
        return result

    check(program)
    traced = opscope.trace(program, UP)
    assert not traced.diagnostics
    assert not traced.guards
    longer = torch.linspace(0.5, 2, 5)
    for x in (longer.requires_grad_(), (-longer.detach()).requires_grad_()):
        ours, theirs = traced(x), program(x)
        assert torch.equal(ours, theirs)
        assert torch.equal(*[torch.autograd.grad(y.sum(), x)[0] for y in (ours, theirs)])


@pytest.mark.skipif("switch" not in torch._ops._higher_order_ops, reason="torch 2.14 has it")
def test_all_branches_of_a_switch_are_blocks() -> None:
    from torch._higher_order_ops.switch import switch

    def program(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        y = x * 2
        arms = (lambda t: t.sin() * y, lambda t: t * WEIGHT, lambda t: t * x.shape[0])
        result: torch.Tensor = switch(index, arms, (x,))
        return result

    assert plain_text(opscope.trace(program, (UP, torch.tensor(1)))) == (
        "graph program(%x : f32[3], %index : i64[]) -> (f32[3]{grad}):\n"
        "  constant %WEIGHT : f32[3]{grad}\n"
        "  %0 : int = aten::sym_size.int(%x, 0)\n"
        "  %y : f32[3] = aten::mul.Tensor(%x, 2)\n"
        "  %1 : i64[] = aten::clamp(%index, 0, 2)\n"
        "  [%2 : f32[3]{grad}] = higher_order::switch(%1, [%x])\n"
        "    block0(%args.0 : f32[3]):\n"
        "      %3 : f32[3] = aten::sin(%args.0)\n"
        "      %4 : f32[3] = aten::mul.Tensor(%3, %y)\n"
        "      -> (%4)\n"
        "    block1(%args.0.1 : f32[3]):\n"
        "      %5 : f32[3]{grad} = aten::mul.Tensor(%args.0.1, %WEIGHT)\n"
        "      -> (%5)\n"
        "    block2(%args.0.2 : f32[3]):\n"
        "      %6 : f32[3] = aten::mul.Tensor(%args.0.2, %0)\n"
        "      -> (%6)\n"
        "  return (%2)"
    )
    for x in (UP, UP.clone().requires_grad_()):
        inputs = [(x, torch.tensor(index)) for index in (0, 1, 2, 7)]
        check_gradients(program, *inputs, leaves=LEAVES)


def test_operands_that_no_branch_reads_make_no_result_require_grad() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return torch.cond(is_positive(x), lambda t, w: t.sin(), lambda t, w: t.cos(), (x, WEIGHT))

    check(program)


def test_nested_operands_and_results() -> None:
    def true(d: dict[str, torch.Tensor]) -> dict[str, Any]:
        return {"a": d["x"].sin(), "b": (WEIGHT * 2,)}

    def false(d: dict[str, torch.Tensor]) -> dict[str, Any]:
        return {"a": d["x"].cos(), "b": (WEIGHT * 3,)}

    def program(x: torch.Tensor) -> dict[str, Any]:
        return torch.cond(is_positive(x), true, false, ({"x": x},))

    check(program)


def test_conditions_in_conditions_and_in_transforms() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2

        def inner(t: torch.Tensor) -> torch.Tensor:
            return torch.cond(t.sum() > 1, lambda u: u * y, lambda u: u - y, (t,))

        return torch.cond(is_positive(x), inner, lambda t: t.tan(), (x,))

    check(program)
    check(
        lambda x: torch.func.vmap(
            lambda t: torch.cond(t.sum() > 0, lambda a: a.sin(), lambda a: a.cos(), (t,))
        )(torch.stack([x, -x]))
    )
    check(
        lambda x: torch.cond(
            is_positive(x),
            lambda t: torch.func.vmap(lambda a: a * WEIGHT[0])(t),
            lambda t: t.clone(),
            (x,),
        )
    )


def test_recording_a_branch_draws_no_random_numbers_and_writes_nothing() -> None:
    def draws(x: torch.Tensor) -> torch.Tensor:
        chosen = torch.cond(
            is_positive(x), lambda t: t + torch.rand(3), lambda t: t * torch.rand(3), (x,)
        )
        return chosen + torch.rand(3)

    def writes(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        kept, operand = x.detach().clone(), x.detach().clone()

        def true(t: torch.Tensor) -> torch.Tensor:
            kept.add_(1)
            return t.add_(1).clone()

        with torch.no_grad():
            result = torch.cond(is_positive(x), true, lambda t: t * kept.mul_(2), (operand,))
        return result, kept, operand

    check(draws)
    check(writes)


def test_a_branch_that_needs_data_is_recorded_on_clones() -> None:
    @torch.library.custom_op("opscope_tests::without_fake", mutates_args=())
    def without_fake(x: torch.Tensor) -> torch.Tensor:
        return x * 2 + torch.rand(3)

    def branch(x: torch.Tensor) -> torch.Tensor:
        return without_fake(x) + 1

    def program(x: torch.Tensor) -> torch.Tensor:
        # What stands below torch.cond, which cannot compile an operator without a fake kernel.
        return torch.ops.higher_order.cond(is_positive(x), branch, branch, (x,)) + torch.rand(3)

    with torch.no_grad():
        traced = check_replay(program, UP)
    assert len(traced.graph.nodes(op="opscope_tests::without_fake")) == 2


def test_tensors_made_in_a_branch_keep_their_data() -> None:
    check(
        lambda x: torch.cond(
            is_positive(x),
            lambda t: t + torch.tensor([1.0, 2.0, 3.0]),
            lambda t: t + torch.ones(3),
            (x,),
        )
    )


def test_a_failing_branch_leaves_the_trace_usable() -> None:
    def fails(t: torch.Tensor) -> torch.Tensor:
        t.sin()
        raise KeyError("mine")

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        try:
            torch.ops.higher_order.cond(is_positive(x), lambda t: t + y, fails, (x,))
        except KeyError:
            return y + 1
        return x

    traced = opscope.trace(program, UP)
    opscope.ir.verify(traced.graph)
    assert [node.kind for node in traced.graph.block][-1] == "aten::add.Tensor"
    assert torch.equal(traced(UP), UP * 2 + 1)


def test_loops_run_as_often_as_their_data_says() -> None:
    def counting(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        factor = x.abs() + 0.1
        count = (x.sum() > 0) * 2 + 1
        return while_loop(
            lambda i, t: i < count, lambda i, t: (i + 1, t * factor + BUFFER), (torch.tensor(0), x)
        )

    def nested(x: torch.Tensor) -> dict[str, torch.Tensor]:
        start = {"i": torch.tensor(0), "t": x}
        return while_loop(
            lambda d: d["i"] < 3, lambda d: {"i": d["i"] + 1, "t": d["t"] * WEIGHT}, (start,)
        )

    def never(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return while_loop(lambda i, t: i < 0, lambda i, t: (i + 1, t * 2), (torch.tensor(0), x))

    traced = check(counting)
    (loop,) = traced.graph.nodes(op="higher_order::while_loop")
    assert [len(block.inputs) for block in loop.blocks] == [2, 2]
    check(nested)
    check(never)


def test_loops_carry_numbers() -> None:
    def program(x: torch.Tensor) -> tuple[int, torch.Tensor]:
        count, result = while_loop(
            lambda i, t: i < 3, lambda i, t: (i + 1, t * 2 + i), (x.shape[0] - 3, x)
        )
        return count, result * count

    with torch.no_grad():
        traced = check_replay(program, UP)
        for size in (3, 4, 7):
            x = torch.rand(size)
            assert traced(x)[0] == program(x)[0]
            assert torch.equal(traced(x)[1], program(x)[1])


def test_scans_and_maps() -> None:
    def scanning(x: torch.Tensor) -> Any:
        def combine(carry: torch.Tensor, part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            result = carry * WEIGHT + part
            return result, result.clone()

        return scan(combine, x, torch.stack([x, x + 1, x + 2]))

    def scanning_backward(x: torch.Tensor) -> Any:
        def combine(carry: Any, part: Any) -> Any:
            result = {"c": carry["c"].sin() + part["a"] * BUFFER}
            return result, {"o": result["c"].clone()}

        parts = {"a": torch.stack([x, x + 1, x + 2], 1)}
        return scan(combine, {"c": x}, parts, dim=1, reverse=True)

    check(scanning)
    check(scanning_backward)
    check(lambda x: map_operator(lambda a, b: (a * b * WEIGHT).sin(), torch.stack([x, x + 1]), x))
    check(lambda x: map_operator(lambda a, n: a * n, torch.stack([x, x + 1]), 3))
    check(
        lambda x: associative_scan(
            lambda a, b: a * b, torch.stack([x, x + 1, x + 2]), 0, combine_mode="generic"
        )
    )


def test_flex_attention_with_score_and_mask_that_close_over_tensors() -> None:
    def program(x: torch.Tensor, offset: torch.Tensor) -> Any:
        bias = x[0, :, 0, 0].exp()
        mask = create_block_mask(
            lambda b, h, i, j: i >= j + offset, 1, 1, 16, 16, device="cpu", BLOCK_SIZE=16
        )
        return flex_attention(
            x, x, x, score_mod=lambda s, b, h, i, j: s + bias[h] + (i - j), block_mask=mask
        )

    torch.manual_seed(1)
    inputs = [(torch.randn(2, 2, 16, 8), torch.tensor(offset)) for offset in (0, 3)]
    with torch.no_grad():
        traced = check_gradients(program, *inputs, warn=False)
    (node,) = traced.graph.nodes(op="higher_order::flex_attention")
    assert [len(block.inputs) for block in node.blocks] == [5, 4]


def test_checkpoints_and_wrappers_are_what_they_run() -> None:
    def checkpointed(x: torch.Tensor) -> torch.Tensor:
        return torch.utils.checkpoint.checkpoint(
            lambda t: LINEAR(t).sin() * nn.functional.dropout(t), x, use_reentrant=False
        )

    def wrapped(x: torch.Tensor) -> Any:
        hops = torch.ops.higher_order
        return (
            hops.wrap(lambda t: t * WEIGHT, x),
            hops.wrap_with_set_grad_enabled(False, lambda t: t * WEIGHT, x),
            hops.wrap_with_autocast("cpu", torch.bfloat16, True, True, lambda t: LINEAR(t), x),
        )

    check(checkpointed)
    check(wrapped)


def test_operators_without_functions_keep_their_arguments() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        whole = x.to(torch.int8)[:, None]
        return torch.ops.higher_order.out_dtype(
            torch.ops.aten.mm.default, torch.int32, whole, whole.T
        )

    traced = check_replay(program, torch.tensor([100.0, 20, 30]))
    assert "higher_order::out_dtype" in str(traced.graph)


def test_traces_inside_traces_both_have_the_blocks() -> None:
    inner: list[opscope.TracedProgram] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        return torch.cond(is_positive(x), lambda t: t + y, lambda t: t - y, (x,))

    def outer(x: torch.Tensor) -> torch.Tensor:
        inner.append(opscope.trace(program, x))
        return program(x)

    with torch.no_grad():
        traced = opscope.trace(outer, UP)
        assert torch.equal(traced(-UP), program(-UP))
        assert torch.equal(inner[0](-UP), program(-UP))
    assert len(traced.graph.nodes(op="higher_order::cond")) == 2


SAMPLES = [
    (info, requires_grad)
    for info in hop_db
    for requires_grad in (False, True)
    if info.name != "inline_asm_elementwise"  # for graphics cards alone
    and (not requires_grad or info.supports_autograd)
    and not (requires_grad and info.name == "flex_attention")  # has no backward on CPU
]


@pytest.mark.parametrize(
    ("info", "requires_grad"),
    SAMPLES,
    ids=[f"{i.name}-{i.variant_test_name}{'-grad' * g}" for i, g in SAMPLES],
)
def test_torchs_own_samples(info: Any, requires_grad: bool) -> None:
    def copied(whole: Any) -> Any:
        return torch.utils._pytree.tree_map_only(
            torch.Tensor, lambda t: t.detach().clone().requires_grad_(t.requires_grad), whole
        )

    for sample in info.sample_inputs("cpu", torch.float32, requires_grad=requires_grad):
        args = (sample.input, *sample.args)
        expected = run(lambda: info.op(*copied(args), **sample.kwargs), ())  # noqa: B023
        traced = opscope.trace(info.op, copied(args), sample.kwargs)
        actual = run(lambda: traced(*copied(args), **sample.kwargs), ())  # noqa: B023
        actual.assert_same(expected)
        assert not traced.diagnostics
        assert str(opscope.parse(str(traced.graph))) == str(traced.graph)


@pytest.mark.parametrize(
    "program",
    [
        lambda x: torch.cond(x.sum() > 0, lambda t: t * x.shape[0], lambda t: t + x.numel(), (x,)),
        lambda x: scan(lambda c, r: (c + r * x.shape[0], c * r.shape[0]), x[0] * 0, x),
        lambda x: while_loop(
            lambda n, t: n < x.shape[0], lambda n, t: (n + 1, t * 2), (torch.tensor(0), x)
        ),
        compiled_anew(
            lambda x: (lambda n: torch.cond(x.sum() > 0, lambda t: t * n, lambda t: t + n, (x,)))(
                x[0, 0].item()
            )
        ),
    ],
)
def test_numbers_from_around_a_branch_are_data_inside_it(program: Callable[..., Any]) -> None:
    traced = opscope.trace(program, UP.reshape(1, 3))
    assert not traced.diagnostics
    for example in (torch.ones(1, 3), torch.ones(4, 2), -torch.ones(2, 5)):
        for actual, expected in zip(
            torch.utils._pytree.tree_leaves(traced(example)),
            torch.utils._pytree.tree_leaves(program(example)),
            strict=True,
        ):
            assert torch.equal(actual, expected)


def test_a_branch_with_a_number_from_around_it_has_gradients() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.cond(
            x.sum() > 0, lambda t: t.sin() * x.shape[0], lambda t: t * 2, (x,)
        )
        return result

    check(program)


def test_a_loop_inside_a_branch() -> None:
    def doubled(x: torch.Tensor) -> torch.Tensor:
        start = torch.zeros((), dtype=torch.int64)
        return while_loop(lambda n, t: n < 3, lambda n, t: (n + 1, t * 2), (start, x))[1]

    def program(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.cond(x.sum() > 0, doubled, torch.cos, (x,))
        return result

    traced = check_replay(program, UP)
    assert torch.equal(traced(-UP), program(-UP))


@pytest.mark.parametrize(
    "program",
    [
        lambda x: while_loop(
            lambda n, t: n < 2, lambda n, t: (n + 1, t + x.mean()), (torch.tensor(0), x)
        ),
        lambda x: while_loop(
            lambda n, a, b: n < 2, lambda n, a, b: (n + 1, a + b, b * 2), (torch.tensor(0), x, x)
        ),
        lambda x: (lambda first: scan(lambda c, r: (c + r * first, c * 1), first, x.reshape(3, 1)))(
            x[:1]
        ),
    ],
)
def test_one_tensor_that_goes_in_twice_is_two_in_a_loop(program: Callable[..., Any]) -> None:
    traced = opscope.trace(program, UP)
    for actual, expected in zip(traced(-UP), program(-UP), strict=True):
        assert torch.equal(actual, expected)


def test_a_scan_carries_and_gives_nested_tensors() -> None:
    def step(carried: Any, row: torch.Tensor) -> Any:
        first, second = carried
        return (first + row, second * row), {"first": first * 1, "both": (second * 2, row * 3)}

    def program(x: torch.Tensor) -> Any:
        return scan(step, (x.sum(0), x.mean(0)), x)

    traced = opscope.trace(program, torch.randn(3, 2))
    x = torch.randn(4, 2)
    carried, given = traced(x)
    expected, expected_given = program(x)
    assert isinstance(carried, tuple)
    assert list(given) == ["first", "both"]
    for actual, wanted in zip(
        torch.utils._pytree.tree_leaves((carried, given)),
        torch.utils._pytree.tree_leaves((expected, expected_given)),
        strict=True,
    ):
        assert torch.equal(actual, wanted)
