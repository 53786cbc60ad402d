"""Size arithmetic: what is known of sizes is not computed, and what is equal is computed once.

Given:   %n : int = aten::sym_size.int(%x, 0)
         %0 : int = aten::mul.int(%n, 4)
         %1 : int = aten::floordiv.int(%0, 4)
         %2 : bool = aten::ge.int(%1, 0)
         prim::guard(%2, True)
         %y : f32[2, 3] = aten::view(%x, [%1, 3])
         %3 : int = aten::sym_size.int(%y, 1)
         %z : f32[2, 3] = aten::mul.Tensor(%y, %3)
Result:  %n : int = aten::sym_size.int(%x, 0)
         %y : f32[2, 3] = aten::view(%x, [%n, 3])
         %z : f32[2, 3] = aten::mul.Tensor(%y, 3)
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Collection, Hashable, MutableMapping
from dataclasses import dataclass
from typing import ClassVar, Final

from ..ir import Argument, Block, Graph, Node, Operator, ScalarType, Value
from ..ir.collector import paused_collector
from ..ir.own_operators import AUTOGRAD_FUNCTION, LITERAL
from ..ir.scalars import GUARD_OPERATOR, scalar_form, scalar_operator
from .base import Pass, PassResult
from .known_literals import KnownLiterals, takes_literals
from .known_shapes import KnownShapes
from .polynomials import Polynomial
from .reshaping import Reshaping, harmless_functions
from .scalar_evaluation import scalar_result
from .size_algebra import Bounds, SizeAlgebra


@dataclass(frozen=True, slots=True)
class FoldShapes(Pass):
    """Fold reads of sizes that are known, and arithmetic on them, in whole numbers that may vary.

    Expressions are polynomials over the sizes that are not known, in one normal form, with quotients and
    minima as further unknowns. A number that does not vary becomes a literal; one that was computed before is
    that; one that is a number or a factor away from another is computed from it. What guards have checked is
    known behind them. A guard that always holds goes, and one that can fail stays, as does one that never
    holds. What would be divided by a number that may be zero is no expression, so that division stays.

    Keeps inputs, state and outputs, and the order of what stays. Numbers that nothing reads any more go.

    Sound for any graph that verifies, at all sizes. Sizes are counts, and those of parameters, buffers and
    constants are what their types say, to which replays are held; types of other values hold the sizes of
    the run that was traced, and are not believed. Cost: O(nodes + arguments).
    """

    name: ClassVar[str] = "fold_shapes"

    @paused_collector()
    def run(self, graph: Graph) -> PassResult:
        """Fold the sizes of a graph, and of its functions."""
        done: Counter[str] = Counter()
        for _ in range(_MOST_WALKS):
            found = _fold(graph)
            done += found
            if not found:
                break
        return PassResult.of(**done)


def _fold(graph: Graph) -> Counter[str]:
    """Go once through a graph and its functions, and count what was done.

    What is learned late may tell more of what was seen early, so a second time may find more, if seldom.
    """
    harmless = harmless_functions(graph.functions)
    done: Counter[str] = Counter()
    for part in (graph, *graph.functions.values()):
        folding = _Folding(part, harmless)
        folding.run()
        done += Counter(
            folded=folding.literals.computed,
            arguments=folding.literals.arguments,
            guards=folding.literals.guards,
            merged=folding.merged,
            rewritten=folding.rewritten,
            unread=folding.unread,
        )
    return done


@dataclass(frozen=True, slots=True)
class _Condition:
    """A truth value: that a number is below zero, or is zero; or, for ``is_not``, that it is not."""

    size: Polynomial
    is_zero: bool
    is_not: bool = False

    def otherwise(self) -> _Condition:
        """Return the condition that holds where this one does not."""
        if self.is_zero:
            return _Condition(self.size, True, not self.is_not)
        return _Condition(-self.size - Polynomial.constant(1), False)

    def holds(self, algebra: SizeAlgebra) -> bool | None:
        """Whether it holds; None if it may and may not."""
        bounds = algebra.bounds(self.size)
        low, high = bounds.low, bounds.high
        if not self.is_zero:
            if high is not None and high < 0:
                return True
            return False if low is not None and low >= 0 else None
        if low == high == 0:
            return not self.is_not
        is_apart = (low is not None and low > 0) or (high is not None and high < 0)
        return self.is_not if is_apart else None

    def learn(self, algebra: SizeAlgebra) -> None:
        """Take note that it holds from here on."""
        if not self.is_zero:
            algebra.learn(self.size, Bounds(None, -1))
        elif self.is_not:
            algebra.exclude(self.size)
        else:
            algebra.learn(self.size, Bounds(0, 0))


def _below(one: Polynomial, other: Polynomial) -> _Condition:
    return _Condition(one - other, False)


def _equal(one: Polynomial, other: Polynomial) -> _Condition:
    size = one - other
    if size.terms and size.terms[-1][1] < 0:  # the same for both orders
        size = -size
    return _Condition(size, True)


_MOST_WALKS: Final = 8
_COMPARISONS: Final[dict[str, Callable[[Polynomial, Polynomial], _Condition]]] = {
    "aten::lt.int": _below,
    "aten::gt.int": lambda one, other: _below(other, one),
    "aten::ge.int": lambda one, other: _below(one, other).otherwise(),
    "aten::le.int": lambda one, other: _below(other, one).otherwise(),
    "aten::eq.int": _equal,
    "aten::ne.int": lambda one, other: _equal(one, other).otherwise(),
}
_SAME: Final = (
    "aten::Int.int",
    "aten::round.int",
    "aten::floor.int",
    "aten::ceil.int",
    "aten::trunc.int",
)
_INT: Final = ScalarType.INT
_ADD: Final = scalar_operator("aten::add", (_INT, _INT), _INT)
_MUL: Final = scalar_operator("aten::mul", (_INT, _INT), _INT)


class _Folding:
    """One walk through a graph.

    Attributes:
        literals: the numbers and truth values that do not vary.
        merged: how many nodes went that compute what another does.
        rewritten: how many compute what they did from other numbers.
        unread: how many went that nothing reads any more.
    """

    def __init__(self, graph: Graph, harmless: Collection[str]) -> None:
        self.literals = KnownLiterals(graph)
        self.merged = 0
        self.rewritten = 0
        self.unread = 0
        self._graph = graph
        self._algebra = SizeAlgebra()
        self._expressions: dict[Value, Polynomial] = {}
        self._conditions: dict[Value, _Condition] = {}
        reshaping = Reshaping(graph, harmless)
        self._shapes = KnownShapes(reshaping, self._algebra, self._expressions)
        self._computed: MutableMapping[Hashable, Value] = {}  # the first value of an expression
        self._held: MutableMapping[Value, int] = {}  # numbers that guards hold
        self._numbers: dict[Node, None] = {}  # the nodes that only compute a number, in order

    def run(self) -> None:
        self._fold(self._graph.block)
        self.literals.remove_found()
        for node in reversed(self._numbers):
            if node.block is not None and not any([value.is_used for value in node.outputs]):
                node.erase()
                self.unread += 1

    def _fold(self, block: Block) -> None:
        for node in block:
            if node.operator is GUARD_OPERATOR:
                self._visit_guard(node)
                continue
            self.literals.fill_in(node)
            if self._held:
                self._fill_in_held(node)
            if _is_number(node):
                self._visit(node)
            elif node.operator is not AUTOGRAD_FUNCTION:  # its block shows what runs, and runs not
                for inner in node.blocks:
                    self._fold_inner(inner)

    def _fold_inner(self, block: Block) -> None:
        computed, held = self._computed, self._held
        self._computed, self._held = ChainMap({}, computed), ChainMap({}, held)
        with self._algebra.inside():
            self._fold(block)
        self._computed, self._held = computed, held

    def _fill_in_held(self, node: Node) -> None:
        """Make a node read the numbers to which guards before it hold sizes."""
        held = {value: self._held[value] for value in node.inputs if value in self._held}
        if held and takes_literals(node):
            self.literals.arguments += sum([value in held for value in node.inputs])
            node.replace_inputs(held)

    def _visit(self, node: Node) -> None:
        value = node.output
        if value.type is _INT:
            self._visit_number(node, value)
        else:
            self._visit_truth(node, value)

    def _visit_number(self, node: Node, value: Value) -> None:
        self._numbers[node] = None
        size = self._expression(node)
        if size is None:
            self._size_of(value)
            return
        number = self._algebra.number(size)
        if number is not None:
            self._found(node, number)
            self._expressions[value] = Polynomial.constant(number)
            return
        self._expressions[value] = size
        if not self._reuse(node, size):
            self._compute_from_another(node, size)

    def _found(self, node: Node, literal: bool | int) -> None:
        self.literals.found[node] = None
        self.literals.values[node.output] = literal

    def _reuse(self, node: Node, expression: Hashable) -> bool:
        """Put the value that is equal to a node's, if there is one, in its place."""
        value = node.output
        first = self._computed.setdefault(expression, value)
        if first is value:
            return False
        value.replace_all_uses_with(first)
        self._numbers.pop(node, None)
        node.erase()
        self.merged += 1
        return True

    def _compute_from_another(self, node: Node, size: Polynomial) -> None:
        """Compute a number from one that it is a number or a factor away from, unless it is already."""
        made = self._simplest(size)
        if made is None:
            return
        operator, source, number = made
        if set(node.inputs) == {source}:
            return
        with self._graph.inserting(node):
            new = self._graph.append(
                operator,
                (source, number),
                (_INT,),
                scope=node.scope,
                stack=node.stack,
                modes=node.modes,
            )
        value = node.output
        new.output.name = value.name
        self._expressions[new.output] = size
        self._computed[size] = new.output
        self._numbers[new] = None
        self._numbers.pop(node, None)
        value.replace_all_uses_with(new.output)
        node.erase()
        self.rewritten += 1

    def _simplest(self, size: Polynomial) -> tuple[Operator, Value, int] | None:
        if size.offset:
            source = self._computed.get(size.varying)
            return None if source is None else (_ADD, source, size.offset)
        factor = size.divisor
        if factor > 1:
            source = self._computed.get(size.over(Polynomial.constant(factor)))
            return None if source is None else (_MUL, source, factor)
        return None

    def _visit_truth(self, node: Node, value: Value) -> None:
        self._numbers[node] = None
        condition = self._condition(node)
        if condition is None:
            plain = scalar_result(node)
            if isinstance(plain, bool):
                self._found(node, plain)
            return
        holds = condition.holds(self._algebra)
        if holds is not None:
            self._found(node, holds)
            return
        self._conditions[value] = condition
        self._reuse(node, condition)

    def _visit_guard(self, node: Node) -> None:
        """Drop a guard that always holds, and learn from one that may fail."""
        args = node.all_args
        if len(args) != 2 or self.literals.check(node):
            return
        actual, expected = args
        if not isinstance(actual, Value):
            return
        condition = self._conditions.get(actual)
        if condition is not None and isinstance(expected, bool):
            holding = condition if expected else condition.otherwise()
            holding.learn(self._algebra)
            if holding.is_zero and not holding.is_not:
                self._hold(holding.size)
        elif actual.type is _INT and expected.__class__ is int:
            self._visit_guarded_number(node, actual, expected)

    def _visit_guarded_number(self, guard: Node, actual: Value, expected: Argument) -> None:
        assert isinstance(expected, int), "its class was looked at"
        size = self._size_of(actual) - Polynomial.constant(expected)
        holds = _Condition(size, True).holds(self._algebra)
        if holds is not None:
            if holds:
                guard.erase()
                self.literals.guards += 1
            return
        self._algebra.learn(size, Bounds(0, 0))
        self._hold(size)

    def _hold(self, zero: Polynomial) -> None:
        """Take note that the number is known which was found to make this zero."""
        varying = zero.varying
        if not varying.terms:
            return
        alone = varying.over(Polynomial.constant(varying.divisor)) or varying
        for size in (varying, -varying, alone, -alone):
            value = self._computed.get(size)
            number = self._algebra.number(size)
            if value is not None and number is not None:
                self._held[value] = number

    def _size_of(self, value: Value) -> Polynomial:
        known = self._expressions.get(value)
        if known is None:
            known = self._expressions[value] = self._algebra.unknown(value)
            self._computed.setdefault(known, value)
        return known

    def _operand(self, arg: Argument) -> Polynomial | None:
        """Return an argument as an expression; None if it is no ``int``."""
        if isinstance(arg, Value):
            return self._size_of(arg) if arg.type is _INT else None
        if arg.__class__ is int:
            assert isinstance(arg, int), "its class was looked at"
            return Polynomial.constant(arg)
        return None

    def _operands(self, node: Node) -> list[Polynomial] | None:
        found = []
        for arg in node.all_args:
            size = self._operand(arg)
            if size is None:
                return None
            found.append(size)
        return found

    def _condition(self, node: Node) -> _Condition | None:
        """Return what a comparison says; None for any other truth value."""
        compare = _COMPARISONS.get(node.kind)
        operands = None if compare is None else self._operands(node)
        if compare is not None and operands is not None and len(operands) == 2:
            return compare(*operands)
        if node.kind == "aten::__not__.bool" and len(node.inputs) == 1:
            denied = self._conditions.get(node.inputs[0])
            return None if denied is None else denied.otherwise()
        return None

    def _expression(self, node: Node) -> Polynomial | None:
        """Return what a node computes in terms of what is known; None if that is of no use."""
        kind = node.kind
        if kind == "aten::sym_size.int":
            tensor, dimension = node.all_args
            if not isinstance(tensor, Value) or dimension.__class__ is not int:
                return None
            assert isinstance(dimension, int), "its class was looked at"
            return self._shapes.size(node, tensor, dimension)
        if kind == "aten::sym_numel":
            return self._shapes.count(node, node.inputs[0])
        plain = scalar_result(node)
        if plain is not None:
            return Polynomial.constant(plain) if plain.__class__ is int else None
        operands = self._operands(node)
        size = None if operands is None else self._result(kind, operands)
        return None if size is None or not size.is_handy else size

    def _result(self, kind: str, operands: list[Polynomial]) -> Polynomial | None:
        algebra = self._algebra
        if len(operands) == 1:
            (size,) = operands
            if kind in _SAME or kind == "prim::literal":
                return size
            if kind == "aten::neg.int":
                return -size
            return algebra.absolute(size) if kind == "prim::abs.int" else None
        if len(operands) != 2:
            return None
        one, other = operands
        match kind:
            case "aten::add.int":
                return one + other
            case "aten::sub.int":
                return one - other
            case "aten::mul.int":
                return one.times(other)
            case "aten::floordiv.int":
                return algebra.floordiv(one, other)
            case "aten::remainder.int":
                return algebra.remainder(one, other)
            case "aten::pow.int":
                exponent = other.number
                return None if exponent is None else algebra.power(one, exponent)
            case "prim::min.int":
                return algebra.smaller(one, other)
            case "prim::max.int":
                return algebra.larger(one, other)
        return None


def _is_number(node: Node) -> bool:
    """Whether a node does nothing but compute a number or a truth value, or read a size."""
    outputs = node.outputs
    if len(outputs) != 1 or node.blocks:
        return False
    if outputs[0].type is not _INT and outputs[0].type is not ScalarType.BOOL:
        return False
    return node.operator is LITERAL or scalar_form(node.kind) is not None
