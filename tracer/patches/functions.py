"""What stands in torch's classes while any thread traces to tell of custom autograd functions.

Up to torch 2.13, ``Function.apply`` is Python and does its work by ``super().apply``, which reaches a
method made in C++. Our wrapper is put between the two, so it is passed even by code that kept a reference
to ``apply`` from before the trace. Later all of it is C++: see Note [A detour out of apply]. Neither is
passed under functorch's transforms, where torch goes another way.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import torch
from torch.autograd.function import FunctionCtx, _SingleLevelFunction

from ...errors import UnsupportedTorchError
from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch
from ..functions.apply_call import ApplyCall
from ..functions.function_calls import in_order
from .applied import Detour

MARKS: Final = ("mark_dirty", "mark_non_differentiable", "set_materialize_grads")
"""The methods by which a ``forward`` says what autograd shall think of it."""


def functions(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of every custom function that is applied.

    Raises:
        UnsupportedTorchError: torch goes neither of the two ways that are known.
    """
    if Detour.is_there():
        yield from Detour(installed, _record).patches()
    elif isinstance(vars(torch.autograd.Function)["apply"], classmethod):
        yield _SingleLevelFunction, "apply", functools.partial(_apply, installed)
    else:
        raise UnsupportedTorchError(
            f"torch {torch.__version__} calls custom autograd functions in a way that cannot be followed.\n"
            "Use a torch version that opscope was tested with (2.13 to 2.15), or report this one."
        )
    for name in MARKS:
        yield FunctionCtx, name, functools.partial(_mark, installed)


def _apply(installed: Kernels, inherited: Any) -> Any:
    # What stands there is bound to the class that it was read from, and so is what that inherits.
    before = vars(_SingleLevelFunction).get("apply")

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if before is None:
            plain = super(_SingleLevelFunction, cls).apply
        else:
            plain = before.__get__(None, cls)
        return _record(recorder_here(installed), cls, plain, args, kwargs, sys._getframe(1))

    return classmethod(apply)


def _record(
    recorder: Any,
    function: Any,
    apply: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    frame: FrameType,
) -> Any:
    """Make a call of a custom function, recorded if somebody records."""
    ordered = in_order(function, args, kwargs)
    if recorder is None or ordered is None or not issubclass(function, torch.autograd.Function):
        return ApplyCall(apply, args, kwargs)()
    return recorder.record_function(function, ApplyCall(apply, ordered, {}), frame)


def _mark(installed: Kernels, before: Any) -> Any:
    @functools.wraps(before)
    def mark(ctx: Any, *args: Any) -> Any:
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_mark(before.__name__, args)
        return before(ctx, *args)

    return mark
