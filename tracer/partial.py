"""What ran of a program until it failed, kept with the error that ended it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from ..ir import Argument, Frame, Graph, Modes, Node, Operator, Scope, SourceRange
from .sources.frames import is_library_file

_RUN: Final = "__opscope_partial_run__"
_NODE: Final = "__opscope_failed_node__"


@dataclass(frozen=True, slots=True)
class PartialRun:
    """What ran of a program until it failed.

    Attributes:
        graph: the operators that ran, and last the one that failed, if an operator did.
        node: the operator that failed; it gives nothing. None where the program failed between operators.
        message: the class of the error and its first line.
        source: the user's innermost line that was running.
    """

    graph: Graph
    node: Node | None
    message: str
    source: SourceRange | None


class FailedCalls:
    """The calls of operators that raised an error: in the graph until the program has come to its end.

    An error is not held, since its traceback holds the tensors of the program; it is given the node instead.
    """

    def __init__(self) -> None:
        self._nodes: list[Node] = []

    def note(
        self,
        error: Exception,
        graph: Graph,
        operator: Operator,
        arguments: tuple[Argument, ...],
        keywords: tuple[str, ...],
        place: tuple[Scope, Frame | None, Modes],
    ) -> None:
        """Add a node that gives nothing for a call that raised an error."""
        scope, stack, modes = place
        node = graph.append(
            operator, arguments, (), keywords=keywords, scope=scope, stack=stack, modes=modes
        )
        error.__dict__[_NODE] = node
        self._nodes.append(node)

    def erase(self, but: Node | None = None) -> None:
        """Take the nodes out of the graph, but for one: the program has gone on after the others."""
        for node in self._nodes:
            if node is not but and node.block is not None:
                node.erase()
        self._nodes.clear()


def keep_partial_run(error: BaseException, graph: Graph, failed: FailedCalls) -> None:
    """Keep with an error what ran until it was raised, unless a trace inside has done so.

    What an earlier error keeps, while which this one was raised, is of another run.
    """
    if _RUN in error.__dict__:
        return
    first = next(iter(str(error).splitlines()), "")
    message = f"{type(error).__qualname__}: {first}" if first else type(error).__qualname__
    nodes = [cause.__dict__[_NODE] for cause in _causes(error) if _NODE in cause.__dict__]
    node = next((node for node in nodes if node.graph is graph), None)
    failed.erase(but=node)
    source = node.stack.user.range if node is not None and node.stack is not None else None
    run = PartialRun(graph, node, message, source or _innermost(error.__traceback__))
    error.__dict__[_RUN] = run


def partial_run(error: BaseException) -> PartialRun | None:
    """Return what ran until an error, or one that led to it, was raised; None where no trace was running."""
    for cause in _causes(error):
        found = cause.__dict__.get(_RUN)
        if isinstance(found, PartialRun):
            return found
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _innermost(trace: TracebackType | None) -> SourceRange | None:
    """Return the innermost expression in the user's own code."""
    found = None
    while trace is not None:
        if not is_library_file(trace.tb_frame.f_code.co_filename):
            found = Frame(trace.tb_frame.f_code, trace.tb_lasti, None).range
        trace = trace.tb_next
    return found
