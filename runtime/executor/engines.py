"""Engines: what turns the function of a plan into a faster one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import ReplayError
from ...ir import Node
from ..operators import find_overload
from .inductor import Inductor, missing_compiler

Function = Callable[..., tuple[Any, ...]]


class Engine(Protocol):
    """Compiles functions of plans."""

    @property
    def name(self) -> str:
        """What it is called where plans are shown."""
        ...

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """The errors by which a function of its own says that it could not be compiled and did nothing."""
        ...

    def compile(self, function: Function, given: Sequence[Any], *, dynamic: bool) -> Function:
        """Return a function that gives what ``function`` gives.

        It is called in a thread of its own, in the modes of the call that it is for. Where it raises
        ``Declined``, the plan runs ``function`` and says why; after other errors there is a warning, too.

        Args:
            function: calls operators of ``torch.ops`` one after another.
            given: inputs like those that it will be called with. It must not be run on them.
            dynamic: whether sizes of other inputs may differ from those of these.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine, and when plans are given to it.

    Attributes:
        engine: None for none.
        is_measured: whether plans are given to it only where it may pay, and keep it only where it does.
        absence: why there is none although one was asked for, in words; None otherwise.
    """

    engine: Engine | None = None
    is_measured: bool = False
    absence: str | None = None


def engine_of(given: str | Engine) -> EngineChoice:
    """Return the engine of a name.

    Raises:
        ReplayError: there is none of this name.
    """
    if given == "plain":
        return EngineChoice()
    if given == "inductor":
        return EngineChoice(Inductor())
    if given == "auto":
        missing = missing_compiler()
        if missing is not None:
            return EngineChoice(absence=missing)
        return EngineChoice(Inductor(), is_measured=True)
    if isinstance(given, str):
        raise ReplayError(
            f"there is no engine {given!r}\n"
            '  there are "plain", "auto" and "inductor"; an engine of your own has a name, failures and '
            "compile()"
        )
    return EngineChoice(given)


def traceable(node: Node) -> Callable[..., Any] | None:
    """Return what an engine is to see for a node: the operator of ``torch.ops``, if it runs one."""
    return None if node.blocks else find_overload(node.kind)
