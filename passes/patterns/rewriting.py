"""The pass that applies rewrite rules.

Note [In which order]
    Nodes are visited from the first to the last, each before those in its blocks. At a node, the rules whose
    patterns end with its operator are tried in the order in which they are listed, each in every way in which
    its commutative operands can be read; the first that fits is applied, and what it made is visited next.
    So a chain that cancels pair by pair falls in one walk. Walks are repeated until one changes nothing,
    since what a value lost a reader by may let a rule fit further up; as a rule the second walk is the last.

    Rules that go on rewriting what they made come to an end: a node that comes of 64 replacements one upon
    another is an error that names the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from ...errors import PassError
from ...ir import Graph, Node, Operator, Value, print_node
from ..base import Pass, PassResult
from ..torch_facts import TorchFacts
from .building import NodeWriter, discard
from .judging import Judge
from .matching import Match, Matcher
from .rule import Rule, operator_for
from .surroundings import Surroundings

_MOST_GENERATIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Refusal:
    """A match that was left as it is.

    Attributes:
        rule: the name of the rule.
        node: the root of the match, as text.
        reason: why, in words.
    """

    rule: str
    node: str
    reason: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason}\n  at   {self.node}"


@dataclass(frozen=True, slots=True)
class RewriteRules(Pass):
    """Replace what rules describe by what they say, wherever that is sound, until no rule applies.

    Keeps the order of what stays, and gives what is new the scope, source and modes of the node whose
    results it replaces. Sound, as far as the rules are true, for any graph that verifies: see
    Note [When a rewrite is sound]. Gradients that the caller asks for later may be added up in another order,
    where one value comes in the place of two, so their last bits may differ. In which order rules are
    applied, Note [In which order] says.

    Cost: O(size) a walk for a fixed set of rules; only rules that end with a node's operator are tried there.

    Attributes:
        rules: the rules; of two that fit, the earlier one is applied.
        name: what reports call the pass.
        facts: what is to be asked about torch's operators, where a rule brings nothing itself.
    """

    rules: tuple[Rule, ...] = ()
    name: str = "rewrite"  # type: ignore[misc]  # of each set of rules, not of the class
    facts: TorchFacts | None = None

    def with_facts(self, facts: TorchFacts) -> RewriteRules:
        """Return the pass as it asks ``facts`` about operators, unless it asks somebody already."""
        return self if self.facts is not None else replace(self, facts=facts)

    def run(self, graph: Graph) -> PassResult:
        """Apply the rules to a graph and to its functions.

        Raises:
            PassError: a replacement makes a node of an operator that is not known, or the rules go on and on.
        """
        return PassResult.of(**rewrite(graph, self.rules, self.facts))

    def explain(self, graph: Graph) -> tuple[Refusal, ...]:
        """Return the matches that stay once the rules were applied, and why; the graph is left as it is."""
        refusals: list[Refusal] = []
        rewrite(graph.copy(), self.rules, self.facts, refusals)
        return tuple(refusals)


def rewrite(
    graph: Graph,
    rules: Sequence[Rule],
    facts: TorchFacts | None = None,
    refusals: list[Refusal] | None = None,
    *,
    keeps_sums: bool = False,
) -> Counter[str]:
    """Apply rules to a graph and to its functions, in place; return how often each was applied.

    Args:
        graph: the graph.
        rules: the rules; of two that fit, the earlier one is applied.
        facts: what is to be asked about torch's operators, where a rule brings nothing itself.
        refusals: takes the matches that stay, if given.
        keeps_sums: whether gradients must be added up in the order in which they were, where rules only
            move elements: see Note [Sums of gradients].

    Raises:
        PassError: a replacement makes a node of an operator that is not known, or the rules go on and on.
    """
    applied: Counter[str] = Counter()
    tried = [(rule, Matcher(rule.pattern)) for rule in rules]
    for part in (graph, *graph.functions.values()):
        generations: dict[Node, int] = {}
        while True:
            left: list[tuple[Rule, Node, str]] = []
            walk = _Walk(
                part,
                tried,
                facts,
                generations,
                left,
                is_function=part is not graph,
                keeps_sums=keeps_sums,
            )
            walk.run()
            applied += walk.applied
            if not walk.applied:
                break
        if refusals is not None:
            refusals += [Refusal(rule.name, print_node(node), why) for rule, node, why in left]
    return applied


class _Walk:
    """One walk through a graph with a set of rules."""

    def __init__(
        self,
        graph: Graph,
        rules: Sequence[tuple[Rule, Matcher]],
        facts: TorchFacts | None,
        generations: dict[Node, int],
        left: list[tuple[Rule, Node, str]],
        *,
        is_function: bool,
        keeps_sums: bool,
    ) -> None:
        self.applied: Counter[str] = Counter()
        self._graph = graph
        self._rules = rules
        self._facts = facts
        self._generations = generations  # of how many replacements one upon another a node comes
        self._left = left  # the matches that stay, and why
        self._is_function = is_function
        self._keeps_sums = keeps_sums
        self._by_operator: dict[Operator, list[tuple[Rule, Matcher]]] = {}

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings(self._graph, is_function=self._is_function)

    @cached_property
    def _judge(self) -> Judge:
        return Judge(self._surroundings, keeps_sums=self._keeps_sums)

    @cached_property
    def _present(self) -> dict[str, Operator]:
        return {node.kind: node.operator for node in self._graph.walk()}

    def run(self) -> None:
        """Visit every node, and what replaces it."""
        for node in self._graph.walk():
            if self._rules_for(node.operator):
                self._visit(node)

    def _rules_for(self, operator: Operator) -> list[tuple[Rule, Matcher]]:
        """Return the rules whose patterns end with an operator."""
        rules = self._by_operator.get(operator)
        if rules is None:
            rules = [each for each in self._rules if each[0].root.runs(operator.name)]
            self._by_operator[operator] = rules
        return rules

    def _visit(self, node: Node) -> None:
        waiting = [node]
        while waiting:
            visited = waiting.pop()
            if visited.block is not None:
                waiting += reversed(self._rewrite_at(visited))

    def _rewrite_at(self, node: Node) -> Sequence[Node]:
        """Apply the first rule that fits at a node, and return what it made."""
        if not any([value.is_used for value in node.outputs]) and self._surroundings.is_pure(node):
            return ()  # it is dead
        for rule, match in self._matches(node):
            reason = self._judge.why_not(rule, match)
            if reason is None:
                made, reason = self._replace(rule, match)
                if reason is None:
                    return made
            self._left.append((rule, node, reason))
        return ()

    def _matches(self, node: Node) -> Iterator[tuple[Rule, Match]]:
        for rule, matcher in self._rules_for(node.operator):
            for found in matcher.matches(node):
                nodes = tuple([found.nodes[n] for n in range(len(rule.pattern.nodes))])
                yield rule, Match(node, nodes, self._surroundings.certain, found.captured)

    def _replace(self, rule: Rule, match: Match) -> tuple[Sequence[Node], str | None]:
        """Put a rule's replacement in the place of a match, or say why not."""
        facts = rule.facts or self._facts if rule.asks_types else None
        writer = NodeWriter(match.root, lambda name: self._operator(rule, name), facts, rule.name)
        given = rule.replacement(writer, *[match.captured[name] for name in rule.reads])
        reason: str | None = "the replacement leaves it as it is"
        if given is not None:
            results = tuple(given) if isinstance(given, tuple | list) else (given,)
            if len(results) != len(match.root.outputs):
                raise PassError(
                    f"rule {rule.name}: the replacement gives {len(results)} results, and the pattern"
                    f" {len(match.root.outputs)}"
                )
            self._surroundings.take_in(writer.nodes, self._surroundings.place_of(match.root))
            reason = self._judge.unlike(rule, match, writer.nodes, results)
            if reason is None:
                self._commit(rule, match, writer.nodes, results)
                return writer.nodes, None
        for node in writer.nodes:
            self._surroundings.drop(node)
        discard(writer.nodes)
        return (), reason

    def _operator(self, rule: Rule, name: str) -> Operator | None:
        return operator_for(rule, name, self._present, self._facts)

    def _commit(
        self, rule: Rule, match: Match, made: Sequence[Node], results: Sequence[Value]
    ) -> None:
        generation = 1 + max([self._generations.get(node, 0) for node in match.nodes])
        self.applied[rule.name] += 1
        if made and generation > _MOST_GENERATIONS:
            names = ", ".join(sorted(self.applied))
            raise PassError(
                f"rules go on rewriting what they made themselves, {_MOST_GENERATIONS} times over: {names}\n"
                f"  at   {print_node(match.root)}\n"
                "  have one of them ask, in its condition, for something that its replacement ends"
            )
        new = {value for node in made for value in node.outputs}
        for old, value in zip(match.root.outputs, results, strict=True):
            if value in new:
                value.type = old.type
                value.name = old.name
            self._surroundings.give_way(old, value)
        for node in reversed(match.nodes):
            if node is match.root or not any([value.is_used for value in node.outputs]):
                self._surroundings.drop(node)
                node.erase()
        for node in made:
            self._generations[node] = generation
            self._present.setdefault(node.kind, node.operator)
