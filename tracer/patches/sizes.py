"""What stands before torch's and ``math``'s ways to sizes and items while any thread traces.

Torch reads ``x.shape`` without calling an operator, and takes some short cuts by size before it comes
to one. Each function here asks the trace of its thread for numbers of the graph, and passes through
where there is none; see Note [Numbers as data].
"""

from __future__ import annotations

import functools
import json
import math
import operator
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, cast

import torch

from ...ir import Value
from ..dispatch.dispatcher import (
    Kernels,
    Passing,
    listeners,
    plain_nbytes,
    plain_numel,
    plain_shape,
    plain_strides,
    recorder_here,
    watcher_here,
)
from ..dispatch.number import number_of
from ..dispatch.replacing import Patch, Property
from ..numbers.indexing import kept_bounds, may_take_all, selected, with_positions
from ..numbers.numbers import own_frames
from ..numbers.sizes import Sizes, TracedSize
from ..numbers.traced_numbers import MATH, compute, is_traced, makes_text, traced

own_frames(__file__)
_base: Any = cast(Any, torch._C).TensorBase
_COLLECTIVES = ("torch.distributed._functional_collectives", "torch.distributed.distributed_c10d")
_DEFAULT_FORMATS = (None, torch.contiguous_format)


class SizePatches:
    """Makes the functions that stand in for others; there is one object per process."""

    def __init__(self, installed: Kernels) -> None:
        self._installed = installed
        self._is_distributed = False  # whether there can be distributed tensors
        self._tracked: set[type] = {torch.Tensor, torch.nn.Parameter, torch.nn.Buffer}

    def patches(self) -> Iterator[Patch]:
        """Yield each thing to put something before, and what makes that of it."""
        self._is_distributed = "torch.distributed.tensor" in sys.modules
        fake_tensors = sys.modules.get("torch._subclasses.fake_tensor")
        if fake_tensors is not None:
            self._tracked.add(fake_tensors.FakeTensor)
        yield torch.Tensor, "shape", functools.partial(Property, self._shape)
        yield torch.Tensor, "nbytes", functools.partial(Property, self._nbytes)
        for name, wrap in (
            ("size", self._size),
            ("stride", self._stride),
            ("numel", self._numel),
            ("nelement", self._numel),
            ("storage_offset", self._storage_offset),
            ("is_contiguous", self._is_contiguous),
            ("contiguous", self._contiguous),
            ("__len__", self._length),
            ("item", self._item),
            ("__int__", functools.partial(self._plain, int)),
            ("__float__", functools.partial(self._plain, float)),
            ("__index__", functools.partial(self._plain, operator.index)),
            ("__getitem__", self._getitem),
            ("__setitem__", self._setitem),
        ):
            yield torch.Tensor, name, functools.partial(_wrapped, wrap)
        yield torch, "numel", functools.partial(_wrapped, self._numel)
        yield torch.Tensor, "new", of_shape
        yield json.JSONEncoder, "default", functools.partial(_wrapped, _encoded)
        for name in MATH:
            yield math, name, functools.partial(_of_math, name)

    def _sizes(self, tensor: Any, *, is_read: bool = False) -> Sizes | None:
        """Return what knows the sizes of a tensor as data; None where they are plain.

        A class of the program's own may give sizes in a way of its own, so they are held to what they
        are, if they are read.
        """
        if type(tensor) not in self._tracked:
            if is_read and (recorder := recorder_here(self._installed)) is not None:
                recorder.state.sizes.pin(tensor)
            return None
        recorder = watcher_here(self._installed)
        if recorder is None:
            return None
        if isinstance(recorder, Passing):
            if is_read:
                recorder.note_size(tensor, sys._getframe(2))
            return None
        if self._is_distributed and _reads_for_distributed(sys._getframe(2)):
            recorder.state.sizes.pin(tensor)
            return None
        outer = recorder.outer
        while outer is not None:
            outer.state.sizes.pin(tensor)
            outer = outer.outer
        return cast(Sizes, recorder.state.sizes)

    def _found(self, tensor: Any, *, is_read: bool = True) -> tuple[Sizes, Value] | None:
        """Return what knows the sizes of a tensor, and its value; None where its sizes are plain."""
        sizes = self._sizes(tensor, is_read=is_read)
        value = None if sizes is None else sizes.value_of(tensor)
        return None if sizes is None or value is None else (sizes, value)

    def _shape(self, tensor: Any) -> Any:
        plain = plain_shape(tensor)
        found = self._found(tensor)
        return plain if found is None else found[0].shape(found[1], plain)

    def _nbytes(self, tensor: Any) -> Any:
        found = self._found(tensor)
        if found is None:
            return plain_nbytes(tensor)
        sizes, value = found
        return sizes.numel(value, plain_numel(tensor)) * tensor.element_size()

    def _size(self, original: Any) -> Callable[..., Any]:
        def size(self_: Any, *args: Any, **kwargs: Any) -> Any:
            found = self._found(self_)
            if found is None:
                return original(self_, *args, **kwargs)
            sizes, value = found
            plain = _base.size(self_, *args, **kwargs)
            if isinstance(plain, tuple):
                return sizes.shape(value, cast(torch.Size, plain))
            (dimension,) = args or kwargs.values()
            return sizes.size(value, int(dimension) % self_.dim(), plain)

        return size

    def _stride(self, original: Any) -> Callable[..., Any]:
        def stride(self_: Any, *args: Any, **kwargs: Any) -> Any:
            found = self._found(self_)
            if found is None:
                return original(self_, *args, **kwargs)
            sizes, value = found
            plain = _base.stride(self_, *args, **kwargs)
            strides = sizes.strides(value, plain_strides(self_))
            if isinstance(plain, tuple):
                return strides
            (dimension,) = args or kwargs.values()
            return strides[int(dimension)]

        return stride

    def _numel(self, original: Any) -> Callable[..., Any]:
        def numel(self_: Any) -> Any:
            plain = original(self_)
            found = self._found(self_)
            return plain if found is None else found[0].numel(found[1], plain)

        return numel

    def _storage_offset(self, original: Any) -> Callable[..., Any]:
        def storage_offset(self_: Any) -> Any:
            plain = original(self_)
            found = self._found(self_)
            return plain if found is None else found[0].storage_offset(found[1], plain)

        return storage_offset

    def _is_contiguous(self, original: Any) -> Callable[..., Any]:
        def is_contiguous(self_: Any, *args: Any, **kwargs: Any) -> Any:
            plain = original(self_, *args, **kwargs)
            found = self._found(self_)
            if found is None:
                return plain
            sizes, value = found
            (memory_format,) = (*args, *kwargs.values()) or (None,)
            if memory_format in _DEFAULT_FORMATS:
                return sizes.is_contiguous(value, plain)
            return sizes.is_contiguous(value, plain, memory_format)

        return is_contiguous

    def _contiguous(self, original: Any) -> Callable[..., Any]:
        """Call the operator always: torch leaves it out for a tensor that is contiguous at this size."""

        def contiguous(self_: Any, *args: Any, **kwargs: Any) -> Any:
            if self._found(self_, is_read=False) is None:
                return original(self_, *args, **kwargs)
            (memory_format,) = (*args, *kwargs.values()) or (torch.contiguous_format,)
            return torch.ops.aten.contiguous.default(self_, memory_format=memory_format)

        return contiguous

    def _length(self, original: Any) -> Callable[..., Any]:
        """Pin the size that ``len()`` gives: Python makes a plain int of whatever a method answers."""

        def length(self_: Any) -> int:
            plain: int = original(self_)
            size = self_.size(0)
            if is_traced(size):
                size.plain("is taken by len(), which always gives a plain int")
            return plain

        return length

    def _item(self, original: Any) -> Callable[..., Any]:
        """Give the item as a number of the graph, as which it comes from the dispatcher."""

        def item(self_: Any) -> Any:
            plain = original(self_)
            number = number_of(plain)
            return plain if number is None else traced(number)

        return item

    def _plain(self, make: Callable[[Any], Any], original: Any) -> Callable[..., Any]:
        """Give a plain number of the item, which knows what it is needed for."""

        def plain(self_: Any) -> Any:
            told = listeners(self._installed)
            if not told:
                return original(self_)
            if makes_text(sys._getframe(1)):
                with self._installed.excluded():
                    shown = original(self_)
                    for unseen in told:
                        unseen.shown(self_, repr(shown))
                return shown
            if plain_numel(self_) != 1 or (make is operator.index and self_.is_floating_point()):
                return original(self_)  # which says what is wrong
            item = self_.item()
            return make(item) if is_traced(item) else original(self_)

        return plain

    def _getitem(self, original: Any) -> Callable[..., Any]:
        def getitem(self_: Any, index: Any) -> Any:
            if type(index) is int or self._sizes(self_, is_read=may_take_all(index)) is None:
                return original(self_, index)
            parts = with_positions(index)
            if parts is not None:
                return selected(self_, parts)
            return original(self_, self._with_kept_bounds(self_, index))

        return getitem

    def _setitem(self, original: Any) -> Callable[..., Any]:
        def setitem(self_: Any, index: Any, value: Any) -> None:
            if type(index) is int or self._sizes(self_, is_read=may_take_all(index)) is None:
                original(self_, index, value)
                return
            parts = with_positions(index)
            if parts is not None:
                original(selected(self_, parts), Ellipsis, value)
            else:
                original(self_, self._with_kept_bounds(self_, index), value)

        return setitem

    def _with_kept_bounds(self, tensor: Any, index: Any) -> Any:
        """Return an index whose bounds torch does not leave out, if the tensor's sizes vary."""
        found = self._found(tensor)
        return index if found is None else kept_bounds(index, found[0].numbers)


