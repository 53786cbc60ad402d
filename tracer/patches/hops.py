"""What must be changed about higher-order operators while a trace runs, so that they reach our kernel.

Outside a trace, ``torch.cond`` goes through ``torch.compile``, which takes nested operands apart for
the operator. A trace runs what would be compiled as plain Python, so they are taken apart here.
``register_hook`` is called without the dispatcher.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch._higher_order_ops import utils
from torch._higher_order_ops.register_hook import RegisterHookOp
from torch.utils import _pytree as pytree

from ..blocks.higher_order import ProgramRecorder
from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch


def higher_order(installed: Kernels) -> Iterator[Patch]:
    """Yield what lets every higher-order operator reach our kernel."""
    yield utils, "_hop_compile_and_call", functools.partial(_compile_and_call, installed)
    yield RegisterHookOp, "__call__", functools.partial(_register_hook, installed)


def _compile_and_call(installed: Kernels, compile_and_call: Any) -> Any:
    @functools.wraps(compile_and_call)
    def call(function: Any, args: tuple[Any, ...], kwargs: Any = None) -> Any:
        if recorder_here(installed) is not None and function.__name__ == "_cond_op_wrapper":
            args = _with_flat_operands(*args)
        return compile_and_call(function, args, kwargs)

    return call


def _register_hook(installed: Kernels, register_hook: Any) -> Any:
    @functools.wraps(register_hook)
    def register(op: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        if not isinstance(recorder, ProgramRecorder):
            return register_hook(op, *args, **kwargs)
        return recorder.record_higher_order(op, args, kwargs, sys._getframe(1))

    return register


def _with_flat_operands(pred: Any, true: Any, false: Any, operands: Any) -> tuple[Any, ...]:
    leaves, structure = pytree.tree_flatten(tuple(operands))
    if all(isinstance(operand, torch.Tensor) for operand in operands):
        return pred, true, false, tuple(operands)

    def on_leaves(function: Callable[..., Any]) -> Callable[..., Any]:
        def flat(*leaves: Any) -> Any:
            return function(*pytree.tree_unflatten(leaves, structure))

        return flat

    return pred, on_leaves(true), on_leaves(false), tuple(leaves)
