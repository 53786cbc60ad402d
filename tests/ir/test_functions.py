"""Graphs become functions of other graphs, with their state as arguments."""

from __future__ import annotations

from opscope.ir import Graph, parse, take_in, verify
from opscope.testing import check_text

CALLER = """
    graph main(%x : f32[2]) -> (f32[2]):
      return (%x)
"""
CALLEE = """
    graph Net(%x : f32[2]) -> (f32[2]):
      state %w : f32[2], %idle : f32[2]
      buffer %b : f32[2]
      %0 : f32[2] = aten::mul(%x, %w)
      %1 : f32[2] = aten::add(%0, %b)
      return (%1)
"""
NESTED = """
    graph Outer(%x : f32[2]) -> (f32[2]):
      state %v : f32[2]
      %0 : f32[2] = prim::call(@Inner, %x, %v)
      %1 : f32[2] = prim::if(%0)
        block0():
          %2 : f32[2] = prim::call(@Other, %0)
          %3 : f32[2] = my::apply([@Inner, %2])
          -> (%3)
      return (%1)

    function Other(%y : f32[2]) -> (f32[2]):
      %0 : f32[2] = prim::call(@Inner, %y, %y)
      return (%0)

    function Inner(%y : f32[2], %z : f32[2]) -> (f32[2]):
      %0 : f32[2] = aten::FIRST(%y, %z)
      return (%0)
"""


def test_state_that_is_read_becomes_inputs_in_order() -> None:
    graph, callee = parse(CALLER), parse(CALLEE)
    name, entries = take_in(graph, callee)
    assert (name, [entry.name for entry in entries]) == ("Net", ["w", "b"])
    check_text(
        graph,
        """
        graph main(%x : f32[2]) -> (f32[2]):
          return (%x)

        function Net(%x : f32[2], %w : f32[2], %b : f32[2]) -> (f32[2]):
          %0 : f32[2] = aten::mul(%x, %w)
          %1 : f32[2] = aten::add(%0, %b)
          return (%1)
        """,
    )
    check_text(callee, CALLEE)


def test_a_function_that_is_there_is_not_added_again_and_another_gets_another_name() -> None:
    graph = parse(CALLER)
    assert take_in(graph, parse(CALLEE))[0] == "Net"
    assert take_in(graph, parse(CALLEE))[0] == "Net"
    assert take_in(graph, parse(CALLEE.replace("aten::mul", "aten::div")))[0] == "Net.1"
    assert take_in(graph, parse(CALLEE.replace("aten::mul", "aten::div")))[0] == "Net.1"
    assert list(graph.functions) == ["Net", "Net.1"]
    verify(graph)
    assert str(parse(str(graph))) == str(graph)


def _callees(function: Graph) -> list[str]:
    text = str(function)
    return [
        word.strip(",[]()") for word in text.replace("(", " ").split() if word.strip("[")[:1] == "@"
    ]


def test_functions_of_functions_are_hoisted_and_called_by_their_new_names() -> None:
    graph = parse(CALLER)
    take_in(graph, parse(NESTED.replace("FIRST", "sub")))
    take_in(graph, parse(NESTED.replace("FIRST", "add")))
    verify(graph)
    assert list(graph.functions) == ["Inner", "Other", "Outer", "Inner.1", "Other.1", "Outer.1"]
    called = {name: _callees(function) for name, function in graph.functions.items()}
    assert called == {
        "Inner": [],
        "Other": ["@Inner"],
        "Outer": ["@Inner", "@Other", "@Inner"],
        "Inner.1": [],
        "Other.1": ["@Inner.1"],
        "Outer.1": ["@Inner.1", "@Other.1", "@Inner.1"],
    }
