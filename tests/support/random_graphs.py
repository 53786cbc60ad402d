"""Hypothesis strategies for graphs of every shape that the IR allows, and for their parts.

``graphs()`` draws whole programs: tied state, nested blocks, grouped results, functions, scopes, stacks,
modes, every kind of type and literal, and names that need quotes. Operators have no meaning, so these
graphs can be printed, copied and transformed, but not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TypeAlias

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from opscope.ir import (
    CPU,
    STRIDED,
    Argument,
    Autocast,
    Block,
    Device,
    DictType,
    DType,
    Effect,
    Frame,
    FunctionRef,
    Graph,
    Layout,
    ListType,
    Literal,
    MemoryFormat,
    Modes,
    Node,
    Operator,
    RecordType,
    ScalarType,
    Scope,
    ScopeKind,
    SourceRange,
    StateKind,
    SymDim,
    TensorType,
    TupleType,
    Type,
    Value,
)
from opscope.ir.composites import Composite, nodes_of_scope
from opscope.ir.own_operators import PROFILE
from opscope.ir.tuples import TUPLE_CONSTRUCT, TUPLE_INDEX, TUPLE_SLICE, TUPLE_UNPACK
from opscope.ir.type_fit import type_fits

_WORDS = st.sampled_from(["x", "weight", "layer1", "sub", "_a", "é", "s0"])
_ODD_TEXTS = st.sampled_from([
    "", " ", "a b", "x.", ".x", "..", "7", "007", "h.1", "%", "%2F", "a/b", "f()", "<op>", "#2", "a#2",
    '"', "\\", "a\nb", "\t", "\u2028", "\x1f", "·", "x:3", "?", "# c", "return", "block0", "->", ",",
])  # fmt: skip
_TEXTS = _WORDS | _ODD_TEXTS | st.text(max_size=3)

dtypes = st.sampled_from(DType)
devices = st.builds(
    Device, st.sampled_from(["cpu", "cuda", "meta"]), st.none() | st.integers(0, 12)
)
layouts = st.builds(Layout, st.sampled_from(["strided", "sparse_coo", "jagged", "_mkldnn"]))

literals: SearchStrategy[Literal] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    _TEXTS,
    dtypes,
    devices,
    layouts,
    st.builds(MemoryFormat, st.sampled_from(["contiguous_format", "channels_last"])),
)

tensor_types: SearchStrategy[TensorType] = st.builds(
    TensorType,
    dtype=st.none() | dtypes,
    shape=st.none()
    | st.lists(st.integers(0, 300) | st.builds(SymDim, _TEXTS), max_size=3).map(tuple),
    strides=st.none() | st.lists(st.integers(-2, 300), max_size=3).map(tuple),
    device=st.just(CPU) | devices,
    layout=st.just(STRIDED) | layouts,
    requires_grad=st.booleans(),
    class_name=st.just("") | _TEXTS,
)


def _compound_types(parts: SearchStrategy[Type]) -> SearchStrategy[Type]:
    fields = st.lists(st.tuples(_TEXTS, parts), max_size=2).map(tuple)
    return st.one_of(
        st.builds(ListType, parts),
        st.builds(TupleType, st.lists(parts, max_size=3).map(tuple)),
        st.builds(DictType, parts, parts),
        st.builds(RecordType, st.just("transformers.Output") | _TEXTS, fields, st.booleans()),
    )


types: SearchStrategy[Type] = st.recursive(
    tensor_types | st.sampled_from(ScalarType), _compound_types, max_leaves=3
)

operators: SearchStrategy[Operator] = st.builds(
    Operator,
    st.sampled_from(["aten::add.Tensor", "aten::neg", "prim::Constant", "my.ops::f.a.b", "f"])
    | _ODD_TEXTS,
    effects=st.sampled_from([Effect.NONE, Effect.WRITES, Effect.UNKNOWN]),
)

modes: SearchStrategy[Modes] = st.builds(
    Modes,
    grad=st.booleans(),
    inference=st.booleans(),
    autocast=st.lists(
        st.builds(Autocast, st.sampled_from(["cpu", "cuda"]), dtypes, st.booleans()), max_size=2
    ).map(tuple),
    fixed=st.lists(st.sampled_from(["grad", "inference", "cpu"]), unique=True).map(tuple),
)

source_ranges: SearchStrategy[SourceRange] = st.builds(
    SourceRange,
    file=st.sampled_from(["net.py", "my net/a b.py", "<stdin>", "C:/x.py", "odd:3", "?"]) | _TEXTS,
    line=st.integers(1, 5),
    column=st.integers(0, 3),
)


@st.composite
def stacks(draw: DrawFn) -> Frame:
    """Draw a stack, some of its innermost frames a library's."""
    frame = None
    for is_library in draw(st.lists(st.booleans(), min_size=1, max_size=3)):
        place = draw(source_ranges)
        frame = Frame.resolved(place, frame, is_library)
    assert frame is not None, "the list of frames is not empty"
    return frame


