"""Tensors in files: each comes back in every respect, or is refused when it is written."""

import io
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_safetensors
from torch import nn

from opscope.errors import FormatError, ReplayError
from opscope.ir.files import SavedTensor, header_bytes, read_header
from opscope.runtime import TensorWriter, make_tensors, read_memories
from opscope.tracer import type_of_tensor
from support.exactness import assert_identical
from support.tensor_classes import Named


def written(*tensors: torch.Tensor, with_gradients: bool = False) -> tuple[TensorWriter, bytes]:
    writer = TensorWriter(type_of_tensor, with_gradients=with_gradients)
    for number, tensor in enumerate(tensors):
        writer.add(tensor, f"t{number}")
    writer.require_apart()
    stream = io.BytesIO()
    stream.write(header_bytes(writer.entries))
    writer.write(stream)
    return writer, stream.getvalue()


def restored(records: Sequence[SavedTensor], content: bytes) -> list[torch.Tensor]:
    stream = io.BytesIO(content)
    sizes = [size for _, size in read_header(stream, len(content)).values()]
    return make_tensors(records, read_memories(stream, sizes))


def back(*tensors: torch.Tensor, with_gradients: bool = False) -> list[torch.Tensor]:
    writer, content = written(*tensors, with_gradients=with_gradients)
    made = restored(writer.records, content)
    numbers = [writer.number(tensor) for tensor in tensors]
    return [made[number] for number in numbers if number is not None]


