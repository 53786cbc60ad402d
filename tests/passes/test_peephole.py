"""Peephole simplifications, as text and on traces: what goes, what stays, and that every bit is kept."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import opscope
from opscope.passes.peephole import Peephole
from opscope.testing import check_pass

T = "f32[4, 2]{strides=[1, 4]}"


def check(
    before: str, after: str, *, fold_scalars: bool = False, inputs: str = "%x : f32[2, 4]"
) -> None:
    head = f"graph({inputs}):\n"
    check_pass(Peephole(fold_scalars), head + before, head + after)


def check_kept(body: str, *, fold_scalars: bool = False, inputs: str = "%x : f32[2, 4]") -> None:
    check(body, body, fold_scalars=fold_scalars, inputs=inputs)


def end(value: str = "%r") -> str:
    """Return the end of a body that reads a value and gives nothing but a new tensor."""
    return f"\n %y : f32[2, 4] = aten::exp({value})\n return (%y)"


@pytest.mark.parametrize(
    "node",
    [
        "aten::to.dtype(%x, f32)",
        "aten::to.dtype(%x, f32, True)",
        "aten::to.dtype(%x, f32, False, False, memory.preserve_format)",
        "aten::to.device(%x, device.cpu, f32)",
        "aten::to.dtype_layout(%x, dtype=f32, layout=layout.strided, device=device.cpu)",
        "aten::to.dtype_layout(%x, device=device.cpu)",
        "aten::to.other(%x, %x)",
        "aten::type_as(%x, %x)",
        "aten::dropout(%x, 0.5, False)",
        "aten::dropout(%x, 0.0, True)",
        "aten::alpha_dropout(%x, 0.5, False)",
        "aten::feature_dropout(%x, 0.5, False)",
        "aten::positive(%x)",
    ],
)
def test_what_returns_its_operand_is_its_operand(node: str) -> None:
    check(f"%r : f32[2, 4] = {node}\n return (%r)", "return (%x)")
    write = "%w : f32[2, 4] = aten::add_.Tensor({}, 1)\n return ({}, %w)"
    check(f"%r : f32[2, 4] = {node}\n" + write.format("%r", "%r"), write.format("%x", "%x"))


@pytest.mark.parametrize(
    "node",
    [
        "aten::to.dtype(%x, f32, False, True)",
        "aten::to.dtype(%x, f32, memory_format=memory.channels_last)",
        "aten::to.device(%x, device.cuda:0, f32)",
        "aten::to.dtype_layout(%x, dtype=f32, pin_memory=True)",
        "aten::to.dtype_layout(%x, dtype=f32, copy=True)",
        "aten::dropout(%x, 0.5, True)",
        "aten::dropout(%x, 0.5, %p)",
        "aten::dropout_(%x, 0.0, False)",
        "aten::contiguous(%x)",
        "aten::clone(%x)",
    ],
)
def test_what_does_something_stays(node: str) -> None:
    check_kept(f"%r : f32[2, 4] = {node}\n return (%r)", inputs="%x : f32[2, 4], %p : bool")


def test_dtypes_that_a_caller_may_change_are_not_relied_on() -> None:
    product = "%p : f32[2, 4] = aten::mm(%x, %w)\n"
    inputs = "%x : f32[2, 4], %w : f32[4, 4]"
    check_kept(product + "%r : f32[2, 4] = aten::to.dtype(%p, f32)\n return (%r)", inputs=inputs)
    check_kept(product + "%r : f32[2, 4] = aten::type_as(%p, %x)\n return (%r)", inputs=inputs)
    twice = product + "%a : f32[2, 4] = aten::to.dtype(%p, f32)\n"
    check(
        twice + "%r : f32[2, 4] = aten::to.dtype(%a, f32)\n return (%r)",
        twice + "return (%a)",
        inputs=inputs,
    )
    inside = "mode grad, autocast(cpu, bf16)\n %p : bf16[2, 4] = aten::mm(%x, %w)\n"
    check(
        inside + "%r : bf16[2, 4] = aten::to.dtype(%p, bf16)\n return (%r)",
        inside + "return (%p)",
        inputs=inputs,
    )


def test_a_tensor_that_is_given_other_data_has_other_dtypes() -> None:
    check_kept(
        "%s : f32[2, 4] = prim::set_data(%x, %z)\n %r : f32[2, 4] = aten::to.dtype(%x, f32)\n return (%r)",
        inputs="%x : f32[2, 4], %z : f32[2, 4]",
    )


def test_contiguous_of_what_is_contiguous() -> None:
    once = "%c : f32[2, 4] = aten::contiguous(%x)\n"
    check(once + "%r : f32[2, 4] = aten::contiguous(%c)\n return (%r)", once + "return (%c)")
    asked = "%i : bool = aten::is_contiguous(%x)\n prim::guard(%i, {})\n return ({})"
    contiguous = "%r : f32[2, 4] = aten::contiguous(%x)\n"
    check(contiguous + asked.format("True", "%r"), asked.format("True", "%x"))
    check_kept(contiguous + asked.format("False", "%r"))
    check_kept(
        once
        + "%r : f32[2, 4] = aten::contiguous(%c, memory_format=memory.channels_last)\n return (%r)"
    )


@pytest.mark.parametrize(
    ("first", "second", "between"),
    [
        ("aten::t(%x)", "aten::t(%a)", T),
        ("aten::mT(%x)", "aten::mT(%a)", T),
        ("aten::numpy_T(%x)", "aten::numpy_T(%a)", T),
        ("aten::transpose.int(%x, 0, 1)", "aten::transpose.int(%a, -1, 0)", T),
        ("aten::permute(%x, [1, 0])", "aten::permute(%a, [-1, -2])", T),
        ("aten::unsqueeze(%x, 0)", "aten::squeeze.dim(%a, -3)", "f32[1, 2, 4]"),
        ("aten::unsqueeze(%x, -1)", "aten::select.int(%a, 2, 0)", "f32[2, 4, 1]"),
    ],
)
def test_views_that_are_undone(first: str, second: str, between: str) -> None:
    views = f"%a : {between} = {first}\n %r : f32[2, 4] = {second}"
    check(views + end(), end("%x"))
    stop = "\n %y : f32[2, 4] = aten::exp(%{})\n return (%y, %a)"
    check(views + stop.format("r"), f"%a : {between} = {first}" + stop.format("x"))
    check_kept(views + "\n return (%r)")


def test_permutations_become_one() -> None:
    check(
        """
        %a : f32[4, 2, 3]{strides=[1, 12, 4]} = aten::permute(%x, [2, 0, 1])
        %r : f32[2, 4, 3]{strides=[12, 1, 4]} = aten::permute(%a, [1, 0, 2])
        return (%r)
        """,
        """
        %r : f32[2, 4, 3]{strides=[12, 1, 4]} = aten::permute(%x, [0, 2, 1])
        return (%r)
        """,
        inputs="%x : f32[2, 3, 4]",
    )


@pytest.mark.parametrize(
    "node",
    [
        "aten::alias(%x)",
        "aten::transpose.int(%x, 1, -1)",
        "aten::permute(%x, [0, -1])",
        "aten::slice.Tensor(%x, 0, 0, 9223372036854775807)",
        "aten::slice.Tensor(%x, 1)",
        "aten::expand(%x, [-1, -1])",
        "aten::expand(%x, [%n, %m])",
    ],
)
def test_views_that_change_nothing(node: str) -> None:
    sizes = "%n : int = aten::sym_size.int(%x, 0)\n %m : int = aten::sym_size.int(%x, -1)\n"
    view = f"%r : f32[2, 4] = {node}"
    check(sizes + view + end(), sizes + end("%x"))
    check_kept(sizes + view + "\n return (%r)")


@pytest.mark.parametrize(
    "node",
    [
        "aten::expand(%x, [2, 4])",  # of another size at another replay
        "aten::expand(%x, [%n, %n])",
        "aten::view(%x, [2, 4])",
        "aten::view(%x, [%n, 4])",
        "aten::reshape(%x, [-1, 4])",
        "aten::slice.Tensor(%x, 0, 0, 2)",
        "aten::slice.Tensor(%x, 0, 0, 9223372036854775807, %n)",
        "aten::transpose.int(%x, 0, %n)",
    ],
)
def test_views_that_change_nothing_by_chance(node: str) -> None:
    size = "%n : int = aten::sym_size.int(%x, 0)\n"
    check_kept(size + f"%r : f32[2, 4] = {node}" + end())


def test_sizes_are_followed_through_what_keeps_them() -> None:
    start = "%n : int = aten::sym_size.int(%x, 0)\n %h : f32[2, 4] = aten::relu(%x)\n"
    check(start + "%r : f32[2, 4] = aten::expand(%h, [%n, -1])" + end(), start + end("%h"))
    start = "%h : f32[2, 4] = aten::view(%x, [2, 4])\n"
    check(start + "%r : f32[2, 4] = aten::expand(%h, [2, 4])" + end(), start + end("%h"))
    check(start + "%r : f32[2, 4] = aten::view(%h, [2, 4])" + end(), start + end("%h"))
    check_kept(start + "%r : f32[2, 4] = aten::view(%h, [2, -1])" + end())


def test_a_write_behind_keeps_a_view_a_view() -> None:
    check_kept(
        "%r : f32[2, 4] = aten::alias(%x)\n %w : f32[2, 4] = aten::add_.Tensor(%r, 1)" + end()
    )


@pytest.mark.parametrize(
    ("dtype", "node"),
    [
        ("i64", "aten::add.Tensor(%h, 0)"),
        ("i64", "aten::add.Tensor(%h, 0, alpha=7)"),
        ("i8", "aten::sub.Tensor(%h, 0)"),
        ("u8", "aten::mul.Tensor(%h, 1)"),
        ("i32", "aten::mul.Scalar(%h, 1)"),
    ],
)
def test_integers_that_are_kept(dtype: str, node: str) -> None:
    start = f"%h : {dtype}[2, 4] = aten::abs(%x)\n"
    stop = f"\n %y : {dtype}[2, 4] = aten::neg({{}})\n return (%y)"
    whole = start + f"%r : {dtype}[2, 4] = {node}" + stop.format("%r")
    check(whole, start + stop.format("%h"), inputs=f"%x : {dtype}[2, 4]")


@pytest.mark.parametrize(
    ("node", "folds"),
    [
        ("aten::mul.Tensor(%h, 1)", True),
        ("aten::mul.Tensor(%h, 1.0)", True),
        ("aten::div.Tensor(%h, 1)", True),
        ("aten::sub.Tensor(%h, 0)", True),
        ("aten::add.Tensor(%h, -0.0)", True),
        ("aten::add.Tensor(%h, 0)", False),  # -0.0 + 0 is 0.0
        ("aten::add.Tensor(%h, 0.0)", False),
        ("aten::sub.Tensor(%h, -0.0)", False),
        ("aten::sub.Tensor(%h, 0, alpha=-1)", False),
        ("aten::mul.Tensor(%h, True)", False),
        ("aten::mul.Tensor(%h, -1)", False),
    ],
)
def test_floats_go_only_on_request(node: str, folds: bool) -> None:
    start = "%h : f32[2, 4] = aten::relu(%x)\n"
    whole = start + f"%r : f32[2, 4] = {node}" + end()
    check_kept(whole)
    check(whole, start + end("%h") if folds else whole, fold_scalars=True)


def test_where_the_strides_of_the_result_may_be_others_it_stays() -> None:
    # A replay may get a slice of something larger, of which a product is no slice.
    check_kept("%r : f32[2, 4] = aten::mul.Tensor(%x, 1)" + end(), fold_scalars=True)
    check_kept("%a : f32[2, 4] = aten::neg(%x)\n %r : f32[2, 4] = aten::neg(%a)" + end())


@pytest.mark.parametrize("operator", ["aten::neg", "aten::bitwise_not", "aten::logical_not"])
def test_what_is_done_twice_and_undone(operator: str) -> None:
    dtype = {"aten::neg": "f64", "aten::bitwise_not": "i64", "aten::logical_not": "bool"}[operator]
    type_ = f"{dtype}[2, 4]"
    start = f"%h : {type_} = aten::clone(%x)\n".replace(
        "clone", "sgn" if dtype != "bool" else "logical_not"
    )
    stop = f"%y : {type_} = aten::flip({{}}, [0])\n return (%y)"
    twice = f"%a : {type_} = {operator}(%h)\n %r : {type_} = {operator}(%a)\n"
    check(start + twice + stop.format("%r"), start + stop.format("%h"), inputs=f"%x : {type_}")


SPECIAL = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan, -torch.nan, 1e-42, -1e38, 1.5])


def bits_of(tensor: torch.Tensor) -> list[int]:
    return tensor.contiguous().view(torch.uint8).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("count", [1, 5, 64])
def test_folded_numbers_are_what_torch_computes(dtype: torch.dtype, count: int) -> None:
    def program(x: torch.Tensor) -> list[torch.Tensor]:
        h = x.abs() * x.sgn()
        return [
            torch.flip(r, [0])
            for r in (h * 1, h * 1.0, h / 1, h - 0, h - 0.0, h + -0.0, h + 0, torch.neg(-h))
        ]

    x = SPECIAL.to(dtype).repeat(count)
    traced = opscope.trace(program, x)
    assert traced.apply("peephole{fold_scalars=true},dce", verify_each=True).changed
    for one, other in zip(traced(x), program(x), strict=True):
        assert torch.equal(one.isnan(), other.isnan())
        assert bits_of(one.nan_to_num(3)) == bits_of(other.nan_to_num(3))
    assert "aten::mul.Tensor(%h, 1" not in str(traced.graph)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_negations_keep_the_bits_of_each_nan(dtype: torch.dtype) -> None:
    integers = {torch.float32: torch.int32, torch.float64: torch.int64}[dtype]
    shift = {torch.float32: 22, torch.float64: 51}[dtype]
    quiet = torch.tensor([0, -0.0, torch.nan, torch.inf], dtype=dtype).view(integers)
    signalling = torch.tensor([torch.inf], dtype=dtype).view(integers) | (1 << (shift - 3))
    x = torch.cat([quiet, signalling, -signalling]).view(dtype).repeat(9)
    assert bits_of(torch.neg(-x)) == bits_of(x)


class Attention(nn.Module):
    """What people write: casts and dropouts that do nothing in evaluation, transposes back and forth."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, width = x.shape
        x = x.to(torch.float32).contiguous()
        parts = self.qkv(x).view(rows, length, 3, 2, 4).permute(2, 0, 3, 1, 4)
        q, k, v = (parts[n][:, :] for n in range(3))
        scores = q @ k.transpose(-2, -1).mT.transpose(2, 3) / 2.0
        weights = self.drop(F.softmax(scores, -1, dtype=torch.float32).to(q.dtype))
        mixed = torch.multiply(weights @ v, 1).transpose(1, 2).reshape(rows, length, width)
        return torch.subtract(self.drop(self.out(mixed)), 0)


