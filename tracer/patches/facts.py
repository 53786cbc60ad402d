"""What stands before the ways to ask a tensor for what is neither data nor size.

See Note [Facts of tensors] in ``recorders/facts.py``.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, cast

import torch

from ...ir import ScalarType
from ..dispatch.dispatcher import (
    Kernels,
    listeners,
    plain_history,
    plain_is_leaf,
    plain_is_view,
    plain_untyped_storage,
    plain_version,
    recorder_here,
)
from ..dispatch.gradients import plain_retains_grad
from ..dispatch.replacing import Patch, Property
from ..numbers.numbers import own_frames
from ..numbers.traced_numbers import is_traced
from ..recorders import facts as recorder_file
from ..recorders.facts import HAS_NO_GRADIENT, REQUIRES_GRAD, Fact, fact

own_frames(__file__)
own_frames(recorder_file.__file__)

_base: Any = cast(Any, torch._C).TensorBase
_PACKAGE = __name__.partition(".")[0]
GO_BY_FACTS: Final = ("torch.nn.modules.", "torch.nn.functional")
_GO_BY_GRADIENTS: Final = ("torch.nn.", "torch.optim.", "torch.amp.")
_KEEP_BOOKS: Final = ("torch.nn.modules.module", "torch.nn.modules.lazy", "torch.nn.parameter")
"""Modules of torch that go by what they find, and those among them that only look after it."""

_STORAGES: Final = ("torch.storage", __name__)
"""Modules of what asks a storage for its size on behalf of another one, or of a program."""

_ATTRIBUTES: Final = {
    "requires_grad": REQUIRES_GRAD,
    "is_leaf": fact("is_leaf", plain_is_leaf, is_of_autograd=True),
    "retains_grad": fact("retains_grad", plain_retains_grad, is_of_autograd=True),
    "_version": fact("version", plain_version, ScalarType.INT, is_lasting=False),
}
_OBJECTS: Final = {
    "grad_fn": fact("has_no_history", lambda x: plain_history(x) is None, is_of_autograd=True),
    "_base": fact("is_no_view", lambda x: _base._base.__get__(x) is None),
}
"""Attributes that are an object or None: which of the two is what counts."""

_METHODS: Final = {
    "_is_view": fact("is_view", plain_is_view),
    "is_inference": fact("is_inference", _base.is_inference),
    "is_conj": fact("is_conj", _base.is_conj),
    "is_neg": fact("is_neg", _base.is_neg),
    "is_shared": fact(
        "is_shared", lambda x: plain_untyped_storage(x).is_shared(), is_lasting=False
    ),
}
LASTING_FACTS: Final = {
    known.operator.name: known
    for known in (*_ATTRIBUTES.values(), *_OBJECTS.values(), *_METHODS.values(), HAS_NO_GRADIENT)
    if known.is_lasting
}
"""What a replay may ask the tensors of its state for before it begins, by the operators' names."""

_STORAGE_NBYTES: Final = fact(
    "storage_nbytes",
    lambda x: plain_untyped_storage(x).nbytes(),
    ScalarType.INT,
    is_lasting=False,
)


