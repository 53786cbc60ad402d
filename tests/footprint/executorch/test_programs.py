import os
import random
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
import yaml

from opscope.errors import FormatError
from opscope.footprint import Delegate, executorch_footprint, read_program
from opscope.footprint.executorch.programs import parse_program
from support.executorch_programs import (
    FLOAT,
    LONG,
    adding,
    bundle,
    call,
    delegate_call,
    jump,
    number,
    operator,
    plan,
    program,
    tensor,
    tensors,
)
from support.flatbuffers import Byte, Raw, Table, Tables, flatbuffer, text

PROGRAMS = Path(__file__).parent / "programs"
NAMES = ("delegated", "flow", "quantized")


@pytest.mark.parametrize("name", NAMES)
def test_programs_need_what_executorchs_own_tool_lists(name: str) -> None:
    listed = yaml.safe_load((PROGRAMS / f"{name}.yaml").read_text())
    found = executorch_footprint(PROGRAMS / f"{name}.pte")
    assert sorted(found.operators) == listed["operators"]
    assert {operator: sorted(keys) for operator, keys in found.kernels.items()} == listed[
        "et_kernel_metadata"
    ]


def test_parts_of_backends_are_told_and_left_out() -> None:
    found = executorch_footprint(PROGRAMS / "delegated.pte")
    assert found.delegates == {"XnnpackBackend": 1}
    assert found.models[0].methods[0].delegates == (Delegate("XnnpackBackend", 1),)
    assert found.operators == {"aten::cumsum.out"}  # a convolution comes before it


def test_prim_operators_stand_apart() -> None:
    assert executorch_footprint(PROGRAMS / "flow.pte").prim_operators == {
        "aten::sym_size.int",
        "executorch_prim::et_view.default",
        "executorch_prim::mul.Scalar",
    }


def test_methods_are_told_apart() -> None:
    content = program(
        plan(
            [tensor(), tensor(LONG, (1, 0))],
            [call(0, 0, 0), call(0, 1, 1), call(0, 0, 0), jump(), delegate_call(1)],
            [operator("aten::abs", "out"), operator("aten::sym_numel")],
            ["First", "Second"],
        ),
        plan([tensor()], [call(0, 0)], [operator("my.ops::mul3", "out")], name="encode"),
    )
    forward, encode = parse_program(content).methods
    assert forward.name == "forward"
    assert forward.operators == ("aten::abs.out", "aten::sym_numel")
    assert forward.calls == {"aten::abs.out": 3}
    assert forward.kernels == {"aten::abs.out": {"v1/6;0,1|6;0,1", "v1/4;1,0|4;1,0"}}
    assert forward.delegates == (Delegate("First", 0), Delegate("Second", 1))
    assert (encode.name, encode.calls) == ("encode", {"my.ops::mul3.out": 1})


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ((0, 2, 1), "v1/6;0,1|4;"),  # what is no tensor is left out
        ((3, 0), "v1/4;|6;0,1"),  # a list counts as its first tensor
        ((4, 0), "v1/6;0,1|6;0,1"),  # or its first that is one
        ((5, 6, 2), "v1"),  # lists without any are left out
        ((), "v1"),
    ],
)
def test_keys_of_kernels_are_made_of_the_tensors_of_a_call(
    arguments: tuple[int, ...], key: str
) -> None:
    values = [
        tensor(),
        tensor(LONG, ()),
        number(),
        tensors(1, 0),
        tensors(-1, 2, 0, optional=True),
        tensors(),
        tensors(-1, optional=True),
    ]
    content = program(plan(values, [call(0, *arguments)], [operator("a::b", "out")]))
    assert parse_program(content).methods[0].kernels == {"a::b.out": {key}}


def test_programs_with_inputs_are_read() -> None:
    found = parse_program(bundle(adding()))
    assert found.has_inputs
    assert found.methods == parse_program(adding()).methods