def _mixed_precision() -> Any:
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize(
    "passes", ["peephole", "normalize_ops,peephole{fold_scalars=true},dce", "profiled"]
)
@pytest.mark.parametrize("depth", ["flat", "deep"])
def test_a_model_replays_bit_for_bit(passes: str, depth: Any) -> None:
    model = Attention().eval()
    x = torch.randn(2, 3, 8)
    traced = opscope.trace(model, x, depth=depth)
    nodes = len(traced.graph.block)
    assert traced.apply(passes, verify_each=True).changed
    assert len(traced.graph.block) < nodes
    x = torch.randn(2, 3, 8)
    assert torch.equal(traced(x), model(x))
    if depth == "flat":  # a deep trace is held to its sizes and modes
        x = torch.randn(2, 5, 8)
        for mode in (torch.no_grad, torch.inference_mode, _mixed_precision):
            with mode():
                assert torch.equal(traced(x), model(x))
    expected = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    found = torch.autograd.grad(traced(x).sum(), list(model.parameters()))
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x.t().t(),
        lambda x: x[:],
        lambda x: x.to(x.dtype),
        lambda x: torch.dropout(x, 0.5, False),
        lambda x: (x.relu() * 1).view(-1),
        lambda x: [y := x.relu(), y * 1],
        lambda x: [y := x[:], y.add_(1), x],
        lambda x: [y := x.relu(), z := y - 0, z.add_(1), y],
        lambda x: [y := x.relu(), z := y - 0, y.add_(1), z],
    ],
)
def test_objects_and_memory_are_those_of_the_program(program: Callable[..., Any]) -> None:
    traced = opscope.trace(program, torch.ones(2, 3))
    traced.apply("peephole{fold_scalars=true}", verify_each=True)
    seen = []
    for run in (program, traced):
        x = torch.ones(2, 3)
        found = run(x)
        parts = found if isinstance(found, list) else [found]
        relations = [
            (one is other, one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr())
            for one in (x, *parts)
            for other in (x, *parts)
        ]
        seen.append((relations, [part.tolist() for part in (x, *parts)]))
    assert seen[0] == seen[1]


