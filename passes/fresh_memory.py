"""Memory that only one tensor is on, as a walk through a graph comes to know it.

Note [What makes a write invisible]
    Of each memory that is written the walk knows which values are on it, and groups those that are one
    tensor: what an operator returns that writes in place is the tensor that it was given. A write can be
    seen by whoever reads the memory later through another tensor, and by autograd, which has saved what is
    there. So a memory keeps the place of the last read of each tensor on it, and whether autograd may have
    saved any. Once a write has become a new tensor, the memory is a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..ir import Block, Effect, Graph, Node, TensorType, Value
from .alias_analysis import EXTERNAL, AliasAnalysis, Memory
from .overloads import is_followed
from .torch_facts import TorchFacts


@dataclass(slots=True, eq=False)
class FreshMemory:
    """What is known of one memory at one place of a walk.

    Attributes:
        block: where the values on it are made.
        is_plain: whether all of them are made there, by operators of torch that do what their schema says.
        is_saved: whether autograd may have saved what is on it.
        is_followed: whether autograd may follow what is on it.
        inference: whether it was made in inference mode.
        tensors: the values on it by the first that was that tensor.
    """

    block: Block | None
    is_plain: bool
    is_saved: bool = False
    is_followed: bool = False
    inference: bool = False
    tensors: dict[Value, list[Value]] = field(default_factory=dict)
    _first: dict[Value, Value] = field(default_factory=dict)
    _last_read: dict[Value, int] = field(default_factory=dict)
    _latest: list[Value] = field(default_factory=list)  # the two tensors that are read the longest

    def add(self, value: Value, tensor: Value, last_read: int) -> None:
        """Take in a value that is the same tensor as another one, or as itself."""
        first = self._first.get(tensor, tensor)
        self._first[value] = first
        self.tensors.setdefault(first, []).append(value)
        self._last_read[first] = max(self._last_read.get(first, -1), last_read)
        if first not in self._latest:
            self._latest.append(first)
        self._latest.sort(key=self._last_read.__getitem__, reverse=True)
        del self._latest[2:]

    def same_as(self, value: Value) -> list[Value]:
        """Return the values that are the same tensor as one of them."""
        return self.tensors[self._first[value]]

    def last_read_of_others(self, value: Value) -> int:
        """Return where a tensor on the memory that is not this one is read for the last time."""
        first = self._first[value]
        return max(
            [self._last_read[other] for other in self._latest if other is not first], default=-1
        )


class FreshMemories:
    """The memories of one graph that nodes write, as far as a walk has come.

    Args:
        graph: the graph, before the walk changes it.
        facts: answers questions about torch's operators.
        writers: the nodes that matter: their first argument is what they write.
    """

    def __init__(self, graph: Graph, facts: TorchFacts, writers: Iterable[Node]) -> None:
        self._facts = facts
        self._analysis = AliasAnalysis(graph)
        self._own: dict[Value, Memory] = {}  # of values that came in later
        written = {self._analysis.memory_of(node.inputs[0]): None for node in writers}
        self._wanted = written.keys() - {EXTERNAL}
        for node in graph.walk():
            if node.kind.startswith("prim::"):  # it may read more of a tensor than its data
                self._wanted -= {self._analysis.memory_of(value) for value in node.inputs}
        self._known: dict[Memory, FreshMemory] = {}
        self._place: dict[Node, int] = {}
        self._end: dict[Block, int] = {}
        self._number(graph.block)
        self._end[graph.block] = len(self._place) + 1

    def of(self, value: Value) -> FreshMemory | None:
        """Return the memory that a value is on; None if it is no matter."""
        return self._known.get(self._memory_of(value))

    def place_of(self, node: Node) -> int:
        """Return how many nodes come before one."""
        return self._place[node]

    def follow(self, node: Node) -> None:
        """Take in what a node does to memories."""
        touched = dict.fromkeys(self._touched(node))
        if not touched:
            return
        for result, value in self._results(node):
            self._known[self._memory_of(result)].add(result, value, self._last_read(result))
        for memory in touched:
            made_here = any(self._memory_of(value) == memory for value in node.outputs)
            known = self._known[memory]
            if (
                node.blocks
                or node.block is not known.block
                or Effect.RESHAPES in node.operator.effects
            ):
                known.is_plain = False
            if made_here:
                known.is_plain &= node.kind.startswith("aten::") and bool(node.operator.parameters)
                known.is_plain &= known.inference is node.modes.inference
                known.is_followed |= is_followed(node)
            known.is_saved |= self._may_save(node, memory)

    def replace(self, node: Node, made: Node) -> None:
        """Take in that a node is one now that writes nothing, whose result has memory of its own."""
        memory = self._memory_of(node.output)
        for value in node.inputs:
            other = self.of(value)
            if other is not None and self._memory_of(value) != memory:
                other.is_saved |= self._may_save(node, self._memory_of(value))
        same = self._known[memory].same_as(node.inputs[0])
        after = FreshMemory(node.block, is_plain=True, inference=node.modes.inference)
        after.add(made.output, made.output, max(map(self._last_read, (*same, node.output))))
        after.is_followed = is_followed(made)
        self._own[made.output] = memory
        self._known[memory] = after
        after.is_saved = self._may_save(made, memory)

    def _touched(self, node: Node) -> Iterator[Memory]:
        """Yield the memories that matter to which a node has to do, those made known that it makes."""
        if not self._wanted:
            return
        for value in node.inputs:
            memory = self._memory_of(value)
            if memory in self._known:
                yield memory
        for value in node.outputs:
            memory = self._memory_of(value)
            if memory in self._wanted:
                if (
                    memory not in self._known
                ):  # nothing may be on it before, such as a block's input
                    is_plain = all(self._memory_of(given) != memory for given in node.inputs)
                    self._known[memory] = FreshMemory(
                        node.block, is_plain, inference=node.modes.inference
                    )
                yield memory

    def _results(self, node: Node) -> Iterator[tuple[Value, Value]]:
        """Yield each result on a memory that matters, with the operand that is the same tensor, or itself."""
        operands = {
            parameter.alias: node.values_of(parameter.name)
            for parameter in node.operator.parameters
            if parameter.is_written and parameter.alias
        }
        returns = node.operator.returns
        for number, result in enumerate(node.outputs):
            if self._memory_of(result) not in self._wanted:
                continue
            alias = returns[number].alias if number < len(returns) and not node.gives_lists else ""
            same = operands.get(alias, ())
            yield result, same[0] if len(same) == 1 and self._is_known(same[0]) else result

    def _is_known(self, value: Value) -> bool:
        return self._memory_of(value) in self._known

    def _may_save(self, node: Node, memory: Memory) -> bool:
        """Whether autograd may save what is on a memory for the backward of a node."""
        tensors = [value for value in node.outputs if isinstance(value.type, TensorType)]
        if not is_followed(node) or not any(map(is_differentiable, tensors)):
            return False
        fact = self._facts.autograd(node.operator, node.all_args, node.keywords)
        if fact is None or not fact.is_known:
            return True
        saved = [value for number, value in enumerate(node.inputs) if number in fact.operands]
        saved += [value for number, value in enumerate(tensors) if number in fact.results]
        return any(self._memory_of(value) == memory for value in saved)

    def _memory_of(self, value: Value) -> Memory:
        return self._own.get(value) or self._analysis.memory_of(value)

    def _last_read(self, value: Value) -> int:
        places = [
            self._place.get(user, -1) if isinstance(user, Node) else self._end[user]
            for user in value.users
        ]
        return max(places, default=-1)

    def _number(self, block: Block) -> None:
        for node in block:
            self._place[node] = len(self._place)
            for inner in node.blocks:
                self._number(inner)
                self._end[inner] = len(self._place)


def is_differentiable(value: Value) -> bool:
    """Whether a value is a tensor that autograd could follow; of an unknown element type it could."""
    type_ = value.type
    if not isinstance(type_, TensorType):
        return False
    return type_.dtype is None or type_.dtype.is_floating_point or type_.dtype.is_complex
