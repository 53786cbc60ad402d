"""The forest of a graph: its nodes in the nested branches that the explorer folds and unfolds.

Branches are regions as pictures have them, and besides: one around each run of equal neighbours, and ones
that gather what would be too many siblings to read. Nodes are numbered so that those of a branch follow
each other; nothing here recurses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ...ir import Graph, Node, Scope, ScopeKind
from ..clutter import bookkeeping, is_identity, size_arithmetic, unused_results
from ..folding import Folding, Part, RepeatFolder, fold
from ..labels import StateReads, class_of, elements, operator_title, sharing, span_name
from ..options import ViewOptions
from ..regions import Item, Region, RegionKind, build_regions
from ..wording import TIMES, TO, counted, shortened

_MOST_SIBLINGS: Final = 150  # items that a branch may show side by side
_CHUNK: Final = 50  # items in each gathering where there are more
_FEW: Final = 3  # items that name a turn of a repetition
_SEPARATOR: Final = " · "
_OPEN_AT_FIRST: Final = 40  # boxes, about, that a page shows when it opens

FLAGS: Final = {"sizes": 1, "bookkeeping": 2, "unused": 4, "identity": 8}
"""Why a node is not drawn until somebody asks, as bits."""


@dataclass(slots=True)
class Branch:
    """Something that can be folded.

    Attributes:
        kind: ``module``, ``function`` and the other kinds of scopes; ``root``, ``control``, ``block``,
            ``repeat`` (equal neighbours), ``turn`` (one of several items that repeat), ``section``
            (neighbours put together to save room).
        parent: the number of the branch around it; -1 for the root.
        title: what it is called.
        class_name: the class of its module; empty where there is none.
        address: that of its innermost scope.
        note: what is to be said besides: how equal neighbours share weights, which operators are in what
            has no name.
        call: which call of its module it is.
        parameters: numbers in the distinct parameters that its nodes read.
        is_chain: for a repeat, whether each reads what the one before it made.
        items: nodes, and branches as ``~number``, in the order in which most of each ran.
        is_open: whether it is unfolded at first; a repeat then shows the first of its likes.
    """

    kind: str
    parent: int
    title: str
    class_name: str = ""
    address: str = ""
    note: str = ""
    call: int = 1
    parameters: int = 0
    is_chain: bool = False
    items: list[Node | int] = field(default_factory=list)
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Forest:
    """The branches of a graph, each after the one around it, and its nodes.

    Attributes:
        branches: the root first.
        nodes: every node in the order of the branches.
        flags: why a node is not drawn at first.
    """

    branches: list[Branch]
    nodes: list[Node]
    flags: dict[Node, int]


def grow(graph: Graph) -> Forest:
    """Return the forest of a graph. O(nodes) for each level of nesting."""
    flags = _flags(graph)
    root = build_regions(graph, dict.fromkeys(flags))
    folder = RepeatFolder()
    opened = fold(root, ViewOptions(max_boxes=_OPEN_AT_FIRST), folder)
    grower = _Grower(opened, folder)
    grower.grow(root)
    if flags:
        _plant(graph, flags, grower)
    _sort(graph, grower.branches)
    return Forest(grower.branches, _in_order(grower.branches), flags)


def _flags(graph: Graph) -> dict[Node, int]:
    flags: dict[Node, int] = {}
    sizes = size_arithmetic(graph)
    kinds = {
        "sizes": sizes,
        "bookkeeping": bookkeeping(graph),
        "unused": {node: None for node in unused_results(graph) if node not in sizes},
        "identity": {node: None for node in graph.walk() if is_identity(node)},
    }
    for name, nodes in kinds.items():
        for node in nodes:
            flags[node] = flags.get(node, 0) | FLAGS[name]
    return flags


class _Grower:
    """Makes branches of regions."""

    def __init__(self, folding: Folding, folder: RepeatFolder) -> None:
        self.branches: list[Branch] = []
        self.home: dict[Node, int] = {}
        self.scopes: list[tuple[Scope, ...]] = []
        self._opened = folding.parts
        self._folder = folder
        self._reads = StateReads()
        self._spans: dict[Region, str] = {}  # titles of sections that are all there is in theirs

    def grow(self, root: Region) -> None:
        """Make the branches of a region and of all inside it."""
        title = root.name or "program"
        all_parameters = elements(self._reads(root))
        made = Branch("root", -1, title, parameters=all_parameters, is_open=True)
        number = self._add(made, root.scopes)
        pending = [(root, number)]
        for region, number in pending:
            parts = self._opened.get(region) or self._folder.parts(region)
            self._spans.update(_spans(parts))
            for parent, part in self._gathered(parts, number):
                pending.extend(self._settle(part, parent))

    def _add(self, branch: Branch, scopes: tuple[Scope, ...] = ()) -> int:
        number = len(self.branches)
        self.branches.append(branch)
        self.scopes.append(scopes)
        if branch.parent >= 0:
            self.branches[branch.parent].items.append(~number)
        return number

    def _gathered(self, parts: list[Part], parent: int) -> Iterator[tuple[int, Part]]:
        """Yield the parts of a branch, each with the branch that is to hold it."""
        if len(parts) <= _MOST_SIBLINGS:
            yield from ((parent, part) for part in parts)
            return
        size = _CHUNK
        while len(parts) > size * _MOST_SIBLINGS:
            size *= _CHUNK
        around: dict[int, int] = {}  # the latest branch by how many parts it gathers
        for start, part in enumerate(parts):
            step = size
            outer = parent
            while step >= _CHUNK:
                if start % step == 0:
                    end = min(start + step, len(parts))
                    title = f"{start + 1:,} to {end:,} of {len(parts):,}"
                    gathering = Branch("section", outer, title, is_open=start == 0)
                    around[step] = self._add(gathering)
                outer = around[step]
                step //= _CHUNK
            yield outer, part

    def _settle(self, part: Part, parent: int) -> Iterator[tuple[Region, int]]:
        """Put a part into a branch; yield the regions inside that are still to grow."""
        if not part.twins:
            yield from self._settle_item(part.item, parent)
            return
        first = part.item
        repeat = Branch(
            "repeat",
            parent,
            span_name(part)
            or (operator_title(first) if isinstance(first, Node) else _operators(first)),
            class_of(first) if isinstance(first, Region) else "",
            note=sharing(part, self._reads),
            parameters=elements(
                {entry: None for item in (first, *part.twins) for entry in self._reads(item)}
            ),
            is_chain=part.is_chain,
            is_open=self._is_open(first),
        )
        number = self._add(repeat)
        for item in (part.item, *part.twins):
            yield from self._settle_item(item, number)

    def _settle_item(self, item: Item, parent: int) -> Iterator[tuple[Region, int]]:
        if isinstance(item, Node):
            self.branches[parent].items.append(item)
            self.home[item] = parent
            return
        yield item, self._add(self._branch(item, parent), item.scopes)

    def _branch(self, region: Region, parent: int) -> Branch:
        scope = region.scopes[-1] if region.scopes else None
        title, note = span_name(Part(region)) or region.name, ""
        if region.kind is RegionKind.GROUP:
            title = _turn_title(region)
        elif region.kind is RegionKind.SECTION and not title:
            title = self._spans.get(region) or counted(region.node_count, "operator")
            note = _SEPARATOR.join(filter(None, (_source_lines(region), _operators(region))))
        return Branch(
            _kind(region, scope),
            parent,
            title,
            class_of(region),
            scope.address if scope is not None else "",
            note,
            call=scope.call if scope is not None else 1,
            parameters=elements(self._reads(region)),
            is_open=self._is_open(region),
        )

    def _is_open(self, item: Item) -> bool:
        return isinstance(item, Region) and item in self._opened


def _turn_title(region: Region) -> str:
    """Return what one turn of several items is called: by the first of them, as long as that is short."""
    names = [
        operator_title(item) if isinstance(item, Node) else span_name(Part(item)) or item.name
        for item in region.items
    ]
    shown = [name for name in names[:_FEW] if name]
    return ", ".join([*shown, "…"] if len(names) > _FEW else shown)


def _operators(region: Region) -> str:
    """Return which operators a region holds, the most frequent first."""
    counts = Counter(operator_title(node) for node in region.nodes()).most_common()
    words = [name if count == 1 else f"{name} {TIMES}{count}" for name, count in counts]
    return shortened(", ".join(words), 48)


def _spans(parts: list[Part]) -> Iterator[tuple[Region, str]]:
    """Yield a title for each part, where all are neighbours put together: which operators they are."""
    sections = [part.item for part in parts if isinstance(part.item, Region) and not part.twins]
    if len(sections) < len(parts) or any(s.kind is not RegionKind.SECTION for s in sections):
        return
    start = 1
    for section in sections:
        end = start + section.node_count - 1
        yield section, f"operators {start:,} {TO} {end:,}"
        start = end + 1


def _source_lines(region: Region) -> str:
    """Return from which lines the operators of a region are; empty where they are of several files."""
    places = [node.source for node in region.nodes() if node.source is not None]
    if len({place.file for place in places}) != 1:
        return ""
    numbers = sorted({place.line for place in places})
    lines = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}{TO}{numbers[-1]}"
    return f"{places[0].file.rpartition('/')[2]}:{lines}"


def _kind(region: Region, scope: Scope | None) -> str:
    if region.kind is RegionKind.GROUP:
        return "turn"
    if scope is None or region.kind is not RegionKind.SCOPE:
        return str(region.kind.value)
    # Of several scopes that hold just the next, the first that is a module says what it all is.
    kinds = [step.kind for step in region.scopes]
    kind = ScopeKind.MODULE if ScopeKind.MODULE in kinds else kinds[-1]
    return str(kind.value)


def _plant(graph: Graph, flags: dict[Node, int], grower: _Grower) -> None:
    """Put the nodes that pictures leave out into the branch of their scope, behind what ran before."""
    branches = grower.branches
    of_scope = {scope: n for n, scopes in enumerate(grower.scopes) for scope in scopes}
    latest: dict[int, Node | int] = {}  # by branch, the item in it that ran last
    after: dict[Node | int, list[Node]] = {}
    first: dict[int, list[Node]] = {}
    for node in graph.walk():
        if node in flags:
            branch = _section(latest, branches, _branch_of(node.scope, of_scope))
            if branch in latest:
                after.setdefault(latest[branch], []).append(node)
            else:
                first.setdefault(branch, []).append(node)
            continue
        item: Node | int = node
        branch = grower.home[node]
        while branch >= 0:
            latest[branch] = item
            item, branch = ~branch, branches[branch].parent
    for number, made in enumerate(branches):
        made.items = [
            *first.get(number, ()),
            *(put for item in made.items for put in (item, *after.get(item, ()))),
        ]


def _branch_of(scope: Scope, of_scope: dict[Scope, int]) -> int:
    """Return the innermost branch of a scope or of one around it; the root where none has one."""
    return next((of_scope[s] for s in (scope, *scope.ancestors()) if s in of_scope), 0)


def _section(latest: dict[int, Node | int], branches: list[Branch], branch: int) -> int:
    """Return the innermost gathering of neighbours in a branch in which something ran last, or the branch."""
    while True:
        item = latest.get(branch)
        if not isinstance(item, int) or branches[~item].kind != "section":
            return branch
        branch = ~item


def _sort(graph: Graph, branches: list[Branch]) -> None:
    """Let each item stand where most of it ran: what is entered again and again has no one place."""
    steps = {node: step for step, node in enumerate(graph.walk())}
    sums = [0] * len(branches)
    counts = [0] * len(branches)
    for number in reversed(range(len(branches))):
        for item in branches[number].items:
            sums[number] += sums[~item] if isinstance(item, int) else steps[item]
            counts[number] += counts[~item] if isinstance(item, int) else 1

    def place(item: Node | int) -> float:
        if isinstance(item, Node):
            return steps[item]
        return sums[~item] / max(counts[~item], 1)

    for branch in branches:
        branch.items.sort(key=place)


def _in_order(branches: list[Branch]) -> list[Node]:
    nodes: list[Node] = []
    walks = [iter(branches[0].items)]
    while walks:
        item = next(walks[-1], None)
        if item is None:
            walks.pop()
        elif isinstance(item, int):
            walks.append(iter(branches[~item].items))
        else:
            nodes.append(item)
    return nodes
