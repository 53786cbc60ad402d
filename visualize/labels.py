"""Labels: what boxes and clusters are called, and what their tooltips tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from ..ir import (
    Argument,
    Effect,
    FunctionRef,
    Node,
    Scope,
    ScopeKind,
    StateEntry,
    StateKind,
    TensorType,
    Value,
    literal_text,
    provenance,
)
from .config import configuration
from .folding import Part
from .regions import Item, Region, RegionKind, item_nodes
from .wording import INTO, TIMES, TO, counted, human, shortened

_TITLE_WIDTH = 34  # characters; what is longer stands in the tooltip
_DETAIL_WIDTH = 38
_HEADING_WIDTH = 52
_NUMBER_OR_SIGN = re.compile(r"\d+|\D")

_SHORT_NAMES = {
    "scaled_dot_product_attention": "attention",
    "_scaled_dot_product_flash_attention_for_cpu": "flash attention",
    "_scaled_dot_product_flash_attention": "flash attention",
    "_scaled_dot_product_efficient_attention": "efficient attention",
}


@dataclass(frozen=True, slots=True)
class Label:
    """The text of a box or cluster."""

    title: str
    detail: str
    tooltip: str


# Whose operators are known by their names alone.
_PLAIN_NAMESPACES: Final = ("aten::", "prim::", "higher_order::", "functorch::")


def operator_title(node: Node) -> str:
    """Return an operator's name for people: without torch's namespaces, without its overload."""
    name = node.operator.base_name
    for namespace in _PLAIN_NAMESPACES:
        name = name.removeprefix(namespace)
    return shortened(_SHORT_NAMES.get(name, name), _TITLE_WIDTH)


def operator_label(node: Node, part: Part, last: Node | None = None) -> Label:
    """Return the label of one operator, with the module it is all there is of, if there is one.

    Args:
        node: the operator.
        part: what it is drawn for.
        last: the operator in its place in the last turn, where it stands in a repetition.
    """
    names = [span_name(part)] if isinstance(part.item, Region) else []
    detail = " · ".join(word for word in (*names, operator_detail(node, last)) if word)
    title = operator_title(node)
    if part.twins:
        title = f"{title}  {TIMES}{part.count}"
        detail = f"{detail} · {sharing(part)}" if sharing(part) else detail
    return Label(title, shortened(detail, _DETAIL_WIDTH), _operator_tooltip(node, part))


def operator_detail(node: Node, last: Node | None = None) -> str:
    """Return what tells an operator from its likes: ``64→128 3×3 s2``; empty where nothing does.

    Args:
        node: the operator.
        last: the operator in its place in the last turn, where it stands in a repetition.
    """
    callee = next((str(arg) for arg in node.args if isinstance(arg, FunctionRef)), "")
    constants = [text for value in node.inputs if (text := _constant(value))]
    configured = configuration(node)
    if last is not None:
        configured = _range(configured, configuration(last))
    if configured == callee:
        callee = ""
    words = [callee, configured, _written(node), *constants[:1]]
    return " · ".join(word for word in words if word)


def region_label(part: Part) -> Label:
    """Return the label of a region, opened or not."""
    region = part.item
    assert isinstance(region, Region), "an operator has its own label"
    totals = _totals(part)
    if region.kind is RegionKind.SECTION:
        counts = Counter(operator_title(node) for node in region.nodes()).most_common()
        words = [name if count == 1 else f"{name} {TIMES}{count}" for name, count in counts]
        title = counted(region.node_count, "operator")
        tooltip = f"{title} put together: {', '.join(words)}"
        return Label(title, shortened(", ".join(words), _DETAIL_WIDTH), tooltip)
    title = shortened(span_name(part) or "repeated", _TITLE_WIDTH)
    if part.twins:
        title += f"  {TIMES}{part.count}"
    class_name = class_of(region)
    detail = " · ".join(word for word in (class_name, *totals) if word)
    return Label(title, shortened(detail, _HEADING_WIDTH), _region_tooltip(part, detail))


def state_of(item: Item) -> dict[StateEntry, None]:
    """Return the distinct parameters that an item's nodes read. O(operands)."""
    return {
        entry: None
        for node in item_nodes(item)
        for value in node.inputs
        if (entry := value.state) is not None and entry.kind is StateKind.PARAMETER
    }


class StateReads:
    """The distinct parameters that items read: ``state_of`` of many items, each region's worked out once."""

    def __init__(self) -> None:
        self._known: dict[Region, dict[StateEntry, None]] = {}

    def __call__(self, item: Item) -> dict[StateEntry, None]:
        """Return those of one item. O(items of regions that are not known yet)."""
        if isinstance(item, Node):
            return state_of(item)
        if item not in self._known:
            missing = [item]
            for region in missing:
                missing.extend(
                    inner
                    for inner in region.items
                    if isinstance(inner, Region) and inner not in self._known
                )
            for region in reversed(missing):
                found = self._known[region] = {}
                for inner in region.items:
                    found.update(state_of(inner) if isinstance(inner, Node) else self._known[inner])
        return self._known[item]


def elements(entries: dict[StateEntry, None]) -> int:
    """Return how many numbers these entries hold together."""
    types = [entry.value.type for entry in entries]
    return sum(type_.numel or 0 for type_ in types if isinstance(type_, TensorType))


def _totals(part: Part) -> list[str]:
    region = part.item
    assert isinstance(region, Region)
    ops = counted(region.node_count, "op")
    if part.twins:
        order = "" if part.is_chain else "in parallel"
        return [word for word in (order, sharing(part), ops) if word]
    size = elements(state_of(region))
    return [human(size), ops] if size else [ops]