def _encoded(original: Any) -> Callable[..., Any]:
    """Pin the numbers that JSON, whose encoder asks for Python's own classes, comes to here with."""

    def default(self_: Any, o: Any) -> Any:
        return o.plain("is written as JSON") if is_traced(o) else original(self_, o)

    return default


def _wrapped(wrap: Callable[[Any], Any], original: Any) -> Any:
    return functools.wraps(original)(wrap(original))


def _reads_for_distributed(frame: FrameType | None) -> bool:
    """Whether sizes are read by torch's code for distributed tensors, which keeps them in its own caches."""
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    reader = "" if frame is None else str(frame.f_globals.get("__name__"))
    return reader.startswith("torch.distributed.") and reader not in _COLLECTIVES


def _of_math(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def function(x: Any, /, *rest: Any) -> Any:
        if not rest and is_traced(x):
            return compute(f"aten::{name}", original, x)
        return original(x, *rest)

    function.__name__ = name
    return function


def of_shape(original: Any) -> Callable[..., Any]:
    """Give torch's oldest constructors a shape in the class by which they tell it from data."""

    @functools.wraps(original)
    def make(*args: Any, **kwargs: Any) -> Any:
        if any(type(arg) is TracedSize for arg in args):
            args = tuple([torch.Size(arg) if type(arg) is TracedSize else arg for arg in args])
        return original(*args, **kwargs)

    return make
