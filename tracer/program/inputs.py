"""How a program is called: arguments to leaves, and what a replay's arguments must be like."""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...errors import InputError
from ...ir import TensorType, row_major_strides
from ...ir.structure import Structure, StructureKind, parts_of, take_apart
from ..diagnostics import short_text
from ..dispatch.literals import equal_literals
from ..dispatch.number import number_of
from ..dispatch.tensors import type_of_tensor
from ..numbers.ragged import as_expected
from ..numbers.sizes import TracedSize
from ..numbers.traced_numbers import is_traced


def is_tensor(value: Any) -> bool:
    """Whether a value is a leaf of inputs and outputs."""
    return isinstance(value, torch.Tensor)


def is_opaque(value: Any) -> bool:
    """Whether a value is passed on whole, whatever tensors it may hold."""
    if type(value) is torch.Size:
        return not any(number_of(size) is not None for size in value)
    return isinstance(value, torch.nn.Module | torch.Generator | torch.device | torch.dtype)


class Arguments:
    """Turns positional and keyword arguments into one mapping by parameter name, defaults included.

    A callable may take other arguments than the function it wraps says, so the signature is the
    first of several that the arguments of the trace fit; if none does, arguments keep their order.
    """

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self._signature = next(
            (found for found in _signatures(function) if _fits(found, args, kwargs)), None
        )
        self._positional = len(args)
        self._by_name = tuple(kwargs)

    @classmethod
    def of(
        cls, signature: inspect.Signature | None, positional: int, by_name: tuple[str, ...]
    ) -> Arguments:
        """Return the same of a callable that is not there: what :attr:`signature` and the others say."""
        made = cls.__new__(cls)
        made._signature, made._positional, made._by_name = signature, positional, by_name
        return made

    @property
    def signature(self) -> inspect.Signature | None:
        """What binds arguments to names; None if they keep their order."""
        return self._signature

    @property
    def positional(self) -> int:
        """How many arguments of the trace were given by position."""
        return self._positional

    @property
    def by_name(self) -> tuple[str, ...]:
        """The names of the others."""
        return self._by_name

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name; ``*args`` and ``**kwargs`` come as one tuple and one dictionary.

        Raises:
            TypeError: they do not fit the signature.
        """
        if self._signature is None:
            return {"args": args, **kwargs}
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def unbind(self, bound: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments as they were given at the trace, which :meth:`bind` turns into ``bound``.

        Defaults are left out: a callable may refuse them beside what it adds itself.
        """
        if self._signature is None:
            kwargs = dict(bound)
            return kwargs.pop("args"), kwargs
        arguments = inspect.BoundArguments(self._signature, OrderedDict(bound))
        args = arguments.args[: self._positional]
        named = {**bound, **arguments.kwargs}
        return args, {name: named[name] for name in self._by_name}


def _signatures(function: Callable[..., Any]) -> Iterator[inspect.Signature]:
    target = function.forward if isinstance(function, torch.nn.Module) else function
    for follow_wrapped in (True, False):
        try:
            yield inspect.signature(target, follow_wrapped=follow_wrapped)
        except (TypeError, ValueError):  # built-in functions have none
            continue
    if isinstance(function, torch.nn.Module):
        yield inspect.signature(type(function).__call__.__get__(function))


