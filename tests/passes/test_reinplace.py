"""New tensors that become writes over those that nothing reads any more."""

from collections.abc import Callable, Iterator
from itertools import chain

import pytest
import torch
from torch import nn

import opscope
from opscope.passes.reinplace import Reinplace
from opscope.passes.storages import sharing_of
from opscope.program.operators import parse
from opscope.testing import check_pass
from opscope.tracer.dispatch.schemas import operator_of

PASS = Reinplace(without_gradients=True)
FIXED = Reinplace(fixed_sizes=True, without_gradients=True)


def body(*lines: str, returns: str = "%out") -> str:
    """Return the text of a graph around some nodes, which computes ``%h`` first."""
    inner = "\n".join(f"  {line}" for line in lines)
    return f"""
graph(%x : f32[2, 4], %w : f32[4, 4], %r : f32[2, 4]) -> (f32[2, 4]):
  %h : f32[2, 4] = aten::linear(%x, %w)
{inner}
  return ({returns})
"""


def test_the_last_reader_of_a_tensor_writes_over_it() -> None:
    result = check_pass(
        PASS,
        before=body(
            "%a : f32[2, 4] = aten::gelu(%h)",
            "%s : f32[2, 4] = aten::mul.Tensor(%a, 2)",
            "%out : f32[2, 4] = aten::linear(%s, %w)",
        ),
        after=body(
            "%a : f32[2, 4] = aten::gelu_(%h)",
            "%s : f32[2, 4] = aten::mul_.Tensor(%a, 2)",
            "%out : f32[2, 4] = aten::linear(%s, %w)",
        ),
    )
    assert result.stats == {"reinplaced": 2}


def test_keywords_names_and_overloads_stay() -> None:
    check_pass(
        FIXED,
        before=body(
            '%a : f32[2, 4] = aten::gelu(%h, approximate="tanh")',
            "%s : f32[2, 4] = aten::sub.Tensor(%a, %r, alpha=2)",
            "%out : f32[2, 4] = aten::linear(%s, %w)",
        ),
        after=body(
            '%a : f32[2, 4] = aten::gelu_(%h, approximate="tanh")',
            "%s : f32[2, 4] = aten::sub_.Tensor(%a, %r, alpha=2)",
            "%out : f32[2, 4] = aten::linear(%s, %w)",
        ),
    )


