"""The way into calls of custom autograd functions where ``apply`` is made in C++ as a whole (torch 2.14).

Note [A detour out of apply]
    Most programs keep ``apply`` (``relu = Relu.apply``) and with it the method made in C++, so nothing
    that we could put in its place would be passed. But that method asks Python, before anything else:

    1. what the class has as ``setup_context``, to see whether it has one of its own;
    2. if so, ``_bind_default_args`` for the arguments with their defaults;
    3. inside a transform of ``torch.func``, ``_call_custom_function_call`` for the result, since the
       transforms are written in Python; what this returns is returned.

    While a trace records, a class without ``setup_context`` seems to have one, the binding leaves the
    arguments alone and makes the thread seem to be inside a transform, and what is then asked for the
    result ends that, binds the arguments, and makes the real call. That comes from :class:`ApplyCall`,
    whose calls are left to go their way.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import torch
from torch._functorch.utils import unwrap_dead_wrappers
from torch.autograd.function import _SingleLevelFunction

from ..dispatch.detours import begin_detour, end_detour
from ..dispatch.dispatcher import Kernels, is_transforming, recorder_here
from ..dispatch.replacing import Patch
from ..functions.apply_call import BEHIND_APPLY
from ..functions.function_calls import has_setup_context

_BINDING: Final = "_bind_default_args"
_CALLING: Final = "_call_custom_function_call"

Record = Callable[[Any, Any, Callable[..., Any], tuple[Any, ...], dict[str, Any], FrameType], Any]
"""Makes a call for a recorder: of a function, by what, with what arguments, from which frame."""


class Detour:
    """Brings every call of a custom function to ``record``."""

    def __init__(self, installed: Kernels, record: Record) -> None:
        self._installed = installed
        self._record = record
        self._bind_default_args: Any = None

    @staticmethod
    def is_there() -> bool:
        """Whether this torch asks the questions that the detour goes by."""
        module = torch.autograd.function
        return hasattr(module, _BINDING) and hasattr(module, _CALLING)

    def patches(self) -> Iterator[Patch]:
        """Yield what makes ``apply`` take the detour."""
        yield _SingleLevelFunction, "setup_context", functools.partial(_SetupContext, self)
        yield torch.autograd.function, _BINDING, self._binding
        yield torch.autograd.function, _CALLING, self._calling

    def is_taken_by(self, caller: FrameType) -> bool:
        """Whether a call of a custom function that a frame makes is to take the detour."""
        if caller.f_code is BEHIND_APPLY or is_transforming():
            return False
        return recorder_here(self._installed) is not None

    def _binding(self, before: Any) -> Any:
        self._bind_default_args = before

        @functools.wraps(before)
        def bind(forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
            if not self.is_taken_by(sys._getframe(1)):
                return before(forward, args, kwargs)
            begin_detour()
            return args, kwargs or {}

        return bind

    def _calling(self, before: Any) -> Any:
        @functools.wraps(before)
        def call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if is_transforming():
                return before(function, args, kwargs)
            end_detour()
            if has_setup_context(function):
                args, kwargs = self._bind_default_args(function.forward, args, kwargs)
            args = unwrap_dead_wrappers(args)
            plain = vars(torch._C._FunctionBase)["apply"].__get__(None, function)
            recorder = recorder_here(self._installed)
            return self._record(recorder, function, plain, args, kwargs, sys._getframe(1))

        return call


class _SetupContext:
    """Stands for the ``setup_context`` of classes that have none of their own."""

    def __init__(self, detour: Detour, original: Any) -> None:
        self._detour = detour
        self._original = original
        self._seeming = _Seeming(original)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        # Torch compares with what the base class has, which it asks for once in a process.
        if owner is _SingleLevelFunction or not self._detour.is_taken_by(sys._getframe(1)):
            return self._original
        return self._seeming


class _Seeming:
    """Is another object than what it stands for, which C++ compares, and equal to it."""

    def __init__(self, original: Any) -> None:
        self._original = original
        functools.update_wrapper(self, original)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._original(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._original

    def __hash__(self) -> int:
        return hash(self._original)
