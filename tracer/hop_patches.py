"""What must be changed about higher-order operators while a trace runs, so that they reach our kernel.

Outside a trace, ``torch.cond`` goes through ``torch.compile``, which takes nested operands apart for
the operator. A trace runs what would be compiled as plain Python, so they are taken apart here.
``register_hook`` is called without the dispatcher.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch._higher_order_ops import utils
from torch._higher_order_ops.register_hook import RegisterHookOp
from torch.utils import _pytree as pytree

from .dispatcher import Kernels, recorder_here
from .higher_order import ProgramRecorder
from .replacing import replace_function


def patch_higher_order(installed: Kernels, undo: ExitStack) -> None:
    """Let every higher-order operator reach our kernel, until ``undo`` is closed."""
    compile_and_call: Callable[..., Any] = utils._hop_compile_and_call

    @functools.wraps(compile_and_call)
    def call(function: Any, args: tuple[Any, ...], kwargs: Any = None) -> Any:
        if recorder_here(installed) is not None and function.__name__ == "_cond_op_wrapper":
            args = _with_flat_operands(*args)
        return compile_and_call(function, args, kwargs)

    replace_function(undo, utils, "_hop_compile_and_call", call)
    register_hook = RegisterHookOp.__call__

    @functools.wraps(register_hook)
    def register(op: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here(installed)
        if not isinstance(recorder, ProgramRecorder):
            return register_hook(op, *args, **kwargs)
        return recorder.record_higher_order(op, args, kwargs, sys._getframe(1))

    replace_function(undo, RegisterHookOp, "__call__", register)


def _with_flat_operands(pred: Any, true: Any, false: Any, operands: Any) -> tuple[Any, ...]:
    leaves, structure = pytree.tree_flatten(tuple(operands))
    if all(isinstance(operand, torch.Tensor) for operand in operands):
        return pred, true, false, tuple(operands)

    def on_leaves(function: Callable[..., Any]) -> Callable[..., Any]:
        def flat(*leaves: Any) -> Any:
            return function(*pytree.tree_unflatten(leaves, structure))

        return flat

    return pred, on_leaves(true), on_leaves(false), tuple(leaves)