def sharing(part: Part, reads: Callable[[Item], dict[StateEntry, None]] = state_of) -> str:
    """Say honestly whether equal blocks have weights of their own, given what each item reads."""
    first = reads(part.item)
    others = [reads(twin) for twin in part.twins]
    if not first and not any(others):
        return ""
    size = human(elements(first))
    if all(other == first for other in others):
        return f"{part.count} calls, shared {size}"
    distinct = {entry for entries in (first, *others) for entry in entries}
    if len(distinct) == len(first) + sum(map(len, others)):
        return f"{size} each"
    return f"partly shared, {human(elements(dict.fromkeys(distinct)))} in all"


def span_name(part: Part) -> str:
    """Return the name of a region, or of the first and last of several."""
    items = [part.item, *part.twins]
    named = [step for item in (items[0], items[-1]) for step in _steps(item)]
    if not named:
        return part.item.name if isinstance(part.item, Region) else ""
    first, last = named[0], named[-1]
    if isinstance(part.item, Region) and part.item.scopes and not part.twins:
        return f" {INTO} ".join(_name(scope) for scope in part.item.scopes)
    names = dict.fromkeys((_name(first), _name(last)))
    if len(items) > 1:  # calls of one module are counted, not listed
        names = dict.fromkeys((_name(first, with_call=False), _name(last, with_call=False)))
    return f" {TO} ".join(names)


def _steps(item: Item) -> list[Scope]:
    """Return the scopes that name an item: its own, or those of the items put together in it."""
    if isinstance(item, Node) or item.kind in (RegionKind.CONTROL, RegionKind.BLOCK):
        return []
    if item.scopes:
        return [item.scopes[0]]
    return [step for inner in item.items for step in _steps(inner)]


def _name(scope: Scope, *, with_call: bool = True) -> str:
    """Return a scope's own name; a bare number gets the names of the lists it counts in."""
    name = scope.name
    if scope.kind is ScopeKind.FUNCTION:
        name = f"{name}()"
    elif scope.kind is ScopeKind.BACKWARD and name != "backward":
        name = f"{name} backward"
    outer = scope.parent
    while name[:1].isdecimal() and outer is not None and outer.name:
        name = f"{outer.name}.{name}"
        outer = outer.parent
    return f"{name} (call {scope.call})" if with_call and scope.call > 1 else name


def class_of(region: Region) -> str:
    """Return the class of the module that a region is a call of, or of which it is the backward."""
    whole = [scope for scope in region.scopes if scope.kind is not ScopeKind.OPERATOR]
    name = whole[-1].class_name if whole else ""
    return f"backward of {name}" if name and whole[-1].is_backward else name


def _range(first: str, last: str) -> str:
    """Return two texts as one that tells where they differ: ``dim 0 [0…9]``."""
    if first == last:
        return first
    words = _NUMBER_OR_SIGN.findall(first)
    others = _NUMBER_OR_SIGN.findall(last)
    start = _count_shared(words, others)
    end = _count_shared(words[start:][::-1], others[start:][::-1])
    return f"{''.join(words[: len(words) - end])}…{''.join(others[start:])}"


def _count_shared(words: list[str], others: list[str]) -> int:
    """Return with how many equal words two lists begin."""
    pairs = zip(words, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _written(node: Node) -> str:
    """Return which state a node changes in place, in words."""
    if Effect.WRITES not in node.operator.effects:
        return ""
    named = dict(zip((p.name for p in node.operator.parameters), node.args, strict=False))
    for parameter in node.operator.parameters:
        arg = named.get(parameter.name)
        if parameter.is_written and isinstance(arg, Value) and arg.state is not None:
            return f"updates {arg.state.name}"
    return ""


def _constant(value: Value) -> str:
    entry = value.state
    if entry is None or entry.kind is not StateKind.CONSTANT:
        return ""
    type_ = entry.value.type
    return "constant" if isinstance(type_, TensorType) else shortened(entry.name, 16)


def _operator_tooltip(node: Node, part: Part) -> str:
    types = ", ".join(str(value.type) for value in node.outputs) or "nothing"
    lines = [f"{node.kind} → {types}"]
    reads = [_operand_text(value) for value in node.inputs]
    if reads:
        lines.append(f"reads {', '.join(reads)}")
    literals = [literal_text(arg) for arg in node.all_args if _is_literal(arg)]
    if literals:
        lines.append(f"with {', '.join(literals)}")
    if part.twins:
        lines.append(f"stands for {part.count}: {span_name(part)}")
    where = provenance(node)
    return "\n".join([*lines, where] if where else lines)


def _operand_text(value: Value) -> str:
    entry = value.state
    return f"{value.type}" if entry is None else f"{entry.name} : {value.type}"


def _is_literal(arg: Argument) -> bool:
    if isinstance(arg, tuple):
        return all(_is_literal(item) for item in arg)
    return not isinstance(arg, Value)


def _region_tooltip(part: Part, detail: str) -> str:
    region = part.item
    assert isinstance(region, Region)
    lines = [str(scope) for scope in region.scopes[-1:]] or [region.name or "neighbours"]
    if part.twins:
        wiring = "each reads the one before" if part.is_chain else "in parallel"
        lines.append(f"stands for {part.count}, {wiring}: {span_name(part)}")
    return "\n".join([*lines, detail])
