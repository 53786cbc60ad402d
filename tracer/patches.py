"""What must stand in torch's classes while any thread traces, because no operator tells of it.

Each patch wraps what it finds and passes everything through; it only tells the recorder of the
thread, if one records there. All are taken out again when the last trace of the process ends.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch.utils import _python_dispatch

from .dispatcher import Kernels, distributed_module, plain_data, recorder_here
from .hop_patches import patch_higher_order
from .scripted import patch_scripted
from .size_patches import SizePatches
from .traced_numbers import pinned
from .transforms import patch_transforms

_ABSENT: Any = object()


class ProcessPatches:
    """The patches of this process: counted, so that traces of several threads may overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces = 0
        self._undo = ExitStack()

    @contextmanager
    def held(self, installed: Kernels) -> Iterator[None]:
        """Keep the patches in place until the ``with`` ends."""
        with self._lock:
            if self._traces == 0:
                with ExitStack() as undo:
                    _patch_all(installed, undo)
                    self._undo = undo.pop_all()
            self._traces += 1
        try:
            yield
        finally:
            with self._lock:
                self._traces -= 1
                if self._traces == 0:
                    self._undo.close()


def process_patches(installed: Kernels) -> Any:
    """Return a context that keeps torch traceable for as long as a trace runs."""
    patches = installed.shared.setdefault("patches", ProcessPatches())
    return patches.held(installed)


def _patch_all(installed: Kernels, undo: ExitStack) -> None:
    _patch(undo, "_make_subclass", functools.partial(_make_subclass, installed))
    _patch(undo, "_make_wrapper_subclass", functools.partial(_make_wrapper, installed))
    _patch(undo, "as_subclass", functools.partial(_as_subclass, installed))
    _patch(undo, "data", functools.partial(_data, installed))
    for name in ("numpy", "tolist"):
        _patch(undo, name, functools.partial(_export, installed))
    sizes = installed.shared.setdefault("sizes", SizePatches(installed))
    for owner, name, replacement in sizes.replacements():
        _replace(undo, owner, name, replacement)
    _patch(undo, "resize_", functools.partial(_resize, installed), torch.UntypedStorage)
    distributed = distributed_module()
    if distributed is not None:
        for class_ in (distributed.Work, *distributed.Work.__subclasses__()):
            if "wait" in vars(class_):
                _patch(undo, "wait", functools.partial(_wait, installed), class_)
    _watch_modes(installed, undo)
    patch_transforms(installed, undo)
    patch_higher_order(installed, undo)
    patch_scripted(installed, undo)
    _run_compiled_code_eagerly(undo)


def _patch(
    undo: ExitStack, name: str, wrap: Callable[[Any], Any], owner: Any = torch.Tensor
) -> None:
    """Put a wrapper before an attribute of a class; leave alone what others put there since."""
    _replace(undo, owner, name, wrap(getattr(owner, name)))


def _replace(undo: ExitStack, owner: Any, name: str, replacement: Any) -> None:
    """Put something in the place of an attribute; leave alone what others put there since."""
    before = vars(owner).get(name, _ABSENT)

    def restore() -> None:
        if vars(owner).get(name) is not replacement:
            return
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    setattr(owner, name, replacement)
    undo.callback(restore)


