import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from opscope.cli.errors import CommandError
from opscope.cli.inputs import parse_input
from opscope.cli.values import make_value


@pytest.mark.parametrize(
    ("spec", "dtype", "shape"),
    [
        ("f32[2,3]", torch.float32, (2, 3)),
        ("f64[]", torch.float64, ()),
        ("bf16[2]", torch.bfloat16, (2,)),
        ("f8e4m3fn[2]", torch.float8_e4m3fn, (2,)),
        ("c64[2]", torch.complex64, (2,)),
        ("c128[2]", torch.complex128, (2,)),
        ("u64[2]", torch.uint64, (2,)),
        ("bool[4]", torch.bool, (4,)),
    ],
)
def test_a_tensor_has_the_dtype_and_shape_of_its_spec(
    spec: str, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    tensor = make_value(parse_input(spec))
    assert tensor.dtype == dtype
    assert tensor.shape == shape


def test_whole_numbers_fill_the_range_below_the_bound() -> None:
    torch.manual_seed(0)
    drawn = make_value(parse_input("i64[1000]<5"))
    assert sorted(set(drawn.tolist())) == [0, 1, 2, 3, 4]
    plain = make_value(parse_input("i64[1000]"))
    assert sorted(set(plain.tolist())) == [0, 1]


def test_equal_seeds_give_equal_tensors() -> None:
    torch.manual_seed(3)
    first = make_value(parse_input("f32[4]"))
    torch.manual_seed(3)
    assert torch.equal(first, make_value(parse_input("f32[4]")))


def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(CommandError, match=r"f32\[2\] cannot be made on nowhere"):
        make_value(parse_input("f32[2]@nowhere"))


def test_the_devices_of_this_machine_are_listed_in_one_line() -> None:
    with pytest.raises(CommandError) as caught:
        make_value(parse_input("f32[2,8]@gpu"))
    kinds = ["cpu", "cuda", "meta"] if torch.cuda.is_available() else ["cpu", "meta"]
    assert str(caught.value) == (
        f"f32[2,8] cannot be made on gpu: the devices here are {', '.join(kinds)}"
    )
    assert make_value(parse_input("f32[2,8]@meta")).is_meta


def test_a_file_of_torch_is_loaded_whole_or_by_entry(tmp_path: Path) -> None:
    torch.save({"image": torch.ones(2), "size": 3}, tmp_path / "batch.pt")
    whole = make_value(parse_input(f"{tmp_path}/batch.pt"))
    assert whole["size"] == 3
    assert torch.equal(make_value(parse_input(f"{tmp_path}/batch.pt:image")), torch.ones(2))


def test_safetensors_are_loaded_whole_or_by_entry(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2), "b": torch.zeros(3)}, tmp_path / "x.safetensors")
    whole = make_value(parse_input(f"{tmp_path}/x.safetensors"))
    assert {name: tensor.tolist() for name, tensor in whole.items()} == {
        "a": [1, 1],
        "b": [0, 0, 0],
    }
    assert make_value(parse_input(f"{tmp_path}/x.safetensors:b")).tolist() == [0, 0, 0]


class Evil:
    """Would create a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save(Evil(tmp_path / "trace"), tmp_path / "evil.pt")
    with pytest.raises(CommandError) as caught:
        make_value(parse_input(f"{tmp_path}/evil.pt"))
    first, second = str(caught.value).splitlines()
    assert first.endswith("evil.pt holds an object that needs getattr, and is not loaded")
    assert second.startswith("only tensors and plain containers are read")
    assert not (tmp_path / "trace").exists()


def test_files_that_are_missing_damaged_or_lack_the_entry_are_errors(tmp_path: Path) -> None:
    torch.save({"a": 1}, tmp_path / "a.pt")
    torch.save([1], tmp_path / "list.pt")
    save_file({"b": torch.ones(1)}, tmp_path / "b.safetensors")
    (tmp_path / "bad.pt").write_bytes(b"nonsense")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    for spec, problem in {
        "none.pt": "there is no file",
        "bad.pt": "bad.pt is not a file that torch.save wrote",
        "bad.safetensors": "bad.safetensors is not a file that safetensors wrote",
        "a.pt:z": "has no entry 'z'; it has a",
        "b.safetensors:z": "has no entry 'z'; it has b",
        "list.pt:z": "holds a list",
    }.items():
        with pytest.raises(CommandError, match=problem):
            make_value(parse_input(f"{tmp_path}/{spec}"))


@pytest.mark.parametrize(
    "content",
    [b"hello", b"", b"text\n" * 100, b"PK\x03\x04zzz", pickle.dumps([1]), pickle.dumps(Evil)],
)
def test_bytes_that_torch_did_not_write_are_told_in_one_line(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        make_value(parse_input(str(path)))
    expected = f"{path} is not a file that torch.save wrote, or only a part of one"
    assert str(caught.value) == expected


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_file_of_torch_that_holds_objects_names_their_class(tmp_path: Path, is_zip: bool) -> None:
    path = tmp_path / "net.pt"
    torch.save(torch.nn.ReLU(), path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(CommandError) as caught:
        make_value(parse_input(str(path)))
    text = str(caught.value)
    assert "holds an object that needs torch.nn.modules.activation.ReLU" in text
    assert "only tensors and plain containers are read" in text
    assert "weights_only" not in text


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "zip.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(
        CommandError, match=r"zip\.pt cannot be read as a file that torch\.save wrote: "
    ):
        make_value(parse_input(str(path)))
