"""Functional graphs: writes to memory become values.

Given:   %y : f32[2, 3] = aten::clone(%x)
         %row : f32[3] = aten::select.int(%y, 0, 1)
         %row.1 : f32[3] = aten::add_.Tensor(%row, 1)
         return (%y)
Result:  %y : f32[2, 3] = aten::clone(%x)
         %row : f32[3] = aten::select.int(%y, 0, 1)
         %row.1 : f32[3] = aten::add.Tensor(%row, 1)
         %y.1 : f32[2, 3] = aten::select_scatter(%y, %row.1, 0, 1)
         return (%y.1)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ..ir import Argument, Block, Graph, Node, ScalarType, TensorType, Value, verify
from ..ir.arguments import values_in
from ..ir.mutation import Mutation
from ..ir.own_operators import DATA, KEEP_HISTORY, LITERAL, PROFILE, SET_NUMBER
from ..ir.tuples import TUPLE_OPERATORS
from .aliases import Alias, Aliases, Memory
from .contents import Contents, refusal
from .hidden_writes import may_write_untold, written_parameters
from .torch_facts import TorchFacts
from .write_replacement import WriteReplacer


@dataclass(frozen=True, slots=True)
class FunctionalizeResult:
    """What the pass did.

    Attributes:
        changed: whether the graph is another now.
        mutations: the outputs that it added, in order.
    """

    changed: bool
    mutations: tuple[Mutation, ...]


@dataclass(frozen=True, slots=True)
class Functionalize:
    """Replace every write to memory by a value, and return what inputs and state would contain.

    Writes through views, however deep, become inverses of the views up to the tensor they are views of;
    views that are read after a write are made again from its new content. The new contents of inputs,
    parameters and buffers become outputs behind the graph's own, listed by ``mutations``, and so do the
    numbers that it stores with ``prim::set_number``.

    Keeps inputs, state, the graph's own outputs with their sizes and strides, the order of random
    draws, scopes, stacks, modes and names; ``aten::requires_grad_``, which sets a flag and writes no
    memory, stays. Outputs that shared memory with an input do not share it in the graph alone.

    Sound for any graph whose operators have schemas and whose tensors are strided and of known sizes,
    if inputs and state share memory only where ``memories`` says so. Values are equal bit by bit: a
    functional overload is used where torch gives it the same result type and, for random operators,
    the same order of draws; elsewhere the operator itself runs on copies of what it writes
    (``prim::outplace``). Gradients are those of the program. What cannot be replaced exactly raises
    PassError before anything is returned: ``set_``, growing ``resize_``, unknown effects, writes inside
    blocks and called functions, writes where an element is reached twice.

    Cost: O(nodes + arguments), and for each write through a view one node per view on the way. At run
    time a write costs a copy of the tensor it writes, a write through a view one of its base.

    Attributes:
        facts: answers questions about torch's operators.
        memories: a number for each input and state value; those that share memory have one number.
    """

    name: ClassVar[str] = "functionalize"

    facts: TorchFacts
    memories: Mapping[Value, int] = field(default_factory=dict)

    def run(self, graph: Graph) -> FunctionalizeResult:
        """Make the graph functional, in place.

        Raises:
            PassError: a write cannot be replaced; the message names the operator and the user's line,
                and the graph is left as it was.
        """
        for node in graph.walk():
            _require_known(node)
        for function in graph.functions.values():
            _require_pure(function.walk())
        if not any(written_parameters(node) for node in graph.block):
            for node in graph.block:
                _require_pure_blocks(node)
            return FunctionalizeResult(False, ())
        trial = graph.copy()  # an error on the way must not leave half a transformation behind
        twins = _twins(graph, trial)
        memories = {
            twins[value]: number for value, number in self.memories.items() if value in twins
        }
        _Transformation(trial, self.facts, _groups(memories)).run()
        changed = _Transformation(graph, self.facts, _groups(self.memories))
        mutations = changed.run()
        verify(graph)
        return FunctionalizeResult(True, mutations)


class _Transformation:
    """One run over one graph."""

    def __init__(
        self, graph: Graph, facts: TorchFacts, shared: dict[Value, frozenset[Value]]
    ) -> None:
        self._graph = graph
        self._aliases = Aliases(graph, facts)
        self._contents = Contents(graph, self._aliases, facts, shared)
        self._replacer = WriteReplacer(graph, self._aliases, self._contents, facts)
        self._replaced: list[Node] = []
        self._numbers: list[Node] = []  # that store a number of Python's
        self._unnoticed: set[Memory] = (
            set()
        )  # with a ``.data``, whose writes autograd does not notice

    def run(self) -> tuple[Mutation, ...]:
        graph = self._graph
        was_unused = {node for node in graph.block if not any(v.is_used for v in node.outputs)}
        for node in list(graph.block):
            self._contents.site = node
            with graph.inserting(node):
                self._visit(node)
        self._contents.site = None
        with graph.inserting(graph.block):
            mutations = self._set_outputs()
        for node in reversed(self._replaced):
            node.erase()
        self._drop_needless_histories(mutations)
        _erase_unused(graph, was_unused)
        return mutations

    def _visit(self, node: Node) -> None:
        if node.kind == SET_NUMBER.name:
            self._numbers.append(node)
            return
        written = written_parameters(node)
        if written:
            self._require_no_gradient(node, written)
            self._require_noticed(node, written)
            if self._replacer.replace(node, written):
                self._replaced.append(node)
            return
        if node.kind in TUPLE_OPERATORS:
            raise refusal(
                node, "a tuple hides which memory is written; run the pass lower_all_tuples before"
            )
        if node.operator is PROFILE:
            raise refusal(
                node, "its result may have another type; run the pass erase_profiling before"
            )
        for inner in _require_pure_blocks(node):
            self._read_through(inner)
        args = node.all_args
        self._read_through(node)
        self._aliases.follow(node, args)
        if node.operator is DATA:
            self._unnoticed.add(self._aliases[node.output].memory)
        if node.kind == "aten::as_strided":
            self._require_found(node)

    def _require_no_gradient(self, node: Node, written: tuple[str, ...]) -> None:
        """Refuse writes to a gradient that was there before: it belongs to neither inputs nor state."""
        for name in written:
            for value in values_in((node.argument(name),)):
                origin = self._aliases[value].memory.origin.node
                if origin is not None and origin.kind == "prim::gradient":
                    raise refusal(node, "it writes the gradient of an input or of state")

    def _require_noticed(self, node: Node, written: tuple[str, ...]) -> None:
        """Refuse writes around ``.data`` to what autograd may have saved: it would give what was there."""
        if not any(map(_requires_grad, self._graph.outputs)):
            return
        for name in written:
            for value in values_in((node.argument(name),)):
                alias = self._aliases[value]
                if alias.memory in self._unnoticed and self._may_be_saved(alias, node):
                    raise refusal(
                        node,
                        "it writes, unnoticed by autograd, what this may have saved for gradients",
                    )

    def _may_be_saved(self, written: Alias, node: Node) -> bool:
        """Whether something with a gradient may have been made from what changes unnoticed in a write.

        A tensor and its ``.data`` count writes apart, so a write to either goes unnoticed by what saved the
        other. A node that writes saves a copy of what it writes itself.
        """
        if written.is_unnoticed and written.memory.is_tracked:
            return True
        for earlier in self._graph.block:
            if any(map(_requires_grad, earlier.outputs)):
                beside = earlier.inputs if earlier is node else (*earlier.inputs, *earlier.outputs)
                for alias in map(self._aliases.get, beside):
                    if alias is None or alias.memory is not written.memory:
                        continue
                    if earlier is node and alias is written:
                        continue
                    if alias.is_unnoticed or written.is_unnoticed:
                        return True
            if earlier is node:
                return False
        return False

    def _require_found(self, node: Node) -> None:
        """Refuse an ``as_strided`` of written memory that cannot be made from the root."""
        memory = self._aliases[node.output].memory
        if memory.unclear is node and memory.version > 0:
            raise refusal(
                node, "it may reach memory beside what it is called on, which was written"
            )

    def _read_through(self, node: Node) -> None:
        """Make a node read the present contents of its operands."""
        for operand, value in enumerate(node.inputs):
            content = self._contents.read(value)
            if content is not value:
                node.replace_input(operand, content)

    def _set_outputs(self) -> tuple[Mutation, ...]:
        graph, contents = self._graph, self._contents
        self._share_memory_among_outputs()
        results = [contents.read(value) for value in graph.outputs]
        inputs = {value: position for position, value in enumerate(graph.inputs)}
        mutations = []
        for alias in self._aliases.external():
            origin = alias.memory.origin
            if alias.memory.version == 0:
                continue
            entry = origin.state
            mutations.append(
                Mutation(
                    output=len(results),
                    name=entry.name if entry is not None else origin.name or "?",
                    input=None if entry is not None else inputs[origin],
                    state=None if entry is None else entry.name,
                    is_tracked=alias.memory.is_tracked,
                )
            )
            results.append(alias.value)
        for node in self._numbers:
            kept, number = node.all_args
            assert isinstance(kept, Value), "it stores into a piece of state"
            name = kept.state.name if kept.state is not None else ""
            mutations.append(Mutation(len(results), name, None, name, is_tracked=False))
            results.append(number if isinstance(number, Value) else self._literal(node, number))
            self._replaced.append(node)
        graph.set_outputs(results)
        return tuple(mutations)

    def _literal(self, node: Node, number: Argument) -> Value:
        """Return a value that is a plain number."""
        type_ = ScalarType.FLOAT if isinstance(number, float) else ScalarType.INT
        made = self._graph.append(
            LITERAL, (number,), (type_,), scope=node.scope, stack=node.stack, modes=node.modes
        )
        return made.output

    def _share_memory_among_outputs(self) -> None:
        """Have views that go out beside others of their memory made from the root, so that all share it.

        What is written of an input or of state goes out too.
        """
        by_memory: dict[Memory, dict[Alias, None]] = {}
        for value in self._graph.outputs:
            alias = self._aliases.get(value)
            if alias is not None and alias.memory.version > 0:
                by_memory.setdefault(alias.memory, {})[alias] = None
        for memory, aliases in by_memory.items():
            for alias in aliases if len(aliases) > 1 or memory.is_external else ():
                step: Alias | None = alias
                while step is not None and step.parent is not None:
                    step.version = -1
                    step = step.parent

    def _drop_needless_histories(self, mutations: tuple[Mutation, ...]) -> None:
        """Take histories out that nothing asks for: only writes and nodes without autograd read them."""
        graph = self._graph
        unasked = {mutation.output for mutation in mutations if not mutation.is_tracked}
        asked = {value for number, value in enumerate(graph.outputs) if number not in unasked}
        for node in reversed(self._contents.histories):
            content = node.inputs[0]
            if node.output not in asked and all(map(_follows_nothing, node.output.users)):
                node.output.replace_all_uses_with(content)
                node.erase()


def _requires_grad(value: Value) -> bool:
    return isinstance(value.type, TensorType) and value.type.requires_grad


def _follows_nothing(user: Node | Block) -> bool:
    """Whether what reads a value has no use for its history."""
    if isinstance(user, Block):
        return True
    return user.operator is not KEEP_HISTORY and (not user.modes.grad or user.modes.inference)


def _require_known(node: Node) -> None:
    if may_write_untold(node.operator):
        raise refusal(node, "nothing says what it writes")
    is_ours = node.kind.startswith("prim::") and node.kind != SET_NUMBER.name
    if is_ours and written_parameters(node):
        raise refusal(node, "it gives a tensor other contents behind autograd's back")


def _require_pure(nodes: Iterator[Node]) -> None:
    for node in nodes:
        if written_parameters(node):
            raise refusal(
                node, "it writes inside a function or block, where only the top may write"
            )


def _require_pure_blocks(node: Node) -> list[Node]:
    """Return the nodes inside a node's blocks, none of which may write."""
    inner = [found for block in node.blocks for found in _walk(block)]
    _require_pure(iter(inner))
    return inner


def _walk(block: Block) -> Iterator[Node]:
    for node in block:
        yield node
        for inner in node.blocks:
            yield from _walk(inner)


def _groups(memories: Mapping[Value, int]) -> dict[Value, frozenset[Value]]:
    """Return, for each value that shares memory with others, all of them."""
    by_number: dict[int, list[Value]] = {}
    for value, number in memories.items():
        by_number.setdefault(number, []).append(value)
    return {
        value: frozenset(values)
        for values in by_number.values()
        if len(values) > 1
        for value in values
    }


def _twins(graph: Graph, copy: Graph) -> dict[Value, Value]:
    """Return the values of a graph's copy that stand for its inputs and state."""
    pairs = list(zip(graph.inputs, copy.inputs, strict=True))
    pairs += [(entry.value, copy.state[name].value) for name, entry in graph.state.items()]
    return dict(pairs)


def _erase_unused(graph: Graph, was_unused: set[Node]) -> None:
    """Erase nodes without effect that nothing reads, except those that nothing read before."""
    for node in reversed(graph.block):
        if node not in was_unused and not node.effects and not any(v.is_used for v in node.outputs):
            node.erase()
