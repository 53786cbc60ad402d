"""Liveness: the node after which nothing reads a value."""

from opscope.ir import parse, value_names
from opscope.passes.liveness import dying_after


def test_values_die_at_their_last_use_and_outputs_never() -> None:
    graph = parse(
        """
        graph(%x : f32[2], %unused : f32[2]):
          state %w : f32[2]
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::add(%a, %w)
          %c : f32[2] = aten::mul(%a, %b)
          %dead : f32[2] = aten::exp(%c)
          %d : f32[2] = aten::cat([%c, [%c]])
          return (%d)
        """
    )
    names = value_names(graph)
    dying = {
        names[n.outputs[0]]: [names[v] for v in dead] for n, dead in dying_after(graph).items()
    }
    assert dying == {"a": ["x"], "c": ["a", "b"], "dead": ["dead"], "d": ["c"]}


def test_values_read_inside_a_block_live_up_to_its_node() -> None:
    graph = parse(
        """
        graph(%x : f32[2], %p : bool[]):
          %a : f32[2] = aten::neg(%x)
          %r : f32[2] = prim::If(%p)
            block0():
              %t : f32[2] = aten::exp(%a)
              -> (%t)
            block1():
              -> (%x)
          return (%r)
        """
    )
    names = value_names(graph)
    dying = {
        names[n.outputs[0]]: sorted(names[v] for v in dead)
        for n, dead in dying_after(graph).items()
    }
    assert dying == {"r": ["a", "p", "x"]}
