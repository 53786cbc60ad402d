"""The numbers of one trace: sizes and items of tensors, and what is computed from them.

Note [Numbers as data]
    ``x.shape[0]`` gives the program a ``TracedInt``: a ``torch.SymInt`` that works as the number it is,
    passes through torch's argument parser untouched, and tells the trace what is done with it.
    Arithmetic gives further traced numbers; an operator that takes one gets a value of the graph
    instead of a literal; a branch on one becomes a guard, which a replay checks. Where Python needs a
    plain number, for a loop or an index, the number is pinned: a guard says what it must be.

    Nothing is added to the graph before it is needed. A number remembers the place it was made at, and
    its node is put there when an operator or a guard reads it. What depends on the sizes of inputs
    alone goes to the start of the graph, so that a replay refuses inputs before it has done anything.

    Once the trace has ended, and wherever it does not record, traced numbers work with plain results.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from threading import get_ident
from types import FrameType
from typing import Any

from ...ir import Argument, Block, Node, Operator, ScalarType, TensorType, Value
from ...ir.scalars import GUARD_OPERATOR, scalar_operator
from ..diagnostics import DiagnosticKind, Severity
from ..dispatch import number as number_file
from ..dispatch.dispatcher import Kernels, is_grad_enabled, recorder_here
from ..dispatch.number import Number, Place, PlainNumber
from .lineage import is_fixed
from .trace import Trace

SCALAR_TYPES: dict[type, ScalarType] = {
    int: ScalarType.INT,
    float: ScalarType.FLOAT,
    bool: ScalarType.BOOL,
}


class Numbers:
    """Makes and keeps the traced numbers of one trace.

    Args:
        state: the trace.
        installed: tells whether the trace records where a number is used.

    Attributes:
        by_value: the number that a value of the graph is.
        seen: the traced numbers that the program was given.
        thread: the thread on which the trace runs; None once it is over.
    """

    def __init__(self, state: Trace, installed: Kernels) -> None:
        self._state: Trace = weakref.proxy(state)  # who owns the numbers
        self._installed = installed
        self._known: dict[tuple[Any, ...], Number] = {}
        self._operators: dict[tuple[Any, ...], Operator] = {}  # by name and the classes of numbers
        self.thread: int | None = get_ident()
        self.by_value: dict[Value, Number] = {}
        self._guarded: dict[Number, Block] = {}
        self._tails: dict[tuple[int, Node | None], Node] = {}
        self._entry_tail: Node | None = None
        self._gave_data = False  # whether an operator that autograd follows took a number of data
        self._gave_kept: dict[Number, None] = {}  # numbers that the program keeps, given likewise
        self.seen: list[weakref.ref[Any]] = []  # the traced numbers that were handed out

    def is_recording(self) -> bool:
        """Whether the trace records the code that runs now."""
        recorder = recorder_here(self._installed)
        while recorder is not None and recorder.state.numbers is not self:
            recorder = recorder.outer
        return recorder is not None

    def forget(self) -> None:
        """Let go of what the trace needed to know of numbers, once it is over."""
        self._known.clear()
        self.thread = None
        self.by_value.clear()
        self._guarded.clear()
        self._tails.clear()
        self._gave_kept.clear()

    def compute(self, base: str, function: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
        """Return ``function`` of numbers and plain ones: a number, or plain where nothing records.

        Raises whatever ``function`` raises for the plain operands.
        """
        plains = [o.plain if type(o) is Number else o for o in operands]
        plain = function(*plains)
        if not self.is_recording():
            return plain
        if (
            type(plain) not in SCALAR_TYPES
        ):  # a complex number, say, of which the graph knows nothing
            for operand in operands:
                if type(operand) is Number:
                    operand.numbers.pin(operand, "gives a number that the graph has no class for")
            return plain
        own = tuple([self._own(o) if type(o) is Number else o for o in operands])
        if _is_settled(base, own, plain):
            return plain
        same = _operand_it_is(base, own)
        if same is not None:
            return same
        key = (base, type(plain), *map(type, plains))
        operator = self._operators.get(key)
        if operator is None:
            types = tuple([SCALAR_TYPES[type(o)] for o in plains])
            operator = scalar_operator(base, types, SCALAR_TYPES[type(plain)])
            self._operators[key] = operator
        return self.number(operator, own, plain)

    def _own(self, operand: Number) -> Any:
        """Return an operand as it may stand in this trace: plain if it is fixed, or of another trace."""
        if operand.is_literal:
            return operand.plain
        if operand.numbers is self:
            return operand
        return operand.numbers.pin(operand, "goes into a trace inside this one")

    def number(
        self,
        operator: Operator,
        operands: tuple[Any, ...],
        plain: PlainNumber,
        *,
        is_entry: bool = True,
        is_data: bool = False,
        is_fresh: bool = False,
    ) -> Number:
        """Return the number that an operator computes, the same object for the same computation.

        Args:
            operator: a scalar operator, or one that reads a fact of a tensor.
            operands: in its order; a tensor stands as its value.
            plain: the result.
            is_entry: whether those operands that are values are inputs of the graph.
            is_data: whether what is read of a tensor depends on the data of tensors.
            is_fresh: whether the same computation may give something else here than it did before.
        """
        key: list[Any] = [operator]
        is_kept = False
        for operand in operands:
            kind = type(operand)
            if kind is Number:
                key.append(operand)
                is_entry = is_entry and operand.place is not None and operand.place.is_entry
                is_data = is_data or operand.is_data
                is_kept = is_kept or operand.is_kept
            elif kind is Value:
                key.append(operand)
            else:  # floats as text, in which 0.0 and -0.0 differ
                key.append((kind, repr(operand) if kind is float else operand))
        whole = tuple(key)
        block = self._state.graph.insertion_block
        known = None if is_fresh else self._known.get(whole)
        if known is not None and known.place is not None and block.is_within(known.place.block):
            return known
        number = Number(self, plain, operator, operands, self._place(block, is_entry), is_data)
        number.is_kept = is_kept
        self._known[whole] = number
        return number

    def of_value(self, value: Value, plain: PlainNumber, *, is_data: bool = True) -> Number:
        """Return the number that an operator has read from the data of a tensor, or from its layout."""
        number = self.by_value[value] = Number(self, plain, None, (), None, is_data, value)
        return number

    def of_state(self, value: Value, plain: PlainNumber) -> Number:
        """Return the number that a piece of the program's state is when the program begins."""
        graph = self._state.graph
        place = Place(graph.block, None, graph.root_scope, None, True)
        number = self.by_value[value] = Number(self, plain, None, (), place, False, value)
        number.is_kept = True
        return number

    def _place(self, block: Block, is_entry: bool) -> Place:
        scope, stack = self._state.walker.locate(user_frame())
        if is_entry:
            block = self._state.graph.block
        return Place(block, block.last, scope, stack, is_entry)

    def argument(self, number: Number) -> Argument:
        """Return a number as an argument of a node, adding the node that computes it if there is none yet."""
        if number.is_literal:
            return number.plain
        if number.numbers is not self:  # of a trace around this one, or of one that is over
            return number.numbers.pin(number, "goes into another trace")  # type: ignore[no-any-return]
        if not self._is_visible(number):
            use = "is used outside the function that computed it"
            self._tell(number, use, "which the trace keeps")
            return number.plain
        if is_grad_enabled():
            self._gave_data |= number.is_data
            if number.is_kept and not number.is_data:
                self._gave_kept[number] = None
        if number.value is None:
            assert number.operator is not None, "a number is a value or is computed"
            assert number.place is not None, "what is computed is computed somewhere"
            args = tuple([self.argument(o) if type(o) is Number else o for o in number.operands])
            types = (SCALAR_TYPES[type(number.plain)],)
            number.value = self._insert(number.operator, args, types, number.place).output
            self.by_value[number.value] = number
        return number.value

    def _is_visible(self, number: Number) -> bool:
        """Whether the block that nodes go into sees a number; blocks keep theirs to themselves."""
        value, place = number.value, number.place
        block = value.block if value is not None else place.block if place is not None else None
        here = self._state.graph.insertion_block
        return block is None or block is here or here.is_within(block)

    def _insert(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        types: tuple[ScalarType, ...],
        place: Place,
    ) -> Node:
        """Add a node at a place, behind those that were added there before."""
        graph = self._state.graph
        after = self._entry_tail if place.is_entry else self._tail(place)
        modes = graph.modes if after is None or place.is_entry else after.modes
        with graph.inserting_after(place.block if after is None else after):
            node = graph.append(
                operator, args, types, scope=place.scope, stack=place.stack, modes=modes
            )
        if place.is_entry:
            self._entry_tail = node
        else:
            self._tails[id(place.block), place.anchor] = node
        # What is anchored at that very node may read this one, so it must come behind it, and behind
        # what was there already.
        following = self._tails.get((id(place.block), after))
        self._tails[id(place.block), after] = node
        if following is not None and following is not node:
            self._tails[id(place.block), node] = following
        return node

    def _tail(self, place: Place) -> Node | None:
        """Return the last node that was put behind a place; None for the start of the block."""
        block, tail = id(place.block), place.anchor
        while (following := self._tails.get((block, tail))) is not None:
            tail = following
        erased = tail is not None and tail.block is None
        return place.block.last if erased else tail

    def is_in_block(self) -> bool:
        """Whether a function inside the program is being recorded, whose result may be a truth value."""
        return self._state.graph.insertion_block is not self._state.graph.block

    def decide(self, number: Number) -> bool:
        """Return a number as Python's ``bool`` for a branch; a guard makes the replay take it as well."""
        if self.is_recording() and not self._is_fixed(number):
            self.guard(number, "decides which way the program goes")
        return bool(number.plain)

    def pin(self, number: Number, use: str) -> Any:
        """Return a number as a plain one that Python goes on with; a guard holds it to what it is.

        Args:
            number: what Python wants to have.
            use: what for, in words that follow the number.
        """
        if self.is_recording() and not self._is_fixed(number):
            if number.is_data and type(number.plain) is float:
                self._tell(number, use, "which the trace keeps")
            else:
                self.guard(number, use)
        return number.plain

    def guard(self, number: Number, use: str, place: Place | None = None) -> None:
        """Make a replay refuse to go on unless the number is what it was.

        The guard is put where the program is now, or at a place that it has passed.
        """
        block = self._state.graph.insertion_block
        known = self._guarded.get(number)
        if known is not None and block.is_within(known):
            return
        value = self.argument(number)
        is_entry = number.place is not None and number.place.is_entry
        place = place or self._place(block, is_entry)
        self._guarded[number] = place.block
        if is_entry:
            _pin(number)
        self._insert(GUARD_OPERATOR, (value, number.plain), (), place)
        if number.is_data:
            self._tell(number, use, "and a replay is refused where it is not")

    def hold(self, number: Number) -> None:
        """Make a replay refuse to begin unless a number that the program keeps is what it was."""
        if not number.is_pinned:
            assert number.place is not None, "what the program keeps is there when it begins"
            args = (self.argument(number), number.plain)
            self._insert(GUARD_OPERATOR, args, (), number.place)

    def shown(self, number: Number, text: str, *, is_shape: bool = False) -> None:
        """Report that a number, or the shape that it is part of, was turned into text.

        The text of a single size is often a key: ``masks[f"{n}"]``. That of other numbers is for people.
        """
        if not self.is_recording() or self._is_fixed(number):
            return
        frame = user_frame()
        is_of_size = not (number.is_data or number.is_kept or is_shape)
        is_key = is_of_size and frame.f_globals.get("__name__") != "logging"
        scope, stack = self._state.walker.locate(frame)
        self._state.report(
            DiagnosticKind.PRINTED,
            f"{_kind_of(number)} is turned into text here; the text is that of the trace, and so is what "
            "comes of it",
            scope,
            stack,
            severity=Severity.WARNING if is_key else Severity.INFO,
            value=text,
            hint="a text that decides nothing does no harm; else use the number" if is_key else "",
        )

    def before_backward(self) -> None:
        """Report that a backward pass keeps the numbers of data that its forward took; hold the others."""
        for number in self._gave_kept:
            if number.value is not None and any(map(_is_followed, number.value.users)):
                self.pin(number, "goes into a backward pass, in which autograd keeps what it was")
        self._gave_kept.clear()
        if not self._gave_data:
            return
        self._gave_data = False
        scope, stack = self._state.walker.locate(user_frame())
        self._state.report(
            DiagnosticKind.DATA_READ,
            "operators took numbers that the data of a tensor gave, and a backward pass runs inside the "
            "program: autograd gives it what they were, which the trace keeps",
            scope,
            stack,
            hint="multiply by the tensor itself instead of its item()",
        )

    def _is_fixed(self, number: Number) -> bool:
        """Whether a number is the same at every run: a literal, or read from constants."""
        if number.is_literal:
            return True
        if not number.is_data:
            return False
        if number.value is not None:
            return self.is_fixed_value(number.value)
        return all(
            self._is_fixed(operand)
            if type(operand) is Number
            else type(operand) is not Value or self.is_fixed_value(operand)
            for operand in number.operands
        )

    def is_fixed_value(self, value: Value) -> bool:
        """Whether a tensor's value is the same at every run: computed from constants."""
        return is_fixed(value, self._state.kept.copies, self._state.values.handed_on)

    def _tell(self, number: Number, use: str, then: str) -> None:
        scope, stack = self._state.walker.locate(user_frame())
        self._state.report(
            DiagnosticKind.DATA_READ,
            f"{_kind_of(number)} {use}; it was {number.plain!r}, {then}",
            scope,
            stack,
            value=repr(number.plain),
            nodes=() if number.value is None or number.value.node is None else (number.value.node,),
        )


