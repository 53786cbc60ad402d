"""Rewrite rules: what to look for, what to put in its place, and when.

Note [A rule is a claim]
    Whoever writes a rule claims that the replacement computes what the pattern computes, bit by bit if
    replays are to be exact, for all that the captures and the condition let through. All else is checked
    at each match; see ``surroundings.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...errors import PassError
from ...ir import Effect, Operator, OperatorTable, unknown_operator
from ..torch_facts import TorchFacts
from .captures import Capture
from .matching import Match
from .pattern import Pattern, PatternNode
from .reading import Replacement, parameters_of, read_pattern, read_replacement, run_pattern

Condition: TypeAlias = Callable[[Match], bool]
"""Decides whether a match is replaced; it changes nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule; :func:`rewrite_rule` makes one from text or from functions.

    Attributes:
        name: what messages call it.
        pattern: what it looks for.
        replacement: writes what comes in its place, and returns a value per result of the root, alone
            where there is one; None leaves the match as it is.
        reads: the names that the replacement is given.
        where: decides on a match; None if all are replaced.
        is_same_object: whether what the replacement returns is the very tensor that the pattern gives, as
            where ``contiguous()`` has nothing to do. Then who holds or writes it makes no difference.
        draws_nothing: whether a root that may draw random numbers draws none where the pattern and the
            condition hold.
        keeps_inner: whether nodes other than the root may be read by others; they stay then.
        asks_types: whether torch, where it is at hand, is asked for the types of what the replacement
            makes. They are compared with those of the pattern's results, and those of other values are not
            known without.
        operators: the operators that the replacement makes nodes of, by name, as far as they are known.
        facts: what is to be asked about torch's operators.
    """

    name: str
    pattern: Pattern
    replacement: Replacement = field(repr=False)
    reads: tuple[str, ...] = ()
    where: Condition | None = field(default=None, repr=False)
    is_same_object: bool = False
    draws_nothing: bool = False
    keeps_inner: bool = False
    asks_types: bool = True
    operators: OperatorTable = field(default=unknown_operator, repr=False)
    facts: TorchFacts | None = field(default=None, repr=False)

    @property
    def root(self) -> PatternNode:
        """The node of the pattern at which the rule is tried."""
        return self.pattern.root


def rewrite_rule(
    before: str | Callable[..., Any],
    after: str | Callable[..., Any],
    *,
    name: str = "",
    captures: Mapping[str, Capture] | None = None,
    where: Condition | None = None,
    commutative: tuple[str, ...] = (),
    is_same_object: bool = False,
    draws_nothing: bool = False,
    keeps_inner: bool = False,
    asks_types: bool = True,
    operators: OperatorTable = unknown_operator,
    facts: TorchFacts | None = None,
) -> Rule:
    """Make a rule of a pattern and its replacement, each as a graph's text or as a function.

    A graph's inputs are what is captured: ``graph(%x : f32[*], %n : int): ...``. A function is called with
    ``op``, which makes a node, and then with what is captured, under the names of its parameters: a pattern
    once, here; a replacement at each match, with the values and literals that were found.

    Args:
        before: the pattern; it gives all results of one node, its root.
        after: the replacement; it takes captures of the pattern by their names, and gives as many results.
        name: what messages call the rule; that of the pattern if left out.
        captures: what names may stand for, where the pattern does not say or says less.
        where: decides on a match.
        commutative: operators of the pattern's text whose first two arguments may be swapped.
        is_same_object: see :class:`Rule`.
        draws_nothing: see :class:`Rule`.
        keeps_inner: see :class:`Rule`.
        asks_types: see :class:`Rule`.
        operators: gives the operators that the replacement makes nodes of, where graphs do not have them.
        facts: what is to be asked about torch's operators.

    Raises:
        PassError: a text cannot be read, the pattern has no root, or the replacement takes or gives what the
            pattern does not.
    """
    if isinstance(before, str):
        made, pattern = read_pattern(before, name, commutative)
    else:
        made = name or getattr(before, "__name__", "rule")
        pattern = run_pattern(before, made)
    pattern = _with_captures(pattern, captures or {}, made)
    replacement: Replacement
    if isinstance(after, str):
        replacement, reads = read_replacement(after, made, len(pattern.root.results or ()))
    else:
        replacement, reads = after, parameters_of(after, made)
    unbound = [read for read in reads if read not in pattern.captures]
    if unbound:
        raise PassError(
            f"rule {made}: the replacement reads %{unbound[0]}, which the pattern does not capture\n"
            f"  it captures {', '.join('%' + known for known in pattern.captures) or 'nothing'}"
        )
    return Rule(
        made, pattern, replacement, reads, where, is_same_object, draws_nothing, keeps_inner,
        asks_types, operators, facts,
    )  # fmt: skip


def _with_captures(pattern: Pattern, captures: Mapping[str, Capture], name: str) -> Pattern:
    unknown = [each for each in captures if each not in pattern.captures]
    if unknown:
        raise PassError(
            f"rule {name}: captures= names %{unknown[0]}, which the pattern does not have"
        )
    return Pattern({**pattern.captures, **captures}, pattern.nodes)


def operator_for(
    rule: Rule, name: str, present: Mapping[str, Operator], facts: TorchFacts | None
) -> Operator | None:
    """Return the operator of a name that a rule makes a node of: as the rule, the graph or torch has it."""
    found = rule.operators(name)
    if found.effects != Effect.UNKNOWN:
        return found
    if name in present:
        return present[name]
    asked = rule.facts or facts
    overloads = () if asked is None else asked.overloads(found.base_name)
    return next((overload for overload in overloads if overload.name == name), None)
