"""Nodes that change a tensor and no memory: flags, history, sizes and strides set in place."""

from __future__ import annotations

from ..ir import Argument, Graph, Modes, Node, Operator, TensorType, Value, row_major_strides
from .aliases import Alias, Aliases
from .contents import Contents, refusal
from .geometry import is_dense, same_geometry, strides_of
from .overloads import is_followed
from .torch_facts import TorchFacts


class HandleReplacer:
    """Replaces the nodes of one graph that change what a tensor is, and not what it contains."""

    def __init__(
        self, graph: Graph, aliases: Aliases, contents: Contents, facts: TorchFacts
    ) -> None:
        self._graph = graph
        self._aliases = aliases
        self._contents = contents
        self._facts = facts

    def set_flag(self, node: Node) -> bool:
        """Have ``requires_grad_`` act on the present content; False if the node stays.

        A leaf that was written is one no more, and so takes a detached copy of its handle to flag.
        """
        alias = self._aliases[node.inputs[0]]
        content = self._contents.refresh(alias)
        wanted = node.argument("requires_grad")
        self._aliases.set(node.output, alias)
        if alias.parent is None and alias.memory.version > 0:
            self._flag_written_root(node, alias, content, bool(wanted))
            return True
        if content is not node.inputs[0]:
            node.replace_input(0, content)
        alias.value = node.output
        alias.leaf = node.output if wanted else None
        return False

    def _flag_written_root(self, node: Node, root: Alias, content: Value, wanted: bool) -> None:
        emit = self._contents.emitter(node)
        detached = emit("aten::detach", (content,), None, content.name)
        root.leaf = None
        if wanted:
            flagged = self._append(node, node.operator, (detached, True), (), node.modes)
            root.value = flagged.output
            root.leaf = flagged.output
        else:
            root.value = detached

    def detach(self, node: Node) -> None:
        """Replace ``detach_`` by ``detach``.

        Raises:
            PassError: others share the memory, whose history would change with it.
        """
        alias = self._aliases[node.inputs[0]]
        is_shared = alias.memory.is_external or alias.parent is not None or alias.children
        if is_shared and isinstance(node.inputs[0].type, TensorType):
            if node.inputs[0].type.requires_grad or alias.type.requires_grad:
                raise refusal(
                    node,
                    f"it cuts {alias.memory.origin.name or 'a tensor'} off from its history, for all on "
                    "its memory; use detach()",
                )
        content = self._contents.refresh(alias)
        emit = self._contents.emitter(node)
        alias.value = emit("aten::detach", (content,), None, node.output.name or content.name)
        alias.leaf = None
        self._aliases.set(node.output, alias)

    def resize(self, node: Node) -> None:
        """Take a ``resize_`` within the elements that are there as a view of them.

        Raises:
            PassError: it may reach further.
        """
        alias = self._aliases[node.inputs[0]]
        type_ = node.output.type
        assert isinstance(type_, TensorType), "resize_ returns its tensor"
        if same_geometry(type_, alias.type):
            self._aliases.set(node.output, alias)
            return
        size, room = type_.numel, alias.type.numel
        if size is None or room is None or size > room or not is_dense(alias.type):
            raise refusal(
                node,
                "it may reach memory that no value of the graph stands for; make a new tensor instead",
            )
        self._require_own(node, alias)
        as_strided = next(iter(self._facts.overloads("aten::as_strided")))
        shape = tuple([length for length in type_.shape or () if isinstance(length, int)])
        strides = type_.strides or row_major_strides(shape)
        self._add_geometry(node, alias, as_strided, (node.inputs[0], shape, strides))

    def change_geometry(self, node: Node, operator: Operator) -> None:
        """Replace ``unsqueeze_`` and its like by the view of which the tensor takes the geometry.

        Raises:
            PassError: the tensor is an input or state, or autograd does not see that it turns.
        """
        alias = self._aliases[node.inputs[0]]
        self._require_own(node, alias)
        result = node.output.type
        assert isinstance(result, TensorType), "it returns its tensor"
        if result.requires_grad and not is_followed(node) and _turns(alias.type, result):
            raise refusal(
                node,
                "it turns, under no_grad, a tensor that has a history, which goes on as if it had not; "
                f"use {operator.name.partition('::')[2].partition('.')[0]}()",
            )
        self._add_geometry(node, alias, operator, node.all_args)

    def _require_own(self, node: Node, alias: Alias) -> None:
        if alias.parent is None and alias.memory.is_external:
            name = alias.memory.origin.name
            raise refusal(
                node,
                f"it changes sizes or strides of {name} itself, which lives on after the program; only "
                "contents can be returned",
            )

    def _add_geometry(
        self, node: Node, alias: Alias, operator: Operator, args: tuple[Argument, ...]
    ) -> None:
        # The history stays as it was even under ``no_grad``, which a view made there would not have.
        flagged = isinstance(node.output.type, TensorType) and node.output.type.requires_grad
        modes = self._contents.following_modes if flagged else node.modes
        made = self._append(node, operator, self._contents.translated(args), node.keywords, modes)
        made.output.name = node.output.name
        outcome = self._facts.outcome(operator, made.all_args, made.keywords)
        if outcome is None or not same_geometry(outcome[0].type, node.output.type):
            raise refusal(node, f"what {operator.name} gives here is not known")
        view = self._aliases.add_view(alias, made.output, made, args, 0, outcome[0].offset)
        self._aliases.set(node.output, view)

    def _append(
        self,
        node: Node,
        operator: Operator,
        args: tuple[Argument, ...],
        keywords: tuple[str, ...],
        modes: Modes,
    ) -> Node:
        return self._graph.append(
            operator,
            args,
            (node.output.type,),
            keywords=keywords,
            scope=node.scope,
            stack=node.stack,
            modes=modes,
        )


def _turns(before: TensorType, after: TensorType) -> bool:
    """Whether a tensor goes through its elements in another order than before."""
    return _steps(before) != _steps(after)


def _steps(type_: TensorType) -> list[tuple[object, object]]:
    """Return size and stride of each dimension along which there is more than one element."""
    shape, strides = type_.shape or (), strides_of(type_) or ()
    return [step for step in zip(shape, strides, strict=True) if step[0] != 1]
