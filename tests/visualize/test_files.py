"""Pictures as files."""

from pathlib import Path

import pytest

from opscope.errors import RenderError
from opscope.ir import Graph, parse
from opscope.visualize import ViewOptions, build_scene, save_picture, to_dot


@pytest.fixture
def graph() -> Graph:
    return parse("graph(%x : f32[8]):\n  %y : f32[8] = aten::neg(%x)\n  return (%y)")


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("net.svg", b"<?xml"),
        ("net.PNG", b"\x89PNG"),
        ("net.pdf", b"%PDF"),
        ("net.dot", b"digraph"),
        ("net.gv", b"digraph"),
    ],
)
def test_the_suffix_tells_the_kind(graph: Graph, tmp_path: Path, name: str, start: bytes) -> None:
    path = save_picture(graph, tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_options_are_heeded(graph: Graph, tmp_path: Path) -> None:
    options = ViewOptions(theme="dark")
    path = save_picture(graph, str(tmp_path / "net.dot"), options)
    assert path.read_text(encoding="utf-8") == to_dot(build_scene(graph, options))


@pytest.mark.parametrize("name", ["net", "net.jpg", "net.svg.gz", ".svg"])
def test_an_unknown_suffix_is_refused_with_those_there_are(
    graph: Graph, tmp_path: Path, name: str
) -> None:
    with pytest.raises(RenderError, match=r"choose from \.svg, \.png, \.pdf, \.dot, \.gv"):
        save_picture(graph, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file_and_nothing_else(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.dot"
    path.write_text("old")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        save_picture(graph, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("net.dot", "old")]
