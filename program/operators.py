"""Graphs, rules and passes that know operators as the torch that runs describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ..ir import Graph, Operator, Value, unknown_operator
from ..ir import parse as parse_graph
from ..ir.mutation import Mutation
from ..ir.own_operators import OWN_OPERATORS
from ..ir.scalars import scalar_named
from ..passes.functionalize import Functionalize
from ..passes.patterns import Rule
from ..passes.patterns import rewrite_rule as rule_for
from ..runtime import find_overload, torch_literal
from ..tracer import MetaFacts, operator_of
from ..tracer.blocks.hops import higher_order_named


def functionalize(
    graph: Graph, memories: Mapping[Value, int] | None = None
) -> tuple[Mutation, ...]:
    """Turn the writes of a graph into values, in place; return the outputs that this adds.

    Args:
        graph: what to change; see ``passes.functionalize`` for what is kept.
        memories: a number for each input and state value; those that share memory have one number.
            Left out, no two of them do.

    Raises:
        PassError: a write cannot be made a value; the graph is left as it was.
    """
    pass_ = Functionalize(torch_facts(), {} if memories is None else memories)
    return pass_.run(graph).mutations


def torch_facts() -> MetaFacts:
    """Return what answers the questions of passes about operators of the torch that runs."""
    return MetaFacts(torch_literal)


@cache
def operator_named(name: str) -> Operator:
    """Return the operator of a qualified name as torch's schemas describe it.

    A name that neither torch nor opscope knows gives an operator of unknown effect.
    """
    own = OWN_OPERATORS.get(name) or scalar_named(name) or higher_order_named(name)
    if own is not None:
        return own
    overload = find_overload(name)
    return unknown_operator(name) if overload is None else operator_of(overload)


def parse(text: str) -> Graph:
    """Read a graph from its text, with operators as torch's schemas describe them.

    Args:
        text: what ``str(graph)`` gives.

    Raises:
        ParseError: the text is not a graph; the message points at the line and column.
    """
    return parse_graph(text, operator_named)


def rewrite_rule(
    before: str | Callable[..., Any], after: str | Callable[..., Any], **options: Any
) -> Rule:
    """Make a rule for :class:`RewriteRules`: a pattern of nodes, and what comes in its place.

    Both are a graph's text, whose inputs are what is captured, or a function that calls ``op``. Operators are
    those of the torch that runs, which is asked for the types of what a replacement makes; see
    ``docs/writing_passes.md``.

    Args:
        before: the pattern.
        after: the replacement.
        options: those of ``opscope.passes.patterns.rewrite_rule``: ``name``, ``captures``, ``where``,
            ``commutative``, ``is_same_object``, ``draws_nothing``, ``keeps_inner`` and ``asks_types``.

    Raises:
        PassError: one of the two cannot be read, or the two do not fit each other.
    """
    facts = torch_facts()
    return rule_for(before, after, **{"operators": operator_named, "facts": facts, **options})
