"""The state of a program as JSON: its tensors without their data, and the places and objects it refers to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ...errors import FormatError
from ..dtype import DType
from ..types import TensorType, Type
from .fields import MOST_DEEP, MOST_WHOLE, fields, flag, item, listed, tagged, text, whole, wrong
from .objects import ObjectReader, ObjectWriter
from .records import (
    PlaceRef,
    SavedCircumstance,
    SavedCondition,
    SavedGenerator,
    SavedHolder,
    SavedPlace,
    SavedTensor,
    StateRecord,
)
from .stand_ins import TensorRef

TENSOR_KINDS: Final = ("strided", "coo", "compressed", "quantized", "meta")
_PLACE_KINDS: Final = ("number", "tensor", "place")
_CONDITIONS: Final = ("absent", "alike", "length")
CONTAINERS: Final = ("dict", "list", "tuple")
"""The classes of containers that conditions tell of."""

_FLAGS: Final = ("conj", "neg", "inference", "coalesced")
_NUMBERS: Final = ("int", "float")
_DTYPES: Final = {dtype.value: dtype for dtype in DType}
_PARTS: Final = ("objects", "tensors", "entries", "places", "holders")
_OF_TENSOR: Final = (
    "kind", "dtype", "shape", "strides", "offset", "entry", "device", "parameter", "requires_grad",
    "flags", "layout", "parts", "quantization", "gradient",
)  # fmt: skip


class StateWriter:
    """Writes state, and what circumstances refer to in it."""

    def __init__(self, objects: ObjectWriter, type_number: Callable[[Type], int]) -> None:
        self._objects = objects
        self._type = type_number

    def write(self, record: StateRecord) -> dict[str, Any]:
        """Return the JSON of a program's state."""
        return {
            "objects": [[name, self._object(name, held)] for name, held in record.objects.items()],
            "tensors": list(map(self._tensor, record.tensors)),
            "entries": list(record.entries),
            "places": list(map(self._place, record.places)),
            "holders": [
                [h.name, h.class_name, self._objects.write(h.content, h.name)]
                for h in record.holders
            ],
        }

    def _object(self, name: str, held: Any) -> Any:
        if isinstance(held, PlaceRef):
            return {"place": held.number}
        if isinstance(held, SavedGenerator):
            return {"generator": [held.device, held.state]}
        return {"object": self._objects.write(held, name)}

    def _tensor(self, tensor: SavedTensor) -> dict[str, Any]:
        made: dict[str, Any] = {
            "kind": tensor.kind,
            "dtype": tensor.dtype.value,
            "shape": list(tensor.shape),
            "device": tensor.device,
        }
        if tensor.kind in ("strided", "meta"):
            made["strides"] = list(tensor.strides)
            made["offset"] = tensor.offset
        if tensor.entry is not None:
            made["entry"] = tensor.entry
        for name, held in (("flags", tensor.flags), ("parts", tensor.parts)):
            if held:
                made[name] = list(held)
        if tensor.quantization:
            made["quantization"] = [self._objects.write(q, "") for q in tensor.quantization]
        if tensor.layout:
            made["layout"] = tensor.layout
        if tensor.is_parameter:
            made["parameter"] = True
        if tensor.requires_grad:
            made["requires_grad"] = True
        if tensor.gradient is not None:
            made["gradient"] = tensor.gradient
        return made

    def _place(self, place: SavedPlace) -> list[Any]:
        type_ = place.type if isinstance(place.type, str) else self._type(place.type)
        keys = self._objects.write(tuple(place.keys), place.name)
        return [place.kind, place.name, place.holder, keys, type_, place.is_replaced]

    def details(self, circumstance: SavedCircumstance) -> list[Any]:
        """Return how a circumstance is asked for, as JSON."""
        match circumstance.asked:
            case "setting":
                call, answer = circumstance.details
                return [call, self._objects.write(answer, call)]
            case "fact":
                name, answer, tensors = circumstance.details
                return [name, answer, list(map(list, tensors))]
            case "places":
                return list(map(self._condition, circumstance.details))
        return []

    def _condition(self, condition: SavedCondition) -> list[Any]:
        mark = self._objects.write(condition.mark, condition.text)
        return [condition.text, condition.place, condition.kind, mark]


