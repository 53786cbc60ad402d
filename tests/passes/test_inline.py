"""Functions in the place of their calls."""

import pytest
import torch
from torch import nn

import opscope
from opscope.passes.inline import Inline
from opscope.testing import check_pass
from support.replays import plain_text


def test_a_call_becomes_what_the_function_does_and_so_do_calls_inside_it() -> None:
    result = check_pass(
        Inline(),
        before="""
            graph(%x : f32[2]) -> (f32[2]):
              %y : f32[2] = prim::call(@outer, %x)
              %z : f32[2] = prim::call(@twice, %y)
              return (%z)

            function outer(%a : f32[2]) -> (f32[2]):
              %b : f32[2] = prim::call(@twice, %a)
              %c : f32[2] = aten::neg(%b)
              return (%c)

            function twice(%a : f32[2]) -> (f32[2]):
              %t : f32[2] = aten::mul.Tensor(%a, 2)
              return (%t)
        """,
        after="""
            graph(%x : f32[2]) -> (f32[2]):
              %b : f32[2] = aten::mul.Tensor(%x, 2)
              %y : f32[2] = aten::neg(%b)
              %z : f32[2] = aten::mul.Tensor(%y, 2)
              return (%z)
        """,
    )
    assert result.stats == {"calls": 3, "functions": 2}


def test_a_function_that_returns_its_input_gives_the_caller_s_value() -> None:
    check_pass(
        Inline(),
        before="""
            graph(%x : f32[2]) -> (f32[2], f32[2]):
              %y : f32[2], %z : f32[2] = prim::call(@same, %x)
              return (%y, %z)

            function same(%a : f32[2]) -> (f32[2], f32[2]):
              return (%a, %a)
        """,
        after="""
            graph(%x : f32[2]) -> (f32[2], f32[2]):
              return (%x, %x)
        """,
    )


def test_a_literal_that_a_function_returns_becomes_a_value() -> None:
    check_pass(
        Inline(),
        before="""
            graph(%x : f32[2]) -> (f32[2], int):
              %y : f32[2], %n : int = prim::call(@f, %x, 3)
              return (%y, %n)

            function f(%a : f32[2], %k : int) -> (f32[2], int):
              %b : f32[2] = aten::mul.Tensor(%a, %k)
              return (%b, %k)
        """,
        after="""
            graph(%x : f32[2]) -> (f32[2], int):
              %0 : int = prim::literal(3)
              %y : f32[2] = aten::mul.Tensor(%x, %0)
              return (%y, %0)
        """,
    )


def test_blocks_come_along() -> None:
    check_pass(
        Inline(),
        before="""
            graph(%c : bool[], %x : f32[2]) -> (f32[2]):
              %y : f32[2] = prim::call(@chosen, %c, %x)
              return (%y)

            function chosen(%p : bool[], %a : f32[2]) -> (f32[2]):
              [%r : f32[2]] = higher_order::cond(%p, [%a])
                block0(%b : f32[2]):
                  %n : f32[2] = aten::add.Tensor(%b, %a)
                  -> (%n)
                block1(%b : f32[2]):
                  -> (%b)
              return (%r)
        """,
        after="""
            graph(%c : bool[], %x : f32[2]) -> (f32[2]):
              [%y : f32[2]] = higher_order::cond(%c, [%x])
                block0(%b : f32[2]):
                  %n : f32[2] = aten::add.Tensor(%b, %x)
                  -> (%n)
                block1(%b : f32[2]):
                  -> (%b)
              return (%y)
        """,
    )


def test_recursion_is_refused_and_named() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2]) -> (f32[2]):
          %y : f32[2] = prim::call(@f, %x)
          return (%y)

        function f(%a : f32[2]) -> (f32[2]):
          %b : f32[2] = prim::call(@g, %a)
          return (%b)

        function g(%a : f32[2]) -> (f32[2]):
          %b : f32[2] = prim::call(@f, %a)
          return (%b)
    """)
    before = str(graph)
    with pytest.raises(opscope.PassError, match="function f calls g calls f"):
        Inline().run(graph)
    assert str(graph) == before


def test_modes_around_a_call_reach_inside_and_those_that_the_function_sets_stay() -> None:
    check_pass(
        Inline(),
        before="""
            graph(%x : f32[2]) -> (f32[2]):
              mode no_grad
              %y : f32[2] = prim::call(@f, %x)
              mode grad
              %z : f32[2] = prim::call(@f, %y)
              return (%z)

            function f(%a : f32[2]) -> (f32[2]):
              %b : f32[2] = aten::neg(%a)
              mode no_grad
              %c : f32[2] = aten::exp(%b)
              return (%c)
        """,
        after="""
            graph(%x : f32[2]) -> (f32[2]):
              mode no_grad
              %b : f32[2] = aten::neg(%x)
              %y : f32[2] = aten::exp(%b)
              mode grad
              %b.1 : f32[2] = aten::neg(%y)
              mode no_grad
              %z : f32[2] = aten::exp(%b.1)
              return (%z)
        """,
    )


def test_scopes_stand_below_the_call_and_stacks_lead_to_it() -> None:
    inner = opscope.trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.ones(1, 2))

    class Outer(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return inner(inner(x)) + 1

    x = torch.randn(1, 2)
    traced = opscope.trace(Outer(), x)
    expected = traced(x)
    traced.apply("inline", verify_each=True)
    assert [node.scope.address for node in traced.graph.walk()] == ["0", "1", "0#2", "1#2", ""]
    assert traced.graph.nodes(op="aten::relu")[0].stack is not None
    assert len(traced.graph.nodes(caused_by="test_inline.py")) == 5
    assert "prim::call" not in plain_text(traced)
    assert torch.equal(traced(x), expected)
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)


def test_a_function_with_state_of_its_own_is_refused() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2]):
          %y : f32[2] = prim::call(@f)
          return (%y)

        function f():
          state %w : f32[2]
          return (%w)
    """)
    with pytest.raises(opscope.PassError, match="the function has state of its own, %w"):
        Inline().run(graph)
