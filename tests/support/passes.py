"""Running a pass on a graph's text, and on traced programs."""

from __future__ import annotations

import opscope
from opscope.ir import verify
from opscope.passes.base import Pass, PassResult
from support.ir_text import check_text


def check_pass(pass_: Pass, before: str, after: str) -> PassResult:
    """Run a pass on a graph: it must read as ``after`` then, verify, and not change when run again."""
    graph = opscope.parse(before)
    text = str(graph)
    result = pass_.run(graph)
    check_text(graph, after)
    assert result.changed is (str(graph) != text), "a pass says whether it changed something"
    again = pass_.run(graph)
    assert not again.changed
    assert not again.stats
    check_text(graph, after)
    verify(graph)
    return result
