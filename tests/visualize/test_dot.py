"""DOT text: golden files, and the same text every time."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from opscope.visualize import Box, BoxKind, Direction, Scene, Theme, to_dot

Draw = Callable[..., Scene]

_RESIDUAL = """
    graph Net(%x : f32[8, 16], %mask : bool[8, 16]):
      state %stem.weight : f32[16, 16], %b.0.fc.weight : f32[16, 16], %b.1.fc.weight : f32[16, 16]
      %s : f32[8, 16] = aten::linear(%x, %stem.weight) # net.py:3:9 stem (Linear)
      scope b.0 (Block)
      %h0 : f32[8, 16] = aten::linear(%s, %b.0.fc.weight) # net.py:8:9 b.0.fc (Linear)
      %m0 : f32[8, 16] = aten::masked_fill.Scalar(%h0, %mask, 0) # net.py:9:9 b.0 (Block)
      %o0 : f32[8, 16] = aten::add.Tensor(%m0, %s) # net.py:10:9 b.0 (Block)
      scope b.1 (Block)
      %h1 : f32[8, 16] = aten::linear(%o0, %b.1.fc.weight) # net.py:8:9 b.1.fc (Linear)
      %m1 : f32[8, 16] = aten::masked_fill.Scalar(%h1, %mask, 0) # net.py:9:9 b.1 (Block)
      %o1 : f32[8, 16] = aten::add.Tensor(%m1, %o0) # net.py:10:9 b.1 (Block)
      [%l : f32[4, 16], %r : f32[4, 16]] = aten::chunk(%o1, 2)
      %y : f32[4, 16] = aten::relu_(%l)
      return (%y, %r)
"""


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("residual.dot", {}),
        ("residual_folded_dark.dot", {"depth": 0, "theme": "dark", "direction": "LR"}),
        ("residual_print.dot", {"theme": "print", "fold_repeats": False, "depth": 9}),
    ],
)
def test_pictures_are_as_they_were(
    draw: Draw, golden: Callable[[str, str], None], name: str, options: dict[str, object]
) -> None:
    golden(name, to_dot(draw(_RESIDUAL, **options)))


def test_text_does_not_depend_on_the_process() -> None:
    program = (
        "import sys; from opscope.ir import parse; from opscope.visualize import build_scene, to_dot;"
        "sys.stdout.write(to_dot(build_scene(parse(sys.argv[1]))))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program, _RESIDUAL],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "PYTHONUTF8": "1"},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("boxes", "limits"),
    [
        (400, []),
        (401, ["nslimit=4"]),
        (2000, ["nslimit=4"]),
        (2001, ["nslimit=1", "mclimit=0.1", "splines=polyline"]),
    ],
)
def test_layout_gets_less_effort_the_more_there_is(boxes: int, limits: list[str]) -> None:
    made = tuple(Box(f"n{n}", BoxKind.OPERATOR, None, "op") for n in range(boxes))
    scene = Scene("Net", "", (), made, (), (), (), Direction.DOWN, Theme.LIGHT)
    known = ("nslimit", "mclimit", "splines")
    lines = [line.strip() for line in to_dot(scene).splitlines()]
    assert [line for line in lines if line.startswith(known)] == limits


def test_names_in_the_file_are_opaque(draw: Draw) -> None:
    text = to_dot(draw(_RESIDUAL.replace("Net", "Secret").replace("stem", "secret")))
    box, cluster, attribute = r"[nt]\d+", r"cluster_\d+", r"[a-z]+=\S.*"
    statement = re.compile(
        rf"digraph opscope {{|subgraph {cluster} {{|}}|(node|edge|{box}|{box} -> {box})( \[.*\])?|{attribute}"
    )
    assert [line for line in text.splitlines() if not statement.fullmatch(line.strip())] == []
