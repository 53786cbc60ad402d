"""Functions that a recorded call has returned, such as the pull-back of ``torch.func.vjp``."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ...ir import Value


class FunctionMap:
    """Maps functions to the values that they are in the graph, and keeps none of them alive."""

    def __init__(self) -> None:
        self._values: weakref.WeakKeyDictionary[Callable[..., Any], Value] = (
            weakref.WeakKeyDictionary()
        )

    def get(self, function: Any) -> Value | None:
        """Return the value that an object is; None unless a recorded call returned it as a function."""
        if not self._values or not callable(function):
            return None
        try:
            return self._values.get(function)
        except TypeError:  # it has no hash, or cannot be referred to weakly
            return None

    def set(self, function: Callable[..., Any], value: Value) -> None:
        """Make ``value`` what a function is in the graph."""
        self._values[function] = value
