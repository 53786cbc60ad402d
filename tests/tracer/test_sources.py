"""Sources: the innermost line of the user's code, the very expression, and the whole stack."""

import torch
from torch import nn

import opscope


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(3)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        y = self.bn(x) + skip
        return y


def traced_nodes() -> list[opscope.Node]:
    return list(opscope.trace(Residual(), (torch.randn(2, 3), torch.randn(2, 3))).graph.walk())


def test_the_source_is_the_users_line_and_never_torchs() -> None:
    norm = next(node for node in traced_nodes() if node.kind == "aten::batch_norm")
    source = norm.source
    assert source is not None
    assert source.path == __file__
    assert source.file.endswith("test_sources.py")
    assert source.function == "Residual.forward"
    assert source.text == "        y = self.bn(x) + skip"


def test_the_very_expression_can_be_underlined() -> None:
    nodes = {node.kind: node for node in traced_nodes()}
    norm, add = nodes["aten::batch_norm"].source, nodes["aten::add.Tensor"].source
    assert norm is not None
    assert add is not None
    assert norm.underlined() == "y = self.bn(x) + skip\n    ^^^^^^^^^^"
    assert norm.column == 13
    # The counter of batches is added to inside torch, the sum below is the user's own.
    last = [n for n in traced_nodes() if n.kind == "aten::add.Tensor"][-1].source
    assert last is not None
    assert last.underlined() == "y = self.bn(x) + skip\n    ^^^^^^^^^^^^^^^^^"


def test_the_stack_is_whole_and_shared() -> None:
    nodes = traced_nodes()
    norm = next(node for node in nodes if node.kind == "aten::batch_norm")
    assert norm.stack is not None
    functions = [frame.range.function for frame in norm.stack]
    assert functions[0] == "batch_norm"  # torch.nn.functional
    assert "Residual.forward" in functions
    assert functions.index("Residual.forward") < functions.index("traced_nodes")
    assert not any("opscope/tracer" in frame.range.path for frame in norm.stack)
    assert norm.stack.is_library
    assert not norm.stack.user.is_library
    add = nodes[-1]
    assert add.stack is not None
    assert add.stack.caller is norm.stack.user.caller


def test_text_holds_no_path_of_this_machine() -> None:
    text = str(opscope.trace(Residual(), (torch.randn(2, 3), torch.randn(2, 3))).graph)
    assert "test_sources.py:" in text
    assert __file__ not in text


def test_the_column_counts_characters_where_python_counts_bytes() -> None:
    def program(größe: torch.Tensor) -> torch.Tensor:
        ergebnis = größe.neg().exp()
        return ergebnis

    nodes = list(opscope.trace(program, torch.ones(1)).graph.walk())
    source = nodes[0].source
    assert source is not None
    assert source.underlined() == "ergebnis = größe.neg().exp()\n           ^^^^^^^^^^^"
    assert nodes[1].output.name == "ergebnis"
