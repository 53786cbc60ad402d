"""What stands before the methods of ``torch.Tensor`` that hand data to Python while a trace runs.

The conversions run with our key excluded: what they compute on the way is no part of the program. So
a tensor that is printed does not leave the sixty operators in the graph that make its text.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import Any

import torch

from ..dispatch.dispatcher import (
    Kernels,
    Passing,
    listeners,
    plain_numel,
    recorder_here,
    watcher_here,
)
from ..dispatch.replacing import Patch
from ..numbers.numbers import own_frames

own_frames(__file__)
_READS = {
    "tolist": "tolist()",
    "numpy": "numpy()",
    "__array__": "the conversion to a NumPy array",
    "__dlpack__": "the exchange through DLPack",
    "__reduce_ex__": "pickling",
}
_SHARING = ("numpy", "__array__", "__dlpack__")  # what they return is on the tensor's memory
_INDIRECT = ("__dlpack__", "__reduce_ex__")  # what they return only leads to the data
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_MOST_ITEMS = 64  # a longer list is plain, and told as data that Python was given


def reads(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of data that goes to Python."""
    for name in _READS:
        wrap = _listed if name == "tolist" else functools.partial(_read, name=name)
        yield torch.Tensor, name, functools.partial(wrap, installed)
    for name in ("__repr__", "__format__"):
        yield torch.Tensor, name, functools.partial(_shown, installed)
    yield torch.Tensor, "__iter__", functools.partial(_counted, installed, "iterating over")


def _listed(installed: Kernels, method: Any) -> Any:
    """Give a short list of integers as numbers of the graph: most often they are sizes or positions."""
    read = _read(installed, method, name="tolist")

    @functools.wraps(method)
    def tolist(self: torch.Tensor) -> Any:
        recorder = recorder_here(installed)
        if recorder is None or recorder.outer is not None or not _is_short_of_integers(self):
            return read(self)
        value = recorder.state.values.get(self)
        numbers = recorder.state.numbers
        if value is None or numbers.is_fixed_value(value) or numbers.is_in_block():
            return read(self)
        return _items(self)

    return tolist


def _is_short_of_integers(tensor: torch.Tensor) -> bool:
    return (
        type(tensor) is torch.Tensor
        and tensor.dtype in _INTEGERS
        and 0 < plain_numel(tensor) <= _MOST_ITEMS
    )


def _items(tensor: torch.Tensor) -> Any:
    return tensor.item() if tensor.dim() == 0 else [_items(row) for row in tensor.unbind()]


def _read(installed: Kernels, method: Any, *, name: str) -> Any:
    how, is_sharing, is_shown = _READS[name], name in _SHARING, name not in _INDIRECT

    @functools.wraps(method)
    def wrapped(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        watcher = watcher_here(installed)
        if watcher is None:
            return method(self, *args, **kwargs)
        with installed.excluded():
            result = method(self, *args, **kwargs)
        if isinstance(watcher, Passing):
            watcher.note_read(how, result if is_shown else None, sys._getframe(1))
            return result
        for unseen in listeners(installed):
            unseen.read(self, how, result if is_shown else None)
            if is_sharing:
                unseen.shared(self, f"through what {how} gave")
        return result

    return wrapped


def _shown(installed: Kernels, method: Any) -> Any:
    @functools.wraps(method)
    def wrapped(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        watcher = watcher_here(installed)
        if watcher is None:
            return method(self, *args, **kwargs)
        told = listeners(installed)
        with installed.excluded():
            text = method(self, *args, **kwargs)
            for unseen in told:
                unseen.shown(self, text)
        return text

    return wrapped


def _counted(installed: Kernels, how: str, method: Any) -> Any:
    @functools.wraps(method)
    def wrapped(self: torch.Tensor) -> Any:
        for unseen in listeners(installed):
            unseen.counted(self, how)
        return method(self)

    return wrapped
