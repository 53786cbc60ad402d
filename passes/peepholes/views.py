"""Views that are undone, or change nothing: sizes, strides and first element are those of the operand.

A view is a tensor of its own, so the operand stands for it only where nobody can tell which of the two it
has; see Note [When a rewrite is sound].
"""

from __future__ import annotations

import sys
from typing import Any, Final

from ...ir import Argument, TensorType, Value
from ..patterns.captures import is_same
from ..patterns.matching import Match
from ..patterns.rule import Condition, Rule, rewrite_rule

_INVERSE_OF_ITSELF: Final = ("aten::t", "aten::mT", "aten::numpy_T")


def _undone(first: str, second: str, captures: str, where: Condition | None) -> Rule:
    """Return the rule that a view of a view is what the first was taken of."""
    names = [text.partition("(")[0] for text in (first, second)]
    return rewrite_rule(
        f"""
        graph(%x : tensor{captures}):
          %0 : tensor = {first}
          %1 : tensor = {second}
          return (%1)
        """,
        "graph(%x : tensor):\n return (%x)",
        name=f"{names[0]} undone by {names[1]}",
        where=where,
        keeps_inner=True,
    )


def _nothing(node: str, captures: str, where: Condition | None) -> Rule:
    """Return the rule that a view of ``%x`` is like ``%x``."""
    return rewrite_rule(
        f"graph(%x : tensor{captures}):\n %0 : tensor = {node}\n return (%0)",
        "graph(%x : tensor):\n return (%x)",
        name=f"{node.partition('(')[0]} that changes nothing",
        where=where,
    )


def _rank(match: Match, more: int = 0) -> int | None:
    type_ = match.value("x").type
    rank = type_.rank if isinstance(type_, TensorType) else None
    return None if rank is None else rank + more


def _place(dimension: Argument, rank: int | None) -> int | None:
    """Return which dimension a number is, counted from the first; None if that is not known."""
    if rank is None or dimension.__class__ is not int or not isinstance(dimension, int):
        return None
    return dimension % rank if rank and -rank <= dimension < rank else None


def _swaps_same(match: Match) -> bool:
    rank = _rank(match)
    first = {_place(match["a"], rank), _place(match["b"], rank)}
    return None not in first and first == {_place(match["c"], rank), _place(match["d"], rank)}


def _swaps_nothing(match: Match) -> bool:
    place = _place(match["a"], _rank(match))
    return place is not None and place == _place(match["b"], _rank(match))


def _order(dims: Argument, rank: int | None) -> list[int] | None:
    """Return a permutation counted from the first dimension; None if it is not known."""
    if not isinstance(dims, tuple) or rank != len(dims):
        return None
    places = [place for dim in dims if (place := _place(dim, rank)) is not None]
    return places if sorted(places) == list(range(rank)) else None


def _keeps_order(match: Match) -> bool:
    rank = _rank(match)
    return rank is not None and _order(match["dims"], rank) == list(range(rank))


def _are_orders(match: Match) -> bool:
    rank = _rank(match)
    return _order(match["p"], rank) is not None and _order(match["q"], rank) is not None


def _permuted_once(op: Any, x: Value, p: tuple[int, ...], q: tuple[int, ...]) -> Any:
    order = [p[place] % len(p) for place in q]
    return x if order == list(range(len(p))) else op("aten::permute", x, order)


def _same_place(match: Match) -> bool:
    """Whether the dimension that was put in is the one that is taken out."""
    rank = _rank(match, 1)
    place = _place(match["a"], rank)
    return place is not None and place == _place(match["b"], rank)


def _takes_all(match: Match) -> bool:
    end = match["end"]
    goes_on = end is None or (end.__class__ is int and end == sys.maxsize)
    start = match["start"]
    return goes_on and (start is None or (start.__class__ is int and start == 0))


def _has_sizes(match: Match) -> bool:
    """Whether a tensor is expanded to the sizes that it has at each replay."""
    x, sizes, certain = match.value("x"), match["sizes"], match.certain
    if not isinstance(sizes, tuple) or len(sizes) != _rank(match):
        return False
    return all(
        (size.__class__ is int and size == -1)
        or (certain.size_told(size) is not None and certain.size_told(size) == certain.size(x, dim))
        for dim, size in enumerate(sizes)
    )


def _was_given_sizes(match: Match) -> bool:
    """Whether a tensor came of a view with the very sizes that it is to have."""
    x = match.value("x")
    node = x.node
    return (
        node is not None
        and node.operator.base_name in ("aten::view", "aten::reshape")
        and not node.kind.endswith(".dtype")
        and len(node.all_args) == 2
        and is_same(node.all_args[1], match["sizes"])
        and not match.certain.may_be_reshaped(x)
    )


def _is_detached(match: Match) -> bool:
    node = match.value("x").node
    return node is not None and node.kind == "aten::detach"


VIEW_RULES: Final = (
    *[_undone(f"{view}(%x)", f"{view}(%0)", "", None) for view in _INVERSE_OF_ITSELF],
    _undone(
        "aten::transpose.int(%x, %a, %b)",
        "aten::transpose.int(%0, %c, %d)",
        ", %a : any, %b : any, %c : any, %d : any",
        _swaps_same,
    ),
    rewrite_rule(
        """
        graph permute_twice(%x : tensor, %p : list[int], %q : list[int]):
          %0 : tensor = aten::permute(%x, %p)
          %1 : tensor = aten::permute(%0, %q)
          return (%1)
        """,
        _permuted_once,
        where=_are_orders,
        keeps_inner=True,
    ),
    _undone(
        "aten::unsqueeze(%x, %a)",
        "aten::squeeze.dim(%0, %b)",
        ", %a : any, %b : any",
        _same_place,
    ),
    _undone(
        "aten::unsqueeze(%x, %a)",
        "aten::select.int(%0, %b, 0)",
        ", %a : any, %b : any",
        _same_place,
    ),
    _nothing("aten::transpose.int(%x, %a, %b)", ", %a : any, %b : any", _swaps_nothing),
    _nothing("aten::permute(%x, %dims)", ", %dims : list[int]", _keeps_order),
    _nothing(
        "aten::slice.Tensor(%x, %dim, %start, %end, 1)",
        ", %dim : any, %start : any, %end : any",
        _takes_all,
    ),
    _nothing("aten::expand(%x, %sizes, implicit=%by)", ", %sizes : any, %by : any", _has_sizes),
    _nothing("aten::view(%x, %sizes)", ", %sizes : any", _was_given_sizes),
    _nothing("aten::reshape(%x, %sizes)", ", %sizes : any", _was_given_sizes),
    _nothing("aten::alias(%x)", "", None),
    _nothing("aten::detach(%x)", "", _is_detached),
)
