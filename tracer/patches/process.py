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
from typing import Any, Final, cast

import torch

from ..blocks.scripted import scripted
from ..blocks.transforms import exchange_transforms, transforms
from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch
from ..dispatch.slots import empty_sequence_slot
from ..recorders.threads import threads
from .backward import backward
from .functions import functions
from .hops import higher_order
from .modes import modes
from .number_tensors import number_tensors
from .reads import reads
from .settings import settings
from .sizes import SizePatches
from .worlds import worlds
from .writes import writes

_ABSENT: Any = object()


class ProcessPatches:
    """The patches of this process: counted, so that traces of several threads may overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces = 0
        self._undo = ExitStack()
        self._wrappers: list[_Wrapper] = []
        self._modules = 0  # how many were loaded when the wrappers were made

    @contextmanager
    def held(self, installed: Kernels) -> Iterator[None]:
        """Keep the patches in place until the ``with`` ends."""
        with self._lock:
            if self._traces == 0:
                with ExitStack() as undo:
                    self._patch_all(installed, undo)
                    self._undo = undo.pop_all()
            self._traces += 1
        try:
            yield
        finally:
            with self._lock:
                self._traces -= 1
                if self._traces == 0:
                    self._undo.close()

    def _patch_all(self, installed: Kernels, undo: ExitStack) -> None:
        if len(sys.modules) != self._modules:  # there may be more classes to patch now
            known = {(wrapper.owner, wrapper.name): wrapper for wrapper in self._wrappers}
            self._wrappers = [
                known.get((owner, name)) or _Wrapper(owner, name, wrap)
                for subject in _SUBJECTS
                for owner, name, wrap in subject(installed)
            ]
            self._modules = len(sys.modules)
        undo.callback(self._take_out)
        for wrapper in self._wrappers:
            wrapper.put()
        empty_sequence_slot(torch.Tensor)
        exchange_transforms(installed, undo)
        _run_compiled_code_eagerly(undo)

    def _take_out(self) -> None:
        for wrapper in reversed(self._wrappers):
            wrapper.take_out()
        empty_sequence_slot(torch.Tensor)


class _Wrapper:
    """What stands before one attribute of torch. It is made once, since making all takes a while."""

    __slots__ = ("_before", "_inherited", "_made", "_wrap", "name", "owner")

    def __init__(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        self.owner = owner
        self.name = name
        self._wrap = wrap
        self._made: Any = _ABSENT
        self._before: Any = _ABSENT  # what the owner itself had there
        self._inherited: Any = None  # what was found there if it had nothing

    def put(self) -> None:
        """Put the wrapper in place, made anew if it was made of something else than what is there now."""
        before = vars(self.owner).get(self.name, _ABSENT)
        inherited = getattr(self.owner, self.name, None) if before is _ABSENT else None
        is_known = before is self._before and inherited == self._inherited
        if not is_known or self._made is _ABSENT:
            self._before, self._inherited = before, inherited
            self._made = self._wrap(getattr(self.owner, self.name, None))
        setattr(self.owner, self.name, self._made)

    def take_out(self) -> None:
        """Put back what was there; leave alone what others put there since."""
        if vars(self.owner).get(self.name) is not self._made:
            return
        if self._before is _ABSENT:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self._before)


def process_patches(installed: Kernels) -> Any:
    """Return a context that keeps torch traceable for as long as a trace runs."""
    patches = installed.shared.setdefault("patches", ProcessPatches())
    return patches.held(installed)


def _sizes(installed: Kernels) -> Iterator[Patch]:
    """Yield what makes sizes and items data."""
    yield from installed.shared.setdefault("sizes", SizePatches(installed)).patches()


def _subclasses(installed: Kernels) -> Iterator[Patch]:
    """Yield what keeps our kernels away from giving tensors another class."""
    yield torch.Tensor, "_make_subclass", functools.partial(_make_subclass, installed)
    yield torch.Tensor, "as_subclass", functools.partial(_as_subclass, installed)


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


def _as_subclass(installed: Kernels, as_subclass: Any) -> Any:
    @functools.wraps(as_subclass)
    def wrapped(self: torch.Tensor, cls: type[torch.Tensor]) -> Any:
        def make() -> torch.Tensor:
            with installed.excluded():
                return cast(torch.Tensor, as_subclass(self, cls))

        recorder = recorder_here(installed)
        return make() if recorder is None else recorder.record_subclass(cls, self, make)

    return wrapped


_SUBJECTS: Final = (
    _subclasses, functions, backward, reads, writes, settings, modes, worlds, threads, transforms,
    higher_order, scripted, _sizes, number_tensors,
)  # fmt: skip


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
