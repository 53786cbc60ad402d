"""What a node runs: torch's function for an operator's name."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch.autograd import forward_ad
from torch.utils import _python_dispatch
from torch.utils import _pytree as pytree

from ..errors import GuardError, ReplayError
from ..ir.callables import close_callables
from ..ir.structure import Structure, StructureKind, is_plain_container, take_apart
from .outplace import keep_history, outplace, view_scatter
from .transforms import call_function


def callable_of(name: str) -> Callable[..., Any]:
    """Return the function that runs an operator.

    Raises:
        ReplayError: this process has no such operator.
    """
    own = _OWN.get(name)
    if own is not None:
        return own
    namespace, _, rest = name.partition("::")
    if namespace == "higher_order":
        found: Callable[..., Any] | None = getattr(torch.ops.higher_order, rest, None)
        if found is not None:
            return functools.partial(_with_tuples, found)
    overload = find_overload(name)
    if overload is None:
        raise ReplayError(
            f"no operator {name} is registered\n  import the package that defines it before the replay"
        )
    # The handle behind the overload object: the same call with one Python frame less.
    return overload._op


def is_own(name: str) -> bool:
    """Whether an operator is run by a function of opscope."""
    return name in _OWN


def find_overload(name: str) -> torch._ops.OpOverload | None:
    """Return torch's operator of a qualified name; None if this process has not registered it."""
    namespace, _, rest = name.partition("::")
    packet_name, _, overload = rest.partition(".")
    try:
        packet = getattr(getattr(torch.ops, namespace), packet_name)
        found = getattr(packet, overload or "default")
    except (AttributeError, RuntimeError):
        return None
    return found if isinstance(found, torch._ops.OpOverload) else None


_Results = TypeVar("_Results")


@contextmanager
def plain_calls() -> Iterator[None]:
    """Run what is inside without hooks above the dispatcher: what they did is in the graph.

    These are the ``__torch_function__`` of tensor classes and of modes. Dispatch modes that the
    program enters and does not leave, because an operator fails, are left here.
    """
    depth = torch._C._len_torch_dispatch_stack()
    with torch._C.DisableTorchFunction():
        try:
            yield
        except BaseException:
            _leave_modes(depth)
            raise


def call_plainly(function: Callable[..., _Results], *given: Any) -> _Results:
    """Call a function in :func:`plain_calls`, without a generator, which costs a short replay more."""
    depth = torch._C._len_torch_dispatch_stack()
    with torch._C.DisableTorchFunction():
        try:
            return function(*given)
        except BaseException:
            _leave_modes(depth)
            raise


def _leave_modes(depth: int) -> None:
    while torch._C._len_torch_dispatch_stack() > depth:
        _python_dispatch._pop_mode()


def _enter_mode(mode: Any) -> None:
    _python_dispatch._push_mode(mode)


def _exit_mode(mode: Any) -> None:
    _python_dispatch._pop_mode(getattr(mode, "_mode_key", None))


def _make_subclass(class_: Any, source: torch.Tensor, requires_grad: bool) -> torch.Tensor:
    return cast(torch.Tensor, torch.Tensor._make_subclass(class_, source, requires_grad))


def _as_subclass(class_: Any, source: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, source.as_subclass(class_))


def _wait(work: Any) -> None:
    from torch._C._distributed_c10d import Work  # not in every build of torch

    Work.unbox(work).wait()


def _resize_storage(held: torch.Tensor | torch.UntypedStorage, nbytes: int) -> None:
    storage = held.untyped_storage() if isinstance(held, torch.Tensor) else held
    storage.resize_(nbytes)


def _inner(wrapper: torch.Tensor, path: list[str]) -> Any:
    found: Any = wrapper
    for name in path:
        found = getattr(found, name)
    return found


def _wrap(
    class_: Any,
    names: list[str],
    inner: list[torch.Tensor],
    context: Any,
    size: list[int | None],
    stride: list[int | None],
) -> torch.Tensor:
    parts = dict(zip(names, inner, strict=True))
    made = class_.__tensor_unflatten__(parts, context, tuple(size), tuple(stride))
    return cast(torch.Tensor, made)


def _make_wrapper(call: tuple[tuple[Any, ...], dict[str, Any]]) -> torch.Tensor:
    args, kwargs = call
    return cast(torch.Tensor, torch.Tensor._make_wrapper_subclass(*args, **kwargs))


def _set_attributes(tensor: torch.Tensor, names: list[str], held: list[Any]) -> torch.Tensor:
    vars(tensor).update(zip(names, held, strict=True))
    return tensor


def _data(source: torch.Tensor) -> torch.Tensor:
    return source.data


