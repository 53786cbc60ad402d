"""Types: how they read, and what is derived from them."""

import pytest

from opscope.errors import ParseError
from opscope.ir import (
    Device,
    DictType,
    DType,
    Layout,
    ListType,
    RecordType,
    ScalarType,
    SymDim,
    TensorType,
    TupleType,
    Type,
    parse_type,
    row_major_strides,
)

INT, STR = ScalarType.INT, ScalarType.STR


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (TensorType(DType.F32, (2, 3)), "f32[2, 3]"),
        (TensorType(DType.BOOL, ()), "bool[]"),
        (TensorType(DType.F32), "f32[*]"),
        (TensorType(None, (2,)), "tensor[2]"),
        (TensorType(), "tensor"),
        (TensorType(DType.F16, (SymDim("batch"), SymDim("2 * s0"))), 'f16[batch, "2 * s0"]'),
        (
            TensorType(
                DType.I64, (2, 3), (1, 2), Device("cuda", 0), Layout("sparse_coo"), requires_grad=True
            ),
            "i64[2, 3]{strides=[1, 2], device=cuda:0, layout=sparse_coo, grad}",
        ),
        (TensorType(strides=()), "tensor{strides=[]}"),
        (ScalarType.BOOL, "bool"),
        (ScalarType.NONE, "none"),
        (ListType(ListType(INT)), "list[list[int]]"),
        (TupleType(()), "tuple[]"),
        (TupleType((INT, TensorType())), "tuple[int, tensor]"),
        (DictType(STR, INT), "dict[str, int]"),
        (RecordType("m.Out", (("loss", INT), ("a b", STR))), 'record m.Out[loss: int, "a b": str]'),
        (RecordType("f.<locals>.P", (), is_tuple=True), 'namedtuple "f.<locals>.P"[]'),
    ],
)  # fmt: skip
def test_types_read_and_are_read_back(type_: Type, text: str) -> None:
    assert str(type_) == text
    assert parse_type(text) == type_


@pytest.mark.parametrize("text", [" f32[ 2 ,3 ] ", "f32[2,3]{}", "f32[\n  2,\n  3,\n]"])
def test_blanks_and_line_ends_do_not_matter(text: str) -> None:
    assert parse_type(text) == TensorType(DType.F32, (2, 3))


@pytest.mark.parametrize(
    "text", ["", "f32", "f32[2", "f32[-1]", "f32[2] x", "list", "float32[2]", "record[int]"]
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"expected|is not a type"):
        parse_type(text)


def test_size_is_known_where_every_dimension_is() -> None:
    fixed = TensorType(DType.F16, (2, 3))
    open_ = TensorType(DType.F16, (SymDim("n"), 3))
    unknown = TensorType()
    assert (fixed.rank, fixed.numel, fixed.nbytes) == (2, 6, 12)
    assert (open_.rank, open_.numel, open_.nbytes) == (2, None, None)
    assert (unknown.rank, unknown.numel, unknown.nbytes) == (None, None, None)
    assert TensorType(None, ()).numel == 1
    assert TensorType(None, ()).nbytes is None


def test_row_major_strides_count_elements() -> None:
    assert row_major_strides((2, 3, 4)) == (12, 4, 1)
    assert row_major_strides((2, 0, 4)) == (4, 4, 1)
    assert row_major_strides(()) == ()


def test_element_types_know_their_names_and_kinds() -> None:
    assert (str(DType.BF16), DType.BF16.long_name, DType.BF16.nbytes) == ("bf16", "bfloat16", 2)
    assert [dtype for dtype in (DType.BF16, DType.C64, DType.I8) if dtype.is_floating_point] == [
        DType.BF16
    ]
    assert [dtype for dtype in (DType.BF16, DType.C64, DType.I8) if dtype.is_complex] == [DType.C64]
    assert len({dtype.long_name for dtype in DType}) == len(DType)