def _make_subclass(installed: Kernels, make_subclass: Any) -> Any:
    """Keep our kernels away from giving an existing tensor another class.

    This, and ``as_subclass``, call an operator from C++ and then attach their own Python object to
    its result, which fails if a Python kernel has seen that result before.
    """

    @functools.wraps(make_subclass)
    def wrapped(cls: type[torch.Tensor], data: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        def make() -> torch.Tensor:
            with installed.excluded():
                return cast(torch.Tensor, make_subclass(cls, data, *args, **kwargs))

        recorder = recorder_here(installed)
        return make() if recorder is None else recorder.record_subclass(cls, data, make)

    return staticmethod(wrapped)


_WRAPPED = "is the size of a tensor that wraps others"


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


def _as_subclass(installed: Kernels, as_subclass: Any) -> Any:
    @functools.wraps(as_subclass)
    def wrapped(self: torch.Tensor, cls: type[torch.Tensor]) -> Any:
        def make() -> torch.Tensor:
            with installed.excluded():
                return cast(torch.Tensor, as_subclass(self, cls))

        recorder = recorder_here(installed)
        return make() if recorder is None else recorder.record_subclass(cls, self, make)

    return wrapped


def _data(installed: Kernels, descriptor: Any) -> Any:
    """Tell of ``tensor.data``: a new tensor on the same memory; and of writes to it."""

    def get(self: torch.Tensor) -> torch.Tensor:
        data: torch.Tensor = plain_data.__get__(self)
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_data(self, data)
        return data

    def set_(self: torch.Tensor, data: torch.Tensor) -> None:
        recorder = recorder_here(installed)
        with installed.excluded():
            plain_data.__set__(self, data)
        if recorder is not None:
            recorder.record_effect("an assignment to tensor.data is not part of the graph")

    return property(get, set_, doc=plain_data.__doc__)


def _export(installed: Kernels, method: Any) -> Any:
    """Tell of a method that hands a tensor's data to Python or NumPy without an operator for it."""

    @functools.wraps(method)
    def wrapped(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_read(self, method.__name__)
        return method(self, *args, **kwargs)

    return wrapped


def _wait(installed: Kernels, wait: Any) -> Any:
    """Tell of waiting for a collective operator."""

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_wait(self)
        return wait(self, *args, **kwargs)

    return wrapped


def _resize(installed: Kernels, resize: Any) -> Any:
    """Tell of a storage that gets another size, which frees memory or makes room."""

    @functools.wraps(resize)
    def wrapped(self: torch.UntypedStorage, nbytes: int) -> torch.UntypedStorage:
        result: torch.UntypedStorage = resize(self, nbytes)
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_resize(self)
        return result

    return wrapped


def _watch_modes(installed: Kernels, undo: ExitStack) -> None:
    """Tell of the dispatch modes that the program enters and leaves.

    A mode stands below our kernels, so a node is what the program asked for, and the replay puts the
    mode below it again. Function modes stand above: what they make of a call is what we see.
    """
    push, pop = _python_dispatch._push_mode, _python_dispatch._pop_mode

    @functools.wraps(push)
    def wrapped_push(mode: Any) -> None:
        push(mode)
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_mode(mode, True)

    @functools.wraps(pop)
    def wrapped_pop(*args: Any, **kwargs: Any) -> Any:
        mode = pop(*args, **kwargs)
        recorder = recorder_here(installed)
        if recorder is not None:
            recorder.record_mode(mode, False)
        return mode

    def restore() -> None:
        if _python_dispatch._push_mode is wrapped_push:
            _python_dispatch._push_mode = push
        if _python_dispatch._pop_mode is wrapped_pop:
            _python_dispatch._pop_mode = pop

    undo.callback(restore)
    _python_dispatch._push_mode = wrapped_push
    _python_dispatch._pop_mode = wrapped_pop


def _run_compiled_code_eagerly(undo: ExitStack) -> None:
    """Make ``torch.compile`` run the Python it was given, which is what we want to record.

    Importing Dynamo takes seconds, so where nobody has done it yet we wait for the first call of
    ``torch.compile``.
    """
    if "torch._dynamo" in sys.modules:
        undo.enter_context(torch.compiler.set_stance("force_eager"))
        return
    compile_ = torch.compile

    @functools.wraps(compile_)
    def wrapped_compile(*args: Any, **kwargs: Any) -> Any:
        if torch.compile is wrapped_compile:
            torch.compile = compile_
            stance.enter_context(torch.compiler.set_stance("force_eager"))
        return compile_(*args, **kwargs)

    def restore() -> None:
        if torch.compile is wrapped_compile:
            torch.compile = compile_

    stance = undo.enter_context(ExitStack())
    undo.callback(restore)
    torch.compile = cast(Any, wrapped_compile)
