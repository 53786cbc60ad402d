"""Scopes: the tree of module calls, Python functions and composite operators that nodes stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

from ..errors import IRError


class ScopeKind(Enum):
    """What opened a scope."""

    ROOT = "root"
    MODULE = "module"
    FUNCTION = "function"
    OPERATOR = "operator"
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"
    REGION = "region"  # opened by hand, with ``push_scope``


class Scope:
    """One level at which people fold a graph: a module call, a function call, a named region.

    Identity is the object: two calls of one module are two scopes that differ in ``call``.

    Attributes:
        parent: the enclosing scope; None for the root.
        kind: what opened the scope.
        name: the step from the parent: ``0`` or ``layers.0`` for a module, ``attend`` for a function.
        class_name: the module's class without its package; empty where there is none.
        call: which call this is among those with the same address up to here, counted from 1.
    """

    __slots__ = ("_address", "call", "class_name", "kind", "name", "parent")

    def __init__(
        self, parent: Scope | None, kind: ScopeKind, name: str, class_name: str = "", call: int = 1
    ) -> None:
        self.parent = parent
        self.kind = kind
        self.name = name
        self.class_name = class_name
        self.call = call
        self._address: str | None = None  # worked out when somebody asks: a trace has no need of it

    @classmethod
    def root(cls) -> Scope:
        """Return a new root; what it stands for, the traced class or function, is the graph's name."""
        return cls(None, ScopeKind.ROOT, "")

    @property
    def address(self) -> str:
        """The way from the root, unique in a graph: ``layer1.0.conv1``, ``attn/rotate()#2``."""
        if self._address is None:
            self._address = _address(self.parent, self.kind, self.name, self.call)
        return self._address

    @property
    def depth(self) -> int:
        """The number of scopes above this one."""
        return sum(1 for _ in self.ancestors())

    @property
    def path(self) -> str:
        """The module path that holds this scope, as ``named_modules`` would spell it."""
        names = [scope.name for scope in self.chain() if scope.kind is ScopeKind.MODULE]
        return ".".join(names)

    @property
    def is_backward(self) -> bool:
        """Whether it is part of a backward pass."""
        scope: Scope | None = self
        while scope is not None and scope.kind is not ScopeKind.BACKWARD:
            scope = scope.parent
        return scope is not None

    def is_within(self, other: Scope) -> bool:
        """Whether it is ``other`` or stands in it, at any depth."""
        scope: Scope | None = self
        while scope is not None and scope is not other:
            scope = scope.parent
        return scope is other

    def ancestors(self) -> Iterator[Scope]:
        """Yield the enclosing scopes, innermost first, the root last."""
        scope = self.parent
        while scope is not None:
            yield scope
            scope = scope.parent

    def chain(self) -> list[Scope]:
        """Return the scopes from the root to this one, both included."""
        return [self, *self.ancestors()][::-1]

    def __str__(self) -> str:
        return f"{self.address} ({self.class_name})" if self.class_name else self.address

    def __repr__(self) -> str:
        return f"<Scope {str(self) or 'root'}>"


def _address(parent: Scope | None, kind: ScopeKind, name: str, call: int) -> str:
    if parent is None:
        return ""
    step = escape_step(name)
    if kind is ScopeKind.FUNCTION:
        step += "()"
    elif kind is not ScopeKind.MODULE:
        step = f"{step}<{kind.value}>"
    if call > 1:
        step += f"#{call}"
    if not parent.address:
        return step
    joint = "." if kind is ScopeKind.MODULE and parent.kind is ScopeKind.MODULE else "/"
    return f"{parent.address}{joint}{step}"


