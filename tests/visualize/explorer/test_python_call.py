"""Nodes as calls of torch."""

import ast
from collections.abc import Callable
from typing import Any

import pytest

Browse = Callable[..., Any]

SCRIPT = "return Array.from({ length: model.nodeCount }, (_, n) => pythonCall(model, n))"


def test_nodes_become_calls_with_keywords_state_and_torchs_own_words(browse: Browse) -> None:
    graph = """
    graph(%x.1 : f32[2], %if : f32[2]):
      state %fc.weight : f32[2]
      %a : f32[2] = aten::add.Tensor(%x.1, %fc.weight, alpha=2)
      %b : bf16[2] = aten::to.dtype(%a, bf16)
      %c : f32[2] = aten::empty([2, 3], dtype=f32, layout=layout.strided, device=device.cuda:1)
      %d : f32[4] = aten::cat([%a, %if], -1)
      %e : f32[4] = aten::clamp(%d, -inf, 1e-05)
      return (%e, %b, %c)
    """
    assert browse(SCRIPT, graph) == [
        "x_1 = ...  # f32[2]",
        "if_ = ...  # f32[2]",
        'a = torch.ops.aten.add.Tensor(x_1, state["fc.weight"], alpha=2)',
        "b = torch.ops.aten.to.dtype(a, torch.bfloat16)",
        "c = torch.ops.aten.empty.default([2, 3], dtype=torch.float32, layout=torch.strided,"
        ' device=torch.device("cuda:1"))',
        "d = torch.ops.aten.cat.default([a, if_], -1)",
        'e = torch.ops.aten.clamp.default(d, -float("inf"), 1e-05)',
        "return e",
        "return b",
        "return c",
    ]


def test_lists_and_tuples_become_pythons_own(browse: Browse) -> None:
    graph = """
    graph(%x : f32[2]):
      %t : tuple[f32[2]] = prim::TupleConstruct(%x)
      %u : f32[2] = prim::TupleUnpack(%t)
      %v : f32[2] = prim::data(%u)
      return (%v)
    """
    assert browse(SCRIPT, graph)[1:4] == [
        "t = (x,)",
        "u = t",
        "v = ...  # %v : f32[2] = prim::data(%u)",
    ]


@pytest.mark.parametrize(
    "name", ['a"b', "a\\nb", "a:b", "1st", "日本", "a b\\\\", "lambda", "</script>"]
)
def test_any_name_gives_python_that_parses(browse: Browse, name: str) -> None:
    quoted = name.replace('"', '\\"')
    graph = f"""
    graph(%"{quoted}" : f32[2]):
      state %"{quoted}.w" : f32[2]
      %y : f32[2] = aten::add.Tensor(%"{quoted}", %"{quoted}.w", alpha=2)
      return (%y)
    """
    statement = browse(SCRIPT, graph)[1]
    (parsed,) = ast.parse(statement).body
    assert isinstance(parsed, ast.Assign)


def test_the_line_of_a_graph_names_keywords(browse: Browse) -> None:
    graph = "graph(%x : f32[2]):\n  %y : f32[2] = aten::add.Tensor(%x, 1, alpha=2)\n  return (%y)"
    script = "return model.irText(1)"
    assert browse(script, graph) == "%y : f32[2] = aten::add.Tensor(%x, 1, alpha=2)"