_COMPARISONS = ("aten::eq", "aten::ne", "aten::le", "aten::lt", "aten::ge", "aten::gt")
_NEUTRAL = {"aten::add": 0, "aten::sub": 0, "aten::mul": 1, "aten::floordiv": 1}
_COUNTS = ("aten::sym_size.int", "aten::sym_numel")


def _kind_of(number: Number) -> str:
    if number.is_data:
        return "a number that the data of a tensor gave"
    return "a number that an optimizer holds" if number.is_kept else "a size"


def _is_followed(user: Node | Block) -> bool:
    """Whether autograd follows a node."""
    return (
        isinstance(user, Node)
        and user.modes.grad
        and any(
            isinstance(value.type, TensorType) and value.type.requires_grad
            for value in (*user.inputs, *user.outputs)
        )
    )


def _is_settled(base: str, operands: tuple[Any, ...], plain: PlainNumber) -> bool:
    """Whether a result is the same at every run.

    Nothing varies; or an ``int`` is compared with itself, taken from itself, or multiplied by zero; or
    a size is asked whether it is negative.
    """
    if Number not in map(type, operands):
        return True
    if base == "aten::mul" and type(plain) is int and 0 in operands:
        return True
    if len(operands) != 2 or (base != "aten::sub" and base not in _COMPARISONS):
        return False
    one, other = operands
    if one is other:
        return one.is_int()  # type: ignore[no-any-return]
    return (
        type(one) is Number
        and one.operator is not None
        and one.operator.name in _COUNTS
        and type(other) is int
        and (
            (other <= 0 and base in ("aten::ge", "aten::lt")) or (other < 0 and base != "aten::sub")
        )
    )


