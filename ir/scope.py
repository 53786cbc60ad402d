"""Scopes: the tree of module calls, Python functions and composite operators that nodes stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum


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
        address: the way from the root, unique in a graph: ``layer1.0.conv1``, ``attn/rotate()#2``.
    """

    __slots__ = ("address", "call", "class_name", "kind", "name", "parent")

    def __init__(
        self, parent: Scope | None, kind: ScopeKind, name: str, class_name: str = "", call: int = 1
    ) -> None:
        self.parent = parent
        self.kind = kind
        self.name = name
        self.class_name = class_name
        self.call = call
        self.address = _address(parent, kind, name, call)

    @classmethod
    def root(cls) -> Scope:
        """Return a new root; what it stands for, the traced class or function, is the graph's name."""
        return cls(None, ScopeKind.ROOT, "")

    @property
    def depth(self) -> int:
        """The number of scopes above this one."""
        return sum(1 for _ in self.ancestors())

    @property
    def path(self) -> str:
        """The module path that holds this scope, as ``named_modules`` would spell it."""
        names = [scope.name for scope in self.chain() if scope.kind is ScopeKind.MODULE]
        return ".".join(names)

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


_SPECIAL = re.compile(r"[%/#()<>\"\\\s\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"%u([0-9A-F]{4})|%([0-9A-F]{2})|%\Z")


def escape_step(name: str) -> str:
    """Return one step of an address with the characters that addresses give a meaning escaped.

    The escape is that of URLs, ``%2F`` for a slash and ``%u2028`` beyond Latin-1, so that an address
    never holds a space and any name, the empty one too, can be read back.
    """
    return _SPECIAL.sub(_escape, name) or "%"


def unescape_step(step: str) -> str:
    """Return the name that :func:`escape_step` made ``step`` from."""
    return _ESCAPED.sub(
        lambda match: chr(int(match[1] or match[2] or "0", 16)) if match[0] != "%" else "", step
    )


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"%{code:02X}" if code < 256 else f"%u{code:04X}"
