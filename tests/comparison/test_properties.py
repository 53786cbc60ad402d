"""Comparisons of random graphs: with themselves, with what they print, and with one node more or less."""

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import opscope
from opscope.comparison import ChangeKind, GraphDiff
from opscope.ir import FunctionRef, Graph, Operator, ScalarType, parse, verify
from support.random_graphs import composite_graphs, graphs, property_settings

ADDED, REMOVED, CHANGED, MOVED = ChangeKind


def _all_counts(diff: GraphDiff) -> list[int]:
    return [diff.counts[kind] for kind in ChangeKind]


@property_settings
@given(graphs() | composite_graphs())
def test_a_graph_equals_itself_and_its_copy(graph: Graph) -> None:
    for other in (graph, graph.copy()):
        diff = opscope.diff(graph, other, sources=True)
        assert diff.is_equal, str(diff)
        nodes = [node for part in (graph, *graph.functions.values()) for node in part.walk()]
        twins = [node for part in (other, *other.functions.values()) for node in part.walk()]
        assert [diff.matches[node] for node in nodes] == twins
        assert diff.equal == len(nodes)


@property_settings
@given(graphs() | composite_graphs())
def test_a_graph_equals_what_its_text_says(graph: Graph) -> None:
    assert not opscope.diff(graph, parse(str(graph)), sources=True)
    assert not opscope.diff(parse(str(graph)), graph, sources=True)


@property_settings
@given(graphs(), st.data())
def test_names_of_values_do_not_matter(graph: Graph, data: st.DataObject) -> None:
    other = graph.copy()
    for value in other.values():
        value.name = data.draw(st.none() | st.text(max_size=2))
    assert not opscope.diff(graph, other)


@property_settings
@given(graphs(max_nodes=16), st.data())
def test_a_node_that_nothing_reads_is_found_as_added_and_as_removed(
    graph: Graph, data: st.DataObject
) -> None:
    other = graph.copy()
    nodes = list(other.walk())
    place = data.draw(st.integers(0, len(nodes)))
    read = nodes[place - 1].outputs if place else other.inputs
    operators = [Operator("aten::new"), *[n.operator for n in nodes if "prim" not in n.kind]]
    with other.inserting_after(nodes[place - 1] if place else other.block):
        new = other.append(data.draw(st.sampled_from(operators)), tuple(read), (ScalarType.INT,))
    verify(other)
    diff = opscope.diff(graph, other)
    assert _all_counts(diff) == [1, 0, 0, 0], str(diff)
    assert diff.nodes[0].node.kind == new.kind
    assert _all_counts(opscope.diff(other, graph)) == [0, 1, 0, 0]


@property_settings
@given(graphs(max_nodes=16), st.data())
def test_a_node_that_is_erased_is_found_as_removed(graph: Graph, data: st.DataObject) -> None:
    other = graph.copy()
    unread = [at for at, node in enumerate(other.walk()) if not node.is_read and not node.blocks]
    assume(unread)
    at = data.draw(st.sampled_from(unread))
    kind = list(graph.walk())[at].kind
    list(other.walk())[at].erase()
    diff = opscope.diff(graph, other)
    assert _all_counts(diff) == [0, 1, 0, 0], str(diff)
    assert diff.nodes[0].node.kind == kind


@property_settings
@given(graphs(), graphs())
def test_any_two_graphs_are_compared_alike_in_both_directions(one: Graph, other: Graph) -> None:
    diff, back = opscope.diff(one, other), opscope.diff(other, one)
    assert diff.is_equal == back.is_equal
    assert {node: twin for twin, node in back.matches.items()} == diff.matches
    assert {s: twin for twin, s in back.scope_matches.items()} == diff.scope_matches
    for kind, opposite in ((ADDED, REMOVED), (REMOVED, ADDED), (CHANGED, CHANGED), (MOVED, MOVED)):
        found = {(c.before, c.after) for c in diff.nodes if c.kind is kind}
        assert found == {(c.after, c.before) for c in back.nodes if c.kind is opposite}
    assert len(diff.state) == len(back.state)
    assert len(diff.signature) == len(back.signature)
    _check_counts(diff)


def _check_counts(diff: GraphDiff) -> None:
    """Check that each node of both graphs is told of once, and that all texts can be written."""
    before = {n for g in (diff.before, *diff.before.functions.values()) for n in g.walk()}
    after = {n for g in (diff.after, *diff.after.functions.values()) for n in g.walk()}
    changed = [change for change in diff.nodes if change.before and change.after]
    assert all(diff.matches[c.before] is c.after for c in changed if c.before)
    assert len(diff.matches) == diff.equal + len(changed)
    assert before == {*diff.matches, *(c.before for c in diff.nodes if c.before)}
    assert after == {*diff.matches.values(), *(c.after for c in diff.nodes if c.after)}
    for text in (str(diff), diff.text(whole=True)):
        assert text.splitlines() == text.removesuffix("\n").split("\n")
        assert not any(character < " " and character != "\n" for character in text)
    diff.to_json()


@settings(property_settings, suppress_health_check=list(HealthCheck))
@given(graphs(max_nodes=12), st.data())
def test_a_literal_that_is_added_to_a_node_is_told_of_that_node(
    graph: Graph, data: st.DataObject
) -> None:
    nodes = [node for node in graph.walk() if not node.blocks]
    assume(nodes and not any(isinstance(a, FunctionRef) for n in nodes for a in n.all_args))
    at = data.draw(st.integers(0, len(list(graph.walk())) - 1))
    other = graph.copy()
    node = list(other.walk())[at]
    assume(not node.is_read and not node.blocks)
    with other.inserting(node):
        new = other.append(
            node.operator,
            (*node.args, "another literal", *node.kwargs.values()),
            [value.type for value in node.outputs],
            keywords=node.keywords,
            groups=node.groups,
            scope=node.scope,
            modes=node.modes,
        )
    node.erase()
    diff = opscope.diff(graph, other)
    changed = [change for change in diff.nodes if change.after is new]
    assert len(changed) == 1
    assert len(diff.nodes) == 1 or changed[0].kind is ADDED, str(diff)