def _set_data(target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    target.data = source
    return target


def _write(target: torch.Tensor, contents: torch.Tensor) -> None:
    # As the write that it stands for: autograd does not see it, and no version is counted.
    target.data.copy_(contents)


def _deepcopy(source: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        storage = cast(Any, source.untyped_storage()).clone()
        copied = source.new_empty(()).set_(
            storage, source.storage_offset(), source.size(), source.stride()
        )
    return copied.requires_grad_(source.requires_grad)


def _manual_seed(seed: int) -> None:
    torch.manual_seed(seed)


def _seed_generator(generator: torch.Generator, seed: int) -> None:
    generator.manual_seed(seed)


def _autograd_function(
    class_: Any, *args: Any, structure: Structure | None = None, **flags: Any
) -> Any:
    """Apply a custom autograd function; ``flags`` only tell readers of the graph what it is like."""
    if structure is not None:
        args = close_callables(structure.build(list(_leaves(structure, args))))
    # Its forward is the user's own Python, to which subclasses are what they are everywhere.
    with torch._C._EnableTorchFunction():
        result = _APPLY.__get__(None, class_)(*args)
    if isinstance(result, torch.Tensor):
        return result
    tensors = take_apart(result, _is_tensor, lambda part: not is_plain_container(part))[0]
    return tensors[0] if len(tensors) == 1 else tensors


def _leaves(structure: Structure, arg: Any) -> Iterator[Any]:
    """Yield the leaves among arguments that are nested like ``structure``."""
    if structure.kind is StructureKind.LEAF:
        yield arg
    for child, part in zip(structure.children, arg if structure.children else (), strict=True):
        yield from _leaves(child, part)


def _is_tensor(part: Any) -> bool:
    return isinstance(part, torch.Tensor)


_APPLY: Any = vars(torch.autograd.Function)["apply"]  # a class may have one of its own


def _gradient(owner: torch.Tensor) -> torch.Tensor:
    gradient = owner.grad
    if gradient is None:
        raise ReplayError(
            "the program reads a gradient that is not there: its .grad is None\n"
            "  run backward() before the replay, as before the trace"
        )
    return gradient


def _set_gradient(owner: torch.Tensor, gradient: torch.Tensor | None) -> None:
    owner.grad = gradient


def _retain_grad(tensor: torch.Tensor) -> None:
    if tensor.requires_grad:
        tensor.retain_grad()


def _no_gradient(tensor: torch.Tensor, reason: str) -> None:
    def refuse(gradient: torch.Tensor) -> None:
        raise ReplayError(reason)

    if tensor.requires_grad:
        cast(Any, tensor).register_hook(refuse)


def _set_number(place: Any, number: float) -> None:
    place.write(number)


def _with_tuples(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Call an operator that tells tuples from lists, which a graph does not, and wants tuples."""
    return op(*map(_as_tuples, args), **{name: _as_tuples(arg) for name, arg in kwargs.items()})


def _as_tuples(arg: Any) -> Any:
    return tuple(map(_as_tuples, arg)) if isinstance(arg, list) else arg


def _call_scripted(
    function: Any, *args: Any, structure: Any = None, returns: Any = None, **kwargs: Any
) -> list[Any]:
    """Call a TorchScript function and return the leaves of what it gives.

    Raises:
        GuardError: what it gives is not nested as it was at the trace, where that is given.
    """
    if structure is not None:
        args, kwargs = pytree.tree_unflatten(args, structure)
    leaves, nested = pytree.tree_flatten(function(*args, **kwargs))
    if returns is not None and nested != returns:
        raise GuardError(
            f"this run cannot follow the trace: {function.name} returns a dictionary with other keys\n"
            "  trace again with inputs like these; a trace holds for one way through the program"
        )
    return leaves


def _same(value: Any) -> Any:
    return value


def _tuple_construct(*parts: Any) -> tuple[Any, ...]:
    return parts


def _tuple_unpack(whole: tuple[Any, ...]) -> Any:
    return whole[0] if len(whole) == 1 else whole  # one result is not taken out of a tuple


def _tuple_slice(whole: tuple[Any, ...], begin: int | None, end: int | None) -> tuple[Any, ...]:
    return whole[begin:end]


_OWN: dict[str, Callable[..., Any]] = {
    "prim::data": _data,
    "prim::set_data": _set_data,
    "prim::write": _write,
    "prim::deepcopy": _deepcopy,
    "prim::manual_seed": _manual_seed,
    "prim::seed_generator": _seed_generator,
    "prim::get_rng_state": torch.random.get_rng_state,
    "prim::set_rng_state": torch.random.set_rng_state,
    "prim::set_default_dtype": torch.set_default_dtype,
    "prim::gradient": _gradient,
    "prim::set_gradient": _set_gradient,
    "prim::retain_grad": _retain_grad,
    "prim::no_gradient": _no_gradient,
    "prim::set_number": _set_number,
    "prim::literal": _same,
    "prim::profile": _same,
    "prim::TupleConstruct": _tuple_construct,
    "prim::TupleUnpack": _tuple_unpack,
    "prim::TupleIndex": operator.getitem,
    "prim::TupleSlice": _tuple_slice,
    "torchscript::call": _call_scripted,
    "autograd::enter_dual_level": forward_ad.enter_dual_level,
    "autograd::exit_dual_level": forward_ad.exit_dual_level,
    "functorch::call": call_function,
    "prim::make_subclass": _make_subclass,
    "prim::as_subclass": _as_subclass,
    "prim::enter_mode": _enter_mode,
    "prim::exit_mode": _exit_mode,
    "prim::wait": _wait,
    "prim::resize_storage": _resize_storage,
    "prim::inner": _inner,
    "prim::wrap": _wrap,
    "prim::make_wrapper": _make_wrapper,
    "prim::set_attributes": _set_attributes,
    "prim::outplace": partial(outplace, find_overload),
    "prim::view_scatter": partial(view_scatter, find_overload),
    "prim::keep_history": keep_history,
    "prim::autograd_function": _autograd_function,
}

RUNS_BLOCKS_ITSELF = frozenset({"prim::autograd_function"})
"""Operators whose blocks show what they do, and are not what runs."""
