"""Operators of our own: what a program does, or a pass makes of it, for which torch has no operator.

``runtime/operators.py`` has the functions that run them. Those on numbers, and the guard, stand in
``scalars.py``, those on tuples in ``tuples.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .operator import Effect, Operator, Parameter, Return
from .rules import CALL, STORE, WATCH
from .tuples import TUPLE_OPERATORS

_WRITTEN = Parameter("self", "Tensor", alias="a", is_written=True)

DATA: Final = Operator(
    "prim::data",  # ``self.data``: what is written through it, autograd does not notice
    (Parameter("self", "Tensor", alias="a"),),
    (Return("Tensor", alias="a"),),
    Effect.NONE,
)
SET_DATA: Final = Operator(
    "prim::set_data",  # ``self.data = source``
    (_WRITTEN, Parameter("source", "Tensor", alias="b")),
    (Return("Tensor", alias="a"),),
    Effect.WRITES | Effect.RESHAPES,
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

GRADIENT: Final = Operator(
    "prim::gradient",  # ``self.grad``, which may be another tensor at the next run
    (Parameter("self", "Tensor"),),
    (Return("Tensor"),),
    Effect.NONE,
)
SET_GRADIENT: Final = Operator(
    "prim::set_gradient",  # ``self.grad = gradient``, by autograd's engine mostly
    (Parameter("self", "Tensor"), Parameter("gradient", "Tensor?")),
    (),
    Effect.WRITES,
)
RETAIN_GRAD: Final = Operator(
    "prim::retain_grad",  # ``self.retain_grad()``: a backward leaves a gradient there
    (Parameter("self", "Tensor"),),
    (),
    Effect.WRITES,
)
NO_GRADIENT: Final = Operator(
    "prim::no_gradient",  # a backward that reaches the tensor is an error, for which a reason is given
    (Parameter("self", "Tensor"), Parameter("reason", "str")),
    (),
    Effect.WRITES,
)
SET_NUMBER: Final = Operator(
    STORE,  # what holds the number, an optimizer say, holds another one from now on
    (Parameter("self", "number", is_written=True), Parameter("number", "number")),
    (),
    Effect.WRITES,
)
LITERAL: Final = Operator("prim::literal", effects=Effect.NONE)
"""A value that is its argument, for a block whose result is no value."""

ENTER_MODE: Final = Operator("prim::enter_mode", effects=Effect.WRITES)
EXIT_MODE: Final = Operator("prim::exit_mode", effects=Effect.WRITES)

WAIT: Final = Operator("prim::wait", effects=Effect.WRITES)
"""A wait for the work of a collective operator: a method of that object and no operator."""

RESIZE_STORAGE: Final = Operator("prim::resize_storage", effects=Effect.WRITES)

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

_OF_PARTS: Final = (Return("Tensor", alias="a"),)

INNER: Final = Operator(
    "prim::inner",
    (Parameter("wrapper", "Tensor", alias="a"), Parameter("path", "str[]")),
    _OF_PARTS,
    Effect.NONE,
)
"""A tensor that another one wraps: ``wrapper.quantized.scale``."""

WRAP: Final = Operator(
    "prim::wrap",
    (
        Parameter("class", "Any"),
        Parameter("names", "str[]"),
        Parameter("inner", "Tensor[]", alias="a"),
        Parameter("context", "Any"),
        Parameter("size", "int?[]"),
        Parameter("stride", "int?[]"),
    ),
    _OF_PARTS,
    Effect.NONE,
)
"""A tensor that wraps others, through its class's own ``__tensor_unflatten__``."""

MAKE_WRAPPER: Final = Operator(
    "prim::make_wrapper", (Parameter("call", "Any"),), (Return("Tensor"),), Effect.NONE
)
"""A tensor that wraps others, of a class that has no ``__tensor_unflatten__``."""

SET_ATTRIBUTES: Final = Operator(
    "prim::set_attributes",
    (
        Parameter("self", "Tensor", alias="a", is_written=True),
        Parameter("names", "str[]"),
        Parameter("values", "Any[]", alias="a"),
    ),
    _OF_PARTS,
    Effect.WRITES,
)

OUTPLACE: Final = Operator("prim::outplace", effects=Effect.NONE)
RANDOM_OUTPLACE: Final = Operator("prim::outplace", effects=Effect.RANDOM)
"""``prim::outplace(name, written, *args)``: an operator, run on copies of what it would write.

``written`` names these by parameter. It returns the operator's own results, then the copies' new contents.
Whether the operator draws random numbers, the name ``prim::outplace`` does not tell.
"""

VIEW_SCATTER: Final = Operator("prim::view_scatter", effects=Effect.NONE)
"""``prim::view_scatter(name, result, base, part, *args)``: a copy of ``base`` with a part of it replaced.

In the copy, the view that operator ``name`` gives as its result number ``result`` has the contents
``part``.
"""

KEEP_HISTORY: Final = Operator("prim::keep_history", effects=Effect.NONE)
"""``prim::keep_history(content, before)``: ``content`` as autograd sees ``before``.

What is written under ``no_grad`` changes data and no history.
"""

PROFILE: Final = Operator(
    WATCH,
    (Parameter("self", "Tensor", alias="a"),),
    (Return("Tensor", alias="a"),),
    Effect.NONE,
)
"""The tensor that it is given, with the type that runs found it to have; see ``profiles.py``."""

OPERAND_OF: Final = {DATA.name: 0, MAKE_SUBCLASS.name: 1, AS_SUBCLASS.name: 1, PROFILE.name: 0}
"""For own operators whose result is on the memory of an argument: that argument's position."""

OWN_OPERATORS: Final[Mapping[str, Operator]] = {
    **TUPLE_OPERATORS,
    **{
        operator.name: operator
        for operator in (
            DATA,
            SET_DATA,
            WRITE,
            DEEPCOPY,
            MANUAL_SEED,
            GET_RNG_STATE,
            SET_RNG_STATE,
            SET_DEFAULT_DTYPE,
            SEED_GENERATOR,
            GRADIENT,
            SET_GRADIENT,
            RETAIN_GRAD,
            NO_GRADIENT,
            SET_NUMBER,
            LITERAL,
            ENTER_MODE,
            EXIT_MODE,
            WAIT,
            RESIZE_STORAGE,
            CALL_FUNCTION,
            AUTOGRAD_FUNCTION,
            MAKE_SUBCLASS,
            AS_SUBCLASS,
            INNER,
            WRAP,
            MAKE_WRAPPER,
            SET_ATTRIBUTES,
            RANDOM_OUTPLACE,
            VIEW_SCATTER,
            KEEP_HISTORY,
            PROFILE,
        )
    },
}
"""Each of them by its name, for text that is read back."""
