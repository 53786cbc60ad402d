"""Inputs like those of a trace, in other sizes and without data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from ...errors import InputError
from ...ir import Literal, TensorType
from .inputs import InputSpec

Sizes: TypeAlias = Mapping[str, int | Sequence[int | None] | Mapping[int, int]]
"""Sizes by what has them: by the name of an input a shape, in which None is a size that stays, or some sizes
by their dimension; by a name that ``dynamic=`` gave to dimensions one size."""


def inputs_at(
    spec: InputSpec, sizes: Sizes, literal: Callable[[Literal], Any]
) -> list[torch.Tensor]:
    """Return the inputs of a program in other sizes, on the meta device.

    Args:
        spec: what the program takes.
        sizes: those that are to be others.
        literal: turns a literal into the object that it stands for.

    Raises:
        InputError: there is no input or dimension of a name, or the input cannot have these sizes.
    """
    asked = _by_input(spec, sizes)
    made: list[torch.Tensor] = []
    for position, (name, type_) in enumerate(zip(spec.names, spec.types, strict=True)):
        twin, kept = spec.same_as[position], spec.state[position]
        changes = asked.get(name, {})
        if twin is not None:
            if changes and changes != asked.get(spec.names[twin], {}):
                raise InputError(f"input {name} is {spec.names[twin]}: give both the same sizes")
            made.append(made[twin])
        elif kept is not None:
            if changes:
                raise InputError(f"input {name} is {kept[0]} of the program, and has its sizes")
            made.append(kept[1])
        else:
            dtype = literal(type_.dtype) if type_.dtype is not None else None
            made.append(_empty(name, type_, dtype, changes))
    return made


def _by_input(spec: InputSpec, sizes: Sizes) -> dict[str, dict[int, int]]:
    """Return the sizes that are to be others, by input and dimension."""
    asked: dict[str, dict[int, int]] = {}
    for name, wanted in sizes.items():
        if name in spec.names:
            type_ = spec.types[spec.names.index(name)]
            _include(asked, name, _by_dimension(name, type_, wanted))
            continue
        found = [
            (input_name, dimension)
            for input_name, dimensions in zip(spec.names, spec.dimensions, strict=True)
            for dimension, dimension_name in dimensions.items()
            if dimension_name == name
        ]
        if not found:
            named = sorted({n for dims in spec.dimensions for n in dims.values() if n})
            known = ", ".join([*dict.fromkeys(spec.names), *named]) or "none"
            raise InputError(
                f"no input, and no dimension that dynamic= named, is called {name!r}; there are {known}"
            )
        if not _is_size(wanted):
            raise InputError(f"the dimension {name!r} takes one size, not {wanted!r}")
        for input_name, dimension in found:
            _include(asked, input_name, {dimension: wanted})  # type: ignore[dict-item]
    return asked


def _include(asked: dict[str, dict[int, int]], name: str, changes: dict[int, int]) -> None:
    known = asked.setdefault(name, {})
    for dimension, size in changes.items():
        if known.setdefault(dimension, size) != size:
            raise InputError(
                f"{name}.size({dimension}) is asked to be {known[dimension]} and {size}"
            )


def _by_dimension(
    name: str, type_: TensorType, wanted: int | Sequence[int | None] | Mapping[int, int]
) -> dict[int, int]:
    rank = type_.rank
    if isinstance(wanted, Mapping):
        changes = dict(wanted)
    elif isinstance(wanted, Sequence) and len(wanted) == rank:
        changes = {d: size for d, size in enumerate(wanted) if size is not None}
    else:
        raise InputError(f"input {name} is {type_}: it takes {rank} sizes, not {wanted!r}")
    for dimension, size in changes.items():
        if not _is_size(size) or rank is None or not -rank <= dimension < rank:
            raise InputError(
                f"input {name} is {type_}: its dimension {dimension} cannot have the size {size!r}"
            )
    return {dimension % rank: size for dimension, size in changes.items()} if rank else {}


def _is_size(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0


def _empty(
    name: str, type_: TensorType, dtype: torch.dtype | None, changes: Mapping[int, int]
) -> torch.Tensor:
    """Return a tensor of a type without memory, its elements in the order that they have in the type."""
    shape = type_.shape
    plain = [size for size in shape or () if isinstance(size, int)]
    is_plain = shape is not None and len(plain) == len(shape) and type_.layout.name == "strided"
    if not is_plain or type_.class_name or dtype is None:
        raise InputError(f"input {name} is {type_}, which cannot be made in other sizes")
    sizes = [changes.get(dimension, size) for dimension, size in enumerate(plain)]
    if type_.strides is None:
        made = torch.empty(sizes, dtype=dtype, device="meta")
    elif sizes == plain:
        made = torch.empty_strided(sizes, type_.strides, dtype=dtype, device="meta")
    else:
        order = sorted(range(len(sizes)), key=lambda d: -type_.strides[d])  # type: ignore[index]
        back = [order.index(dimension) for dimension in range(len(sizes))]
        made = torch.empty([sizes[d] for d in order], dtype=dtype, device="meta").permute(back)
    return made.requires_grad_() if type_.requires_grad else made
