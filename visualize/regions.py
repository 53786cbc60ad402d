"""Regions: a graph's nodes as the nested blocks that a picture can open or draw as one box.

A region is a scope, the body of a node that owns blocks, one of those blocks, or a group made for
drawing. Regions own lists of nodes and regions in program order; nothing here recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from ..errors import RenderError
from ..ir import Block, Graph, Node, Scope


class RegionKind(Enum):
    """What a region is."""

    ROOT = "root"
    SCOPE = "scope"
    CONTROL = "control"  # a node that owns blocks, with them
    BLOCK = "block"  # one of those blocks
    GROUP = "group"  # neighbours that form one period of a repetition
    SECTION = "section"  # neighbours put together because there are too many


class Region:
    """Some nodes that can be drawn opened or as one box.

    Attributes:
        kind: what it is.
        parent: the region around it; None for the root.
        scopes: the scopes it stands for, outermost first; several where each holds just the next.
        node: the owner of a control region; None for all others.
        name: what it is called where it stands for no scope.
        items: the nodes and regions in it, in program order.
        node_count: how many drawn nodes are in it, at any depth.
    """

    __slots__ = ("items", "kind", "name", "node", "node_count", "parent", "scopes")

    def __init__(
        self,
        kind: RegionKind,
        parent: Region | None,
        scopes: tuple[Scope, ...] = (),
        name: str = "",
        node: Node | None = None,
    ) -> None:
        self.kind = kind
        self.parent = parent
        self.scopes = scopes
        self.name = name
        self.node = node
        self.items: list[Item] = []
        self.node_count = 0

    @property
    def is_leaf(self) -> bool:
        """Whether it holds exactly one node and nothing else, so that it is drawn as that node."""
        return len(self.items) == 1 and isinstance(self.items[0], Node)

    def nodes(self) -> Iterator[Node]:
        """Yield its drawn nodes at every depth, in program order inside each region."""
        walks = [iter(self.items)]
        while walks:
            item = next(walks[-1], None)
            if item is None:
                walks.pop()
            elif isinstance(item, Region):
                walks.append(iter(item.items))
            else:
                yield item

    def __repr__(self) -> str:
        name = self.scopes[-1].address if self.scopes else self.name
        return f"<Region {self.kind.value} {name}: {self.node_count} nodes>"


Item: TypeAlias = Node | Region

_CUSTOM_FUNCTION = "prim::autograd_function"


def item_nodes(item: Item) -> Iterator[Node]:
    """Yield the drawn nodes of an item: itself, or all that are in it."""
    if isinstance(item, Region):
        yield from item.nodes()
    else:
        yield item


def build_regions(graph: Graph, hidden: dict[Node, None]) -> Region:
    """Return the root region of all nodes that are not hidden. O(nodes + depth)."""
    root = _Builder(hidden).build(graph)
    _merge_chains(root)
    _count_nodes(root)
    return root


class _Builder:
    """Puts nodes into the regions of their scopes, making each region when it is first needed."""

    def __init__(self, hidden: dict[Node, None]) -> None:
        self._hidden = hidden
        self._regions: dict[tuple[Region, Scope], Region] = {}
        self._bodies: dict[Block, tuple[Region, Scope]] = {}  # with the scope of the block's owner

    def build(self, graph: Graph) -> Region:
        root = Region(RegionKind.ROOT, None, name=graph.name)
        self._bodies[graph.block] = (root, graph.root_scope)
        for node in graph.walk():
            if node in self._hidden or node.block is None:
                continue
            body, base = self._bodies[node.block]
            region = body if node.scope is base else self._region(body, base, node.scope)
            if node.blocks:
                self._control(region, node)
            else:
                region.items.append(node)
        return root

    def _region(self, body: Region, base: Scope, scope: Scope) -> Region:
        """Return the region of a scope inside a body, made with those around it where missing."""
        found = self._regions.get((body, scope))
        if found is not None:
            return found
        missing = []
        outer: Scope | None = scope
        region = body
        while outer is not None and outer is not base and outer.parent is not None:
            known = self._regions.get((body, outer))
            if known is not None:
                region = known
                break
            missing.append(outer)
            outer = outer.parent
        for step in reversed(missing):
            inner = Region(RegionKind.SCOPE, region, (step,))
            region.items.append(inner)
            self._regions[body, step] = region = inner
        return region

    def _control(self, region: Region, node: Node) -> None:
        """Make the region of a node that owns blocks, with one region for each block.

        A custom function is what its forward does, so it has its operators and no box besides,
        unless there are none.
        """
        if node.kind == _CUSTOM_FUNCTION:
            if not len(node.blocks[0]):
                region.items.append(node)
                return
            body = Region(RegionKind.CONTROL, region, name=_first_name(node), node=node)
            region.items.append(body)
            self._bodies[node.blocks[0]] = (body, node.scope)
            return
        control = Region(
            RegionKind.CONTROL, region, name=node.operator.base_name.rpartition("::")[2], node=node
        )
        region.items.append(control)
        for number, block in enumerate(node.blocks):
            self._bodies[block] = (
                Region(RegionKind.BLOCK, control, name=block_name(node, number)),
                node.scope,
            )
        control.items.append(node)
        control.items.extend(self._bodies[block][0] for block in node.blocks)


def _first_name(node: Node) -> str:
    """Return the name of what a node is given first: the class of a custom function."""
    entry = node.inputs[0].state if node.inputs else None
    return node.operator.base_name if entry is None else entry.name


# What the blocks of an operator are for, where they have several.
_BLOCK_NAMES: Final = {
    "cond": ("if true", "if false"),
    "while_loop": ("while", "do"),
    "while_loop_stack_output": ("while", "do"),
    "flex_attention": ("score", "mask"),
}


def block_name(node: Node, number: int) -> str:
    """Return what a block of a node is for: ``if true``; its number where nothing tells."""
    names = _BLOCK_NAMES.get(node.operator.base_name.rpartition("::")[2], ())
    return names[number] if number < len(names) else f"block {number}"


def all_regions(root: Region) -> list[Region]:
    """Return a region and all inside it, each before what is inside."""
    found = [root]
    for region in found:
        found.extend(item for item in region.items if isinstance(item, Region))
    return found


def _merge_chains(root: Region) -> None:
    """Make one region of each scope that holds nothing but one other scope."""
    for region in reversed(all_regions(root)):
        region.items = [
            item for item in region.items if not (isinstance(item, Region) and not item.items)
        ]
        if region.kind is not RegionKind.SCOPE or len(region.items) != 1:
            continue
        only = region.items[0]
        if isinstance(only, Region) and only.kind is RegionKind.SCOPE:
            region.scopes += only.scopes
            region.items = only.items
            for item in only.items:
                if isinstance(item, Region):
                    item.parent = region


def _count_nodes(root: Region) -> None:
    for region in reversed(all_regions(root)):
        region.node_count = sum(
            item.node_count if isinstance(item, Region) else 1 for item in region.items
        )


def focus_on(root: Region, pattern: str) -> Region:
    """Return a root that holds only the outermost regions of scopes that match a shell pattern.

    Raises:
        RenderError: nothing matches.
    """
    found: list[Region] = []
    pending: list[Item] = list(reversed(root.items))
    addresses: list[str] = []
    while pending:
        item = pending.pop()
        if not isinstance(item, Region):
            continue
        addresses.extend(scope.address for scope in item.scopes)
        names = [name for scope in item.scopes for name in (scope.address, scope.path)]
        if any(fnmatchcase(name, pattern) for name in names):
            found.append(item)
        else:
            pending.extend(reversed(item.items))
    if not found:
        near = get_close_matches(pattern, addresses, n=3, cutoff=0.4) or addresses[:3]
        hint = f"; there are, for example, {', '.join(near)}" if near else "; it has no scopes"
        raise RenderError(f"no scope of {root.name!r} matches focus={pattern!r}{hint}")
    focused = Region(RegionKind.ROOT, None, name=root.name)
    focused.items = list(found)
    for item in found:
        item.parent = focused
    focused.node_count = sum(item.node_count for item in found)
    return focused
