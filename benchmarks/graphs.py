"""What it costs to do with a large graph what every user does, against torch.fx and TorchScript."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.fx.passes.dialect.common.cse_pass import CSEPass

import opscope
from opscope import ir
from opscope.passes.cse import CommonSubexpressionElimination
from opscope.passes.dce import DeadCodeElimination
from opscope.passes.inline import Inline
from opscope.passes.outline import Outline

from .harness import Effort, Report
from .large_graphs import additions, calls
from .peer_graphs import (
    fx_additions,
    fx_calls,
    fx_copy,
    fx_copy_calls,
    fx_inline,
    torchscript_additions,
    torchscript_calls,
    torchscript_text,
)
from .table import Table

_FX, _TORCHSCRIPT = "torch.fx", "TorchScript"
_CALLS = 10  # of one function, to be inlined


def graphs(effort: Effort) -> Report:
    """Do with 100,000 nodes of two operands each what every user of a graph does."""
    size = effort.size(100_000, 10_000)
    table = Table(effort)
    _add_uses(table, size)
    _add_passes(table, size)
    return Report(
        f"Graphs of {size:,} nodes",
        "ms",
        tuple(table.rows),
        (
            "Every node adds two values and has a type. For dce and cse half are dead and repeat others;",
            f"for inline and outline there are {_CALLS} calls of one function. torch.fx: call_function,",
            "str(graph), python_code(verbose=True), which has types, lint, graph_copy, _inline_module,",
            "eliminate_dead_code, CSEPass, which makes a module. TorchScript, in C++: parse_ir and the like.",
        ),
    )


def _add_uses(table: Table, size: int) -> None:
    ours, fx, script = additions(size), fx_additions(size), torchscript_additions(size)
    text, script_text = str(ours), torchscript_text(size)
    table.add("build", lambda: additions(size), {_FX: lambda: fx_additions(size)})
    table.add(
        "print",
        lambda: str(ours),
        {
            _FX: lambda: str(fx),
            "with types": lambda: fx.python_code("self", verbose=True),
            _TORCHSCRIPT: lambda: str(script),
        },
        {_FX: 3, "with types": 3},
    )
    table.add(
        "parse", lambda: ir.parse(text), {_TORCHSCRIPT: lambda: torch._C.parse_ir(script_text)}
    )
    table.add(
        "verify",
        lambda: ir.verify(ours),
        {_FX: fx.lint},
        {_FX: 1},
    )
    table.add(
        "copy", ours.copy, {_FX: lambda: fx_copy(fx), _TORCHSCRIPT: lambda: script.copy()}, {_FX: 3}
    )

    with TemporaryDirectory() as folder:
        path = Path(folder) / "additions.opscope"
        table.add("save", lambda: opscope.save(ours, path), {})
        table.add("load", lambda: opscope.load(path), {})


def _add_passes(table: Table, size: int) -> None:
    ours, fx, script = additions(size, 2), fx_additions(size, 2), torchscript_additions(size, 2)
    module = torch.fx.GraphModule(torch.nn.Module(), fx)
    both = {_FX: 3, _TORCHSCRIPT: 1}
    table.add_pass(
        "dce",
        (ours.copy, DeadCodeElimination().run),
        {
            _FX: (lambda: fx_copy(fx), torch.fx.Graph.eliminate_dead_code),
            _TORCHSCRIPT: (script.copy, torch._C._jit_pass_dce),
        },
        both,
    )
    table.add_pass(
        "cse",
        (ours.copy, CommonSubexpressionElimination().run),
        {
            _FX: (lambda: module, CSEPass()),
            _TORCHSCRIPT: (script.copy, torch._C._jit_pass_cse),
        },
        both,
    )
    called, fx_called = calls(size, _CALLS), fx_calls(size, _CALLS)
    unit = torchscript_calls(size, _CALLS)
    table.add_pass(
        "inline",
        (called.copy, Inline().run),
        {
            _FX: (lambda: fx_copy_calls(fx_called), fx_inline),
            _TORCHSCRIPT: (lambda: unit.calls.graph.copy(), torch._C._jit_pass_inline),
        },
        {_FX: 3},
    )
    inlined = called.copy()
    Inline().run(inlined)
    table.add_pass("outline", (inlined.copy, Outline("part.*").run), {})
