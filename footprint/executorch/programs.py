"""What a ``.pte`` file says of itself: what each method calls, and what it leaves to backends."""

from __future__ import annotations

import mmap
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...errors import FormatError
from ..kernel_keys import TensorKind, kernel_key, operator_name
from .buffers import Table, TableList
from .container import is_bundle, is_program, root_of

_MOST_DIMS: Final = 16  # the runtime has no larger tensors
_NO_VALUE: Final = -1  # what stands for None in a list of tensors

# Numbers of fields and kinds, as ExecuTorch's schema of programs counts them.
_PLANS: Final = 1
_PLAN_NAME, _PLAN_VALUES, _PLAN_CHAINS, _PLAN_OPERATORS, _PLAN_DELEGATES = 0, 2, 5, 6, 7
_CHAIN_INSTRUCTIONS: Final = 2
_KIND, _CONTENT = 0, 1  # of what may be one of several tables
_KERNEL_CALL, _DELEGATE_CALL = 1, 2
_CALLED, _ARGUMENTS = 0, 1
_OPERATOR_NAME, _OPERATOR_OVERLOAD = 0, 1
_TENSOR, _TENSORS, _TENSORS_OR_NONE = 5, 10, 11
_TENSOR_DTYPE, _TENSOR_DIM_ORDER = 0, 3
_ITEMS: Final = 0
_DELEGATE_BACKEND: Final = 0


@dataclass(frozen=True, slots=True)
class Delegate:
    """A part of a method that a backend runs; what is in it only the backend knows.

    Attributes:
        backend: ``XnnpackBackend``.
        calls: how often the method has it run.
    """

    backend: str
    calls: int


@dataclass(frozen=True, slots=True)
class ProgramMethod:
    """What one method of a program calls.

    Attributes:
        name: ``forward``.
        operators: all that it lists, whether it calls them or not.
        calls: how many instructions call each.
        kernels: keys of the kernels that these take, by operator; see ``kernel_keys``.
        delegates: what backends run.
    """

    name: str
    operators: tuple[str, ...]
    calls: Mapping[str, int]
    kernels: Mapping[str, frozenset[str]]
    delegates: tuple[Delegate, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A program of ExecuTorch.

    Attributes:
        methods: what can be called.
        has_inputs: whether inputs to test it with are bundled with it.
    """

    methods: tuple[ProgramMethod, ...]
    has_inputs: bool = False


def is_program_file(path: Path) -> bool:
    """Whether a file begins as programs of ExecuTorch do. Whatever cannot be read does not."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False  # a pipe would be waited for
        with path.open("rb") as file:
            return is_program(file.read(8))
    except OSError:
        return False


def read_program(path: Path) -> Program:
    """Read a ``.pte`` file. Nothing in it can run code; weights are left where they are.

    Raises:
        FormatError: it cannot be read, or is no program, or not all of one; the message says what is wrong.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise FormatError(f"{path} is no file")
        with path.open("rb") as file:
            if not file.read(1):
                raise FormatError(f"{path} is empty")
            # Weights, of gigabytes, are never touched. It is closed when the last view of it is gone.
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"cannot read {path}: {error}") from error
    try:
        return parse_program(content)
    except FormatError as error:
        raise FormatError(f"{path} cannot be read as a program of ExecuTorch: {error}") from error


def parse_program(content: bytes | memoryview) -> Program:
    """Read the content of a ``.pte`` file.

    Raises:
        FormatError: it is no program, or not all of one.
    """
    view = memoryview(content)
    plans = root_of(view).tables(_PLANS)
    if not len(plans):
        raise FormatError("it has no method")
    return Program(tuple(_Plan(plan).method() for plan in plans), is_bundle(bytes(view[:8])))


@dataclass(slots=True)
class _Plan:
    """The table of one method while it is read."""

    table: Table
    tensors: dict[int, TensorKind | None] = field(default_factory=dict)

    def method(self) -> ProgramMethod:
        operators = [_operator(table) for table in self.table.tables(_PLAN_OPERATORS)]
        backends = [table.text(_DELEGATE_BACKEND) for table in self.table.tables(_PLAN_DELEGATES)]
        calls: dict[str, int] = {}
        kernels: dict[str, set[str]] = {}
        delegate_calls = [0] * len(backends)
        for kind, instruction in self._instructions():
            called = instruction.int32(_CALLED)
            if kind == _DELEGATE_CALL:
                delegate_calls[_checked(called, backends, "backend")] += 1
                continue
            operator = operators[_checked(called, operators, "operator")]
            calls[operator] = calls.get(operator, 0) + 1
            kernels.setdefault(operator, set()).add(self._key(instruction))
        return ProgramMethod(
            self.table.text(_PLAN_NAME),
            tuple(operators),
            calls,
            {name: frozenset(keys) for name, keys in kernels.items()},
            tuple(Delegate(*facts) for facts in zip(backends, delegate_calls, strict=True)),
        )

    def _instructions(self) -> Iterator[tuple[int, Table]]:
        """Yield the calls of kernels and backends; jumps and moves call nothing."""
        for chain in self.table.tables(_PLAN_CHAINS):
            for instruction in chain.tables(_CHAIN_INSTRUCTIONS):
                kind, content = instruction.byte(_KIND), instruction.table(_CONTENT)
                if kind in (_KERNEL_CALL, _DELEGATE_CALL):
                    if content is None:
                        raise FormatError("it has an instruction that calls nothing")
                    yield kind, content

    def _key(self, call: Table) -> str:
        values = self.table.tables(_PLAN_VALUES)
        tensors = [self._tensor_of(index, values) for index in call.int32s(_ARGUMENTS)]
        return kernel_key(tensor for tensor in tensors if tensor is not None)

    def _tensor_of(self, index: int, values: TableList) -> TensorKind | None:
        """Return what stands for a value in a key: a tensor, or the first of a list; None if it has none."""
        if index not in self.tensors:
            self.tensors[index] = self._read(values[index], values)
        return self.tensors[index]

    def _read(self, value: Table, values: TableList) -> TensorKind | None:
        kind, content = value.byte(_KIND), value.table(_CONTENT)
        if content is None or kind not in (_TENSOR, _TENSORS, _TENSORS_OR_NONE):
            return None
        if kind == _TENSOR:
            return _tensor(content)
        for item in content.int32s(_ITEMS):
            if item != _NO_VALUE and values[item].byte(_KIND) == _TENSOR:
                first = values[item].table(_CONTENT)
                return None if first is None else _tensor(first)
        return None


def _operator(table: Table) -> str:
    return operator_name(table.text(_OPERATOR_NAME), table.text(_OPERATOR_OVERLOAD))


def _tensor(table: Table) -> TensorKind:
    order = table.content(_TENSOR_DIM_ORDER)
    if order is not None and len(order) > _MOST_DIMS:
        raise FormatError(
            f"it has a tensor of {len(order)} dimensions, where {_MOST_DIMS} are the most"
        )
    return TensorKind(table.byte(_TENSOR_DTYPE), tuple(order or ()))


def _checked(index: int, names: Sequence[str], what: str) -> int:
    if not 0 <= index < len(names):
        raise FormatError(f"it calls {what} {index}, and has {len(names)}")
    return index
