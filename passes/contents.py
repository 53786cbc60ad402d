"""Reads and writes of aliases as values: views made anew after a write, and writes carried to the root."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..errors import PassError
from ..ir import Argument, Graph, Modes, Node, Operator, Scope, TensorType, Type, Value
from ..ir.own_operators import KEEP_HISTORY, OUTPLACE
from .aliases import (
    Alias,
    Aliases,
    Memory,
    is_differentiable_view,
    overlap,
)
from .complaints import complaint
from .geometry import overlaps_itself, same_geometry, strides_of
from .torch_facts import TorchFacts
from .view_inverse import Emit, inverse


def refusal(node: Node, why: str) -> PassError:
    """Return the error that a node's write cannot become a value: what, where, and whose line."""
    return complaint(node, f"{node.kind} cannot be made functional: {why}")


class Contents:
    """Gives the present content of every alias, and takes new ones.

    Attributes:
        aliases: which values are on the same memory.
        site: the node that is being replaced or read for; new nodes stand where it stands. None at the
            end of the graph.
        histories: the ``prim::keep_history`` nodes, in order.
    """

    def __init__(
        self,
        graph: Graph,
        aliases: Aliases,
        facts: TorchFacts,
        shared: dict[Value, frozenset[Value]],
    ) -> None:
        self.aliases = aliases
        self.site: Node | None = None
        self.histories: list[Node] = []
        self._graph = graph
        self._facts = facts
        self._shared = shared

    @property
    def following_modes(self) -> Modes:
        """The modes of nodes that hand a history on: autograd follows them, if it follows the caller."""
        return self._graph.modes if self._graph.modes.grad else Modes()

    def read(self, value: Value) -> Value:
        """Return what a value contains now."""
        alias = self.aliases.get(value)
        return value if alias is None else self.refresh(alias)

    def refresh(self, alias: Alias) -> Value:
        """Return the present content of an alias; its node runs again if there was a write since."""
        if alias.is_current:
            return alias.value
        parent, node = alias.parent, alias.node
        assert parent is not None, "a root is always current"
        assert node is not None, "a node made it from its parent"
        self._require_clear(alias.memory, node)
        self.refresh(parent)
        made = self._run_again(node, alias.args)
        for sibling in parent.children:
            if sibling.node is not node or sibling.is_current:
                continue
            content = made.outputs[sibling.result]
            if sibling.is_cut:
                content = self._detached(content, made)
            content.name = sibling.value.name
            if sibling.leaf is not None:
                content = self._with_history(content, sibling.leaf)
            sibling.value, sibling.version = content, sibling.memory.version
        return alias.value

    def _run_again(self, node: Node, args: tuple[Argument, ...]) -> Node:
        """Run the node of a view on the present content of what it read."""
        args = self.translated(args)
        follows = is_differentiable_view(node) and _any_grad(args)
        types = [_with_flag(value.type, follows) for value in node.outputs]
        return self._graph.append(
            node.operator,
            args,
            types,
            keywords=node.keywords,
            groups=node.groups if any(group is not None for group in node.groups) else None,
            scope=self._scope_of(node),
            stack=node.stack,
            modes=node.modes,
        )

    def translated(self, args: tuple[Argument, ...]) -> tuple[Argument, ...]:
        """Return arguments with present contents in the place of values."""
        return tuple(
            [
                self.read(arg)
                if isinstance(arg, Value)
                else self.translated(arg)
                if isinstance(arg, tuple)
                else arg
                for arg in args
            ]
        )

    def write(self, alias: Alias, content: Value, node: Node, *, follows: bool = True) -> None:
        """Make ``content`` what an alias contains, and carry that to the root of its memory.

        Args:
            alias: what is written.
            content: what it contains from now on.
            node: the node that writes.
            follows: whether autograd follows the write, if the node's modes let it.

        Raises:
            PassError: the write would reach something that cannot be followed.
        """
        memory = alias.memory
        self._require_writable(alias, node)
        is_tracked = follows and node.modes.grad and not node.modes.inference
        step: Alias | None = alias
        levels: list[tuple[Alias, Value]] = []
        while step is not None:
            before = self.refresh(step)
            content = self._with_history_of(step, before, content, is_tracked)
            levels.append((step, content))
            parent = step.parent
            if is_tracked and parent is not None and not step.is_differentiable:
                # The view has a history of its own from now on, which its base knows nothing of.
                step.leaf = content if _requires_grad(content) else step.leaf
            if parent is not None:
                content = inverse(self.emitter(node), step, self.refresh(parent), content)
                is_tracked = is_tracked and step.is_differentiable
            elif is_tracked and _requires_grad(content):
                memory.is_tracked = True
            step = parent
        memory.version += 1
        for level, new in levels:
            if level.parent is None:
                level.value = self._laid_out(level, new, node)
            elif same_geometry(new.type, level.type):
                level.value = new
            else:
                continue
            level.version = memory.version
        root = memory.root.value
        root.name = root.name or memory.origin.name

    def _require_writable(self, alias: Alias, node: Node) -> None:
        memory = alias.memory
        self._require_clear(memory, node)
        step: Alias | None = alias
        while step is not None:
            if strides_of(step.type) is None:
                raise refusal(
                    node,
                    f"it writes a tensor {step.type} whose memory has no strides; only writes to strided "
                    "tensors of known sizes can be followed",
                )
            if overlaps_itself(step.type):
                raise refusal(
                    node,
                    "it writes through a view in which several elements are one, as after expand()",
                )
            step = step.parent
        for other in self._shared.get(memory.origin, ()):
            if other is not memory.origin and other.is_used:
                raise refusal(
                    node,
                    f"{_called(memory.origin)} and {_called(other)} share memory though they came in as two; "
                    "pass a clone of one of them",
                )

    def _require_clear(self, memory: Memory, node: Node) -> None:
        if memory.unclear is not None:
            unclear = memory.unclear
            source = "" if unclear.source is None else f" ({unclear.source})"
            raise refusal(
                node,
                f"whether the result of {unclear.kind}{source} is on the memory that is written is not known",
            )

    def _with_history_of(
        self, alias: Alias, before: Value, content: Value, is_tracked: bool
    ) -> Value:
        """Return the new content of an alias with the history that autograd gives it.

        A write that autograd does not follow, under ``no_grad`` or through ``detach()``, changes data
        and leaves the history what it was.
        """
        if is_tracked:
            return content
        if alias.leaf is not None or _requires_grad(before):
            return self._with_history(content, before)
        node = self.site
        assert node is not None, "only nodes write"
        return self._detached(content, node) if _requires_grad(content) else content

    def _detached(self, content: Value, node: Node) -> Value:
        type_ = _with_flag(content.type, False)
        return self.emitter(node)("aten::detach", (content,), type_, content.name)

    def _with_history(self, content: Value, before: Value) -> Value:
        node = self._graph.append(
            KEEP_HISTORY,
            (content, before),
            (_with_flag(content.type, True),),
            scope=self._scope_of(self.site),
            stack=None if self.site is None else self.site.stack,
            modes=self.following_modes,
        )
        self.histories.append(node)
        node.output.name = content.name
        return node.output

    def _laid_out(self, root: Alias, content: Value, node: Node) -> Value:
        """Return the content of a root with its elements in the order that the root has in memory."""
        if same_geometry(content.type, root.type):
            return content
        args: tuple[Argument, ...] = ("aten::copy_", ("self",), root.value, content)
        type_ = _with_flag(root.type, _requires_grad(content))
        return self.emitter(node)(OUTPLACE, args, type_, content.name)

    def emitter(self, node: Node) -> Emit:
        """Return a function that adds a node where ``node`` stands and returns its result."""

        def emit(
            operator: Operator | str,
            args: tuple[Argument, ...],
            type_: Type | None = None,
            name: str | None = None,
        ) -> Value:
            if isinstance(operator, str):
                operator = self._operator(operator)
            if type_ is None:
                outcome = self._facts.outcome(operator, args, ())
                if outcome is None or outcome[0].type is None:
                    raise refusal(node, f"what {operator.name} gives here is not known")
                type_ = outcome[0].type
                content = args[0]
                if isinstance(content, Value) and isinstance(content.type, TensorType):
                    type_ = replace(
                        type_, device=content.type.device
                    )  # it was found out without memory
            is_followed = node.modes.grad and not node.modes.inference
            follows = is_followed and operator.name != "aten::detach" and _any_grad(args)
            made = self._graph.append(
                operator,
                args,
                (_with_flag(type_, follows),),
                scope=node.scope,
                stack=node.stack,
                modes=node.modes,
            )
            made.output.name = name
            return made.output

        return emit

    def _operator(self, name: str) -> Operator:
        base, _, _ = name.partition(".")
        return next(found for found in self._facts.overloads(base) if found.name == name)

    def _scope_of(self, node: Node | None) -> Scope | None:
        place = self.site if self.site is not None else node
        return None if place is None else place.scope