class StateReader:
    """Reads what :class:`StateWriter` wrote.

    Attributes:
        objects: reads objects, which may refer to tensors of the state.
        place_count: how many places there are.
    """

    def __init__(self, types: Sequence[Type], content: Any, absent: Any) -> None:
        self._types = types
        self._parts = None if content is None else fields(content, "state", _PARTS)
        parts = self._parts or {name: [] for name in _PARTS}
        self._rows = [listed(parts[name], f"state.{name}") for name in _PARTS]
        self.objects = ObjectReader(absent, len(self._rows[1]))
        self.place_count = len(self._rows[3])

    def read(self) -> StateRecord | None:
        """Return the state; None if the file holds none."""
        if self._parts is None:
            return None
        objects, tensors, entries, places, holders = self._rows
        pairs = [listed(pair, "state.objects", 2) for pair in objects]
        names = tuple([text(name, "state.entries") for name in entries])
        if len(set(names)) < len(names):
            raise FormatError("state.entries has a name twice")
        return StateRecord(
            {text(name, "state.objects"): self._object(held) for name, held in pairs},
            tuple([self._tensor(row, n, names) for n, row in enumerate(tensors)]),
            names,
            tuple([self._place(row, len(holders)) for row in places]),
            tuple(map(self._holder, holders)),
        )

    def _object(self, value: Any) -> Any:
        where = "state.objects"
        kind, content = tagged(value, where)
        match kind:
            case "place":
                return PlaceRef(whole(content, where, 0, self.place_count - 1))
            case "generator":
                device, state = listed(content, where, 2)
                number = None if state is None else self._number(state, where)
                return SavedGenerator(text(device, where), number)
            case "object":
                return self.objects.read(content, where)
        raise FormatError(f"{where} has one of a kind {kind!r}, which this version does not know")

    def _number(self, value: Any, where: str) -> int:
        return whole(value, where, 0, self.objects.tensor_count - 1)

    def _tensor(self, value: Any, number: int, entries: Sequence[str]) -> SavedTensor:
        where = f"state.tensors[{number}]"
        parts = fields(value, where, ("kind", "dtype", "shape", "device"), _OF_TENSOR)
        kind, dtype, entry = parts["kind"], parts["dtype"], parts.get("entry")
        if kind not in TENSOR_KINDS:
            raise wrong(f"{where}.kind", "one of " + ", ".join(TENSOR_KINDS), kind)
        if dtype.__class__ is not str or dtype not in _DTYPES:
            raise wrong(f"{where}.dtype", "an element type", dtype)
        flags = listed(parts.get("flags", []), where)
        for name in flags:
            if name not in _FLAGS:
                raise wrong(f"{where}.flags", "names of flags", name)
        gradient = parts.get("gradient")
        quantization = listed(parts.get("quantization", []), where)
        tensor = SavedTensor(
            kind,
            _DTYPES[dtype],
            _wholes(parts["shape"], where),
            _wholes(parts.get("strides", []), where),
            whole(parts.get("offset", 0), where),
            None if entry is None else whole(entry, where, 0, len(entries) - 1),
            text(parts["device"], where),
            flag(parts.get("parameter", False), where),
            flag(parts.get("requires_grad", False), where),
            tuple(flags),
            text(parts.get("layout", ""), where),
            # Earlier ones, so that none is made of itself.
            tuple([whole(n, where, 0, number - 1) for n in listed(parts.get("parts", []), where)]),
            tuple([self.objects.read(each, where) for each in quantization]),
            None if gradient is None else whole(gradient, where, 0, number - 1),
        )
        _require_sense(tensor, where)
        return tensor

    def _place(self, row: Any, holders: int) -> SavedPlace:
        where = "state.places"
        kind, name, holder, keys, type_, is_replaced = listed(row, where, 6)
        if kind not in _PLACE_KINDS:
            raise wrong(where, "kinds of places", kind)
        way = self.objects.read(keys, where)
        if not isinstance(way, tuple) or not way or len(way) > MOST_DEEP:
            raise FormatError(f"{where} has one without a way")
        if not all(isinstance(key, str | int | TensorRef) for key in way):
            raise FormatError(f"{where} has a way of other steps than names, numbers and tensors")
        if kind == "tensor":
            type_ = item(type_, self._types, where, "types")
            if not isinstance(type_, TensorType):
                raise FormatError(f"{where} has a tensor of another type")
        elif kind == "number" and type_ not in _NUMBERS:
            raise wrong(where, "classes of numbers", type_)
        return SavedPlace(
            kind,
            text(name, where),
            whole(holder, where, 0, holders - 1),
            way,
            type_ if isinstance(type_, TensorType) else text(type_, where),
            flag(is_replaced, where),
        )

    def _holder(self, row: Any) -> SavedHolder:
        name, class_name, content = listed(row, "state.holders", 3)
        held = self.objects.read(content, "state.holders")
        if not isinstance(held, dict | list):
            raise FormatError("state.holders has one that holds nothing")
        return SavedHolder(text(name, "state.holders"), text(class_name, "state.holders"), held)

    def details(self, asked: str, value: Any) -> tuple[Any, ...]:
        """Return how a circumstance is asked for."""
        where = "circumstances.details"
        match asked:
            case "setting":
                call, answer = listed(value, where, 2)
                return text(call, where), self.objects.read(answer, where)
            case "fact":
                name, answer, tensors = listed(value, where, 3)
                pairs = [listed(pair, where, 2) for pair in listed(tensors, where)]
                found = tuple([(self._number(n, where), text(t, where)) for n, t in pairs])
                return text(name, where), flag(answer, where), found
            case "places":
                return tuple([self._condition(row, where) for row in listed(value, where)])
        listed(value, where, 0)
        return ()

    def _condition(self, row: Any, where: str) -> SavedCondition:
        what, place, kind, mark = listed(row, where, 4)
        if kind not in _CONDITIONS:
            raise wrong(where, "kinds of conditions", kind)
        number = whole(place, where, 0, self.place_count - 1)
        read = self.objects.read(mark, where)
        if not _is_mark_of(kind, read):
            raise FormatError(f"{where} has a condition that says nothing")
        return SavedCondition(text(what, where), number, kind, read)


