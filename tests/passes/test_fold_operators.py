"""Composite operators as one node each, and as what they call again."""

from __future__ import annotations

import pytest
from hypothesis import given

from opscope.ir import Graph, parse, unknown_operator, verify
from opscope.passes.fold_operators import FoldOperators
from opscope.passes.unfold_operators import UnfoldOperators
from opscope.testing import check_text
from support.ir_text import node_named, value_named
from support.random_graphs import composite_graphs, property_settings

LINEAR = """
    graph(%x : f32[2, 3], %w : f32[4, 3]) -> (f32[2, 4]):
      scope fc (Linear)
      scope fc/linear<operator> is %1 = aten::linear(%x, %w)         # net.py:3:5
      %0 : f32[3, 4] = aten::t(%w)                                   # net.py:3:5 fc/linear<operator>
      %1 : f32[2, 4] = aten::mm(%x, %0)                              # net.py:3:5 fc/linear<operator>
      %2 : f32[2, 4] = aten::relu(%1)                                # net.py:4:5
      return (%2)
"""
FOLDED_LINEAR = """
    graph(%x : f32[2, 3], %w : f32[4, 3]) -> (f32[2, 4]):
      %0 : f32[2, 4] = aten::linear(%x, %w)                          # net.py:3:5 fc (Linear)
      %1 : f32[2, 4] = aten::relu(%0)                                # net.py:4:5
      return (%1)
"""


def check_levels(before: str, after: str) -> Graph:
    """Check what folding gives, that a second time changes nothing, and that unfolding gives it back."""
    graph = parse(before)
    text = str(graph)
    result = FoldOperators().run(graph)
    assert result.changed == (str(graph) != text)
    check_text(graph, after)
    assert not FoldOperators().run(graph).changed
    back = UnfoldOperators(result.folded).run(graph)
    assert (back.unfolded, back.kept) == (len(result.folded), ())
    check_text(graph, before)
    assert str(graph) == text
    return graph


def kept(text: str) -> list[str]:
    return [str(each) for each in FoldOperators().run(parse(text)).kept]


def test_what_an_operator_calls_becomes_its_node() -> None:
    check_levels(LINEAR, FOLDED_LINEAR)


def test_results_of_an_operator_may_be_lists_and_numbers() -> None:
    check_levels(
        """
        graph(%x : f32[4]) -> (f32[2], f32[2]):
          mode no_grad
          scope f<operator> is [%a, %b], _ : int = aten::f(%x, [2, 1], dim=0)
          mode grad
          %a : f32[2] = aten::slice(%x, 0, 2)      # ? f<operator>
          %b : f32[2] = aten::slice(%x, 2, 4)      # ? f<operator>
          return (%b, %a)
        """,
        """
        graph(%x : f32[4]) -> (f32[2], f32[2]):
          mode no_grad
          [%a : f32[2], %b : f32[2]], %0 : int = aten::f(%x, [2, 1], dim=0)
          return (%b, %a)
        """,
    )


def test_of_operators_inside_one_another_the_outermost_is_folded() -> None:
    check_levels(
        """
        graph(%x : f32[2]) -> (f32[2]):
          scope outer<operator> is %2 = aten::outer(%x)
          scope outer<operator>/first<operator> is %0 = aten::first(%x)
          %0 : f32[2] = aten::exp(%x)          # ? outer<operator>/first<operator>
          scope outer<operator>/second<operator> is %2 = aten::second(%0, 1)
          %1 : f32[2] = aten::neg(%0)          # ? outer<operator>/second<operator>
          %2 : f32[2] = aten::relu(%1)         # ? outer<operator>/second<operator>
          return (%2)
        """,
        """
        graph(%x : f32[2]) -> (f32[2]):
          %0 : f32[2] = aten::outer(%x)
          return (%0)
        """,
    )


INSIDE = """
    graph(%x : f32[2]) -> (f32[2], f32[2]):
      scope outer<operator> is %2 = aten::outer(%x)
      scope outer<operator>/first<operator> is %0 = aten::first(%x)
      %0 : f32[2] = aten::exp(%x)              # ? outer<operator>/first<operator>
      scope outer<operator>/second<operator> is %2 = aten::second(%0)
      %1 : f32[2] = aten::neg(%0)              # ? outer<operator>/second<operator>
      %2 : f32[2] = aten::relu(%1)             # ? outer<operator>/second<operator>
      return (%2, %0)
"""


def test_one_that_is_kept_open_has_those_inside_it_folded() -> None:
    check_levels(
        INSIDE,
        """
        graph(%x : f32[2]) -> (f32[2], f32[2]):
          scope outer<operator>
          %0 : f32[2] = aten::first(%x)        # ? outer<operator>
          %1 : f32[2] = aten::second(%0)       # ? outer<operator>
          return (%1, %0)
        """,
    )
    assert kept(INSIDE) == ["aten::outer in outer<operator>: what it makes inside is returned"]


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        ("%r : f32[2] = aten::mul(%0, %1)     # ? backward<backward>/f<operator>", "a backward pass reads"),
        ("%r : f32[2] = aten::mul_(%0, %1)", "aten::mul_ reads what it makes inside"),
        ("%r : f32[2] = f(%1)\n block0():\n -> (%0)", "what it makes inside is returned"),
    ],
)  # fmt: skip
def test_one_whose_parts_are_read_elsewhere_is_kept_open(reader: str, reason: str) -> None:
    text = f"""
        graph(%x : f32[2]) -> (f32[2]):
          scope f<operator> is %1 = aten::f(%x)
          %0 : f32[2] = aten::exp(%x)          # ? f<operator>
          %1 : f32[2] = aten::neg(%0)          # ? f<operator>
          {reader}
          return (%r)
    """
    graph = parse(text)
    before = str(graph)
    (found,) = FoldOperators().run(graph).kept
    assert reason in str(found)
    assert str(graph) == before


