"""Sizes of values derived from those of inputs and state, as the rules in ``size_rules.py`` say.

``h.shape[0]`` of a hidden tensor is mostly a size of an input, and ``h.shape[-1]`` that of a weight.
Saying so keeps graphs free of reads of sizes that are known, and lets guards speak of the inputs. A
rule that does not apply, and an operator without one, leave a size to be read from the tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from ...ir import Effect, Node, Operator, TensorType, Value
from ..dispatch.number import Number
from .size_calls import (
    Dimension,
    Dimensions,
    KnownNumbers,
    Rule,
    SizeCall,
    SizeRead,
    plain_size,
    shape_of,
    tensors_read,
)
from .size_rules import rule_of


class Shapes:
    """Derives the sizes of values, and tells which sizes are the same at every run.

    Nodes are gone through in their order, each once, as far as there are any when somebody asks. What
    is put behind that place later, numbers mostly, is not looked at: its sizes are read.

    Args:
        inputs: the sizes of a value that no node makes.
        is_fixed_input: whether these are the same at every run.
        numbers: the number that a value of the graph is, for values that are numbers.
    """

    def __init__(
        self,
        inputs: Callable[[Value], Dimensions],
        is_fixed_input: Callable[[Value], bool],
        numbers: Mapping[Value, Number],
    ) -> None:
        self._inputs = inputs
        self._is_fixed_input = is_fixed_input
        self._numbers = KnownNumbers(numbers)
        self._known: dict[Value, Dimensions] = {}
        self._fixed: dict[Value, bool] = {}  # of inputs and state as asked, of results that are
        self._visited: set[Node] = set()
        self._rules: dict[Operator, tuple[Rule | None, bool]] = {}  # and whether sizes are data

    def read(self, size: SizeRead, number: Number) -> None:
        """Take note that a number is a size, which it stands for from now on."""
        self._numbers.reads[number] = size

    def forget(self) -> None:
        """Let go of all that was derived."""
        self._known.clear()
        self._fixed.clear()
        self._visited.clear()
        self._numbers.reads.clear()

    def of(self, value: Value) -> Dimensions:
        """Return the sizes of a tensor value. O(new nodes)."""
        known = self._known.get(value)
        if known is not None:
            return known
        if value.node is None:
            known = self._inputs(value)
        else:
            self._visit_new(value.node)
            known = self._known.get(value) or _all_read(value)
        self._known[value] = known
        return known

    def may_vary(self, value: Value) -> bool:
        """Whether the sizes of a value may differ from run to run. O(new nodes)."""
        if value.node is not None:
            self._visit_new(value.node)
        return not self._is_fixed(value)

    def _is_fixed(self, value: Value) -> bool:
        fixed = self._fixed.get(value)
        if fixed is None:
            fixed = value.node is None and self._is_fixed_input(value)
            self._fixed[value] = fixed
        return fixed

    def _visit_new(self, node: Node) -> None:
        """Derive what the nodes of a block give, up to its end."""
        if node in self._visited or node.block is None:
            return
        new = []
        for latest in reversed(node.block):
            if latest in self._visited:
                break
            new.append(latest)
        self._visited.update(new)
        for earliest in reversed(new):
            self._visit(earliest)

    def _visit(self, node: Node) -> None:
        operator = node.operator
        facts = self._rules.get(operator)
        if facts is None:
            is_data_sized = Effect.DATA_SIZED in operator.effects
            facts = self._rules[operator] = (rule_of(operator), is_data_sized)
        rule, is_data_sized = facts
        known = self._known
        reads = tensors_read(node)
        has_shapes = not node.blocks
        for value in reads:
            if value not in known:
                self.of(value)
            if cast(TensorType, value.type).shape is None:
                has_shapes = False
        outputs = node.outputs
        for position, output in enumerate(outputs):
            derived = None
            if rule is not None and has_shapes:
                derived = rule(SizeCall(node, position, reads, known, self._numbers))
            known[output] = _all_read(output) if derived is None else _fitting(derived, output)
        if not is_data_sized and all(map(self._is_fixed, node.inputs)):
            self._fixed.update(dict.fromkeys(outputs, True))


def _all_read(value: Value) -> Dimensions:
    return tuple([SizeRead(value, d, plain_size(size)) for d, size in enumerate(shape_of(value))])


def _fitting(derived: tuple[Dimension | None, ...], value: Value) -> Dimensions:
    """Return derived sizes, those that are not what they were in the run to be read instead."""
    shape = shape_of(value)
    if len(derived) != len(shape):
        return _all_read(value)
    return tuple(
        [
            size
            if size is not None and (size if isinstance(size, int) else size.plain) == plain
            else SizeRead(value, d, plain_size(plain))
            for d, (size, plain) in enumerate(zip(derived, shape, strict=True))
        ]
    )
