"""Inductor as an engine: fused kernels, whose results differ from eager's in last bits.

Note [Two ways to Inductor]
    A plan that only computes is handed over as a graph of ``torch.fx``, and its kernels are called directly:
    the guard of the plan has seen to what they rely on, up to what kernels for many sizes find out about
    these, so a call costs microseconds. Everything else goes through ``torch.compile``, which checks again,
    and costs ten times that.

Note [What calls the kernels]
    On processors a function in C++ does, which calls what libraries compute, too. That takes twice as long to
    compile, and saves what Python would take between kernels. Kernels for many sizes, and those that
    ``torch.compile`` calls, are called by Python.
"""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch

from .differentiable import Declined, Differentiable
from .fx_graph import Untraceable, fx_graph, strides_memory, tensors_bound, writes_or_draws
from .kernels import is_on_cpu, kernels_of
from .sized_kernels import sized_kernels

Function = Callable[..., tuple[Any, ...]]

_REQUIRES_GRAD: Final = operator.attrgetter("requires_grad")
_COMPILERS: Final = ("g++", "clang++", "c++", "cl")


def missing_compiler() -> str | None:
    """Return in words that there is no C++ compiler, which Inductor needs; None where there is one."""
    named = os.environ.get("CXX")
    names = (named,) if named else _COMPILERS
    if any(shutil.which(name) for name in names):
        return None
    return f"no C++ compiler was found ({', '.join(names)})"


class _Ready(Exception):
    """The function is compiled and about to run."""


class _Compiling(threading.local):
    """Whether this thread compiles only."""

    is_on = False


class Inductor:
    """``torch.compile`` with Inductor, or Inductor alone; see Note [Two ways to Inductor]."""

    name = "inductor"
    _one_at_a_time = threading.Lock()

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """The errors of a compilation."""
        from torch._dynamo.exc import TorchDynamoException  # slow to import, so when it is needed

        return (TorchDynamoException,)

    def compile(self, function: Function, given: Sequence[Any], *, dynamic: bool) -> Function:
        """Compile a function without running it.

        Raises:
            Declined: gradients of gradients, which it has not, could not be had in another way.
        """
        bound = tensors_bound(function)
        followed = torch.is_grad_enabled() and any(
            isinstance(value, torch.Tensor) and value.requires_grad for value in (*given, *bound)
        )
        with self._one_at_a_time:
            kernels = self._kernels(function, given, bound, dynamic=dynamic, followed=followed)
        if followed:
            kernels = Differentiable(kernels, function, bound)
        return _Elsewhere(kernels, function, given, bound)

    def _kernels(
        self,
        function: Function,
        given: Sequence[Any],
        bound: Sequence[torch.Tensor],
        *,
        dynamic: bool,
        followed: bool,
    ) -> Function:
        if all(map(_is_simple, (*given, *bound))):
            try:
                graph = fx_graph(function, len(given))
            except Untraceable:
                pass
            else:
                reason = writes_or_draws(graph)
                _require_second_order(reason, followed)
                if reason is None and dynamic:
                    return sized_kernels(graph, function, given, bound)
                if reason is None:
                    return _direct(graph, given, bound)
        return _through_dynamo(function, given, dynamic=dynamic, followed=followed)


@contextlib.contextmanager
def _without_word_of_shims() -> Iterator[None]:
    """Keep from the user's terminal which operators C++ calls through the dispatcher, as all of ours are."""
    logger = logging.getLogger("torch._inductor.ir")

    def is_told(record: logging.LogRecord) -> bool:
        return "c-shim" not in record.getMessage()

    logger.addFilter(is_told)
    try:
        yield
    finally:
        logger.removeFilter(is_told)


def _is_simple(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not value.is_complex()


def _require_second_order(reason: str | None, followed: bool) -> None:
    if followed and reason is not None:
        raise Declined(
            f"Inductor has no gradients of gradients, and those of a program that {reason} cannot be "
            "computed by running it again"
        )


def _direct(
    graph: torch.fx.GraphModule, given: Sequence[Any], bound: Sequence[torch.Tensor]
) -> Function:
    """Return the kernels of a graph that takes inputs and state."""
    inputs = [*given, *bound]
    with _without_word_of_shims():
        # See Note [What calls the kernels].
        kernels = kernels_of(graph, inputs, cpp_wrapper=is_on_cpu(inputs))

    def run(*given: Any) -> tuple[Any, ...]:
        return tuple(kernels(*given, *bound))

    return run


def _through_dynamo(
    function: Function, given: Sequence[Any], *, dynamic: bool, followed: bool
) -> Function:
    """Compile by ``torch.compile``: the first call ends where the kernels would begin."""
    compiling = _Compiling()
    declined: list[Declined] = []

    def backend(module: Any, inputs: list[Any]) -> Callable[..., Any]:
        try:
            _require_second_order(writes_or_draws(module), followed)
        except Declined as error:
            declined.append(error)
            raise
        kernels = kernels_of(module, inputs)

        def run(*args: Any) -> Any:
            if compiling.is_on:
                raise _Ready
            return kernels(*args)

        return run

    compiled: Function = torch.compile(function, backend=backend, fullgraph=True, dynamic=dynamic)
    compiling.is_on = True
    try:
        compiled(*given)
    except _Ready:
        pass
    except Exception:
        if declined:
            raise declined[0] from None
        raise
    finally:
        compiling.is_on = False
    return compiled


class _Elsewhere:
    """Runs the plain function where kernels would not do what its operators do.

    That is where autograd follows other inputs than those that the kernels were made for, where a parameter
    was frozen or thawed since, and where inputs begin elsewhere in memory that operators stride through by
    themselves. Inside modes and transforms that see operators, no plan has an engine.

    Args:
        kernels: what was compiled.
        plain: what it was compiled of.
        given: the inputs that it was compiled for.
        bound: the state that both read.
    """

    def __init__(
        self,
        kernels: Function,
        plain: Function,
        given: Sequence[Any],
        bound: Sequence[torch.Tensor],
    ) -> None:
        self._kernels = kernels
        self._plain = plain
        self._bound = tuple(bound)
        self._bound_followed = [tensor.requires_grad for tensor in bound]
        tensors = [value for value in given if isinstance(value, torch.Tensor)]
        self._followed = [tensor.requires_grad for tensor in tensors]
        self._all_tensors = len(tensors) == len(given)
        self._offsets = (
            [tensor.storage_offset() for tensor in tensors] if strides_memory(plain) else None
        )

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        """Run it."""
        if self._is_unusual(given):
            return self._plain(*given)
        return self._kernels(*given)

    def _is_unusual(self, given: Sequence[Any]) -> bool:
        if not self._all_tensors:
            given = [value for value in given if isinstance(value, torch.Tensor)]
        return (
            list(map(_REQUIRES_GRAD, given)) != self._followed
            or list(map(_REQUIRES_GRAD, self._bound)) != self._bound_followed
            or any(map(torch.Tensor.is_neg, given))
            or (
                self._offsets is not None
                and [value.storage_offset() for value in given] != self._offsets
            )
        )
