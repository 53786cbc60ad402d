"""What stands in torch's classes while any thread traces to tell of custom autograd functions.

``Function.apply`` does its work by ``super().apply``, which reaches a method made in C++. Our wrapper is
put between the two, so it is passed even by code that kept a reference to ``apply`` from before the
trace. It is not passed under functorch's transforms, where torch goes another way.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import CodeType
from typing import Any, Final

import torch
from torch.autograd.function import FunctionCtx, _SingleLevelFunction

from .dispatcher import Kernels, recorder_here

_ABSENT: Any = object()
MARKS: Final = ("mark_dirty", "mark_non_differentiable", "set_materialize_grads")
"""The methods by which a ``forward`` says what autograd shall think of it."""


class ApplyCall:
    """One call of a custom function, ready to be made."""

    __slots__ = ("_apply", "args", "kwargs")

    def __init__(
        self, apply: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._apply = apply
        self.args = args
        self.kwargs = kwargs

    def __call__(self) -> Any:
        """Make the call."""
        return self._apply(*self.args, **self.kwargs)


BEHIND_APPLY: Final[CodeType] = ApplyCall.__call__.__code__
"""The innermost Python code while the C++ of ``apply`` runs, outside of ``forward`` and ``backward``."""


def patch_functions(installed: Kernels, undo: ExitStack) -> None:
    """Tell recorders of every custom function that is applied, until ``undo`` is closed."""
    _put(undo, _SingleLevelFunction, "apply", functools.partial(_apply, installed))
    for name in MARKS:
        _put(undo, FunctionCtx, name, functools.partial(_mark, installed))


def _put(undo: ExitStack, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Put a wrapper before an attribute of a class; leave alone what others put there since."""
    before = vars(owner).get(name, _ABSENT)
    wrapper = wrap(before)

    def restore() -> None:
        if vars(owner).get(name) is not wrapper:
            return
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    setattr(owner, name, wrapper)
    undo.callback(restore)


def _apply(installed: Kernels, before: Any) -> Any:
    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if before is _ABSENT:
            plain = super(_SingleLevelFunction, cls).apply
        else:
            plain = before.__get__(None, cls)
        call = ApplyCall(plain, args, kwargs)
        recorder = recorder_here(installed)
        if recorder is None or not issubclass(cls, torch.autograd.Function):
            return call()
        return recorder.record_function(cls, call, sys._getframe(1))

    return classmethod(apply)


def _mark(installed: Kernels, before: Any) -> Any:
    @functools.wraps(before)
    def mark(ctx: Any, *args: Any) -> Any:
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_mark(before.__name__, args)
        return before(ctx, *args)

    return mark