STAYS = {
    "it is read again": [
        "%a : f32[2, 4] = aten::gelu(%h)",
        "%b : f32[2, 4] = aten::linear(%h, %w)",
        "%out : f32[2, 4] = aten::mm(%a, %b)",
    ],
    "a view of it is read again": [
        "%v : f32[4, 2] = aten::view(%h, [4, 2])",
        "%a : f32[2, 4] = aten::gelu(%h)",
        "%out : f32[2, 4] = aten::mm(%a, %v)",
    ],
    "it is read as another operand": [
        "%v : f32[2, 4] = aten::alias(%h)",
        "%a : f32[2, 4] = aten::mul.Tensor(%h, %v)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "a view of it leaves": [
        "%out : f32[2, 4] = aten::alias(%h)",
        "%a : f32[2, 4] = aten::relu(%h)",
    ],
    "it is an input": [
        "%a : f32[2, 4] = aten::relu(%x)",
        "%out : f32[2, 4] = aten::add.Tensor(%h, %a)",
    ],
    "it is a view": [
        "%v : f32[2, 4] = aten::alias(%h)",
        "%a : f32[2, 4] = aten::relu(%v)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "it may be an operand of what made it": [
        "%c : f32[2, 4] = aten::contiguous(%h)",
        "%a : f32[2, 4] = aten::relu(%c)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "the result leaves": ["%out : f32[2, 4] = aten::relu(%h)"],
    "a view of the result leaves": [
        "%a : f32[2, 4] = aten::relu(%h)",
        "%out : f32[2, 4] = aten::alias(%a)",
    ],
    "the result is of another type": [
        "%a : bool[2, 4] = aten::logical_not(%h)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "the result is written": [
        "%a : f32[2, 4] = aten::relu(%h)",
        "%b : f32[2, 4] = aten::add_.Tensor(%a, 1)",
        "%out : f32[2, 4] = aten::linear(%b, %w)",
    ],
    "random numbers are drawn": [
        "%a : f32[2, 4] = aten::rrelu(%h, 0.1, 0.3, True)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "another operator has no such overload": [
        "%a : f32[2, 4] = aten::maximum(%h, %r)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "it is on another device": [
        "%s : f32[] = aten::sum(%x)",
        "%b : f32[] = aten::neg(%s)",
        "%m : f32[]{device=meta} = aten::empty.memory_format([], device=device.meta)",
        "%a : f32[]{device=meta} = aten::add.Tensor(%b, %m)",
        "%out : f32[]{device=meta} = aten::sum(%a)",
    ],
    "numbers are complex": [
        "%c : c64[2, 4] = aten::complex(%x, %r)",
        "%b : c64[2, 4] = aten::neg(%c)",
        "%a : c64[2, 4] = aten::div.Tensor(%b, %r)",
        "%out : f32[2, 4] = aten::abs(%a)",
    ],
    "a device of another library may have no such kernel": [
        "%b : f32[2, 4]{device=mps} = aten::neg(%x)",
        "%a : f32[2, 4]{device=mps} = aten::relu(%b)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "it is of another class": [
        '%b : f32[2, 4]{class="Own"} = aten::neg(%r)',
        '%a : f32[2, 4]{class="Own"} = aten::relu(%b)',
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "it was made in another mode": [
        "mode inference",
        "%b : f32[2, 4] = aten::neg(%x)",
        "mode no_grad",
        "%a : f32[2, 4] = aten::relu(%b)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
    "mixed precision is on": [
        "mode grad, autocast(cpu, bf16)",
        "%b : f32[2, 4] = aten::neg(%x)",
        "%a : f32[2, 4] = aten::relu(%b)",
        "%out : f32[2, 4] = aten::linear(%a, %w)",
    ],
}


@pytest.mark.parametrize("why", STAYS)
def test_a_new_tensor_stays_where(why: str) -> None:
    before = body(*STAYS[why]).replace(" -> (f32[2, 4])", "")
    check_pass(FIXED, before, before)


def test_with_a_second_tensor_only_where_sizes_are_known() -> None:
    before = body(
        "%a : f32[2, 4] = aten::add.Tensor(%h, %r)", "%out : f32[2, 4] = aten::linear(%a, %w)"
    )
    check_pass(PASS, before, before)
    check_pass(FIXED, before, before.replace("add.Tensor", "add_.Tensor"))


def test_what_may_not_lie_row_by_row_only_where_strides_are_known() -> None:
    """At other sizes, one of them 1, ``relu`` may choose other strides than a convolution has."""
    before = """
        graph(%x : f32[2, 3, 4, 4], %w : f32[3, 3, 1, 1]):
          %h : f32[2, 3, 4, 4]{strides=[48, 1, 12, 3]} = aten::conv2d(%x, %w)
          %a : f32[2, 3, 4, 4]{strides=[48, 1, 12, 3]} = aten::relu(%h)
          %out : f32[2, 3, 4, 4]{strides=[48, 1, 12, 3]} = aten::conv2d(%a, %w)
          return (%out)
    """
    check_pass(PASS, before, before)
    check_pass(FIXED, before, before.replace("relu(", "relu_("))


def test_what_autograd_may_follow_stays() -> None:
    before = body("%a : f32[2, 4] = aten::gelu(%h)", "%out : f32[2, 4] = aten::linear(%a, %w)")
    check_pass(Reinplace(), before, before)


def test_what_is_without_gradients_in_the_mode_of_the_caller_stays() -> None:
    def before(modes: str) -> str:
        return body(
            modes,
            "%b : f32[2, 4] = aten::linear(%x, %w)",
            "%a : f32[2, 4] = aten::relu(%b)",
            "%out : f32[2, 4] = aten::linear(%a, %w)",
        ).replace("  %h", "  ambient no_grad\n  %h", 1)

    callers, fixed = before("mode no_grad"), before("mode no_grad, fixed(grad)")
    check_pass(Reinplace(), callers, callers)
    check_pass(Reinplace(), fixed, fixed.replace("relu(", "relu_("))


def test_what_autograd_may_have_saved_stays() -> None:
    def before(*more: str) -> str:
        return body(
            "mode no_grad",
            "%b : f32[2, 4] = aten::linear(%x, %w)",
            *more,
            "mode no_grad",
            "%a : f32[2, 4] = aten::relu(%b)",
            "mode grad",
            "%out : f32[2, 4] = aten::linear(%a, %w)",
        )

    saved = before("mode grad", "%k : f32[2, 4] = aten::mul.Tensor(%b, %h)")
    check_pass(Reinplace(), saved, saved)
    check_pass(Reinplace(), before(), before().replace("relu(", "relu_("))


class Block(nn.Module):
    """A layer with a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def test_a_program_that_turns_gradients_off_itself() -> None:
    model = Block()

    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            features = model(x)
        return model(features)

    x = torch.randn(3, 8)
    traced = opscope.trace(program, x)
    assert traced.apply("reinplace", verify_each=True).runs[0].result.stats == {"reinplaced": 1}
    for size in (3, 7):
        x = torch.randn(size, 8)
        assert torch.equal(traced(x), program(x))
    traced(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_program_traced_without_gradients_may_be_run_with_them() -> None:
    model = Block()
    with torch.no_grad():
        traced = opscope.trace(model, torch.randn(3, 8))
    assert not traced.apply("reinplace").changed
    x = torch.randn(3, 8, requires_grad=True)
    traced(x).sum().backward()
    assert x.grad is not None


def test_it_asks_for_facts_about_operators() -> None:
    graph = parse(body("%out : f32[2, 4] = aten::relu(%h)"))
    with pytest.raises(opscope.PassError, match="must be told about torch's operators"):
        PASS.run(graph)


def _elementwise() -> Iterator[torch._ops.OpOverload]:
    """Yield torch's operators that compute element by element and have an overload in place."""
    for name in sorted(torch._C._dispatch_get_all_op_names()):
        base, _, overload = name.removeprefix("aten::").partition(".")
        if not name.startswith("aten::") or base.endswith("_"):
            continue
        try:
            found = getattr(getattr(torch.ops.aten, base), overload or "default")
            getattr(getattr(torch.ops.aten, f"{base}_"), overload or "default")
        except AttributeError:
            continue
        if torch.Tag.pointwise in found.tags:
            yield found


def _arguments(
    op: torch._ops.OpOverload, dtype: torch.dtype, shape: tuple[int, ...]
) -> list[object]:
    given: list[object] = []
    for parameter in op._schema.arguments:
        if parameter.has_default_value():
            continue
        if str(parameter.type) == "Tensor":
            tensor = torch.randn(shape) * 3
            given.append(tensor > 0 if parameter.name == "mask" else tensor.to(dtype))
        else:
            given.append({"number": 2, "float": 1.5, "int": 1}.get(str(parameter.type)))
    return given


def _variants(args: list[object]) -> Iterator[list[object]]:
    """Yield arguments, and the same with further tensors that are broadcast or lie otherwise in memory."""
    yield args
    tensors = [arg for arg in args if isinstance(arg, torch.Tensor)]
    if len(tensors) < 2 or not 1 < tensors[0].numel() < 10_000:
        return
    changes: list[Callable[[torch.Tensor], torch.Tensor]] = [
        lambda t: t[0],
        lambda t: t[..., :1],
        lambda t: t.reshape(-1)[0],
        lambda t: t.mT.contiguous().mT if t.dim() > 1 else t.repeat_interleave(2)[::2],
    ]
    for change in changes:
        yield [change(a) if i and isinstance(a, torch.Tensor) else a for i, a in enumerate(args)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64], ids=str)
def test_torch_computes_the_same_bits_in_place(dtype: torch.dtype) -> None:
    """The pass relies on it, for each operator that it takes; a torch of which it is not true fails here."""
    compared = set()
    for op in _elementwise():
        operator = operator_of(op)
        if operator.effects or sharing_of(operator) is not None:
            continue
        shapes: list[tuple[int, ...]] = [(), (7,), (33, 65), (2, 3, 17, 5), (100_003,)]
        for args in chain(*[_variants(_arguments(op, dtype, shape)) for shape in shapes]):
            first = args[0]
            if not isinstance(first, torch.Tensor):
                continue
            before = [first.clone(), *args[1:]]
            try:
                made = op(*args)
            except (RuntimeError, TypeError, NotImplementedError):
                continue  # not for this element type
            storages = {a.untyped_storage().data_ptr() for a in args if isinstance(a, torch.Tensor)}
            assert made.untyped_storage().data_ptr() not in storages, op
            if (made.dtype, made.shape, made.stride()) != (dtype, first.shape, first.stride()):
                continue
            base, _, overload = operator.name.removeprefix("aten::").partition(".")
            write = getattr(getattr(torch.ops.aten, f"{base}_"), overload or "default")
            written = write(*before)
            assert written is before[0], op
            assert torch.equal(*[t.reshape(-1).view(torch.uint8) for t in (made, written)]), op
            compared.add(operator.name)
    assert {"aten::add.Tensor", "aten::mul.Tensor"} <= compared
    assert dtype is torch.int64 or {"aten::gelu", "aten::silu", "aten::sigmoid"} <= compared
