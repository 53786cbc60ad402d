"""What a converted module takes: a parameter for each of the program's, taken apart into tensors."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from typing import Any, Final

import torch
from torch.fx.node import Argument

from ...ir import TensorType, row_major_strides
from ...ir.structure import Structure, StructureKind
from ...runtime import torch_literal
from ...tracer import InputSpec
from .calls import check_argument, check_same, check_tensor
from .emitter import Emitter

_PLAIN: Final = (type(None), bool, int, float, str)
_STARS: Final = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


class Inputs:
    """Adds the placeholders of a program's inputs, and what takes them apart and checks them.

    Attributes:
        leaves: the tensors, in the order of the graph's inputs.
        arguments: the arguments by the names that the program has for its parameters.
    """

    def __init__(self, emitter: Emitter, spec: InputSpec, *, checks: bool) -> None:
        self.leaves: list[Any] = []
        self.arguments: dict[str, Argument] = {}
        self._emitter = emitter
        self._spec = spec
        self._constants: list[tuple[str, torch.fx.Node, Any]] = []
        named = list(zip(spec.structure.keys, spec.structure.children, strict=True))
        types = iter(spec.types)
        stars = _stars(spec)
        optional = _optional(named, stars)
        for name, structure in named:
            default = structure.constant if name in optional else inspect.Signature.empty
            node = emitter.placeholder(f"{stars.get(name, '')}{name}", default)
            self.arguments[name] = node
            if structure.kind is not StructureKind.LEAF:
                node.meta.update(emitter.metadata.of_argument(structure, types))
            else:
                next(types)
            self._take_apart(structure, node, str(name))
        self._tell_types()
        if checks:
            self._check()

    def _take_apart(self, structure: Structure, node: torch.fx.Node, path: str) -> None:
        """Find the leaves in what a node stands for."""
        if structure.kind is StructureKind.LEAF:
            self.leaves.append(node)
        elif structure.kind is StructureKind.CONSTANT:
            self._constants.append((path, node, structure.constant))
        for position, child in enumerate(structure.children):
            if not any(part.kind is StructureKind.LEAF for part in child.walk()):
                continue
            step = self._step(structure, position, node)
            self._take_apart(child, step, path + structure.step_text(position))

    def _step(self, structure: Structure, position: int, node: torch.fx.Node) -> torch.fx.Node:
        key = structure.keys[position]
        is_item = structure.kind is not StructureKind.OBJECT or position < structure.items
        if is_item and structure.kind is StructureKind.NAMED_TUPLE:
            key = position
        function = operator.getitem if is_item else getattr
        return self._emitter.call(function, (node, key), name=f"{node.name}_{key}")

    def _tell_types(self) -> None:
        for node, type_ in zip(self.leaves, self._spec.types, strict=True):
            node.meta.update(self._emitter.metadata.of_value(type_))

    def _check(self) -> None:
        spec = self._spec
        for path, node, constant in self._constants:
            if type(constant) in _PLAIN and constant == constant:
                self._emitter.call(check_argument, (node, path, constant))
        for position, (name, type_) in enumerate(zip(spec.names, spec.types, strict=True)):
            node, twin = self.leaves[position], spec.same_as[position]
            if twin is not None:
                message = f"inputs {spec.names[twin]} and {name} were one tensor when the program was traced"
                self._emitter.call(check_same, (node, self.leaves[twin], message))
            if type_.dtype is not None and type_.shape is not None and not type_.class_name:
                self._check_tensor(node, name, type_, spec.dimensions[position])

    def _check_tensor(
        self, node: torch.fx.Node, name: str, type_: TensorType, varying: dict[int, str]
    ) -> None:
        sizes = tuple(size for size in type_.shape or () if isinstance(size, int))
        if len(sizes) != len(type_.shape or ()) or type_.layout.name != "strided":
            return
        assert type_.dtype is not None, "only tensors of a known dtype are checked"
        strides = None if varying else list(type_.strides or row_major_strides(sizes))
        fixed = [None if d in varying else size for d, size in enumerate(sizes)]
        kwargs: dict[str, Argument] = {}
        if self._spec.is_exact:
            kwargs = {"requires_grad": type_.requires_grad}
        args = (node, name, torch_literal(type_.dtype), str(type_.device), fixed, strides)
        self._emitter.call(check_tensor, args, kwargs)


def _stars(spec: InputSpec) -> dict[str, str]:
    """Return the stars that stand before the names of some parameters."""
    signature = spec.arguments.signature
    if signature is None:
        return {"args": "*"}
    return {
        name: _STARS[parameter.kind]
        for name, parameter in signature.parameters.items()
        if parameter.kind in _STARS
    }


def _optional(named: list[tuple[Any, Structure]], stars: dict[str, str]) -> frozenset[str]:
    """Return the parameters that may be left out: plain constants that only such ones follow."""

    def found() -> Iterator[str]:
        for name, structure in reversed(named):
            if name in stars:
                continue
            if structure.kind is not StructureKind.CONSTANT or structure.class_ is not None:
                return
            if type(structure.constant) not in _PLAIN:
                return
            yield name

    return frozenset(found())
