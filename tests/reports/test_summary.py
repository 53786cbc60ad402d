"""What a summary shows: tables, HTML, rows and JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import nn

import opscope
from opscope import ReportError, summarize
from opscope.ir import Graph, parse
from opscope.reports.units import bytes_text, count_text, share_text
from support.random_graphs import graphs

NETWORK = """
    graph Net(%x : f32[8, 16]) -> (f32[8, 64]{grad}):
      state %embed.weight : f32[16, 64]{grad}, %blocks.0.up.weight : f32[64, 64]{grad},
          %blocks.1.up.weight : f32[64, 64]{grad}, %blocks.2.up.weight : f32[64, 64]{grad}
      buffer %mask : bool[64]
      scope blocks (Sequential)
      scope blocks.0 (Block)
      scope blocks.1 (Block)
      scope blocks.2 (Block)
      %0 : f32[8, 64]{grad} = aten::matmul(%x, %embed.weight)   # net.py:20:9 embed (Embed)
      %1 : f32[8, 64]{grad} = aten::linear(%0, %blocks.0.up.weight)   # net.py:9:13 blocks.0.up (Linear)
      %2 : f32[8, 64]{grad} = aten::relu_(%1)   # net.py:9:13 blocks.0.act (ReLU)
      %3 : f32[8, 64]{grad} = aten::linear(%2, %blocks.1.up.weight)   # net.py:9:13 blocks.1.up (Linear)
      %4 : f32[8, 64]{grad} = aten::relu_(%3)   # net.py:9:13 blocks.1.act (ReLU)
      %5 : f32[8, 64]{grad} = aten::linear(%4, %blocks.2.up.weight)   # net.py:9:13 blocks.2.up (Linear)
      %6 : f32[8, 64]{grad} = aten::relu_(%5)   # net.py:9:13 blocks.2.act (ReLU)
      %7 : f32[8, 64] = mylib::mix(%6, %mask)   # net.py:22:9
      %8 : f32[8, 64]{grad} = aten::relu(%6)   # net.py:23:9 blocks.0.act#2 (ReLU)
      return (%8)
"""


def network(**options: Any) -> opscope.Summary:
    return summarize(parse(NETWORK), **options)


def test_the_table_by_module() -> None:
    assert str(network()) == EXPECTED["module"]


def test_the_table_by_line() -> None:
    assert str(network(by="line")) == EXPECTED["line"]


def test_the_table_by_operator_of_which_the_first_are_shown() -> None:
    assert str(network(by="operator", top=2)) == EXPECTED["operator"]


def test_no_line_is_wider_than_it_is_told() -> None:
    names = [f"a_module_with_quite_a_long_name_{i}" for i in range(3)]

    class Long(nn.Module):
        def __init__(self, depth: int) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            for name in names if depth else []:
                setattr(self, name, Long(depth - 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.fc(x)
            for module in list(self.children())[1:]:
                x = module(x)
            return x

    traced = opscope.trace(Long(3), torch.ones(2, 4))
    for width in (80, 100, 140):
        for by in ("module", "line", "operator"):
            text = str(traced.summary(width=width, by=by, depth=9))
            assert max(map(len, text.splitlines())) <= width
            assert len({len(line) for line in text.splitlines() if line[:1] == "─"}) == 1


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_any_graph_has_a_summary(graph: Graph) -> None:
    for by in ("module", "line", "operator"):
        summary = summarize(graph, by=by)
        assert max(map(len, str(summary).splitlines())) <= 100
        assert json.loads(summary.to_json())["rows"] == json.loads(json.dumps(summary.rows))
        total = summary.rows[0]
        for figure in ("flops", "moved_bytes", "activation_bytes", "saved_bytes", "nodes"):
            if by != "module":
                assert total[figure] == sum(row[figure] for row in summary.rows[1:])
        _ = _Text(summary._repr_html_())


def test_figures_of_members_add_up_to_those_around() -> None:
    rows = network(fold=False).rows
    folded = network().rows
    assert rows[0] == folded[0]
    blocks = [row for row in rows if row["depth"] == 2]
    assert [row["path"] for row in blocks] == ["blocks.0", "blocks.1", "blocks.2"]
    pair = next(row for row in folded if row["members"])
    assert pair["members"] == ["1", "2"]
    for figure in ("flops", "moved_bytes", "activation_bytes", "parameters", "calls", "nodes"):
        assert pair[figure] == sum(row[figure] for row in blocks[1:])


def test_rows_are_plain_and_made_for_tables() -> None:
    rows = network().rows
    assert {type(value) for row in rows for value in row.values()} <= {str, int, float, list}
    assert len({tuple(row) for row in rows}) == 1
    assert rows[1] == {
        "name": "embed", "path": "embed", "class": "Embed", "depth": 1, "members": [], "calls": 1,
        "nodes": 1, "parameters": 1024, "parameter_bytes": 4096, "flops": 16384,
        "flops_share": 16384 / 212992, "forward_flops": 16384, "backward_flops": 0,
        "moved_bytes": 512 + 4096 + 2048, "activation_bytes": 2048, "saved_bytes": 0,
        "message_bytes": 0,
    }  # fmt: skip


def test_json_says_what_the_table_says() -> None:
    found = json.loads(network().to_json(indent=1))
    assert found["name"] == "Net"
    assert found["flops"] == 212992
    assert found["uncounted"] == [{"operator": "mylib::mix", "reason": "no formula", "calls": 1}]
    assert found["peak_place"] == "mylib::mix, net.py:22:9"
    assert found["rows"] == network().rows


class _Text(HTMLParser):
    """Reads a fragment and checks that every tag is closed by itself."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(fragment)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self._open or "th" in self._open:
            self.cells[-1] += data