def facts(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of facts that are asked for."""
    for name, known in (*_ATTRIBUTES.items(), *_OBJECTS.items()):
        yield torch.Tensor, name, functools.partial(_attribute, installed, known)
    yield torch.Tensor, "grad", functools.partial(_gradient, installed)
    for name, known in _METHODS.items():
        yield torch.Tensor, name, functools.partial(_method, installed, known)
        if hasattr(torch, name):
            yield torch, name, functools.partial(_method, installed, known)
    for name in ("nbytes", "size"):
        yield torch.UntypedStorage, name, functools.partial(_storage_size, installed)
    yield torch.UntypedStorage, "__len__", functools.partial(_storage_length, installed)
    for owner in (torch.Tensor, torch.UntypedStorage):
        yield owner, "data_ptr", functools.partial(_address, installed)


def _attribute(installed: Kernels, known: Fact, original: Any) -> Any:
    is_object = known in _OBJECTS.values()

    def read(tensor: Any) -> Any:
        found = original.__get__(tensor)
        recorder = recorder_here(installed)
        if recorder is None:
            return found
        plain = found is None if is_object else found
        answer = _ask(recorder, tensor, known, plain, sys._getframe(2))
        return found if is_object else answer

    return Property(read, original)


def _method(installed: Kernels, known: Fact, original: Any) -> Any:
    @functools.wraps(original)
    def method(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(tensor, *args, **kwargs)
        recorder = recorder_here(installed)
        if recorder is None:
            return found
        return _ask(recorder, tensor, known, found, sys._getframe(1))

    return method


def _gradient(installed: Kernels, original: Any) -> Any:
    """Tell of ``tensor.grad`` that is read, set or deleted."""

    def read(tensor: Any) -> Any:
        frame = sys._getframe(2)
        gradient = _read_gradient(original, tensor, frame)
        recorder = recorder_here(installed)
        if recorder is None:
            return gradient
        is_zeroed = frame.f_code.co_name == "zero_grad"
        if is_zeroed and gradient is not None:
            return gradient
        is_cleared = is_zeroed and frame.f_locals.get("set_to_none")
        if is_zeroed or goes_by_it(frame, _GO_BY_GRADIENTS):
            while recorder is not None:
                if is_cleared:
                    recorder.facts.gradient_cleared(tensor)
                else:
                    recorder.facts.read_gradient(tensor, gradient, frame)
                recorder = recorder.outer
        return gradient

    def changed(tensor: Any) -> None:
        recorder = recorder_here(installed)
        while recorder is not None:
            recorder.facts.gradient_given(tensor)
            recorder = recorder.outer

    return Property(read, original, changed)


def _read_gradient(original: Any, tensor: Any, frame: FrameType) -> Any:
    """Return the gradient; of a tensor that has none, torch's warning goes to the line that reads it."""
    if plain_is_leaf(tensor) or plain_retains_grad(tensor):
        return original.__get__(tensor)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gradient = original.__get__(tensor)
    for warning in caught:
        name, registry = (
            frame.f_globals.get("__name__"),
            frame.f_globals.setdefault("__warningregistry__", {}),
        )
        file, line = frame.f_code.co_filename, frame.f_lineno
        warnings.warn_explicit(warning.message, warning.category, file, line, name, registry)
    return gradient


def _storage_size(installed: Kernels, original: Any) -> Any:
    @functools.wraps(original)
    def size(storage: Any) -> Any:
        found = original(storage)
        recorder = recorder_here(installed)
        if recorder is None:
            return found
        frame = _asking(sys._getframe(1))
        tensor = next(iter(recorder.state.implied.known_on(storage._cdata)), None)
        if tensor is None:
            return found
        return _ask(recorder, tensor, _STORAGE_NBYTES, found, frame)

    return size


def _storage_length(installed: Kernels, original: Any) -> Any:
    @functools.wraps(original)
    def __len__(storage: Any) -> int:  # it stands for that method
        size = storage.nbytes()
        if is_traced(size):
            size.plain("is taken by len(), which always gives a plain int")
        return original(storage)  # type: ignore[no-any-return]

    return __len__


def _address(installed: Kernels, original: Any) -> Any:
    @functools.wraps(original)
    def data_ptr(holder: Any) -> Any:
        address = original(holder)
        if recorder_here(installed) is not None and goes_by_it(_asking(sys._getframe(1)), ()):
            for unseen in listeners(installed):
                unseen.located(holder)
        return address

    return data_ptr


def _asking(frame: FrameType) -> FrameType:
    """Return the frame on whose behalf storages ask one another."""
    while frame.f_back is not None and frame.f_globals.get("__name__") in _STORAGES:
        frame = frame.f_back
    return frame


def _ask(recorder: Any, tensor: Any, known: Fact, plain: Any, frame: FrameType) -> Any:
    """Tell each trace of a question; return what the innermost answers."""
    if not goes_by_it(frame, GO_BY_FACTS):
        return plain
    answer = recorder.facts.read(tensor, known, plain, frame)
    outer = recorder.outer
    while outer is not None:
        around = outer.facts.read(tensor, known, plain, frame)
        if is_traced(around):
            around.plain("goes into a trace inside this one")
        outer = outer.outer
    return answer


def goes_by_it(frame: FrameType, modules: tuple[str, ...]) -> bool:
    """Whether who asks may go by the answer: the user's code, or some of torch's."""
    name = frame.f_globals.get("__name__", "")
    package = name.partition(".")[0]
    if package == _PACKAGE:
        return False
    return package != "torch" or (name.startswith(modules) and name not in _KEEP_BOOKS)
