"""What a program puts into its arguments, a replay puts into its own."""

import copy
from typing import Any

import pytest
import torch

import opscope

X = torch.ones(2)


class Layer:
    def __init__(self) -> None:
        self.keys: torch.Tensor | None = None

    def grow(self, x: torch.Tensor) -> torch.Tensor:
        self.keys = x if self.keys is None else torch.cat([self.keys, x])
        return self.keys


class Cache:
    def __init__(self, layers: int = 2) -> None:
        self.layers = [Layer() for _ in range(layers)]


def attend(x: torch.Tensor, cache: Cache) -> tuple[torch.Tensor, Cache]:
    for layer in cache.layers:
        x = layer.grow(x * 2).sum() + x
    return x, cache


def held(cache: Cache) -> list[Any]:
    return [None if layer.keys is None else layer.keys.tolist() for layer in cache.layers]


def test_a_cache_that_is_passed_in_grows_at_each_replay() -> None:
    begun, ours, theirs = Cache(), Cache(), Cache()
    for cache in (begun, ours, theirs):
        attend(X, cache)
    traced = opscope.trace(attend, (X, begun), strict=True)
    for step in range(4):
        x = torch.full((3,), float(step))
        (result, returned), (expected, _) = traced(x, ours), attend(x, theirs)
        assert torch.equal(result, expected)
        assert returned is ours
        assert held(ours) == held(theirs)


def test_a_cache_is_filled_by_a_program_that_was_traced_with_an_empty_one() -> None:
    traced = opscope.trace(attend, (X, Cache()), strict=True)
    ours, theirs = Cache(), Cache()
    layers = list(ours.layers)
    x = torch.randn(5)
    assert torch.equal(traced(x, ours)[0], attend(x, theirs)[0])
    assert held(ours) == held(theirs)
    assert all(one is other for one, other in zip(ours.layers, layers, strict=True))
    with pytest.raises(opscope.InputError, match=r"cache\.layers\[0\]\.keys"):
        traced(x, ours)  # which is empty no more


def test_numbers_are_set_and_a_replay_holds_for_those_that_it_began_with() -> None:
    def program(x: torch.Tensor, seen: dict[str, Any]) -> None:
        seen["x"] = x
        seen["count"] += x.shape[0]

    seen = {"count": 1}
    traced = opscope.trace(program, (X, seen), strict=True)
    assert type(seen["count"]) is int
    ours = {"count": 1}
    traced(torch.ones(4), ours)
    assert ours["count"] == 5
    with pytest.raises(opscope.InputError, match=r"count.* was 1"):
        traced(X, {"count": 5})


def test_containers_of_all_kinds() -> None:
    def program(
        x: torch.Tensor, seen: list[Any], found: dict[str, Any], pair: tuple[list[Any], int]
    ) -> None:
        seen.append(x + 1)
        seen[0] = x * 2
        found.pop("old")
        found["new"] = seen[0]
        pair[0].insert(0, x.shape[0])

    def arguments() -> tuple[Any, ...]:
        return torch.arange(4.0), [torch.zeros(1)], {"old": 1}, ([5], 1)

    traced = opscope.trace(program, arguments(), strict=True)
    ours, theirs = arguments(), arguments()
    traced(*ours)
    program(*theirs)
    assert repr(ours) == repr(theirs)
    assert ours[1][0] is ours[2]["new"]
    assert list(traced.updates) == ["seen", "found", "pair"]


def test_arguments_by_name_and_beyond_the_signature() -> None:
    def program(*parts: Any, **options: Any) -> None:
        parts[1]["y"] = parts[0] + 1
        options["out"].append(parts[0] * 2)

    traced = opscope.trace(program, (X, {}), {"out": []}, strict=True)
    first: dict[str, Any] = {}
    out: list[Any] = []
    traced(X * 3, first, out=out)
    assert first["y"].tolist() == [4.0, 4.0]
    assert out[0].tolist() == [6.0, 6.0]


def test_a_functional_graph_changes_its_arguments_as_well() -> None:
    def program(x: torch.Tensor, cache: dict[str, torch.Tensor]) -> torch.Tensor:
        cache["a"].add_(1)
        cache["b"] = cache["a"] * x
        return x + 1

    def cache() -> dict[str, torch.Tensor]:
        return {"a": torch.ones(2)}

    traced = opscope.trace(program, (X, cache()), strict=True, force_outplace=True)
    ours, theirs = cache(), cache()
    x = torch.full((2,), 3.0)
    assert torch.equal(traced(x, ours), program(x, theirs))
    assert repr(ours) == repr(theirs)


