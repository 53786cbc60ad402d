"""Which sizes the data of tensors has decided, directly or through what was computed since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ...ir import Effect, Node, TensorType, Value
from ...ir.own_operators import AUTOGRAD_FUNCTION
from ..dispatch.number import Number
from .lineage import is_data_sized


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
            made_of = _made_of(latest, latest.node)
            pending.extend(v for v in made_of if v not in self._known)
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
        if self._is_sized_by_data(node):
            return True
        answers = [self._known.get(read) for read in _made_of(value, node)]
        return None if None in answers else any(answers)

    def _is_sized_by_data(self, node: Node) -> bool:
        if node.kind.startswith("aten::"):
            return is_data_sized(node)
        if node.operator is AUTOGRAD_FUNCTION:  # its block tells, unless Python has seen data
            return self._took_data(node)
        return Effect.DATA_SIZED in node.operator.effects


def _made_of(value: Value, node: Node) -> Iterable[Value]:
    """Return what the sizes of a value that a node made may follow from."""
    if node.operator is not AUTOGRAD_FUNCTION:
        return node.inputs
    made = node.blocks[0].outputs[node.outputs.index(value)]
    return (*node.inputs, made)
