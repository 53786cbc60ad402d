"""What a trace found, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..ir import Graph, Scope
from ..ir.findings import Diagnostic, Severity
from ..ir.scalars import GUARD, scalar_form
from ..program.recorded import RecordedProgram
from .outputs import Output

_MOST_KINDS = 8
_MOST_GUARDS = 8
_SIGNS = {Severity.INFO: "-", Severity.WARNING: "!", Severity.ERROR: "!!"}
_WORDS = {Severity.INFO: "note", Severity.WARNING: "warning", Severity.ERROR: "error"}


def summarize(
    traced: RecordedProgram, seconds: float, outputs: Sequence[Output], *, is_checked: bool
) -> str:
    """Return size, most used operators, diagnostics and files of a trace, ready to print.

    Args:
        traced: what was traced.
        seconds: how long that took.
        outputs: the files that were written.
        is_checked: whether a replay was compared with the program, and equal.
    """
    first, *lines = found_in(traced)
    lines.insert(0, f"{first}, traced in {seconds:.2f} s")
    if is_checked:
        lines.append("checked: the replay equals a second run of the program bit by bit")
    if outputs:
        lines.append(f"wrote {', '.join(str(output.path) for output in outputs)}")
    return "\n".join(lines)


def found_in(traced: RecordedProgram) -> list[str]:
    """Return size, most used operators, conditions and diagnostics of a program, as lines."""
    graph = traced.graph
    lines = [
        f"{graph.name}: {plural(count_nodes(graph), 'node')} in {plural(count_scopes(graph), 'scope')},"
        f" {plural(traced.parameter_count, 'parameter')}"
    ]
    kinds = operators_by_kind(graph)
    shown = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(_MOST_KINDS))
    rest = len(kinds) - _MOST_KINDS
    lines.append(f"operators: {shown or 'none'}" + (f" and {rest} more" if rest > 0 else ""))
    lines.extend(_conditions(traced))
    if not graph.outputs:
        lines.append(f"{graph.name} returned no tensors, so the graph has no outputs")
    lines.extend(found_lines(traced.diagnostics))
    return lines


def _conditions(traced: RecordedProgram) -> list[str]:
    """Return what a replay will require, as lines."""
    guards = [str(guard) for guard in traced.guards]
    if not guards:
        return []
    lines = [f"a replay requires {plural(len(guards), 'condition')}:"]
    lines += [f"  {guard}" for guard in guards[:_MOST_GUARDS]]
    rest = len(guards) - _MOST_GUARDS
    return [*lines, f"  and {rest} more"] if rest > 0 else lines


def found_lines(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """Return diagnostics as lines, most severe first, those of one severity in the order they happened."""
    lines = []
    for found in sorted(diagnostics, key=lambda found: found.severity, reverse=True):
        lines.extend(f"{_SIGNS[found.severity]} {found}".splitlines())
    counts = Counter(found.severity for found in diagnostics)
    if len(diagnostics) > 1:
        parts = [plural(counts[s], _WORDS[s]) for s in sorted(counts, reverse=True)]
        lines.append(f"not recorded exactly: {', '.join(parts)}")
    return lines


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 node``, ``1,204 nodes``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def count_nodes(graph: Graph) -> int:
    """Return the number of nodes, those in inner blocks too."""
    return sum(1 for _ in graph.walk())


def count_scopes(graph: Graph) -> int:
    """Return the number of scopes in use below the root."""
    scopes: dict[Scope, None] = {}
    for node in graph.walk():
        for scope in (node.scope, *node.scope.ancestors()):
            if scope in scopes:
                break
            scopes[scope] = None
    scopes.pop(graph.root_scope, None)
    return len(scopes)


def operators_by_kind(graph: Graph) -> Counter[str]:
    """Return how often each operator is used, overloads together, without torch's own namespace.

    What is computed with sizes, and guards, are left out.
    """
    return Counter(
        node.operator.base_name.removeprefix("aten::")
        for node in graph.walk()
        if node.kind != GUARD and scalar_form(node.kind) is None
    )
