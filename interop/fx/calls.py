"""What the code of converted modules calls besides torch: checks, own operators, regions, objects.

They are plain functions, so that ``torch.compile`` can look into them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, TypeVar

import torch
from torch.fx.node import has_side_effect

from ...errors import GuardError, InputError
from ...ir.own_operators import AUTOGRAD_FUNCTION
from ...ir.places import HeldPlace
from ...ir.structure import Structure
from ...runtime import ObjectsAfter
from ...runtime.blocks import convention_of
from ...runtime.operators import callable_of

_WITHOUT_VALUES: Final = (
    "input {} is a torch.fx.Proxy, which has no value that could be checked: torch.fx traces the module\n"
    "  convert the program without checks, to_fx(checks=False); that module it can trace"
)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _kept(function: _Function) -> _Function:
    """Tell torch.fx that a call of a function matters, even where nothing reads what it returns."""
    has_side_effect(function)
    return function


@_kept
def check_tensor(
    tensor: Any,
    name: str,
    dtype: torch.dtype,
    device: str,
    sizes: Sequence[int | None],
    strides: Sequence[int] | None = None,
    requires_grad: bool | None = None,
) -> None:
    """Require that an input is like that of the trace; None stands for a size that may differ.

    Raises:
        InputError: it is not.
    """
    if isinstance(tensor, torch.fx.Proxy):
        raise InputError(_WITHOUT_VALUES.format(name))
    if not isinstance(tensor, torch.Tensor):
        raise InputError(f"input {name} must be a tensor, as when the program was traced")
    if tensor.dtype != dtype:
        raise InputError(
            f"input {name} does not fit: its dtype is {tensor.dtype} and was {dtype}; convert it with .to()"
        )
    if str(tensor.device) != device:
        raise InputError(f"input {name} does not fit: it is on {tensor.device} and was on {device}")
    if tensor.dim() != len(sizes):
        raise InputError(
            f"input {name} does not fit: it has {tensor.dim()} dimensions and had {len(sizes)}"
        )
    for dimension, size in enumerate(sizes):
        if size is not None and tensor.size(dimension) != size:
            raise InputError(
                f"input {name} does not fit: dimension {dimension} is {tensor.size(dimension)} and was {size}"
            )
    if strides is not None:
        for dimension, stride in enumerate(strides):
            if tensor.size(dimension) != 1 and tensor.stride(dimension) != stride:
                raise InputError(
                    f"input {name} does not fit: its strides are not {list(strides)}, as they were"
                )
    if requires_grad is not None and tensor.requires_grad is not requires_grad:
        raise InputError(
            f"input {name} does not fit: whether it requires gradients is not as it was"
        )


@_kept
def check_argument(actual: Any, name: str, expected: Any) -> None:
    """Require that an argument that is no tensor is that of the trace.

    Raises:
        InputError: it is not.
    """
    if isinstance(actual, torch.fx.Proxy):
        raise InputError(_WITHOUT_VALUES.format(name))
    if type(actual) is not type(expected) or actual != expected:
        raise InputError(
            f"input {name} was {expected!r} when the program was traced, which fixed it; got {actual!r}"
        )


@_kept
def check_same(one: Any, other: Any, message: str) -> None:
    """Require that two arguments are one tensor, as they were at the trace.

    Raises:
        InputError: they are two.
    """
    if one is not other:
        raise InputError(message)


@_kept
def hold(actual: Any, expected: Any, message: str) -> None:
    """Require that a condition is as it was at the trace.

    Raises:
        GuardError: it is not.
    """
    if expected is True:
        is_other = not actual
    elif expected is False:
        is_other = bool(actual)  # compilers follow truth, and not a comparison of truths
    elif type(expected) is int:
        is_other = int(actual) != expected  # where this is traced, the number is fixed
    else:
        is_other = actual != expected
    if is_other:
        raise GuardError(message)


@_kept
def hold_truth(tensor: torch.Tensor, expected: bool, message: str) -> None:
    """Require that the only element of a tensor is as true as it was at the trace.

    Raises:
        GuardError: it is not.
        RuntimeError: likewise, where it was compiled.
    """
    if torch.compiler.is_compiling():
        torch._assert_async(tensor if expected else torch.logical_not(tensor), message)
    elif torch.is_nonzero(tensor) is not expected:
        raise GuardError(message)


@_kept
def hold_exactly(actual: float, expected: str, message: str) -> None:
    """Require that a float is written as it was at the trace, for zeros with a sign and for NaN.

    Raises:
        GuardError: it is not.
    """
    if repr(actual) != expected:
        raise GuardError(message)


@_kept
def hold_length(parts: Sequence[Any], count: int, message: str) -> None:
    """Require that an operator gave a list of as many tensors as at the trace.

    Raises:
        GuardError: it did not.
    """
    if len(parts) != count:
        raise GuardError(message)


@_kept
def run_operator(kind: str, *args: Any, **kwargs: Any) -> Any:
    """Run an operator that is opscope's own, such as ``prim::set_data``."""
    return callable_of(kind)(*args, **kwargs)


@_kept
def apply_function(
    class_: Any, *args: Any, structure: Structure | None = None, **flags: Any
) -> Any:
    """Apply a custom autograd function."""
    if structure is None and torch.compiler.is_compiling():
        return class_.apply(*args)  # which compilers know
    return callable_of(AUTOGRAD_FUNCTION.name)(class_, *args, structure=structure, **flags)


@_kept
def run_in_modes(modes: Sequence[Sequence[Any]], function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in modes, which are settings of ``runtime/modes.py``: ``["grad", False]``, say."""
    if not modes:
        return function(*args)
    kind, *options = modes[0]
    if kind == "grad":
        with torch.set_grad_enabled(options[0]):
            return run_in_modes(modes[1:], function, *args)
    if kind == "inference":
        with torch.inference_mode(options[0]):
            return run_in_modes(modes[1:], function, *args)
    device, dtype, caches = options
    with torch.autocast(device, dtype=dtype, enabled=dtype is not None, cache_enabled=caches):
        return run_in_modes(modes[1:], function, *args)


@_kept
def call_blocks(
    kind: str,
    functions: Sequence[Callable[..., Any]],
    free: Sequence[Sequence[Any]],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Run an operator on functions; each takes the ``free`` values that are its own after its arguments."""
    convention = convention_of(kind)
    if convention.lifts:
        return convention.run(functions, free, *args, **kwargs)

    def closed(function: Callable[..., Any], values: Sequence[Any]) -> Callable[..., Any]:
        return lambda *operands: function(*operands, *values)

    bound = [closed(*pair) for pair in zip(functions, free, strict=True)]
    return convention.run(bound, [[] for _ in bound], *args, **kwargs)


@_kept
def read_place(place: HeldPlace) -> Any:
    """Return what an object, such as an optimizer, holds in a place now."""
    return place.read()


@_kept
def store_number(place: HeldPlace, number: Any) -> None:
    """Put a number into the place of an object."""
    place.write(number)


@_kept
def found_objects(after: ObjectsAfter, arguments: Mapping[str, Any]) -> dict[Hashable, Any]:
    """Return the objects among the arguments that the program may change."""
    return after.found(arguments)


@_kept
def leave_objects(
    after: ObjectsAfter,
    results: Sequence[Any],
    arguments: Mapping[str, Any],
    objects: dict[Hashable, Any],
) -> Any:
    """Change objects as the program does, and return what it returns."""
    return after.leave(results, arguments, objects)


def build(structure: Structure, leaves: Sequence[Any]) -> Any:
    """Return an object of a structure with these leaves."""
    return structure.build(leaves)
