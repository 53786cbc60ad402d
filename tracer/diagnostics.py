"""What a trace could not record exactly, how bad that is, and what to do about it."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import total_ordering
from typing import Any

from ..errors import CaptureError, TracerWarning
from ..ir import Frame, Node, SourceRange, Value

_MOST_VALUES = 3
_LONGEST_VALUE = 60
_short = reprlib.Repr()
_short.maxother = _short.maxstring = _LONGEST_VALUE


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


class _Site:
    """What was found so far of one kind at one place."""

    def __init__(self, first: Diagnostic) -> None:
        self.first = first
        self.count = 0
        self.values: dict[str, None] = {}
        self.nodes: dict[Node, None] = {}
        self.shaped: list[Value] = []

    def diagnostic(self) -> Diagnostic:
        nodes = dict(self.nodes)
        for value in self.shaped:
            nodes.update((use.user, None) for use in value.uses if isinstance(use.user, Node))
        first = self.first
        values = list(self.values)
        shown = ", ".join(values[:_MOST_VALUES]) + (", ..." if len(values) > _MOST_VALUES else "")
        return Diagnostic(
            first.kind,
            first.message,
            first.source,
            first.scope,
            first.severity,
            shown,
            tuple(nodes),
            first.hint,
            self.count,
        )


class Diagnostics:
    """Collects diagnostics, one per kind and site.

    A site is a place in the user's code, whatever called it.
    """

    def __init__(self) -> None:
        self._sites: dict[object, _Site] = {}

    def report(
        self,
        kind: DiagnosticKind,
        message: str,
        stack: Frame | None,
        scope: str = "",
        *,
        severity: Severity | None = None,
        value: str = "",
        nodes: Iterable[Node] = (),
        shaped: Value | None = None,
        hint: str | None = None,
    ) -> Diagnostic | None:
        """Note that something happened; return it if it is the first of its kind at its site.

        Args:
            kind: what happened.
            message: what that means for a replay.
            stack: where it happened.
            scope: address of the scope it happened in.
            severity: how bad it is; by default what is usual for the kind.
            value: the value that left the trace, as text.
            nodes: the nodes it concerns.
            shaped: a value whose users it concerns too; they are looked up when the trace ends.
            hint: what to do; by default what helps with the kind.
        """
        user = None if stack is None else stack.user
        # Not the frame: Python stands at one of two instructions of a call, as it pleases.
        key = (kind, message if user is None else user.range)
        site = self._sites.get(key)
        is_first = site is None
        if site is None:
            site = self._sites[key] = _Site(
                Diagnostic(
                    kind,
                    message,
                    None if user is None else user.range,
                    scope,
                    SEVERITIES.get(kind, Severity.WARNING) if severity is None else severity,
                    hint=HINTS.get(kind, "") if hint is None else hint,
                )
            )
        site.count += 1
        if value:
            site.values[value] = None
        site.nodes.update(dict.fromkeys(nodes))
        if shaped is not None:
            site.shaped.append(shaped)
        return site.diagnostic() if is_first else None

    def include(self, diagnostic: Diagnostic, node: Node) -> bool:
        """Add a diagnostic of another trace, whose program ``node`` calls; False if it is there already."""
        key = (diagnostic.kind, str(diagnostic))
        is_first = key not in self._sites
        if is_first:
            self._sites[key] = site = _Site(diagnostic)
            site.count = diagnostic.count
            site.values.update({diagnostic.value: None} if diagnostic.value else {})
        self._sites[key].nodes[node] = None
        return is_first

    def all(self) -> tuple[Diagnostic, ...]:
        """Return what was found, in the order it happened first."""
        return tuple(site.diagnostic() for site in self._sites.values())


def short_text(value: Any) -> str:
    """Return a value as Python writes it, in one line and cut short."""
    try:
        text = " ".join(_short.repr(value).split())
    except Exception as error:  # noqa: BLE001  # whatever a user's __repr__ may raise
        text = f"<{type(value).__qualname__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def allowed_kinds(allow: Iterable[DiagnosticKind | str]) -> frozenset[DiagnosticKind]:
    """Return kinds that were given as such or by their text.

    Raises:
        CaptureError: there is no such kind.
    """
    allow = (allow,) if isinstance(allow, DiagnosticKind | str) else tuple(allow)
    kinds = {kind.value: kind for kind in DiagnosticKind}
    allowed = [kinds.get(kind) if isinstance(kind, str) else kind for kind in allow]
    if None in allowed:
        unknown = next(kind for kind in allow if isinstance(kind, str) and kind not in kinds)
        raise CaptureError(
            f"there is no kind of diagnostics {unknown!r}\n"
            f"  the kinds are {', '.join(map(repr, kinds))}"
        )
    return frozenset(kind for kind in allowed if kind is not None)


def conclude(
    diagnostics: Iterable[Diagnostic],
    allowed: frozenset[DiagnosticKind],
    *,
    strict: bool,
    warn: bool,
) -> None:
    """Issue warnings for what was found when a trace ends, and refuse one that is certain to be wrong.

    Raises:
        CaptureError: a diagnostic of severity error, or a warning where the trace is strict, is not of
            an allowed kind.
    """
    unexpected = [found for found in diagnostics if found.kind not in allowed]
    if strict:
        for found in unexpected:
            if found.severity is not Severity.INFO:
                raise CaptureError(str(found))
    errors = [found for found in unexpected if found.severity is Severity.ERROR]
    if errors:
        kinds = ", ".join(dict.fromkeys(repr(found.kind.value) for found in errors))
        raise CaptureError(
            "a replay of this program would be wrong even for the inputs of the trace\n"
            + "\n".join(map(str, errors))
            + f"\n  to trace it all the same, allow {kinds}"
        )
    if warn:
        for found in unexpected:
            if found.severity is Severity.WARNING:
                warn_of(found)


def warn_of(diagnostic: Diagnostic) -> None:
    """Issue a diagnostic as a warning that points at the user's line."""
    source = diagnostic.source
    if source is None or not source.path:
        warnings.warn(str(diagnostic), TracerWarning, stacklevel=5)  # the caller of ``trace``
        return
    warnings.warn_explicit(str(diagnostic), TracerWarning, source.path, source.line)
