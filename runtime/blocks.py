"""Operators that call functions: how a node's blocks, as functions, are given to what it runs.

Note [Values that blocks read from around them]
    A block may read values of the blocks around it, and state. An operator such as ``cond`` gives
    gradients only to what it is passed, so there these values are *lifted*: each function takes them
    as further arguments, and the operator is given them as further operands. That is what
    ``torch.compile``, which the eager ``torch.cond`` goes through, does as well. The transforms of
    ``torch.func`` are made for functions that see what is around them, so nothing is lifted there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import torch
from torch._higher_order_ops.base_hop import FunctionWithNoFreeVars

from ..errors import ReplayError
from ..ir import Argument, Block, Modes, TensorType, Value
from ..passes.liveness import outer_values
from .transforms import TRANSFORMS, turns_grad_on

Functions = Sequence[Callable[..., Any]]
Free = Sequence[Sequence[Any]]
"""The lifted values of each function."""


@dataclass(frozen=True, slots=True)
class Convention:
    """How one operator calls its functions.

    Attributes:
        run: takes the functions, the values lifted for each, and the node's own arguments.
        lifts: whether the tensors that blocks read from around them are lifted.
        shares: whether all functions are given the same lifted values.
        operands: the argument whose items the functions take, where those that no function reads
            are left out; None if all are passed on.
        single: the numbers of the functions that return one result by itself.
        enables_grad: whether the functions run with gradients on, whatever the modes around them.
    """

    run: Callable[..., Any]
    lifts: bool = True
    shares: bool = True
    operands: int | None = None
    single: frozenset[int] = frozenset()
    enables_grad: bool = False

    def ambient(self, modes: Modes) -> Modes:
        """Return the modes in which a function is entered, given those around the node."""
        return replace(modes, grad=True, inference=False) if self.enables_grad else modes

    def lifted(self, blocks: Sequence[Block], number: int) -> list[Value]:
        """Return the values that the function of one block takes as further arguments."""
        if not self.lifts:
            return []
        read = outer_values(blocks if self.shares else [blocks[number]])
        return [value for value in read if isinstance(value.type, TensorType)]

    def dropped(self, blocks: Sequence[Block]) -> frozenset[int]:
        """Return the numbers of the inputs that no block reads and that need not be passed."""
        if self.operands is None:
            return frozenset()
        count = min(len(block.inputs) for block in blocks)
        return frozenset(
            n for n in range(count) if not any(block.inputs[n].is_used for block in blocks)
        )

    def without_dropped(self, args: tuple[Any, ...], dropped: Collection[int]) -> tuple[Any, ...]:
        """Return the node's arguments without the operands that are not passed."""
        if self.operands is None or not dropped:
            return args
        kept: Argument = tuple(
            item for n, item in enumerate(args[self.operands]) if n not in dropped
        )
        return (*args[: self.operands], kept, *args[self.operands + 1 :])


def convention_of(kind: str) -> Convention:
    """Return how an operator calls its functions.

    Raises:
        ReplayError: no operator of this name is known to call blocks.
    """
    found = _CONVENTIONS.get(kind)
    if found is None:
        raise ReplayError(f"replay does not know how {kind} runs the blocks of a node")
    return found


def _operator(name: str) -> Any:
    return getattr(torch.ops.higher_order, name)


def _cond(functions: Functions, free: Free, pred: Any, operands: Sequence[Any]) -> Any:
    return _operator("cond")(pred, *functions, (*operands, *free[0]))


def _switch(functions: Functions, free: Free, index: Any, operands: Sequence[Any]) -> Any:
    return _operator("switch")(index, tuple(functions), (*operands, *free[0]))


def _looping(name: str) -> Callable[..., Any]:
    def run(functions: Functions, free: Free, carried: Any, additional: Any, **kwargs: Any) -> Any:
        return _operator(name)(*functions, tuple(carried), (*additional, *free[0]), **kwargs)

    return run


def _scan(functions: Functions, free: Free, init: Any, xs: Any, additional: Any) -> Any:
    return _operator("scan")(functions[0], list(init), list(xs), (*additional, *free[0]))


def _mapping(name: str) -> Callable[..., Any]:
    def run(functions: Functions, free: Free, xs: Any, additional: Any) -> Any:
        return _operator(name)(functions[0], list(xs), (*additional, *free[0]))

    return run


def _flex_attention(
    functions: Functions,
    free: Free,
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    scale: Any,
    options: Any,
    score_buffers: Any = (),
    mask_buffers: Any = (),
) -> Any:
    return _operator("flex_attention")(
        query,
        key,
        value,
        functions[0],
        (*mask, functions[1]),
        scale,
        dict(options),
        (*score_buffers, *free[0]),
        (*mask_buffers, *free[1]),
    )


def _subgraph(name: str) -> Callable[..., Any]:
    def run(functions: Functions, free: Free, *operands: Any, **kwargs: Any) -> Any:
        function = cast(Any, FunctionWithNoFreeVars)(functions[0])
        return _operator(name)(function, *operands, *free[0], **kwargs)

    return run


def _register_hook(functions: Functions, free: Free, tensor: Any, *rest: Any) -> Any:
    return _operator("register_hook")(tensor, functions[0], *rest, *free[0])


def _strict_mode(functions: Functions, free: Free, operands: Any) -> Any:
    return _operator("strict_mode")(functions[0], (*operands, *free[0]))


def _transform(run: Callable[..., Any]) -> Callable[..., Any]:
    def run_without_lifted(functions: Functions, free: Free, *args: Any, **kwargs: Any) -> Any:
        return run(functions[0], *args, **kwargs)

    return run_without_lifted


_CONVENTIONS: Final[dict[str, Convention]] = {
    "higher_order::cond": Convention(_cond, operands=1),
    "higher_order::switch": Convention(_switch, operands=1),
    "higher_order::while_loop": Convention(_looping("while_loop"), single=frozenset((0,))),
    "higher_order::while_loop_stack_output": Convention(
        _looping("while_loop_stack_output"), single=frozenset((0,))
    ),
    "higher_order::scan": Convention(_scan),
    "higher_order::map_impl": Convention(_mapping("map_impl")),
    "higher_order::associative_scan": Convention(_mapping("associative_scan")),
    "higher_order::flex_attention": Convention(
        _flex_attention, shares=False, single=frozenset((0, 1))
    ),
    "higher_order::invoke_quant": Convention(_subgraph("invoke_quant")),
    "higher_order::invoke_quant_packed": Convention(_subgraph("invoke_quant_packed")),
    "higher_order::register_hook": Convention(_register_hook, single=frozenset((0,))),
    "higher_order::strict_mode": Convention(_strict_mode),
    **{
        kind: Convention(_transform(run), lifts=False, enables_grad=turns_grad_on(kind))
        for kind, run in TRANSFORMS.items()
    },
}
