"""Labels: numbers that are equal where two nodes are alike, seen by themselves."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, NamedTuple

from ..ir import Argument, FunctionRef, Modes, Node, Type, Value


class Numbers(dict[Hashable, int]):
    """Numbers things from 0 on as they are first asked for; equal things have one number."""

    def __missing__(self, key: Hashable) -> int:
        number = self[key] = len(self)
        return number


class _Mark:
    """Stands for what is no plain literal; equal to itself alone."""

    __slots__ = ()


_VALUE, _BOOL, _FLOAT, _FUNCTION = (_Mark() for _ in range(4))
_PLAIN: Final = frozenset({int, str, type(None)})


STRICT, LOOSE, BARE = range(3)
"""How much of a node its label takes into account, as positions in a :class:`Label`."""


class Label(NamedTuple):
    """What a node is, by itself, from the most exact to the least.

    Attributes:
        strict: its operator, literals, types of results, blocks, and modes unless they are those around.
        loose: its operator and literals.
        bare: its operator without the overload.
    """

    strict: int
    loose: int
    bare: int


class Labels:
    """Gives nodes of both graphs their labels."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        # By identity, since hashing types is slow; the types are held so that ids stay their own.
        self._types: dict[int, tuple[Type, int]] = {}

    def label(self, node: Node, functions: Mapping[str, int], ambient: Modes) -> Label:
        """Return the label of a node; functions of one number count as one. O(arguments)."""
        numbers = self._numbers
        args = node.all_args
        inputs = node.inputs
        spelled: Hashable = (
            len(inputs) if args is inputs else tuple([_spelled(arg, functions) for arg in args])
        )
        loose = numbers[(node.operator.name, spelled, node.keywords)]
        outputs = node.outputs
        types = tuple([self.type_number(value.type) for value in outputs])
        lists = node.groups if node.gives_lists else None
        blocks = tuple([tuple([self.type_number(v.type) for v in b.inputs]) for b in node.blocks])
        modes = node.modes
        own_modes = None if modes is ambient or modes == ambient else modes
        strict = numbers[(loose, types, lists, blocks, own_modes)]
        return Label(strict, loose, numbers[(node.operator.base_name, len(blocks))])

    def type_number(self, type_: Type) -> int:
        """Return the number of a type."""
        known = self._types.get(id(type_))
        if known is None:
            known = self._types[id(type_)] = (type_, self._numbers[type_])
        return known[1]


def _spelled(arg: Argument, functions: Mapping[str, int]) -> Hashable:
    kind = arg.__class__
    if kind is Value:
        return _VALUE
    if kind in _PLAIN:
        return arg
    if isinstance(arg, tuple):
        return tuple([_spelled(item, functions) for item in arg])
    if isinstance(arg, bool):  # 1 == True == 1.0 in Python, but not as arguments
        return (_BOOL, arg)
    if isinstance(arg, float | complex):
        return (_FLOAT, repr(arg))
    if isinstance(arg, FunctionRef):
        return (_FUNCTION, functions.get(arg.name, arg.name))
    return arg
