"""TorchScript callees: recorded operator by operator where that is all they do, else as one call.

Note [Scripted code runs itself]
    TorchScript's interpreter chooses branches, counts loops, starts forks, and after some runs
    replaces operators by fused ones with gradients of its own making. None of that is in the
    operators that arrive at our kernel, and gradients computed from them differ in the last bits, or
    are lost. So a call of a scripted or traced function is one node, which a replay runs by calling
    the function. Only straight-line code that needs no gradient and cannot be fused is recorded
    operator by operator.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import torch
from torch.utils import _pytree as pytree

from ...ir import Argument, ScalarType, unknown_operator
from ...ir.scalars import read_operator
from ..dispatch.dispatcher import Kernels, plain_script_execution, recorder_here
from ..dispatch.replacing import Patch
from ..state import TracingState
from .building import Place, plain_numbers
from .higher_order import ProgramRecorder

_CALL: Final = unknown_operator("torchscript::call")
_IS_NONE: Final = read_operator("prim::is_none", ("any",), ScalarType.BOOL)
_PLAIN_KINDS: Final = frozenset(
    ("prim::Constant", "prim::ListConstruct", "prim::TupleConstruct", "prim::GetAttr")
)


def scripted(installed: Kernels) -> Iterator[Patch]:
    """Yield what records calls of TorchScript functions and methods."""
    for class_ in (torch._C.ScriptFunction, torch._C.ScriptMethod):
        yield class_, "__call__", functools.partial(_door, installed)


def _door(installed: Kernels, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        if not isinstance(recorder, ProgramRecorder):
            return original(function, *args, **kwargs)
        owner = getattr(function, "owner", None)
        if owner is not None and not isinstance(owner, torch._C.ScriptModule):
            return original(function, *args, **kwargs)  # a method of a class written in C++
        args, kwargs = recorder.admitted((args, kwargs))
        if _is_plain(function, owner, args, kwargs):
            with plain_script_execution():
                return original(function, *args, **kwargs)
        plain = plain_numbers((args, kwargs))
        made = functools.partial(original, function, *plain[0], **plain[1])
        return _record(recorder, function, args, kwargs, made, sys._getframe(1))

    return call


def _record(
    recorder: ProgramRecorder,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: Callable[[], Any],
    frame: FrameType,
) -> Any:
    state = recorder.state
    place = Place(state, frame)
    callee = state.kept.constant(function, function.name or "scripted")
    arguments: list[Argument] = [callee]
    keywords: dict[str, Argument] = {}
    if any(isinstance(arg, list | tuple | dict) for arg in (*args, *kwargs.values())):
        leaves, structure = pytree.tree_flatten((args, kwargs))
        arguments += map(place.argument, leaves)
        keywords["structure"] = state.kept.constant(structure, "structure")
    else:
        arguments += map(place.argument, args)
        keywords |= {name: place.argument(value) for name, value in kwargs.items()}
    with _noting_writes(state, function):
        if isinstance(recorder.outer, ProgramRecorder):
            result = _record(recorder.outer, function, args, kwargs, call, frame)
        else:
            with recorder.unrecorded():
                result = call()
    results, nested = pytree.tree_flatten(result)
    (returned,) = function.schema.returns
    if "Dict" in returned.type.annotation_str:  # its keys may be others at another call
        keywords["returns"] = state.kept.constant(nested, "returns")
    groups = (len(results),)
    node = place.append_node(_CALL, arguments, results, keywords=keywords, groups=groups)
    optional = _may_be_none(returned.type, result)
    for leaf, value, is_optional in zip(results, node.outputs, optional, strict=True):
        if is_optional:
            is_none = state.numbers.number(_IS_NONE, (value,), leaf is None, is_entry=False)
            state.numbers.guard(is_none, "decides what the program goes on with")
    return pytree.tree_unflatten(place.given(results, node), nested)


def _may_be_none(type_: Any, result: Any) -> Iterator[bool]:
    """Say for each leaf of a result, by its type, whether another call may give None there or a tensor."""
    if type_.kind() == "TupleType":
        for part_type, part in zip(type_.elements(), result, strict=True):
            yield from _may_be_none(part_type, part)
    else:
        text = type_.annotation_str
        is_optional = any(word in text for word in ("Optional", "Union", "Any"))
        yield from [is_optional] * len(pytree.tree_leaves(result))


@contextmanager
def _noting_writes(state: TracingState, function: Any) -> Iterator[None]:
    """Tell a trace which tensors of a scripted module its call wrote: its replay writes them too."""
    owner = getattr(function, "owner", None)
    held = [] if owner is None else [t for t in _tensors_of(owner) if not t.is_inference()]
    versions = [tensor._version for tensor in held]
    yield
    inside = state.writes_inside
    for tensor, version in zip(held, versions, strict=True):
        if tensor._version != version:
            inside[id(tensor)] = inside.get(id(tensor), 0) + tensor._version - version


def _is_plain(function: Any, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the operators of one call are those of every call, gradients included."""
    tensors = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    if owner is not None:
        tensors.extend(_tensors_of(owner))
    if any(not tensor.is_cpu for tensor in tensors):
        return False
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return False
    return _is_straight(function)


def _tensors_of(module: Any) -> Iterator[torch.Tensor]:
    """Yield the parameters and buffers of a scripted module and of those inside it."""
    held: Any
    for held in (torch._C.ParameterDict(module), torch._C.BufferDict(module)):
        yield from (tensor for _, tensor in held.items())
    for _, inner in torch._C.ModuleDict(module).items():  # noqa: PERF102  # it has no values()
        yield from _tensors_of(inner)


def _is_straight(function: Any) -> bool:
    """Whether a scripted function consists of operators on tensors and of constants alone."""
    for node in function.inlined_graph.nodes():
        if not node.kind().startswith("aten::") and node.kind() not in _PLAIN_KINDS:
            return False
        makes_numbers = any(str(o.type()) in ("int", "float", "bool") for o in node.outputs())
        makes_tensors = any("Tensor" in str(o.type()) for o in node.outputs())
        if makes_tensors if node.kind() == "prim::Constant" else makes_numbers:
            return False
    return True
