"""Every error and warning that opscope raises, in one hierarchy.

Catch :class:`OpscopeError` to catch them all. Messages follow one shape: what is wrong, where in the
graph, where in the user's file, and what to do about it.
"""

from __future__ import annotations

from typing import Any


class OpscopeError(Exception):
    """Base of every error that opscope raises on purpose."""


class IRError(OpscopeError):
    """A graph was asked for something that would make it invalid."""


class VerifyError(IRError):
    """A graph breaks one of the rules listed in ``opscope.ir.verify``."""


class ParseError(IRError):
    """Text is not a graph; the message points at the line and column."""


class CaptureError(OpscopeError):
    """A program cannot be traced, or not exactly."""


class UnsupportedTorchError(CaptureError):
    """The installed torch offers no dispatcher key that opscope can capture on."""


class ReplayError(OpscopeError):
    """A traced program cannot be run."""


class InputError(ReplayError):
    """The inputs of a replay do not fit the program: structure, dtype, device or shape."""


class GuardError(ReplayError):
    """A replay came to a point where the traced program would go another way than it did."""


class CheckError(ReplayError):
    """A replay gives something else than the program does, or the program than it did.

    Attributes:
        report: all that was found, an ``opscope.CheckReport``.
    """

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class PassError(OpscopeError):
    """A pass cannot be found, configured or applied."""


class QueryError(OpscopeError):
    """The text of a search cannot be read; the message says which part of it."""


class RenderError(OpscopeError):
    """A picture cannot be made."""


class ReportError(OpscopeError):
    """A report cannot be made: an option is not known, or a formula failed."""


class FormatError(OpscopeError):
    """A file is not what it claims to be, or is damaged."""


class FootprintError(OpscopeError):
    """What a model needs cannot be found out, or a list of operators cannot be read.

    Attributes:
        result: what was found out of other models, an ``opscope.footprint.TracerResult``; None if nothing.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class TracerWarning(UserWarning):
    """A trace may not hold for other inputs; the message names the line that made it so."""


class ExecutorWarning(UserWarning):
    """A plan of an executor could not be compiled, or took long; the message names the cause."""
