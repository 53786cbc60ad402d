"""What people type to search, and what it finds."""

from collections.abc import Callable
from typing import Any

import pytest

from opscope.ir import parse
from opscope.visualize.explorer import Exhibit, Remark

Browse = Callable[..., Any]

NET = """
graph Net(%x : f32[2, 16], %mask : bool[2, 4]) -> (bf16[2, 4]):
  state %fc1.weight : f32[16, 16], %fc11.weight : f32[4, 16], %shift : f32[4]
  %h : f32[2, 16] = aten::linear(%x, %fc1.weight)    # lib/net.py:12:15 body.fc1 (Linear)
  %r : f32[2, 16] = aten::relu(%h)    # lib/net.py:13:15 body
  %y : f32[2, 4] = aten::linear(%r, %fc11.weight)    # lib/net.py:14:15 body.fc11 (Linear)
  %z : bf16[2, 4] = aten::to.dtype(%y, bf16)    # lib/net.py:15:9
  %w : bf16[2, 4] = aten::add_.Tensor(%z, %shift)    # lib/net.py:16:9
  return (%w)
"""
SOURCE = (
    "\n" * 11 + "h = self.fc1(x)\nr = relu(h)\ny = self.fc11(r)\nz = y.half()\nz += self.shift\n"
)

FIND = """
const found = find(model, parseQuery(known), 100);
if (found.problem) return found.problem;
const value = (n) => (model.isEnd(n) ? model.nodeTitle(n) : model.valueName(model.results(n)[0]));
const title = (item) => (item < 0 ? model.branchTitle(~item) : `${model.nodeTitle(item)} %${value(item)}`);
return found.hits.map(({ item, where }) => `${title(item)} (${where})`);
"""


@pytest.fixture
def search(browse: Browse) -> Callable[[str], Any]:
    """Search the network above; a hit is its title, its value, and where it was found."""
    return lambda text: browse(FIND, NET, sources={"lib/net.py": SOURCE}, known=text)


def _terms(browse: Browse, text: str) -> list[str]:
    script = (
        "return parseQuery(known).terms.map((t) => `${t.isNot ? 'not ' : ''}${t.field}[${t.text}]`)"
    )
    terms: list[str] = browse(script, known=text)
    return terms


def test_a_query_is_words_phrases_exclusions_and_filters(browse: Browse) -> None:
    text = 'Conv "two words" -relu -op:view scope:"a b" aten::add net.py:41 op:'
    assert _terms(browse, text) == [
        "[conv]",
        "[two words]",
        "not [relu]",
        "not op[view]",
        "scope[a b]",
        "[aten::add]",
        "line[net.py:41]",
    ]