def _bytes(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    """Return a tensor of every bit pattern there may be, not-a-numbers among them."""
    count = max(math.prod(shape), 1) * dtype.itemsize
    return (
        (torch.arange(count) * 37 % 251).to(torch.uint8).view(dtype)[: math.prod(shape)].view(shape)
    )


DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e4m3fnuz,
    torch.float8_e5m2, torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.complex128, torch.complex64,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint64, torch.uint32, torch.uint16, torch.uint8,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_element_type_comes_back_bit_by_bit(dtype: torch.dtype) -> None:
    tensor = _bytes(dtype, 3, 4)
    (again,) = back(tensor)
    assert_identical(again, tensor)


def test_numbers_that_are_none_and_the_smallest_ones_come_back() -> None:
    bits = torch.tensor([0x7FC00001, -0x00400001, 1, -0x80000000, 0x7F800000], dtype=torch.int32)
    tensor = bits.view(torch.float32)
    (again,) = back(tensor)
    assert torch.equal(again.view(torch.int32), bits)


def test_bools_and_half_complex_numbers_come_back() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # half complex numbers are experimental
        for tensor in (torch.tensor([True, False]), _bytes(torch.complex32, 4)):
            (again,) = back(tensor)
            assert again.dtype is tensor.dtype
            assert torch.equal(again.view(torch.uint8), tensor.view(torch.uint8))


def test_sizes_strides_and_places_in_memory_come_back() -> None:
    base = torch.randn(4, 6)
    tensors = [
        base.t(),
        base[1:, ::2],
        base[2, 3],
        base[:0],
        torch.randn(()),
        torch.empty(0),
        torch.empty(2, 0, 3),
        torch.randn(1, 3, 5, 5).to(memory_format=torch.channels_last),
        torch.randn(3).expand(4, 3),
    ]
    for tensor, again in zip(tensors, back(*tensors), strict=True):
        assert_identical(again, tensor)
        assert again.storage_offset() == tensor.storage_offset()
        assert again.untyped_storage().nbytes() == tensor.untyped_storage().nbytes()


def test_tensors_that_share_memory_share_it_again() -> None:
    base = torch.randn(4, 6)
    one, other, apart = back(base, base[1:].view(torch.int32), base.clone())
    other.zero_()
    assert one[1:].eq(0).all()
    assert not one[0].eq(0).all()
    assert not apart.eq(0).all()


def test_one_tensor_is_one_tensor() -> None:
    weight = nn.Parameter(torch.randn(2))
    one, other = back(weight, weight)
    assert one is other


def test_parameters_and_what_autograd_knows_come_back() -> None:
    tensors = [
        nn.Parameter(torch.randn(2)),
        nn.Parameter(torch.randn(2), requires_grad=False),
        torch.randn(2, requires_grad=True),
        nn.Buffer(torch.randn(2)),
    ]
    for tensor, again in zip(tensors, back(*tensors), strict=True):
        assert_identical(again, tensor)
        assert again.is_leaf


def test_gradients_come_back_where_they_count() -> None:
    weight = nn.Parameter(torch.randn(2))
    weight.grad = torch.tensor([1.0, 2.0])
    (again,) = back(weight, with_gradients=True)
    assert again.grad is not None
    assert again.grad.tolist() == [1, 2]
    (again,) = back(weight)
    assert again.grad is None


def test_conjugate_negative_and_inference_tensors_come_back() -> None:
    with torch.inference_mode():
        inference = torch.randn(3)
    base = torch.randn(3, dtype=torch.complex64)
    tensors = [base.conj(), base.conj().imag, inference]
    assert [tensors[0].is_conj(), tensors[1].is_neg(), inference.is_inference()] == [True] * 3
    for tensor, again in zip(tensors, back(*tensors), strict=True):
        assert_identical(again, tensor)


def test_sparse_tensors_come_back() -> None:
    dense = torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    indices = torch.tensor([[0, 0, 1], [1, 1, 2]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # compressed layouts are experimental
        twice = torch.sparse_coo_tensor(indices, torch.ones(3), (2, 3))
        tensors = [dense.to_sparse(), twice, dense.to_sparse_csr(), dense.to_sparse_csc()]
        assert [tensor.is_coalesced() for tensor in tensors[:2]] == [True, False]
        for tensor, again in zip(tensors, back(*tensors), strict=True):
            assert_identical(again, tensor)


def test_quantized_tensors_come_back() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch will drop them
        data = torch.randn(3, 4)
        scales, zeros = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0, 1, 2])
        tensors = [
            torch.quantize_per_tensor(data, 0.07, 3, torch.quint8),
            torch.quantize_per_tensor(data, 0.1, 0, torch.qint32),
            torch.quantize_per_channel(data, scales, zeros, 0, torch.qint8),
        ]
        for tensor, again in zip(tensors, back(*tensors), strict=True):
            assert_identical(again, tensor)
            assert again.qscheme() == tensor.qscheme()
        with pytest.raises(FormatError, match="not laid out row by row"):
            written(tensors[0].t())


def test_tensors_without_data_come_back_as_such() -> None:
    tensor = torch.empty(3, 4, device="meta").t()[1:]
    (again,) = back(tensor)
    assert_identical(again, tensor)
    assert again.storage_offset() == tensor.storage_offset()


def _numpy_overlap() -> Sequence[torch.Tensor]:
    import numpy as np

    array = np.zeros(8, dtype=np.float32)
    return torch.from_numpy(array), torch.from_numpy(array[2:])


def _computed() -> Sequence[torch.Tensor]:
    return (torch.randn(2, requires_grad=True) * 2,)


def _given_back() -> Sequence[torch.Tensor]:
    tensor = torch.ones(4)
    tensor.untyped_storage().resize_(0)
    return (tensor,)


def _fake() -> Sequence[torch.Tensor]:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        return (torch.randn(2),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (torch.ones(2).as_subclass(Named),), "Named, which the file cannot hold"),
        (_computed, "t0 was computed by MulBackward0, which autograd knows"),
        (_numpy_overlap, "t0 and t1 lie in memories that overlap"),
        (_given_back, "t0 has less memory than elements"),
        (_fake, "FakeTensor, which the file cannot hold"),
        (lambda: (torch.nested.nested_tensor([torch.ones(2)]),), "t0 is a nested tensor"),
        (lambda: (torch.ones(2).to_mkldnn(),), "t0 is of layout _mkldnn"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_what_cannot_come_back_exactly_is_refused(
    make: Callable[[], Sequence[torch.Tensor]], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        written(*make())


def test_others_read_the_data_as_safetensors(tmp_path: Path) -> None:
    weight, half = torch.randn(3, 4), torch.randn(2).bfloat16()
    _, content = written(weight, half, weight[1:], torch.randn(4, 4).t())
    found: dict[str, Any] = load_safetensors(content)
    assert torch.equal(found["t0"], weight)
    assert torch.equal(found["t1"], half)
    assert sorted(found) == ["t0", "t1", "t3"]  # t2 is in the memory of t0
    assert found["t3"].dtype is torch.uint8  # bytes of a tensor that is not laid out row by row


def test_indices_beyond_the_sizes_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer, content = written(torch.eye(3).to_sparse())
    records = [replace(r, shape=(2, 2)) if r.kind == "coo" else r for r in writer.records]
    with pytest.raises(ReplayError, match="cannot be made here"):
        restored(records, content)


def test_a_device_that_is_not_here_is_named() -> None:
    writer, content = written(torch.ones(2))
    records = [replace(record, device="cuda:31") for record in writer.records]
    with pytest.raises(ReplayError, match=r"a tensor f32\[2\] on cuda:31 cannot be made here"):
        restored(records, content)
