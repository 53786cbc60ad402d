"""Folding: which regions a picture opens, and which it draws as one box or once for many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from ..ir import Effect, Node, ScopeKind, Value
from ..passes.repeats import Pattern, PatternFinder, Run, find_runs
from .families import Family, bare_name, family_of
from .options import ViewOptions
from .regions import Item, Region, RegionKind, all_regions, item_nodes

_LEAST_RUN = 4  # equal operators, or groups, that are worth folding; of blocks two are
_LONGEST_PERIOD = 8  # items that may form one period of a repetition
_GLUE = 8  # connected auxiliary operators between blocks from which on they are put together
_GLUE_IN_NEED = 3  # the same where space is short
_GLUE_FAMILIES = frozenset(
    (
        Family.SHAPE,
        Family.ELEMENTWISE,
        Family.INDEX,
        Family.SOURCE,
        Family.REDUCTION,
        Family.OTHER,
    )
)
_TELLING = frozenset("topk sort argsort kthvalue argmax argmin unique unique2 multinomial".split())


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One thing that an opened region shows, and the equal neighbours that it stands for as well.

    Attributes:
        item: what is drawn.
        twins: the equal neighbours that are not.
        is_chain: whether each reads what the one before it made.
    """

    item: Item
    twins: tuple[Item, ...] = ()
    is_chain: bool = False

    @property
    def count(self) -> int:
        """How many equal blocks it stands for."""
        return 1 + len(self.twins)


@dataclass(frozen=True, slots=True)
class Folding:
    """What a picture shows: the parts of every opened region."""

    parts: dict[Region, list[Part]] = field(default_factory=dict)

    def is_open(self, item: Item) -> bool:
        """Whether the item is a region of which the parts are drawn."""
        return isinstance(item, Region) and item in self.parts

    def walk(self, root: Region) -> Iterator[tuple[Region, Part]]:
        """Yield every part with the region that shows it, in program order, each before its own."""
        walks = [(root, iter(self.parts[root]))]
        while walks:
            region, parts = walks[-1]
            part = next(parts, None)
            if part is None:
                walks.pop()
                continue
            yield region, part
            if isinstance(part.item, Region) and part.item in self.parts:
                walks.append((part.item, iter(self.parts[part.item])))


def fold(root: Region, options: ViewOptions, folder: RepeatFolder | None = None) -> Folding:
    """Decide what to open, with the root always open. O(nodes) for each level that is opened.

    Args:
        root: the region of everything.
        options: how much to open.
        folder: remembers what it has seen of the graph's nodes, where they are folded again later.
    """
    opener = _Opener(options, folder or RepeatFolder())
    opener.open(root)
    level = [root]
    if options.focus is not None:
        level = [item for item in root.items if isinstance(item, Region) and not item.is_leaf]
        for region in level:
            opener.open(region)
    if options.depth is None:
        opener.open_within_budget(root)
    else:
        opener.open_levels(level, options.depth)
    return Folding(opener.parts)


