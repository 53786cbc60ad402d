"""Costs node by node."""

import opscope
from opscope.reports import node_costs


def test_costs_are_those_of_each_node_and_what_costs_nothing_has_none() -> None:
    graph = opscope.parse("""
    graph Net(%x : f32[4, 8]):
      state %w : f32[16, 8]
      %a : f32[4, 16] = aten::linear(%x, %w)
      %b : f32[4, 16] = aten::relu(%a)
      %c : f32[64] = aten::view(%b, [64])
      return (%c)
    """)
    costs = node_costs(graph)
    linear, relu, view = graph.walk()
    assert costs.flops == {linear: 2 * 4 * 8 * 16}
    assert costs.moved_bytes[linear] == 4 * (4 * 8 + 16 * 8 + 4 * 16)
    assert costs.moved_bytes[relu] == 4 * 2 * 64
    assert costs.made_bytes[relu] == 4 * 64
    assert view not in costs.moved_bytes
    assert view not in costs.made_bytes


def test_what_owns_blocks_costs_what_is_inside_of_it() -> None:
    graph = opscope.parse("""
    graph Net(%p : bool[], %x : f32[2]):
      %y : f32[2] = higher_order::cond(%p, %x)
        block0(%a : f32[2]):
          %b : f32[2] = aten::relu(%a)
          -> (%b)
        block1(%c : f32[2]):
          %d : f32[2] = aten::exp(%c)
          -> (%d)
      return (%y)
    """)
    costs = node_costs(graph)
    cond, relu, exp = graph.walk()
    assert set(costs.moved_bytes) == {relu, exp}
    assert cond not in costs.made_bytes


def test_sizes_that_are_not_known_have_no_costs() -> None:
    graph = opscope.parse("""
    graph Net(%x : f32[*]):
      %a : f32[*] = aten::relu(%x)
      return (%a)
    """)
    costs = node_costs(graph)
    assert (costs.flops, costs.moved_bytes, costs.made_bytes) == ({}, {}, {})