def test_a_phrase_that_is_not_closed_goes_to_the_end(browse: Browse) -> None:
    assert _terms(browse, 'x "a b') == ["[x]", "[a b]"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "opp:add",
            "There is no filter opp:. Did you mean op:? To search for the text itself,"
            ' write "opp:add" with quotes.',
        ),
        ("is:wrote", "is: takes input, output, write, hidden or warning. Did you mean is:write?"),
        ("phase:x", "phase: takes forward, backward or optimizer."),
        (
            "line:net.py",
            "line: takes a line, line:net.py:41, or several, line:net.py:41-50.",
        ),
        ("user:%nobody", "There is no value %nobody."),
    ],
)
def test_a_mistake_is_explained(search: Callable[[str], Any], text: str, error: str) -> None:
    assert search(text) == error


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("relu", ["relu %r (operator)"]),
        ("relu -net", ["relu %r (operator)"]),
        ("op:lin*", ["linear %h (operator)", "linear %y (operator)"]),
        ("op:linea", ["linear %h (operator)", "linear %y (operator)"]),
        ("op:inear*", []),
        ("op:add_.*", ["add_ %w (operator)"]),
        ("scope:fc1", ["body.fc1 (scope)", "linear %h (scope)"]),
        ("scope:body.* op:relu", []),
        ("scope:*fc11 op:linear", ["linear %y (scope)"]),
        ("class:linear linear scope:fc11", ["fc11 (class)", "linear %y (class)"]),
        ("shape:2x4 op:linear", ["linear %y (shape)"]),
        ("shape:2×* op:linear", ["linear %h (shape)", "linear %y (shape)"]),
        ("shape:1 op:linear", []),
        ("dtype:bfloat16 -is:output", ["to %z (shape)", "add_ %w (shape)"]),
        ("name:h", ["linear %h (name)"]),
        ("state:fc1.weight", ["linear %h (state)"]),
        ("state:fc1", ["linear %h (state)"]),
        ('source:".half()"', ["to %z (source)"]),
        ("half", ["to %z (source)"]),
        ("net.py:13", ["relu %r (source)"]),
        ("line:lib/net.py:13-14", ["relu %r (source)", "linear %y (source)"]),
        ("line:et.py:13", []),
        ("user:%x", ["linear %h (name)"]),
        (
            "from:%r",
            ["linear %y (name)", "to %z (name)", "add_ %w (name)", "output %output (name)"],
        ),
        ("is:input", ["x %x (name)", "mask %mask (name)"]),
        ("is:write", ["add_ %w (name)"]),
        ("phase:back", []),
        ('"no such thing"', []),
        ("", []),
    ],
)
def test_a_query_finds(search: Callable[[str], Any], text: str, hits: list[str]) -> None:
    assert search(text) == hits


def test_what_says_most_comes_first_and_the_limit_does_not_change_the_total(browse: Browse) -> None:
    script = """
    const found = find(model, parseQuery('body'), 2);
    const titles = found.hits.map(({ item, where }) => [model.branchTitle(~item), where]);
    return [titles, found.total, found.nodes.map((n) => model.nodeTitle(n))];
    """
    hits, total, nodes = browse(script, NET)
    assert hits == [["body.fc1", "name"], ["body", "name"]]
    assert total == 6
    assert nodes == ["linear", "relu", "linear"]


def test_what_is_not_drawn_is_counted_and_found_when_asked_for(browse: Browse) -> None:
    graph = """
    graph(%x : f32[2, 3]) -> (f32[2, 3]):
      %n : int = aten::sym_size.int(%x, 0)
      %y : f32[2, 3] = aten::view(%x, [%n, 3])
      return (%y)
    """
    script = """
    const finder = new Finder(model);
    const shown = (text, options) => {
      const { nodes, undrawn } = finder.find(parseQuery(text), 9, options);
      return [nodes.map((n) => model.nodeTitle(n)), undrawn];
    };
    return [shown('size'), shown('size', { withUndrawn: true }), shown('is:hidden')];
    """
    assert browse(script, graph) == [[[], 1], [["sym_size"], 0], [["sym_size"], 0]]


def test_warnings_are_found_by_the_nodes_that_they_concern(browse: Browse) -> None:
    graph = parse("graph(%x : f32[2]):\n  %a : f32[2] = aten::neg(%x)\n  return (%a)")
    (node,) = graph.walk()
    script = "return find(model, parseQuery('is:warning'), 9).nodes.map((n) => model.nodeTitle(n))"
    remarks = [Remark("guard", "only at this size", nodes=(node,))]
    assert browse(script, Exhibit(graph, remarks=remarks)) == []
    remarks.append(Remark("warning", "a value left", nodes=(node,)))
    assert browse(script, Exhibit(graph, remarks=remarks)) == ["neg"]


@pytest.mark.parametrize("name", ["</script>", 'a"b', "[x(", "línea:ü", "a\\", "日本語", "$^.*+"])
def test_hostile_names_are_found_as_they_are(browse: Browse, name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    graph = f'graph(%"{quoted}" : f32[2]):\n  %y : f32[2] = aten::neg(%"{quoted}")\n  return (%y)'
    script = """
    const word = known.replaceAll('"', '*');
    return find(model, parseQuery(`is:input "${word}"`), 9).nodes.length;
    """
    assert browse(script, graph, known=name) == 1