class _Opener:
    """Opens regions one by one and keeps count of the boxes."""

    def __init__(self, options: ViewOptions, folder: RepeatFolder) -> None:
        self.parts: dict[Region, list[Part]] = {}
        self._options = options
        self._prepared: dict[Region, list[Part]] = {}
        self._folder = folder
        self._compact: dict[Region, list[Part]] = {}
        self._boxes = 1

    def open(self, region: Region) -> None:
        self.parts[region] = self._parts(region)
        if self._options.depth is None and not self._fits([region]):
            self.parts[region] = self._compact_parts(region)
        self._boxes += len(self.parts[region]) - 1

    def open_levels(self, level: list[Region], depth: int) -> None:
        for _ in range(depth):
            level = [inner for region in level for inner in self._closed(region)]
            for region in level:
                self.open(region)

    def open_within_budget(self, root: Region) -> None:
        """Open the first region of each kind, the largest first; then whole kinds while there is room.

        So where not every block can be opened, one of each kind is, and its likes stay boxes. The step of
        an optimizer stays one: it does the same for every parameter.
        """
        opened_kinds: set[Hashable] = set()
        position = {node: number for number, node in enumerate(root.nodes())}
        heap: list[tuple[int, int, Region]] = []

        def consider(opened: Region) -> None:
            for region in self._closed(opened):
                if region.scopes and region.scopes[-1].kind is ScopeKind.OPTIMIZER:
                    continue
                heappush(heap, (-region.node_count, position[next(region.nodes())], region))

        for opened in self.parts:
            consider(opened)
        while heap:
            _, _, region = heappop(heap)
            kind = _sketch(region)
            if kind not in opened_kinds and self._fits([region], compactly=True):
                opened_kinds.add(kind)
                self.open(region)
                consider(region)
        while self._open_whole_kinds():
            pass

    def _open_whole_kinds(self) -> bool:
        """Open all closed regions of each kind that fits as a whole; say whether one did.

        A kind of which some are out of sight, inside a closed region, waits: likes are treated alike.
        """
        kinds: dict[Hashable, list[Region]] = {}
        closed = [region for opened in self.parts for region in self._closed(opened)]
        for region in closed:
            kinds.setdefault(_sketch(region), []).append(region)
        unseen = {_sketch(inner) for region in closed for inner in all_regions(region)[1:]}
        has_opened = False
        for kind, regions in sorted(kinds.items(), key=lambda entry: -entry[1][0].node_count):
            if kind not in unseen and self._fits(regions, self._options.max_boxes * 2 // 3):
                has_opened = True
                for region in regions:
                    self.open(region)
        return has_opened

    def _fits(
        self, regions: list[Region], limit: int | None = None, *, compactly: bool = False
    ) -> bool:
        boxes = self._boxes
        limit = self._options.max_boxes if limit is None else limit
        for region in regions:
            parts = self._compact_parts(region) if compactly else self._parts(region)
            boxes += len(parts) - 1
            if boxes > limit:
                return False
        return True

    def _closed(self, region: Region) -> list[Region]:
        """Return the regions that an opened one shows as boxes and that could be opened."""
        return [
            part.item
            for part in self.parts[region]
            if isinstance(part.item, Region)
            and part.item not in self.parts
            and not part.item.is_leaf
            and part.item.kind is not RegionKind.SECTION
        ]

    def _parts(self, region: Region) -> list[Part]:
        """Return what a region shows once it is opened."""
        parts = self._prepared.get(region)
        if parts is None:
            parts = [Part(item) for item in region.items]
            if self._options.fold_repeats:
                parts = self._folder.parts(region)
            if self._options.depth is None:
                parts = _without_glue(region, parts, _GLUE)
            self._prepared[region] = parts
        return parts

    def _compact_parts(self, region: Region) -> list[Part]:
        """Return the parts with operators that stand between blocks put together."""
        parts = self._compact.get(region)
        if parts is None:
            parts = _without_glue(region, self._parts(region), _GLUE_IN_NEED)
            if len(parts) > self._options.max_boxes:
                parts = _sections(region, parts, self._options.max_boxes)
            self._compact[region] = parts
        return parts


def _without_glue(region: Region, parts: list[Part], least: int) -> list[Part]:
    """Put connected stretches of auxiliary operators, where they stand between blocks, into sections.

    What a model does between its blocks is mostly preparation, such as building a mask. A stretch ends
    at any block and any operator of another kind, so a section reads only what comes before it.
    """
    if not any(isinstance(part.item, Region) and not part.item.is_leaf for part in parts):
        return parts
    compact: list[Part] = []
    stretch: list[Part] = []
    for part in parts:
        if _is_glue(part.item):
            stretch.append(part)
            continue
        compact.extend(_glued(region, stretch, least))
        compact.append(part)
        stretch = []
    return [*compact, *_glued(region, stretch, least)]


def _is_glue(item: Item) -> bool:
    return (
        isinstance(item, Node)
        and family_of(item.operator) in _GLUE_FAMILIES
        and bare_name(item.operator) not in _TELLING
        and not item.effects & (Effect.WRITES | Effect.RANDOM)
        and not any(_is_written(value) for value in item.outputs)
    )


def _is_written(value: Value) -> bool:
    return any(isinstance(user, Node) and Effect.WRITES in user.effects for user in value.users)


def _glued(region: Region, stretch: list[Part], least: int) -> list[Part]:
    """Return a stretch with its connected pieces of at least ``least`` operators as sections."""
    piece_of: dict[Node, list[Part]] = {}
    for part in stretch:
        assert isinstance(part.item, Node), "blocks end a stretch"
        piece = [part]
        for value in part.item.inputs:
            other = piece_of.get(value.node) if value.node is not None else None
            if other is not None and other is not piece:
                small, piece = sorted((other, piece), key=len)
                piece.extend(small)
                for member in small:
                    assert isinstance(member.item, Node)
                    piece_of[member.item] = piece
        piece_of[part.item] = piece
    order = {part: number for number, part in enumerate(stretch)}
    pieces = {id(piece): sorted(piece, key=order.__getitem__) for piece in piece_of.values()}
    glued: list[tuple[int, Part]] = []
    for piece in pieces.values():
        shown = [_section(region, piece)] if len(piece) >= least else piece
        glued.extend((order[member], part) for member, part in zip(piece, shown, strict=False))
    return [part for _, part in sorted(glued, key=lambda entry: entry[0])]


def _section(region: Region, parts: list[Part]) -> Part:
    items = [item for part in parts for item in (part.item, *part.twins)]
    return Part(_gather(RegionKind.SECTION, region, items))


def _sections(region: Region, parts: list[Part], max_boxes: int) -> list[Part]:
    """Put neighbours together so that not many more than half of ``max_boxes`` are left."""
    size = -(-len(parts) // max(max_boxes // 2, 1))
    return [_section(region, parts[start : start + size]) for start in range(0, len(parts), size)]


class RepeatFolder:
    """Folds equal neighbours among the items of a region."""

    def __init__(self) -> None:
        self._finder = PatternFinder(ignores_steps=True, is_at_rest=True)
        self._patterns: dict[Item, Pattern] = {}

    def parts(self, region: Region) -> list[Part]:
        """Return a region's items with equal neighbours folded into one part. O(nodes)."""
        parts: list[Part] = []
        items = region.items
        start = 0
        for first, period, count in _periods(self._keys(items)):
            parts.extend(Part(item) for item in items[start:first])
            windows = [items[first + n * period : first + (n + 1) * period] for n in range(count)]
            if count >= _LEAST_RUN or _is_block(windows[0]):
                parts.extend(self._folded(region, windows))
            else:
                parts.extend(Part(item) for item in items[first : first + period * count])
            start = first + period * count
        parts.extend(Part(item) for item in items[start:])
        self._patterns.clear()
        return parts

    def _keys(self, items: list[Item]) -> list[int]:
        """Return a number per item, equal where the items compute the same."""
        numbers: dict[Hashable, int] = {}
        sketches = [_sketch(item) for item in items]
        counts = Counter(sketches)
        named: list[Hashable] = []
        keys = []
        # Only what has enough look-alikes is worth the price of a closer look, and then of its whole pattern.
        least = [
            2 if isinstance(item, Region) and not item.is_leaf else _LEAST_RUN for item in items
        ]
        for item, sketch, enough in zip(items, sketches, least, strict=True):
            named.append(_operator_names(item) if counts[sketch] >= enough else item)
        counts = Counter(named)
        for item, names, enough in zip(items, named, least, strict=True):
            key: Hashable = item if counts[names] < enough else self._key(item)
            keys.append(numbers.setdefault(key, len(numbers)))
        return keys

    def _key(self, item: Item) -> Hashable:
        return self._finder.key_of(item) if isinstance(item, Node) else self._pattern(item).key

    def _pattern(self, item: Item) -> Pattern:
        pattern = self._patterns.get(item)
        if pattern is None:
            pattern = self._patterns[item] = self._finder.pattern(item_nodes(item))
        return pattern

    def _folded(self, region: Region, windows: list[list[Item]]) -> Iterator[Part]:
        """Yield the parts of stretches that look alike: folded where they are wired alike."""
        patterns = [
            self._pattern(window[0])
            if len(window) == 1
            else self._finder.pattern(node for item in window for node in item_nodes(item))
            for window in windows
        ]
        done = 0
        for run in find_runs(patterns):
            if not _is_worthwhile(run, windows):
                continue
            for window in windows[done : run.start]:
                yield from (Part(item) for item in window)
            done = run.start + run.count
            first, *twins = (_as_item(region, window) for window in windows[run.start : done])
            yield Part(first, tuple(twins), run.is_chain)
        for window in windows[done:]:
            yield from (Part(item) for item in window)


def _is_worthwhile(run: Run, windows: list[list[Item]]) -> bool:
    """Return whether a run saves the reader more than it costs: three single operators are no burden."""
    return run.count >= _LEAST_RUN or _is_block(windows[run.start])


def _is_block(window: list[Item]) -> bool:
    return len(window) == 1 and isinstance(window[0], Region) and not window[0].is_leaf


def _as_item(region: Region, window: list[Item]) -> Item:
    if len(window) == 1:
        return window[0]
    return _gather(RegionKind.GROUP, region, window)


def _gather(kind: RegionKind, parent: Region, items: list[Item]) -> Region:
    """Return a region made for drawing around items that stay where they are."""
    group = Region(kind, parent)
    group.items = items
    group.node_count = sum(item.node_count if isinstance(item, Region) else 1 for item in items)
    return group


def _periods(keys: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield start, period and count of stretches of equal keys or of a few keys that repeat."""
    start = 0
    while start < len(keys):
        best = (0, 0)
        for period in range(1, min(_LONGEST_PERIOD, (len(keys) - start) // 2) + 1):
            end = start + period
            while end < len(keys) and keys[end] == keys[end - period]:
                end += 1
            count = (end - start) // period
            if count > 1 and (count * period, -period) > (best[0] * best[1], -best[1]):
                best = (count, period)
        count, period = best
        if count > 1:
            yield start, period, count
            start += count * period
        else:
            start += 1


def _operator_names(item: Item) -> Hashable:
    """Return the names of all operators of an item, in order."""
    if isinstance(item, Node):
        return item.operator.name
    return tuple([node.operator.name for node in item.nodes()])


def _sketch(item: Item) -> Hashable:
    """Return what tells at a glance that two items may compute the same."""
    if isinstance(item, Node):
        return item.operator.name
    classes = tuple([scope.class_name for scope in item.scopes])
    return (item.kind.value, classes, item.node_count, len(item.items))
