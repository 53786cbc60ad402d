"""What runs find of types, merged."""

import opscope
from opscope.ir import Graph, TensorType, parse_type, verify
from opscope.ir.profiles import Profile, watch
from opscope.testing import check_text
from support.ir_text import value_named

TEXT = """
    graph(%x : f32[2, 4], %y : f32[2, 4]):
      state %w : f32[4]
      %a : f32[2, 4] = aten::add.Tensor(%x, %y)  # net.py:3 fc
      %b : f32[2, 4] = aten::mul.Tensor(%a, %w)  # net.py:4 fc
      return (%b, %x)
"""
WATCHED = """
    graph(%x : f32[2, 4], %y : f32[2, 4]):
      state %w : f32[4]
      %0 : any = prim::profile(%w)
      %1 : any = prim::profile(%y)
      %2 : any = prim::profile(%x)
      %a : f32[2, 4] = aten::add.Tensor(%2, %1)  # net.py:3 fc
      %3 : any = prim::profile(%a)               # net.py:3 fc
      %b : f32[2, 4] = aten::mul.Tensor(%3, %0)  # net.py:4 fc
      return (%b, %2)
"""


def _watched() -> Graph:
    graph = opscope.parse(TEXT)
    for value in (*graph.inputs, value_named(graph, "w"), value_named(graph, "a")):
        watch(graph, value)
    return graph


def _found(profile: Profile, *texts: str | None) -> None:
    run = []
    for node, text in zip(profile.nodes, texts, strict=True):
        if text is not None:
            type_ = parse_type(text)
            assert isinstance(type_, TensorType)
            run.append((node, type_))
    profile.add_run(run)


def _types(profile: Profile) -> list[str]:
    return [str(node.output.type) for node in profile.nodes]


def test_a_watched_value_is_read_through_a_profile_and_the_text_comes_back() -> None:
    graph = _watched()
    check_text(graph, WATCHED)
    profile = Profile(graph)
    _found(profile, "f32[4]", "f32[2, 4]", "f32[2, 4]", None)
    _found(profile, "f32[4]", "f32[3, 4]", "f32[3, 4]", None)
    assert _types(profile) == ["f32[4]", "f32[s0, 4]", "f32[s0, 4]", "any"]
    assert profile.runs == 2
    verify(graph)
    assert str(opscope.parse(str(graph))) == str(graph)


def test_sizes_have_one_name_as_long_as_they_agree() -> None:
    profile = Profile(_watched())
    _found(profile, "f32[2]", "f32[2, 4]", "f32[2, 4]", "f32[2, 4]")
    _found(profile, "f32[3]", "f32[3, 4]", "f32[3, 4]", "f32[2, 4]")
    assert _types(profile) == ["f32[s0]", "f32[s0, 4]", "f32[s0, 4]", "f32[2, 4]"]
    _found(profile, "f32[3]", "f32[3, 4]", "f32[5, 4]", "f32[3, 8]")
    assert _types(profile) == ["f32[s0]", "f32[s0, 4]", "f32[s1, 4]", "f32[s2, s3]"]


def test_a_name_that_the_graph_has_is_not_given_again() -> None:
    graph = opscope.parse("graph(%x : f32[s0]):\n  %0 : any = prim::profile(%x)\n  return (%0)")
    profile = Profile(graph)
    for text in ("f32[2]", "f32[3]"):
        _found(profile, text)
    assert _types(profile) == ["f32[s1]"]


def test_what_differs_is_not_said() -> None:
    cases = {
        ("f32[2, 4]", "f64[2, 4]"): "tensor[2, 4]",
        ("f32[2, 4]", "f32[2, 4]{grad}"): "f32[2, 4]{grad}",
        ("f32[2, 4]", "f32[8]"): "f32[*]",
        ("f32[2, 4]", "f32[2, 4]{strides=[1, 2]}"): "f32[*]",
        ("f32[2, 4]{strides=[8, 1]}", "f32[3, 4]{strides=[8, 1]}"): "f32[s0, 4]{strides=[8, 1]}",
        ("f32[2]", "f32[2]{device=cuda:0}"): "any",
        ("f32[2]", "f32[2]{layout=sparse_coo}"): "any",
    }
    for texts, expected in cases.items():
        graph = opscope.parse("graph(%x : tensor):\n  %0 : any = prim::profile(%x)\n  return (%0)")
        profile = Profile(graph)
        for text in (*texts, *texts[::-1]):
            _found(profile, text)
        assert _types(profile) == [expected]


def test_a_size_that_differs_within_a_run_equals_no_other() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2]):
          %0 : any = prim::profile(%x)
          %1 : f32[2] = prim::call(@f, %0)
          return (%1)

        function f(%a : f32[2]) -> (f32[2]):
          %0 : any = prim::profile(%a)
          %1 : f32[2] = aten::neg(%0)
          return (%1)
    """)
    profile = Profile(graph)
    outer, inner = profile.nodes
    two, three, five = (TensorType(shape=(size,)) for size in (2, 3, 5))
    profile.add_run([(outer, two), (inner, two)])
    profile.add_run([(outer, three), (inner, three)])
    assert _types(profile) == ["tensor[s0]", "tensor[s0]"]
    profile.add_run([(outer, three), (inner, three), (inner, five)])
    assert _types(profile) == ["tensor[s0]", "tensor[s1]"]
