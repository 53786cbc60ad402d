"""Operators of our own: what a program does to torch for which torch has no operator.

``runtime/operators.py`` has the functions that run them.
"""

from __future__ import annotations

from ..ir import Effect, Operator, Parameter, Return

_WRITTEN = Parameter("self", "Tensor", alias="a", is_written=True)

SET_DATA = Operator(
    "prim::set_data",  # ``self.data = source``
    (_WRITTEN, Parameter("source", "Tensor", alias="b")),
    (Return("Tensor", alias="a"),),
    Effect.WRITES,
)
WRITE = Operator(
    "prim::write",  # what a write behind autograd's back left in memory
    (_WRITTEN, Parameter("contents", "Tensor")),
    (),
    Effect.WRITES,
)
DEEPCOPY = Operator(
    "prim::deepcopy",  # ``copy.deepcopy(self)``: the whole storage is copied
    (Parameter("self", "Tensor"),),
    (Return("Tensor"),),
    Effect.NONE,
)
MANUAL_SEED = Operator(
    "prim::manual_seed", (Parameter("seed", "int"),), (), Effect.WRITES | Effect.RANDOM
)
GET_RNG_STATE = Operator("prim::get_rng_state", (), (Return("Tensor"),), Effect.RANDOM)
SET_RNG_STATE = Operator(
    "prim::set_rng_state", (Parameter("state", "Tensor"),), (), Effect.WRITES | Effect.RANDOM
)
SET_DEFAULT_DTYPE = Operator(
    "prim::set_default_dtype", (Parameter("dtype", "ScalarType"),), (), Effect.WRITES
)
SEED_GENERATOR = Operator(
    "prim::seed_generator",
    (Parameter("generator", "Generator"), Parameter("seed", "int")),
    (),
    Effect.WRITES | Effect.RANDOM,
)