def test_notebooks_show_the_same_table() -> None:
    graph = parse(NETWORK.replace("blocks.0 (Block)", 'blocks.0 ("<b>&")'))
    html = summarize(graph)._repr_html_()
    assert "<script" not in html
    assert "<b>" not in html
    cells = _Text(html).cells
    assert cells[:3] == ["Module", "Calls", "Params"]
    assert "blocks Sequential" in cells
    assert "213 k" in cells


def test_depth_and_order() -> None:
    assert [r["name"] for r in network(sort="flops").rows][:2] == ["Net", "blocks"]
    shallow = str(network(depth=1))
    assert "blocks  Sequential" in shallow
    assert "Block " not in shallow.replace("blocks", "")
    assert "embed" not in str(network(depth=0))


def test_functions_are_groups_where_there_are_no_modules() -> None:
    def inner(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    def outer(x: torch.Tensor) -> torch.Tensor:
        return inner(x) + inner(x)

    summary = opscope.trace(outer, torch.ones(2, 2), dynamic=False).summary()
    assert [(r["name"], r["calls"], r["flops"]) for r in summary.rows] == [
        ("outer", 1, 32), ("inner()", 2, 32)
    ]  # fmt: skip


def test_lines_show_their_text() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x @ x  # the line in question
        return y.relu()

    text = str(opscope.trace(program, torch.ones(2, 2), dynamic=False).summary(by="line"))
    assert "y = x @ x" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "colour"}, "a summary is by module, line, operator, not by 'colour'"),
        ({"sort": "name"}, "a summary is sorted by flops, moved, activations, messages, saved"),
        ({"depth": -1}, "depth is a whole number from 0, not -1"),
        ({"top": 0}, "top is a whole number from 1, not 0"),
        ({"width": 10}, "width is a whole number from 80, not 10"),
        ({"deep": 1}, "a summary has no option 'deep'; it has by, depth, sort, top, fold, width"),
    ],
)
def test_options_that_make_no_sense_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ReportError) as raised:
        network(**options)
    assert message in str(raised.value)


def test_what_is_no_graph_is_told_where_the_graph_is() -> None:
    traced = opscope.trace(lambda x: x + 1, torch.ones(2))
    with pytest.raises(ReportError, match="a traced program has a summary"):
        summarize(traced)  # type: ignore[arg-type]


def test_an_empty_graph_has_a_summary() -> None:
    summary = summarize(Graph("nothing"))
    assert summary.flops == summary.moved_bytes == summary.parameters == 0
    assert str(summary).startswith("nothing: nothing → nothing\n")


def test_figures_have_three_digits() -> None:
    counts = [0, 7, 999, 1000, 9999, 25_557_032, 999_600_000, 8_178_368_512, 10**15]
    assert [count_text(count) for count in counts] == [
        "0", "7", "999", "1 k", "10 k", "25.6 M", "1 G", "8.18 G", "1 P"
    ]  # fmt: skip
    sizes = [0, 1023, 1024, 1000 * 1024, 1023 * 1024**2, 3 * 1024**3]
    assert [bytes_text(size) for size in sizes] == [
        "0 B", "1023 B", "1 KiB", "1000 KiB", "1023 MiB", "3 GiB"
    ]  # fmt: skip
    assert [share_text(part, 1000) for part in (1000, 333, 1, 0)] == ["100.0", "33.3", "0.1", "0.0"]
    assert share_text(1, 10**6) == "<0.1"