CASTS = """
    graph(%x : f32[2], %w : f32[2]) -> (f32[2]):
      scope a<operator> is %1 = aten::a(%x, %w)
      %0 : bf16[2] = aten::to(%w)              # ? a<operator>
      %1 : f32[2] = aten::mul(%x, %0)          # ? a<operator>
      scope b<operator> is %2 = aten::b(%1, %w)
      %2 : f32[2] = aten::mul(%1, %0)          # ? b<operator>
      return (RESULTS)
"""


def test_what_autocast_hands_on_is_folded_as_a_whole_or_not_at_all() -> None:
    check_levels(
        CASTS.replace("RESULTS", "%2"),
        """
        graph(%x : f32[2], %w : f32[2]) -> (f32[2]):
          %0 : f32[2] = aten::a(%x, %w)
          %1 : f32[2] = aten::b(%0, %w)
          return (%1)
        """,
    )
    assert kept(CASTS.replace("-> (f32[2])", "").replace("RESULTS", "%2, %0")) == [
        "aten::a in a<operator>: what it makes inside is returned",
        "aten::b in b<operator>: it reads what was made inside another one that is kept open",
    ]


def test_one_of_whose_parts_another_is_given_is_kept_open() -> None:
    text = CASTS.replace("aten::b(%1, %w)", "aten::b(%1, %0)").replace("RESULTS", "%2")
    assert kept(text) == ["aten::a in a<operator>: another operator is given what it makes inside"]


def test_one_that_was_changed_is_kept_open() -> None:
    graph = parse(LINEAR)
    node_named(graph, "1").replace_input(0, value_named(graph, "w"))
    result = FoldOperators().run(graph)
    assert str(result) == (
        "0 operators folded, 1 kept open\n"
        "  1 linear: what it calls is not as it was recorded, or not in one piece"
    )


def test_functions_are_folded_too() -> None:
    function = LINEAR.replace("graph(", "function f(")
    text = f"""
    graph(%x : f32[2, 3], %w : f32[4, 3]) -> (f32[2, 4]):
      %0 : f32[2, 4] = prim::call(@f, %x, %w)
      return (%0)
{function}
"""
    graph = parse(text)
    result = FoldOperators().run(graph)
    assert [node.kind for node in graph.functions["f"].walk()] == ["aten::linear", "aten::relu"]
    UnfoldOperators(result.folded).run(graph)
    assert str(graph) == str(parse(text))


def test_what_became_of_the_arguments_meanwhile_is_what_comes_back() -> None:
    graph = parse(LINEAR)
    folded = FoldOperators().run(graph).folded
    x = value_named(graph, "x")
    with graph.inserting(node_named(graph, "0")):
        other = graph.append(unknown_operator("f"), (), (x.type,)).output
    x.replace_all_uses_with(other)
    verify(graph)
    assert UnfoldOperators(folded).run(graph).unfolded == 1
    check_text(
        graph,
        """
        graph(%x : f32[2, 3], %w : f32[4, 3]) -> (f32[2, 4]):
          %0 : f32[2, 3] = f()
          scope fc (Linear)
          scope fc/linear<operator> is %2 = aten::linear(%0, %w)     # net.py:3:5
          %1 : f32[3, 4] = aten::t(%w)                               # net.py:3:5 fc/linear<operator>
          %2 : f32[2, 4] = aten::mm(%0, %1)                          # net.py:3:5 fc/linear<operator>
          %3 : f32[2, 4] = aten::relu(%2)                            # net.py:4:5
          return (%3)
        """,
    )


def test_arguments_that_were_one_and_are_not_any_more_keep_it_folded() -> None:
    graph = parse(
        """
        graph(%x : f32[2], %y : f32[2]) -> (f32[2]):
          scope f<operator> is %1 = aten::product(%x, %x)
          %0 : f32[2] = aten::exp(%x)          # ? f<operator>
          %1 : f32[2] = aten::mul(%x, %0)      # ? f<operator>
          return (%1)
        """
    )
    folded = FoldOperators().run(graph).folded
    node_named(graph, "0").replace_input(1, value_named(graph, "y"))
    result = UnfoldOperators(folded).run(graph)
    assert (result.unfolded, len(result.kept)) == (0, 1)
    check_text(
        graph,
        """
        graph(%x : f32[2], %y : f32[2]) -> (f32[2]):
          %0 : f32[2] = aten::product(%x, %y)
          return (%0)
        """,
    )


def test_of_a_node_that_is_gone_nothing_comes_back() -> None:
    graph = parse(LINEAR)
    folded = FoldOperators().run(graph).folded
    graph.set_outputs([value_named(graph, "x")])
    for node in reversed(graph.block):
        node.erase()
    result = UnfoldOperators(folded).run(graph)
    assert (result.changed, result.kept) == (False, ())
    verify(graph)


def test_one_that_reads_what_is_gone_stays_folded() -> None:
    graph = parse(CASTS.replace("RESULTS", "%2"))
    folded = FoldOperators().run(graph).folded
    first = node_named(graph, "0")
    first.output.replace_all_uses_with(value_named(graph, "x"))
    first.erase()
    result = UnfoldOperators(folded).run(graph)
    assert str(result) == "0 operators unfolded, 1 kept as one node"
    verify(graph)


@property_settings
@given(composite_graphs())
def test_random_graphs_come_back(graph: Graph) -> None:
    text = str(graph)
    result = FoldOperators().run(graph)
    verify(graph)
    assert result.changed == (str(graph) != text)
    assert str(parse(str(graph))) == str(graph)
    assert UnfoldOperators(result.folded).run(graph).kept == ()
    verify(graph)
    assert str(graph) == text
