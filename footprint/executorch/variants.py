"""Which variant of an operator writes into memory that it is given, and what ExecuTorch calls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch._ops import OpOverload

# What ExecuTorch has instead, of its own.
_INSTEAD: Final = {
    "aten::_to_copy": "dim_order_ops::_to_dim_order_copy.out",
    "aten::clone": "dim_order_ops::_clone_dim_order.out",
    "aten::empty.memory_format": "dim_order_ops::_empty_dim_order.out",
}
_OF_NUMBERS: Final = (
    "add",
    "sub",
    "mul",
    "div",
)  # their .Scalar takes a tensor that holds the number
_COPY: Final = "_copy"
_BASES: Final = {"_unsafe_view": "view_copy"}


@dataclass(slots=True)
class OutVariants:
    """Looks variants up, each once.

    Attributes:
        guessed: names that were made up by rule, as torch has no such variant.
    """

    guessed: set[str] = field(default_factory=set)
    _found: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def of(self, operator: OpOverload) -> tuple[str, bool]:
        """Return the name of a variant, and whether it writes into memory that it is given."""
        name = _name(operator)
        if name not in self._found:
            self._found[name] = self._variant(operator)
        return self._found[name]

    def _variant(self, operator: OpOverload) -> tuple[str, bool]:
        name = _name(operator)
        if name in _INSTEAD:
            return _INSTEAD[name], True
        if not _gives_tensors(operator):
            return name, False  # of numbers: the runtime has it itself
        namespace, _, rest = name.partition("::")
        base, _, overload = rest.partition(".")
        copying = f"{base}{_COPY}" if is_view(operator) else _BASES.get(base, base)
        found = _lookup(namespace, copying, operator)
        if found is None:
            found = (
                f"{namespace}::{copying}.{overload}_out"
                if overload
                else f"{namespace}::{copying}.out"
            )
            self.guessed.add(found)
        return found, True


def _lookup(namespace: str, base: str, operator: OpOverload) -> str | None:
    packet = getattr(getattr(torch.ops, namespace), base, None)
    if packet is None:
        return None
    wanted = [_signature(argument) for argument in operator._schema.arguments]
    for overload in packet.overloads():
        candidate = getattr(packet, overload)
        arguments = candidate._schema.arguments
        outs = [argument for argument in arguments if argument.is_out]
        rest = [_signature(argument) for argument in arguments if not argument.is_out]
        # Where all is memory to write into, what torch thinks of its type and place it does not take.
        if outs and (rest == wanted or rest == _without_placement(wanted)):
            return _name(candidate)
    return None


def _name(operator: Any) -> str:
    name: str = operator.name()  # it is not typed
    return name


def _signature(argument: Any) -> tuple[str, str]:
    return argument.name, str(argument.type)


def _without_placement(signature: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        part for part in signature if part[0] not in ("dtype", "layout", "device", "pin_memory")
    ]


def is_view(operator: OpOverload) -> bool:
    """Whether what an operator returns shares memory with what it is given, and nothing is written."""
    return any(
        argument.alias_info is not None and not argument.alias_info.is_write
        for argument in operator._schema.arguments
    )


def _gives_tensors(operator: OpOverload) -> bool:
    return any("Tensor" in str(part.type) for part in operator._schema.returns)
