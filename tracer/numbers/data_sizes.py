"""Which sizes the data of tensors has decided, directly or through what was computed since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ...ir import Effect, Node, Operator, TensorType, Value
from ...ir.own_operators import AUTOGRAD_FUNCTION
from ...passes.size_rules import is_data_sized, may_be_data_sized
from ..dispatch.number import Number


class DataSizes:
    """Tells, for the values of one trace, whether sizes of theirs may depend on data.

    Args:
        numbers: the number that a value of the graph is, for values that are numbers.
        took_data: whether the forward of a custom function took the data of a tensor to Python.
    """

    def __init__(self, numbers: Mapping[Value, Number], took_data: Callable[[Node], bool]) -> None:
        self._numbers = numbers
        self._took_data = took_data
        self._known: dict[Value, bool] = {}
        self._may_be_sized: dict[Operator, bool] = {}  # whether data sizes what some calls give

    def decide(self, value: Value) -> bool:
        """Whether data may have decided sizes of a value, or an ``int`` that it is. O(new nodes)."""
        known = self._known.get(value)
        if known is not None:
            return known
        pending = [value]
        while pending:
            latest = pending[-1]
            settled = self._settled(latest, pending)
            if settled is not None:
                self._known[latest] = settled
                pending.pop()
        return self._known[value]

    def _settled(self, value: Value, pending: list[Value]) -> bool | None:
        """Return the answer for a value; None where those for what it was made of come first, now pending."""
        known = self._known.get(value)
        if known is not None:
            return known
        number = self._numbers.get(value)
        if number is not None and number.is_data:
            return number.is_int()
        node, type_ = value.node, value.type
        if node is None or (type_.__class__ is TensorType and type_.shape == ()):
            return False
        if self._is_sized_by_data(node):
            return True
        count, is_decided = len(pending), False
        for read in _made_of(value, node):
            answer = self._known.get(read)
            if answer is None:
                pending.append(read)
            elif answer:
                is_decided = True
        return is_decided if len(pending) == count else None

    def _is_sized_by_data(self, node: Node) -> bool:
        operator = node.operator
        may_be = self._may_be_sized.get(operator)
        if may_be is None:
            may_be = self._may_be_sized[operator] = (
                may_be_data_sized(node)
                if operator.name.startswith("aten::")
                else Effect.DATA_SIZED in operator.effects or operator is AUTOGRAD_FUNCTION
            )
        if not may_be:
            return False
        if operator is AUTOGRAD_FUNCTION:  # its block tells, unless Python has seen data
            return self._took_data(node)
        return is_data_sized(node) if operator.name.startswith("aten::") else True


def _made_of(value: Value, node: Node) -> Iterable[Value]:
    """Return what the sizes of a value that a node made may follow from."""
    if node.operator is not AUTOGRAD_FUNCTION:
        return node.inputs
    made = node.blocks[0].outputs[node.outputs.index(value)]
    return (*node.inputs, made)
