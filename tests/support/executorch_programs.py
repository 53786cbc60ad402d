"""Programs of ExecuTorch, written part by part."""

from __future__ import annotations

from collections.abc import Sequence

from .flatbuffers import Byte, Raw, Table, Tables, flatbuffer, int32s, octets, text

FLOAT, LONG = 6, 4


def tensor(dtype: int = FLOAT, order: Sequence[int] = (0, 1)) -> Table:
    return Table({0: Byte(5), 1: Table({0: Byte(dtype), 3: octets(bytes(order))})})


def number() -> Table:
    return Table({0: Byte(2), 1: Table({})})


def tensors(*indices: int, optional: bool = False) -> Table:
    return Table({0: Byte(11 if optional else 10), 1: Table({0: int32s(*indices)})})


def operator(name: str, overload: str = "") -> Table:
    return Table({0: text(name), 1: text(overload)})


def call(operator: int, *arguments: int) -> Table:
    return Table({0: Byte(1), 1: Table({0: operator, 1: int32s(*arguments)})})


def delegate_call(delegate: int) -> Table:
    return Table({0: Byte(2), 1: Table({0: delegate, 1: int32s()})})


def jump() -> Table:
    return Table({0: Byte(4), 1: Table({0: 0, 1: 1})})


def plan(
    values: Sequence[Table],
    instructions: Sequence[Table],
    operators: Sequence[Table],
    backends: Sequence[str] = (),
    name: str = "forward",
) -> Table:
    delegates = [Table({0: text(backend)}) for backend in backends]
    chain = Table({2: Tables(instructions)})
    return Table(
        {
            0: text(name),
            2: Tables(values),
            5: Tables([chain]),
            6: Tables(operators),
            7: Tables(delegates),
        }
    )


def program(*plans: Table, identifier: bytes = b"ET12") -> bytes:
    return flatbuffer(Table({1: Tables(plans)}), identifier)


def bundle(content: bytes) -> bytes:
    return flatbuffer(Table({2: Raw(content, len(content))}), b"BP08")


def adding(
    operator_name: str = "aten::add",
    overload: str = "out",
    *,
    backends: Sequence[str] = (),
    method: str = "forward",
) -> bytes:
    """Return a program that adds two matrices."""
    values, instructions = [tensor(), number()], [call(0, 0, 0, 1, 0, 0)]
    return program(
        plan(values, instructions, [operator(operator_name, overload)], backends, method)
    )
