"""``torch.compile`` while a trace runs: it runs the Python it was given, and learns nothing of the trace.

Importing Dynamo takes seconds, so nothing here does; what is done depends on whether it is there.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, cast

import torch

from ..dispatch.replacing import Undo

_RULES = "torch._dynamo.trace_rules"


def run_compiled_code_eagerly(undo: Undo) -> None:
    """Make ``torch.compile`` run the Python it was given, which is what we want to record.

    Where nobody has imported Dynamo yet we wait for the first call of ``torch.compile``.
    """
    if "torch._dynamo" in sys.modules:
        _force_eager(undo)
        return
    compile_ = torch.compile

    @functools.wraps(compile_)
    def wrapped_compile(*args: Any, **kwargs: Any) -> Any:
        if torch.compile is wrapped_compile:
            torch.compile = compile_
            _force_eager(undo)
        return compile_(*args, **kwargs)

    def restore() -> None:
        if torch.compile is wrapped_compile:
            torch.compile = compile_

    undo.add(restore)
    torch.compile = cast(Any, wrapped_compile)


def _force_eager(undo: Undo) -> None:
    stance = torch.compiler.set_stance("force_eager")
    undo.add(functools.partial(stance.__exit__, None, None, None))


def forget_patches(undo: Undo) -> None:
    """Make Dynamo forget, once ``undo`` is run, which objects it took for torch's own meanwhile.

    It lists torch's functions by their identity when it first needs to know them, and would go on to
    know ours in their place.
    """
    made_before = _made_tables()

    def forget() -> None:
        for name, table in _made_tables().items():
            if name not in made_before:
                _empty(table)

    undo.add(forget)


def _made_tables() -> dict[str, Any]:
    """Return the tables that Dynamo has filled so far."""
    rules = sys.modules.get(_RULES)
    return {} if rules is None else {n: t for n, t in vars(rules).items() if _is_made(t)}


def _is_made(table: Any) -> bool:
    if type(table).__name__ == "FunctionIdSet":
        return table.function_ids is not None
    return callable(getattr(table, "cache_clear", None)) and table.cache_info().currsize > 0


def _empty(table: Any) -> None:
    if type(table).__name__ == "FunctionIdSet":
        table.function_ids = table.function_names = None
    else:
        table.cache_clear()