def test_options_are_read_from_text() -> None:
    traced = opscope.trace(lambda x: (x.relu() * 1).exp(), torch.ones(2))
    assert not traced.apply("peephole").changed
    assert traced.apply("peephole{fold_scalars=true}").runs[0].result.stats == {"simplified": 1}


G = "f32[2, 4]{grad}"
TG = "f32[4, 2]{strides=[1, 4], grad}"
TURNED = f" %a : {TG} = aten::t(%x)\n %r : {G} = aten::t(%a)\n"


def _followed(body: str) -> str:
    return f"graph(%x : {G}):\n{body}"


def test_gradients_are_added_up_as_they_were() -> None:
    others = f" %u : {G} = aten::sin(%x)\n %v : {G} = aten::cos(%x)\n"
    rest = f" %y : {G} = aten::exp(%r)\n return (%u, %v, %y)"
    before = _followed(others + TURNED + rest)
    check_pass(Peephole(), before, before)
    check_pass(
        Peephole(reorder_gradients=True),
        before,
        _followed(others + rest.replace("%r", "%x")),
    )


def test_two_gradients_may_change_places() -> None:
    other = f" %u : {G} = aten::sin(%x)\n"
    rest = f" %y : {G} = aten::exp(%r)\n return (%u, %y)"
    check_pass(
        Peephole(),
        _followed(other + TURNED + rest),
        _followed(other + rest.replace("%r", "%x")),
    )


def test_all_readers_of_a_view_may_read_what_nothing_else_reads() -> None:
    rest = (
        f" %y : {G} = aten::exp(%r)\n %z : {G} = aten::sin(%r)\n %w : {G} = aten::cos(%r)\n"
        " return (%w, %y, %z)"
    )
    check_pass(
        Peephole(),
        _followed(TURNED + rest),
        _followed(rest.replace("%r", "%x")),
    )


def test_what_returns_its_operand_adds_nothing_to_sums() -> None:
    others = f" %u : {G} = aten::sin(%x)\n %v : {G} = aten::cos(%x)\n"
    rest = f" %y : {G} = aten::exp(%r)\n return (%u, %v, %y)"
    check_pass(
        Peephole(),
        _followed(others + f" %r : {G} = aten::dropout(%x, 0.5, False)\n" + rest),
        _followed(others + rest.replace("%r", "%x")),
    )
