"""One node that writes, replaced by one that returns what it would have written.

Note [Which replacement is exact]
    A functional overload computes the same numbers, but gives its result a type and an order of
    elements of its own, and some kernels draw or sum in that order. So it is used where its result has
    the very type of what is written. For a write through a view the order does not matter, since the
    result is copied into the base, if the operator goes element by element or only moves elements.
    Where autograd follows the write, it must go back through the overload by the same formula, too.
    Everything else runs as it is on copies, which is exact by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ..ir import (
    Argument,
    Device,
    Effect,
    Graph,
    Modes,
    Node,
    Operator,
    Parameter,
    TensorType,
    Type,
    Value,
)
from ..ir.own_operators import OUTPLACE, RANDOM_OUTPLACE
from .aliases import Alias, Aliases
from .contents import Contents, refusal, require_apart
from .geometry import is_dense, same_geometry, strides_of
from .handle_replacement import HandleReplacer
from .overloads import (
    FunctionalOverload,
    computes_the_same,
    functional_overload,
    is_followed,
    modes_of_overload,
)
from .torch_facts import ResultFact, TorchFacts

_MOVES_ELEMENTS: Final = frozenset({
    "copy", "clone", "to", "fill", "zero", "masked_fill", "masked_scatter", "index_fill", "index_copy",
    "index_put", "scatter", "tril", "triu",
})  # fmt: skip
_REFUSED: Final = {
    "aten::set_": "it gives a tensor other memory",
    "aten::set_data": "it gives a tensor other memory",
    "prim::set_data": "it gives a tensor other memory",
    "aten::resize_as_sparse_": "it changes the size of memory",
    "aten::sparse_resize_": "it changes the size of memory",
    "aten::sparse_resize_and_clear_": "it changes the size of memory",
    "prim::set_attributes": "it gives a tensor other parts",
    "aten::retain_grad": "it changes what backward() stores, which is not a value",
    "aten::record_stream": "it tells the allocator something, which is not a value",
}


@dataclass(frozen=True, slots=True)
class _Written:
    """One argument that a node writes.

    Attributes:
        parameter: what it is passed as.
        values: its tensors, one or those of a list.
        aliases: what memory they are on.
        types: what they are like after the write.
        is_list: whether it is a list.
        name: what the node calls it afterwards, if it returns it.
    """

    parameter: Parameter
    values: tuple[Value, ...]
    aliases: tuple[Alias, ...]
    types: tuple[TensorType, ...]
    is_list: bool
    name: str | None


class WriteReplacer:
    """Replaces the nodes of one graph that write."""

    def __init__(
        self, graph: Graph, aliases: Aliases, contents: Contents, facts: TorchFacts
    ) -> None:
        self._graph = graph
        self._aliases = aliases
        self._contents = contents
        self._facts = facts
        self._handles = HandleReplacer(graph, aliases, contents, facts)
        self._overloads: dict[Operator, FunctionalOverload | None] = {}

    def replace(self, node: Node, names: tuple[str, ...]) -> bool:
        """Put what computes a node's writes before it; False if the node may stay as it is.

        Raises:
            PassError: its writes cannot be replaced exactly.
        """
        base_name = node.operator.base_name
        if base_name in _REFUSED:
            raise refusal(node, _REFUSED[base_name])
        if base_name == "aten::requires_grad_":
            return self._handles.set_flag(node)
        if base_name == "aten::detach_":
            self._handles.detach(node)
            return True
        if base_name in ("aten::resize_", "aten::resize_as_"):
            self._handles.resize(node)
            return True
        overload = self._overload_of(node.operator)
        if overload is not None and overload.operator.is_view:
            self._handles.change_geometry(node, overload.operator)
            return True
        written = [self._written(node, name) for name in names]
        self._require_apart(node, written)
        self._replace_write(node, written, overload)
        return True

    def _overload_of(self, operator: Operator) -> FunctionalOverload | None:
        if operator not in self._overloads:
            self._overloads[operator] = functional_overload(operator, self._facts)
        return self._overloads[operator]

    def _written(self, node: Node, name: str) -> _Written:
        parameter = next(p for p in node.operator.parameters if p.name == name)
        given = node.argument(name)
        is_list = isinstance(given, tuple)
        values = tuple(
            [v for v in (given if isinstance(given, tuple) else (given,)) if isinstance(v, Value)]
        )
        aliases = tuple([self._aliases[value] for value in values])
        types = tuple([alias.type for alias in aliases])
        called = None
        if parameter.alias:
            results = iter(node.outputs)
            for result, group in zip(node.operator.returns, node.groups, strict=True):
                returned = [next(results) for _ in range(1 if group is None else group)]
                if result.alias == parameter.alias and isinstance(returned[0].type, TensorType):
                    types, called = (returned[0].type,), returned[0].name
        return _Written(parameter, values, aliases, types, is_list, called)

    def _require_apart(self, node: Node, written: list[_Written]) -> None:
        overload = self._overload_of(node.operator)
        pointwise = (
            node.operator.is_pointwise
            or (overload is not None and overload.operator.is_pointwise)
            or node.operator.base_name == "aten::copy_"
        )
        names = {part.parameter.name for part in written}
        reads: list[Alias] = []
        for parameter in node.operator.parameters:
            if parameter.name not in names:
                reads.extend(self._aliases_in(_given(node, parameter)))
        aliases = [alias for part in written for alias in part.aliases]
        if any(part.is_list for part in written):
            # Each list is gone through place by place: an element may read what stands at its own.
            places = max(len(part.aliases) for part in written)
            for place in range(places):
                here = [part.aliases[place] for part in written if place < len(part.aliases)]
                same = [alias for alias in self._read_at(node, names, place)]
                require_apart(node, here, same, pointwise=True)
                others = [alias for alias in reads if alias not in same]
                require_apart(node, here, others, pointwise=False)
            require_apart(node, aliases, (), pointwise=False)
            return
        require_apart(node, aliases, reads, pointwise=pointwise)

    def _read_at(self, node: Node, written: set[str], place: int) -> Iterator[Alias]:
        """Yield what a node reads at one place of its lists."""
        for parameter in node.operator.parameters:
            given = _given(node, parameter)
            if parameter.name not in written and isinstance(given, tuple) and place < len(given):
                yield from self._aliases_in(given[place])

    def _aliases_in(self, argument: Argument) -> Iterator[Alias]:
        if isinstance(argument, tuple):
            for item in argument:
                yield from self._aliases_in(item)
        elif isinstance(argument, Value) and isinstance(argument.type, TensorType):
            yield self._aliases[argument]

    def _replace_write(
        self, node: Node, written: list[_Written], overload: FunctionalOverload | None
    ) -> None:
        """Compute the new contents, make them what the written aliases contain, and name the results."""
        args = self._contents.translated(node.all_args)
        new: Node | None = None
        contents: dict[str, tuple[Value, ...]] = {}
        if overload is not None:
            new, contents = self._run_overload(node, written, overload, args)
        if new is None:
            new, contents = self._run_on_copies(node, written, args)
        self._keep_own_results(node, new)
        for part in written:
            for alias, content, type_ in zip(
                part.aliases, contents[part.parameter.name], part.types, strict=True
            ):
                self._take_geometry(node, alias, type_)
                content.name = part.name or alias.value.name
                # What a schema does not tell of, autograd does not follow either.
                self._contents.write(alias, content, node, follows=part.parameter.is_written)
        self._follow_returned(node, written)

    def _run_overload(
        self,
        node: Node,
        written: list[_Written],
        overload: FunctionalOverload,
        args: tuple[Argument, ...],
    ) -> tuple[Node | None, dict[str, tuple[Value, ...]]]:
        """Add the functional overload's node where it is exact; see Note [Which replacement is exact]."""
        nothing: dict[str, tuple[Value, ...]] = {}
        args, keywords = _without(node, args, overload.dropped)
        operator = overload.operator
        if operator.name == "aten::copy":
            operator, args = self._copy(node, operator, args, written[0].types[0])
            keywords = ()
        outcome = self._facts.outcome(operator, args, keywords)
        if outcome is None or not self._is_exact(node, written, overload, operator, outcome):
            return None, nothing
        # A replay may be asked for gradients though the trace was not.
        if is_followed(node) and not self._facts.is_differentiable(operator, args, keywords):
            return None, nothing
        flags = {flag for part in written for flag in _flags(node, args, part)}
        if len(flags) > 1:
            return None, nothing  # of a list's results either all require grad or none
        follows = True in flags
        if follows and self._has_another_gradient(node, operator, args, keywords):
            return None, nothing
        device = written[0].types[0].device  # outcomes are found out without memory
        types = [_flagged(fact.type, follows, device) for fact in outcome]
        groups = _groups_of(overload, node, written)
        made = self._append(node, operator, args, keywords, types, groups, modes_of_overload(node))
        results = iter(made.outputs)
        own = iter(node.groups)
        contents = {}
        lengths = {part.parameter.name: part for part in written}
        for name in overload.contents:
            part = None if name is None else lengths.get(name)
            if name is None:
                group = next(own)
                for _ in range(1 if group is None else group):
                    next(results)
            elif part is not None:
                contents[name] = tuple([next(results) for _ in part.values])
        return made, contents

    def _has_another_gradient(
        self,
        node: Node,
        operator: Operator,
        args: tuple[Argument, ...],
        keywords: tuple[str, ...],
    ) -> bool:
        """Whether autograd goes back through an overload by another formula, whose last bits differ.

        That of ``elu_`` goes by its result, that of ``elu`` by its operand.
        """
        before = self._facts.autograd(node.operator, node.all_args, node.keywords)
        after = self._facts.autograd(operator, args, keywords)
        return before is not None and after is not None and before.histories != after.histories

    def _copy(
        self, node: Node, copy: Operator, args: tuple[Argument, ...], type_: TensorType
    ) -> tuple[Operator, tuple[Argument, ...]]:
        """Return what gives a tensor of ``type_`` with what ``aten::copy`` would put there.

        Where the source has its size, that takes nothing of the tensor that is written, except a history
        which says that what it was made of has no part in it any more: a gradient of zero.
        """
        source = args[1]
        if is_followed(node) and _any_grad(args[:1]) and not _any_grad(args[1:2]):
            return copy, args[:2]
        if not isinstance(source, Value) or not isinstance(source.type, TensorType):
            return copy, args[:2]
        if source.type.device != type_.device or source.type.shape != type_.shape:
            return copy, args[:2]
        if source.type.dtype == type_.dtype:
            return self._operator("aten::clone"), (source,)
        assert type_.dtype is not None, "what is written has an element type"
        return self._operator("aten::to.dtype"), (source, type_.dtype)

    def _is_exact(
        self,
        node: Node,
        written: list[_Written],
        overload: FunctionalOverload,
        operator: Operator,
        outcome: tuple[ResultFact, ...],
    ) -> bool:
        is_random = bool((node.operator.effects | operator.effects) & Effect.RANDOM)
        short = operator.base_name.partition("::")[2]
        only_moves = short in _MOVES_ELEMENTS
        if overload.dropped and not only_moves and not operator.is_pointwise:
            return False
        # In place, an operand has the order of what is written; beside ``out=`` none need have it.
        any_order = not is_random and (
            only_moves or (operator.is_pointwise and not overload.dropped)
        )
        by_name = {part.parameter.name: part for part in written}
        if any(name is not None and name not in by_name for name in overload.contents):
            return False  # an argument that may be written was not given
        facts = iter(outcome)
        for name in overload.contents:
            if name is None:
                next(facts)
                continue
            part = by_name[name]
            for alias, type_ in zip(part.aliases, part.types, strict=True):
                made = next(facts).type
                if not computes_the_same(made, type_, is_random=is_random):
                    return False
                if not same_geometry(made, type_) and (alias.parent is None or not any_order):
                    return False
        return set(by_name) == {name for name in overload.contents if name is not None}

    def _run_on_copies(
        self, node: Node, written: list[_Written], args: tuple[Argument, ...]
    ) -> tuple[Node, dict[str, tuple[Value, ...]]]:
        _require_gapless(node, written)
        is_random = Effect.RANDOM in node.operator.effects
        operator = RANDOM_OUTPLACE if is_random else OUTPLACE
        names = tuple([part.parameter.name for part in written])
        own = list(_own_results(node))
        types: list[Type] = [value.type for values, _ in own for value in values]
        groups = [len(values) if is_list else None for values, is_list in own]
        for part in written:
            flags = _flags(node, args, part)
            types.extend(
                [_flagged(type_, flag) for type_, flag in zip(part.types, flags, strict=True)]
            )
            groups.append(len(part.types) if part.is_list else None)
        made = self._append(
            node, operator, (node.kind, names, *args), node.keywords, types, tuple(groups)
        )
        results = list(made.outputs)
        contents = {}
        for part in reversed(written):
            count = len(part.values)
            contents[part.parameter.name] = tuple(results[len(results) - count :])
            del results[len(results) - count :]
        return made, contents

    def _take_geometry(self, node: Node, alias: Alias, type_: TensorType) -> None:
        """Let an ``out=`` tensor take size and strides of its result, as torch does with an empty one."""
        if strides_of(alias.type) is None or same_geometry(alias.type, type_):
            return
        is_seen = alias.parent is not None or alias.children or alias.memory.is_external
        if is_seen and (alias.type.shape != type_.shape or type_.numel != 0):
            raise refusal(
                node,
                f"it turns {alias.value.name or 'a tensor'} from {alias.type} into {type_}, which shares its "
                "memory with others",
            )
        alias.type = type_

    def _keep_own_results(self, node: Node, new: Node) -> None:
        """Let what reads the results that are not written tensors read those of the new node."""
        made = iter(new.outputs)
        for values, _ in _own_results(node):
            for value in values:
                twin = next(made)
                twin.type, twin.name = value.type, value.name
                value.replace_all_uses_with(twin)

    def _follow_returned(self, node: Node, written: list[_Written]) -> None:
        """Make the results that are the written tensors stand for them."""
        by_alias = {part.parameter.alias: part for part in written if part.parameter.alias}
        results = iter(node.outputs)
        for returned, group in zip(node.operator.returns, node.groups, strict=True):
            values = [next(results) for _ in range(1 if group is None else group)]
            part = by_alias.get(returned.alias)
            if part is None:
                continue
            self._aliases.set(values[0], part.aliases[0])

    def _operator(self, name: str) -> Operator:
        return next(f for f in self._facts.overloads(name.partition(".")[0]) if f.name == name)

    def _append(
        self,
        node: Node,
        operator: Operator,
        args: tuple[Argument, ...],
        keywords: tuple[str, ...],
        types: object,
        groups: tuple[int | None, ...] | None = None,
        modes: Modes | None = None,
    ) -> Node:
        return self._graph.append(
            operator,
            args,
            types,  # type: ignore[arg-type]
            keywords=keywords,
            groups=groups if groups and any(group is not None for group in groups) else None,
            scope=node.scope,
            stack=node.stack,
            modes=node.modes if modes is None else modes,
        )