def _fits(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a traced program takes.

    Attributes:
        arguments: binds calls to parameter names.
        structure: of the mapping from parameter names to arguments.
        names: a readable name per leaf: ``x``, ``batch['image']``.
        types: the tensor type per leaf that the program was traced with.
        dimensions: per leaf, the dimensions whose size may differ from the traced one, with the names
            they were given, empty where they have none.
        same_as: for a leaf that was the very tensor of an earlier leaf, the number of that leaf.
        state: for a leaf that was a parameter, buffer or constant of the program, its name and itself.
        is_exact: whether leaves must have the strides, and require gradients, as those of the trace.
    """

    arguments: Arguments
    structure: Structure
    names: tuple[str, ...]
    types: tuple[TensorType, ...]
    dimensions: tuple[dict[int, str], ...]
    same_as: tuple[int | None, ...]
    state: tuple[tuple[str, torch.Tensor] | None, ...]
    is_exact: bool = False

    def leaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        """Return the tensors among the arguments of a replay, in the order of the graph's inputs.

        Raises:
            InputError: structure, dtype, device, shape or identity differ from those of the trace.
        """
        try:
            bound = self.arguments.bind(args, kwargs)
        except TypeError as error:
            raise InputError(f"the arguments do not fit the traced program: {error}") from error
        leaves: list[torch.Tensor] = []
        _match(self.structure, bound, "", leaves)
        unequal = self.unequal_names(leaves)
        if unequal is not None:
            raise InputError(unequal)
        first: dict[int, int] = {}
        ragged: dict[str, str] = {}
        for position, leaf in enumerate(leaves):
            self._check(position, leaf, leaves, ragged)
            earlier = first.setdefault(id(leaf), position)
            if earlier != position and self.same_as[position] != earlier:
                raise InputError(
                    f"inputs {self.names[earlier]} and {self.names[position]} are one tensor now and were "
                    "two when the program was traced\n  pass a clone, or trace again with one tensor for both"
                )
        return leaves

    def unequal_names(self, leaves: Sequence[torch.Tensor]) -> str | None:
        """Say which dimensions of one name have more than one size; None if all have one."""
        known: dict[str, tuple[str, int]] = {}
        for leaf, dimensions, input_name in zip(leaves, self.dimensions, self.names, strict=True):
            for dimension, name in dimensions.items():
                if not name or dimension >= leaf.dim():
                    continue
                size = leaf.size(dimension)
                place = f"{input_name}.size({dimension})"
                first_place, first = known.setdefault(name, (place, size))
                if size != first:
                    return (
                        f"the dimension {name!r} is {first} in {first_place} and {size} in {place}"
                    )
        return None

    def _check(
        self,
        position: int,
        leaf: torch.Tensor,
        leaves: list[torch.Tensor],
        ragged: dict[str, str],
    ) -> None:
        name = self.names[position]
        expected = self.types[position]
        twin = self.same_as[position]
        if twin is not None and leaf is not leaves[twin]:
            raise InputError(
                f"inputs {self.names[twin]} and {name} were one tensor when the program was traced and are "
                "two now\n  trace again with different tensors to get a program that tells them apart"
            )
        kept = self.state[position]
        if kept is not None and leaf is not kept[1]:
            raise InputError(
                f"input {name} was {kept[0]} of the program itself when it was traced, so the graph cannot "
                "tell them apart\n  pass that tensor, or trace again with a clone"
            )
        actual = type_of_tensor(leaf)
        if actual == expected:
            return
        actual = as_expected(actual, expected, ragged)
        problem = _difference(expected, actual, self.dimensions[position])
        if problem is None and self.is_exact:
            problem = _inexactness(expected, actual)
        if problem is not None:
            raise InputError(
                f"input {name} does not fit: expected {expected}, got {actual}\n  {problem}"
            )


def input_leaves(bound: dict[str, Any]) -> tuple[list[torch.Tensor], Structure]:
    """Return the tensors among bound arguments and the structure they stand in.

    It holds copies of arrays and the like, which their owner may fill with something else.
    """
    leaves, structure = take_apart(bound, is_tensor, is_opaque, keeps_parts=True)
    return leaves, _with_own_arrays(structure)


def _with_own_arrays(structure: Structure) -> Structure:
    held = structure.constant
    if isinstance(held, bytearray) or (
        hasattr(held, "__array_interface__") and held.flags.writeable
    ):
        return replace(structure, constant=copy.copy(held))
    children = tuple(map(_with_own_arrays, structure.children))
    is_same = all(one is other for one, other in zip(children, structure.children, strict=True))
    return structure if is_same else replace(structure, children=children)


def input_names(structure: Structure) -> list[str]:
    """Return a readable name per leaf of bound arguments: ``x``, ``batch['image']``."""
    if structure.kind is not StructureKind.DICT:
        return []
    names = []
    for key, child in zip(structure.keys, structure.children, strict=True):
        names.extend(child.leaf_paths(str(key)))
    return names


def _difference(expected: TensorType, actual: TensorType, varying: Mapping[int, str]) -> str | None:
    """Return in words why a tensor cannot stand for the one traced; None if it can."""
    if actual.dtype != expected.dtype:
        return f"its dtype is {actual.dtype} and was {expected.dtype}; convert it with .to()"
    if actual.class_name != expected.class_name:
        ours, theirs = (type_.class_name or "torch.Tensor" for type_ in (actual, expected))
        return f"it is a {ours} and was a {theirs}; trace again with a {ours}"
    if actual.device != expected.device:
        return f"it is on {actual.device} and was on {expected.device}"
    if actual.layout != expected.layout:
        return f"its layout is {actual.layout} and was {expected.layout}"
    if actual.shape == expected.shape:
        return None if varying else _stride_difference(expected, actual)
    again = "trace again with inputs of this size"
    if actual.shape is None or expected.shape is None or len(actual.shape) != len(expected.shape):
        return f"it has {actual.rank} dimensions and had {expected.rank}; {again}"
    for dim, (size, traced) in enumerate(zip(actual.shape, expected.shape, strict=True)):
        if size != traced and dim not in varying:
            is_special = expected.class_name or expected.layout.name == "jagged"
            why = (
                "is fixed for tensors of this class"
                if is_special
                else "dynamic= or force_outplace= fixed at the trace"
            )
            return f"dimension {dim} is {size} and was {traced}, which {why}; {again}"
    return None


def _inexactness(expected: TensorType, actual: TensorType) -> str | None:
    """Say what torch's own code may go by, besides what every replay checks, that is not as traced."""
    if actual.requires_grad is not expected.requires_grad:
        was = "required" if expected.requires_grad else "did not require"
        return (
            f"it {was} gradients, and operators that depend on that were traced through; pass a tensor that "
            "is alike, or trace with depth='flat'"
        )
    return None if actual.shape != expected.shape else _stride_difference(expected, actual)


def _stride_difference(expected: TensorType, actual: TensorType) -> str | None:
    """Return in words how the order of elements in memory differs; None where it does not.

    Torch leaves operators out of a run where the order makes them needless, ``contiguous()`` for
    one, so a graph holds for the order it was traced with. ``requires_grad`` may differ.
    """
    shape, one, other = expected.shape, _strides(expected), _strides(actual)
    if shape is None or one is None or other is None:
        return None
    if all(a == b for size, a, b in zip(shape, one, other, strict=True) if size != 1):
        return None
    fix = (
        "pass it through .contiguous()" if expected.strides is None else "give it the same strides"
    )
    return f"its strides are {list(other)} and were {list(one)}; {fix}, or trace again with it"


def _strides(type_: TensorType) -> tuple[int, ...] | None:
    if type_.strides is not None or type_.shape is None:
        return type_.strides
    sizes = tuple(size for size in type_.shape if isinstance(size, int))
    return row_major_strides(sizes) if len(sizes) == len(type_.shape) else None


def _match(structure: Structure, actual: Any, path: str, leaves: list[torch.Tensor]) -> None:
    """Collect the leaves of ``actual``, which must be built like ``structure``."""
    if structure.kind is StructureKind.LEAF:
        if not is_tensor(actual):
            raise InputError(
                f"input {path} must be a tensor, as when the program was traced; got {_shown(actual)}"
                f"{_how_to_pass(actual)}"
            )
        leaves.append(actual)
        return
    if structure.kind is StructureKind.CONSTANT and structure.class_ is None:
        _match_constant(structure.constant, actual, path)
        return
    if type(actual) is not structure.class_:
        expected = getattr(structure.class_, "__qualname__", structure.class_)
        raise InputError(f"input {path} must be a {expected}, got {type(actual).__qualname__}")
    own = parts_of(actual)
    if set(structure.keys) != set(own.keys):
        there = set(own.keys)
        expected_keys = set(structure.keys)
        problems = [f"{key!r} is missing" for key in structure.keys if key not in there]
        problems += [
            f"{key!r} was not there when the program was traced"
            for key in own.keys
            if key not in expected_keys
        ]
        raise InputError(f"input {path or 'arguments'}: {', '.join(problems)}")
    count = len(own.keys) if structure.kind is StructureKind.DICT else structure.items
    if path and own.keys[:count] != structure.keys[:count]:
        now, then = (", ".join(map(repr, keys[:count])) for keys in (own.keys, structure.keys))
        raise InputError(
            f"input {path} has its items in the order {now}, and had them in the order {then} when the "
            "program was traced, which may go through them\n  put them in that order"
        )
    by_key = dict(zip(own.keys, own.parts, strict=True))
    for position, key in enumerate(structure.keys):
        step = structure.step_text(position) if path else str(key)
        _match(structure.children[position], by_key[key], path + step, leaves)


def _plain_sizes(actual: Any) -> Any:
    """Return sizes that are data of a trace, in which this program is called, as what they are now."""
    if is_traced(actual):
        return actual.plain("is fixed by a traced program that is called with it")
    if type(actual) is TracedSize:
        return torch.Size([_plain_sizes(size) for size in actual])
    return actual


def _match_constant(expected: Any, actual: Any, path: str) -> None:
    actual = _plain_sizes(actual)
    if actual is expected:
        return
    if type(actual) is type(expected) and not is_tensor(actual) and _equal(expected, actual):
        return
    raise InputError(
        f"input {path} was {expected!r} when the program was traced, which fixed it; got {_shown(actual)}\n"
        "  trace again with this value"
    )


def _equal(one: Any, other: Any) -> bool:
    """Whether two constants of one class are equal; arrays are where all their elements are."""
    if isinstance(one, float):
        return equal_literals(one, other)
    try:
        equal = one == other
        if hasattr(equal, "all"):
            equal = (equal | ((one != one) & (other != other))).all()  # not a number, in both
        return bool(equal)
    except (TypeError, ValueError, RuntimeError):  # objects that refuse to be compared differ
        return False


def _shown(value: Any) -> str:
    """Return a value for a message: tensors by their type, containers by their size, the rest as text."""
    if is_tensor(value):
        return f"a tensor {type_of_tensor(value)}"
    if isinstance(value, tuple | list | dict):
        return f"a {type(value).__qualname__} of {len(value)}"
    return short_text(value)


def _how_to_pass(value: Any) -> str:
    """Return, as a further line, how to pass what is no tensor and was one; nothing where none can tell."""
    if isinstance(value, tuple | list) and any(map(is_tensor, value)):
        return "\n  a replay is called as the program is: traced(x, y), not traced((x, y))"
    if hasattr(value, "__array__"):
        return "\n  make one of it with torch.as_tensor()"
    return ""
