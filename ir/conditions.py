"""The conditions under which a graph holds, read from its guards and written as Python writes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .arguments import Argument
from .graph import Graph
from .literals import MemoryFormat
from .names import is_number, value_names
from .node import Node
from .own_operators import AUTOGRAD_FUNCTION, PROFILE
from .scalars import GUARD, Expression, scalar_form, write_expression, write_number
from .source import SourceRange
from .types import ScalarType
from .value import Value

_OPPOSITES: Final = {
    "aten::eq": "aten::ne",
    "aten::ne": "aten::eq",
    "aten::lt": "aten::ge",
    "aten::ge": "aten::lt",
    "aten::gt": "aten::le",
    "aten::le": "aten::gt",
}
_IS_NONE: Final = " is None"
_DATA_READS: Final = {
    "aten::item": "{}.item()",
    "aten::is_nonzero": "bool({})",
    "aten::equal": "torch.equal({}, {})",
    "aten::is_same_size": "torch.is_same_size({}, {})",
    "aten::allclose": "torch.allclose({}, {})",
}


DimensionNames: TypeAlias = Mapping[tuple[Value, int], str]
"""What the user calls sizes of inputs, by value and dimension."""


@dataclass(frozen=True, slots=True)
class Circumstance:
    """Something around a program that it asked for, and that is no tensor: whether a module trains, say.

    Attributes:
        text: what it was: ``drop.training is False``.
        source: the user's line that asked for it first; None where that is not known.
        failing: returns what of it is not so now; None while all of it is.
        advice: what to do then.
    """

    text: str
    source: SourceRange | None
    failing: Callable[[], str | None] = field(repr=False)
    advice: str = field(
        default="set it as it was at the trace, or trace again as it is now", kw_only=True
    )

    def of(self, real: Callable[[Any], Any]) -> Circumstance:
        """Return the same of what the objects that it is about stand for; ``real`` gives that."""
        return self


@dataclass(frozen=True, slots=True)
class OfSetting(Circumstance):
    """What a call of torch answers that tells of a mode or a setting.

    Attributes:
        call: as Python writes it: ``torch.get_default_dtype()``.
        answer: what it gave.
    """

    call: str = ""
    answer: Any = None


_USUAL_ADVICE: Final = Circumstance("", None, lambda: None).advice


def of_setting(
    call: str,
    answer: Any,
    ask: Callable[[], Any],
    source: SourceRange | None,
    advice: str = _USUAL_ADVICE,
) -> OfSetting:
    """Return the circumstance that a call, which ``ask`` makes, gives this answer."""
    text = f"{call} is {answer}"

    def failing() -> str | None:
        return None if ask() == answer else text

    return OfSetting(text, source, failing, call, answer, advice=advice)


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition that a replay checks.

    Attributes:
        text: the condition: ``x.size(0) > 1``.
        node: the node that checks it.
        source: the user's line that made it a condition; None where that is not known.
    """

    text: str
    node: Node
    source: SourceRange | None

    def __str__(self) -> str:
        if self.source is None:
            return self.text
        line = self.source.text.strip()
        place = f"{self.source.file}:{self.source.line}"
        return f"{self.text}    # {place}: {line}" if line else f"{self.text}    # {place}"


def guards_of(
    graph: Graph,
    dimension_names: DimensionNames | None = None,
    lengths: Collection[Node] = (),
) -> tuple[Guard, ...]:
    """Return the conditions of a graph in the order of their checks, each once. O(size).

    Args:
        graph: the graph.
        dimension_names: what to call sizes of inputs, by value and dimension.
        lengths: the nodes that give lists whose length is a condition as well.
    """
    writer = ConditionWriter(graph, dimension_names or {})
    found: dict[str, Guard] = {}
    listed = dict.fromkeys(lengths)
    for node in graph.walk():
        is_checked = (node.kind == GUARD or node in listed) and not _only_shows(node)
        text = writer.condition(node) if is_checked else None
        if text is not None and text not in found:
            stack = node.stack
            found[text] = Guard(text, node, None if stack is None else stack.user.range)
    return tuple(found.values())


