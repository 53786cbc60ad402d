"""Engines: what turns the function of a plan into a faster one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from ...errors import ReplayError
from ...ir import Node
from ..operators import find_overload

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

        Whatever it raises has the plan run ``function`` itself.

        Args:
            function: calls operators of ``torch.ops`` one after another.
            given: inputs like those that it will be called with. It must not be run on them.
            dynamic: whether sizes of other inputs may differ from those of these.
        """
        ...


def engine_of(given: str | Engine | None) -> Engine | None:
    """Return the engine of a name; None for the plain one, which compiles nothing further.

    Raises:
        ReplayError: there is none of this name.
    """
    if given is None or given == "plain":
        return None
    if given == "inductor":
        return Inductor()
    if isinstance(given, str):
        raise ReplayError(
            f"there is no engine {given!r}\n"
            '  there are "plain" and "inductor"; an engine of your own has a name, failures and compile()'
        )
    return given


def traceable(node: Node) -> Callable[..., Any] | None:
    """Return what an engine is to see for a node: the operator of ``torch.ops``, if it runs one."""
    return None if node.blocks else find_overload(node.kind)


class _Ready(Exception):
    """The function is compiled and about to run."""


class _Compiling(threading.local):
    """Whether this thread compiles only."""

    is_on = False


class Inductor:
    """``torch.compile`` with Inductor: fused kernels, whose results differ from eager's in last bits."""

    name = "inductor"

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """The errors of a compilation."""
        from torch._dynamo.exc import TorchDynamoException  # slow to import, so when it is needed

        return (TorchDynamoException,)

    def compile(self, function: Function, given: Sequence[Any], *, dynamic: bool) -> Function:
        """Compile a function without running it: the first call ends where the kernels would begin."""
        from torch._inductor.compile_fx import compile_fx  # slow to import, so when it is needed

        compiling = _Compiling()

        def backend(module: Any, inputs: list[Any]) -> Callable[..., Any]:
            kernels: Any = compile_fx(module, inputs)

            def run(*args: Any) -> Any:
                if compiling.is_on:
                    raise _Ready
                return kernels(*args)

            return run

        compiled: Function = torch.compile(
            function, backend=backend, fullgraph=True, dynamic=dynamic
        )
        compiling.is_on = True
        try:
            compiled(*given)
        except _Ready:
            pass
        finally:
            compiling.is_on = False
        return compiled
