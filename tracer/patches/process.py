"""What must stand in torch's classes while any thread traces, because no operator tells of it.

Each patch wraps what it finds and passes everything through; it only tells the recorder of the
thread, if one records there. All are taken out again when the last trace of the process ends.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import torch

from ..blocks.scripted import scripted
from ..blocks.transforms import exchange_transforms, transforms
from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch, Undo
from ..dispatch.slots import empty_sequence_slot
from ..recorders.threads import threads
from .backward import backward
from .checkpoints import recompute_to_the_end
from .compiled import forget_patches, run_compiled_code_eagerly
from .distributed import distributed
from .facts import facts
from .functions import functions
from .fused import fused_steps
from .hops import higher_order
from .legacy_classes import legacy_classes
from .modes import modes
from .number_tensors import number_tensors
from .optimizers import optimizers, tell_of_steps
from .profiler_regions import profiler_regions
from .reads import reads
from .settings import settings, tell_of_attributes
from .sizes import SizePatches, of_shape
from .surroundings import surroundings
from .worlds import worlds
from .writes import writes

_ABSENT: Any = object()


class ProcessPatches:
    """The patches of this process: counted, so that traces of several threads may overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: set[object] = set()
        self._undo = Undo()
        self._wrappers: list[_Wrapper] = []
        self._modules = 0  # how many were loaded when the wrappers were made

    @contextmanager
    def held(self, installed: Kernels) -> Iterator[None]:
        """Keep the patches in place until the ``with`` ends."""
        holder = object()
        let_go = Undo()
        let_go.add(functools.partial(self._let_go, holder))
        try:
            with self._lock:
                if not self._holders:
                    self._patch_all(installed)
                self._holders.add(holder)
            yield
        finally:
            let_go.run()

    def _let_go(self, holder: object) -> None:
        with self._lock:
            self._holders.discard(holder)
            if not self._holders:
                self._undo.run()

    def _patch_all(self, installed: Kernels) -> None:
        undo = self._undo
        if len(sys.modules) != self._modules:  # there may be more classes to patch now
            known = {(wrapper.owner, wrapper.name): wrapper for wrapper in self._wrappers}
            self._wrappers = [
                known.get((owner, name)) or _Wrapper(owner, name, wrap)
                for subject in _SUBJECTS
                for owner, name, wrap in subject(installed)
            ]
            self._modules = len(sys.modules)
        forget_patches(undo)
        undo.add(self._take_out)
        for wrapper in self._wrappers:
            wrapper.put()
        empty_sequence_slot(torch.Tensor)
        exchange_transforms(installed, undo)
        run_compiled_code_eagerly(undo)
        recompute_to_the_end(undo)
        tell_of_attributes(installed, undo)
        tell_of_steps(installed, undo)

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
    yield torch.Tensor, "__new__", functools.partial(_new, installed)


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
        if recorder is None:
            return make()
        return recorder.record_subclass(cls, data, make, is_followed=False)

    return staticmethod(wrapped)


def _as_subclass(installed: Kernels, as_subclass: Any) -> Any:
    @functools.wraps(as_subclass)
    def wrapped(self: torch.Tensor, cls: type[torch.Tensor]) -> Any:
        def make() -> torch.Tensor:
            with installed.excluded():
                return cast(torch.Tensor, as_subclass(self, cls))

        recorder = recorder_here(installed)
        if recorder is None:
            return make()
        return recorder.record_subclass(cls, self, make, is_followed=True)

    return wrapped


def _new(installed: Kernels, new: Any) -> Any:
    """The same for ``Class(tensor)``, and for ``Class(sizes)``."""
    new = of_shape(new)

    @functools.wraps(new)
    def wrapped(cls: type[torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        recorder = None if cls is torch.Tensor else recorder_here(installed)
        if recorder is None:
            return new(cls, *args, **kwargs)
        is_of_tensor = len(args) == 1 and isinstance(args[0], torch.Tensor)
        data = args[0] if is_of_tensor else new(torch.Tensor, *args, **kwargs)

        def make() -> torch.Tensor:
            with installed.excluded():
                return cast(torch.Tensor, new(cls, data))

        return recorder.record_subclass(cls, data, make, is_followed=True)

    return staticmethod(wrapped)


_SUBJECTS: Final = (
    _subclasses, functions, backward, facts, reads, writes, settings, modes, surroundings, worlds, threads,
    transforms, higher_order, scripted, _sizes, number_tensors, legacy_classes, fused_steps, optimizers,
    profiler_regions, distributed,
)  # fmt: skip
