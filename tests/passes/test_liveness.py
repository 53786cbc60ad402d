"""Liveness: the node after which nothing reads a value."""

from opscope.ir import parse, value_names
from opscope.passes.liveness import dying_in, outer_values


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
        names[n.outputs[0]]: [names[v] for v in dead] for n, dead in dying_in(graph.block).items()
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
        for n, dead in dying_in(graph.block).items()
    }
    assert dying == {"r": ["a", "p", "x"]}


def test_a_block_lets_only_its_own_values_die_and_knows_what_it_reads_from_around_it() -> None:
    graph = parse(
        """
        graph(%x : f32[2], %p : bool[]):
          state %w : f32[2]
          %a : f32[2] = aten::neg(%x)
          %r : f32[2] = prim::If(%p)
            block0(%i : f32[2]):
              %t : f32[2] = aten::add(%a, %i)
              %u : f32[2] = prim::If(%p)
                block0():
                  %v : f32[2] = aten::mul(%t, %w)
                  -> (%v)
              -> (%u)
            block1(%j : f32[2]):
              -> (%x)
          return (%r)
        """
    )
    names = value_names(graph)
    (branch, other) = next(node for node in graph.block if node.blocks).blocks
    dying = {names[n.outputs[0]]: [names[v] for v in dead] for n, dead in dying_in(branch).items()}
    assert dying == {"t": ["i"], "u": ["t"]}
    assert [names[value] for value in outer_values([branch])] == ["a", "p", "w"]
    assert [names[value] for value in outer_values([branch, other])] == ["a", "p", "w", "x"]
