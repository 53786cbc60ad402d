"""Files that are damaged or made to do harm: each is a FormatError, and nothing else happens."""

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import opscope
from opscope.errors import FormatError
from opscope.ir import parse
from opscope.ir.files import Archive, Data, fields, read_header
from opscope.ir.files.archive import read_archive, write_archive
from support.hostile_files import entries_of, mutants, use, zipped

TEXT = """
graph Net(%x : f32[2, 3], %n : int) -> (f32[2, 3]):
  state %fc.weight : f32[3, 3] = tied
  scope fc (Linear)
  %h : f32[2, 3] = aten::linear(%x, %fc.weight, None)    # net.py:12:15 fc (Linear)
  mode no_grad
  [%a : f32[2], %b : f32[2]] = aten::split(%h, [1, 1], dim=1.5)
  %y : f32[2, 3] = prim::call(@f, %h)
    block0(%z : tuple[int, list[str]]):
      -> (%z)
  return (%y)

function f(%x : f32[2, 3]) -> (f32[2, 3]):
  %y : f32[2, 3] = aten::mul(%x, complex(1.0, nan), device=device.cuda:1, dtype=bf16)
  return (%y)
""".replace("%fc.weight : f32[3, 3] = tied", "%fc.weight = %tied : f32[3, 3]")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that holds a graph."""
    return opscope.save(parse(TEXT), tmp_path / "net.opscope")


def changed(
    path: Path, change: Callable[[dict[str, Any]], object], name: str = "graph.json"
) -> Path:
    """Change what an entry says, as somebody who can write zips would."""
    entries = entries_of(path)
    content = json.loads(entries[name])
    change(content)
    entries[name] = json.dumps(content).encode()
    return zipped(entries, path)


def refusal(path: Path) -> str:
    with pytest.raises(FormatError) as caught:
        opscope.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is not an .opscope file, which is a zip: it is empty"),
        (b"graph Net():", "it is not an .opscope file, which is a zip: it begins with b'grap'"),
        (b"PK\x03\x04", "it is damaged: File is not a zip file"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "net.opscope"
    path.write_bytes(content)
    assert refusal(path) == message


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        opscope.load(tmp_path / "net.opscope")


def test_a_file_of_a_later_version_says_what_to_do(file: Path) -> None:
    changed(file, lambda c: c.update(version=2, more="?"), "opscope.json")
    assert refusal(file) == (
        "it is of version 2 of the format, and this opscope reads up to 1\n"
        "  install a later release of opscope"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../evil.py", "it has an entry '../../evil.py', which no .opscope file has"),
        ("/etc/passwd", "it has an entry '/etc/passwd', which no .opscope file has"),
        ("data.pkl", "it has an entry 'data.pkl', which no .opscope file has"),
        ("graph.json", "it has the entry graph.json twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_no_file_has(file: Path, name: str, message: str) -> None:
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, b"{}")
    before = sorted(file.parent.iterdir())
    assert refusal(file) == message
    assert sorted(file.parent.iterdir()) == before


def test_a_missing_entry(file: Path) -> None:
    entries = entries_of(file)
    del entries["graph.json"]
    assert (
        refusal(zipped(entries, file)) == "it is not an .opscope file: it has no entry graph.json"
    )


def test_a_bomb_is_not_unpacked(file: Path) -> None:
    entries = entries_of(file)
    entries["graph.json"] = b" " * (64 << 20)
    message = refusal(zipped(entries, file))
    assert "graph.json is 67,108,864 bytes when it is unpacked, from" in message


def test_an_entry_that_lies_about_its_size(file: Path) -> None:
    content = bytearray(file.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", 5)
    file.write_bytes(bytes(content))
    refusal(file)


def test_too_many_values_are_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "MOST_VALUES", 100)
    assert "values, and a file may have 100" in refusal(file)


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b'{"a":' * 200_000, b"[" * 5_000 + b"]" * 5_000]
)
def test_deep_json(file: Path, content: bytes) -> None:
    entries = entries_of(file)
    entries["graph.json"] = content
    refusal(zipped(entries, file))


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"{",
        b"NaN",
        b'{"types": [], "types": []}',
        b"1" * 10_000,
        b"{}",
        b"[]",
        b"null",
    ],
)
def test_content_that_is_no_graph(file: Path, content: bytes) -> None:
    entries = entries_of(file)
    entries["graph.json"] = content
    refusal(zipped(entries, file))


def _deep_types(content: dict[str, Any]) -> None:
    content["types"] += [{"list": len(content["types"]) + n - 1} for n in range(1000)]


def _deep_scopes(content: dict[str, Any]) -> None:
    count = len(content["scopes"])
    content["scopes"] += [[max(count + n - 1, 0), "module", "a", "", 1] for n in range(3000)]


def _deep_blocks(content: dict[str, Any]) -> None:
    block = content["graphs"][0]["block"]
    for _ in range(200):
        inner = {"inputs": [], "nodes": [], "outputs": []}
        block["nodes"].append([0, 0, -1, 0, [], 0, [], None, [inner]])
        block = inner


def _deep_arguments(content: dict[str, Any]) -> None:
    args: list[Any] = [0]
    for _ in range(300):
        args = [args]
    content["graphs"][0]["block"]["nodes"][0][4] = args


@pytest.mark.parametrize("change", [_deep_types, _deep_scopes, _deep_blocks, _deep_arguments])
def test_what_is_nested_too_deeply(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    assert "deeply" in refusal(changed(file, change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["types"].append({"tensor": {"shape": [-1]}}), "types[7]"),
        (lambda c: c["types"].append({"tensor": {"shape": [10**30]}}), "types[7]"),
        (lambda c: c["types"].append({"tensor": {"shape": [True]}}), "types[7]"),
        (lambda c: c["types"].append({"list": 99}), "types[7]"),
        (lambda c: c["graphs"][0]["block"]["nodes"][0].__setitem__(0, -1), "no node 0"),
        (lambda c: c["graphs"][0]["block"]["nodes"][0].__setitem__(4, [99]), "no node 0"),
        (lambda c: c["graphs"][0]["block"]["nodes"][0].__setitem__(4, [-99]), "no node 0"),
        (lambda c: c["graphs"][0]["block"].update(outputs=[99]), "block.outputs"),
        (lambda c: c["graphs"][0]["block"].update(outputs=[7]), "not visible here"),
        (lambda c: c["graphs"][0]["state"].append(c["graphs"][0]["state"][0]), "state[1]"),
        (lambda c: c["graphs"].append(c["graphs"][1]), "graphs[2]"),
        (lambda c: c["graphs"].pop(1), "the graph is broken"),
        (lambda c: c.update(more=1), "graph has a field 'more'"),
        (lambda c: c["ranges"][0].__setitem__(1, 10**12), "ranges[0]"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(
    file: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    assert message in refusal(changed(file, change))


def test_a_range_never_reads_a_file_of_this_machine(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("line 1\n" * 20)

    def change(content: dict[str, Any]) -> None:
        content["strings"] = [str(secret)] * len(content["strings"])

    loaded = opscope.load(changed(file, change))
    source = next(iter(loaded.graph.block)).source
    assert source is not None
    assert source.path == str(secret)
    assert source.text == source.underlined() == ""


def test_headers_of_tensors_are_held_to_their_data() -> None:
    def read(header: Any, data: bytes = b"") -> Any:
        content = header if isinstance(header, bytes) else json.dumps(header).encode()
        whole = struct.pack("<Q", len(content)) + content + data
        return read_header(io.BytesIO(whole), len(whole))

    fits = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    assert read(fits, bytes(8)) == {"w": (8 + len(json.dumps(fits)), 8)}
    for bad in (
        {"w": {"dtype": "F32", "shape": [10**18, 10**18], "data_offsets": [0, 8]}},
        {"w": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"w": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
        {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 10**20]}},
        {"w": {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]}},
        {**fits, "v": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}},
        {**fits, "v": {"dtype": "F32", "shape": [2], "data_offsets": [12, 20]}},
        b'{"w": {}, "w": {}}',
        b"[]",
    ):
        with pytest.raises(FormatError):
            read(bad, bytes(8))
    with pytest.raises(FormatError, match="which it cannot have"):
        read_header(io.BytesIO(struct.pack("<Q", 2**62)), 8)


def test_damage_to_any_byte_is_told(file: Path) -> None:
    whole = file.read_bytes()
    text = str(opscope.load(file).graph)
    chance = random.Random(1)
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 1, 1, 8])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        file.write_bytes(bytes(content))
        try:
            loaded = opscope.load(file)
        except FormatError:
            continue
        assert str(loaded.graph) == text  # a date or the like, of which nothing depends


def test_whatever_entries_say_is_a_graph_or_an_error(file: Path) -> None:
    read = 0
    for mutant in mutants(file, 600, seed=2):
        try:
            loaded = opscope.load(mutant)
        except FormatError:
            continue
        use(loaded)
        read += 1
    assert read > 20  # some say something else that can be
    assert {path.name for path in file.parent.iterdir()} <= {
        "net.opscope", "mutant.opscope", "again.opscope",
    }  # fmt: skip


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), MemoryError(), RuntimeError("CUDA")]
)
def test_what_goes_wrong_beside_the_reading_is_no_damage(tmp_path: Path, error: Exception) -> None:
    archive = _with_data(tmp_path)

    class Full(io.BytesIO):
        def write(self, content: Any) -> int:
            raise error

    copied = archive.copied()
    assert copied is not None
    with pytest.raises(type(error)) as caught:
        copied.write(Full())
    assert caught.value is error


def test_damage_of_data_is_found_while_it_is_read(tmp_path: Path) -> None:
    archive = _with_data(tmp_path)
    content = archive.path.read_bytes()
    archive.path.write_bytes(content.replace(b"data of tensors", b"data of tensorz"))
    with (
        archive.renewed().open_data() as stream,
        pytest.raises(FormatError, match="it is damaged: Bad CRC"),
    ):
        stream.read()


def _with_data(folder: Path) -> Archive:
    entries = {"opscope.json": b"{}", "graph.json": b"{}"}
    data = Data(15, lambda stream: stream.write(b"data of tensors"))  # type: ignore[arg-type,return-value]
    write_archive(folder / "x.opscope", entries, data)
    return read_archive(folder / "x.opscope")
