"""Queries: what each part of one finds, and what is told of those that cannot be read."""

import pytest

from opscope import QueryError
from opscope.ir import Graph, parse, value_names
from opscope.visualize.search import FILTERS, Hit, Match, parse_query
from support.annotated_graph import annotated_graph
from support.ir_text import node_named


@pytest.mark.parametrize("query", ["from:%zzz", "user:zzz op:add", "-from:%zzz"])
def test_a_value_that_does_not_exist_is_told_and_not_found_nothing_of(
    graph: Graph, query: str
) -> None:
    with pytest.raises(QueryError, match="there is no value %zzz"):
        parse_query(query).find(graph)
    assert parse_query("from:zz*").find(graph) == []


@pytest.fixture(scope="module")
def graph() -> Graph:
    return annotated_graph()


def found(graph: Graph, query: str) -> str:
    """Return the first results of the nodes that a query finds."""
    names = {
        value: name
        for part in (graph, *graph.functions.values())
        for value, name in value_names(part).items()
    }
    return " ".join(names[hit.node.outputs[0]] for hit in parse_query(query).find(graph))


@pytest.mark.parametrize(
    ("query", "results"),
    [
        ("", "h 0 x.1 h.1 1 x.2 y"),
        # words are looked for in ...
        ("relu", "x.1 x.2"),  # ... operators
        ("ADD", "0 1"),
        ("aten::add", "0 1"),
        ("blocks.1", "h.1 1 x.2"),  # scopes
        ("Block", "h 0 x.1 h.1 1 x.2"),  # classes
        ("tied", "h"),  # all names of state
        ("%h", "h h.1"),  # names
        ("f16", "y"),  # types
        ('"f16[2, 4]"', "y"),
        ("4x4", "h h.1"),  # shapes of what is read
        ("net.py:11", "y"),  # places
        ("x.half", "y"),  # source lines
        # filters
        ("op:add", "0"),
        ("op:add*", "0 1"),
        ("op:add_", "1"),
        ("op:aten::linear", "h h.1"),
        ("op:Tensor", "0 1"),
        ("OP:RELU", "x.1 x.2"),
        ("scope:blocks.0", "h 0 x.1"),
        ("scope:fc", "h h.1"),
        ("scope:block", ""),
        ("scope:block*.fc", "h h.1"),
        ("class:Linear", "h h.1"),
        ("class:Block -class:Linear", "0 x.1 1 x.2"),
        ("shape:2x4", "h 0 x.1 h.1 1 x.2 y"),
        ("shape:4x4", "h h.1"),
        ("shape:4X*", "h h.1"),
        ("shape:[4]", ""),
        ("shape:[2,4]", "h 0 x.1 h.1 1 x.2 y"),
        ("dtype:f16", "y"),
        ("dtype:torch.float16", "y"),
        ("dtype:f*", "h 0 x.1 h.1 1 x.2 y"),
        ("name:x", "x.1 x.2"),
        ("name:%x.1", "x.1"),
        ("state:weight", "h h.1"),
        ("state:tied.weight", "h"),
        ("user:%x", "h 0"),
        ("user:x.1", "h.1 1"),
        ("user:%blocks.0.fc.weight", "h"),
        ("user:%tied.weight", "h"),
        ("user:x*", "h 0 h.1 1 y"),
        ("from:%h", "h"),
        ("from:%x", ""),
        ("line:net.py:9", "0 1"),
        ("line:net.py:14", "h 0 x.1 h.1 1 x.2 y"),  # what calls all of it
        ("line:module.py", "h 0 x.1 h.1 1 x.2 y"),
        ("line:net.py:1", ""),
        ("source:x.half", "y"),
        ('source:"h + x"', "0 x.1 1 x.2"),  # the call that it is an argument of has that line too
        # all of them together
        ("op:linear scope:blocks.0", "h"),
        ("op:linear -scope:blocks.0", "h.1"),
        ("-relu -linear -blocks", "y"),
        ('-"f32"', ""),
        ("blocks.*fc", "h h.1"),
        ('"blocks.*fc"', ""),
    ],
)  # fmt: skip
def test_a_query_finds_the_nodes_that_fit_all_of_it(graph: Graph, query: str, results: str) -> None:
    assert found(graph, query) == results


def test_a_hit_tells_where_each_part_fits(graph: Graph) -> None:
    assert parse_query('tied op:linear user:%x -op:relu source:"block.fc"').find(graph) == [
        Hit(
            node_named(graph, "h"),
            (
                Match("state", "tied.weight"),
                Match("op", "aten::linear"),
                Match("user", "%x"),
                Match("source", "h = block.fc(x)"),
            ),
        )
    ]


def test_types_are_searched_at_any_depth() -> None:
    graph = parse("""graph g(%x : tuple[f32[3, 5], list[i64[7, batch]]]) -> (int):
  %n : int = aten::size(%x)
  return (%n)
""")
    assert found(graph, "shape:7xbatch") == found(graph, "shape:[3,5]") == "n"
    assert found(graph, "dtype:int") == found(graph, "dtype:i64") == "n"
    assert found(graph, "shape:5x7") == ""


def test_a_shape_without_sizes_is_that_of_a_scalar() -> None:
    graph = parse("""graph g(%x : f32[1]) -> (f32[]):
  %a : f32[1] = aten::neg(%x)
  %b : f32[] = aten::sum(%a)
  return (%b)
""")
    assert found(graph, "shape:[]") == "b"


def test_names_that_need_quotes_are_found() -> None:
    graph = parse(r"""graph g(%"a \"b\": c" : f32[1], %"</script>" : f32[1]) -> (f32[1]):
  %y : f32[1] = aten::add(%"a \"b\": c", %"</script>")    # "my net":5:3
  return (%y)
""")
    assert found(graph, r'user:%"a \"b\": c"') == "y"
    assert found(graph, "user:%</script>") == "y"
    assert found(graph, 'line:"my net:5"') == "y"


def test_functions_are_searched_with_names_of_their_own() -> None:
    graph = parse("""graph g(%x : f32[1]) -> (f32[1]):
  %h : f32[1] = prim::call(@part, %x)
  return (%h)

function part(%x : f32[1]) -> (f32[1]):
  %h : f32[1] = aten::neg(%x)
  return (%h)
""")
    hits = parse_query("from:%h").find(graph)
    assert [(hit.function, hit.node.kind) for hit in hits] == [
        ("", "prim::call"),
        ("part", "aten::neg"),
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("opp:add", "there is no filter opp:; did you mean op:?"),
        ("-shap:1", 'write it in quotes: "shap:1"'),
        ("qq:1", "there is no filter qq:\nfilters are op, scope, class,"),
        ("op:", "op: needs a value: the operator: op:conv2d"),
        ('op:""', "op:\"\" needs a value"),
        ('relu "x + y', "the quotes around x + y are not closed"),
        ("dtype:fp16", "there is no element type fp16; did you mean f16?"),
        ("shape:1xx3", "shape: 1xx3 is no shape; write 1x3"),
    ],
)  # fmt: skip
def test_mistakes_in_queries_are_told(query: str, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse_query(query)
    assert message in str(raised.value)


def test_every_filter_is_documented_with_an_example_of_itself() -> None:
    for key, filter_ in FILTERS.items():
        example = filter_.meaning[filter_.meaning.index(f"{key}:") :].split(", ")[0]
        assert [term.filter for term in parse_query(example).terms] == [filter_]
