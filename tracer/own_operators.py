"""The operators of graphs that are opscope's own, not torch's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..ir import Effect, Operator
from .callees import CALL_FUNCTION
from .function_calls import AUTOGRAD_FUNCTION

MAKE_SUBCLASS: Final = Operator("prim::make_subclass", effects=Effect.NONE)
"""A tensor of another class on the memory of a tensor, not followed by autograd."""

AS_SUBCLASS: Final = Operator("prim::as_subclass", effects=Effect.NONE)
"""A tensor of another class on the memory of a tensor, followed by autograd."""

OWN_OPERATORS: Final[Mapping[str, Operator]] = {
    operator.name: operator
    for operator in (AUTOGRAD_FUNCTION, CALL_FUNCTION, MAKE_SUBCLASS, AS_SUBCLASS)
}
"""Each of them by its name."""
