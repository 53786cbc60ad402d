"""What a trace could not record exactly, how bad that is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import total_ordering

from .node import Node
from .source import SourceRange


@total_ordering
class Severity(Enum):
    """What a diagnostic means for a replay; a higher one is worse."""

    INFO = 0  # a replay is not wrong: something is worth knowing
    WARNING = 1  # a replay may be wrong for other inputs, or does not repeat something
    ERROR = 2  # a replay is certain to be wrong, even for the very inputs of the trace

    def __lt__(self, other: Severity) -> bool:
        return self.value < other.value


class DiagnosticKind(Enum):
    """What could not be recorded exactly."""

    DATA_READ = "data read"  # a tensor's data went to Python
    PRINTED = "printed"  # a tensor was shown as text
    UNTRACKED_TENSOR = "untracked tensor"  # a tensor that no recorded operator made
    UNTRACKED_WRITE = "untracked write"  # memory of a tensor was written without an operator
    UNTRACKED_EFFECT = "untracked effect"  # the program changed something that no operator tells of
    CHANGED_OBJECT = "changed object"  # a module or argument holds something else than before
    STORED_GRADIENT = "stored gradient"  # backward() wrote the .grad of a tensor
    HOOK = "hook"  # Python was hung on a tensor or on autograd
    OTHER_THREAD = "other thread"  # operators ran where nothing records
    CUSTOM_BACKWARD = "custom backward"  # an autograd function's own backward is not replayed


SEVERITIES = {DiagnosticKind.PRINTED: Severity.INFO}
"""How severe a diagnostic of a kind is if nothing else is said; all others are warnings."""

HINTS = {
    DiagnosticKind.DATA_READ: (
        "keep it a tensor (torch.where for a branch, tensor arithmetic for a number), or trace once for each "
        "value that matters"
    ),
    DiagnosticKind.UNTRACKED_TENSOR: (
        "make the tensor with torch functions inside the program, or pass it in as an argument"
    ),
    DiagnosticKind.UNTRACKED_WRITE: "write with torch operators, such as copy_ or an assignment to a slice",
    DiagnosticKind.CHANGED_OBJECT: (
        "return the new value and keep it outside the program, or write into a buffer in place"
    ),
    DiagnosticKind.STORED_GRADIENT: "compute gradients with torch.autograd.grad and return them",
    DiagnosticKind.HOOK: "register it outside the program, on what a replay returns",
    DiagnosticKind.OTHER_THREAD: "run these operators in the thread that is traced",
}
"""What to do about a diagnostic of a kind if nothing else is said."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that a trace could not record exactly; however often it happened at one place.

    Attributes:
        kind: what happened.
        message: what that means for a replay, in a sentence.
        source: the user's line that caused it; None where no Python ran.
        scope: address of the scope it happened in.
        severity: how bad it is.
        value: the value that left the trace, or what replaced what, as short text.
        nodes: the nodes it concerns: what computed the data that was read, and what it shaped as far
            as that is known.
        hint: what to do about it.
        count: how often it happened there.
    """

    kind: DiagnosticKind
    message: str
    source: SourceRange | None
    scope: str = ""
    severity: Severity = Severity.WARNING
    value: str = ""
    nodes: tuple[Node, ...] = ()
    hint: str = ""
    count: int = 1

    @property
    def title(self) -> str:
        """Kind and message in one line."""
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.kind.value}: {self.message}{times}"

    def __str__(self) -> str:
        lines = [self.title]
        if self.source is not None:
            function = f" in {self.source.function}" if self.source.function else ""
            scope = f", scope {self.scope}" if self.scope else ""
            lines.append(f"  from {self.source}{function}{scope}")
            lines += [f"    {line}" for line in self.source.underlined().splitlines()]
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)
