"""What a node of torch.fx is told of the node that it comes from: its value, its scope, its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

import torch
from torch._subclasses import FakeTensorMode
from torch.fx.passes.shape_prop import TensorMetadata, _extract_tensor_metadata

from ...ir import Frame, Node, Scope, ScopeKind, TensorType, Type, row_major_strides
from ...ir.structure import Structure
from ...runtime import torch_literal

SCOPE: Final = "opscope_scope"
"""The key under which a node has the address of its scope."""

ARGUMENT: Final = "opscope_argument"
"""The key under which a placeholder has an example of an argument that is no tensor."""


class Metadata:
    """Makes the metadata of the nodes of one module."""

    def __init__(self) -> None:
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._module_stack = cache(_module_stack)
        self._stack_trace = cache(_stack_trace)

    def of_value(self, type_: Type) -> dict[str, Any]:
        """Return what is told of a value of a type."""
        made = self._fake(type_)
        return {} if made is None else {"val": made, "tensor_meta": _tensor_meta(made)}

    def of_argument(self, structure: Structure, types: Iterator[Type]) -> dict[str, Any]:
        """Return what is told of an argument: an example, its tensors without data."""
        leaves = [self._fake(next(types)) for _ in structure.leaf_paths()]
        if any(leaf is None for leaf in leaves):
            return {}
        return {ARGUMENT: structure.build(leaves)}

    def of_results(self, types: Sequence[Type], groups: Sequence[int | None]) -> dict[str, Any]:
        """Return what is told of what an operator returns, which groups results to lists."""
        results = iter(types)
        parts = [
            self._fake(next(results))
            if group is None
            else [self._fake(next(results)) for _ in range(group)]
            for group in groups
        ]
        if not parts:
            return {}
        whole = parts[0] if len(parts) == 1 else tuple(parts)
        return {"val": whole} if len(parts) > 1 or whole else {}

    def of_node(self, node: Node) -> dict[str, Any]:
        """Return what is told of where a node comes from."""
        told: dict[str, Any] = {"nn_module_stack": dict(self._module_stack(node.scope))}
        if node.scope.address:
            told[SCOPE] = node.scope.address
        if node.stack is not None:
            told["stack_trace"] = self._stack_trace(node.stack)
        return told

    def _fake(self, type_: Type) -> Any:
        """Return a tensor of a type without data; None where the type does not tell all of it."""
        if not isinstance(type_, TensorType) or type_.dtype is None or type_.shape is None:
            return None
        sizes = tuple(size for size in type_.shape if isinstance(size, int))
        is_plain = len(sizes) == len(type_.shape) and type_.layout.name == "strided"
        if not is_plain or type_.class_name:
            return None
        strides = type_.strides or row_major_strides(sizes)
        dtype = torch_literal(type_.dtype)
        with self._mode:
            made = torch.empty_strided(
                sizes, strides, dtype=dtype, device=torch_literal(type_.device)
            )
        return made.requires_grad_() if type_.requires_grad else made


def _tensor_meta(tensor: torch.Tensor) -> TensorMetadata:
    return _extract_tensor_metadata(tensor)


def _module_stack(scope: Scope) -> dict[str, tuple[str, str]]:
    """Return the module calls that a scope is in, outermost first: path and class by address."""
    modules = [step for step in scope.chain() if step.kind is ScopeKind.MODULE]
    return {step.address: (step.path, step.class_name) for step in modules}


def _stack_trace(stack: Frame) -> str:
    """Return the user's lines of a stack as a traceback shows them, the innermost last."""
    lines = []
    for frame in reversed([frame for frame in stack if not frame.is_library] or [stack]):
        place = frame.range
        path = place.path or place.file
        lines.append(f'  File "{path}", line {place.line}, in {place.function}\n')
        lines.append(f"    {place.text.strip()}\n")
    return "".join(lines)