def test_a_program_that_is_called_inside_another_changes_what_it_is_given() -> None:
    inner = opscope.trace(attend, (X, Cache()), strict=True)

    def program(x: torch.Tensor) -> torch.Tensor:
        cache = Cache()
        inner(x, cache)
        keys = cache.layers[1].keys
        assert keys is not None
        return keys + 1

    traced = opscope.trace(program, (X,), strict=True)
    x = torch.randn(2)
    assert torch.equal(traced(x), program(x))


def test_a_check_compares_what_arguments_hold_afterwards() -> None:
    def program(x: torch.Tensor, found: dict[str, Any]) -> torch.Tensor:
        found["y"] = x + 1
        return x * 2

    traced = opscope.trace(program, (X, {}), strict=True)
    traced.check((X, {}))
    traced.updates.clear()
    with pytest.raises(opscope.CheckError, match="what it is called with"):
        traced.check((X, {}))


def test_what_cannot_be_put_back_is_told() -> None:
    def program(x: torch.Tensor, found: set[Any]) -> torch.Tensor:
        found.add(x)
        return x + 1

    (diagnostic,) = opscope.trace(program, (X, set()), warn=False).diagnostics
    assert diagnostic.kind is opscope.DiagnosticKind.CHANGED_OBJECT


def test_an_object_without_attributes_is_watched() -> None:
    class Bare:
        pass

    def program(x: torch.Tensor, bare: Any) -> torch.Tensor:
        bare.scale = 2.0
        return x + 1

    (diagnostic,) = opscope.trace(program, (X, Bare()), warn=False).diagnostics
    assert "bare.scale is new: 2.0" in diagnostic.message


class Part:
    """Something with attributes."""


def swaps(x: torch.Tensor, found: dict[str, Any]) -> None:
    found["a"], found["b"] = found["b"], found["a"]
    found["a"].append(x)


def rotates(x: torch.Tensor, found: dict[str, Any]) -> Any:
    first = found["a"].pop(0)
    found["a"].append([x + 1])
    return first


def puts_one_into_another(x: torch.Tensor, found: dict[str, Any], more: list[Any]) -> None:
    found["more"] = more
    more.append(x * 2)


def takes_a_part(x: torch.Tensor, found: dict[str, Any]) -> Any:
    found["a"].append([x])
    return found["a"], found["b"]


def makes_one_for_two_places(x: torch.Tensor, found: dict[str, Any]) -> Any:
    made = Part()
    made.x = x + 1  # type: ignore[attr-defined]
    found["one"] = found["two"] = made
    return made


def returns_what_it_leaves_alone(x: torch.Tensor, found: dict[str, Any]) -> Any:
    found["a"][0][0].add_(x.sum())
    return x, found["a"]


def returns_one_list_twice(x: torch.Tensor, found: dict[str, Any]) -> Any:
    made = [x]
    return made, made


def puts_last(x: torch.Tensor, found: dict[str, Any]) -> None:
    found["a"] = found.pop("a")


def held_by(whole: Any, known: dict[int, int]) -> Any:
    """Return what an object holds, with a number for each object that is not plain."""
    if isinstance(whole, torch.Tensor):
        return whole.tolist()
    if whole is None:
        return None
    if isinstance(whole, tuple):
        return tuple([held_by(part, known) for part in whole])
    if id(whole) in known:
        return known[id(whole)]
    known[id(whole)] = len(known)
    if isinstance(whole, list):
        return [known[id(whole)], *(held_by(part, known) for part in whole)]
    items = whole if isinstance(whole, dict) else vars(whole)
    return known[id(whole)], [(key, held_by(part, known)) for key, part in items.items()]