def _only_shows(node: Node) -> bool:
    """Whether a node is part of what a custom function did: a replay runs the function, not the node."""
    block = node.block
    while block is not None and block.owner is not None:
        if block.owner.kind == AUTOGRAD_FUNCTION.name:
            return True
        block = block.owner.block
    return False


class ConditionWriter:
    """Writes the conditions of one graph."""

    def __init__(self, graph: Graph, dimension_names: DimensionNames) -> None:
        self._names = value_names(graph)
        self._dimension_names = dimension_names
        self._known: dict[Value, Expression] = {}

    def condition(self, node: Node) -> str | None:
        """Return what a node requires; None if it requires nothing."""
        if node.kind != GUARD:
            return self._length(node)
        if len(node.all_args) != 2:
            return None
        actual, expected = node.all_args
        return self._requirement(actual, expected)

    def _requirement(self, actual: Argument, expected: Argument) -> str:
        if not isinstance(expected, bool):
            return f"{self._argument(actual).within(7)} == {expected!r}"
        if expected:
            return self._argument(actual).text
        asked = self._argument(actual).text
        if asked.endswith(_IS_NONE):
            return f"{asked.removesuffix(_IS_NONE)} is not None"
        node = actual.node if isinstance(actual, Value) else None
        opposite = None if node is None else _OPPOSITES.get(node.operator.base_name)
        form = None if opposite is None else scalar_form(f"{opposite}.int")
        if node is not None and form is not None and form.takes(len(node.all_args)):
            return write_expression(form, [self._argument(arg) for arg in node.all_args]).text
        return f"not {self._argument(actual).within(6)}"

    def _length(self, node: Node) -> str | None:
        """Return the length required of the list that a node gives."""
        if None in node.groups or not node.groups:
            return None
        name = node.operator.base_name.partition("::")[2]
        shown = ", ".join(self._argument(arg).text for arg in node.args)
        return f"len({name}({shown})) == {node.groups[0]}"

    def _argument(self, arg: Argument) -> Expression:
        if isinstance(arg, Value):
            known = self._known.get(arg)
            if known is None:
                known = self._known[arg] = self._value(arg)
            return known
        if isinstance(arg, bool | int | float):
            return write_number(arg)
        if isinstance(arg, MemoryFormat):
            return Expression(f"torch.{arg}")
        return Expression(repr(arg))

    def _value(self, value: Value) -> Expression:
        node = value.node
        if node is None:
            return Expression(self._name(value))
        if node.operator is PROFILE:
            return self._argument(node.all_args[0])
        label = self._dimension_label(node)
        if label is not None:
            return Expression(label)
        form = scalar_form(node.kind)
        if form is not None and form.takes(len(node.all_args)):
            return write_expression(form, [self._argument(arg) for arg in node.all_args])
        name = node.operator.base_name
        read = _DATA_READS.get(name)
        if read is None and name.startswith("aten::") and isinstance(value.type, ScalarType):
            read = f"{{}}.{name.removeprefix('aten::')}()" if len(node.all_args) == 1 else None
        if read is not None:
            shown: Sequence[str] = [self._argument(arg).within(20) for arg in node.all_args]
            return Expression(read.format(*shown))
        return Expression(self._name(value))

    def _name(self, value: Value) -> str:
        """Return a value's name, told from a number where it is one."""
        name = self._names.get(value, value.name or "?")
        return f"%{name}" if is_number(name) else name

    def _dimension_label(self, node: Node) -> str | None:
        if node.kind != "aten::sym_size.int" or len(node.all_args) != 2:
            return None
        tensor, dimension = node.all_args
        while isinstance(tensor, Value) and tensor.node and tensor.node.operator is PROFILE:
            tensor = tensor.node.all_args[0]
        if not isinstance(tensor, Value) or not isinstance(dimension, int):
            return None
        return self._dimension_names.get((tensor, dimension))
