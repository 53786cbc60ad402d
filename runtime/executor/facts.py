"""What guards promise of the inputs of a plan, made of the types that inputs had in the runs before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...ir import TensorType
from ...ir.literals import STRIDED
from ...ir.types import Dim, SymDim, row_major_strides
from .strategy import Kind


@dataclass(frozen=True, slots=True)
class InputFact:
    """What is promised of one input.

    Attributes:
        number: which input of the graph it is.
        name: what the user calls it.
        base: its element type, device, layout and class.
        shape: its sizes; sizes of one name are equal, in all inputs. None where nothing is promised of them.
        strides: its steps, in elements; None where only their order is promised, or nothing.
        order: its dimensions from the outermost to the innermost, where they lie densely in memory.
        requires_grad: whether autograd follows it; None where it may and may not.
    """

    number: int
    name: str
    base: TensorType
    shape: tuple[Dim, ...] | None = None
    strides: tuple[int, ...] | None = None
    order: tuple[int, ...] | None = None
    requires_grad: bool | None = None

    @property
    def type(self) -> TensorType:
        """The type of the input as far as a type can say what is promised."""
        told = replace(self.base, requires_grad=self.requires_grad is not False)
        if self.shape is None:
            return told
        if self.strides is not None:
            row_major = row_major_strides(tuple(size for size in self.shape if type(size) is int))
            return replace(
                told,
                shape=self.shape,
                strides=None if self.strides == row_major else self.strides,
            )
        is_row_major = self.order == tuple(range(len(self.shape)))
        return replace(told, shape=self.shape) if is_row_major else told

    @property
    def is_exact(self) -> bool:
        """Whether all sizes and strides are promised."""
        return self.strides is not None and all(isinstance(size, int) for size in self.shape or ())

    def __str__(self) -> str:
        shown = replace(self.type, shape=self.shape, requires_grad=bool(self.requires_grad))
        text = f"input {self.number} {self.name} : {shown}"
        if self.order is not None and self.order != tuple(range(len(self.order))):
            text += f", dense in the order {self.order}"
        elif self.shape is not None and self.strides is None and self.order is None:
            text += ", any strides"
        return text if self.requires_grad is not None else f"{text}, with and without grad"


def facts_of(
    inputs: Sequence[tuple[str, frozenset[int]] | None],
    found: Iterable[tuple[int, TensorType, bool | None]],
    kind: Kind,
) -> tuple[InputFact, ...]:
    """Return what to hold inputs to.

    Args:
        inputs: per input its name and the dimensions whose size may differ.
        found: the number of an input, the type that runs have in common, and whether autograd followed it.
        kind: how closely to hold on to it.
    """
    facts = []
    found = list(found)
    names: dict[int, SymDim] = {}  # of sizes that were equal, for plans that hold to that only
    taken = {
        size.name for _, type_, _ in found for size in type_.shape or () if isinstance(size, SymDim)
    }
    for number, type_, requires_grad in found:
        known = inputs[number]
        if known is None or type_.layout != STRIDED or type_.class_name:
            continue
        base = replace(type_, shape=None, strides=None, requires_grad=False)
        fact = InputFact(number, known[0], base, requires_grad=requires_grad)
        facts.append(_with_sizes(fact, type_, kind, known[1], names, taken))
    return tuple(facts)


def _with_sizes(
    fact: InputFact,
    type_: TensorType,
    kind: Kind,
    varying: frozenset[int],
    names: dict[int, SymDim],
    taken: set[str],
) -> InputFact:
    if type_.shape is None:
        return fact
    plain = tuple([size for size in type_.shape if isinstance(size, int)])
    is_plain = len(plain) == len(type_.shape)
    if is_plain and kind is Kind.STATIC:
        return replace(fact, shape=plain, strides=type_.strides or row_major_strides(plain))
    order: tuple[int, ...] | None = None
    if type_.strides is None:
        order = tuple(range(len(type_.shape)))
    elif is_plain:
        order = _dense_order(plain, type_.strides)
    if kind is Kind.STATIC:
        return replace(fact, shape=type_.shape, strides=type_.strides, order=order)
    shape = tuple(
        _named(size, names, taken) if dimension in varying else size
        for dimension, size in enumerate(type_.shape)
    )
    return replace(fact, shape=shape, order=order)


def _named(size: Dim, names: dict[int, SymDim], taken: set[str]) -> Dim:
    """Return a name for a size; 0 and 1, which mean more to operators than other sizes, stay."""
    if isinstance(size, SymDim) or size < 2:
        return size
    if size not in names:
        number = len(taken)
        while f"s{number}" in taken:
            number += 1
        names[size] = SymDim(f"s{number}")
        taken.add(f"s{number}")
    return names[size]


def _dense_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the order in which dimensions lie one inside the other without gaps; None if they do not."""
    order = sorted(range(len(shape)), key=lambda dimension: -strides[dimension])
    step = 1
    for dimension in reversed(order):
        if strides[dimension] != step:
            return None
        step *= shape[dimension]
    return tuple(order)