def test_a_summary_needs_no_torch() -> None:
    program = (
        "import sys, opscope\n"
        "from opscope.ir import parse\n"
        f"print(opscope.summarize(parse('''{NETWORK}''')))\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.stdout == str(network()) + "\n"


EXPECTED = {
    "module": """\
Net: f32[8, 16] → f32[8, 64]

Module                Calls  Params   FLOPs      %              Moved  Activations   Saved
──────────────────────────────────────────────────────────────────────────────────────────
Net                       1  13.3 k   213 k  100.0 ████████  86.6 KiB       12 KiB  10 KiB
├ embed  Embed            1  1.02 k  16.4 k    7.7 ▋          6.5 KiB        2 KiB       –
└ blocks  Sequential      1  12.3 k   197 k   92.3 ███████▍    76 KiB        8 KiB  10 KiB
  ├ 0  Block              1   4.1 k  65.5 k   30.8 ██▌         28 KiB        4 KiB   6 KiB
  │ ├ up  Linear          1   4.1 k  65.5 k   30.8 ██▌         20 KiB        2 KiB   2 KiB
  │ └ act  ReLU           2       –       –      –              8 KiB        2 KiB   4 KiB
  └ 1–2  ×2  Block        2  8.19 k   131 k   61.5 ████▉       48 KiB        4 KiB   4 KiB
    ├ up  Linear          2  8.19 k   131 k   61.5 ████▉       40 KiB        4 KiB       –
    └ act  ReLU           2       –       –      –              8 KiB            –   4 KiB
──────────────────────────────────────────────────────────────────────────────────────────
Parameters   13,312 (52 KiB), all trainable · buffers and constants 64 B
FLOPs        at least 212,992 · a multiplication and an addition count as two
Moved        86.6 KiB read and written by operators
Saved        10 KiB kept by autograd for backward
Peak         10 KiB of results alive at once in a replay, at mylib::mix, net.py:22:9 ·
             with state and inputs 62.6 KiB
Not counted  the FLOPs of mylib::mix (no formula)
Note         opscope.flop_formula registers a formula for an operator
""",
    "line": """\
Net: f32[8, 16] → f32[8, 64]

Line         Nodes  Params   FLOPs      %              Moved  Activations   Saved
─────────────────────────────────────────────────────────────────────────────────
Net              9  13.3 k   213 k  100.0 ████████  86.6 KiB       12 KiB  10 KiB
├ net.py:9       6  12.3 k   197 k   92.3 ███████▍    72 KiB        6 KiB   8 KiB
├ net.py:20      1  1.02 k  16.4 k    7.7 ▋          6.5 KiB        2 KiB       –
├ net.py:22      1       –       –      –           4.06 KiB        2 KiB       –
└ net.py:23      1       –       –      –              4 KiB        2 KiB   2 KiB
─────────────────────────────────────────────────────────────────────────────────
Parameters   13,312 (52 KiB), all trainable · buffers and constants 64 B
FLOPs        at least 212,992 · a multiplication and an addition count as two
Moved        86.6 KiB read and written by operators
Saved        10 KiB kept by autograd for backward
Peak         10 KiB of results alive at once in a replay, at mylib::mix,
             net.py:22:9 · with state and inputs 62.6 KiB
Not counted  the FLOPs of mylib::mix (no formula)
Note         opscope.flop_formula registers a formula for an operator
""",
    "operator": """\
Net: f32[8, 16] → f32[8, 64]

Operator    Nodes   FLOPs      %              Moved  Activations   Saved
────────────────────────────────────────────────────────────────────────
Net             9   213 k  100.0 ████████  86.6 KiB       12 KiB  10 KiB
├ linear        3   197 k   92.3 ███████▍    60 KiB        6 KiB   2 KiB
├ matmul        1  16.4 k    7.7 ▋          6.5 KiB        2 KiB       –
└ … 3 more      5       –      –           20.1 KiB        4 KiB   8 KiB
────────────────────────────────────────────────────────────────────────
Parameters   13,312 (52 KiB), all trainable · buffers and constants 64 B
FLOPs        at least 212,992 · a multiplication and an addition count as two
Moved        86.6 KiB read and written by operators
Saved        10 KiB kept by autograd for backward
Peak         10 KiB of results alive at once in a replay, at mylib::mix,
             net.py:22:9 · with state and inputs 62.6 KiB
Not counted  the FLOPs of mylib::mix (no formula)
Note         opscope.flop_formula registers a formula for an operator
""",
}
