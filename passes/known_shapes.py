"""Sizes of values as expressions over those of inputs, as the rules in ``size_rules.py`` say.

Types hold the sizes of the run that was traced, which a replay need not have. So what is known of a size is
what operators promise whatever the sizes are: ``view(%x, [%n, 4])`` has ``%n`` and 4. Only parameters,
buffers and constants have the sizes that their types say: replays are held to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..errors import IRError
from ..ir import Argument, Node, Operator, TensorType, Value
from .polynomials import Polynomial
from .reshaping import Reshaping
from .size_algebra import COUNT, SizeAlgebra
from .size_calls import Dimension, Dimensions, Rule, SizeCall, plain_size, shape_of, tensors_read
from .size_rules import rule_of


class KnownShapes:
    """The sizes of the values of one graph, derived when somebody asks, each once.

    Args:
        reshaping: tells where in the graph tensors may get other sizes.
        algebra: knows the unknowns.
        expressions: what the numbers are that were met so far.
    """

    def __init__(
        self,
        reshaping: Reshaping,
        algebra: SizeAlgebra,
        expressions: Mapping[Value, Polynomial],
    ) -> None:
        self._has_changed = reshaping.has_changed
        self._algebra = algebra
        self._numbers = _Numbers(expressions)
        self._known: dict[Value, Dimensions | None] = {}  # where each is defined

    def size(self, node: Node, value: Value, dimension: int) -> Polynomial | None:
        """Return a size of a tensor as a node finds it; None if it may have changed, or is no count."""
        if self._has_changed(value, node):
            return None
        sizes = self._of(value)
        if sizes is None:
            return None if _is_odd(value) else self._read(value, dimension)
        if not -len(sizes) <= dimension < len(sizes):
            return None
        return _polynomial(sizes[dimension])

    def count(self, node: Node, value: Value) -> Polynomial | None:
        """Return the number of elements of a tensor as a node finds it; None if that is not known."""
        type_ = value.type
        if not isinstance(type_, TensorType) or self._has_changed(value, node):
            return None
        if type_.class_name or type_.layout.name != "strided":
            return None
        sizes = self._of(value)
        if sizes is None:
            return None
        product: Polynomial | None = Polynomial.constant(1)
        for size in sizes:
            product = None if product is None else product.times(_polynomial(size))
        return product

    def _of(self, value: Value) -> Dimensions | None:
        """Return the sizes of a value; None if not even their number is sure."""
        pending = [value]
        known = self._known
        while pending:
            current = pending[-1]
            node = current.node
            if current not in known:
                needed = [] if node is None else [v for v in tensors_read(node) if v not in known]
                if needed:
                    pending += needed
                    continue
                if node is None:
                    known[current] = self._given(current)
                else:
                    self._derive(node)
            pending.pop()
        return known[value]

    def _given(self, value: Value) -> Dimensions | None:
        """Return the sizes of an input or of state."""
        if value.state is None or _is_odd(value):
            return self._all_read(value)
        return tuple(shape_of(value))

    def _derive(self, node: Node) -> None:
        """Derive the sizes of a node's results from those of its operands."""
        reads = tensors_read(node)
        rule = None if node.blocks else rule_for(node.operator)
        operands: dict[Value, Dimensions] = {}
        for value in reads:
            sizes = self._known[value]
            if sizes is None or self._has_changed(value, node):
                rule = None
                break
            operands[value] = sizes
        for position, output in enumerate(node.outputs):
            derived = None
            if rule is not None:
                call = SizeCall(node, position, reads, operands, self._numbers)
                try:
                    derived = rule(call)
                except (IRError, LookupError):  # a call that torch refuses
                    derived = None
            if derived is not None:
                self._known[output] = self._fitting(derived, output)
            else:
                self._known[output] = self._all_read(output) if _has_rank(node) else None

    def _fitting(self, derived: tuple[Dimension | None, ...], value: Value) -> Dimensions | None:
        """Return derived sizes, those that are not what the type says to be read instead."""
        shape = shape_of(value)
        if len(derived) != len(shape):
            return None
        return tuple(
            [
                size if self._agrees(size, plain_size(plain)) else self._read(value, dimension)
                for dimension, (size, plain) in enumerate(zip(derived, shape, strict=True))
            ]
        )

    def _agrees(self, size: Dimension | None, plain: int | None) -> bool:
        if size is None or plain is None:
            return False
        at_trace = self._algebra.plain(_polynomial(size))
        return at_trace is None or at_trace == plain

    def _all_read(self, value: Value) -> Dimensions | None:
        if _is_odd(value):
            return None
        return tuple([self._read(value, dimension) for dimension in range(len(shape_of(value)))])

    def _read(self, value: Value, dimension: int) -> Polynomial:
        """Return a size of which nothing is known but where it can be read."""
        shape = shape_of(value)
        plain = plain_size(shape[dimension]) if -len(shape) <= dimension < len(shape) else None
        return self._algebra.unknown((value, dimension), COUNT, plain)


class _Numbers:
    """What numbers among arguments are as sizes: plain, or polynomials that vary."""

    def __init__(self, expressions: Mapping[Value, Polynomial]) -> None:
        self._expressions = expressions

    def size(self, argument: Argument) -> Dimension | None:
        """Return an argument as a size; None if it is none."""
        if not isinstance(argument, Value):
            return argument if argument.__class__ is int else None
        found = self._expressions.get(argument)
        if found is None:
            return None
        number = found.number
        return found if number is None else number


def _polynomial(size: Dimension) -> Polynomial:
    if isinstance(size, Polynomial):
        return size
    assert isinstance(size, int), "a size is a number, or one that varies"
    return Polynomial.constant(size)


@lru_cache(maxsize=4096)
def rule_for(operator: Operator) -> Rule | None:
    """Return the rule for the sizes of an operator's results; None if there is none."""
    return rule_of(operator) if operator.parameters else None


def _is_odd(value: Value) -> bool:
    """Whether a value may be no tensor, or one with sizes that are no numbers, as those of ragged ones."""
    type_ = value.type
    if not isinstance(type_, TensorType) or type_.shape is None:
        return True
    return not all([isinstance(size, int) for size in type_.shape])


def _has_rank(node: Node) -> bool:
    """Whether results have as many dimensions as their types say, whatever the sizes are."""
    operator = node.operator
    name = operator.base_name
    return name.startswith("aten::") and "squeeze" not in name and not node.blocks