def _is_mark_of(kind: str, mark: Any) -> bool:
    """Whether a mark is what a condition of this kind has."""
    match kind, mark:
        case "absent", None:
            return True
        case "length", (name, count):
            return name in CONTAINERS and type(count) is int
        case "alike", (inner, are_followed):
            return type(are_followed) is bool and _is_mark(inner)
    return False


def _is_mark(mark: Any) -> bool:
    match mark:
        case ("tensor",) | ("plain", None | bool() | int() | float() | complex() | str()):
            return True
        case ("container", name, list(pairs)):
            return name in CONTAINERS and all(
                type(pair) is tuple
                and len(pair) == 2
                and isinstance(pair[0], str | int | TensorRef)
                and _is_mark(pair[1])
                for pair in pairs
            )
    return False


def _wholes(value: Any, where: str) -> tuple[int, ...]:
    return tuple([whole(each, where) for each in listed(value, where)])


def _require_sense(tensor: SavedTensor, where: str) -> None:
    """Raise a FormatError where the facts of a tensor do not fit each other."""
    is_laid_out = tensor.kind in ("strided", "meta")
    fits = len(tensor.strides) == (len(tensor.shape) if is_laid_out else 0)
    fits = fits and (tensor.entry is not None) == (tensor.kind == "strided")
    fits = fits and bool(tensor.parts) == (tensor.kind not in ("strided", "meta"))
    if not fits:
        raise FormatError(f"{where} has parts that do not fit a tensor of kind {tensor.kind}")
    numel = 1
    for size in tensor.shape:
        numel *= size
    if numel * tensor.dtype.nbytes > MOST_WHOLE:
        raise FormatError(f"{where} has a shape of more bytes than there can be")


def extent(shape: Sequence[int], strides: Sequence[int], offset: int, dtype: DType) -> int:
    """Return how many bytes of its memory a strided tensor reaches into, from the start."""
    if 0 in shape:
        return 0
    last = sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    return (offset + last + 1) * dtype.nbytes
