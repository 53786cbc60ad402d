"""What can go wrong between a command line and a traced program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import OpscopeError


class CommandError(OpscopeError):
    """A command line cannot be followed; the message says which part of it and what to write instead."""


class ProgramError(OpscopeError):
    """The user's own code raised an exception, which is the ``__cause__``.

    Attributes:
        doing: what was going on, such as ``running Net``.
        hint: what the user may want to do about it; empty if there is nothing to say.
    """

    def __init__(self, doing: str, hint: str = "") -> None:
        super().__init__(f"the program failed while {doing}")
        self.doing = doing
        self.hint = hint


@contextmanager
def user_code(doing: str, hint: str = "") -> Iterator[None]:
    """Run the user's code: whatever it raises becomes a :class:`ProgramError`."""
    try:
        yield
    except OpscopeError:
        raise
    except (Exception, SystemExit) as error:
        raise ProgramError(doing, hint) from error
