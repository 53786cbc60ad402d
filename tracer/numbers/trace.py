"""What numbers and sizes need of the trace that they are numbers of."""

from __future__ import annotations

from collections.abc import Container
from types import FrameType
from typing import Any, Protocol

from ...ir import Frame, Graph, Scope
from ..diagnostics import DiagnosticKind
from ..values import ValueMap


class Walker(Protocol):
    """Finds where an operator is called."""

    def locate(self, frame: FrameType | None) -> tuple[Scope, Frame | None]:
        """Return the scope and the stack of what is called in ``frame``."""


class Kept(Protocol):
    """What the program keeps from run to run."""

    @property
    def copies(self) -> Container[str]:
        """Names of the constants that nobody but the trace changes."""


class Trace(Protocol):
    """A running trace, as far as its numbers see it; ``TracingState`` is one."""

    graph: Graph
    values: ValueMap

    @property
    def walker(self) -> Walker:
        """Finds scopes and stacks."""

    @property
    def kept(self) -> Kept:
        """The program's state."""

    def report(
        self,
        kind: DiagnosticKind,
        message: str,
        scope: Scope | None,
        stack: Frame | None,
        **details: Any,
    ) -> None:
        """Note that something could not be recorded exactly."""
