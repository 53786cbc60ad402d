"""Operators that return their operand itself where there is nothing to do.

Since the result is the very object, nobody can tell, whoever holds it or writes it.
"""

from __future__ import annotations

from typing import Final

from ...ir import Argument, MemoryFormat, TensorType, Value
from ...ir.scalars import GUARD
from ..patterns.captures import is_same
from ..patterns.matching import Match
from ..patterns.rule import Condition, Rule, rewrite_rule

_DROPOUTS: Final = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
_ROW_MAJOR: Final = (MemoryFormat("contiguous_format"), 0)  # the number is the schema's default
_AS_IT_IS: Final = (None, MemoryFormat("preserve_format"))


def _itself(node: str, captures: str, where: Condition, *, draws_nothing: bool = False) -> Rule:
    """Return the rule that a node gives ``%x`` where a condition holds."""
    name = node.partition("(")[0]
    return rewrite_rule(
        f"graph(%x : tensor{captures}):\n %y : tensor = {node}\n return (%y)",
        "graph(%x : tensor):\n return (%x)",
        name=f"{name} with nothing to do",
        where=where,
        is_same_object=True,
        draws_nothing=draws_nothing,
    )


def _changes_nothing(match: Match) -> bool:
    """Whether a conversion is to the dtype and the place that a tensor has, whatever else it was told."""
    wanted = match.captured
    return (
        (wanted.get("dtype") is None or match.certain.dtype(match.value("x")) == wanted["dtype"])
        and (wanted.get("device") is None or _type(match.value("x")).device == wanted["device"])
        and (wanted.get("layout") is None or _type(match.value("x")).layout == wanted["layout"])
        and wanted.get("pinned") in (None, False)
        and wanted.get("format") in _AS_IT_IS
    )


def _is_like_other(match: Match) -> bool:
    """Whether a tensor has the dtype and the place of another one, at each replay."""
    x, other = match.value("x"), match.value("other")
    dtype = match.certain.dtype(x)
    return (
        dtype is not None
        and dtype == match.certain.dtype(other)
        and _type(x).device == _type(other).device
        and match.captured.get("format") in _AS_IT_IS
    )


def _drops_nothing(match: Match) -> bool:
    p = match["p"]
    return match["train"] is False or (p.__class__ in (int, float) and p == 0)


def _is_contiguous(match: Match) -> bool:
    """Whether a tensor is laid out as asked: it was made so, or the run ends if it is not."""
    x, wanted = match.value("x"), match["format"]
    if match.certain.may_be_reshaped(x):
        return False
    node = x.node
    if node is not None and node.kind == "aten::contiguous":
        return is_same(node.argument("memory_format"), wanted)
    return wanted in _ROW_MAJOR and any(_requires_contiguity(user, match) for user in x.users)


def _requires_contiguity(user: object, match: Match) -> bool:
    """Whether something that reads a tensor is the question whether it is contiguous, which a guard asks."""
    root = match.root
    block = root.block
    if user is root or getattr(user, "kind", "") != "aten::is_contiguous":
        return False
    asked = user.output  # type: ignore[attr-defined]
    return any(
        getattr(reader, "kind", "") == GUARD and reader.args[1] is True and reader.block is block
        for reader in asked.users
    )


def _is_one_dimension(match: Match) -> bool:
    """Whether dimensions are flattened that are one."""
    rank = _type(match.value("x")).rank
    first, last = match["first"], match["last"]
    return (
        bool(rank) and _place(first, rank) is not None and _place(first, rank) == _place(last, rank)
    )


def _place(dimension: Argument, rank: int | None) -> int | None:
    if rank is None or not isinstance(dimension, int) or not -rank <= dimension < rank:
        return None
    return dimension % rank


def _type(value: Value) -> TensorType:
    type_ = value.type
    assert isinstance(type_, TensorType), "it was captured as a tensor"
    return type_


SAME_OBJECT_RULES: Final = (
    _itself(
        "aten::to.dtype(%x, %dtype, %waits, False, %format)",
        ", %dtype : any, %waits : any, %format : any",
        _changes_nothing,
    ),
    _itself(
        "aten::to.device(%x, %device, %dtype, %waits, False, %format)",
        ", %device : any, %dtype : any, %waits : any, %format : any",
        _changes_nothing,
    ),
    _itself(
        "aten::to.dtype_layout(%x, dtype=%dtype, layout=%layout, device=%device, pin_memory=%pinned,"
        " non_blocking=%waits, copy=False, memory_format=%format)",
        ", %dtype : any, %layout : any, %device : any, %pinned : any, %waits : any, %format : any",
        _changes_nothing,
    ),
    _itself(
        "aten::to.other(%x, %other, %waits, False, %format)",
        ", %other : tensor, %waits : any, %format : any",
        _is_like_other,
    ),
    _itself("aten::type_as(%x, %other)", ", %other : tensor", _is_like_other),
    *[
        _itself(
            f"aten::{name}(%x, %p, %train)",
            ", %p : any, %train : any",
            _drops_nothing,
            draws_nothing=True,
        )
        for name in _DROPOUTS
    ],
    _itself("aten::contiguous(%x, memory_format=%format)", ", %format : any", _is_contiguous),
    _itself(
        "aten::flatten.using_ints(%x, %first, %last)",
        ", %first : any, %last : any",
        _is_one_dimension,
    ),
    _itself("aten::positive(%x)", "", lambda match: True),
)
