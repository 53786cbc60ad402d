"""Removing mutation: a write to memory that nobody else sees becomes a new tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..errors import PassError
from ..ir import Argument, Block, Effect, Graph, Node, Operator, TensorType, Value
from ..ir.arguments import exchange_all, values_in
from ..ir.composites import noted_composites
from .base import Pass, PassResult
from .fresh_memory import FreshMemories, FreshMemory, is_differentiable
from .geometry import overlaps_itself, same_geometry
from .overloads import computes_the_same, functional_overload, is_followed, modes_of_overload
from .torch_facts import TorchFacts


@dataclass(frozen=True, slots=True)
class RemoveMutation(Pass):
    """Where a tensor is written in place that nothing else shares memory with, make a new one instead.

    Given:   %y : f32[2, 3] = aten::mul.Tensor(%x, %x)
             %z : f32[2, 3] = aten::relu_(%y)
             return (%z, %y)
    Result:  %y : f32[2, 3] = aten::mul.Tensor(%x, %x)
             %z : f32[2, 3] = aten::relu(%y)
             return (%z, %z)

    That happens where the tensor was made by an operator of torch in the same block; no view of it, and
    nothing that it is a view of, is read behind the write; nothing keeps it, as ``.grad`` does; no fact
    about it is read besides its data and sizes; and torch has an overload that writes nothing, gives the very
    type, and leaves the same history behind for autograd. Operands that may be broadcast are expanded to the
    size of what is written, so that what does not fit fails as before. ``out=``, ``resize_`` and ``set_``
    stay as they are.

    Keeps values bit by bit, gradients, what autograd saves, random numbers, names, scopes and sources. Where
    autograd may have saved what is written over, which makes a backward an error, the write stays, so
    that it still is one.

    Sound for any graph that verifies. A write that cannot be shown to be the same is left; ``functionalize``
    replaces all, and refuses what it cannot. Cost: O(nodes + operands). When the graph runs, each write that
    was removed takes memory for a tensor.

    Attributes:
        facts: answers questions about torch's operators; ``TracedProgram.apply`` gives them.
    """

    name: ClassVar[str] = "remove_mutation"

    facts: TorchFacts | None = None

    def with_facts(self, facts: TorchFacts) -> RemoveMutation:
        """Return the pass that asks these facts, unless it has some."""
        return replace(self, facts=facts) if self.facts is None else self

    def run(self, graph: Graph) -> PassResult:
        """Replace the writes of a graph, and of its functions.

        Raises:
            PassError: something is written, and nothing was said about torch's operators.
        """
        removed = 0
        for part in (graph, *graph.functions.values()):
            if not any(_writes_its_first(node.operator) for node in part.walk()):
                continue
            if self.facts is None:
                raise PassError(
                    f"pass {self.name} must be told about torch's operators\n"
                    f"  run it on a traced program: traced.apply({self.name!r})"
                )
            removal = _Removal(part, self.facts)
            removal.run()
            removed += removal.removed
        return PassResult.of(removed=removed)


class _Removal:
    """One walk through a graph, in the order in which it runs."""

    def __init__(self, graph: Graph, facts: TorchFacts) -> None:
        self.removed = 0
        self._graph = graph
        self._facts = facts
        self._overloads: dict[Operator, Operator | None] = {}
        self._expand = next(iter(facts.overloads("aten::expand_as")), None)
        self._candidates = {
            node: overload
            for node in graph.walk()
            if (overload := self._overload_of(node)) is not None
        }
        self._memories = FreshMemories(graph, facts, self._candidates)
        self._becomes: dict[Value, Value] = {}
        self._replaced: list[Node] = []

    def run(self) -> None:
        """Walk through the graph, and let go of the writes that were replaced."""
        graph = self._graph
        noted = noted_composites(graph) if self._candidates else {}
        self._walk(graph.block)
        for node in reversed(self._replaced):
            node.erase()
        self.removed = len(self._replaced)
        if noted:
            became = {value: self._now(value) for value in self._becomes}
            graph.composites = {s: each.with_values(became) for s, each in noted.items()}

    def _walk(self, block: Block) -> None:
        for node in block:
            self._update(node)
            for inner in node.blocks:
                self._walk(inner)
            overload = self._candidates.get(node)
            if overload is None or not self._replace(node, overload):
                self._memories.follow(node)
        self._update(block)

    def _update(self, user: Node | Block) -> None:
        """Let what reads a tensor that was written read the one that is in its place."""
        read = user.inputs if isinstance(user, Node) else user.outputs
        becomes = {value: self._now(value) for value in read if value in self._becomes}
        if becomes:
            user.replace_inputs(becomes)

    def _now(self, value: Value) -> Value:
        """Return the tensor that holds now what a value did, one step away the next time."""
        now = value
        while now in self._becomes:
            now = self._becomes[now]
        while value is not now:
            self._becomes[value], value = now, self._becomes[value]
        return now

    def _overload_of(self, node: Node) -> Operator | None:
        operator = node.operator
        if operator not in self._overloads:
            self._overloads[operator] = _overload_without_write(operator, self._facts)
        return None if node.blocks or not node.inputs else self._overloads[operator]

    def _replace(self, node: Node, operator: Operator) -> bool:
        """Put a node that writes nothing in the place of one that does, if it is the same."""
        written = node.all_args[0]
        memory = self._memories.of(written) if isinstance(written, Value) else None
        if memory is None or not isinstance(written, Value):
            return False
        if not self._is_unseen(node, written, memory) or not self._is_same(node, written, operator):
            return False
        types = self._expansions(node, written, operator)
        if types is None:
            return False
        with self._graph.inserting(node):
            made = self._graph.append(
                operator,
                self._expanded(node, written, types),
                (node.output.type,),
                keywords=node.keywords,
                scope=node.scope,
                stack=node.stack,
                modes=modes_of_overload(node),
            )
        made.output.name = node.output.name
        for value in (*memory.same_as(written), node.output):
            self._becomes[value] = made.output
        self._memories.replace(node, made)
        self._replaced.append(node)
        return True

    def _is_unseen(self, node: Node, written: Value, memory: FreshMemory) -> bool:
        """Whether nobody sees a write but through the tensor; see Note [What makes a write invisible]."""
        if not memory.is_plain or memory.block is not node.block or memory.is_saved:
            return False
        if memory.inference is not node.modes.inference:
            return False
        if not is_followed(node) and is_differentiable(written):
            # Written without autograd, the tensor keeps the history that it has.
            types = [value.type for value in (written, node.output)]
            if memory.is_followed or any(
                isinstance(t, TensorType) and t.requires_grad for t in types
            ):
                return False
        if memory.last_read_of_others(written) >= self._memories.place_of(node):
            return False
        others = values_in(node.all_args[1:])
        return all(value is written or self._memories.of(value) is not memory for value in others)

    def _is_same(self, node: Node, written: Value, operator: Operator) -> bool:
        """Whether an overload computes what a node writes, and autograd follows both alike."""
        type_ = node.output.type
        if not isinstance(type_, TensorType) or overlaps_itself(type_):
            return False
        args, keywords = node.all_args, node.keywords
        outcome = self._facts.outcome(operator, args, keywords)
        if outcome is None or len(outcome) != 1 or outcome[0].operand is not None:
            return False
        is_random = bool((node.operator.effects | operator.effects) & Effect.RANDOM)
        made = outcome[0].type
        if not computes_the_same(made, type_, is_random=is_random) or not same_geometry(
            made, type_
        ):
            return False
        if not operator.is_pointwise:
            if written in args[1:] or self._may_outgrow(operator, args, keywords, written):
                return False
        if not is_followed(node) or not is_differentiable(node.output):
            return True
        before = self._facts.autograd(node.operator, args, keywords)
        after = self._facts.autograd(operator, args, keywords)
        return before is not None and after is not None and before.histories == after.histories

    def _may_outgrow(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        keywords: tuple[str, ...],
        written: Value,
    ) -> bool:
        """Whether an overload may give more elements than are written, where these happen to be few."""
        if not any(isinstance(value.type, TensorType) for value in values_in(args[1:])):
            return False
        type_ = written.type
        assert isinstance(type_, TensorType), "what is written is a tensor"
        assert type_.shape is not None, "its geometry is known"
        ones = TensorType(type_.dtype, (1,) * len(type_.shape), None, type_.device)
        small = Graph().add_input(ones)
        outcome = self._facts.outcome(operator, exchange_all(args, {written: small}), keywords)
        return outcome is not None and outcome[0].type != ones

    def _expansions(
        self, node: Node, written: Value, operator: Operator
    ) -> dict[int, TensorType] | None:
        """Return the arguments that may be broadcast, by their places, and what they are when expanded.

        None if there is no telling.
        """
        types: dict[int, TensorType] = {}
        for place, value in enumerate(node.all_args):
            if not operator.is_pointwise or value is written:
                continue
            if isinstance(value, tuple) and values_in(value):
                return None
            type_ = value.type if isinstance(value, Value) else None
            if not isinstance(type_, TensorType) or type_.shape == ():  # which fits anything
                continue
            outcome = None
            if self._expand is not None:
                outcome = self._facts.outcome(self._expand, (value, written), ())
            if outcome is None or outcome[0].type is None:
                return None
            flag = type_.requires_grad
            types[place] = replace(outcome[0].type, device=type_.device, requires_grad=flag)
        return types

    def _expanded(
        self, node: Node, written: Value, types: dict[int, TensorType]
    ) -> tuple[Argument, ...]:
        """Return a node's arguments, some of them expanded to the size of what is written.

        A gradient goes back through the last node first. So each argument is expanded for itself, the last
        one first, and gradients are added up in the order in which they were.
        """
        args = list(node.all_args)
        for place in sorted(types, reverse=True):
            assert self._expand is not None, "it was found out what it gives"
            args[place] = self._graph.append(
                self._expand,
                (args[place], written),
                (types[place],),
                scope=node.scope,
                stack=node.stack,
                modes=modes_of_overload(node),
            ).output
        return tuple(args)


def _writes_its_first(operator: Operator) -> bool:
    """Whether an operator of torch writes its first argument, returns it, and does nothing else."""
    parameters = operator.parameters
    if not parameters or not parameters[0].is_written or parameters[0].is_keyword:
        return False
    alias = parameters[0].alias
    return (
        operator.name.startswith("aten::")
        and Effect.RESHAPES not in operator.effects
        and not any(parameter.is_written for parameter in parameters[1:])
        and bool(alias)
        and [returned.alias for returned in operator.returns] == [alias]
    )


def _overload_without_write(operator: Operator, facts: TorchFacts) -> Operator | None:
    """Return the overload that writes nothing, of an operator that only writes its first argument."""
    if not _writes_its_first(operator):
        return None
    overload = functional_overload(operator, facts)
    if overload is None or overload.operator.is_view or overload.dropped:
        return None
    return overload.operator if overload.contents == (operator.parameters[0].name,) else None
