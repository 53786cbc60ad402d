from pathlib import Path

import pytest

from opscope.cli.errors import CommandError
from opscope.cli.outputs import OutputKind, parse_outputs, write_together


def test_the_suffix_tells_the_kind(tmp_path: Path) -> None:
    names = ["a.txt", "a.py", "a.svg", "a.PNG", "a.pdf", "a.dot", "a.gv"]
    kinds = [output.kind for output in parse_outputs(tmp_path / name for name in names)]
    assert kinds == [OutputKind.TEXT, OutputKind.CODE] + [OutputKind.PICTURE] * 5


def test_a_suffix_of_two_parts_tells_the_kind_and_stays_while_files_are_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "net.v2.Explorer.JSON"
    (output,) = parse_outputs([path])
    assert output.kind is OutputKind.EXPORT
    write_together({path: lambda beside: beside.write_text("".join(beside.suffixes))})
    assert path.read_text() == ".explorer.json"


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a.jpg"], "its suffix must be one of .txt"),
        (["a"], "its suffix must be one of .txt"),
        (["a.json"], r"name it a\.explorer\.json for Model Explorer, or a\.nodelink\.json"),
        ([".netron"], "its suffix must be one of .txt"),
        (["a.svg", "b/../a.svg"], "is to be written twice"),
        (["b.txt"], "is a folder"),
        (["none/a.svg"], "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, names: list[str], problem: str) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(CommandError, match=problem):
        parse_outputs(tmp_path / name for name in names)


def test_a_folder_that_cannot_be_written_to_is_named_and_nothing_is_left_elsewhere(
    tmp_path: Path,
) -> None:
    with pytest.raises(CommandError) as caught:
        parse_outputs([tmp_path / "b.svg", Path("/proc/a.svg")])
    assert str(caught.value).startswith(
        "cannot write /proc/a.svg: the folder /proc cannot be written to"
    )
    assert list(tmp_path.iterdir()) == []


def test_if_one_file_fails_none_is_changed(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("1.txt", "2.txt", "3.txt"))
    first.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise ValueError

    with pytest.raises(ValueError, match=r"\A\Z"):
        write_together(
            {first: lambda path: path.write_text("new"), second: fail, third: Path.touch}
        )
    assert first.read_text() == "old"
    assert list(tmp_path.iterdir()) == [first]


def test_files_are_replaced_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_text("old")
    write_together(
        {first: lambda path: path.write_text("one"), second: lambda path: path.write_text("two")}
    )
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "1.txt": "one",
        "2.txt": "two",
    }


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    write_together({link: lambda path: path.write_text("new")})
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(CommandError, match=r"cannot write .*a\.txt: No space left on device"):
        write_together({tmp_path / "a.txt": full})