def _own_results(node: Node) -> Iterator[tuple[tuple[Value, ...], bool]]:
    """Yield the results of a node that are not tensors it writes, and whether they are a list."""
    written = {p.alias for p in node.operator.parameters if p.is_written and p.alias}
    results = iter(node.outputs)
    for returned, group in zip(node.operator.returns, node.groups, strict=True):
        values = tuple([next(results) for _ in range(1 if group is None else group)])
        if not returned.alias or returned.alias not in written:
            yield values, group is not None


def _without(
    node: Node, args: tuple[Argument, ...], dropped: frozenset[str]
) -> tuple[tuple[Argument, ...], tuple[str, ...]]:
    """Return arguments and keywords without those of some parameters, which are passed by keyword."""
    keywords = tuple([name for name in node.keywords if name not in dropped])
    plain = len(args) - len(node.keywords)
    named = [
        arg for name, arg in zip(node.keywords, args[plain:], strict=True) if name not in dropped
    ]
    return (*args[:plain], *named), keywords


def _groups_of(
    overload: FunctionalOverload, node: Node, written: list[_Written]
) -> tuple[int | None, ...]:
    by_name = {part.parameter.name: part for part in written}
    own = (len(values) if is_list else None for values, is_list in _own_results(node))
    groups: list[int | None] = []
    for name in overload.contents:
        if name is None:
            groups.append(next(own))
        else:
            part = by_name[name]
            groups.append(len(part.values) if part.is_list else None)
    return tuple(groups)


