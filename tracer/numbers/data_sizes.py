"""Which sizes the data of tensors has decided, directly or through what was computed since."""

from __future__ import annotations

from collections.abc import Mapping

from ...ir import Effect, Node, TensorType, Value
from ..dispatch.number import Number
from .lineage import is_data_sized


class DataSizes:
    """Tells, for the values of one trace, whether sizes of theirs may depend on data.

    Args:
        numbers: the number that a value of the graph is, for values that are numbers.
    """

    def __init__(self, numbers: Mapping[Value, Number]) -> None:
        self._numbers = numbers
        self._known: dict[Value, bool] = {}

    def decide(self, value: Value) -> bool:
        """Whether data may have decided sizes of a value, or an ``int`` that it is. O(new nodes)."""
        pending = [value]
        while pending:
            latest = pending[-1]
            settled = self._settled(latest)
            if settled is not None:
                self._known[latest] = settled
                pending.pop()
                continue
            assert latest.node is not None, "what no node makes is settled"
            pending.extend(v for v in latest.node.inputs if v not in self._known)
        return self._known[value]

    def _settled(self, value: Value) -> bool | None:
        """Return the answer for a value; None where those for what it was made of are not known yet."""
        known = self._known.get(value)
        if known is not None:
            return known
        number = self._numbers.get(value)
        if number is not None and number.is_data:
            return number.is_int()
        node = value.node
        if node is None or (isinstance(value.type, TensorType) and value.type.shape == ()):
            return False
        if _is_sized_by_data(node):
            return True
        answers = [self._known.get(read) for read in node.inputs]
        return None if None in answers else any(answers)


def _is_sized_by_data(node: Node) -> bool:
    if node.kind.startswith("aten::"):
        return is_data_sized(node)
    return Effect.DATA_SIZED in node.operator.effects