@pytest.mark.parametrize(
    "program",
    [
        swaps,
        rotates,
        puts_one_into_another,
        takes_a_part,
        makes_one_for_two_places,
        returns_what_it_leaves_alone,
        returns_one_list_twice,
        puts_last,
    ],
)
def test_objects_are_where_the_program_leaves_them(program: Any) -> None:
    def arguments(scale: float) -> tuple[Any, ...]:
        found = {"a": [[torch.ones(1) * scale], [torch.ones(2)]], "b": [torch.ones(3)]}
        more = ([torch.ones(4)],) if program is puts_one_into_another else ()
        return X * scale, found, *more

    def parts(args: tuple[Any, ...]) -> tuple[Any, ...]:
        return args[1], *args[1]["a"], args[1]["b"], *args[2:]

    traced = opscope.trace(program, arguments(1), strict=True)
    for scale in (2.0, 3.0):
        ours, theirs = arguments(scale), arguments(scale)
        # What was there before comes first, so that an object counts as itself.
        both = [
            held_by((parts(args), run(*args), args), {})
            for run, args in ((traced, ours), (program, theirs))
        ]
        assert both[0] == both[1]


def test_a_cache_that_loses_its_tensors_is_emptied() -> None:
    def program(x: torch.Tensor, cache: Cache) -> torch.Tensor:
        for layer in cache.layers:
            layer.keys = None
        return x + 1

    def arguments() -> tuple[Any, ...]:
        cache = Cache()
        attend(X, cache)
        return X, cache

    traced = opscope.trace(program, arguments(), strict=True)
    ours = arguments()
    traced(*ours)
    assert held(ours[1]) == [None, None]


def test_what_holds_nothing_but_objects_of_the_arguments() -> None:
    def program(x: torch.Tensor, found: dict[str, Any]) -> Any:
        found["pair"] = (found["a"], found.pop("b"))
        found["x"] = x
        return copy.copy(found["c"]), (found["a"],)

    def arguments() -> tuple[Any, ...]:
        part = Part()
        part.own = []  # type: ignore[attr-defined]
        return X, {"a": [], "b": [], "c": part}

    traced = opscope.trace(program, arguments(), strict=True)
    x, found = arguments()
    a, b, part = found.values()
    copied, one = traced(x, found)
    assert one[0] is a
    assert found["pair"][0] is a
    assert found["pair"][1] is b
    assert found["c"] is part
    assert copied is not part
    assert copied.own is part.own


def test_what_has_no_tensors_may_stand_in_two_places() -> None:
    def program(x: torch.Tensor, found: dict[str, Any]) -> None:
        inner, outer = Part(), Part()
        outer.inner = inner  # type: ignore[attr-defined]
        found["outer"], found["inner"], found["x"] = outer, inner, x

    traced = opscope.trace(program, (X, {}), strict=True)
    ours: dict[str, Any] = {}
    traced(X, ours)
    assert ours["outer"].inner is ours["inner"]


def test_what_the_program_makes_is_made_anew_at_each_replay() -> None:
    def program(x: torch.Tensor, found: dict[str, Any]) -> None:
        found["x"] = x
        found["lengths"] = []

    traced = opscope.trace(program, (X, {}), strict=True)
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    traced(X, first)
    first["lengths"].append(1)
    traced(X, second)
    assert second["lengths"] == []


def test_an_attribute_with_a_slot_is_deleted() -> None:
    class Slotted:
        __slots__ = ("keys", "values")

        def __init__(self) -> None:
            self.keys = torch.ones(1)

    def program(x: torch.Tensor, slotted: Slotted) -> None:
        slotted.values = x + 1  # type: ignore[misc]
        del slotted.keys

    traced = opscope.trace(program, (X, Slotted()), strict=True)
    ours = Slotted()
    traced(X, ours)
    assert not hasattr(ours, "keys")


@pytest.mark.parametrize("at_trace", [True, False])
def test_one_object_in_two_places_is_not_two(at_trace: bool) -> None:
    def program(x: torch.Tensor, one: list[Any], other: list[Any]) -> torch.Tensor:
        one.append(x)
        return x + len(other)

    def arguments(are_one: bool) -> tuple[Any, ...]:
        one: list[Any] = []
        return X, one, one if are_one else []

    traced = opscope.trace(program, arguments(at_trace), strict=True)
    with pytest.raises(opscope.InputError, match="inputs one and other are"):
        traced(*arguments(not at_trace))
    ours, theirs = arguments(at_trace), arguments(at_trace)
    assert torch.equal(traced(*ours), program(*theirs))
    assert repr(ours) == repr(theirs)
