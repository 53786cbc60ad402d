"""The user's names of values, read from the bytecode around each call.

The instruction after a call says where its result goes: ``h = self.fc(x)`` is a call followed by
``STORE_FAST h``. Where the result is returned, the caller's instruction says it. So a name needs no
look at live variables (which would keep tensors alive), and costs nothing while the program runs.
"""

from __future__ import annotations

import dis
from types import CodeType

from ...ir import Frame

_CACHE = dis.opmap.get("CACHE", -1)
_EXTENDED_ARG = dis.EXTENDED_ARG
_LOCAL_STORES = {dis.opmap[name] for name in ("STORE_FAST", "STORE_DEREF") if name in dis.opmap}
_NAMED_STORES = {dis.opmap[name] for name in ("STORE_NAME", "STORE_GLOBAL") if name in dis.opmap}
_LOADS = {
    dis.opmap[name]
    for name in ("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_DEREF")
    if name in dis.opmap
}
_STORE_ATTR = dis.opmap["STORE_ATTR"]
_UNPACK = dis.opmap["UNPACK_SEQUENCE"]
_RETURN = dis.opmap["RETURN_VALUE"]
_STORE_THEN_LOAD = dis.opmap.get("STORE_FAST_LOAD_FAST", -1)
_STORE_TWO = dis.opmap.get("STORE_FAST_STORE_FAST", -1)

_RETURNED = ("return",)  # not a name: no variable can be called so


class VariableNames:
    """Finds the variables that results are assigned to, each place in the code once."""

    def __init__(self, above: Frame | None = None) -> None:
        self._above = (
            above  # the stack above the program: what it returns there is not a value's name
        )
        self._by_frame: dict[Frame, tuple[str, ...]] = {}
        self._bytecode: dict[int, tuple[CodeType, bytes]] = {}
        # By the address of the code, which is held there, and the instruction: layers run the same code.
        self._after: dict[tuple[int, int], tuple[str, ...]] = {}

    def of(self, stack: Frame, results: int) -> tuple[str, ...]:
        """Return the names that the results of a call get: one per result, or none at all."""
        names = self._assigned(stack)
        return names if len(names) == results else ()

    def _assigned(self, stack: Frame) -> tuple[str, ...]:
        known = self._by_frame.get(stack)
        if known is not None:
            return known
        passed = []
        names: tuple[str, ...] = ()
        frame: Frame | None = stack
        while frame is not None and frame is not self._above:
            passed.append(frame)
            names = self._after_call(frame)
            if names is not _RETURNED:
                break
            frame = frame.caller
        if frame is None or frame is self._above or frame.is_library:
            names = ()
        for inner in passed:
            self._by_frame[inner] = names
        return names

    def _after_call(self, frame: Frame) -> tuple[str, ...]:
        """Return what the frame does with the result of the call it stands at."""
        code = frame.code
        if code is None:
            return ()
        place = (id(code), frame.instruction)
        names = self._after.get(place)
        if names is None:
            held = self._bytecode.get(id(code))
            if held is None:
                held = self._bytecode[id(code)] = (code, code.co_code)
            names = self._after[place] = _stored_names(code, held[1], frame.instruction)
        return names


def _stored_names(code: CodeType, bytecode: bytes, call: int) -> tuple[str, ...]:
    instructions = _Instructions(bytecode, call)
    opcode, argument = instructions.next()
    if opcode == _RETURN:
        return _RETURNED
    if opcode == _UNPACK:
        names: list[str] = []
        count = argument
        while len(names) < count:
            stored = _store(code, *instructions.next())
            if not stored:
                return ()
            names.extend(stored)
        return tuple(names)
    if opcode in _LOADS:  # ``self.h = ...`` loads ``self`` first
        opcode, argument = instructions.next()
        return (code.co_names[argument],) if opcode == _STORE_ATTR else ()
    return _store(code, opcode, argument)


def _store(code: CodeType, opcode: int, argument: int) -> tuple[str, ...]:
    if opcode in _LOCAL_STORES:
        return (_local(code, argument),)
    if opcode in _NAMED_STORES:
        return (code.co_names[argument],)
    if opcode == _STORE_THEN_LOAD:
        return (_local(code, argument >> 4),)
    if opcode == _STORE_TWO:
        return (_local(code, argument >> 4), _local(code, argument & 15))
    return ()


def _local(code: CodeType, index: int) -> str:
    """Return the name of a local, cell or free variable by its number in the frame."""
    inner_cells = [name for name in code.co_cellvars if name not in code.co_varnames]
    return (*code.co_varnames, *inner_cells, *code.co_freevars)[index]


class _Instructions:
    """Reads instructions one after another, arguments put together and inline caches left out."""

    def __init__(self, bytecode: bytes, start: int) -> None:
        self._bytecode = bytecode
        self._position = start + 2

    def next(self) -> tuple[int, int]:
        argument = 0
        while self._position < len(self._bytecode):
            opcode = self._bytecode[self._position]
            low = self._bytecode[self._position + 1]
            self._position += 2
            if opcode == _CACHE:
                continue
            argument = argument << 8 | low
            if opcode != _EXTENDED_ARG:
                return opcode, argument
        return -1, 0
