"""Blocks under construction: what a node is made of whose functions are recorded before it is there.

The node of an operator that takes functions can only be made once their results are known, and so
after its blocks. Until then a block stands free, and new nodes are inserted into it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ...ir import Argument, Block, Frame, Modes, Node, Operator, Scope, Value
from ...ir.own_operators import LITERAL
from ..dispatch.literals import to_literal
from ..dispatch.number import number_of
from ..dispatch.tensors import type_of_tensor, type_of_value
from ..numbers.numbers import SCALAR_TYPES
from ..numbers.traced_numbers import traced
from ..state import TracingState


class Place:
    """Where a node is recorded: its trace, its scope, stack and modes."""

    def __init__(self, state: TracingState, frame: FrameType | None) -> None:
        self.state = state
        self.scope: Scope
        self.stack: Frame | None
        self.scope, self.stack = state.walker.locate(frame)
        self.modes: Modes = state.modes.read()

    def argument(self, arg: Any) -> Argument:
        """Return anything an operator may be called with as an argument of a node."""
        state = self.state
        if isinstance(arg, torch.Tensor):
            value = state.values.get(arg)
            if value is None:
                return state.adopt(arg, self.scope, self.stack)
            return state.with_grad_flag(arg, value, self.scope, self.stack)
        number = number_of(arg)
        if number is not None:
            return state.numbers.argument(number)
        if isinstance(arg, list | tuple):
            return tuple([self.argument(item) for item in arg])
        value = state.function_values.get(arg)
        if value is not None:
            return value
        try:
            return to_literal(arg)
        except TypeError:  # a class, a module, an operator: passed on as the object it is
            return state.kept.constant(arg, type(arg).__name__)

    def append(
        self,
        operator: Operator,
        args: Sequence[Argument],
        results: Sequence[Any],
        *,
        keywords: Mapping[str, Argument] | None = None,
        groups: tuple[int | None, ...] | None = None,
        blocks: Sequence[Block] = (),
    ) -> list[Any]:
        """Add a node, make its values what its results are, and return these as the program gets them."""
        node = self.append_node(
            operator, args, results, keywords=keywords, groups=groups, blocks=blocks
        )
        return self.given(results, node)

    def given(self, results: Sequence[Any], node: Node) -> list[Any]:
        """Return the results of a node as the program gets them: numbers are numbers of the graph."""
        pairs = zip(results, node.outputs, strict=True)
        return [known_number(self.state, result, value) for result, value in pairs]

    def append_node(
        self,
        operator: Operator,
        args: Sequence[Argument],
        results: Sequence[Any],
        *,
        keywords: Mapping[str, Argument] | None = None,
        groups: tuple[int | None, ...] | None = None,
        blocks: Sequence[Block] = (),
    ) -> Node:
        """Add a node, make its values what its results are from now on, and return it."""
        keywords = {} if keywords is None else keywords
        state = self.state
        node = state.graph.append(
            operator,
            (*args, *keywords.values()),
            [type_of_value(result) for result in results],
            keywords=tuple(keywords),
            groups=groups,
            scope=self.scope,
            stack=self.stack,
            modes=self.modes,
        )
        for block in blocks:
            node.take_block(block)
        for result, value in zip(results, node.outputs, strict=True):
            self.set(result, value)
        return node

    def set(self, result: Any, value: Value) -> None:
        """Make ``value`` what a tensor, or a function that a transform has made, is from now on."""
        if isinstance(result, torch.Tensor):
            self.state.values.set(result, value)
            if self.state.lookup_var_name_fn is not None:
                value.name = self.state.lookup_var_name_fn(result) or None
        elif callable(result):
            self.state.function_values.set(result, value)

    def value(self, result: Any) -> Value:
        """Return the value of what a function returns, a literal's if it is no tensor."""
        argument = self.argument(result)
        if isinstance(argument, Value):
            return argument
        node = self.state.graph.append(
            LITERAL,
            (argument,),
            (type_of_value(result),),
            scope=self.scope,
            stack=self.stack,
            modes=self.modes,
        )
        return node.output


@contextmanager
def recording_into(state: TracingState, block: Block) -> Iterator[None]:
    """Record into a block until the ``with`` ends; then what it defines is known no more."""
    with state.values.inside(), state.graph.inserting(block):
        yield


def known_number(state: TracingState, plain: Any, value: Value) -> Any:
    """Return a plain number as the number that a value of the graph is; anything else as it is."""
    if type(plain) not in SCALAR_TYPES:
        return plain
    return traced(state.numbers.of_value(value, plain))


def plain_numbers(whole: Any) -> Any:
    """Return nested arguments with plain numbers in the place of those of the graph."""
    return pytree.tree_map(_plain, whole)


def _plain(leaf: Any) -> Any:
    if isinstance(leaf, tuple):  # the sizes of a tensor, which are a class of their own
        return torch.Size(map(_plain, leaf))
    number = number_of(leaf)
    return leaf if number is None else number.plain


def add_inputs(
    state: TracingState,
    block: Block,
    leaves: Sequence[Any],
    names: list[str],
    *,
    has_numbers: bool = False,
) -> list[Any]:
    """Make the tensors among the arguments of a function the inputs of its block.

    Args:
        state: the trace.
        block: what the function does.
        leaves: the arguments, taken apart.
        names: what to call them.
        has_numbers: whether numbers become inputs as well.

    Returns:
        The arguments as the function gets them.
    """
    given = []
    for leaf, name in zip(leaves, names, strict=True):
        plain = _plain(leaf)
        if isinstance(leaf, torch.Tensor):
            state.values.set(leaf, block.add_input(type_of_tensor(leaf), name))
        elif has_numbers and type(plain) in SCALAR_TYPES:
            leaf = known_number(state, plain, block.add_input(type_of_value(plain), name))
        given.append(leaf)
    return given


def input_names(function: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    """Return a readable name per leaf of the positional arguments of a function."""
    parameters: list[str] = []
    try:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                parameters += [f"{parameter.name}.{n}" for n in range(len(args) - len(parameters))]
            elif parameter.kind is not parameter.KEYWORD_ONLY:
                parameters.append(parameter.name)
    except (TypeError, ValueError):  # built-in functions have no signature
        pass
    parameters += [f"input.{n}" for n in range(len(args))]
    names = []
    for arg, name in zip(args, parameters, strict=False):
        count = len(pytree.tree_leaves(arg))
        is_leaf = count == 1 and not isinstance(arg, list | tuple | dict)
        names += [name] if is_leaf else [f"{name}.{n}" for n in range(count)]
    return names