def require_apart(
    node: Node, written: list[Alias], read: Iterable[Alias], *, pointwise: bool
) -> None:
    """Check that a node reads nothing that it writes, except each element for itself.

    Raises:
        PassError: it does, so that its result depends on the order in which it goes about it.
    """
    for number, one in enumerate(written):
        for other in written[number + 1 :]:
            if other.memory is one.memory and overlap(one, other):
                raise refusal(node, "two of the tensors that it writes have elements in common")
        for other in read:
            if other.memory is not one.memory or (pointwise and other.has_geometry_of(one)):
                continue
            if overlap(one, other):
                raise refusal(
                    node,
                    "it reads elements that it writes, so what it computes depends on their order; "
                    "pass it a clone",
                )


def _any_grad(args: tuple[Argument, ...]) -> bool:
    return any(
        _any_grad(arg) if isinstance(arg, tuple) else isinstance(arg, Value) and _requires_grad(arg)
        for arg in args
    )


def _requires_grad(value: Value) -> bool:
    return isinstance(value.type, TensorType) and value.type.requires_grad


def _with_flag(type_: Type, requires_grad: bool) -> Type:
    if not isinstance(type_, TensorType) or type_.requires_grad is requires_grad:
        return type_
    dtype = type_.dtype
    if requires_grad and (dtype is None or dtype.value[0] not in "fbc"):
        return type_
    return replace(type_, requires_grad=requires_grad)


def _called(value: Value) -> str:
    return f"{'state' if value.state is not None else 'input'} {value.name or '?'}"