@st.composite
def scope_trees(draw: DrawFn, root: Scope) -> list[Scope]:
    """Draw scopes below a root, each with an address of its own; the root comes first."""
    scopes = {"": root}
    kinds = [kind for kind in ScopeKind if kind is not ScopeKind.ROOT]
    # Names with dots matter most: they make an address look as if it had other parents.
    names = st.sampled_from(["a", "b", "a.b", "b.c", "a.b.c"]) | _TEXTS
    for _ in range(draw(st.integers(0, 6))):
        scope = Scope(
            draw(st.sampled_from(list(scopes.values()))),
            draw(st.just(ScopeKind.MODULE) | st.sampled_from(kinds)),
            draw(names),
            draw(st.sampled_from(["", "Linear", "f.<locals>.Net"]) | _TEXTS),
            draw(st.just(1) | st.integers(1, 12)),
        )
        scopes.setdefault(scope.address, scope)
    return list(scopes.values())


property_settings = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
"""How often properties of random graphs are tried: ``@property_settings`` above ``@given(graphs())``."""


Signature: TypeAlias = tuple[list[Type], list[Type]]
"""The types that a function takes, and those that it returns."""

_SIGNED = st.sampled_from(
    [TensorType(DType.F32, (2, 3)), ScalarType.INT, TupleType((ScalarType.INT, TensorType()))]
)
_SIGNATURES: SearchStrategy[Signature] = st.tuples(
    st.lists(_SIGNED, max_size=3), st.lists(_SIGNED, max_size=2)
)


