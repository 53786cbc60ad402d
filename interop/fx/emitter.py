"""Nodes of a graph as nodes of torch.fx, with regions and blocks as modules of their own."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import torch
from torch.fx.graph_module import GraphModule
from torch.fx.node import Argument as FxArgument

from ...errors import ReplayError
from ...ir import (
    CALL,
    Argument,
    Block,
    FunctionRef,
    Literal,
    Modes,
    Node,
    TensorType,
    Value,
)
from ...ir.conditions import ConditionWriter
from ...ir.own_operators import AUTOGRAD_FUNCTION, LITERAL, SET_NUMBER
from ...ir.scalars import GUARD
from ...passes.liveness import outer_values
from ...runtime import find_overload, torch_literal
from ...runtime.blocks import Convention, convention_of
from ...runtime.modes import mode_settings
from ...runtime.operators import RUNS_BLOCKS_ITSELF, is_own
from .attributes import Attributes
from .calls import (
    apply_function,
    call_blocks,
    hold,
    hold_exactly,
    hold_length,
    hold_truth,
    run_in_modes,
    run_operator,
    store_number,
)
from .metadata import Metadata
from .reading import CodeTracer
from .targets import ABSENCES, ATTRIBUTES, METHODS, arithmetic

_NOT_TOLD: Final = "this run cannot follow the trace: {} does not hold"


class Emitter:
    """Writes one graph of torch.fx.

    Args:
        names: what values are called.
        metadata: makes what nodes are told.
        attributes: takes what the module holds.
        conditions: puts guards into words; None to leave guards out.
        lengths: the nodes that give lists whose length is held to that of the trace.

    Attributes:
        graph: what was written so far.
        values: what stands for each value: a node, or a tuple of such.
        places: the nodes of the places that state is read from, and numbers are stored in.
        constants: the names of tensors that no module had for a parameter or buffer.
    """

    def __init__(
        self,
        names: Mapping[Value, str],
        metadata: Metadata,
        attributes: Attributes,
        conditions: ConditionWriter | None,
        lengths: Collection[Node],
    ) -> None:
        self.graph = torch.fx.Graph(tracer_cls=CodeTracer)
        self.values: dict[Value, FxArgument] = {}
        self.places: dict[Value, torch.fx.Node] = {}
        self.constants: Sequence[str] = ()
        self.metadata = metadata
        self._names = names
        self._attributes = attributes
        self._conditions = conditions
        self._lengths = lengths
        self._told: dict[str, Any] = {}  # of the node that is written

    def module(self, name: str) -> GraphModule:
        """Return the module of what was written."""
        made = GraphModule(dict(self._attributes.held), self.graph, class_name=_class_name(name))
        for constant in self.constants:
            outer, _, last = constant.rpartition(".")
            made.get_submodule(outer)._non_persistent_buffers_set.add(last)
        return made

    def placeholder(self, target: str, default: Any = inspect.Signature.empty) -> torch.fx.Node:
        """Add an input; ``*args`` and ``**kwargs`` take what is left."""
        args = () if default is inspect.Signature.empty else (default,)
        name = target.lstrip("*")
        return self.graph.create_node("placeholder", target, args, {}, name=name)

    def attribute(self, name: str, held: Any, value: Value | None = None) -> torch.fx.Node:
        """Add something that the module holds, and what reads it."""
        target = self._attributes.add(name, held)
        node = self.graph.create_node("get_attr", target, (), {}, name=target.replace(".", "_"))
        if value is not None:
            node.meta.update(self.metadata.of_value(value.type))
        return node

    def call(
        self,
        function: Callable[..., Any],
        args: tuple[FxArgument, ...],
        kwargs: dict[str, FxArgument] | None = None,
        *,
        name: str | None = None,
    ) -> torch.fx.Node:
        """Add a call."""
        node = self.graph.create_node("call_function", function, args, kwargs or {}, name=name)
        node.meta.update(self._told)
        return node

    def name_of(self, value: Value) -> str:
        """Return what the graph calls a value."""
        name = self._names.get(value) or value.name or "v"
        return f"v{name}" if name[:1].isdigit() else name

    def bind_inputs(self, values: Sequence[Value], leaves: Sequence[FxArgument]) -> None:
        """Make inputs of the graph, some of which may be tuples, stand for leaves."""
        given = iter(leaves)
        for value in values:
            self.values[value] = _nested(value.type, given)

    def leaves(self, values: Iterable[Value]) -> list[FxArgument]:
        """Return what stands for values, tuples taken apart."""
        found: list[FxArgument] = []
        for value in values:
            self._flatten(value.type, self.values[value], found)
        return found

    def block(self, block: Iterable[Node], ambient: Modes) -> None:
        """Write nodes; those in other modes than the ``ambient`` ones in a module of their own."""
        for modes, nodes in groupby(block, lambda node: node.modes):
            settings = mode_settings(ambient, modes)
            if settings:
                self._region(list(nodes), modes, settings)
            else:
                for node in nodes:
                    self._node(node)

    def _node(self, node: Node) -> None:
        self._told = self.metadata.of_node(node)
        if node.kind == GUARD:
            self._guard(node)
        elif node.kind == SET_NUMBER.name:
            self._store(node)
        elif node.kind == LITERAL.name:
            self.values[node.output] = self._argument(node.args[0])
        elif _only_decides(node):
            pass  # the guards ask the tensor itself
        elif node.kind.startswith("prim::Tuple"):
            self._tuple(node)
        elif node.blocks and node.kind not in RUNS_BLOCKS_ITSELF:
            self._blocks(node)
        else:
            self._results(node, self._call(node))
        self._told = {}

    def _call(self, node: Node) -> torch.fx.Node:
        args = tuple(map(self._argument, node.args))
        kwargs = {name: self._argument(arg) for name, arg in node.kwargs.items()}
        name = self._result_name(node)
        kind = node.kind
        if kind in METHODS:
            made = self.graph.create_node("call_method", METHODS[kind], args[:1], {}, name=name)
            if len(args) > 1:
                made.kwargs = {"memory_format": args[1]}
            made.meta.update(self._told)
            return made
        if kind in ATTRIBUTES:
            return self.call(getattr, (args[0], ATTRIBUTES[kind]), name=name)
        if kind in ABSENCES:
            return self.call(operator.is_, (self.call(getattr, (args[0], ABSENCES[kind])), None))
        if kind == "prim::is_none":
            return self.call(operator.is_, (args[0], None), name=name)
        if kind == "prim::storage_nbytes":
            storage = self.graph.create_node("call_method", "untyped_storage", args, {})
            return self.graph.create_node("call_method", "nbytes", (storage,), {}, name=name)
        function = arithmetic(kind)
        if function is not None:
            return self.call(function, (*args, *kwargs.values()), name=name)
        return self._operator(node, args, kwargs, name)

    def _operator(
        self,
        node: Node,
        args: tuple[FxArgument, ...],
        kwargs: dict[str, FxArgument],
        name: str | None,
    ) -> torch.fx.Node:
        kind = node.kind
        if kind == CALL:
            raise ReplayError(_refusal(node, "calls a function that keeps state of its own"))
        if kind == AUTOGRAD_FUNCTION.name:
            return self.call(apply_function, args, kwargs, name=name)
        if is_own(kind):
            return self.call(run_operator, (kind, *args), kwargs, name=name)
        overload = find_overload(kind)
        if overload is not None:
            return self.call(overload, args, kwargs, name=name)
        namespace, _, rest = kind.partition("::")
        found = getattr(torch.ops.higher_order, rest, None) if namespace == "higher_order" else None
        if found is None:
            raise ReplayError(
                _refusal(
                    node, "is not registered in this process; import the package that defines it"
                )
            )
        return self.call(found, _as_tuples(args), _as_tuples(kwargs), name=name)

    def _results(self, node: Node, made: torch.fx.Node) -> None:
        """Note what stands for the values that a node makes, taken out of what the call returns."""
        outputs, groups = node.outputs, node.groups
        if len(groups) == 1 and groups[0] is None:
            made.meta.update(self.metadata.of_value(outputs[0].type))
            self.values[outputs[0]] = made
            return
        made.meta.update(self.metadata.of_results([value.type for value in outputs], groups))
        results = iter(outputs)
        for position, group in enumerate(groups):
            whole = made if len(groups) == 1 else None
            if group is None:
                self._item(made, position, next(results))
                continue
            if whole is None:
                whole = self.call(operator.getitem, (made, position))
            if node in self._lengths and self._conditions is not None:
                condition = self._conditions.condition(node) or "a length"
                self.call(hold_length, (whole, group, _place(node, condition)))
            for number in range(group):
                self._item(whole, number, next(results))

    def _item(self, whole: torch.fx.Node, position: int, value: Value) -> None:
        if not value.is_used:
            return
        node = self.call(operator.getitem, (whole, position), name=self.name_of(value))
        node.meta.update(self.metadata.of_value(value.type))
        self.values[value] = node

    def _guard(self, node: Node) -> None:
        if self._conditions is None:
            return
        actual, expected = node.all_args
        message = _place(node, self._conditions.condition(node) or "a condition")
        asked = actual.node if isinstance(actual, Value) else None
        if asked is not None and _only_decides(asked) and isinstance(expected, bool):
            self.call(hold_truth, (self._argument(asked.args[0]), expected, message))
            return
        given = self._argument(actual)
        if isinstance(expected, float) and (expected == 0 or not math.isfinite(expected)):
            self.call(hold_exactly, (given, repr(expected), message))
        else:
            self.call(hold, (given, self._argument(expected), message))

    def _store(self, node: Node) -> None:
        value, number = node.all_args
        assert isinstance(value, Value), "it stores into a piece of state"
        self.call(store_number, (self.places[value], self._argument(number)))

    def _tuple(self, node: Node) -> None:
        """Take tuples apart here, where torch.fx writes them as Python does."""
        args = list(map(self._argument, node.args))
        if node.kind == "prim::TupleConstruct":
            self.values[node.output] = tuple(args)
            return
        whole, *rest = args
        if node.kind == "prim::TupleUnpack":
            for position, value in enumerate(node.outputs):
                self._take(whole, position, value)
        elif node.kind == "prim::TupleIndex":
            self._take(whole, rest[0], node.output)
        else:
            self._take(whole, slice(*rest), node.output)

    def _take(self, whole: Any, key: Any, value: Value) -> None:
        if isinstance(whole, tuple) and isinstance(key, int | slice):
            self.values[value] = whole[key]
            return
        node = self.call(operator.getitem, (whole, key), name=self.name_of(value))
        node.meta.update(self.metadata.of_value(value.type))
        self.values[value] = node

    def _region(self, nodes: list[Node], modes: Modes, settings: list[list[Any]]) -> None:
        """Write nodes that run in modes of their own as a module, and what calls it in these modes."""
        inner = self._inside()
        blocks = [block for node in nodes for block in node.blocks]
        made = {value: None for node in nodes for value in node.outputs}
        read = dict.fromkeys(value for node in nodes for value in node.inputs)
        read.update(dict.fromkeys(outer_values(blocks)))
        args = [inner.take_in(value, self) for value in read if value not in made]
        inner.block(nodes, modes)
        inside = {*nodes, *blocks, *_all_inside(blocks)}
        kept = [v for v in made if any(user not in inside for user in v.users)]
        inner.graph.output(tuple(inner.values[value] for value in kept))
        module = self.attribute(_region_name(settings), inner.module("region"))
        flat = tuple(arg for pair in args for arg in pair)
        result = self.call(run_in_modes, (settings, module, *flat))
        for position, value in enumerate(kept):
            self._item(result, position, value)

    def _inside(self) -> Emitter:
        """Return what writes a module inside this one."""
        return Emitter(self._names, self.metadata, Attributes(), self._conditions, self._lengths)

    def take_in(self, value: Value, outer: Emitter) -> list[FxArgument]:
        """Add inputs for a value, and for its place if it has one; return what ``outer`` has for them."""
        given: list[FxArgument] = []
        if value in outer.values:
            self.values[value] = self._parameter(value)
            given.append(outer.values[value])
        if value in outer.places:
            self.places[value] = self._named_parameter(f"{self.name_of(value)}_place")
            given.append(outer.places[value])
        return given

    def _parameter(self, value: Value) -> torch.fx.Node:
        node = self._named_parameter(self.name_of(value))
        node.meta.update(self.metadata.of_value(value.type))
        return node

    def _named_parameter(self, wanted: str) -> torch.fx.Node:
        """Add an input that nobody names, so that any name will do."""
        node = self.placeholder(wanted)
        node.target = node.name
        return node

    def _blocks(self, node: Node) -> None:
        """Write the blocks of a node as modules, and the call of what runs them."""
        convention = convention_of(node.kind)
        dropped = convention.dropped(node.blocks)
        functions: list[FxArgument] = []
        free: list[FxArgument] = []
        for number, block in enumerate(node.blocks):
            values = _free_values(node, convention, number)
            module = self._block_module(node, convention, number, block, values, dropped)
            function = self.attribute(f"{node.kind.rpartition('::')[2]}_{number}", module)
            functions.append(function)
            free.append([self.values[value] for value in values])
        args = [self._argument(arg) for arg in convention.without_dropped(node.args, dropped)]
        kwargs = {name: self._argument(arg) for name, arg in node.kwargs.items()}
        name = self._result_name(node)
        standard = _STANDARD.get(node.kind)
        if standard is None:
            made = self.call(call_blocks, (node.kind, functions, free, *args), kwargs, name=name)
        else:
            function = getattr(torch.ops.higher_order, node.kind.partition("::")[2])
            made = self.call(function, standard(functions, free[0], *args), kwargs, name=name)
        self._results(node, made)

    def _block_module(
        self,
        node: Node,
        convention: Convention,
        number: int,
        block: Block,
        values: list[Value],
        dropped: Collection[int],
    ) -> GraphModule:
        inner = self._inside()
        for position, value in enumerate(block.inputs):
            if position not in dropped:
                inner.values[value] = inner._parameter(value)
        for value in values:
            inner.take_in(value, self)
        inner.block(block, convention.ambient(node.modes))
        outputs = [inner.values[value] for value in block.outputs]
        inner.graph.output(outputs[0] if number in convention.single else tuple(outputs))
        return inner.module(f"{node.kind.rpartition('::')[2]}_{number}")

    def _argument(self, arg: Argument) -> Any:
        if isinstance(arg, Value):
            return self.values[arg]
        if isinstance(arg, tuple):
            return [self._argument(item) for item in arg]
        return self._literal(arg)

    def _literal(self, literal: Literal) -> Any:
        if isinstance(literal, FunctionRef):
            raise ReplayError(f"torch.fx has no counterpart of the function {literal}")
        return torch_literal(literal)

    def _result_name(self, node: Node) -> str | None:
        outputs = node.outputs
        if len(outputs) == 1 and node.groups == (None,):
            return self.name_of(outputs[0])
        return None

    def _flatten(self, type_: Any, given: Any, found: list[FxArgument]) -> None:
        elements = getattr(type_, "elements", None)
        if elements is None:
            found.append(given)
            return
        for position, element in enumerate(elements):
            part = (
                given[position]
                if isinstance(given, tuple)
                else self.call(operator.getitem, (given, position))
            )
            self._flatten(element, part, found)


def _only_decides(node: Node) -> bool:
    """Whether a node tells whether a tensor is true, for guards alone."""
    return node.kind == "aten::is_nonzero" and all(
        isinstance(user, Node) and user.kind == GUARD for user in node.output.users
    )


def _nested(type_: Any, leaves: Iterator[FxArgument]) -> FxArgument:
    elements = getattr(type_, "elements", None)
    if elements is None:
        return next(leaves)
    return tuple(_nested(element, leaves) for element in elements)


def _all_inside(blocks: Iterable[Block]) -> Iterator[Node | Block]:
    for block in blocks:
        for node in block.walk():
            yield node
            yield from node.blocks


def _free_values(node: Node, convention: Convention, number: int) -> list[Value]:
    """Return the values that the function of a block takes besides its own inputs."""
    read = outer_values(node.blocks if convention.shares else [node.blocks[number]])
    if not convention.lifts:
        return outer_values([node.blocks[number]])
    number_read = next((v for v in read if not isinstance(v.type, TensorType)), None)
    if number_read is not None:
        raise ReplayError(
            _refusal(
                node,
                f"reads %{number_read.name or 'a number'} from around it, which is no tensor; trace with "
                "dynamic=False, so that sizes are constants",
            )
        )
    return read


def _region_name(settings: Sequence[Sequence[Any]]) -> str:
    kinds = [
        f"{'' if setting[2 if setting[0] == 'autocast' else 1] else 'no_'}{setting[0]}"
        for setting in settings
    ]
    return f"{'_'.join(kinds)}_region"


def _place(node: Node, condition: str) -> str:
    message = _NOT_TOLD.format(condition)
    source = node.source
    if source is not None:
        message += f"; from {source} in {source.function}"
    return message


def _refusal(node: Node, reason: str) -> str:
    source = node.source
    where = (
        "" if source is None else f"\n  from {source} in {source.function}: {source.text.strip()}"
    )
    return f"{node.kind} cannot be converted to torch.fx: it {reason}{where}"


def _class_name(name: str) -> str:
    return name if name.isidentifier() else "Traced"


def _as_tuples(arg: Any) -> Any:
    if isinstance(arg, dict):
        return {name: _as_tuples(part) for name, part in arg.items()}
    return tuple(map(_as_tuples, arg)) if isinstance(arg, list | tuple) else arg


_Standard = Callable[..., tuple[FxArgument, ...]]


def _cond(functions: Any, free: Any, pred: Any, operands: Any) -> tuple[FxArgument, ...]:
    return (pred, *functions, (*operands, *free))


def _loop(functions: Any, free: Any, carried: Any, more: Any) -> tuple[FxArgument, ...]:
    return (*functions, tuple(carried), (*more, *free))


def _scan(functions: Any, free: Any, init: Any, xs: Any, more: Any) -> tuple[FxArgument, ...]:
    return (functions[0], list(init), list(xs), (*more, *free))


def _map(functions: Any, free: Any, xs: Any, more: Any) -> tuple[FxArgument, ...]:
    return (functions[0], list(xs), (*more, *free))


_STANDARD: Final[Mapping[str, _Standard]] = {
    "higher_order::cond": _cond,
    "higher_order::while_loop": _loop,
    "higher_order::scan": _scan,
    "higher_order::map_impl": _map,
    "higher_order::associative_scan": _map,
}
"""The arguments of operators that torch.fx knows as they are: functions are modules."""
