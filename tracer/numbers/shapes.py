"""Sizes of values derived from those of inputs and state, as the rules in ``passes/size_rules.py`` say.

``h.shape[0]`` of a hidden tensor is mostly a size of an input, and ``h.shape[-1]`` that of a weight.
Saying so keeps graphs free of reads of sizes that are known, and lets guards speak of the inputs. A
rule that does not apply, and an operator without one, leave a size to be read from the tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ...ir import Effect, Node, Operator, TensorType, Value
from ...ir.types import Dim
from ...passes.size_calls import Rule, SizeCall, plain_size, shape_of, tensors_read
from ...passes.size_rules import rule_of
from ..dispatch.number import Number
from .known_sizes import Dimension, Dimensions, KnownNumbers, SizeRead


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
        # By what a call was of: the sizes that its results had in the run, and those derived.
        self._met: dict[Any, tuple[list[tuple[Dim, ...]], list[Dimensions]]] = {}

    def read(self, size: SizeRead, number: Number) -> None:
        """Take note that a number is a size, which it stands for from now on."""
        self._numbers.reads[number] = size

    def forget(self) -> None:
        """Let go of all that was derived."""
        self._known.clear()
        self._fixed.clear()
        self._visited.clear()
        self._met.clear()
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
        known, fixed = self._known, self._fixed
        reads = tensors_read(node)
        has_shapes = not node.blocks
        for value in reads:
            if value not in known:
                self.of(value)
            if value.type.shape is None:  # type: ignore[union-attr]  # they are tensors
                has_shapes = False
        outputs = node.outputs
        if rule is None or not has_shapes:
            for output in outputs:
                known[output] = _all_read(output)
        else:
            self._derive(node, rule, reads, outputs)
        if not is_data_sized:
            for value in node.inputs:
                if not (fixed[value] if value in fixed else self._is_fixed(value)):
                    return
            fixed.update(dict.fromkeys(outputs, True))

    def _derive(
        self, node: Node, rule: Rule, reads: list[Value], outputs: tuple[Value, ...]
    ) -> None:
        """Derive the sizes of results by a rule, or take those of an equal call: layers are alike."""
        known = self._known
        key = self._key(node)
        met = None if key is None else self._met.get(key)
        if met is not None and met[0] == [shape_of(output) for output in outputs]:
            known.update(zip(outputs, met[1], strict=True))
            return
        is_derived = key is not None
        for position, output in enumerate(outputs):
            derived = rule(SizeCall(node, position, reads, known, self._numbers))
            found = _all_read(output) if derived is None else _fitting(derived, output)
            is_derived = is_derived and found == derived  # no size of the result is read from it
            known[output] = found
        if is_derived:
            self._met[key] = (
                [shape_of(output) for output in outputs],
                [known[output] for output in outputs],
            )

    def _key(self, node: Node) -> tuple[Any, ...] | None:
        """Return all that a rule may look at in a call; None if that is more than can be compared."""
        known, size = self._known, self._numbers.size
        key: list[Any] = [node.operator, node.keywords]
        for arg in node.all_args:
            if arg.__class__ is Value:
                key.append(known[arg] if arg.type.__class__ is TensorType else (size(arg) or arg))
            elif arg.__class__ is tuple:
                for part in arg:
                    if part.__class__ is tuple or (
                        part.__class__ is Value and part.type.__class__ is TensorType
                    ):
                        return None
                key.append(tuple([size(p) or p if p.__class__ is Value else p for p in arg]))
            else:
                key.append(arg)
        return tuple(key)


def _all_read(value: Value) -> Dimensions:
    return tuple([SizeRead(value, d, plain_size(size)) for d, size in enumerate(shape_of(value))])


def _fitting(derived: Sequence[object], value: Value) -> Dimensions:
    """Return derived sizes, those that are not what they were in the run to be read instead."""
    shape = shape_of(value)
    if len(derived) != len(shape):
        return _all_read(value)
    sizes = cast(Sequence[Dimension | None], derived)  # the rules pass on what they were given
    return tuple(
        [
            size
            if size is not None and (size if isinstance(size, int) else size.plain) == plain
            else SizeRead(value, d, plain_size(plain))
            for d, (size, plain) in enumerate(zip(sizes, shape, strict=True))
        ]
    )