@st.composite
def graphs(draw: DrawFn, max_nodes: int = 8) -> Graph:
    """Draw a graph and the functions it calls; it verifies."""
    names = draw(st.lists(_TEXTS, max_size=2, unique=True))
    signatures = {name: draw(_SIGNATURES) for name in names}
    graph = _GraphDrawer(draw, signatures, max_nodes).graph()
    for name in names:
        graph.functions[name] = _GraphDrawer(draw, signatures, max_nodes // 3).graph(name)
    return graph


@st.composite
def composite_graphs(draw: DrawFn) -> Graph:
    """Draw a graph in which some runs of nodes stand for calls of composite operators."""
    graph = draw(graphs(max_nodes=16))
    calls = count(100)  # no drawn scope has as many
    for part in (graph, *graph.functions.values()):
        for block in _blocks(part.block):
            _move_into_scopes(draw, calls, list(block), part.root_scope)
            for scope, nodes in _runs(block).items():
                if scope not in part.composites and draw(st.integers(0, 3)):
                    part.composites[scope] = _composite(draw, nodes)
    return graph


def _move_into_scopes(draw: DrawFn, calls: Iterator[int], nodes: list[Node], around: Scope) -> None:
    """Put runs of nodes into scopes of operators, one inside another."""
    start = 0
    while start < len(nodes):
        length = draw(st.integers(1, 4))
        run = nodes[start : start + length]
        start += length
        if around.depth < 3 and draw(st.booleans()):
            scope = Scope(around, ScopeKind.OPERATOR, "linear", call=next(calls))
            for node in run:
                node.scope = scope
            _move_into_scopes(draw, calls, run, scope)


def _blocks(block: Block) -> Iterator[Block]:
    yield block
    for node in block:
        for inner in node.blocks:
            yield from _blocks(inner)


def _runs(block: Block) -> dict[Scope, tuple[Node, ...]]:
    """Return the first run of nodes of each scope of an operator."""
    runs: dict[Scope, tuple[Node, ...]] = {}
    previous: Node | None = None
    for node in block:
        for scope in (node.scope, *node.scope.ancestors()):
            if scope.kind is ScopeKind.OPERATOR and scope not in runs:
                runs[scope] = tuple(nodes_of_scope(block, previous, scope))
        previous = node
    return runs


def _composite(draw: DrawFn, nodes: tuple[Node, ...]) -> Composite:
    made = [value for node in nodes for value in node.outputs]
    read = [value for node in nodes for value in node.inputs if value not in made]
    results: list[Value | Type] = []
    if made:
        results += draw(st.lists(st.sampled_from(made), max_size=3, unique=True))
    results += draw(st.lists(st.just(ScalarType.INT), max_size=1))
    leaves: SearchStrategy[Argument] = st.sampled_from(read) | literals if read else literals
    args = draw(st.lists(leaves | st.lists(leaves, max_size=2).map(tuple), max_size=4))
    keywords = draw(st.lists(_TEXTS, max_size=1)) if args else []
    return Composite(
        draw(operators),
        tuple(args),
        tuple(keywords),
        tuple(results),
        draw(st.sampled_from([None, (len(results),)])),
        draw(st.none() | stacks()),
        draw(modes),
        nodes,
    )


class _GraphDrawer:
    """Draws one graph, front to back."""

    def __init__(self, draw: DrawFn, functions: dict[str, Signature], max_nodes: int) -> None:
        self._draw = draw
        self._functions = functions
        self._nodes_left = draw(st.integers(0, max_nodes))
        self._modes = draw(st.just(Modes()) | modes)
        # Drawing a type or an operator is slow, so a graph has few of them.
        drawn = draw(st.lists(types, max_size=3))
        self._types = st.sampled_from([TensorType(DType.F32, (2, 3)), ScalarType.INT, *drawn])
        self._operators = st.sampled_from(draw(st.lists(operators, min_size=1, max_size=3)))

    def graph(self, name: str | None = None) -> Graph:
        graph = Graph(self._draw(_TEXTS) if name is None else name, self._modes)
        self._graph = graph
        self._scopes = self._draw(scope_trees(graph.root_scope))
        self._stacks = self._draw(st.lists(stacks(), max_size=3))
        if name is None:
            self._fill(graph.block, [*self._add_state(), *self._add_inputs(graph.block)], depth=0)
            return graph
        takes, returns = self._functions[name]
        given = [graph.add_input(type_, self._draw(st.none() | _TEXTS)) for type_ in takes]
        visible = self._fill(graph.block, [*self._add_state(), *given], depth=0)
        graph.set_outputs([self._value_of(type_, visible) for type_ in returns])
        return graph

    def _add_state(self) -> list[Value]:
        names: list[str | list[str]] = [*self._draw(st.lists(_TEXTS, max_size=4, unique=True))]
        if len(names) > 2:
            names[:2] = [[str(name) for name in names[:2]]]  # one entry with two names
        kinds = st.sampled_from(StateKind)
        numbers = st.sampled_from([ScalarType.INT, ScalarType.FLOAT])
        values = []
        for name in names:
            kind = self._draw(kinds)
            type_ = self._draw(numbers if kind is StateKind.NUMBER else self._types)
            values.append(self._graph.add_state(name, type_, kind))
        return values

    def _add_inputs(self, block: Block) -> list[Value]:
        hints = self._draw(st.lists(st.none() | _TEXTS, max_size=3))
        return [block.add_input(self._draw(self._types), hint) for hint in hints]

    def _fill(self, block: Block, visible: list[Value], depth: int) -> list[Value]:
        """Append nodes to a block, with ``visible`` and what they define as their operands; return these."""
        visible = list(visible)
        with self._graph.inserting(block):
            while self._nodes_left and (depth == 0 or self._draw(st.booleans())):
                self._nodes_left -= 1
                visible.extend(self._append(visible, depth))
        chosen = self._draw(st.lists(st.sampled_from(visible), max_size=3)) if visible else []
        block.set_outputs(chosen)
        return visible

    def _value_of(self, type_: Type, visible: list[Value]) -> Value:
        """Return a value that fits a type, made where there is none."""
        # What is any by its type may be shown to be something else, when a profile goes.
        fitting = [
            value
            for value in visible
            if type_fits(value.type, type_) and "any" not in str(value.type)
        ]
        if fitting:
            return self._draw(st.sampled_from(fitting))
        if isinstance(type_, TupleType):
            parts = tuple([self._value_of(part, visible) for part in type_.elements])
            return self._graph.append(TUPLE_CONSTRUCT, parts, (type_,)).output
        return self._graph.append(self._draw(self._operators), (), (type_,)).output

    def _append(self, visible: list[Value], depth: int) -> tuple[Value, ...]:
        draw = self._draw
        if draw(st.integers(0, 9)) == 0:
            self._modes = draw(modes)
        if self._functions and draw(st.integers(0, 4)) == 0:
            return self._call(visible)
        if draw(st.integers(0, 4)) == 0:
            return self._on_tuple(visible)
        if visible and draw(st.integers(0, 9)) == 0:
            watched = draw(st.sampled_from(visible))
            type_ = draw(st.sampled_from([watched.type, ScalarType.ANY]))
            return self._graph.append(PROFILE, (watched,), (type_,)).outputs
        args = draw(st.lists(self._arguments(visible), max_size=4))
        if self._functions and draw(st.integers(0, 4)) == 0:
            args.insert(0, FunctionRef(draw(st.sampled_from(list(self._functions)))))
        operator = draw(self._operators)
        keywords = draw(
            st.lists(st.sampled_from(["dim", "alpha"]) | _TEXTS, max_size=2, unique=True)
        )
        groups = draw(st.sampled_from([(), (None,), (None, None), (2,), (0,), (1, None)]))
        count = sum(1 if group is None else group for group in groups)
        node = self._graph.append(
            operator,
            tuple(args),
            [draw(self._types) for _ in range(count)],
            keywords=tuple(keywords[: max(len(args) - 1, 0)]),
            groups=groups if any(group is not None for group in groups) else None,
            scope=draw(st.sampled_from(self._scopes)),
            stack=draw(st.sampled_from([None, *self._stacks])),
            modes=self._modes,
        )
        for value in node.outputs:
            value.name = draw(st.none() | _TEXTS)
        if depth < 2 and draw(st.integers(0, 4)) == 0:
            for _ in range(draw(st.integers(1, 2))):
                block = node.add_block()
                self._fill(block, [*visible, *self._add_inputs(block)], depth + 1)
        return node.outputs

    def _on_tuple(self, visible: list[Value]) -> tuple[Value, ...]:
        """Append a node that makes a tuple or takes one apart."""
        draw = self._draw
        wholes = [(v, v.type) for v in visible if isinstance(v.type, TupleType)]
        if not wholes or draw(st.integers(0, 2)) == 0:
            parts = draw(st.lists(st.sampled_from(visible), max_size=3)) if visible else []
            type_ = TupleType((*[part.type for part in parts], ScalarType.INT))
            return self._graph.append(TUPLE_CONSTRUCT, (*parts, 7), (type_,)).outputs
        whole, type_ = draw(st.sampled_from(wholes))
        count = len(type_.elements)
        if count and draw(st.booleans()):
            index = draw(st.integers(-count, count - 1))
            taken = self._graph.append(TUPLE_INDEX, (whole, index), (type_.elements[index],))
        elif draw(st.booleans()):
            begin = draw(st.none() | st.integers(-2, 2))
            part = TupleType(type_.elements[begin:])
            taken = self._graph.append(TUPLE_SLICE, (whole, begin, None), (part,))
        else:
            taken = self._graph.append(TUPLE_UNPACK, (whole,), type_.elements)
        return taken.outputs

    def _call(self, visible: list[Value]) -> tuple[Value, ...]:
        """Append a call that fits its function."""
        draw = self._draw
        name = draw(st.sampled_from(list(self._functions)))
        takes, returns = self._functions[name]
        node = self._graph.append(
            Operator("prim::call"),
            (FunctionRef(name), *[self._value_of(type_, visible) for type_ in takes]),
            returns,
            groups=draw(st.sampled_from([None, (len(returns),)])),
            scope=draw(st.sampled_from(self._scopes)),
            stack=draw(st.sampled_from([None, *self._stacks])),
            modes=self._modes,
        )
        return node.outputs

    def _arguments(self, visible: list[Value]) -> SearchStrategy[Argument]:
        leaves: SearchStrategy[Argument] = literals
        if visible:
            leaves = st.sampled_from(visible) | leaves
        lists = st.lists(leaves, max_size=3).map(tuple)
        return st.one_of(leaves, lists, st.lists(lists | leaves, max_size=2).map(tuple))
