"""Partials and closures that hold values are taken apart and made again."""

from __future__ import annotations

import functools
from typing import Any

from opscope.ir.callables import OpenClosure, OpenPartial, close_callables, open_callables


class Leaf:
    """Stands for a tensor."""


def is_leaf(part: Any) -> bool:
    return isinstance(part, Leaf)


def opened(whole: Any) -> Any:
    return open_callables(whole, is_leaf)


def test_callables_without_values_stay_themselves() -> None:
    number = 3

    def closure() -> int:
        return number

    whole = [closure, functools.partial(closure), print, {"a": (closure,)}]
    assert opened(whole) is whole
    assert close_callables(whole) == whole


def test_partials() -> None:
    leaf, other = Leaf(), Leaf()
    inner = functools.partial(dict, one=[leaf])
    whole = (functools.partial(inner, two=2), "x")
    parts = opened(whole)
    assert type(parts[0]) is OpenPartial
    assert parts[0].function is dict  # partials of partials are one
    assert parts[0].keywords == {"one": [leaf], "two": 2}
    parts[0].keywords["one"][0] = other
    again = close_callables(parts)
    assert again[0]() == {"one": [other], "two": 2}
    assert again[1] == "x"
    assert whole[0]()["one"] == [other]  # the list is the very one, as partials share it


def test_closures() -> None:
    leaf, shared = Leaf(), [0]

    def helper() -> Any:
        return leaf

    def whole(a: int, b: int = 2, *, c: int = 3) -> Any:
        """Adds."""
        shared[0] += 1
        return helper(), a + b + c

    whole.note = "kept"  # type: ignore[attr-defined]
    parts = opened(whole)
    assert type(parts) is OpenClosure
    assert list(parts.contents) == ["helper"]
    assert type(parts.contents["helper"]) is OpenClosure
    other = Leaf()
    again = close_callables(
        OpenClosure(
            whole, {"helper": OpenClosure(parts.contents["helper"].function, {"leaf": other})}
        )  # type: ignore[arg-type]
    )
    assert again(1) == (other, 6)
    assert again.note == "kept"
    assert whole(1) == (leaf, 6)
    assert shared == [2]


def test_a_function_that_refers_to_itself() -> None:
    leaf = Leaf()

    def countdown(n: int) -> Any:
        return leaf if n == 0 else countdown(n - 1)

    parts = opened(countdown)
    assert list(parts.contents) == ["leaf"]
    assert close_callables(parts)(2) is leaf
