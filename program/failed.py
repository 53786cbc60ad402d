"""What ran of a program that failed while it was traced: its graph, to be read, searched and drawn."""

from __future__ import annotations

from ..errors import FormatError
from ..ir import Node, SourceRange
from ..ir.files import Contents, Data
from ..ir.structure import Structure, StructureKind
from ..tracer import PartialRun, partial_run
from .recorded import RecordedProgram


class FailedTrace(RecordedProgram):
    """What ran of a program until it failed. It cannot be replayed; all else can be done with it.

    Attributes:
        failure: the class of the error and its first line.
        failed_node: the operator that failed, the last in the graph, which gives nothing; None where the
            program failed between operators.
        failed_source: the user's innermost expression that was running; None where that is not known.
    """

    def __init__(self, run: PartialRun) -> None:
        super().__init__(run.graph, Structure(StructureKind.CONSTANT))
        self.failure: str = run.message
        self.failed_node: Node | None = run.node
        self.failed_source: SourceRange | None = run.source

    def contents(self, *, with_state: bool) -> tuple[Contents, Data | None]:
        """Refuse: a file of a program would not tell that it failed.

        Raises:
            FormatError: always.
        """
        raise FormatError(
            f"{self.graph.name} failed while it was traced, so there is no program to keep\n"
            "  save what ran as .html or .svg, or its graph: opscope.save(failed.graph, path)"
        )

    def __repr__(self) -> str:
        return (
            f"<FailedTrace {self.graph.name}: {len(self.graph.block)} nodes, then {self.failure}>"
        )


def failed_trace(error: BaseException) -> FailedTrace | None:
    """Return what ran of a program until it raised an error while it was traced; None if none was traced.

        try:
            traced = opscope.trace(model, x)
        except Exception as error:
            opscope.show(opscope.failed_trace(error))   # the operator that failed is red

    Args:
        error: what ``opscope.trace`` raised, or an error that was caused by that.

    Raises:
        TypeError: it is no error.
    """
    if not isinstance(error, BaseException):
        raise TypeError(f"an error that was raised is needed, not {type(error).__name__}")
    run = partial_run(error)
    return None if run is None else FailedTrace(run)
