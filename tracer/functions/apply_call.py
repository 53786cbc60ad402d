"""One call of a custom autograd function, between Python's ``apply`` and the one made in C++."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any, Final


class ApplyCall:
    """One call of a custom function, ready to be made."""

    __slots__ = ("_apply", "args", "kwargs")

    def __init__(
        self, apply: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._apply = apply
        self.args = args
        self.kwargs = kwargs

    def __call__(self) -> Any:
        """Make the call."""
        return self._apply(*self.args, **self.kwargs)


BEHIND_APPLY: Final[CodeType] = ApplyCall.__call__.__code__
"""The innermost Python code while the C++ of ``apply`` runs, outside of ``forward`` and ``backward``."""
