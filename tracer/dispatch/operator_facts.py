"""What passes ask about torch's operators, answered by calling them on tensors without memory.

A call on the meta device takes the operator's own way through torch as far as sizes, strides and sharing
of memory go, and computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Any, cast

import torch

from ...ir import Argument, Device, Literal, Operator, ScalarType, TensorType, Type, Value
from ...passes.hidden_writes import hidden_parameters
from ...passes.torch_facts import AutogradFact, ResultFact
from .autograd_facts import fact_of_call
from .dispatcher import has_python_kernel, kernels, recording, storage_key, without_torch_dispatch
from .schemas import operator_of
from .tensors import type_of_tensor

_META = torch.device("meta")
_NUMBERS: dict[Type, float] = {ScalarType.INT: 2, ScalarType.FLOAT: 1.5, ScalarType.BOOL: True}
_SCALAR_PARAMETERS = frozenset(("number", "Optional[number]", "float", "Optional[float]", "Tensor"))


class MetaFacts:
    """Implements ``passes.torch_facts.TorchFacts`` for the torch of this process.

    Args:
        literal: turns a literal into the object that an operator is called with.
    """

    def __init__(self, literal: Callable[[Literal], Any]) -> None:
        self._literal = literal
        self._outcomes: dict[Any, tuple[ResultFact, ...] | None] = {}
        self._differentiable: dict[Any, bool] = {}
        self._autograd: dict[Any, AutogradFact | None] = {}
        self._kernels = kernels()

    def overloads(self, base_name: str) -> tuple[Operator, ...]:
        """Return every overload of a name without overload; none if torch does not know it."""
        return tuple(map(operator_of, _overloads(base_name)))

    def is_replaced(self, operator: Operator) -> bool:
        """Whether somebody has registered a kernel in Python for an operator of torch's."""
        return has_python_kernel(operator.name)

    def outcome(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> tuple[ResultFact, ...] | None:
        """Return what a call on values of these types gives; None if it cannot be called without data."""
        key = _key(operator, args, keywords)
        if key not in self._outcomes:
            self._outcomes[key] = self._outcome(operator, args, keywords)
        return self._outcomes[key]

    def is_differentiable(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> bool:
        """Whether a call leaves behind no node of autograd that only says it is not implemented."""
        key = _key(operator, args, keywords)
        if key not in self._differentiable:
            called = self._call(operator, args, keywords, requires_grad=True)
            # A result without history, in spite of operands that have one, lets no gradient through.
            self._differentiable[key] = called is not None and not any(
                not result.requires_grad or type(result.grad_fn).__name__ == "NotImplemented"
                for result in called[0]
                if isinstance(result, torch.Tensor) and result.dtype.is_floating_point
            )
        return self._differentiable[key]

    def autograd(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> AutogradFact | None:
        """Return what autograd keeps of a call; None if it needs data, or does not tell."""
        key = _key(operator, args, keywords)
        if key not in self._autograd:
            self._autograd[key] = self._what_is_kept(operator, args, keywords)
        return self._autograd[key]

    def _what_is_kept(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> AutogradFact | None:
        # Statistics that an operator brings up to date without saying so must not require grad.
        hidden = hidden_parameters(operator)
        plain = {arg for p, arg in zip(operator.parameters, args, strict=False) if p.name in hidden}
        called = self._call(
            operator, args, keywords, requires_grad=True, is_computed=True, plain=plain
        )
        overload = _overload(operator)
        if called is None or overload is None:
            return None
        results, stand_ins = called
        operands = [stand_ins.tensors.get(value) for value in stand_ins.operands]
        with recording(self._kernels, None), without_torch_dispatch():
            return fact_of_call(
                overload, operator.base_name, results, operands, stand_ins.histories
            )

    def _outcome(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> tuple[ResultFact, ...] | None:
        called = self._call(operator, args, keywords, requires_grad=False)
        if called is None:
            return None
        results, stand_ins = called
        memory = {}
        for position, value in reversed(list(enumerate(stand_ins.operands))):
            tensor = stand_ins.tensors.get(value)
            if tensor is None:
                continue  # a number
            memory[storage_key(tensor)] = position
        facts = []
        for result in results:
            if not isinstance(result, torch.Tensor):
                facts.append(ResultFact(None))
                continue
            if result.layout is not torch.strided:
                return None  # it has parts with memory of their own
            operand = memory.get(storage_key(result))
            offset = int(result.storage_offset()) * result.element_size()
            is_operand = any(result is tensor for tensor in stand_ins.tensors.values())
            facts.append(ResultFact(type_of_tensor(result), operand, offset, is_operand))
        return tuple(facts)

    def _call(
        self,
        operator: Operator,
        args: tuple[Argument, ...],
        keywords: tuple[str, ...],
        *,
        requires_grad: bool,
        is_computed: bool = False,
        plain: Collection[Argument] = (),
    ) -> tuple[list[Any], _StandIns] | None:
        overload = _overload(operator)
        if overload is None:
            return None
        stand_ins = _StandIns(self._literal, args, requires_grad, is_computed, plain)
        try:
            # A trace that asks must not see the call, and no mode may act on it.
            with recording(self._kernels, None), torch.inference_mode(False):
                with torch.set_grad_enabled(requires_grad), without_torch_dispatch():
                    types = _parameter_types(operator, len(args), keywords)
                    given = [
                        stand_ins.argument(arg, type_)
                        for arg, type_ in zip(args, types, strict=True)
                    ]
                    plain = given[: len(given) - len(keywords)]
                    result = overload(
                        *plain, **dict(zip(keywords, given[len(plain) :], strict=True))
                    )
        except (_NoStandIn, RuntimeError, NotImplementedError, TypeError, ValueError, IndexError):
            return None  # the call depends on data, or there are no stand-ins for its arguments
        return _flat(result), stand_ins


class _NoStandIn(Exception):
    """An argument cannot be stood in for."""


class _StandIns:
    """Makes tensors without memory for the values among arguments."""

    def __init__(
        self,
        literal: Callable[[Literal], Any],
        args: tuple[Argument, ...],
        requires_grad: bool,
        is_computed: bool,
        plain: Collection[Argument],
    ) -> None:
        self.operands: list[Value] = []
        self.tensors: dict[Value, torch.Tensor] = {}
        self._literal = literal
        self._requires_grad = requires_grad
        self._plain = plain  # values that require no grad
        self._is_computed = is_computed  # and may be written, as inputs that require grad may not
        self.histories: list[Any] = []  # of what is computed
        self._device = next(
            (v.type.device for v in _values(args) if isinstance(v.type, TensorType)), None
        )

    def argument(self, arg: Argument, type_: str) -> Any:
        if isinstance(arg, tuple):
            return [self.argument(item, type_) for item in arg]
        if isinstance(arg, Value):
            self.operands.append(arg)
            return self._number(arg, type_) or self._tensor(arg)
        if isinstance(arg, Device):
            if arg != self._device:
                raise _NoStandIn
            return _META
        return self._literal(arg)

    def _number(self, value: Value, type_: str) -> Any:
        """Return a number for one of the graph's, where only its class decides what comes out."""
        return _NUMBERS.get(value.type) if type_ in _SCALAR_PARAMETERS else None

    def _tensor(self, value: Value) -> torch.Tensor:
        known = self.tensors.get(value)
        if known is None:
            known = self.tensors[value] = self._make(value)
        return known

    def _make(self, value: Value) -> torch.Tensor:
        type_ = value.type
        if not isinstance(type_, TensorType) or type_.dtype is None or type_.shape is None:
            raise _NoStandIn
        sizes = [size for size in type_.shape if isinstance(size, int)]
        if len(sizes) < len(type_.shape) or type_.layout.name != "strided":
            raise _NoStandIn
        dtype = self._literal(type_.dtype)
        if type_.strides is None:
            made = torch.empty(sizes, dtype=dtype, device=_META)
        else:
            made = torch.empty_strided(sizes, type_.strides, dtype=dtype, device=_META)
        is_followed = self._requires_grad and value not in self._plain
        follows = is_followed and (dtype.is_floating_point or dtype.is_complex)
        if not follows or not self._is_computed:
            return made.requires_grad_() if follows else made
        made += torch.zeros((), dtype=dtype, device=_META, requires_grad=True)
        self.histories.append(made.grad_fn)
        return made


def _parameter_types(operator: Operator, count: int, keywords: tuple[str, ...]) -> list[str]:
    """Return the schema's type of each argument of a call."""
    by_name = {parameter.name: parameter.type for parameter in operator.parameters}
    types = [parameter.type for parameter in operator.parameters[: count - len(keywords)]]
    return [*types, *(by_name[name] for name in keywords)]


def _values(args: tuple[Argument, ...]) -> list[Value]:
    found: list[Value] = []
    for arg in args:
        if isinstance(arg, Value):
            found.append(arg)
        elif isinstance(arg, tuple):
            found.extend(_values(arg))
    return found


def _key(operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]) -> Any:
    numbers: dict[Value, int] = {}
    return (operator.name, keywords, tuple([_pattern(arg, numbers) for arg in args]))


def _pattern(arg: Argument, numbers: dict[Value, int]) -> Any:
    """Return what of an argument decides the outcome: types, literals, and which values are the same."""
    if isinstance(arg, Value):
        return numbers.setdefault(arg, len(numbers)), arg.type
    if isinstance(arg, tuple):
        return tuple([_pattern(item, numbers) for item in arg])
    return type(arg), repr(arg)


def _flat(result: Any) -> list[Any]:
    if isinstance(result, list | tuple):
        return [leaf for part in result for leaf in _flat(part)]
    return [result]


def _overload(operator: Operator) -> torch._ops.OpOverload | None:
    for overload in _overloads(operator.base_name):
        if cast(Any, overload).name() == operator.name:
            return overload
    return None


@cache
def _overloads(base_name: str) -> tuple[torch._ops.OpOverload, ...]:
    namespace, _, name = base_name.partition("::")
    try:
        packet = getattr(getattr(torch.ops, namespace), name)
    except (AttributeError, RuntimeError):
        return ()
    if not isinstance(packet, torch._ops.OpOverloadPacket):
        return ()
    return tuple(
        [getattr(cast(Any, packet), overload) for overload in cast(Any, packet).overloads()]
    )