def test_reading_loads_no_torch() -> None:
    script = (
        "import sys, opscope.footprint as f\n"
        "f.executorch_report(f.executorch_footprint(sys.argv[1]))\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(PROGRAMS / "flow.pte")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("name", NAMES)
def test_programs_that_are_cut_off_are_refused(name: str) -> None:
    content = (PROGRAMS / f"{name}.pte").read_bytes()
    for length in range(0, len(content), 13):
        with pytest.raises(FormatError):
            parse_program(content[:length])


def test_flatbuffers_that_are_cut_off_are_refused_without_a_header() -> None:
    content = adding()
    refused = 0
    for length in range(len(content) - 1):
        try:
            parse_program(content[:length])
        except FormatError:
            refused += 1
    assert refused >= len(content) - 3  # the last two are padding


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_never_more_than_a_format_error(name: str) -> None:
    content = bytearray((PROGRAMS / f"{name}.pte").read_bytes())
    chance = random.Random(7)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 127, 128, 255))
        try:
            parse_program(bytes(damaged))
        except FormatError:
            refused += 1
    assert refused > 20


def test_lists_that_claim_more_than_there_is_allocate_nothing() -> None:
    huge = Table({1: Raw(b"", 2**31)})
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="a list claims 2147483648 elements"):
            parse_program(flatbuffer(huge, b"ET12"))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_parts_that_are_shared_a_million_times_are_refused_soon() -> None:
    instruction = call(0, *[0] * 1000)
    shared = plan([tensor()], [instruction] * 3000, [operator("aten::abs", "out")])
    begin = time.process_time()
    with pytest.raises(FormatError, match="more than 2097152 parts"):
        parse_program(program(*[shared] * 1000))
    assert time.process_time() - begin < 10


def test_long_names_that_are_shared_do_not_fill_the_memory() -> None:
    shared = operator("a::" + "b" * 4000)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="more than 2097152 parts"):
            parse_program(program(plan([], [], [shared] * 20_000)))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name",
    [
        'aten::add.out");system("ls',
        "aten::add,aten::mul",
        "aten::add\n- op: x",
        "</script>",
        "add.out",
        "aten::",
        "aten::a b",
        "aten::ä",
        "",
    ],
)
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(FormatError, match="which is no name of one"):
        parse_program(adding(name, ""))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it does not begin as they do"),
        (b"PK\x03\x04 and so on", "it does not begin as they do"),
        (adding().replace(b"ET12", b"ET11"), "it is of format ET11"),
        (program(), "it has no method"),
        (bundle(bundle(adding())), "it does not begin as they do"),
        (flatbuffer(Table({}), b"BP08"), "bundles inputs with no program"),
        (program(plan([], [call(1)], [operator("a::b")])), "it calls operator 1, and has 1"),
        (program(plan([], [call(-1)], [operator("a::b")])), "it calls operator -1, and has 1"),
        (program(plan([], [delegate_call(0)], [])), "it calls backend 0, and has 0"),
        (program(plan([], [call(0, 0)], [operator("a::b")])), "names number 0 of a list of 0"),
        (
            program(plan([tensor(FLOAT, range(17))], [call(0, 0)], [operator("a::b")])),
            "a tensor of 17 dimensions",
        ),
        (
            program(plan([], [Table({0: Byte(1)})], [operator("a::b")])),
            "an instruction that calls nothing",
        ),
        (program(plan([], [], [operator("a::" + "b" * 5000)])), "a name has 5003 bytes"),
        (
            program(Table({0: text("x"), 6: Tables([Table({0: Raw(b"\xff", 1)})])})),
            "is no text",
        ),
        (b"\xff\xff\xff\x7fET12" + bytes(40), "it points to byte 2147483647"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        parse_program(content)


def test_headers_that_lie_are_refused() -> None:
    content = bytearray((PROGRAMS / "flow.pte").read_bytes())
    struct.pack_into("<Q", content, 16, 2**63)
    with pytest.raises(FormatError, match=r"it is cut off: of 922337203685477[0-9]+ bytes"):
        parse_program(bytes(content))


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    empty, pipe = tmp_path / "empty.pte", tmp_path / "pipe.pte"
    empty.touch()
    os.mkfifo(pipe)
    for path, words in (
        (empty, "is empty"),
        (pipe, "is no file"),
        (tmp_path, "is no file"),
        (tmp_path / "missing.pte", "does not exist"),
    ):
        with pytest.raises(FormatError, match=f"{path.name} {words}"):
            read_program(path)
