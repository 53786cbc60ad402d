"""A small graph with all that can be known of nodes: schemas, whole stacks and the text of a source."""

from __future__ import annotations

from opscope.ir import Frame, Graph, Node, Operator, Parameter, Return, parse, unknown_operator
from opscope.ir.source import SourceRange, SourceText

SOURCE = """import torch


class Net(torch.nn.Module):
    def forward(self, x):
        for block in self.blocks:
            h = block.fc(x)
            x = torch.relu(
                h + x
            )
        return x.half()


Net()(torch.ones(2, 4))
"""

TEXT = """graph Net(%x : f32[2, 4]) -> (f16[2, 4]):
  state %blocks.0.fc.weight = %tied.weight : f32[4, 4], %blocks.1.fc.weight : f32[4, 4]
  buffer %scale : f32[]
  scope blocks.0 (Block)
  %h : f32[2, 4] = aten::linear(%x, %blocks.0.fc.weight, None)    # net.py:7:17 blocks.0.fc (Linear)
  %0 : f32[2, 4] = aten::add.Tensor(%h, %x, alpha=2)              # net.py:9:17 blocks.0 (Block)
  %x.1 : f32[2, 4] = aten::relu(%0)                               # net.py:8:17 blocks.0 (Block)
  scope blocks.1 (Block)
  %h.1 : f32[2, 4] = aten::linear(%x.1, %blocks.1.fc.weight, None)  # net.py:7:17 blocks.1.fc (Linear)
  %1 : f32[2, 4] = aten::add_.Tensor(%h.1, %x.1)                  # net.py:9:17 blocks.1 (Block)
  %x.2 : f32[2, 4] = aten::relu(%1)                               # net.py:8:17 blocks.1 (Block)
  %y : f16[2, 4] = aten::to.dtype(%x.2, f16)                      # net.py:11:16
  return (%y)
"""

_OPERATORS = {
    "aten::linear": Operator(
        "aten::linear",
        (Parameter("input", "Tensor"), Parameter("weight", "Tensor"), Parameter("bias", "Tensor?")),
        (Return("Tensor"),),
    ),
    "aten::add.Tensor": Operator(
        "aten::add.Tensor",
        (
            Parameter("self", "Tensor"),
            Parameter("other", "Tensor"),
            Parameter("alpha", "Scalar", is_keyword=True, default=1),
        ),
        (Return("Tensor"),),
    ),
}


def annotated_graph(source: str = SOURCE) -> Graph:
    """Return the graph of ``TEXT``, whose nodes come from lines of a source that it brings along."""
    graph = parse(TEXT, lambda name: _OPERATORS.get(name) or unknown_operator(name))
    text = SourceText("net.py", "/where/it/was/net.py", source)
    script = Frame.resolved(_range(text, 14, 1, 14, 24, "<module>"))
    library = Frame.resolved(SourceRange("torch/module.py", 1776, function="_call"), script, True)
    ends = {7: (7, 28), 8: (10, 14), 9: (9, 22), 11: (11, 24)}
    for node in graph.walk():
        place = node.source
        assert place is not None
        end = ends[place.line]
        own = _range(text, place.line, place.column, *end, "Net.forward")
        node.stack = Frame.resolved(own, library)
    return graph


def operators(nodes: list[Node]) -> list[str]:
    """Return the operators of nodes, without their namespace."""
    return [node.operator.name.removeprefix("aten::") for node in nodes]


def _range(
    text: SourceText, line: int, column: int, end_line: int, end_column: int, function: str
) -> SourceRange:
    return SourceRange(
        text.file, line, column, end_line, end_column, function, text.path, source=text
    )
