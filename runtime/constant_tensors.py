"""Computing with the tensors behind a program's constants, for passes, which know no torch.

Note [What a caller can change]
    A replay runs an operator in the modes and settings of its caller, where the program did not set them
    itself. A constant is computed once for all callers, so it must come out the same for each of them.
    Autocast changes what operators do with floating-point operands: they are run under it as well, and must
    give the same bits. The default dtype decides what others make of none, ``torch.ones(3)`` say: a replay is
    held to it then. Gradient modes change nothing of what requires no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any, Final

import torch

from ..errors import ReplayError
from ..ir import Argument, DType, Modes, Node, SourceRange, StateEntry, TensorType, Value
from ..ir.conditions import Circumstance, of_setting
from ..ir.own_operators import SET_DEFAULT_DTYPE
from ..passes.constant_tensors import Constant, ConstantTensor
from .compare import fingerprint, same_bits
from .literals import torch_literal
from .modes import mode_contexts
from .operators import find_overload

_PLAIN: Final = (bool, int, float, complex, str, type(None))
_AUTOCAST_DTYPES: Final = (torch.bfloat16, torch.float16)


class StateTensors:
    """The tensors of one program's constants.

    Args:
        state: what the program keeps, by name; constants are added to it and taken out.
        private: the constants whose memory nobody else has, by their id; likewise.
        ambient: the modes in which the program was traced.
        type_of: tells the type of a tensor.
        apart: gives a context in which torch is as it is without anybody's hooks and modes, and nothing is
            recorded.
    """

    def __init__(
        self,
        state: dict[str, Any],
        private: dict[int, Any],
        ambient: Modes,
        type_of: Callable[[torch.Tensor], TensorType],
        apart: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._state = state
        self._private = private
        self._ambient = ambient
        self._type_of = type_of
        self._apart = apart
        self._by_name: dict[str, ConstantTensor] = {}
        self._default: tuple[torch.dtype, SourceRange | None] | None = None
        self._may_hold: bool | None = None  # whether the program leaves the default dtype as it is

    @property
    def circumstances(self) -> tuple[Circumstance, ...]:
        """What a replay must find as it is now, since constants were computed with it."""
        if self._default is None:
            return ()
        return (_default_dtype_is(*self._default),)

    def constant(self, entry: StateEntry) -> ConstantTensor | None:
        """Return the tensor that a piece of state is; None unless the program alone has its memory."""
        tensor = self._state.get(entry.name)
        type_ = entry.value.type
        if not isinstance(type_, TensorType) or type(tensor) is not torch.Tensor:
            return None
        if id(tensor) not in self._private or tensor.is_meta or tensor.requires_grad:
            return None
        known = self._by_name.get(entry.name)
        if known is None:
            known = self._by_name[entry.name] = ConstantTensor(type_, tensor)
        return known

    def compute(self, node: Node, known: Mapping[Value, Constant]) -> tuple[Constant, ...] | None:
        """Return what a pure node gives, whoever replays it and in whatever modes; None if that is open."""
        overload = find_overload(node.kind)
        # The data of an empty tensor is whatever was in memory.
        if overload is None or "empty" in node.kind:
            return None
        call = _Call(overload, node, known)
        with self._apart():
            results = call.run(self._modes_of(node, call))
            if results is None or not self._fit(node, results):
                return None
            if not self._is_for_all(node, call, results):
                return None
        operands = {id(c.tensor): c for c in call.operands}
        return tuple([self._constant(result, operands) for result in results])

    def is_free(self, name: str) -> bool:
        """Whether the program keeps nothing of a name yet."""
        return name not in self._state

    def keep(self, name: str, constant: ConstantTensor) -> None:
        """Have a tensor be what a new constant of the graph stands for."""
        self._state[name] = constant.tensor
        self._private[id(constant.tensor)] = constant.tensor
        self._by_name[name] = constant

    def drop(self, name: str) -> None:
        """Let go of a constant that the graph has no more."""
        self._private.pop(id(self._state.pop(name)), None)
        self._by_name.pop(name, None)

    def contents(self, constant: ConstantTensor) -> Hashable | None:
        """Return what tensors have in common that nobody can tell apart, their whole storages compared."""
        tensor: Any = constant.tensor
        with self._apart():
            whole = torch.empty(0, dtype=torch.uint8, device=tensor.device)
            whole.set_(tensor.untyped_storage())
            return (
                constant.type,
                tensor.storage_offset(),
                tensor.is_conj(),
                tensor.is_neg(),
                tensor.is_inference(),
                tensor._is_view(),
                fingerprint(whole),
            )

    def _modes_of(self, node: Node, call: _Call) -> list[Callable[[], Any]]:
        """Return the contexts that make modes what the program makes them, and elsewhere the plainest."""
        devices = dict.fromkeys([constant.type.device.type for constant in call.operands])
        plain = [partial(torch.autocast, device, enabled=False) for device in devices]
        set_by_it = [make for _, make in mode_contexts(self._ambient, node.modes)]
        return [partial(torch.inference_mode, False), torch.no_grad, *plain, *set_by_it]

    def _fit(self, node: Node, results: list[Any]) -> bool:
        """Whether results are of the types that the graph says."""
        values = node.outputs
        if len(results) != len(values):
            return False
        for result, value in zip(results, values, strict=True):
            if isinstance(value.type, TensorType):
                if type(result) is not torch.Tensor or result.is_meta:
                    return False
                if self._type_of(result) != value.type:
                    return False
            elif type(result) not in _PLAIN or type(result).__name__ != str(value.type):
                return False
        return True

    def _is_for_all(self, node: Node, call: _Call, results: list[Any]) -> bool:
        """Whether callers in other modes would get the same; see Note [What a caller can change]."""
        modes = self._modes_of(node, call)
        floating = [constant for constant in call.operands if _is_floating(constant.tensor)]
        for device in dict.fromkeys([constant.type.device.type for constant in floating]):
            is_own = node.modes.autocast_on(device) != self._ambient.autocast_on(device)
            if is_own or device in node.modes.fixed:
                continue
            for dtype in _AUTOCAST_DTYPES:
                if not _same(call.run([*modes, _autocast(device, dtype)]), results):
                    return False
        is_named = any(isinstance(arg, DType) for arg in node.all_args)
        if floating or is_named or not any(map(_is_floating, results)):
            return True
        return self._hold_default_dtype(node)

    def _hold_default_dtype(self, node: Node) -> bool:
        """Hold replays to the default dtype, unless the program sets it itself."""
        if self._may_hold is None:
            graph = node.graph
            own = SET_DEFAULT_DTYPE.name
            self._may_hold = graph is not None and all(n.kind != own for n in graph.walk())
        if self._may_hold and self._default is None:
            self._default = torch.get_default_dtype(), node.source
        return self._may_hold

    def _constant(self, result: Any, operands: Mapping[int, ConstantTensor]) -> Constant:
        if not isinstance(result, torch.Tensor):
            return result  # type: ignore[no-any-return]  # its class was looked at
        operand = operands.get(id(result))
        return ConstantTensor(self._type_of(result), result) if operand is None else operand


class _Call:
    """The call of an operator on constants.

    Attributes:
        operands: the tensors that it is of.
    """

    def __init__(
        self, overload: torch._ops.OpOverload, node: Node, known: Mapping[Value, Constant]
    ) -> None:
        self.operands: list[ConstantTensor] = []
        self._overload = overload
        self._known = known
        self._args = [self._argument(arg) for arg in node.args]
        self._kwargs = {name: self._argument(arg) for name, arg in node.kwargs.items()}

    def run(self, contexts: Iterable[Callable[[], Any]]) -> list[Any] | None:
        """Return the results, lists taken apart; None if the call fails."""
        try:
            with ExitStack() as entered:
                for make in contexts:
                    entered.enter_context(make())
                return _flat(self._overload._op(*self._args, **self._kwargs))
        except (RuntimeError, ValueError, TypeError, IndexError, ArithmeticError, ReplayError):
            return None  # a replay will say so

    def _argument(self, arg: Argument) -> Any:
        if isinstance(arg, tuple):
            return [self._argument(item) for item in arg]
        if not isinstance(arg, Value):
            return torch_literal(arg)
        constant = self._known[arg]
        assert isinstance(constant, ConstantTensor), "plain constants stand in arguments themselves"
        self.operands.append(constant)
        return constant.tensor


def _flat(result: Any) -> list[Any]:
    if isinstance(result, list | tuple):
        return [leaf for part in result for leaf in _flat(part)]
    return [result]


def _same(ones: list[Any] | None, others: list[Any]) -> bool:
    if ones is None or len(ones) != len(others):
        return False
    for one, other in zip(ones, others, strict=True):
        if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
            if one.dtype != other.dtype or not same_bits(one, other):
                return False
        elif type(one) is not type(other) or repr(one) != repr(other):
            return False
    return True


def _is_floating(tensor: Any) -> bool:
    return isinstance(tensor, torch.Tensor) and (tensor.is_floating_point() or tensor.is_complex())


def _autocast(device: str, dtype: torch.dtype) -> Callable[[], Any]:
    return partial(torch.autocast, device, dtype=dtype, cache_enabled=False)


def _default_dtype_is(dtype: torch.dtype, source: SourceRange | None) -> Circumstance:
    return of_setting(
        "torch.get_default_dtype()",
        dtype,
        torch.get_default_dtype,
        source,
        f"call torch.set_default_dtype({dtype}): a pass has computed constants of the graph with it",
    )
