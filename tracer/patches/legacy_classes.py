"""What stands before ``torch.FloatTensor`` and its kin, which take a shape or data and tell them by class.

They are types that nothing can be put into, so others stand in their place while a trace runs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch

from ..dispatch.dispatcher import Kernels
from ..dispatch.replacing import Patch
from .sizes import of_shape

_METACLASS = type(torch.FloatTensor)


def legacy_classes(installed: Kernels) -> Iterator[Patch]:
    """Yield what gives the oldest constructors a shape in the class by which they know it."""
    for name, held in list(vars(torch).items()):
        if type(held) is _METACLASS:
            yield torch, name, functools.partial(_stand_in, name)


class _StandIn(type):
    """The class of what stands for a legacy class, and is it in all but identity."""

    original: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return of_shape(cls.original)(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.original)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.original, name)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.original

    def __hash__(cls) -> int:
        return hash(cls.original)


def _stand_in(name: str, original: Any) -> Any:
    if type(original) is not _METACLASS:  # a trace by another copy of this package runs
        return original
    # Torch goes by the name where a tensor is to be converted: ``x.type(torch.FloatTensor)``.
    return _StandIn(f"torch.{name}", (), {"original": original})
