"""Diagnostics of one trace: collected site by site, and told when it ends."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable
from typing import Any

from ..errors import CaptureError, TracerWarning
from ..ir import Frame, Node, Value
from ..ir.findings import HINTS, SEVERITIES, Diagnostic, DiagnosticKind, Severity

__all__ = [
    "Diagnostic",
    "DiagnosticKind",
    "Diagnostics",
    "Severity",
    "allowed_kinds",
    "conclude",
    "short_text",
    "warn_of",
]

_MOST_VALUES = 3
_LONGEST_VALUE = 60
_short = reprlib.Repr()
_short.maxother = _short.maxstring = _LONGEST_VALUE


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