def _operand_it_is(base: str, operands: tuple[Any, ...]) -> Number | None:
    """Return the ``int`` that a result is, as where nothing is added to it; None if it is none of them."""
    neutral = _NEUTRAL.get(base)
    if neutral is None:
        return None
    one, other = operands
    if type(one) is Number and one.is_int() and type(other) is int and other == neutral:
        return one
    is_symmetric = base in ("aten::add", "aten::mul")
    if is_symmetric and type(other) is Number and other.is_int() and type(one) is int:
        return other if one == neutral else None
    return None


def _pin(number: Number) -> None:
    """Take note that a number, and one that it is found equal to a plain one, does not vary from here on."""
    number.is_pinned = True
    operator = number.operator
    if operator is not None and operator.base_name == "aten::eq" and number.plain is True:
        one, other = number.operands
        if type(one) is Number and type(other) is int:  # of floats, 0.0 equals -0.0
            one.is_pinned = True


_OWN_FILES = {__file__, number_file.__file__}


def own_frames(file: str) -> None:
    """Take the frames of a file for parts of traced numbers, behind which the user's code is found."""
    _OWN_FILES.add(file)


def user_frame() -> FrameType:
    """Return the frame that uses a traced number."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename in _OWN_FILES and frame.f_back is not None:
        frame = frame.f_back
    return frame
