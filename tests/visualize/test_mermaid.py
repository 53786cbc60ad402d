"""Scenes as Mermaid flowcharts."""

from collections.abc import Callable

import pytest

from opscope.errors import RenderError
from opscope.visualize import Box, BoxKind, Direction, Scene, Theme, to_mermaid

_Draw = Callable[..., Scene]

_NET = """
    graph Net(%x : f32[1, 8, 8, 8]):
      state %block.conv.weight : f32[8, 8, 3, 3]
      scope block (Block)
      %a : f32[1, 8, 8, 8] = aten::conv2d(%x, %block.conv.weight) # n.py:1 block.conv (Conv2d)
      %b : f32[1, 8, 8, 8] = aten::relu_(%a) # n.py:2 block (Block)
      %c : f32[1, 8, 8, 8] = aten::add.Tensor(%x, %b) # n.py:3 block (Block)
      %d : f32[1, 512] = aten::flatten(%c) # n.py:4
      return (%d)
"""


def test_a_scene_is_drawn_with_clusters_kinds_of_edges_and_colours_of_families(draw: _Draw) -> None:
    assert (
        to_mermaid(draw(_NET, depth=1))
        == """\
---
title: "Net · 576 parameters · 4 operations"
---
flowchart TB
  subgraph cluster_0["block · Block · 576 · 3 ops"]
    n0("conv2d<br>conv · 8→8 3×3"):::weights
    n1("relu_"):::activation
    n2("add"):::elementwise
  end
  n4(["x<br>input · 1×8×8×8"]):::ends
  n3("flatten<br>→ 1×512"):::shape
  n5(["d<br>output · 1×512"]):::ends
  n4 --> n0
  n0 -.-> n1
  n4 --> n2
  n1 --> n2
  n2 -->|"1×8×8×8"| n3
  n3 --> n5
  classDef ends fill:#eaeef2,stroke:#57606a,color:#1f2328
  classDef weights fill:#ddf4ff,stroke:#0969da,color:#1f2328
  classDef activation fill:#fff1e5,stroke:#bc4c00,color:#1f2328
  classDef elementwise fill:#fbefff,stroke:#8250df,color:#1f2328
  classDef shape fill:#ffffff,stroke:#afb8c1,color:#1f2328
  style cluster_0 fill:#f6f8fa,stroke:#d0d7de,color:#1f2328
  linkStyle 2 stroke:#0969da
  linkStyle 1 stroke:#cf222e
"""
    )


def test_options_of_the_view_are_heeded(draw: _Draw) -> None:
    lines = to_mermaid(draw(_NET, depth=0, direction="LR", theme="dark")).splitlines()
    assert lines[:8] == [
        "---",
        'title: "Net · 576 parameters · 4 operations"',
        "config:",
        "  theme: dark",
        "---",
        "%% 1 block folded",
        "flowchart LR",
        '  n2(["x<br>input · 1×8×8×8"]):::ends',
    ]
    assert '  n0[["block<br>Block · 576 · 3 ops"]]:::scope' in lines


def _scene(box: str, **changes: object) -> Scene:
    """Return a scene of one box."""
    boxes = (Box("n0", BoxKind.OPERATOR, None, box),)
    facts = {"boxes": boxes, "title": "t", "totals": "", "notes": (), **changes}
    return Scene(
        **facts,  # type: ignore[arg-type]
        clusters=(),
        edges=(),
        legend=(),
        direction=Direction.DOWN,
        theme=Theme.LIGHT,
    )


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("relu_ of a_b", "relu_ of a_b"),
        ("64→128 3×3 · p 0.1, off", "64→128 3×3 · p 0.1, off"),
        ('a"b', "a#34;b"),
        ("</script><b>", "#60;#47;script#62;#60;b#62;".replace("#47;", "/")),
        ("a#35;b&amp;", "a#35;35#59;b#38;amp#59;"),
        ("__init__", "#95;#95;init_#95;"),
        ("*bold* `code`", "#42;bold#42; #96;code#96;"),
        ("1. one", "#49;#46; one"),
        ("- one", "#45; one"),
        ("[a](b) {c|d}", "#91;a#93;(b) #123;c#124;d#125;"),
        ("fa:fa-car", "fa#58;#8203;fa-car"),
        ("$$x$$", "#36;#8203;#36;x#36;#8203;#36;"),
        (r"a\nb", "a#92;#8203;nb"),
        ("a\n  b\tc", "a b c"),
        ("\ud800\0", "\ufffd\ufffd".replace("\ufffd", "#65533;")),
        ("日本語", "日本語"),
        ("", " "),
    ],
)
def test_text_cannot_mean_anything(text: str, spelled: str) -> None:
    assert f'  n0("{spelled}"):::scope' in to_mermaid(_scene(text)).splitlines()


def test_titles_and_notes_stay_on_their_lines_and_are_no_html() -> None:
    scene = _scene("x", title='</b> & "q"\n---\nevil', notes=("note\n%%{init: {}}%%",))
    assert to_mermaid(scene).splitlines()[:5] == [
        "---",
        r'title: "‹/b› ＆ \"q\" --- evil"',
        "---",
        "%% note %%{init: {}}%%",
        "flowchart TB",
    ]


def test_a_value_that_several_boxes_of_a_cluster_read_has_a_line_to_each(draw: _Draw) -> None:
    scene = draw(
        """
        graph Net(%x : f32[8]):
          %a : f32[8] = aten::neg(%x)
          %b : f32[8] = aten::exp(%a) # n.py:1 block (Block)
          %c : f32[8] = aten::cos(%a) # n.py:2 block (Block)
          %d : f32[8] = aten::mul.Tensor(%b, %c) # n.py:3 block (Block)
          return (%d)
        """,
        depth=1,
    )
    names = {box.title: box.name for box in scene.boxes}
    assert any(box.kind is BoxKind.JUNCTION for box in scene.boxes)
    lines = to_mermaid(scene).splitlines()
    assert f'  {names["neg"]} -->|"8"| {names["exp"]}' in lines
    assert f"  {names['neg']} --> {names['cos']}" in lines


def test_more_than_mermaid_draws_is_refused_with_what_to_do() -> None:
    boxes = tuple(Box(f"n{n}", BoxKind.OPERATOR, None, "a" * 60) for n in range(1000))
    with pytest.raises(
        RenderError, match=r"1,000 boxes and 0 edges are more than Mermaid draws.*focus"
    ):
        to_mermaid(_scene("", boxes=boxes))