def _given(node: Node, parameter: Parameter) -> Argument:
    """Return the argument of a parameter, None where it was left out."""
    if parameter.name in node.keywords:
        return node.kwargs[parameter.name]
    position = node.operator.parameters.index(parameter)
    return node.args[position] if position < len(node.args) else None


def _flags(node: Node, args: tuple[Argument, ...], part: _Written) -> list[bool]:
    """Return for each tensor that is written whether its content comes to require grad."""
    if not is_followed(node) or not part.parameter.is_written:
        return [False] * len(part.values)
    if not part.is_list:
        return [_any_grad(args)]
    # Lists are gone through place by place.
    return [
        any(
            _any_grad(arg[place : place + 1]) if isinstance(arg, tuple) else _any_grad((arg,))
            for arg in args
        )
        for place in range(len(part.values))
    ]


def _any_grad(args: tuple[Argument, ...]) -> bool:
    for arg in args:
        if isinstance(arg, tuple):
            if _any_grad(arg):
                return True
        elif isinstance(arg, Value) and isinstance(arg.type, TensorType) and arg.type.requires_grad:
            return True
    return False


def _flagged(type_: TensorType | None, requires_grad: bool, device: Device | None = None) -> Type:
    assert type_ is not None, "what is written is a tensor"
    is_float = type_.dtype is not None and (type_.dtype.is_floating_point or type_.dtype.is_complex)
    return replace(type_, requires_grad=requires_grad and is_float, device=device or type_.device)


def _require_gapless(node: Node, written: list[_Written]) -> None:
    """Refuse ``out=`` tensors with gaps: some operators of torch write into the gaps as well."""
    if node.operator.is_pointwise:
        return
    for part in written:
        for alias in part.aliases:
            if part.parameter.is_keyword and alias.parent is not None and not is_dense(alias.type):
                raise refusal(
                    node,
                    f"{part.parameter.name}= is part of a tensor, and not one piece of its memory",
                )
