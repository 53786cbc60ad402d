"""What a trace could not record exactly, with the line that caused it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import Enum

from ..errors import TracerWarning
from ..ir import Frame, SourceRange


class DiagnosticKind(Enum):
    """Why a trace may not hold for other inputs."""

    DATA_READ = "data read"  # an operator handed a tensor's data to Python
    UNTRACKED_TENSOR = "untracked tensor"  # a tensor that no recorded operator made
    UNTRACKED_EFFECT = "untracked effect"  # the program changed something that no operator tells of
    CUSTOM_BACKWARD = "custom backward"  # an autograd function's own backward is not replayed


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that a trace could not record exactly.

    Attributes:
        kind: what happened.
        message: what that means for a replay, in a sentence.
        source: the user's line that caused it; None where no Python ran.
        scope: address of the scope it happened in.
    """

    kind: DiagnosticKind
    message: str
    source: SourceRange | None
    scope: str = ""

    def __str__(self) -> str:
        where = f"\n  from {self.source} in {self.source.function}" if self.source else ""
        if where and self.scope:
            where += f", scope {self.scope}"
        text = self.source.underlined() if self.source else ""
        body = "".join(f"\n    {line}" for line in text.splitlines())
        return f"{self.kind.value}: {self.message}{where}{body}"


class Diagnostics:
    """Collects diagnostics, one per kind and site."""

    def __init__(self) -> None:
        self._found: dict[tuple[DiagnosticKind, SourceRange | str], Diagnostic] = {}

    def report(
        self, kind: DiagnosticKind, message: str, stack: Frame | None, scope: str = ""
    ) -> Diagnostic | None:
        """Add a diagnostic and return it, unless this site has one of its kind already."""
        user = None if stack is None else stack.user
        # Not the frame: Python stands at one of two instructions of a call, as it pleases.
        site = message if user is None else user.range
        if (kind, site) in self._found:
            return None
        source = None if user is None else user.range
        found = self._found[kind, site] = Diagnostic(kind, message, source, scope)
        return found

    def include(self, diagnostic: Diagnostic) -> bool:
        """Add a diagnostic of another trace; False if it is there already."""
        key = (diagnostic.kind, str(diagnostic))
        return self._found.setdefault(key, diagnostic) is diagnostic

    def all(self) -> tuple[Diagnostic, ...]:
        """Return what was found, in the order it happened."""
        return tuple(self._found.values())


def warn_of(diagnostic: Diagnostic) -> None:
    """Issue a diagnostic as a warning that points at the user's line."""
    source = diagnostic.source
    if source is None or not source.path:
        warnings.warn(str(diagnostic), TracerWarning, stacklevel=4)  # the caller of ``trace``
        return
    warnings.warn_explicit(
        f"{diagnostic.kind.value}: {diagnostic.message}", TracerWarning, source.path, source.line
    )
