"""What a scene says and leaves out."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from opscope.errors import RenderError
from opscope.ir import Graph, parse
from opscope.visualize import Family, Scene, ViewOptions, build_scene, to_dot
from support.random_graphs import graphs

Draw = Callable[..., Scene]

_TRAINING = """
    graph Net(%x : f32[2, 8, 4, 4]):
      state %bn.weight : f32[8], %conv.weight : f32[8, 8, 3, 3]
      buffer %bn.mean : f32[8], %bn.count : i64[]
      %c : f32[2, 8, 4, 4] = aten::conv2d(%x, %conv.weight, None, [1, 1]) # n.py:1 conv (Conv2d)
      %n : int = aten::sym_size.int(%c, 0)
      %m : int = prim::mul(%n, 8)
      %u : i64[] = aten::add_.Tensor(%bn.count, 1) # n.py:2 bn (BatchNorm2d)
      %y : f32[2, 8, 4, 4] = aten::batch_norm(%c, %bn.weight, None, %bn.mean) # n.py:2 bn (BatchNorm2d)
      %same : f32[2, 8, 4, 4] = aten::to.dtype(%y, f32)
      %dead : f32[2, 8, 4, 4] = aten::exp(%same)
      %z : f32[2, 128] = aten::view(%same, [%n, -1])
      return (%z)
"""


def test_what_only_serves_others_is_left_out_and_counted(draw: Draw) -> None:
    scene = draw(_TRAINING)
    assert [(box.title, box.detail) for box in scene.boxes] == [
        ("x", "input · 2×8×4×4"),
        ("conv2d", "conv · 8→8 3×3"),
        ("batch_norm", "bn · 8"),
        ("view", "→ 2×128"),
        ("z", "output · 2×128"),
    ]
    assert scene.totals == "584 parameters · 8 operations"
    assert scene.notes == (
        "not drawn: 2 size computations, 1 bookkeeping step, 1 unread result, 1 idle cast",
    )


def test_an_update_names_what_it_changes(draw: Draw) -> None:
    scene = draw("""
        graph(%gradient : f32[2]):
          state %fc.bias : f32[2]
          %y : f32[2] = aten::add_.Tensor(%fc.bias, %gradient, alpha=-0.1)
          return ()
    """)
    assert [(box.title, box.detail) for box in scene.boxes] == [
        ("gradient", "input · 2"),
        ("add_", "alpha -0.1 · updates fc.bias"),
    ]


def test_everything_is_drawn_on_request(draw: Draw) -> None:
    scene = draw(_TRAINING, show_all=True)
    titles = [box.title for box in scene.boxes]
    assert titles == [
        *("x", "conv2d", "sym_size", "mul", "add_", "batch_norm", "to", "exp", "view", "z")
    ]
    assert scene.notes == ()


def test_a_graph_that_returns_nothing_is_drawn_whole(draw: Draw) -> None:
    scene = draw("graph(%x : f32[2]):\n  %y : f32[2] = aten::neg(%x)\n  return ()")
    assert [box.title for box in scene.boxes] == ["x", "neg"]


def test_the_graph_is_not_changed(draw: Draw) -> None:
    from opscope.ir import parse

    graph = parse(_TRAINING)
    before = str(graph)
    build_scene(graph)
    assert str(graph) == before


def test_focus_draws_a_part_with_what_comes_in_and_goes_out(draw: Draw) -> None:
    scene = draw(
        """
        graph Net(%x : f32[4]):
          %a : f32[4] = aten::sin(%x) # n.py:1 stem (Stem)
          %b : f32[4] = aten::exp(%a) # n.py:1 body (Body)
          %c : f32[4] = aten::add.Tensor(%b, %x) # n.py:1 body (Body)
          %d : f32[4] = aten::cos(%c) # n.py:1 head (Head)
          return (%d)
        """,
        focus="bod*",
    )
    assert [(box.title, box.detail) for box in scene.boxes] == [
        ("x", "input · 4"),
        ("a", "from stem · 4"),
        ("exp", ""),
        ("add", ""),
        ("c", "output · 4"),
    ]
    assert scene.notes == ("only bod*: 2 operations",)


def test_a_focus_that_matches_nothing_names_what_is_near(draw: Draw) -> None:
    text = (
        "graph Net(%x : f32[4]):\n  %a : f32[4] = aten::sin(%x) # n.py:1 stem (Stem)\n  return (%a)"
    )
    with pytest.raises(RenderError, match=r"no scope of 'Net' matches focus='stam'.* stem"):
        draw(text, focus="stam")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theme": "neon"}, "theme cannot be 'neon'; choose from 'light', 'dark', 'print'"),
        ({"direction": "up"}, "direction cannot be 'up'; choose from 'TB', 'LR'"),
        ({"depth": -1}, "depth counts opened levels of scopes; it cannot be -1"),
        ({"max_boxes": 0}, "max_boxes cannot be 0; a picture has boxes"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RenderError, match=message):
        ViewOptions(**options)  # type: ignore[arg-type]


def test_the_legend_holds_the_families_that_appear(draw: Draw) -> None:
    assert draw(_TRAINING).legend == (Family.WEIGHTS, Family.NORM, Family.SHAPE)


@settings(max_examples=40)
@given(graphs())
def test_any_graph_makes_a_whole_scene(graph: Graph) -> None:
    for options in (ViewOptions(), ViewOptions(depth=9, show_all=True), ViewOptions(depth=0)):
        scene = build_scene(graph, options)
        clusters: set[str | None] = {None}
        for cluster in scene.clusters:
            assert cluster.parent in clusters, "a cluster comes after the one around it"
            clusters.add(cluster.name)
        boxes = {box.name for box in scene.boxes}
        assert len(boxes) == len(scene.boxes)
        assert {box.cluster for box in scene.boxes} <= clusters
        assert {end for edge in scene.edges for end in (edge.source, edge.target)} <= boxes
        assert to_dot(scene) == to_dot(build_scene(graph.copy(), options))


CHAIN = """
graph Net(%x : f32[2]):
  %a : f32[2] = aten::relu(%x)
  %b : f32[2] = aten::exp(%a)
  %c : f32[2] = aten::sin(%b)
  %d : f32[2] = aten::cos(%c)
  %e : f32[2] = aten::neg(%d)
  return (%e)
"""


def titles_around(name: str, steps: int) -> list[str]:
    scene = build_scene(parse(CHAIN), ViewOptions(around=name, steps=steps))
    return [box.title for box in scene.boxes]


def test_a_picture_around_a_value_has_what_is_a_few_steps_away() -> None:
    assert titles_around("%c", 0) == ["b", "sin", "c"]
    assert titles_around("%c", 1) == ["a", "exp", "sin", "cos", "d"]
    assert titles_around("c", 9) == ["x", "relu", "exp", "sin", "cos", "neg", "e"]


def test_a_picture_around_an_input_begins_with_what_reads_it() -> None:
    assert titles_around("%x", 0)[:2] == ["x", "relu"]


def test_a_picture_around_a_value_says_so() -> None:
    scene = build_scene(parse(CHAIN), ViewOptions(around="%c", steps=1))
    assert scene.notes == ("only what is within 1 step of %c: 3 operations",)


def test_an_unknown_value_is_told_with_near_names() -> None:
    with pytest.raises(RenderError, match=r"no value of 'Net' is called around='%cc'; .* %c"):
        titles_around("%cc", 1)


def test_a_picture_is_of_a_scope_or_around_a_value() -> None:
    with pytest.raises(RenderError, match="not both"):
        ViewOptions(focus="a", around="%c")
