"""Sources: the innermost line of the user's code, the very expression, and the whole stack."""

import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from opscope.ir import Frame
from opscope.tracer.capture import capture
from opscope.tracer.sources.frames import is_library_file


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


def _inside(lines: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the part of a stack that the program below is."""
    names = [name for name, _ in lines]
    return lines[: names.index(next(n for n in names if n.endswith("<locals>.program"))) + 1]


def _lines_of(stack: Frame) -> list[tuple[str, int]]:
    return _inside([(frame.range.function, frame.range.line) for frame in stack])


def _running_lines() -> list[tuple[str, int]]:
    """Return what runs now, innermost first, without our own code."""
    found = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith("opscope."):
            found.append((frame.f_code.co_qualname, frame.f_lineno))
        frame = frame.f_back
    return _inside(found)


def _layers() -> Callable[[torch.Tensor], Any]:
    net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4))

    def program(x: torch.Tensor) -> Any:
        parts = [net(x * factor) for factor in range(3)]
        while len(parts) < 5:
            parts.append(sum(part.sin() for part in parts))
            parts.append(nn.functional.gelu(parts[-1]))
        return [part.cos() + part.tan() for part in parts]

    return program


def _steps(**options: bool) -> Callable[[torch.Tensor], Any]:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    optimizer = torch.optim.AdamW(net.parameters(), **options)

    def program(x: torch.Tensor) -> Any:
        for _ in range(2):
            net(x).sum().backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    program(torch.randn(2, 4))
    return program


@pytest.mark.parametrize(
    "program", [_layers(), _steps(), _steps(foreach=True)], ids=["layers", "each", "foreach"]
)
@pytest.mark.parametrize("depth", ["flat", None])
def test_stacks_are_those_of_python(program: Callable[..., Any], depth: str | None) -> None:
    expected: dict[opscope.Node, list[tuple[str, int]]] = {}

    def observe(node: opscope.Node, *rest: Any) -> None:
        expected.setdefault(node, _running_lines())

    captured = capture(program, (torch.randn(2, 4),), observe=observe, warn=False, depth=depth)
    compared = 0
    for node in captured.graph.walk():
        if node in expected and node.stack is not None and not node.scope.is_backward:
            assert _lines_of(node.stack) == expected[node], node.kind
            compared += 1
    assert compared > 20


def test_every_room_of_the_package_is_a_library_to_traces() -> None:
    rooms = [found for found in pkgutil.iter_modules(opscope.__path__) if found.ispkg]
    assert len(rooms) > 10
    users = [
        room.name
        for room in rooms
        if not is_library_file(str(Path(opscope.__path__[0], room.name, "any.py")))
    ]
    assert users == []
