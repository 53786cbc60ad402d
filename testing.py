"""What tests of passes are written with: the text of a graph before and after. Needs no test framework.

check_pass(MyPass(), before="graph(%x : f32[2]): ...", after="graph(%x : f32[2]): ...")
"""

from __future__ import annotations

from difflib import unified_diff

from .ir import Graph, verify
from .passes.base import Pass, PassResult
from .passes.pipeline import run_passes
from .program.operators import parse, torch_facts

__all__ = ["check_pass", "check_text"]

_AROUND = 8  # lines shown around those that differ


def check_pass(pass_: Pass, before: str, after: str) -> PassResult:
    """Run a pass on a graph, and check that it keeps what passes promise.

    The graph must verify and read as ``after`` then, the result must say whether it is another than before,
    and the pass must find nothing to do in it when it runs again. Texts may be indented as the test is.

    Args:
        pass_: the pass; one that asks about torch's operators is answered, as by ``traced.apply``.
        before: text of the graph it runs on.
        after: text of what it shall make of it; ``before`` again if it shall leave it alone.

    Returns:
        What the pass said of its first run, for its numbers to be checked.

    Raises:
        AssertionError: something else came out; the message shows the difference.
        ParseError: one of the texts is not a graph.
        PassError: the graph does not verify after the pass.
    """
    graph = parse(before)
    told = pass_.with_facts(torch_facts())
    result = _run(told, graph)
    _require_text(graph, after, f"what pass {pass_.name} makes of the graph")
    again = _run(told, graph)
    if again.changed or again.stats:
        raise AssertionError(
            f"pass {pass_.name} finds something to do when it runs again: {dict(again.stats)}\n"
            "  it shall go on until nothing is left, and count only what it does"
        )
    return result


def check_text(graph: Graph, expected: str) -> None:
    """Check that a graph verifies and reads as ``expected``, which may be indented and uncommented.

    Raises:
        AssertionError: it reads otherwise; the message shows the difference.
        ParseError: ``expected`` is not a graph.
        VerifyError: the graph breaks a rule.
    """
    verify(graph)
    _require_text(graph, expected, "the graph")


def _run(pass_: Pass, graph: Graph) -> PassResult:
    """Run a pass, which must say whether it changed the graph."""
    before = str(graph)
    (run,) = run_passes(graph, (pass_,), verify_each=True).runs
    is_other = str(graph) != before
    if run.result.changed is not is_other:
        what = "another than before" if is_other else "the same as before"
        raise AssertionError(
            f"pass {pass_.name} says changed={run.result.changed}, and the graph is {what}\n"
            "  return PassResult.of(erased=...) with a count of what was done\n"
            f"{graph}"
        )
    return run.result


def _require_text(graph: Graph, expected: str, what: str) -> None:
    wanted, found = str(parse(expected)), str(graph)
    if found != wanted:
        lines = (wanted.splitlines(), found.splitlines())
        difference = unified_diff(*lines, "expected", "found", n=_AROUND, lineterm="")
        raise AssertionError("\n".join((f"{what} is not what was expected", *difference)))
