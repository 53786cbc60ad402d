"""What can go wrong between a command line and a traced program."""

from __future__ import annotations

from ..errors import OpscopeError


class CommandError(OpscopeError):
    """A command line cannot be followed; the message says which part of it and what to write instead."""


class ProgramError(OpscopeError):
    """The user's own code raised an exception, which is the ``__cause__``.

    Attributes:
        doing: what opscope was at, such as ``while net.py:Net ran``.
        hint: what else the user may want to do about it; empty if there is nothing to say.
    """

    def __init__(self, doing: str, hint: str = "") -> None:
        super().__init__(doing)
        self.doing = doing
        self.hint = hint
