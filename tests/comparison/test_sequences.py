"""Aligning sequences: what is kept is common, in order, and as much as can be where little differs."""

import random
from functools import cache
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from opscope.comparison.sequences import Pairs, align, rising
from support.random_graphs import property_settings

_ITEMS = st.lists(st.integers(0, 3), max_size=12)


def _longest(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    @cache
    def longest(x: int, y: int) -> int:
        if x == len(one) or y == len(other):
            return 0
        if one[x] == other[y]:
            return 1 + longest(x + 1, y + 1)
        return max(longest(x + 1, y), longest(x, y + 1))

    return longest(0, 0)


def _check(pairs: Pairs, one: list[int], other: list[int]) -> None:
    assert all(one[x] == other[y] for x, y in pairs)
    assert all(a < b and c < d for (a, c), (b, d) in pairwise(pairs))


@property_settings
@given(_ITEMS, _ITEMS)
def test_what_is_kept_is_common_and_in_order(one: list[int], other: list[int]) -> None:
    pairs = align(one, other)
    _check(pairs, one, other)
    assert bool(pairs) == bool(set(one) & set(other))


@property_settings
@given(_ITEMS.flatmap(lambda items: st.tuples(st.just(items * 3), _ITEMS)))
def test_without_anchors_as_much_is_kept_as_can_be(both: tuple[list[int], list[int]]) -> None:
    one, part = both
    other = part * 2
    assert len(align(one, other)) == _longest(tuple(one), tuple(other))


@property_settings
@given(st.lists(st.integers(0, 3), max_size=12), st.data())
def test_of_a_part_everything_is_kept(items: list[int], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(items)))
    part = items[:at] + items[at + 1 :]
    assert len(align(items, part)) == len(part)
    assert len(align(part, items)) == len(part)


def test_ten_edits_are_found_among_a_hundred_thousand_items_of_few_kinds() -> None:
    chance = random.Random(0)
    one = [chance.randrange(5) for _ in range(100_000)]
    other = list(one)
    for _ in range(5):
        other.pop(chance.randrange(len(other)))
        other.insert(chance.randrange(len(other)), chance.randrange(5))
    assert len(align(one, other)) >= 99_990


def test_where_more_than_a_bound_differs_the_rest_is_aligned_all_the_same() -> None:
    chance = random.Random(0)
    one = [chance.randrange(2) for _ in range(3_000)]
    other = [chance.randrange(2) for _ in range(3_000)]
    pairs = align([*one, 7, 8, *one], [*other, 8, 7, *one])
    _check(pairs, [*one, 7, 8, *one], [*other, 8, 7, *one])
    assert len(pairs) > 3_000 + 2_000


@property_settings
@given(st.permutations(range(8)))
def test_the_most_rising_pairs_are_chosen(order: list[int]) -> None:
    chosen = rising(list(enumerate(order)))
    _check([(x, y) for x, y in chosen], order, list(range(8)))
    assert len(chosen) == _longest(tuple(order), tuple(range(8)))
