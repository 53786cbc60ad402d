"""Aliases to canonical operators: ``aten::multiply`` is another name of ``aten::mul``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from ..ir import Graph, Operator
from ..ir.operator import Missing
from .base import Pass, PassResult
from .patterns.building import NodeWriter
from .patterns.captures import Anything
from .patterns.pattern import Name, Pattern, PatternNode
from .patterns.rewriting import rewrite
from .patterns.rule import Rule


@dataclass(frozen=True, slots=True)
class NormalizeOps(Pass):
    """Run operators under one name: ``aten::mul`` where the program called ``aten::multiply``.

    Given:   %y : f32[2, 3] = aten::multiply.Tensor(%x, 2)
             %z : f32[3, 2] = aten::swapaxes(%y, 0, 1)
    Result:  %y : f32[2, 3] = aten::mul.Tensor(%x, 2)
             %z : f32[3, 2] = aten::transpose.int(%y, 0, 1)

    Which operators are aliases, they say themselves: whoever captures a graph, or reads one with torch at
    hand, gives them ``Operator.canonical``. No names are listed here. In-place operators and those with
    ``out=`` go to their like, and names of names all the way.

    Keeps all else. Sound for any graph: torch runs the canonical operator for the alias, whatever it is
    called with, so results, gradients, memory and what is written are the same. Cost: O(size).
    """

    name: ClassVar[str] = "normalize_ops"

    def run(self, graph: Graph) -> PassResult:
        """Rename the operators of a graph and of its functions."""
        rules = [
            rule
            for part in (graph, *graph.functions.values())
            for operator in dict.fromkeys(node.operator for node in part.walk())
            for rule in _rules_for(operator)
        ]
        renamed = rewrite(graph, list(dict.fromkeys(rules)))
        return PassResult.of(renamed=sum(renamed.values()))


def _rules_for(operator: Operator) -> list[Rule]:
    """Return the rules that take an operator to the one that it is a name of, and that on."""
    rules = []
    while operator.canonical is not None:
        rules.append(_rule(operator, operator.canonical))
        operator = operator.canonical
    return rules


@cache
def _rule(alias: Operator, canonical: Operator) -> Rule:
    """Return the rule that calls one operator for another, which takes the same arguments by position."""
    names = tuple(parameter.name for parameter in alias.parameters)
    called = dict(zip(names, canonical.parameters, strict=True))
    told = [  # what the canonical operator would take for another value, were it left out
        parameter
        for parameter in alias.parameters
        if repr(called[parameter.name].default) != repr(parameter.default)
    ]

    def call(op: NodeWriter) -> object:
        root = op.root
        args, keywords = root.all_args, root.keywords
        given = {*names[: len(args) - len(keywords)], *keywords}
        added = [p for p in told if p.name not in given and not isinstance(p.default, Missing)]
        defaults: list[Any] = [parameter.default for parameter in added]
        return op.append(
            canonical,
            (*args, *defaults),
            tuple([called[name].name for name in (*keywords, *[p.name for p in added])]),
            [value.type for value in root.outputs],
            root.groups if root.gives_lists else None,
        )

    by_name = tuple([parameter.name for parameter in alias.parameters if parameter.is_keyword])
    node = PatternNode(alias.name, tuple(map(Name, names)), by_name, results=None)
    captures = dict.fromkeys(names, Anything())
    return Rule(f"{alias.name} is {canonical.name}", Pattern(captures, (node,)), call)