class ScopeTable:
    """The scopes of one graph by their addresses, as text names them.

    Text gives a scope's address alone. Its parent is then the longest part of the address that is
    known as a scope already; where that would be wrong, text says the parent as well.
    """

    __slots__ = ("_known", "_root")

    def __init__(self, root: Scope) -> None:
        self._root = root
        self._known: dict[str, Scope] = {"": root}

    def __contains__(self, scope: Scope) -> bool:
        return scope.address in self._known

    def add(self, scope: Scope) -> None:
        """Make a scope known."""
        self._known[scope.address] = scope

    def implies_parent(self, scope: Scope) -> bool:
        """Whether the scope's address leads to its parent, given the scopes known so far."""
        parent = scope.parent
        if parent is None:
            return True
        if "." not in scope.name and parent.address in self._known:
            return True  # as with most: the last joint is then the one behind the parent
        return parent.address == self._split(scope.address)[0]

    def at(self, address: str, class_name: str = "") -> Scope:
        """Return the scope at an address, made if it is not known, and so its parents.

        Raises:
            IRError: the text is no address, or the scope there has another class.
        """
        scope = self._known.get(address)
        if scope is None:
            outer, step = self._split(address)
            scope = self._make(self.at(outer), step, address, class_name)
        elif class_name and class_name != scope.class_name:
            raise IRError(
                f"scope {address} is of class {class_name} here"
                f" but was given {scope.class_name or 'none'} before"
            )
        return scope

    def below(self, parent: Scope, address: str, class_name: str = "") -> Scope:
        """Return the scope at an address directly below ``parent``, made if it is not known.

        Raises:
            IRError: the text is no address below that parent.
        """
        scope = self._known.get(address)
        if scope is None and address.startswith(parent.address):
            step = address[len(parent.address) + 1 :] if parent.address else address
            scope = self._make(parent, step, address, class_name)
        if scope is None or scope.parent is not parent:
            raise IRError(f"scope {address} does not stand in {parent.address or 'the top scope'}")
        return scope

    def _make(self, parent: Scope, step: str, address: str, class_name: str) -> Scope:
        match = _STEP.match(step)
        if match is None:
            raise IRError(f"{address} is not the address of a scope")
        kind = ScopeKind(match["kind"] or ("function" if match["function"] else "module"))
        call = int(match["call"] or 1)
        scope = Scope(parent, kind, unescape_step(match["name"]), class_name, call)
        if scope.address != address:
            raise IRError(f"scope {address} is written {scope.address}")
        self._known[address] = scope
        return scope

    def _split(self, address: str) -> tuple[str, str]:
        """Return the address of the parent that an address implies, and the step from there."""
        outer, _, last = address.rpartition("/")
        match = _MODULE_STEPS.match(last)
        if match is None:
            return outer, last
        # Modules are joined by dots, which stand in their names too, so any dot may be the joint;
        # but a call's number always ends its step.
        start = len(address) - len(last)
        numbered = match.end("numbered")
        first = start + (numbered if numbered > 0 else 1)
        end = start + match.end("path")
        dot = address.rfind(".", first, end)
        while dot >= 0 and address[:dot] not in self._known:
            dot = address.rfind(".", first, dot)
        if dot < 0 and numbered > 0:
            dot = first
        return (outer, last) if dot < 0 else (address[:dot], address[dot + 1 :])


_CHARACTER = r"(?:[^%/#()<>\"\\\s\x00-\x1f\x7f]|%[0-9A-F]{2}|%u[0-9A-F]{4}|%(?![0-9A-Fu]))"
_ANY_STEP = rf"{_CHARACTER}++(?:\(\)|<\w+>)?(?:#[0-9]+)?"
ADDRESS: Final = rf"{_ANY_STEP}(?:(?:/|(?<=[0-9])\.){_ANY_STEP})*"
"""Matches the address of a scope other than the root."""

_STEP = re.compile(
    rf"(?P<name>{_CHARACTER}+)"
    r"(?:(?P<function>\(\))|<(?P<kind>operator|backward|optimizer|region)>)?"
    r"(?:#(?P<call>[0-9]+))?\Z"
)
# A run of modules: up to the last number that ends an outer one, then names, then its own number.
_MODULE_STEPS = re.compile(r"(?P<path>(?:(?P<numbered>.*#[0-9]+)\.)?[^#()<>]+)(?:#[0-9]+)?\Z")

_SPECIAL = re.compile(r"[%/#()<>\"\\\s\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"%u([0-9A-F]{4})|%([0-9A-F]{2})|%\Z")


def escape_step(name: str) -> str:
    """Return one step of an address with the characters that addresses give a meaning escaped.

    The escape is that of URLs, ``%2F`` for a slash and ``%u2028`` beyond Latin-1, so that an address
    never holds a space and any name, the empty one too, can be read back.
    """
    return name if name.isalnum() else _SPECIAL.sub(_escape, name) or "%"


def unescape_step(step: str) -> str:
    """Return the name that :func:`escape_step` made ``step`` from."""
    return _ESCAPED.sub(
        lambda match: chr(int(match[1] or match[2] or "0", 16)) if match[0] != "%" else "", step
    )


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"%{code:02X}" if code < 256 else f"%u{code:04X}"
