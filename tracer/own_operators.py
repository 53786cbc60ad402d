"""Operators of our own: what a program does for which torch has no operator.

``runtime/operators.py`` has the functions that run them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..ir import CALL, Effect, Operator, Parameter, Return

_WRITTEN = Parameter("self", "Tensor", alias="a", is_written=True)

SET_DATA: Final = Operator(
    "prim::set_data",  # ``self.data = source``
    (_WRITTEN, Parameter("source", "Tensor", alias="b")),
    (Return("Tensor", alias="a"),),
    Effect.WRITES,
)
WRITE: Final = Operator(
    "prim::write",  # what a write behind autograd's back left in memory
    (_WRITTEN, Parameter("contents", "Tensor")),
    (),
    Effect.WRITES,
)
DEEPCOPY: Final = Operator(
    "prim::deepcopy",  # ``copy.deepcopy(self)``: the whole storage is copied
    (Parameter("self", "Tensor"),),
    (Return("Tensor"),),
    Effect.NONE,
)
MANUAL_SEED: Final = Operator(
    "prim::manual_seed", (Parameter("seed", "int"),), (), Effect.WRITES | Effect.RANDOM
)
GET_RNG_STATE: Final = Operator("prim::get_rng_state", (), (Return("Tensor"),), Effect.RANDOM)
SET_RNG_STATE: Final = Operator(
    "prim::set_rng_state", (Parameter("state", "Tensor"),), (), Effect.WRITES | Effect.RANDOM
)
SET_DEFAULT_DTYPE: Final = Operator(
    "prim::set_default_dtype", (Parameter("dtype", "ScalarType"),), (), Effect.WRITES
)
SEED_GENERATOR: Final = Operator(
    "prim::seed_generator",
    (Parameter("generator", "Generator"), Parameter("seed", "int")),
    (),
    Effect.WRITES | Effect.RANDOM,
)

CALL_FUNCTION: Final = Operator(CALL, effects=Effect.UNKNOWN | Effect.DATA_SIZED)
"""A call of a function of the graph: its name, its inputs, and the state that it reads."""

AUTOGRAD_FUNCTION: Final = Operator(
    "prim::autograd_function",
    parameters=(
        Parameter("function", "type"),
        Parameter("structure", "Structure?", is_keyword=True, default=None),
        Parameter("dirty", "int[]", is_keyword=True, default=()),
        Parameter("non_differentiable", "int[]", is_keyword=True, default=()),
        Parameter("materialize_grads", "bool", is_keyword=True, default=True),
        Parameter("once_differentiable", "bool", is_keyword=True, default=False),
        Parameter("generate_vmap_rule", "bool", is_keyword=True, default=False),
        Parameter("setup_context", "bool", is_keyword=True, default=False),
    ),
    effects=Effect.UNKNOWN | Effect.DATA_SIZED,
)
"""A call of a custom autograd function: the class, then the arguments of ``apply`` in order.

``structure`` is there where an argument is a list, tuple or dictionary, of which a node has only lists,
or a partial or closure over tensors.
``dirty`` counts arguments of ``apply`` that the forward wrote and returned, ``non_differentiable`` the
node's results. What follows are flags of the class, left out where they are as usual.
"""

MAKE_SUBCLASS: Final = Operator("prim::make_subclass", effects=Effect.NONE)
"""A tensor of another class on the memory of a tensor, not followed by autograd."""

AS_SUBCLASS: Final = Operator("prim::as_subclass", effects=Effect.NONE)
"""A tensor of another class on the memory of a tensor, followed by autograd."""

OWN_OPERATORS: Final[Mapping[str, Operator]] = {
    operator.name: operator
    for operator in (
        SET_DATA,
        WRITE,
        DEEPCOPY,
        MANUAL_SEED,
        GET_RNG_STATE,
        SET_RNG_STATE,
        SET_DEFAULT_DTYPE,
        SEED_GENERATOR,
        CALL_FUNCTION,
        AUTOGRAD_FUNCTION,
        MAKE_SUBCLASS,
        AS_SUBCLASS,
    )
}
"""Each of them by its name."""
