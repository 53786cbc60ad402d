"""Tensors of every kind go in, are made inside, and come out; the replay gives the very same ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.exactness import check_exact
from support.replays import plain_text

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
    pytest.mark.filterwarnings("ignore:.*ComplexHalf support is experimental"),
    pytest.mark.filterwarnings("ignore:Creating a tensor from a list"),
]

Make = Callable[[], tuple[Any, ...]]
Case = tuple[Callable[..., Any], Make]


def eye() -> tuple[torch.Tensor]:
    return (torch.eye(4),)


def uncoalesced() -> tuple[torch.Tensor]:
    return (
        torch.sparse_coo_tensor(torch.tensor([[0, 0], [1, 1]]), torch.tensor([1.0, 2.0]), (3, 3)),
    )


SPARSE: dict[str, Case] = {
    "coo in and out": (
        lambda s: (s * 2, s @ torch.ones(4, 4), s.to_dense(), s.coalesce().values()),
        lambda: (torch.eye(4).to_sparse(),),
    ),
    "coo made": (
        lambda i, v: torch.sparse_coo_tensor(i, v, (3, 3)),
        lambda: (torch.tensor([[0, 1], [2, 0]]), torch.tensor([1.0, 2.0])),
    ),
    "coo uncoalesced": (lambda s: (s + s, s.coalesce(), s._values()), uncoalesced),
    "coo written": (lambda x: x.to_sparse().mul_(3).add_(x.to_sparse()), eye),
    "coo with gradients": (
        lambda x: torch.sparse.mm(x.to_sparse(), torch.ones(3, 2)),
        lambda: (torch.randn(3, 3).requires_grad_(),),
    ),
    "hybrid": (lambda x: x.to_sparse(1) * 2, lambda: (torch.randn(3, 4),)),
    "csr in": (
        lambda s: (s * 2, s @ torch.ones(4, 4), s.values(), s.crow_indices(), s),
        lambda: (torch.eye(4).to_sparse_csr(),),
    ),
    "csr made": (
        lambda a, b, c: torch.sparse_csr_tensor(a, b, c, (2, 2)) * 2,
        lambda: (torch.tensor([0, 1, 2]), torch.tensor([0, 1]), torch.tensor([1.0, 2.0])),
    ),
    "csc": (lambda x: x.to_sparse_csc(), eye),
    "bsr": (lambda x: (x.to_sparse_bsr((2, 2)), x.to_sparse_bsr((2, 2)) @ x), eye),
    "bsr in": (lambda x: (x.to_dense(), x), lambda: (torch.eye(4).to_sparse_bsr((2, 2)),)),
    "bsc": (lambda x: x.to_sparse_bsc((2, 2)), eye),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_tensors(name: str) -> None:
    check_exact(*SPARSE[name])


def nested(layout: torch.layout) -> Any:
    rows = [torch.arange(6.0).view(2, 3), torch.ones(4, 3)]
    return torch.nested.nested_tensor(rows, layout=layout)


def strided_nested() -> tuple[Any]:
    return (nested(torch.strided),)


def jagged() -> tuple[Any]:
    return (nested(torch.jagged),)


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 3), torch.randn(4, 3)


def values_and_offsets() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(6, 3), torch.tensor([0, 2, 6])


from_jagged = torch.nested.nested_tensor_from_jagged

NESTED: dict[str, Case] = {
    "strided in and out": (
        lambda n: (n * 2, n.unbind()[0], torch.nested.to_padded_tensor(n, 0.0)),
        strided_nested,
    ),
    "strided made": (lambda a, b: torch.nested.as_nested_tensor([a, b]) + 1, rows),
    "strided linear": (
        lambda n, w: nn.functional.linear(n, w),
        lambda: (*strided_nested(), torch.randn(5, 3)),
    ),
    "jagged in and out": (
        lambda n: (n * 2, n.values(), n.offsets(), n.unbind()[1], n.offsets() + 1),
        jagged,
    ),
    "jagged sizes": (
        lambda n: (n.view(n.size(0), n.size(1), 3), n.reshape(n.shape[0], -1, 3, 1)),
        jagged,
    ),
    "jagged made of rows": (
        lambda a, b: torch.nested.as_nested_tensor([a, b], layout=torch.jagged) * 2,
        rows,
    ),
    "jagged made of constants": (
        lambda a: torch.nested.nested_tensor([torch.ones(2, 3), a], layout=torch.jagged) * 2,
        lambda: (torch.ones(4, 3),),
    ),
    "jagged made of values": (
        lambda v, o: (from_jagged(v, o) * 2, from_jagged(v, o)),
        values_and_offsets,
    ),
    "jagged with gradients": (
        lambda v, o: (from_jagged(v, o) * 2).sum(),
        lambda: (torch.randn(6, 3).requires_grad_(), torch.tensor([0, 2, 6])),
    ),
    "jagged linear": (
        lambda n, w: nn.functional.linear(n, w).values(),
        lambda: (*jagged(), torch.randn(5, 3).requires_grad_()),
    ),
    "jagged padded": (lambda n: n.to_padded_tensor(0.0), jagged),
    "jagged softmax": (lambda n: (n.softmax(-1), n.sum(1)), jagged),
    "jagged again": (lambda n: n * n.sin() + from_jagged(n.values(), n.offsets()), jagged),
    "jagged cat": (lambda n: torch.cat([n, n], -1), jagged),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_tensors(name: str) -> None:
    check_exact(*NESTED[name])


def test_ragged_sizes_are_counted_by_the_graph() -> None:
    def program(n: Any, m: Any) -> Any:
        return n * 2, m.sin(), n.offsets()

    first = check_exact(program, lambda: (*jagged(), *jagged()))
    assert plain_text(first) == (
        "graph program(%n : f32[2, j0, 3]{layout=jagged}, %m : f32[2, j1, 3]{layout=jagged}) -> ("
        "f32[2, j0, 3]{layout=jagged},\n"
        "      f32[2, j1, 3]{layout=jagged}, i64[3]):\n"
        "  %0 : f32[2, j0, 3]{layout=jagged} = aten::mul.Tensor(%n, 2)\n"
        "  %1 : f32[2, j1, 3]{layout=jagged} = aten::sin(%m)\n"
        '  %2 : i64[3] = prim::inner(%0, ["_offsets"])\n'
        "  return (%0, %1, %2)"
    )


def test_rows_of_a_nested_tensor_may_have_other_lengths_at_a_replay() -> None:
    def program(n: Any) -> Any:
        return (n * 2).view(n.size(0), n.size(1), 3)

    traced = opscope.trace(program, jagged())
    other = torch.nested.nested_tensor([torch.randn(1, 3), torch.randn(5, 3)], layout=torch.jagged)
    for ours, theirs in zip(traced(other).unbind(), program(other).unbind(), strict=True):
        assert torch.equal(ours, theirs)


def test_two_inputs_of_equal_rows_must_have_equal_rows_again() -> None:
    n = nested(torch.jagged)
    traced = opscope.trace(lambda a, b: a + b, (n, n * 1))
    with pytest.raises(opscope.InputError, match="dimension 1 is"):
        traced(*jagged(), *jagged())


def test_the_type_of_a_strided_nested_tensor_says_so() -> None:
    traced = opscope.trace(lambda n: n * 2, strided_nested())
    assert "%n : f32[*]{layout=nested}" in str(traced)
    with pytest.raises(opscope.InputError, match="its layout is strided and was nested"):
        traced(torch.ones(2, 3))


def quantized() -> tuple[torch.Tensor]:
    return (torch.quantize_per_tensor(torch.arange(4.0), 0.5, 1, torch.quint8),)


QUANTIZED: dict[str, Case] = {
    "in and out": (
        lambda x: (x.dequantize(), x.int_repr(), x, x.view(2, 2), torch.relu(x)),
        quantized,
    ),
    "made": (
        lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
        lambda: (torch.randn(4),),
    ),
    "per channel": (
        lambda x: torch.quantize_per_channel(
            x, torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8
        ).dequantize(),
        lambda: (torch.randn(2, 3),),
    ),
    "operators": (lambda x: torch.ops.quantized.add(x, x, 1.0, 0), quantized),
}


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_tensors(name: str) -> None:
    check_exact(*QUANTIZED[name])


def test_the_scale_of_a_quantized_tensor_is_data() -> None:
    traced = check_exact(lambda x: x.int_repr() * x.q_scale(), quantized, diagnostics=1)
    assert "aten::q_scale" in traced.diagnostics[0].message


def cfloat(*sizes: int) -> torch.Tensor:
    return torch.randn(*sizes, dtype=torch.complex64)


COMPLEX: dict[str, Case] = {
    "conjugate in": (
        lambda x: (x * 2, x, x.imag, x.conj(), x.resolve_conj()),
        lambda: (cfloat(3).conj(),),
    ),
    "conjugate made": (
        lambda x: (x.conj(), x.conj().imag, x.mH, x.conj().clone()),
        lambda: (cfloat(3, 3),),
    ),
    "conjugate written": (lambda x: x.conj().mul_(2j), lambda: (cfloat(3),)),
    "negative": (
        lambda x: (x * 2, x, x.resolve_neg(), x.clone()),
        lambda: (cfloat(3).conj().imag,),
    ),
    "numbers": (lambda x: x * (1 + 2j) + 3j, lambda: (torch.randn(3),)),
    "half": (
        lambda x: (x * 2, torch.view_as_real(x)),
        lambda: (torch.randn(3, dtype=torch.complex32),),
    ),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_conjugate_and_negative_tensors(name: str) -> None:
    check_exact(*COMPLEX[name])


def made_in_inference() -> tuple[torch.Tensor]:
    with torch.inference_mode():
        return (torch.randn(3),)


OTHERS: dict[str, Case] = {
    "meta": (
        lambda x: (x @ x.t(), torch.ones(2, device="meta"), x.view(-1)),
        lambda: (torch.empty(3, 4, device="meta"),),
    ),
    "mkldnn in": (
        lambda x: (x.to_dense(), x.relu()),
        lambda: (torch.randn(2, 4).to_mkldnn(),),
    ),
    "mkldnn made": (
        lambda x: (x.to_mkldnn().relu().to_dense(), x.to_mkldnn()),
        lambda: (torch.randn(2, 4),),
    ),
    "inference in": (lambda x: (x * 2, x), made_in_inference),
    "inference made": (
        torch.inference_mode()(lambda x: (x * 2, x.view(-1))),
        lambda: (torch.randn(3),),
    ),
    "no elements": (
        lambda x: (x.sum(0), x @ torch.ones(3, 2), torch.cat([x, torch.ones(1, 3)]), x.view(3, 0)),
        lambda: (torch.zeros(0, 3),),
    ),
    "no dimensions": (
        lambda x, y: (x * y, x.unsqueeze(0), torch.stack([x, x]), y.clone()),
        lambda: (torch.tensor(2.0), torch.tensor(3)),
    ),
    "bool": (
        lambda x: (x & ~x, x.sum(), torch.where(x, 1.0, 2.0), x.logical_not()),
        lambda: (torch.tensor([True, False]),),
    ),
    "float4": (
        lambda x: (x, x.view(torch.uint8) + 1),
        lambda: (torch.zeros(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),),
    ),
    "less than a byte": (
        lambda x: (x.view(torch.uint4), x.view(torch.int4), x.view(torch.bits8)),
        lambda: (torch.zeros(4, dtype=torch.uint8),),
    ),
    "unsigned": (
        lambda x, y: (x.int() + 1, y.to(torch.float64)),
        lambda: (torch.ones(4, dtype=torch.uint16), torch.ones(4, dtype=torch.uint64)),
    ),
    "half precision": (
        lambda x, y: (x * 2, y @ y, x.float() + y),
        lambda: (torch.randn(3).bfloat16(), torch.randn(3).half()),
    ),
    "channels last": (
        lambda x: (
            x * 2,
            x.contiguous(),
            x.to(memory_format=torch.channels_last),
            nn.functional.conv2d(x, torch.ones(3, 3, 2, 2)),
        ),
        lambda: (torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),),
    ),
    "channels last in three dimensions": (
        lambda x: x.to(memory_format=torch.channels_last_3d) * 2,
        lambda: (torch.randn(2, 3, 4, 4, 2),),
    ),
    "expanded": (lambda x: (x * 2, x.sum(0), x), lambda: (torch.randn(1, 3).expand(4, 3),)),
    "overlapping": (
        lambda x: (x * 2, x.clone(), x.as_strided((5,), (1,))),
        lambda: (torch.randn(5).as_strided((3, 3), (1, 1)),),
    ),
    "part of a storage": (lambda x: (x * 2, x, x.view(2, 2)), lambda: (torch.randn(10)[3:7],)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_tensors_of_other_kinds(name: str) -> None:
    check_exact(*OTHERS[name])


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float8_e4m3fn,
        torch.float8_e5m2,
        torch.float8_e4m3fnuz,
        torch.float8_e5m2fnuz,
        torch.float8_e8m0fnu,
    ],
)
def test_float8_tensors(dtype: torch.dtype) -> None:
    check_exact(
        lambda x: (x.float() * 2, x, x.view(torch.uint8), x.clone(), x.float().to(dtype)),
        lambda: (torch.randn(4).to(dtype),),
    )


@pytest.mark.parametrize("name", ["coo in and out", "csr in"])
def test_sparse_tensors_in_inference_mode(name: str) -> None:
    with torch.inference_mode():
        check_exact(*SPARSE[name])


def test_nested_and_conjugate_tensors_in_inference_mode() -> None:
    with torch.inference_mode():
        check_exact(*NESTED["jagged in and out"])
        check_exact(*COMPLEX["conjugate in"])
        check_exact(*QUANTIZED["in and out"])


def test_a_check_of_strides_is_no_read_of_data() -> None:
    traced = opscope.trace(
        lambda x: torch.ops.aten.sym_is_contiguous(x) and x + 1, torch.ones(2, 2)
    )
    assert not traced.diagnostics


def test_a_resized_storage_is_resized_at_the_replay() -> None:
    kept = torch.arange(4.0)

    def program(x: torch.Tensor) -> torch.Tensor:
        kept.untyped_storage().resize_(16)
        kept.copy_(x)
        y = kept * 2
        kept.untyped_storage().resize_(0)
        return y

    x = torch.randn(4)
    traced = opscope.trace(program, x)
    assert "prim::resize_storage" in str(traced)
    assert torch.equal(traced(x), x * 2)
    assert kept.untyped_storage().nbytes() == 0
