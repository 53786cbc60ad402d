"""Whether a match may be replaced: what Note [When a rewrite is sound] asks for, question by question."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...ir import Effect, Node, TensorType, Value
from ..alias_analysis import Memory, has_memory, has_untracked_effects
from ..geometry import same_geometry, strides_of
from ..gradient_sums import are_reordered
from .building import is_known
from .matching import Match, are_certain
from .rule import Rule
from .surroundings import Surroundings, written_values


class Judge:
    """Judges matches in one graph. Answers are reasons in words, and None where there is nothing to object.

    Args:
        surroundings: what the graph does around matches.
        keeps_sums: whether gradients must be added up in the order in which they were.
    """

    def __init__(self, surroundings: Surroundings, *, keeps_sums: bool = False) -> None:
        self._around = surroundings
        self._keeps_sums = keeps_sums

    def why_not(self, rule: Rule, match: Match) -> str | None:
        """Say why a match must stay whatever would come in its place."""
        root, around = match.root, self._around
        if around.is_observed:
            return "the program has a mode of torch's see each operator that it runs"
        if any(node.block is not root.block for node in match.nodes):
            return "its nodes stand in different blocks"
        if any(node.modes is not root.modes and node.modes != root.modes for node in match.nodes):
            return "its nodes run in different modes"
        if has_untracked_effects(root.operator):
            return f"{root.kind} does more than its schema says"
        reason = self._inner_reason(rule, match)
        if reason is not None:
            return reason
        if len(match.nodes) > 1 and around.is_disturbed(match.nodes):
            return "what it reads may be written, or a setting changed, between its nodes"
        if not are_certain(rule.pattern, match):
            return "a dtype that it asks for may be another one at a replay in mixed precision"
        try:
            return (
                None if rule.where is None or rule.where(match) else "its condition does not hold"
            )
        except Exception as error:
            error.add_note(f"This came from the condition of rule {rule.name}.")
            raise

    def _inner_reason(self, rule: Rule, match: Match) -> str | None:
        """Say why the nodes before the root must stay, if they must."""
        for node in match.nodes[:-1]:
            if not self._around.is_pure(node):
                return f"{node.kind} does more than compute its result"
            if rule.keeps_inner:
                continue
            for value in node.outputs:
                if any(user not in match.nodes for user in value.users):
                    return f"what {node.kind} gives is read by others as well"
        return None

    def unlike(
        self, rule: Rule, match: Match, made: Sequence[Node], results: Sequence[object]
    ) -> str | None:
        """Say what tells a replacement that was made from the match in whose place it is to stand."""
        new = {value for node in made for value in node.outputs}
        values = [value for value in results if isinstance(value, Value)]
        if len(values) < len(results):
            return "a result would be a literal"
        reason = self._other_effects(rule, match.root, made)
        if reason is not None:
            return reason
        vague = [value for value in new if value not in values and not is_known(value)]
        if vague:
            return "the type of a value that the replacement makes is not known"
        for old, value in zip(match.root.outputs, values, strict=True):
            if not _has_type_of(old, value, is_new=value in new):
                return f"its result would be {value.type} and is {old.type}"
            if has_memory(old) and not (rule.is_same_object and value not in new):
                reason = self._other_memory(rule, match, old, value, new)
                if reason is not None:
                    return reason
        # What returns its very operand adds nothing to what autograd does.
        is_moved = self._keeps_sums and not rule.is_same_object
        if is_moved and are_reordered(match.nodes, match.captured.values(), made, values):
            return "gradients would be added up in another order"
        return None

    def _other_effects(self, rule: Rule, root: Node, made: Sequence[Node]) -> str | None:
        for node in made:
            if has_untracked_effects(node.operator):
                return f"{node.kind} does more than its schema says"
        written = {value for node in made for value in written_values(node)}
        if written != written_values(root) or _reshapes(root) != any(map(_reshapes, made)):
            return "the replacement writes other tensors"
        draws = any(Effect.RANDOM in node.operator.effects for node in made)
        drew = Effect.RANDOM in root.operator.effects
        if draws and not drew:
            return "the replacement draws random numbers"
        if drew and not draws and not rule.draws_nothing:
            return f"{root.kind} draws random numbers, and the replacement does not"
        return None

    def _other_memory(
        self, rule: Rule, match: Match, old: Value, value: Value, new: Collection[Value]
    ) -> str | None:
        """Say who could tell that a result is on other memory, or another object on the same."""
        around, root = self._around, match.root
        was = self._memory_behind(root, old, () if rule.keeps_inner else _inner(match))
        if value in new:
            node = value.node
            assert node is not None, "what was made is a node's"
            if self._memory_behind(node, value, new) == was:
                return None
            is_view = False
        else:
            is_view = around.memory.may_alias(old, value) and bool(was)
        if around.leaves(old) if is_view else around.memory_leaves(old):
            return "its result leaves the graph, and would be another tensor or on other memory"
        if around.is_written_after(old, root) or around.is_written_after(value, root):
            return "its result, or what would stand for it, may be written afterwards"
        if any(not isinstance(user, Node) or user.modes != root.modes for user in old.users):
            return "what reads its result runs in other modes"
        return None

    def _memory_behind(self, node: Node, value: Value, own: Collection[Value]) -> frozenset[Memory]:
        """Return the memory that a result is on, that of values that belong to the match left out."""
        own_memory = set(own)
        return frozenset(m for m in self._around.shared_with(node, value) if m not in own_memory)


def _inner(match: Match) -> list[Value]:
    return [value for node in match.nodes[:-1] for value in node.outputs]


def _reshapes(node: Node) -> bool:
    return Effect.RESHAPES in node.operator.effects


def _has_type_of(old: Value, value: Value, *, is_new: bool) -> bool:
    """Whether a value may stand for another, as far as is known of what a replacement makes."""
    if not is_new:
        return value.type == old.type
    if not isinstance(old.type, TensorType) or not isinstance(value.type, TensorType):
        return not is_known(value) or value.type == old.type
    if value.type.shape is None or strides_of(value.type) is None or strides_of(old.type) is None:
        return value.type.dtype in (None, old.type.dtype)
    return same_geometry(value.type, old.type)
