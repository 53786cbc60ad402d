from pathlib import Path

import pytest

from opscope.cli.errors import CommandError
from opscope.cli.inputs import (
    InputSpec,
    LiteralValue,
    RandomTensor,
    SpecError,
    StoredValue,
    parse_argument,
    parse_input,
    parse_pairs,
)
from opscope.ir import DType


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("f32[1,3,224,224]", RandomTensor(DType.F32, (1, 3, 224, 224))),
        ("f32[]", RandomTensor(DType.F32, ())),
        ("f32[0]", RandomTensor(DType.F32, (0,))),
        (" bf16 [ 2 , 3 ] ", RandomTensor(DType.BF16, (2, 3))),
        ("float32[2]", RandomTensor(DType.F32, (2,))),
        ("float[2,8]", RandomTensor(DType.F32, (2, 8))),
        ("torch.float[2]", RandomTensor(DType.F32, (2,))),
        ("double[2]", RandomTensor(DType.F64, (2,))),
        ("half[2]", RandomTensor(DType.F16, (2,))),
        ("bfloat16[2]", RandomTensor(DType.BF16, (2,))),
        ("int[2]", RandomTensor(DType.I32, (2,))),
        ("long[2]<9", RandomTensor(DType.I64, (2,), below=9)),
        ("short[2]", RandomTensor(DType.I16, (2,))),
        ("cfloat[2]", RandomTensor(DType.C64, (2,))),
        ("cdouble[2]", RandomTensor(DType.C128, (2,))),
        ("chalf[2]", RandomTensor(DType.C32, (2,))),
        ("complex64[2]", RandomTensor(DType.C64, (2,))),
        ("torch.int64[2]", RandomTensor(DType.I64, (2,))),
        ("i64[2,16]<1000", RandomTensor(DType.I64, (2, 16), below=1000)),
        ("u8[4]<256", RandomTensor(DType.U8, (4,), below=256)),
        ("bool[8]", RandomTensor(DType.BOOL, (8,))),
        ("c64[2]@cuda:0", RandomTensor(DType.C64, (2,), device="cuda:0")),
        ("i32[2]<7@cuda", RandomTensor(DType.I32, (2,), below=7, device="cuda")),
        ("batch.pt", StoredValue(Path("batch.pt"))),
        ("a b/x.pth", StoredValue(Path("a b/x.pth"))),
        ("x.safetensors:layer.0:w", StoredValue(Path("x.safetensors"), "layer.0:w")),
        ("3", LiteralValue(3)),
        ("-0.5", LiteralValue(-0.5)),
        ("True", LiteralValue(True)),
        ("None", LiteralValue(None)),
        ("'text'", LiteralValue("text")),
        ("'file.pt'", LiteralValue("file.pt")),
        ("[1, 2]", LiteralValue([1, 2])),
        ("{'a': (1, 2)}", LiteralValue({"a": (1, 2)})),
    ],
)
def test_a_spec_is_read(text: str, spec: InputSpec) -> None:
    assert parse_input(text) == spec


@pytest.mark.parametrize(
    ("text", "mark", "problem"),
    [
        ("f32[1,,3]", 6, "a size must stand here"),
        ("f32[1,]", 6, "a size must stand here"),
        ("f32[-1]", 4, "a size must stand here"),
        ("f32[n]", 4, "a size must stand here"),
        ("f32[1 2]", 6, "a comma or ] is missing here"),
        ("f32[1,2", 7, "a comma or ] is missing here"),
        ("  f33[1]", 2, "did you mean f32?"),
        ("complex[1]", 0, "did you mean complex"),
        ("qint8[1]", 0, "no dtype that can be filled"),
        ("f32[1]<5", 6, "only whole numbers have a bound; f32 has none"),
        ("bool[1]<2", 7, "only whole numbers have a bound; bool has none"),
        ("u8[1]<257", 6, "from 1 to 256"),
        ("i8[1]<129", 6, "from 1 to 128"),
        ("i64[1]<0", 7, "from 1 to"),
        ("i64[1]<", 7, "the bound must stand here"),
        ("f32[1]@", 7, "a device must stand here"),
        ("f32[1]@cuda:0:1", 13, "a tensor ends here"),
        ("f32[1] x", 7, "a tensor ends here"),
        ("f32", 3, "the sizes are missing; write f32[2,3]"),
        (" true", 1, "write True"),
        ("null", 0, "write None"),
        ("images.npy", 0, "no file of a known kind"),
        ("hello", 0, "text needs quotes"),
        ("[1,", 0, "this is not a Python literal"),
        ("[1 2]", 1, "this is not a Python literal"),
        ("print(1)", 0, "neither a tensor, nor a file, nor a Python literal"),
        ("  ", 0, "an input is empty"),
    ],
)
def test_a_mistake_is_marked(text: str, mark: int, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_input(text)
    first, spec, caret, *advice = str(caught.value).splitlines()
    assert problem in first
    assert spec == f"  {text}"
    assert caret == f"  {' ' * mark}^"
    assert "f32[1,3,224,224]" in "\n".join(advice)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("None", None), ("'a b'", "a b"), ("gelu", "gelu"), ("a-b", "a-b")],
)
def test_an_argument_is_a_literal_or_a_word(text: str, value: object) -> None:
    assert parse_argument(text) == value


@pytest.mark.parametrize(
    ("text", "advice"),
    [("true", "write True"), ("none", "write None"), ("a b", "quotes"), ("", "quotes")],
)
def test_an_argument_that_is_neither_is_an_error(text: str, advice: str) -> None:
    with pytest.raises(CommandError, match=advice):
        parse_argument(text)


def test_pairs_keep_what_follows_the_first_equals_sign() -> None:
    assert parse_pairs("--arg", ["a=1", "b='x=y'"], parse_argument) == {"a": 1, "b": "x=y"}


@pytest.mark.parametrize("pairs", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"]])
def test_pairs_need_distinct_names(pairs: list[str]) -> None:
    with pytest.raises(CommandError, match="--arg"):
        parse_pairs("--arg", pairs, parse_argument)
