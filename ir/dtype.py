"""Element types of tensors, with the short names that the text form uses."""

from __future__ import annotations

from enum import Enum
from typing import Self


class DType(Enum):
    """The element type of a tensor.

    The member's value is its short name in text (``f32``); ``long_name`` is torch's name without the
    ``torch.`` prefix (``float32``).
    """

    long_name: str
    nbytes: int  # bytes per element; sub-byte types count the byte that torch reports

    def __new__(cls, short: str, long_name: str, nbytes: int) -> Self:
        """Make a member whose value is the short name alone."""
        member = object.__new__(cls)
        member._value_ = short
        member.long_name = long_name
        member.nbytes = nbytes
        return member

    F64 = ("f64", "float64", 8)
    F32 = ("f32", "float32", 4)
    F16 = ("f16", "float16", 2)
    BF16 = ("bf16", "bfloat16", 2)
    F8_E4M3FN = ("f8e4m3fn", "float8_e4m3fn", 1)
    F8_E4M3FNUZ = ("f8e4m3fnuz", "float8_e4m3fnuz", 1)
    F8_E5M2 = ("f8e5m2", "float8_e5m2", 1)
    F8_E5M2FNUZ = ("f8e5m2fnuz", "float8_e5m2fnuz", 1)
    F8_E8M0FNU = ("f8e8m0fnu", "float8_e8m0fnu", 1)
    F4_E2M1FN_X2 = ("f4e2m1fn_x2", "float4_e2m1fn_x2", 1)
    C128 = ("c128", "complex128", 16)
    C64 = ("c64", "complex64", 8)
    C32 = ("c32", "complex32", 4)
    I64 = ("i64", "int64", 8)
    I32 = ("i32", "int32", 4)
    I16 = ("i16", "int16", 2)
    I8 = ("i8", "int8", 1)
    I7 = ("i7", "int7", 1)
    I6 = ("i6", "int6", 1)
    I5 = ("i5", "int5", 1)
    I4 = ("i4", "int4", 1)
    I3 = ("i3", "int3", 1)
    I2 = ("i2", "int2", 1)
    I1 = ("i1", "int1", 1)
    U64 = ("u64", "uint64", 8)
    U32 = ("u32", "uint32", 4)
    U16 = ("u16", "uint16", 2)
    U8 = ("u8", "uint8", 1)
    U7 = ("u7", "uint7", 1)
    U6 = ("u6", "uint6", 1)
    U5 = ("u5", "uint5", 1)
    U4 = ("u4", "uint4", 1)
    U3 = ("u3", "uint3", 1)
    U2 = ("u2", "uint2", 1)
    U1 = ("u1", "uint1", 1)
    BOOL = ("bool", "bool", 1)
    QI32 = ("qi32", "qint32", 4)
    QI8 = ("qi8", "qint8", 1)
    QU8 = ("qu8", "quint8", 1)
    QU4X2 = ("qu4x2", "quint4x2", 1)
    QU2X4 = ("qu2x4", "quint2x4", 1)
    BITS16 = ("bits16", "bits16", 2)
    BITS8 = ("bits8", "bits8", 1)
    BITS4X2 = ("bits4x2", "bits4x2", 1)
    BITS2X4 = ("bits2x4", "bits2x4", 1)
    BITS1X8 = ("bits1x8", "bits1x8", 1)

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_floating_point(self) -> bool:
        """Whether elements are real floating point numbers."""
        return self.long_name.startswith(("float", "bfloat"))

    @property
    def is_complex(self) -> bool:
        """Whether elements are complex numbers."""
        return self.long_name.startswith("complex")
