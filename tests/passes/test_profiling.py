"""Profiles erased, and made the types of values."""

from collections.abc import Callable

import torch

import opscope
from opscope.ir import Node, TensorType, verify
from opscope.ir.profiles import Profile, watch
from opscope.passes.erase_profiling import EraseProfiling
from opscope.passes.specialize_types import SpecializeTypes
from opscope.runtime import compile_graph
from opscope.testing import check_pass
from opscope.tracer.dispatch.tensors import type_of_tensor

WATCHED = """
    graph(%c : bool[], %x : f32[2, 64], %n : int):
      state %w : f32[64]{grad}
      %p : f32[s0, 64] = prim::profile(%x)
      %h : f32[2, 64]{grad} = aten::mul.Tensor(%p, %w)
      %q : f32[s0, 64]{grad} = prim::profile(%h)
      %y : f32[2]{grad} = aten::sum.dim_IntList(%q, [1])
      [%r : f32[2, 64]] = higher_order::cond(%c, [%p])
        block0(%a : f32[2, 64]):
          %t : any = prim::profile(%a)
          %e : f32[2, 64] = aten::neg(%t)
          -> (%t)
        block1(%a : f32[2, 64]):
          -> (%p)
      %z : f32[2] = prim::call(@f, %y)
      return (%q, %z)

    function f(%a : f32[2]):
      %b : f32[s0] = prim::profile(%a)
      return (%b)
"""


def test_erased_profiles_leave_the_graph_that_was_watched() -> None:
    result = check_pass(
        EraseProfiling(),
        before=WATCHED,
        after="""
            graph(%c : bool[], %x : f32[2, 64], %n : int):
              state %w : f32[64]{grad}
              %h : f32[2, 64]{grad} = aten::mul.Tensor(%x, %w)
              %y : f32[2]{grad} = aten::sum.dim_IntList(%h, [1])
              [%r : f32[2, 64]] = higher_order::cond(%c, [%x])
                block0(%a : f32[2, 64]):
                  %e : f32[2, 64] = aten::neg(%a)
                  -> (%a)
                block1(%a : f32[2, 64]):
                  -> (%x)
              %z : f32[2] = prim::call(@f, %y)
              return (%h, %z)

            function f(%a : f32[2]) -> (f32[2]):
              return (%a)
        """,
    )
    assert result.stats == {"erased": 4}


def test_types_become_what_runs_found_and_others_tell_no_sizes() -> None:
    result = check_pass(
        SpecializeTypes(),
        before=WATCHED,
        after="""
            graph(%c : bool[*], %x : f32[s0, 64], %n : int):
              state %w : f32[64]{grad}
              %h : f32[s0, 64]{grad} = aten::mul.Tensor(%x, %w)
              %y : f32[*]{grad} = aten::sum.dim_IntList(%h, [1])
              [%r : f32[*]] = higher_order::cond(%c, [%x])
                block0(%a : f32[*]):
                  %e : f32[*] = aten::neg(%a)
                  -> (%a)
                block1(%a : f32[*]):
                  -> (%x)
              %z : f32[*] = prim::call(@f, %y)
              return (%h, %z)

            function f(%a : f32[s0]) -> (f32[s0]):
              return (%a)
        """,
    )
    assert result.stats == {"profiles": 4, "types": 10}


def test_two_profiles_of_a_value_say_what_both_say() -> None:
    check_pass(
        SpecializeTypes(),
        before="""
            graph(%x : f32[2], %y : f32[2], %z : f32[2]):
              %a : f32[3] = prim::profile(%x)
              %b : f32[2]{grad} = prim::profile(%a)
              %c : f32[3] = prim::profile(%y)
              %d : any = prim::profile(%y)
              %e : f32[3] = prim::profile(%z)
              %f : f32[3] = prim::profile(%z)
              return (%b, %d, %f)
        """,
        after="""
            graph(%x : f32[*]{grad}, %y : f32[3], %z : f32[3]):
              return (%x, %y, %z)
        """,
    )


def test_a_graph_without_profiles_keeps_the_types_of_its_trace() -> None:
    text = """
        graph(%x : f32[2]):
          %y : f32[2] = aten::neg(%x)
          return (%y)
    """
    assert not check_pass(SpecializeTypes(), before=text, after=text).changed


def test_a_watched_graph_replays_as_it_was_and_its_types_are_those_of_other_sizes() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        y.add_(1)
        return y.t() @ y

    graph = opscope.trace(program, torch.randn(3, 4)).graph.copy()
    for value in graph.values():
        if isinstance(value.type, TensorType):
            watch(graph, value)
    verify(graph)
    profile = Profile(graph)
    found: list[tuple[Node, TensorType]] = []

    def binding_of(node: Node) -> Callable[[torch.Tensor], torch.Tensor] | None:
        if node not in profile.nodes:
            return None

        def record(tensor: torch.Tensor) -> torch.Tensor:
            found.append((node, type_of_tensor(tensor)))
            return tensor

        return record

    watching = compile_graph(graph, {}, binding_of)
    for size in (3, 5):
        found.clear()
        given = torch.randn(size, 4)
        (actual,) = watching.function(given)
        assert torch.equal(actual, program(given))
        profile.add_run(found)
    assert EraseProfiling().run(graph.copy()).stats == {"erased": len(profile.nodes)}
    SpecializeTypes().run(graph)
    verify(graph)
    assert [str(value.type) for value in graph.values()] == [
        "f32[s0, 4]", "f32[s0, 4]", "f32[s0, 4]", "f32[4, s0]{strides=[1, 4]}", "f32[4, 4]",
    ]  # fmt: skip
    (actual,) = compile_graph(graph, {}).function(given)
    assert torch.equal(actual, program(given))
