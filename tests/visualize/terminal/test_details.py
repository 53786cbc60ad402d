"""Details of nodes and scopes as lines, whatever names and sources hold."""

from __future__ import annotations

from hypothesis import given

from opscope.ir import Graph
from opscope.visualize.terminal.node_details import node_lines
from opscope.visualize.terminal.paint import paint_for, shown
from opscope.visualize.terminal.scope_details import scope_lines
from opscope.visualize.terminal.source_view import source_lines
from opscope.visualize.terminal.subject import Subject
from support.annotated_graph import SOURCE, annotated_graph
from support.ir_text import node_named
from support.random_graphs import graphs

PAINT = paint_for(is_dark=True)


def details(graph: Graph, name: str) -> str:
    lines = node_lines(Subject(graph), node_named(graph, name), PAINT)
    return "\n".join(line.plain.rstrip() for line in lines) + "\n"


def test_a_node_is_described() -> None:
    assert (
        details(annotated_graph(), "x.1")
        == """\
aten::relu

arguments
  ·      %0 : f32[2, 4]  ← add.Tensor  net.py:9

results
  %x.1 : f32[2, 4]
    → %h.1 linear  net.py:7  blocks.1.fc
    → %1 add_.Tensor  net.py:9  blocks.1

source   net.py:8 in Net.forward
   5 │ def forward(self, x):
   6 │     for block in self.blocks:
   7 │         h = block.fc(x)
▸  8 │         x = torch.relu(
▸  9 │             h + x
▸ 10 │         )
  11 │     return x.half()

where
  scope  blocks.0 (Block)
  modes  grad
  node   3 of 7

stack, innermost call first
  net.py:8 in Net.forward   x = torch.relu(
  torch/module.py:1776 in _call
  net.py:14 in <module>   Net()(torch.ones(2, 4))
"""
    )


def test_arguments_have_the_names_of_the_schema_and_say_where_they_come_from() -> None:
    graph = annotated_graph()
    assert details(graph, "0").splitlines()[2:6] == [
        "arguments",
        "  self   %h : f32[2, 4]  ← linear  net.py:7  blocks.0.fc",
        "  other  %x : f32[2, 4]  ← input",
        "  alpha  2",
    ]
    assert details(graph, "h").splitlines()[3:6] == [
        "  input  %x : f32[2, 4]  ← input",
        "  weight %blocks.0.fc.weight : f32[4, 4]  ← parameter = tied.weight",
        "  bias   None",
    ]
    assert "  %y : f16[2, 4]\n    → returned\n" in details(graph, "y")


def test_the_expression_is_underlined_on_each_of_its_lines() -> None:
    graph = annotated_graph()
    place = node_named(graph, "x.1").source
    assert place is not None
    underlined = []
    for line in source_lines(place, PAINT):
        spans = [span for span in line.spans if getattr(span.style, "underline", False)]
        underlined += [line.plain[span.start : span.end] for span in spans]
    assert underlined == ["torch.relu(", "h + x", ")"]


def test_without_the_source_the_place_is_told() -> None:
    assert "source   net.py:11 in Net.forward\nthe text of this file is not known\n" in details(
        annotated_graph(source=""), "y"
    )


def test_what_is_shown_cannot_command_the_terminal() -> None:
    source = SOURCE.replace("h + x\n", "h + x  # \x1b]52;c;AAAA\x07 \u202e</script>\n")
    text = details(annotated_graph(source), "0")
    assert "\x1b" not in text
    assert "h + x  # \\x1b]52;c;AAAA\\x07 \\u202e</script>" in text
    assert shown("a\nb\tc[bold]é") == "a\\nb    c[bold]é"


@given(graphs())
def test_any_node_and_scope_can_be_described(graph: Graph) -> None:
    subject = Subject(graph)
    for node in subject.nodes:
        for line in node_lines(subject, node, PAINT):
            assert line.plain.isprintable()
    for branch in subject.tree.walk():
        for line in scope_lines(subject, branch, PAINT):
            assert line.plain.isprintable()
        places = [subject.place(node) for node in subject.nodes_in(branch)]
        assert places == sorted(places)
        assert len(places) == branch.node_count
