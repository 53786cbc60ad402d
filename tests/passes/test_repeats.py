"""Patterns of stretches, and runs of equal ones."""

from opscope.ir import Graph, Node, parse
from opscope.passes.repeats import PatternFinder, Run, find_runs


def _stretches(graph: Graph, size: int) -> list[list[Node]]:
    nodes = list(graph.walk())
    return [nodes[start : start + size] for start in range(0, len(nodes), size)]


def _are_equal(first: str, second: str) -> bool:
    """Whether two statements over %x, %y : f32[2] and state %w : f32[2] compute the same."""
    finder = PatternFinder()
    keys = []
    for body in (first, second):
        text = f"graph(%x : f32[2], %y : f32[2]):\n  state %w : f32[2], %v : f32[2]\n{body}\n  return ()"
        keys.append(finder.pattern(parse(text).walk()).key)
    return keys[0] == keys[1]


def test_names_do_not_count() -> None:
    assert _are_equal(
        "  %a : f32[2] = aten::add(%x, %w)  # a.py:1 l.0 (A)",
        "  %b : f32[2] = aten::add(%y, %v)  # b.py:2 l.1 (B)",
    )


def test_operators_literals_and_types_count() -> None:
    base = "  %a : f32[2] = aten::add(%x, 1)"
    for other in (
        "  %a : f32[2] = aten::sub(%x, 1)",
        "  %a : f32[2] = aten::add(%x, 2)",
        "  %a : f32[2] = aten::add(%x, 1.0)",
        "  %a : f32[2] = aten::add(%x, True)",
        "  %a : f32[2] = aten::add(%x, other=1)",
        "  %a : f64[2] = aten::add(%x, 1)",
        "  %a : f32[4] = aten::add(%x, 1)",
        "  [%a : f32[2]] = aten::add(%x, 1)",
    ):
        assert not _are_equal(base, other), other


def test_which_value_is_read_counts() -> None:
    lines = "  %a : f32[2] = aten::neg(%x)\n  %b : f32[2] = aten::exp(%x)\n"
    assert not _are_equal(
        lines + "  %c : f32[2] = aten::sub(%a, %b)", lines + "  %c : f32[2] = aten::sub(%b, %a)"
    )
    assert not _are_equal("  %a : f32[2] = aten::sub(%x, %x)", "  %a : f32[2] = aten::sub(%x, %y)")
    assert not _are_equal("  %a : f32[2] = aten::sub(%x, %y)", "  %a : f32[2] = aten::sub(%x, %w)")


def test_strides_and_gradients_do_not_count() -> None:
    assert _are_equal(
        "  %a : f32[2, 2] = aten::f(%x)",
        "  %a : f32[2, 2]{strides=[1, 2], grad} = aten::f(%x)",
    )


def test_what_stands_in_inner_blocks_counts() -> None:
    text = (
        "  %r : f32[2] = prim::If(%x)\n    block0():\n"
        "      %t : f32[2] = aten::{}(%y)\n      -> ({})\n"
    )
    assert _are_equal(text.format("exp", "%t"), text.format("exp", "%t"))
    assert not _are_equal(text.format("exp", "%t"), text.format("neg", "%t"))
    assert not _are_equal(text.format("exp", "%t"), text.format("exp", "%y"))


def test_the_part_that_a_loop_takes_counts_unless_asked_not_to() -> None:
    graph = parse("""
        graph(%x : f32[8, 2]):
          %a : f32[2] = aten::select.int(%x, 0, 0)
          %b : f32[2] = aten::select.int(%x, 0, 1)
          return (%a, %b)
    """)
    for ignores_steps in (False, True):
        finder = PatternFinder(ignores_steps=ignores_steps)
        first, second = (finder.pattern(part).key for part in _stretches(graph, 1))
        assert (first == second) is ignores_steps


def _runs(text: str, size: int) -> list[Run]:
    finder = PatternFinder()
    return find_runs([finder.pattern(part) for part in _stretches(parse(text), size)])


def test_a_chain_of_equal_stretches_is_a_run() -> None:
    text = """
        graph(%x : f32[2]):
          %a : f32[2] = aten::exp(%x)
          %b : f32[2] = aten::add(%a, %x)
          %c : f32[2] = aten::exp(%b)
          %d : f32[2] = aten::add(%c, %b)
          %e : f32[2] = aten::exp(%d)
          %f : f32[2] = aten::add(%e, %d)
          return (%f)
    """
    assert _runs(text, 2) == [Run(0, 3, is_chain=True)]


def test_stretches_side_by_side_are_a_run_that_is_no_chain() -> None:
    text = """
        graph(%x : f32[2]):
          %a : f32[2] = aten::exp(%x)
          %b : f32[2] = aten::exp(%x)
          %c : f32[2] = aten::exp(%x)
          %d : f32[6] = aten::cat([%a, %b, %c])
          return (%d)
    """
    assert _runs(text, 1) == [Run(0, 3, is_chain=False)]


def test_a_stretch_that_reads_from_elsewhere_starts_anew() -> None:
    text = """
        graph(%x : f32[2]):
          %a : f32[2] = aten::exp(%x)
          %b : f32[2] = aten::exp(%a)
          %c : f32[2] = aten::exp(%b)
          %d : f32[2] = aten::exp(%x)
          %e : f32[2] = aten::exp(%d)
          %f : f32[2] = aten::add(%c, %e)
          return (%f)
    """
    assert _runs(text, 1) == [Run(0, 3, is_chain=True), Run(3, 2, is_chain=True)]


def test_a_result_that_is_read_elsewhere_ends_the_run() -> None:
    text = """
        graph(%x : f32[2]):
          %a : f32[2] = aten::exp(%x)
          %b : f32[2] = aten::exp(%a)
          %c : f32[2] = aten::exp(%b)
          %d : f32[2] = aten::exp(%c)
          return (%d, %b)
    """
    assert _runs(text, 1) == [Run(0, 2, is_chain=True), Run(2, 2, is_chain=True)]
