"""The tree of scopes: what stands where, and what is counted."""

from hypothesis import given

from opscope.ir import Graph, Scope, ScopeKind, TensorType, parse, unknown_operator
from opscope.visualize.listing import ScopeTree, scope_lines
from support.annotated_graph import annotated_graph
from support.random_graphs import graphs

TEXT = """graph Net(%x : f32[4]) -> (f32[4]):
  state %a.w = %b.w : f32[4, 4], %c.w : f32[10]
  scope body (Body)
  %0 : f32[4] = aten::mv(%a.w, %x)       # net.py:1 body.a (Linear)
  %1 : f32[4] = aten::mv(%a.w, %0)       # net.py:2 body.b (Linear)
  %2 : f32[4] = aten::add(%1, %c.w)      # net.py:3 body (Body)
  %3 : f32[4] = prim::call(@part, %2)    # net.py:4 head/act()
  return (%3)

function part(%x : f32[4]) -> (f32[4]):
  %h : f32[4] = aten::relu(%x)           # net.py:9 "</script>" is no scope
  return (%h)
""".replace('"</script>" is no scope', "tail (Tail)")


def test_the_tree_counts_nodes_and_distinct_parameters() -> None:
    assert scope_lines(ScopeTree(parse(TEXT))) == [
        "scope                     nodes  parameters",
        "Net                           4          26",
        "  body (Body)                 3          26",
        "    a (Linear)                1          16",
        "    b (Linear)                1          16",
        "  head                        1",
        "    act()                     1",
        "function part                 1",
        "  tail (Tail)                 1",
    ]


def test_levels_below_those_asked_for_are_left_out() -> None:
    assert scope_lines(ScopeTree(parse(TEXT)), 1)[1:] == [
        "Net                           4          26",
        "  body (Body)                 3          26",
        "  head                        1",
        "function part                 1",
        "  tail (Tail)                 1",
    ]


def test_only_chosen_nodes_are_counted() -> None:
    graph = parse(TEXT)
    assert scope_lines(ScopeTree(graph, graph.nodes(op="aten::add")))[1:] == [
        "Net                           1          10",
        "  body (Body)                 1          10",
        "function part                 0",
    ]


def test_names_stay_on_their_line() -> None:
    graph = Graph('a\n"b"')
    scope = Scope(graph.root_scope, ScopeKind.MODULE, "x\ny", "C\x1b[2J")
    graph.append(unknown_operator("aten::f"), (), (TensorType(),), scope=scope)
    graph.set_outputs([])
    assert scope_lines(ScopeTree(graph))[1:] == [
        '"a\\n\\"b\\""                    1',
        '  x%0Ay ("C\\u001b[2J")        1',
    ]


def test_a_thousand_scopes_inside_one_another_are_a_tree() -> None:
    graph = Graph("deep")
    scope = graph.root_scope
    for number in range(1500):
        scope = Scope(scope, ScopeKind.MODULE, str(number))
    graph.append(unknown_operator("aten::f"), (), (), scope=scope)
    tree = ScopeTree(graph)
    assert [branch.node_count for branch in tree.walk()] == [1] * 1501


def test_a_branch_is_named_by_the_last_step_of_its_address() -> None:
    tree = ScopeTree(annotated_graph())
    names = [(branch.depth, branch.name) for branch in tree.walk()]
    assert names == [(0, "Net"), (1, "blocks.0"), (2, "fc"), (1, "blocks.1"), (2, "fc")]


@given(graphs())
def test_every_node_stands_in_one_branch(graph: Graph) -> None:
    tree = ScopeTree(graph)
    everything = [node for part in (graph, *graph.functions.values()) for node in part.walk()]
    listed = [node for branch in tree.walk() for node in branch.nodes]
    assert len(listed) == len(everything)
    assert set(listed) == set(everything)
    for node in everything:
        assert node in tree.branch_of(node).nodes
    assert sum(root.node_count for root in tree.roots) == len(everything)
