"""Inputs for a module of torch.fx, made of what its placeholders tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.fx.graph_module import GraphModule
from torch.fx.passes.shape_prop import TensorMetadata
from torch.utils import _pytree as pytree

from ...errors import InputError
from ...tracer import make_fake_mode
from .metadata import ARGUMENT

_REMEDY = (
    "pass inputs, opscope.from_fx(module, (x,)), or run torch.fx.passes.shape_prop.ShapeProp on it"
)


def example_inputs(module: GraphModule) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments for a module, positional and by name, whose tensors are fake.

    Raises:
        InputError: a placeholder does not tell what it takes.
    """
    mode = _mode_of(module)
    placeholders = module.graph.find_nodes(op="placeholder")
    info = getattr(module.graph._codegen, "pytree_info", None)
    if info is None:
        return _arguments(placeholders, mode)
    given = pytree.tree_unflatten([_example(node, mode) for node in placeholders], info.in_spec)
    if info.in_spec.type is tuple and len(given) == 2 and isinstance(given[1], dict):
        return tuple(given[0]), dict(given[1])
    return tuple(given), {}


def _arguments(
    placeholders: Iterable[torch.fx.Node], mode: FakeTensorMode
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    is_by_name = False
    for node in placeholders:
        target, example = str(node.target), _example(node, mode)
        if target.startswith("**"):
            kwargs.update(example)
        elif target.startswith("*"):
            args += example
            is_by_name = True
        elif is_by_name:
            kwargs[target] = example
        else:
            args.append(example)
    return tuple(args), kwargs


def _mode_of(module: torch.nn.Module) -> FakeTensorMode:
    """Return the mode of the module's own tensors, if they are fake; else a new one."""
    for tensor in (*module.parameters(), *module.buffers()):
        if isinstance(tensor, FakeTensor):
            return tensor.fake_mode
    return make_fake_mode(allow_non_fake_inputs=True)


def _example(node: torch.fx.Node, mode: FakeTensorMode) -> Any:
    if ARGUMENT in node.meta:
        return pytree.tree_map(partial(_made, node, mode=mode), node.meta[ARGUMENT])
    for key in ("val", "example_value", "tensor_meta"):
        if key in node.meta:
            return _made(node, node.meta[key], mode)
    if node.args:  # its default
        return node.args[0]
    raise InputError(f"placeholder {node.name} does not tell what it takes\n  {_REMEDY}")


def _made(node: torch.fx.Node, told: Any, mode: FakeTensorMode) -> Any:
    if isinstance(told, TensorMetadata):
        device = torch.get_default_device()
        return _empty(node, told.shape, told.stride, told.dtype, device, told.requires_grad, mode)
    if isinstance(told, torch.Tensor):
        if told.layout is not torch.strided:
            raise InputError(
                f"placeholder {node.name} takes a tensor of layout {told.layout}, which is not made of "
                "metadata\n  pass inputs: opscope.from_fx(module, (x,))"
            )
        stride = told.stride()
        return _empty(node, told.shape, stride, told.dtype, told.device, told.requires_grad, mode)
    if isinstance(told, torch.SymInt):
        return _number(node, told)
    return told


def _empty(
    node: torch.fx.Node,
    sizes: Any,
    strides: Any,
    dtype: torch.dtype,
    device: torch.device,
    requires_grad: bool,
    mode: FakeTensorMode,
) -> torch.Tensor:
    plain_sizes = [_number(node, size) for size in sizes]
    plain_strides = [_number(node, stride) for stride in strides]
    with mode:
        made = torch.empty_strided(plain_sizes, plain_strides, dtype=dtype, device=device)
    return made.requires_grad_() if requires_grad else made


def _number(node: torch.fx.Node, size: Any) -> int:
    if isinstance(size, int):
        return size
    hint = size.node.hint
    if hint is None:
        raise InputError(
            f"placeholder {node.name} has a size, {size}, of which no example is known\n  {_REMEDY}"
        )
    return int(hint)
