"""Torch's higher-order operators: which arguments are functions, and what they are called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from ...ir import Effect, Operator

_NAMESPACE: Final = "higher_order"


@dataclass(frozen=True, slots=True)
class Slice:
    """Stands for one of the parts of a tensor along its first dimension."""

    tensor: torch.Tensor


@dataclass(frozen=True, slots=True)
class Scalar:
    """Stands for a tensor without dimensions, of a dtype, on the device of another."""

    like: torch.Tensor
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class HigherOrderCall:
    """A call of an operator that takes functions.

    Attributes:
        functions: those among its arguments that become blocks.
        examples: what each of them is called with: tensors and numbers, or what stands for them.
        args: the other positional arguments.
        kwargs: the arguments passed by name.
        is_nested: whether it returns what its functions return, however nested that is.
        has_numbers: whether numbers among the examples vary from call to call.
        running: gives the context in which it calls its functions.
    """

    functions: Sequence[Callable[..., Any]]
    examples: Sequence[Sequence[Any]]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    is_nested: bool = False
    has_numbers: bool = False
    running: Callable[[], AbstractContextManager[Any]] = nullcontext


def call_of(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> HigherOrderCall | None:
    """Return a call with its functions apart; None for an operator whose functions stay whole."""
    reader = _READERS.get(name)
    return None if reader is None else reader(*args, **kwargs)


def operator_with_blocks(name: str) -> Operator:
    """Return the operator whose functions are blocks; what these do besides is known from them."""
    return Operator(f"{_NAMESPACE}::{name}", effects=Effect.NONE)


def higher_order_named(qualified: str) -> Operator | None:
    """Return the operator of a qualified name whose functions are blocks; None if it is not one of them."""
    namespace, _, name = qualified.partition("::")
    return operator_with_blocks(name) if namespace == _NAMESPACE and name in _READERS else None


def _cond(pred: Any, true: Any, false: Any, operands: Any) -> HigherOrderCall:
    examples = (tuple(operands),) * 2
    return HigherOrderCall((true, false), examples, (pred, operands), is_nested=True)


def _switch(index: Any, branches: Any, operands: Any) -> HigherOrderCall:
    examples = (tuple(operands),) * len(branches)
    return HigherOrderCall(tuple(branches), examples, (index, operands), is_nested=True)


def _while_loop(
    condition: Any, body: Any, carried: Any, additional: Any, **kwargs: Any
) -> HigherOrderCall:
    examples = ((*carried, *additional),) * 2
    args = (carried, additional)
    return HigherOrderCall((condition, body), examples, args, kwargs, has_numbers=True)


# ``mutated_arg_indices`` tells compilers what the function writes to, which its block shows.


def _scan(
    combine: Any, init: Any, xs: Any, additional_inputs: Any = (), *, mutated_arg_indices: str = ""
) -> HigherOrderCall:
    example = (*init, *map(Slice, xs), *additional_inputs)
    args = (init, xs, _tensors(additional_inputs))
    return HigherOrderCall((combine,), (example,), args, is_nested=True)


def _map(
    function: Any, xs: Any, additional: Any, *, mutated_arg_indices: str = ""
) -> HigherOrderCall:
    example = (*map(Slice, xs), *additional)
    args = (xs, _tensors(additional))
    return HigherOrderCall((function,), (example,), args, is_nested=True)


def _associative_scan(combine: Any, xs: Any, additional_inputs: Any = ()) -> HigherOrderCall:
    example = (*map(Slice, xs), *map(Slice, xs), *additional_inputs)
    return HigherOrderCall((combine,), (example,), (xs, _tensors(additional_inputs)))


def _flex_attention(
    query: Any,
    key: Any,
    value: Any,
    score: Any,
    block_mask: Any,
    scale: Any,
    kernel_options: Any,
    score_buffers: Any = (),
    mask_buffers: Any = (),
) -> HigherOrderCall:
    *mask, mask_function = block_mask
    wide = torch.float64 if query.dtype == torch.float64 else torch.float32
    indices = (Scalar(query, torch.int64),) * 4
    examples = (
        (Scalar(query, wide), *indices, *score_buffers),
        (*indices, *mask_buffers),
    )
    options = tuple(kernel_options.items())
    buffers = (_tensors(score_buffers), _tensors(mask_buffers))
    args = (query, key, value, mask, scale, options, *buffers)
    functions = (score, mask_function)
    return HigherOrderCall(functions, examples, args, running=_indexing_by_tensors)


def _indexing_by_tensors() -> AbstractContextManager[Any]:
    """Return the context in which indexing by a tensor is an operator, as flex_attention has it."""
    # Importing Dynamo takes seconds; who calls flex_attention has paid for it.
    from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex

    detour: AbstractContextManager[Any] = TransformGetItemToIndex()
    return detour


def _subgraph(function: Any, *operands: Any, **kwargs: Any) -> HigherOrderCall:
    return HigherOrderCall((function,), (operands,), _tensors(operands), kwargs, is_nested=True)


def _register_hook(tensor: Any, hook: Any, *rest: Any) -> HigherOrderCall:
    return HigherOrderCall((hook,), ((tensor, *rest),), (tensor, *_tensors(rest)))


def _tensors(operands: Any) -> tuple[Any, ...]:
    """Return the operands that are inputs of a block; numbers are part of what it does."""
    return tuple(part for part in operands if isinstance(part, torch.Tensor))


def _strict_mode(function: Any, operands: Any) -> HigherOrderCall:
    return HigherOrderCall((function,), (tuple(operands),), (operands,), is_nested=True)


_READERS: Final[dict[str, Callable[..., HigherOrderCall]]] = {
    "cond": _cond,
    "switch": _switch,
    "while_loop": _while_loop,
    "while_loop_stack_output": _while_loop,
    "scan": _scan,
    "map_impl": _map,
    "associative_scan": _associative_scan,
    "flex_attention": _flex_attention,
    "invoke_quant": _subgraph,
    "invoke_quant_packed": _subgraph,
    "register_hook": _register_hook,
    "strict_mode": _strict_mode,
}
