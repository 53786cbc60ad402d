"""Memory of tensors that others than operators can write to: NumPy arrays and the like share it.

Nothing tells of such a write, so the memory's contents are compared before each operator that touches
it, and at the end. What was written is then recorded as data: the replay writes it too. Only memory
that was exposed is looked at, and only a checksum of it is kept.
"""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch._subclasses import FakeTensor

from ...ir import Frame, Scope
from ...ir.own_operators import WRITE
from ..diagnostics import DiagnosticKind
from ..dispatch.dispatcher import (
    StorageWeakRef,
    kernels,
    plain_data,
    plain_numel,
    plain_offset,
    plain_untyped_storage,
    storage_key,
)
from ..dispatch.tensors import tensors_in, type_of_tensor
from ..state import TracingState


class Region:
    """A piece of memory that something else than operators can write to, and how it was exposed."""

    def __init__(
        self, storage: torch.UntypedStorage, how: str, scope: Scope, stack: Frame | None
    ) -> None:
        self.address = storage.data_ptr()
        self.nbytes = storage.nbytes()
        self.owner = StorageWeakRef(storage)  # while it lasts, no other storage takes its number
        self.how = how
        self.scope = scope
        self.stack = stack
        self.checksum = 0
        self.settle()

    def settle(self) -> None:
        """Take the present contents as known."""
        self.checksum = self._present()

    def changed(self) -> bool:
        """Whether the contents are not those that were known; from now on they are."""
        before, self.checksum = self.checksum, self._present()
        return self.checksum != before

    def _present(self) -> int:
        return zlib.crc32((ctypes.c_char * self.nbytes).from_address(self.address))


class ExposedMemory:
    """Watches the exposed storages of one trace.

    Attributes:
        on_first: called when there begins to be something to watch.
        on_last: called when all that was watched is gone.
    """

    def __init__(self, state: TracingState) -> None:
        self._state = state
        self._regions: dict[int, Region] = {}  # by storage; two may be of the same memory
        self.on_first: Callable[[], None] = lambda: None
        self.on_last: Callable[[], None] = lambda: None

    def add(self, tensor: torch.Tensor, how: str, scope: Scope, stack: Frame | None) -> None:
        """Watch the storage of a tensor from now on."""
        storage = _plain_memory(tensor)
        if storage is None:
            return
        if not self._regions:
            self.on_first()
        key = storage_key(tensor)
        known = self._regions.get(key)
        if known is None or known.owner.expired():
            self._regions[key] = Region(storage, how, scope, stack)

    def touch(self, args: Any) -> list[Region]:
        """Record what was written to exposed storages among an operator's arguments; return those."""
        for key in [key for key, region in self._regions.items() if region.owner.expired()]:
            del self._regions[key]
        if not self._regions:
            self.on_last()
            return []
        touched: dict[int, Region] = {}
        for tensor in tensors_in(args):
            region = self._region_of(tensor)
            if region is not None and id(region) not in touched:
                touched[id(region)] = region
                self._compare(region)
        return list(touched.values())

    def finish(self) -> list[Region]:
        """Record what was written since an operator last touched the exposed storages; return those."""
        regions = [
            region for region in dict.fromkeys(self._regions.values()) if not region.owner.expired()
        ]
        for region in regions:
            self._compare(region)
        return regions

    def close(self) -> None:
        """Watch nothing any more, and let go of who was to be called."""
        if self._regions:
            self._regions.clear()
            self.on_last()
        self.on_first = self.on_last = lambda: None

    def record_contents(
        self, tensor: torch.Tensor, how: str, scope: Scope, stack: Frame | None
    ) -> None:
        """Record that the memory of a known tensor holds what it now holds, and report it."""
        state = self._state
        value = state.values.get(tensor) or state.kept.value_of(tensor)
        if value is None:
            return
        state.sizes.pin(tensor)
        with kernels().excluded():
            contents = plain_data.__get__(tensor).clone()
        constant = state.kept.constant(contents, "written", is_copy=True)
        node = state.graph.append(
            WRITE, (value, constant), (), scope=scope, stack=stack, modes=state.graph.modes
        )
        state.report(
            DiagnosticKind.UNTRACKED_WRITE,
            f"the memory of a tensor {type_of_tensor(tensor)} is written {how}, which is not recorded; a "
            "replay writes what was written in the trace, whatever its inputs",
            scope,
            stack,
            nodes=(node,),
            shaped=value,
        )

    def join(self, tensor: torch.Tensor) -> tuple[torch.Tensor, int] | None:
        """Return a known tensor of whose exposed memory this tensor is a part, and where it begins.

        The place is an offset in elements from the beginning of the storage. The tensor's own storage
        is watched as the same memory from now on.
        """
        storage = _plain_memory(tensor)
        if storage is None:
            return None
        start = storage.data_ptr() + plain_offset(tensor) * tensor.element_size()
        for region in self._regions.values():
            if not region.owner.expired() and 0 <= start - region.address < region.nbytes:
                place, rest = divmod(start - region.address, tensor.element_size())
                for known in self._known_in(region):
                    if known.dtype == tensor.dtype and not rest:
                        self._regions[storage_key(tensor)] = region
                        return known, place
        return None

    def _region_of(self, tensor: torch.Tensor) -> Region | None:
        try:
            return self._regions.get(storage_key(tensor))
        except (RuntimeError, NotImplementedError):  # sparse tensors and wrappers have no storage
            return None

    def _compare(self, region: Region) -> None:
        """Record the contents of the known tensors of a region if something wrote there."""
        if not region.changed():
            return
        covered = False
        for tensor in sorted(self._known_in(region), key=plain_numel, reverse=True):
            if not covered:
                self.record_contents(tensor, region.how, region.scope, region.stack)
            covered |= plain_numel(tensor) * tensor.element_size() == region.nbytes

    def _known_in(self, region: Region) -> Iterator[torch.Tensor]:
        for tensor, _ in self._state.values.live():
            if self._region_of(tensor) is region:
                yield tensor
        for tensor in self._state.kept.candidates():
            if self._region_of(tensor) is region and self._state.values.get(tensor) is None:
                yield tensor


def _plain_memory(tensor: torch.Tensor) -> torch.UntypedStorage | None:
    """Return the storage of a tensor; None where it is not memory that this process can read."""
    is_fake = isinstance(tensor, FakeTensor)
    if is_fake or tensor.layout is not torch.strided or tensor.device.type != "cpu":
        return None
    try:
        storage: torch.UntypedStorage = plain_untyped_storage(tensor)
        return storage if storage.nbytes() and storage.data_ptr() else None
    except (RuntimeError, NotImplementedError):  # wrappers have none
        return None
