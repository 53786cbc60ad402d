"""What stands before dispatch modes and wrapper subclasses while a trace runs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch.nested._internal import nested_tensor
from torch.utils import _python_dispatch

from ..dispatch.dispatcher import (
    Kernels,
    plain_torch,
    recorder_here,
    recording,
)
from ..dispatch.replacing import Patch
from ..numbers.traced_numbers import pinned

_WRAPPED = "is the size of a tensor that wraps others"


def worlds(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of modes and wrappers.

    A mode stands below our kernels, so a node is what the program asked for, and the replay puts the
    mode below it again. Function modes stand above: what they make of a call is what we see.
    """
    yield torch.Tensor, "_make_wrapper_subclass", functools.partial(_make_wrapper, installed)
    yield nested_tensor, "_nt_view_dummy", functools.partial(_make_nested_dummy, installed)
    yield _python_dispatch, "_push_mode", functools.partial(_push_mode, installed)
    yield _python_dispatch, "_pop_mode", functools.partial(_pop_mode, installed)


def _make_wrapper(installed: Kernels, make_wrapper: Any) -> Any:
    """Tell of a tensor that is made without an operator, to wrap others."""

    @functools.wraps(make_wrapper)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        if recorder is None:
            return make_wrapper(*args, **kwargs)
        # The sizes of a wrapper are what it was told: no operator reads them from what it wraps.
        args = pinned(args, _WRAPPED)
        kwargs = {name: pinned(arg, _WRAPPED) for name, arg in kwargs.items()}
        tensor = make_wrapper(*args, **kwargs)
        recorder.record_wrapper(tensor, args, kwargs)
        return tensor

    return staticmethod(wrapped)


def _make_nested_dummy(installed: Kernels, make_dummy: Any) -> Any:
    """Keep what torch makes once per process out of the program that happens to need it first."""

    @functools.wraps(make_dummy)
    def wrapped() -> torch.Tensor:
        with recording(installed, None), plain_torch():
            return cast(torch.Tensor, make_dummy())

    return wrapped


def _push_mode(installed: Kernels, push: Any) -> Any:
    @functools.wraps(push)
    def wrapped(mode: Any) -> None:
        push(mode)
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_mode(mode, True)

    return wrapped


def _pop_mode(installed: Kernels, pop: Any) -> Any:
    @functools.wraps(pop)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        mode = pop(*args, **kwargs)
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_mode(mode, False)
        return mode

    return wrapped
