"""Which values of a graph are on the same memory, and what each of them contains now.

Note [Contents instead of memory]
    A memory has a root, the value it came with, and views of it. Each is an :class:`Alias`: it knows
    the node that made it from its parent, and where in memory its elements are. A write does not change
    memory but gives the alias a new content; the contents of the aliases above follow from it by the
    inverses of the views, up to the root. Then every other alias is stale, and when it is read next,
    its node runs again on the present content of its parent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..ir import Argument, Graph, Node, TensorType, Value
from ..ir.arguments import values_in
from ..ir.own_operators import DATA, OPERAND_OF
from .geometry import places_of, reach_of, reaches_no_further, same_geometry, strides_of
from .torch_facts import TorchFacts


@dataclass(slots=True, eq=False)
class Memory:
    """What one root and all its views are on.

    Attributes:
        origin: the value that the memory came with.
        is_external: whether it is an input's or state's, so that a write to it outlives the program.
        version: how many writes there were.
        is_tracked: whether autograd followed a write to the root.
        unclear: a node whose result may or may not be on this memory.
    """

    origin: Value
    is_external: bool
    version: int = 0
    is_tracked: bool = False
    unclear: Node | None = None
    root: Alias = field(init=False)


@dataclass(slots=True, eq=False)
class Alias:
    """One tensor on a memory.

    Attributes:
        memory: what it is on.
        type: sizes, strides and element type of the tensor.
        offset: how many bytes behind the root's first element its own first element lies.
        parent: what it is a view of; None for a root.
        node: the node that made it from its parent; None for a root.
        args: what that node was called with, before anything was replaced.
        result: which of that node's results it is.
        value: its content as of ``version``.
        version: the version of the memory that ``value`` belongs to.
        leaf: the value whose history the alias has though its parent does not; None for most.
        is_cut: whether it is a view of something that autograd does not connect with the parent.
    """

    memory: Memory
    type: TensorType
    value: Value
    offset: int = 0
    parent: Alias | None = None
    node: Node | None = None
    args: tuple[Argument, ...] = ()
    result: int = 0
    version: int = 0
    leaf: Value | None = None
    is_cut: bool = False
    children: list[Alias] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """Whether nothing was written to the memory since the content was made."""
        return self.version == self.memory.version

    @property
    def is_differentiable(self) -> bool:
        """Whether autograd connects the alias with its parent."""
        return self.node is not None and not self.is_cut and is_differentiable_view(self.node)

    @property
    def is_unnoticed(self) -> bool:
        """Whether autograd does not notice writes to the alias, as it does even those it does not follow."""
        if self.node is None or self.parent is None:
            return False
        return self.node.operator is DATA or self.parent.is_unnoticed

    @property
    def is_cut_from_root(self) -> bool:
        """Whether autograd does not connect the alias with the root of its memory."""
        if self.parent is None:
            return False
        return not self.is_differentiable or self.parent.is_cut_from_root

    def has_geometry_of(self, other: Alias) -> bool:
        """Whether two aliases have their elements at the same places."""
        return (
            self.offset == other.offset
            and self.type.dtype == other.type.dtype
            and self.type.shape == other.type.shape
            and strides_of(self.type) == strides_of(other.type)
        )


class Aliases:
    """Follows values through views."""

    def __init__(self, graph: Graph, facts: TorchFacts) -> None:
        self._facts = facts
        self._known: dict[Value, Alias] = {}
        self._external = {entry.value for entry in graph.state.values()} | set(graph.inputs)

    def __getitem__(self, value: Value) -> Alias:
        """Return the alias that a tensor value is, a root if no node made it a view."""
        known = self._known.get(value)
        return self.add_root(value) if known is None else known

    def get(self, value: Value) -> Alias | None:
        """Return the alias of a value that is known already."""
        return self._known.get(value)

    def add_root(self, value: Value) -> Alias:
        """Give a value memory of its own."""
        assert isinstance(value.type, TensorType), "only tensors have memory"
        memory = Memory(value, value in self._external)
        memory.root = self._known[value] = Alias(memory, value.type, value)
        return memory.root

    def set(self, value: Value, alias: Alias) -> None:
        """Make a value stand for an alias that is known already."""
        self._known[value] = alias

    def add_view(
        self,
        parent: Alias,
        value: Value,
        node: Node,
        args: tuple[Argument, ...],
        result: int,
        offset: int,
    ) -> Alias:
        """Make a value a view of ``parent``, as result number ``result`` of ``node``."""
        assert isinstance(value.type, TensorType), "only tensors have memory"
        alias = Alias(
            parent.memory,
            value.type,
            value,
            parent.offset + offset,
            parent,
            node,
            args,
            result,
            parent.memory.version,
        )
        parent.children.append(alias)
        self._known[value] = alias
        return alias

    def external(self) -> list[Alias]:
        """Return the roots of the inputs and state that were met, in that order of meeting."""
        return [
            alias for value, alias in self._known.items()
            if alias.memory.is_external and alias.memory.origin is value
        ]  # fmt: skip

    def follow(self, node: Node, args: tuple[Argument, ...]) -> None:
        """Find out what memory the results of a node that writes nothing are on.

        Args:
            node: the node as it stands in the graph now.
            args: what it was called with, before anything was replaced.
        """
        operands = values_in(args)
        if not any(isinstance(value.type, TensorType) for value in operands):
            return
        if node.kind in OPERAND_OF:
            source = args[OPERAND_OF[node.kind]]
            assert isinstance(source, Value), "a class is made of a tensor"
            self.add_view(self[source], node.output, node, args, 0, 0)
            return
        # Schemas of composite operators need not tell that they hand an operand through: dropout's in
        # evaluation, or atleast_1d's. Other libraries' must.
        if node.blocks or not (node.operator.is_view or node.kind.startswith("aten::")):
            return
        if self._follow_as_strided(node, args):
            return
        outcome = self._facts.outcome(node.operator, args, node.keywords)
        for position, value in enumerate(node.outputs):
            if not isinstance(value.type, TensorType):
                continue
            if outcome is None:
                self._note_unclear(node, operands, value)
                continue
            fact = outcome[position]
            if fact.operand is None:
                continue
            parent = self[operands[fact.operand]]
            if fact.is_operand:
                parent.value = value
                self._known[value] = parent
            elif (
                not same_geometry(fact.type, value.type) or value.type.device != parent.type.device
            ):
                self._note_unclear(node, operands, value)
            else:
                self.add_view(parent, value, node, args, position, fact.offset)

    def _follow_as_strided(self, node: Node, args: tuple[Argument, ...]) -> bool:
        """Take an ``as_strided`` that may reach beyond its operand as a view of the root.

        The content of an operand need not lie in memory beside what the operand lay beside; that of the
        root does. So the view counts as stale at once, to be made from the root.
        """
        source = args[0]
        if node.kind != "aten::as_strided" or node.keywords or not isinstance(source, Value):
            return False
        parent, type_ = self[source], node.output.type
        assert isinstance(type_, TensorType), "a view is a tensor"
        offset = node.argument("storage_offset")
        if offset is None and reaches_no_further(type_, parent.type):
            return False
        root = parent.memory.root
        # Autograd goes back to the operand, where the root would give other elements a gradient too.
        is_followed = type_.requires_grad and parent is not root
        is_plain = type_.dtype is not None and type_.dtype == root.type.dtype and not is_followed
        if root.memory.is_external or not is_plain or strides_of(type_) is None:
            # Where in its storage an input begins is the caller's affair.
            self._note_unclear(node, (source,), node.output)
            return True
        size = 1 if type_.dtype is None else type_.dtype.nbytes
        start = offset * size if isinstance(offset, int) else parent.offset
        alias = self.add_view(
            root, node.output, node, (root.memory.origin, args[1], args[2], start // size), 0, start
        )
        if parent is not root:
            alias.is_cut = parent.is_cut_from_root
            alias.version = -1
        return True

    def _note_unclear(self, node: Node, operands: tuple[Value, ...], value: Value) -> None:
        """Note that a result may be on the memory of any operand, if the schema allows for that."""
        type_ = value.type
        has_parts = isinstance(type_, TensorType) and type_.layout.name != "strided"
        if not (node.operator.is_view or has_parts):  # a sparse tensor may be made of its operands
            return
        for operand in operands:
            if isinstance(operand.type, TensorType):
                alias = self[operand]
                alias.memory.unclear = alias.memory.unclear or node
                if value not in self._known:
                    self.add_view(alias, value, node, (), 0, 0)


def is_differentiable_view(node: Node) -> bool:
    """Whether autograd connects the views that a node makes with what they are views of."""
    if node.kind in ("aten::detach", "aten::view.dtype", "prim::data", "prim::make_subclass"):
        return False
    return node.modes.grad and not node.modes.inference


def overlap(one: Alias, other: Alias) -> bool:
    """Whether two aliases of one memory have, or may have, an element in common."""
    first, second = _extent(one), _extent(other)
    if first is None or second is None:
        return True
    if first[0] >= second[1] or second[0] >= first[1]:
        return False
    ours, theirs = places_of(one.type), places_of(other.type)
    if ours is None or theirs is None or one.type.dtype != other.type.dtype:
        return True
    difference = other.offset - one.offset
    size = first[2]
    if difference % size:
        return True
    return not set(ours).isdisjoint([place + difference // size for place in theirs])


def _extent(alias: Alias) -> tuple[int, int, int] | None:
    """Return the first byte, the byte behind the last, and the bytes per element; None if unknown."""
    reach, dtype = reach_of(alias.type), alias.type.dtype
    if reach is None or dtype is None:
        return None
    return alias.offset, alias.offset + reach, dtype.nbytes
