"""Inlining: the nodes of a function in the place of each call of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from ..errors import PassError
from ..ir import CALL, Argument, Block, Frame, FunctionRef, Graph, Node, Scope, Value
from ..ir.collector import paused_collector
from ..ir.composites import noted_composites
from ..ir.own_operators import LITERAL
from ..ir.rules import references_in
from .base import Pass, PassResult
from .transplant import Transplant


@dataclass(frozen=True, slots=True)
class Inline(Pass):
    """Replace every call of a function of the graph by what the function does, calls inside it as well.

    Given:   %y : f32[2] = prim::call(@twice, %x)          # net.py:9:4 layer
             function twice(%a : f32[2]):
               %0 : f32[2] = aten::mul.Tensor(%a, 2)       # net.py:4:8 inner
               return (%0)
    Result:  %y : f32[2] = aten::mul.Tensor(%x, 2)         # net.py:4:8 layer.inner

    Keeps the order of nodes, the names of results, and what scopes of operators stand for. Scopes stand
    below that of the call, and stacks go on with its stack. Modes that a function finds set around it are
    those of the call. Functions that nothing calls any more go.

    Sound for any graph that verifies. Cost: O(size of what comes out).
    """

    name: ClassVar[str] = "inline"

    @paused_collector()
    def run(self, graph: Graph) -> PassResult:
        """Inline all calls of a graph.

        Raises:
            PassError: a function calls itself, by itself or through others, or keeps state of its own;
                nothing is changed.
        """
        _require_inlinable(graph)
        graph.composites = noted_composites(graph)
        inliner = _Inliner(graph)
        calls = 0
        for node in graph.walk():  # it goes on with what is put before the next node
            if node.kind == CALL:
                inliner.inline(node)
                calls += 1
        became = inliner.became()
        graph.composites = {
            scope: composite.with_values(became) for scope, composite in graph.composites.items()
        }
        return PassResult.of(calls=calls, functions=_drop_uncalled(graph))


class _Inliner:
    """Puts functions in the place of calls, in one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._addresses = {node.scope.address for node in graph.walk()}
        self._frames: dict[tuple[Frame | None, Frame | None], Frame | None] = {}
        self._became: dict[Value, Value] = {}  # what is read now for results of calls
        self._noted = cache(noted_composites)  # no function changes here

    def became(self) -> dict[Value, Value]:
        """Return what is read now for results of calls, also where that was the result of another call."""
        found: dict[Value, Value] = {}
        for result in reversed(
            self._became
        ):  # a call inside a function is inlined after the outer one
            copy = self._became[result]
            found[result] = found.get(copy, copy)
        return found

    def inline(self, call: Node) -> None:
        """Replace one call, whose function may call others."""
        reference, *args = call.all_args
        assert isinstance(reference, FunctionRef), "verified: the first argument names a function"
        function = self._graph.functions[reference.name]
        given = [
            self._given(call, value, arg) for value, arg in zip(function.inputs, args, strict=True)
        ]

        @cache
        def below(scope: Scope) -> Scope:
            """Return the scope below that of the call that stands for one of the function's."""
            if scope.parent is None:
                return call.scope
            return self._new_scope(below(scope.parent), scope)

        transplant = Transplant(
            self._graph,
            dict(zip(function.inputs, given, strict=True)),
            scope=below,
            stack=cache(lambda stack: self._stack(stack, call.stack)),
            modes=cache(lambda modes: modes.inside(function.modes, call.modes, self._graph.modes)),
        )
        with self._graph.inserting_after(call):
            transplant.copy(function.block)
        transplant.note(self._noted(function))
        copies = transplant.results(function.outputs)
        for result, value, copy in zip(call.outputs, function.outputs, copies, strict=True):
            if result.name is not None and value.node is not None:
                copy.name = result.name
            result.replace_all_uses_with(copy)
            self._became[result] = copy
        call.erase()

    def _given(self, call: Node, taken: Value, arg: Argument) -> Argument:
        """Return what stands for an input of the function: a value, where a block returns it."""
        if isinstance(arg, Value) or not any(isinstance(user, Block) for user in taken.users):
            return arg
        with self._graph.inserting(call):
            made = self._graph.append(
                LITERAL, (arg,), (taken.type,), scope=call.scope, stack=call.stack, modes=call.modes
            )
        return made.output

    def _new_scope(self, parent: Scope, like: Scope) -> Scope:
        call = like.call
        scope = Scope(parent, like.kind, like.name, like.class_name, call)
        while scope.address in self._addresses:
            call += 1
            scope = Scope(parent, like.kind, like.name, like.class_name, call)
        self._addresses.add(scope.address)
        return scope

    def _stack(self, stack: Frame | None, caller: Frame | None) -> Frame | None:
        """Return a stack that goes on with that of the call, unless it does so already."""
        if stack is None or caller is None:
            return caller if stack is None else stack
        key = (stack, caller)
        if key not in self._frames:
            self._frames[key] = stack if caller in stack else _going_on(stack, caller)
        return self._frames[key]


def _going_on(stack: Frame, caller: Frame) -> Frame:
    """Return a copy of a stack whose outermost frame was called by ``caller``."""
    above = caller
    for frame in reversed(list(stack)):
        above = frame.called_by(above)
    return above


def _require_stateless(function: Graph) -> None:
    kept = next((entry.name for entry in function.state.values() if entry.value.is_used), None)
    if kept is not None:
        raise PassError(
            f"a call of function {function.name} cannot be inlined, since the function has state of its own, "
            f"%{kept}\n  pass it to the function as an argument"
        )


def _require_inlinable(graph: Graph) -> None:
    """Follow calls depth first, each function once, with those being followed in order."""
    done: set[str] = set()

    def follow(name: str, through: tuple[str, ...]) -> None:
        if name in through:
            circle = " calls ".join((*through[through.index(name) :], name))
            raise PassError(
                f"function {circle}, and what calls itself cannot be inlined\n"
                "  leave the pass inline out, or take the call out of the function"
            )
        if name in done:
            return
        _require_stateless(graph.functions[name])
        for called in _called_by(graph.functions[name]):
            follow(called, (*through, name))
        done.add(name)

    for name in _called_by(graph):
        follow(name, ())


def _called_by(graph: Graph) -> dict[str, None]:
    return {
        reference.name: None
        for node in graph.walk()
        if node.kind == CALL
        for reference in references_in(node.all_args[:1])
    }


def _drop_uncalled(graph: Graph) -> int:
    """Forget the functions that no node names, and those that only these name; return how many."""
    named: dict[str, None] = {}
    left = [graph]
    while left:
        for node in left.pop().walk():
            if node.all_args is node.inputs:
                continue  # all are values, as most often
            for reference in references_in(node.all_args):
                if reference.name not in named:
                    named[reference.name] = None
                    left.append(graph.functions[reference.name])
    dropped = [name for name in graph.functions if name not in named]
    for name in dropped:
        del graph.functions[name]
    return len(dropped)
