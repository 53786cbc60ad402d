"""Names: how text and generated code call the values of a graph."""

from hypothesis import given

from opscope.ir import Graph, ScalarType, parse, unknown_operator, value_names
from support.random_graphs import graphs, property_settings

INT = ScalarType.INT


def names_of(*wanted: str | None, state: tuple[str, ...] = ()) -> list[str]:
    """Return the names that inputs get which ask for these."""
    graph = Graph()
    for name in state:
        graph.add_state(name, INT)
    inputs = [graph.add_input(INT, name) for name in wanted]
    names = value_names(graph)
    return [names[value] for value in inputs]


def test_a_free_name_is_kept_and_a_taken_one_gets_a_number_behind_it() -> None:
    assert names_of("h", "h", "g", "h") == ["h", "h.1", "g", "h.2"]
    assert names_of("h.1", "h", "h", "h") == ["h.1", "h", "h.2", "h.3"]


def test_state_keeps_its_name() -> None:
    assert names_of("w", "v", state=("w",)) == ["w.1", "v"]


def test_values_without_a_name_are_numbered_around_what_is_taken() -> None:
    assert names_of(None, "x", None) == ["0", "x", "1"]
    assert names_of(None, None, state=("0", "2")) == ["1", "3"]


def test_a_number_is_no_name() -> None:
    assert names_of("7", "x7", "007", "٣") == ["0", "x7", "1", "٣"]


def test_inner_blocks_are_named_in_the_order_of_the_text() -> None:
    graph = parse(
        """
        graph(%x : int):
          %0 : int = f(%x)
            block0(%1 : int):
              %2 : int = g(%1)
              -> (%2)
          %3 : int = h(%0)
          return (%3)
        """
    )
    assert list(value_names(graph).values()) == ["x", "0", "1", "2", "3"]


def test_every_name_of_tied_state_is_taken() -> None:
    graph = Graph()
    graph.add_state(["a", "b"], INT)
    value = graph.append(unknown_operator("f"), (), [INT]).output
    value.name = "b"
    assert value_names(graph)[value] == "b.1"


@property_settings
@given(graphs())
def test_names_are_unique(graph: Graph) -> None:
    names = value_names(graph)
    assert len(set(names.values())) == len(names)
    assert set(names) == {*graph.values(), *(entry.value for entry in graph.state.values())}
