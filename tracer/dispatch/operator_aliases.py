"""Operators that are another name of one: ``aten::multiply`` of ``aten::mul``.

Note [Where aliases are told]
    Torch has no table of them in Python. Its documentation says of a function that it is an alias of another
    one, in words that all such functions share. Which of the two is the other's name, the dispatcher tells:
    the alias is composite for every kind of tensor, so that torch runs what the other one runs whatever it
    is called with. An overload is an alias if the other function has one of the same signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, cast

import torch

from .own_kernels import own_kernels

_NAMESPACES: Final = {
    "": torch, "special_": torch.special, "linalg_": torch.linalg, "fft_": torch.fft,
}  # fmt: skip
_SAYS_ALIAS: Final = re.compile(r"lias (?:for|of) :(?:func|meth):`~?(?:torch\.)?([\w.]+)`")


def canonical_overload(op: Any) -> Any:
    """Return the overload that another one is a name of; None if it is none."""
    _, _, name = op._schema.name.partition("::")
    if op.namespace != "aten" or own_kernels(op.name()) != ():
        return None
    is_inplace = name.endswith("_") and not name.endswith("__")
    suffix = "_" if is_inplace else ""
    for other in _documented().get(name.removesuffix(suffix), ()):
        packet = getattr(torch.ops.aten, other + suffix, None)
        found = None if packet is None else _like(op, packet)
        # Of two composite ones, that which is documented to be the alias is.
        if found is not None and (
            own_kernels(found.name()) is None or (name.removesuffix(suffix), other) in _pairs()
        ):
            return found
    return None


def _like(op: Any, packet: Any) -> Any:
    """Return the overload of a function that has the signature of ``op``; None if there is none."""
    wanted = _signature(op)
    overloads = (getattr(packet, overload) for overload in packet.overloads())
    return next((each for each in overloads if _signature(each) == wanted), None)


def _signature(op: Any) -> tuple[Any, ...]:
    """Return what two overloads must agree in to take each other's arguments by position."""
    schema = op._schema
    return (
        [(str(a.real_type), _written(a), a.name if a.kwarg_only else "") for a in schema.arguments],
        [(str(r.real_type), _written(r)) for r in schema.returns],
    )


def _written(fact: Any) -> bool | None:
    return None if fact.alias_info is None else bool(fact.alias_info.is_write)


@cache
def _documented() -> dict[str, tuple[str, ...]]:
    """Return, for each name, those that torch's documentation calls the same function."""
    found: dict[str, list[str]] = {}
    for one, other in _pairs():
        found.setdefault(one, []).append(other)
        found.setdefault(other, []).append(one)
    return {name: tuple(others) for name, others in found.items()}


@cache
def _pairs() -> frozenset[tuple[str, str]]:
    """Return the names that torch's documentation calls aliases, each with what of."""
    return frozenset(_read_documentation())


def _read_documentation() -> Iterator[tuple[str, str]]:
    for prefix, namespace in _NAMESPACES.items():
        for name in dir(namespace):
            text = getattr(getattr(cast(Any, namespace), name, None), "__doc__", None)
            match = _SAYS_ALIAS.search(text) if isinstance(text, str) else None
            if match is not None:
                other = match[1].removeprefix("Tensor.").replace(".", "_")
                if other != prefix + name:
                    yield prefix + name, other
