"""What a custom autograd function is given and gives back, as a node has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

import torch
from torch.autograd.function import _SingleLevelFunction, once_differentiable

from ...ir import Argument, Literal, Value
from ...ir.callables import open_callables
from ...ir.own_operators import AUTOGRAD_FUNCTION
from ...ir.structure import Structure, StructureKind, is_plain_container, take_apart
from ..dispatch.literals import PLAIN, to_literal
from ..numbers.sizes import TracedSize
from ..numbers.traced_numbers import is_traced
from ..program.inputs import is_tensor

_ONCE_CODE: Final = once_differentiable(lambda ctx: None).__code__
_CONSTANTS: Final = (torch.dtype, torch.device, torch.layout, torch.memory_format)
_VIEWS_BY_APPLY: Final = frozenset({"aten::view_as", "aten::alias", "aten::detach"})


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a call.

    Attributes:
        arguments: one per argument of ``apply``, what lists, tuples and dictionaries hold as lists.
        structure: what the arguments are made of, callables that hold tensors taken apart, where
            one is a container; else None.
    """

    arguments: tuple[Argument, ...]
    structure: Structure | None


def given(
    args: tuple[Any, ...],
    argument: Callable[[Any], Argument],
    constant: Callable[[Any, str], Value],
    is_computed: Callable[[Any], bool],
) -> Given:
    """Return the arguments of a call as a node has them.

    Args:
        args: what ``apply`` is given.
        argument: gives the argument that a tensor or traced number is.
        constant: keeps an object under a name.
        is_computed: tells the tensors that the run computed, for which callables are looked through.
    """
    opened = open_callables(args, is_computed)
    leaves, structure = take_apart(opened, _is_leaf, _is_whole)
    values = iter([argument(leaf) for leaf in leaves])
    is_nested = any(child.class_ is not None for child in structure.children)
    arguments = tuple([_mirrored(child, values, constant) for child in structure.children])
    return Given(arguments, structure if is_nested else None)


def _is_leaf(part: Any) -> bool:
    return is_tensor(part) or is_traced(part)


def _mirrored(
    part: Structure, values: Iterator[Argument], constant: Callable[[Any, str], Value]
) -> Argument:
    """Return one argument, its leaves taken from ``values``."""
    if part.kind is StructureKind.LEAF:
        return next(values)
    if part.kind is StructureKind.CONSTANT:
        kept = part.constant
        if type(kept) in PLAIN or isinstance(kept, _CONSTANTS):
            return to_literal(kept)
        return constant(kept, _name_of(kept))
    return tuple([_mirrored(child, values, constant) for child in part.children])


def has_setup_context(function: Any) -> bool:
    """Whether the forward of a custom function leaves its context to a method of its own."""
    return bool(function.setup_context != _SingleLevelFunction.setup_context)


def in_order(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...] | None:
    """Return the arguments of a call as ``apply`` orders them; None if it refuses them."""
    if not kwargs:
        return args
    code = getattr(function.forward, "__code__", None)
    if not isinstance(code, CodeType):
        return None
    names = code.co_varnames[: code.co_argcount]
    if not has_setup_context(function):
        names = names[1:]  # the context
    rest = names[len(args) : len(args) + len(kwargs)]
    if set(rest) != set(kwargs):
        return None
    return (*args, *[kwargs[name] for name in rest])


def hold_numbers_kept_by(function: Any) -> None:
    """Guard the traced numbers that a forward closes over: at a replay it still has those of the trace."""
    for part in (function.forward, function.setup_context):
        for cell in getattr(part, "__closure__", None) or ():
            try:
                kept = cell.cell_contents
            except ValueError:  # a variable that has no value yet
                continue
            for number in take_apart(kept, is_traced, _is_whole)[0]:
                number.plain(f"is kept by the forward of {function.__qualname__}")


def tensors_in(result: Any) -> list[torch.Tensor]:
    """Return the tensors that a custom function gave back, in order."""
    if isinstance(result, torch.Tensor):
        return [result]
    return take_apart(result, is_tensor, _is_whole)[0]


def other_parts(result: Any, args: tuple[Any, ...]) -> Iterator[Any]:
    """Yield what a custom function gave back besides tensors, containers of them, and its arguments."""
    for part in result if isinstance(result, tuple) else (result,):
        if part is not None and not any(part is arg for arg in args) and not tensors_in(part):
            yield part


def flags(
    function: Any,
    args: tuple[Any, ...],
    results: list[torch.Tensor],
    marks: dict[str, tuple[Any, ...]],
    value_of: Callable[[torch.Tensor], Value | None],
) -> dict[str, Literal | tuple[int, ...]]:
    """Return the flags of a call that are not as usual.

    Args:
        function: the class.
        args: what ``apply`` was given.
        results: the tensors it gave back.
        marks: what the forward told its context, by the method's name.
        value_of: gives what a tensor is inside the forward.
    """
    written = {id(tensor) for tensor in marks.get("mark_dirty", ())}
    marked = [t for t in marks.get("mark_non_differentiable", ()) if isinstance(t, torch.Tensor)]
    inside = {value_of(tensor) for tensor in marked}
    found: dict[str, Literal | tuple[int, ...]] = {
        "dirty": tuple(n for n, arg in enumerate(args) if id(arg) in written),
        "non_differentiable": tuple(
            n
            for n, result in enumerate(results)
            if any(result is tensor for tensor in marked) or _viewed(value_of(result)) in inside
        ),
        "materialize_grads": bool(*marks.get("set_materialize_grads", (True,))),
        "once_differentiable": _is_once_differentiable(function),
        "generate_vmap_rule": bool(function.generate_vmap_rule),
        "setup_context": has_setup_context(function),
    }
    usual = {parameter.name: parameter.default for parameter in AUTOGRAD_FUNCTION.parameters}
    return {name: flag for name, flag in found.items() if flag != usual[name]}


def _viewed(value: Value | None) -> Value | None:
    """Return what ``apply`` itself made a value a view of, as it does with arguments given back."""
    node = None if value is None else value.node
    if node is None or node.kind not in _VIEWS_BY_APPLY:
        return None
    return node.inputs[0]


def _is_once_differentiable(function: Any) -> bool:
    backward = function.backward
    while backward is not None:
        if getattr(backward, "__code__", None) is _ONCE_CODE:
            return True
        backward = getattr(backward, "__wrapped__", None)
    return False


def _is_whole(part: Any) -> bool:
    """Whether an argument or result is passed on as the object it is."""
    return not is_plain_container(part) and type(part) is not TracedSize


def _name_of(kept: Any) -> str:
    name = getattr(kept, "__name__", None)
    if not isinstance(name, str):
        name = type(kept).__name__
    return name.strip("<>")
