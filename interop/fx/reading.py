"""How torch.fx makes a graph of a pickled module's code: it traces that symbolically."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ...ir.places import HeldPlace
from ...ir.structure import Structure
from ...runtime import ObjectsAfter
from . import calls


class CodeTracer(torch.fx.Tracer):
    """Make nodes of all that the code of a converted module does.

    A tracer of torch.fx runs what depends on no input: writes to buffers and random numbers would come once,
    when the module is read, and be missing in its graph.
    """

    proxy_buffer_attributes = True

    def trace(
        self,
        root: torch.nn.Module | Callable[..., Any],
        concrete_args: dict[str, Any] | None = None,
    ) -> torch.fx.Graph:
        """Return the graph of a module's code."""
        with _own_functions_as_nodes(self, root), _OperatorsAsNodes(self):
            return super().trace(root, concrete_args)

    def create_arg(self, a: Any) -> Any:
        """Return a node for what the module holds that is neither tensor nor number."""
        if isinstance(a, (HeldPlace, ObjectsAfter, Structure)):
            for name, held in vars(self.root).items():
                if held is a:
                    return self.create_node("get_attr", name, (), {})
        return super().create_arg(a)


class _OperatorsAsNodes(TorchFunctionMode):
    def __init__(self, tracer: CodeTracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if isinstance(func, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
            return self._tracer.create_proxy("call_function", func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


@contextmanager
def _own_functions_as_nodes(tracer: CodeTracer, root: Any) -> Iterator[None]:
    """Have the code of a module write down its calls of opscope's functions, in the place of making them."""
    names = getattr(type(root).forward, "__globals__", {}) if hasattr(type(root), "forward") else {}
    own = {
        name: function
        for name, function in names.items()
        if getattr(function, "__module__", None) == calls.__name__
    }

    def written(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return tracer.create_proxy("call_function", function, args, kwargs)

    names.update({name: partial(written, function) for name, function in own.items()})
    try:
        yield
    finally:
        names.update(own)
