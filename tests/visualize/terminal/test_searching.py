"""Searches that go on in small steps."""

from opscope.visualize.search import parse_query
from opscope.visualize.terminal.searching import Search
from opscope.visualize.terminal.subject import Subject
from support.annotated_graph import annotated_graph, operators


def searched(start: int, query: str) -> tuple[Subject, Search]:
    subject = Subject(annotated_graph())
    search = Search(subject, parse_query(query), start)
    search.look(60)
    return subject, search


def test_hits_are_in_the_order_of_nodes_wherever_the_search_began() -> None:
    for start in range(7):
        subject, search = searched(start, "op:linear")
        assert search.is_done
        assert len(search) == 2
        assert [search.number(node) for node in subject.nodes] == [
            1,
            None,
            None,
            2,
            None,
            None,
            None,
        ]


def test_the_first_hit_is_the_next_from_the_start_on() -> None:
    firsts = []
    for start in range(7):
        subject, search = searched(start, "op:linear")
        hit = search.from_here()
        assert hit is not None
        firsts.append(subject.place(hit.node))
    assert firsts == [0, 3, 3, 3, 0, 0, 0]


def test_hits_go_round() -> None:
    subject, search = searched(0, "op:linear")
    forward = [search.next(place) for place in range(7)]
    back = [search.next(place, is_back=True) for place in range(7)]
    assert [subject.place(hit.node) for hit in forward if hit] == [3, 3, 3, 0, 0, 0, 0]
    assert [subject.place(hit.node) for hit in back if hit] == [3, 0, 0, 0, 3, 3, 3]
    assert search.next(2) is not None
    assert searched(0, "nowhere")[1].next(2) is None


def test_a_search_finds_what_the_query_finds() -> None:
    for query in ("relu", "user:%x*", "-Block", "source:h"):
        subject, search = searched(3, query)
        found = [hit.node for hit in parse_query(query).find(subject.graph)]
        assert operators([node for node in subject.nodes if search.has(node)]) == operators(found)
