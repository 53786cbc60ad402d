"""Operators of ours that no library registers; ``runtime`` has the functions that run them.

``prim::outplace(name, written, *args)`` runs an operator on copies of what it would write, named by
parameter, and returns its own results followed by the copies' new contents.

``prim::view_scatter(name, result, base, part, *args)`` returns a copy of ``base`` in which the view that
operator ``name`` gives as its result number ``result`` has the contents ``part``.

``prim::keep_history(content, before)`` returns ``content`` as autograd sees ``before``: what is written
under ``no_grad`` changes data and no history.
"""

from __future__ import annotations

from typing import Final

from ..ir import Effect, Operator

OUTPLACE: Final = Operator("prim::outplace", effects=Effect.NONE)
RANDOM_OUTPLACE: Final = Operator("prim::outplace", effects=Effect.RANDOM)
VIEW_SCATTER: Final = Operator("prim::view_scatter", effects=Effect.NONE)
KEEP_HISTORY: Final = Operator("prim::keep_history", effects=Effect.NONE)

OPERAND_OF: Final = {"prim::make_subclass": 1, "prim::as_subclass": 1}
"""For own operators whose result is on the memory of an argument: that argument's position."""

OWN: Final = {operator.name: operator for operator in (RANDOM_OUTPLACE, VIEW_SCATTER, KEEP_HISTORY)}
"""By name, for text that is read back; which operator ``prim::outplace`` runs, its name does not tell."""
