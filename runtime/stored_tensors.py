"""Tensors as records and memories, to be written to a file, and made again from what was read of one.

What comes back is what was: element type, sizes, strides, place in memory, memory that several tensors share,
``requires_grad``, conjugate, negative and inference bits, sparse and quantized tensors, gradients. What
cannot come back so is refused when it is written.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import IO, Any, Final, cast

import torch

from ..errors import FormatError, ReplayError
from ..ir import DType, TensorType
from ..ir.files import Entry, Readable, SavedTensor, extent
from .literals import torch_literal

_CHUNK: Final = 64 << 20  # bytes copied at a time
_PLAIN: Final = (torch.Tensor, torch.nn.Parameter)
_COMPRESSED: Final = {
    torch.sparse_csr: ("crow_indices", "col_indices"),
    torch.sparse_csc: ("ccol_indices", "row_indices"),
    torch.sparse_bsr: ("crow_indices", "col_indices"),
    torch.sparse_bsc: ("ccol_indices", "row_indices"),
}
_PER_TENSOR: Final = (torch.per_tensor_affine,)
_PER_CHANNEL: Final = (torch.per_channel_affine,)


@dataclass
class TensorWriter:
    """Collects the tensors of a program's state, each once, and the memories that they lie in.

    Attributes:
        type_of: tells the type of a tensor.
        with_gradients: whether the gradients of tensors are kept too.
        records: the tensors.
        entries: the memories.
    """

    type_of: Callable[[torch.Tensor], TensorType]
    with_gradients: bool = False
    records: list[SavedTensor] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    _storages: list[torch.UntypedStorage] = field(default_factory=list)
    _numbers: dict[int, int] = field(default_factory=dict)
    _held: list[torch.Tensor] = field(default_factory=list)  # so that ids stay theirs
    _places: dict[tuple[int, int, str], int] = field(
        default_factory=dict
    )  # of memories, by address
    _taken: set[str] = field(default_factory=lambda: {"__metadata__"})  # names of entries
    _unshared: set[int] = field(default_factory=set)  # addresses of others

    def add(self, tensor: torch.Tensor, name: str) -> int:
        """Return the number of a tensor, which is called ``name`` in messages and in the file.

        Raises:
            FormatError: the file cannot hold it exactly.
        """
        known = self._numbers.get(id(tensor))
        if known is not None:
            return known
        _require_storable(tensor, name)
        gradient = None
        if self.with_gradients and tensor.is_leaf and tensor.grad is not None:
            gradient = self.add(tensor.grad, f"{name}.grad")
        record = self._record(tensor, name)
        self._held.append(tensor)
        self._numbers[id(tensor)] = len(self.records)
        self.records.append(replace(record, gradient=gradient))
        return len(self.records) - 1

    def number(self, tensor: torch.Tensor) -> int | None:
        """Return the number of a tensor that was added; None if it was not."""
        return self._numbers.get(id(tensor))

    def _record(self, tensor: torch.Tensor, name: str) -> SavedTensor:
        dtype = self.type_of(tensor).dtype
        if dtype is None:
            raise FormatError(f"{name} has elements {tensor.dtype}, which the file does not know")
        flags = [flag for flag in ("conj", "neg", "inference") if getattr(tensor, f"is_{flag}")()]
        plain = SavedTensor(
            kind="strided",
            dtype=dtype,
            shape=tuple(tensor.shape),
            device=str(tensor.device),
            is_parameter=type(tensor) is torch.nn.Parameter,
            requires_grad=tensor.requires_grad,
            flags=tuple(flags),
        )
        if tensor.is_meta:
            if tensor.layout is not torch.strided or tensor.is_quantized:
                raise FormatError(f"{name} has no data, and a layout that the file cannot hold")
            strides, offset = tuple(tensor.stride()), int(tensor.storage_offset())
            return replace(plain, kind="meta", strides=strides, offset=offset)
        if tensor.is_quantized:
            return self._quantized(tensor, name, plain)
        if tensor.layout is torch.strided:
            return replace(
                plain,
                strides=tuple(tensor.stride()),
                offset=int(tensor.storage_offset()),
                entry=self._entry(tensor, name, dtype),
            )
        return self._sparse(tensor, name, plain)

    def _entry(self, tensor: torch.Tensor, name: str, dtype: DType) -> int:
        """Return the number of the memory of a tensor."""
        storage = tensor.untyped_storage()
        # An empty one has no address, and nothing to share.
        key = (storage.data_ptr() or -len(self.entries) - 1, storage.nbytes(), str(storage.device))
        known = self._places.get(key)
        if known is not None:
            return known
        nbytes = int(storage.nbytes())
        if nbytes < extent(tensor.shape, tensor.stride(), int(tensor.storage_offset()), dtype):
            raise FormatError(
                f"{name} has less memory than elements, as where that was given back for a while\n"
                "  save the program while it has it, or without its state: state=False"
            )
        is_all = tensor.is_contiguous() and tensor.numel() * tensor.element_size() == nbytes
        free, suffix = name, 0
        while free in self._taken:
            suffix += 1
            free = f"{name}.{suffix}"
        self._taken.add(free)
        entry = Entry(free, nbytes, dtype if is_all else None, tuple(tensor.shape))
        self._places[key] = len(self.entries)
        self.entries.append(entry)
        self._storages.append(storage)
        return len(self.entries) - 1

    def _sparse(self, tensor: torch.Tensor, name: str, plain: SavedTensor) -> SavedTensor:
        layout = str(tensor.layout).removeprefix("torch.")
        if tensor.layout is torch.sparse_coo:
            parts = {"indices": tensor._indices(), "values": tensor._values()}
            flags = (*plain.flags, "coalesced") if tensor.is_coalesced() else plain.flags
            plain = replace(plain, kind="coo", flags=flags)
        elif tensor.layout in _COMPRESSED:
            names = _COMPRESSED[tensor.layout]
            parts = {part: getattr(tensor, part)() for part in names}
            parts["values"] = tensor.values()
            plain = replace(plain, kind="compressed")
        else:
            raise FormatError(f"{name} is of layout {layout}, which the file cannot hold")
        numbers = [self.add(part.detach(), f"{name}.{key}") for key, part in parts.items()]
        return replace(plain, layout=layout, parts=tuple(numbers))

    def _quantized(self, tensor: torch.Tensor, name: str, plain: SavedTensor) -> SavedTensor:
        scheme = tensor.qscheme()
        numbers = [self.add(tensor.int_repr(), f"{name}.int_repr")]
        if scheme in _PER_TENSOR:
            facts: tuple[Any, ...] = ("tensor", tensor.q_scale(), tensor.q_zero_point())
        elif scheme in _PER_CHANNEL:
            facts = ("channel", tensor.q_per_channel_axis())
            numbers.append(self.add(tensor.q_per_channel_scales(), f"{name}.scales"))
            numbers.append(self.add(tensor.q_per_channel_zero_points(), f"{name}.zero_points"))
        else:
            raise FormatError(f"{name} is quantized by {scheme}, which the file cannot hold")
        made = replace(plain, kind="quantized", parts=tuple(numbers), quantization=facts)
        if not tensor.is_contiguous():
            raise FormatError(
                f"{name} is quantized and not laid out row by row, which the file cannot hold"
            )
        self._require_own_memory(tensor, name)
        return made

    def _require_own_memory(self, tensor: torch.Tensor, name: str) -> None:
        """Refuse a tensor that is not written as the memory it lies in, if another one lies there too."""
        address = tensor.untyped_storage().data_ptr()
        if address in self._unshared:
            raise FormatError(
                f"{name} and another quantized tensor share memory, which the file cannot hold"
            )
        self._unshared.add(address)

    def require_apart(self) -> None:
        """Refuse memories that overlap, as those of arrays of NumPy may.

        Raises:
            FormatError: two do.
        """
        spans = sorted(
            (device, start, start + nbytes, place)
            for (start, nbytes, device), place in self._places.items()
            if start > 0
        )
        for one, other in pairwise(spans):
            if one[0] == other[0] and other[1] < one[2]:
                names = [self.entries[place].name for place in (one[3], other[3])]
                raise FormatError(
                    f"{' and '.join(names)} lie in memories that overlap, which the file cannot hold\n"
                    "  clone one of them, or save the program without its state: state=False"
                )

    def write(self, stream: IO[bytes]) -> None:
        """Write the data of the memories, one after the other. O(bytes)."""
        for storage in self._storages:
            on_cpu = cast(Any, storage).cpu()
            for view in _chunks(on_cpu):
                stream.write(view)

    @property
    def nbytes(self) -> int:
        """How many bytes :meth:`write` writes."""
        return sum(entry.nbytes for entry in self.entries)


def _require_storable(tensor: torch.Tensor, name: str) -> None:
    class_ = type(tensor)
    if class_ not in _PLAIN:
        raise FormatError(
            f"{name} is a {class_.__module__}.{class_.__qualname__}, which the file cannot hold exactly\n"
            "  save the program without its state: state=False"
        )
    if tensor.is_nested:
        raise FormatError(
            f"{name} is a nested tensor, which the file cannot hold exactly\n"
            "  save the program without its state: state=False"
        )
    if tensor.grad_fn is not None:
        raise FormatError(
            f"{name} was computed by {tensor.grad_fn.name()}, which autograd knows and the file cannot hold\n"
            "  detach it, or save the program without its state: state=False"
        )


def _chunks(storage: torch.UntypedStorage) -> list[memoryview]:
    """Return the memory of a storage on the CPU, in pieces."""
    nbytes = storage.nbytes()
    if not nbytes:
        return []
    whole = memoryview((ctypes.c_char * nbytes).from_address(storage.data_ptr())).cast("B")
    return [whole[start : start + _CHUNK] for start in range(0, nbytes, _CHUNK)]


def read_memories(stream: Readable, sizes: Sequence[int]) -> list[torch.UntypedStorage]:
    """Return memories on the CPU with the data that comes next in a stream. O(bytes).

    Raises:
        FormatError: the stream ends before.
    """
    make: Any = torch.UntypedStorage
    storages: list[torch.UntypedStorage] = [make(size) for size in sizes]
    for storage in storages:
        for view in _chunks(storage):
            _fill(view, stream)
    return storages


def _fill(view: memoryview, stream: Readable) -> None:
    done = 0
    while done < len(view):
        content = stream.read(len(view) - done)
        if not content:
            raise FormatError("the data of tensors ends before it is complete")
        view[done : done + len(content)] = content
        done += len(content)


def make_tensors(
    records: Sequence[SavedTensor], memories: Sequence[torch.UntypedStorage]
) -> list[torch.Tensor]:
    """Return the tensors that records describe, in memories on the CPU or wherever they were.

    Raises:
        ReplayError: one is on a device, or of a dtype, that is not here.
    """
    moved: dict[tuple[int, str], torch.UntypedStorage] = {}
    tensors: list[torch.Tensor] = []
    for record in records:
        try:
            with torch.inference_mode("inference" in record.flags), torch.no_grad():
                made = _made(record, tensors, memories, moved)
                if record.is_parameter:
                    made = torch.nn.Parameter(made, requires_grad=record.requires_grad)
        except (RuntimeError, TypeError, AssertionError) as error:
            raise ReplayError(
                f"a tensor {record.dtype}{list(record.shape)} on {record.device} cannot be made here: {error}"
            ) from error
        if record.requires_grad and not record.is_parameter:
            made.requires_grad_()
        if record.gradient is not None:
            made.grad = tensors[record.gradient]
        tensors.append(made)
    return tensors


def _made(
    record: SavedTensor,
    tensors: Sequence[torch.Tensor],
    memories: Sequence[torch.UntypedStorage],
    moved: dict[tuple[int, str], torch.UntypedStorage],
) -> torch.Tensor:
    dtype, device = torch_literal(record.dtype), torch.device(record.device)
    parts = [tensors[number] for number in record.parts]
    match record.kind:
        case "meta":
            made = torch.empty_strided(record.shape, record.strides, dtype=dtype, device="meta")
            return made.as_strided(record.shape, record.strides, record.offset)
        case "coo":  # checked, since indices beyond the sizes would reach into other memory
            indices, values = parts
            return torch.sparse_coo_tensor(
                indices,
                values,
                record.shape,
                is_coalesced="coalesced" in record.flags,
                check_invariants=True,
            )
        case "compressed":
            outer, inner, values = parts
            layout = getattr(torch, record.layout, None)
            return torch.sparse_compressed_tensor(
                outer, inner, values, record.shape, layout=layout, check_invariants=True
            )
        case "quantized":
            return _quantized(record, parts)
    assert record.entry is not None, "a strided tensor has a memory"
    key = record.entry, record.device
    storage = moved.get(key)
    if storage is None:
        storage = moved[key] = _on(memories[record.entry], device)
    made = torch.empty(0, dtype=dtype, device=device)
    made.set_(cast(Any, storage), record.offset, record.shape, record.strides)
    made = made.conj() if "conj" in record.flags else made
    return torch._neg_view(made) if "neg" in record.flags else made


def _on(storage: torch.UntypedStorage, device: torch.device) -> torch.UntypedStorage:
    if device.type == "cpu":
        return storage
    elements = torch.empty(0, dtype=torch.uint8).set_(cast(Any, storage))
    return elements.to(device).untyped_storage()


def _quantized(record: SavedTensor, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    scheme, *facts = record.quantization
    if scheme == "tensor":
        return torch._make_per_tensor_quantized_tensor(parts[0], *facts)
    whole, scales, zero_points = parts
    return torch._make_per_channel_quantized_tensor(whole, scales, zero_points, *facts)
