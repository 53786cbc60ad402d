"""Comparing graphs fact by fact, which their text does not tell: whole stacks, schemas, names, sharing."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from opscope.ir import Argument, Block, Frame, Graph, Node, Operator, Scope, Value
from opscope.ir.composites import noted_composites


class Same:
    """Compares two graphs; what is one object in one must be one in the other, and the other way round."""

    def __init__(self) -> None:
        self._twins: dict[int, Any] = {}
        self._origins: dict[int, Any] = {}

    def graphs(self, one: Graph, other: Graph) -> None:
        """Assert that two graphs, and the functions that they call, are the same in every respect."""
        assert str(one) == str(other)
        assert list(one.functions) == list(other.functions)
        self._graph(one, other)
        for name, function in one.functions.items():
            self._graph(function, other.functions[name])

    def _graph(self, one: Graph, other: Graph) -> None:
        assert one.name == other.name
        assert one.modes == other.modes
        self._scope(one.root_scope, other.root_scope)
        assert list(one.state) == list(other.state)
        for entry, twin in zip(one.state.values(), other.state.values(), strict=True):
            assert (entry.names, entry.kind) == (twin.names, twin.kind)
            self._value(entry.value, twin.value)
        self._block(one.block, other.block)
        noted, twins = noted_composites(one), noted_composites(other)
        for (scope, composite), (scope2, composite2) in zip(
            noted.items(), twins.items(), strict=True
        ):
            self._scope(scope, scope2)
            self._operator(composite.operator, composite2.operator)
            self._arguments(composite.args, composite2.args)
            self._arguments(composite.results, composite2.results)  # type: ignore[arg-type]
            self._stack(composite.stack, composite2.stack)
            for fact in ("keywords", "groups", "modes"):
                assert getattr(composite, fact) == getattr(composite2, fact)
            for node, node2 in zip(composite.nodes, composite2.nodes, strict=True):
                self._one(node, node2)

    def _one(self, one: Any, other: Any) -> bool:
        """Assert that two objects stand for each other; say whether they were met for the first time."""
        is_new = id(one) not in self._twins
        assert self._twins.setdefault(id(one), other) is other
        assert self._origins.setdefault(id(other), one) is one
        return is_new

    def _value(self, one: Value, other: Value) -> None:
        self._one(one, other)
        assert (one.name, one.type) == (other.name, other.type)

    def _block(self, one: Block, other: Block) -> None:
        for value, twin in zip(one.inputs, other.inputs, strict=True):
            self._value(value, twin)
        assert len(one) == len(other)
        for node, node2 in zip(one, other, strict=True):
            self._node(node, node2)
        self._arguments(one.outputs, other.outputs)

    def _node(self, one: Node, other: Node) -> None:
        self._one(one, other)
        self._operator(one.operator, other.operator)
        self._scope(one.scope, other.scope)
        self._stack(one.stack, other.stack)
        assert (one.modes, one.keywords, one.groups) == (other.modes, other.keywords, other.groups)
        self._arguments(one.all_args, other.all_args)
        for value, twin in zip(one.outputs, other.outputs, strict=True):
            self._value(value, twin)
        for block, block2 in zip(one.blocks, other.blocks, strict=True):
            self._block(block, block2)

    def _arguments(self, one: tuple[Argument, ...], other: tuple[Argument, ...]) -> None:
        for arg, twin in zip(one, other, strict=True):
            if isinstance(arg, Value):
                self._one(arg, twin)
            elif isinstance(arg, tuple):
                assert isinstance(twin, tuple)
                self._arguments(arg, twin)
            else:
                assert (type(arg), repr(arg)) == (type(twin), repr(twin))

    def _operator(self, one: Operator, other: Operator) -> None:
        if self._one(one, other):
            for fact in fields(Operator):
                if fact.name != "canonical":
                    assert repr(getattr(one, fact.name)) == repr(getattr(other, fact.name))
            assert (one.canonical is None) is (other.canonical is None)
            if one.canonical is not None and other.canonical is not None:
                self._operator(one.canonical, other.canonical)

    def _scope(self, one: Scope, other: Scope) -> None:
        for part, twin in zip(one.chain(), other.chain(), strict=True):
            if self._one(part, twin):
                for fact in ("kind", "name", "class_name", "call", "address"):
                    assert getattr(part, fact) == getattr(twin, fact)

    def _stack(self, one: Frame | None, other: Frame | None) -> None:
        while one is not None and other is not None:
            if not self._one(one, other):
                return
            assert (one.range, one.is_library) == (other.range, other.is_library)
            one, other = one.caller, other.caller
        assert one is other is None
