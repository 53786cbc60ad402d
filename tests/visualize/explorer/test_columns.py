"""The columns of a graph: values, arguments, flows and stacks by number."""

from itertools import pairwise
from typing import Any

import pytest

from opscope.ir import DType, Effect, Frame, Graph, Operator, SourceRange, TensorType, parse
from opscope.visualize.explorer import Exhibit, document

TYPE = TensorType(DType.F32, (2, 3))


def columns(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of a graph's text, and the page's texts."""
    made = document(Exhibit(parse(text)))
    return made["graphs"][0], made["texts"]


def parts(numbers: list[int], starts: list[int]) -> list[list[int]]:
    """Return a column as what belongs to each node."""
    return [numbers[one:other] for one, other in pairwise(starts)]


NET = """
graph Net(%x : f32[2, 3], %y : f32[2, 3]):
  state %w : f32[2, 3]
  %a : f32[2, 3] = aten::add.Tensor(%x, %y)    # net.py:1
  %b : f32[2, 3] = aten::mul.Tensor(%a, %w)    # net.py:2
  %c : f32[2, 3], %d : f32[2, 3] = aten::split(%b, [1, 2])    # net.py:3
  return (%c, %b)
"""


def test_values_are_inputs_then_state_then_results_each_with_its_producer() -> None:
    graph, texts = columns(NET)
    values = graph["values"]
    assert [texts[name] for name in values["name"]] == ["x", "y", "w", "a", "b", "c", "d"]
    assert values["producer"] == [0, 1, -1, 2, 3, 4, 4]
    results = parts(list(range(7)), values["resultStart"])
    assert results[2:5] == [[3], [4], [5, 6]]
    assert len(results) == graph["inputs"] + 3 + graph["outputs"] == 7


def test_flows_lead_from_what_made_a_value_to_what_reads_it_and_not_from_state() -> None:
    graph, _ = columns(NET)
    assert parts(graph["flows"]["source"], graph["flows"]["start"]) == [
        *([], []),
        [0, 1],
        [2],
        [3],
        *([4], [3]),
    ]


def test_arguments_are_text_with_a_mark_for_each_value() -> None:
    graph, texts = columns(NET)
    args = graph["args"]
    spelled = [
        (texts[text], values)
        for text, values in zip(
            args["text"], parts(args["values"], args["valueStart"]), strict=True
        )
    ]
    assert spelled[:2] == [("\x01", [0]), ("\x01", [1])]
    assert spelled[4:6] == [("\x01", [4]), ("[1, 2]", [])]


def test_a_mark_in_a_text_of_the_program_is_none_of_ours() -> None:
    graph = Graph("Net")
    x = graph.add_input(TYPE, "x")
    node = graph.append(Operator("a::b", effects=Effect.NONE), (x, "say \x01"), (TYPE,))
    graph.set_outputs([node.output])
    made = document(Exhibit(graph))
    args = made["graphs"][0]["args"]
    assert made["texts"][args["text"][1]] == '"say \\u0001"'


def test_stacks_share_their_frames_and_files_of_one_name_are_told_apart() -> None:
    outer = Frame.resolved(SourceRange("net.py", 9, path="/one/net.py"))
    other = Frame.resolved(SourceRange("net.py", 3, path="/two/net.py"), outer)
    graph = Graph("Net")
    last = graph.add_input(TYPE, "x")
    for frame in (outer, other, other):
        operator = Operator("aten::relu", effects=Effect.NONE)
        last = graph.append(operator, (last,), (TYPE,), stack=frame).output
    graph.set_outputs([last])
    made = document(Exhibit(graph))
    frames = made["frames"]
    assert [made["texts"][file] for file in frames["file"]] == ["net.py", "net.py (2)"]
    assert (frames["line"], frames["caller"]) == ([9, 3], [-1, 0])
    assert made["graphs"][0]["nodes"]["frame"] == [-1, 0, 1, 1, -1]


@pytest.mark.parametrize(("count", "is_gathered"), [(12, False), (13, True)])
def test_many_inputs_share_a_branch(count: int, is_gathered: bool) -> None:
    graph = Graph("Net")
    values = [graph.add_input(TYPE, f"x{number}") for number in range(count)]
    graph.set_outputs(values[:1])
    made = document(Exhibit(graph))
    branches = made["graphs"][0]["branches"]
    titles = [made["texts"][title] for title in branches["title"]]
    assert titles == (["Net", f"{count} inputs"] if is_gathered else ["Net"])
    assert branches["items"][: branches["itemStart"][1]] == (
        [~1, count] if is_gathered else [*range(count + 1)]
    )
