"""What stands before the regions that a program names for the profiler: they are scopes of the graph.

Torch names regions of its own in the same way, steps of optimizers and collectives, which are scopes or
nodes already; so only those that the user's code enters are taken.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch
from ..sources.frames import FrameWalker, is_library_file


def profiler_regions(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of annotated regions."""
    region: Any = torch.autograd.profiler.record_function
    yield region, "__enter__", functools.partial(_entering, installed)
    yield region, "__exit__", functools.partial(_leaving, installed)


def _entering(installed: Kernels, enter: Any) -> Any:
    @functools.wraps(enter)
    def __enter__(region: Any) -> Any:  # it stands for that
        entered = enter(region)
        frame = _caller(sys._getframe(1))
        for walker in _walkers(installed, frame):
            walker.open_region(region.name, frame)
        return entered

    return __enter__


def _leaving(installed: Kernels, leave: Any) -> Any:
    @functools.wraps(leave)
    def __exit__(region: Any, *error: Any) -> Any:  # it stands for that
        for walker in _walkers(installed, _caller(sys._getframe(1))):
            walker.close_region(region.name)
        return leave(region, *error)

    return __exit__


def _caller(frame: FrameType) -> FrameType:
    """Return the frame that enters a region, itself or by calling a function that it decorates."""
    while frame.f_code.co_filename == contextlib.__file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _walkers(installed: Kernels, frame: FrameType) -> list[FrameWalker]:
    """Return those that find scopes, of each trace of this thread; none where a library enters."""
    recorder = recorder_here(installed)
    is_library = recorder is not None and is_library_file(frame.f_code.co_filename)
    walkers = []
    while recorder is not None:
        walker = recorder.state.walker
        if not is_library or walker.entered_at(frame):  # which calls a program that is decorated
            walkers.append(walker)
        recorder = recorder.outer
    return walkers
