"""Objects made to hold what a structure says, in place."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import pytest

from opscope.ir.identities import Identities, objects_in
from opscope.ir.structure import take_apart
from opscope.ir.updates import update, with_kept_parts


class Leaf:
    """Stands for a tensor."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


@dataclass(eq=False)
class Layer:
    keys: Any = None
    values: Any = None
    config: Any = None


def is_leaf(part: Any) -> bool:
    return isinstance(part, Leaf)


def replayed(before: Any, change: Any, original: Any) -> Any:
    """Return ``original`` after what ``change`` does to ``before``, its leaves primed."""
    _, first = take_apart({"held": before}, is_leaf, keeps_parts=True)
    identities = Identities(first, {"held": before})
    change(before)
    leaves, after = take_apart(before, is_leaf, identities=identities)
    structure = with_kept_parts(after, first.children[0], identities, ("held",))
    objects: dict[Any, Any] = {way: own for way, own, _ in objects_in(first, {"held": original})}
    return update(structure, original, iter([Leaf(f"{leaf.name}'") for leaf in leaves]), objects)


def grow(held: list[Any]) -> None:
    held.append(Leaf("b"))


def fill(held: dict[str, Any]) -> None:
    del held["gone"]
    held["new"] = [Leaf("b"), 2]


def set_keys(held: list[Layer]) -> None:
    held[0].keys = Leaf("k")
    held.append(Layer(keys=Leaf("k2"), values=3))


def test_a_list_grows() -> None:
    original = [Leaf("a")]
    assert replayed([Leaf("a")], grow, original) is original
    assert repr(original) == "[a', b']"


def test_a_dictionary_loses_and_gets_keys() -> None:
    original = {"gone": 1, "kept": Leaf("a"), "plain": 5}
    before = {"gone": 1, "kept": Leaf("a"), "plain": 5}
    assert replayed(before, fill, original) is original
    assert repr(original) == "{'kept': a', 'plain': 5, 'new': [b', 2]}"


def test_objects_stay_themselves_and_keep_what_the_run_left_alone() -> None:
    ours, theirs = object(), object()
    layer = Layer(config=ours)
    original = [layer]
    assert replayed([Layer(config=theirs)], set_keys, original) is original
    first, second = original
    assert first is layer
    assert repr(first.keys) == "k'"
    assert first.config is ours
    assert (repr(second.keys), second.values, second.config) == ("k2'", 3, None)


def test_attributes_that_are_gone_go() -> None:
    def change(held: dict[str, Layer]) -> None:
        del held["layer"].values

    original = {"layer": Layer(Leaf("k"), 1)}
    replayed({"layer": Layer(Leaf("k"), 1)}, change, original)
    assert vars(original["layer"]).keys() == {"keys", "config"}


@pytest.mark.parametrize("class_", [OrderedDict, type("Mine", (dict,), {})])
def test_dictionaries_of_other_classes(class_: Any) -> None:
    def change(held: Any) -> None:
        held["b"] = Leaf("b")
        del held["a"]

    original = class_(a=Leaf("a"))
    assert replayed(class_(a=Leaf("a")), change, original) is original
    assert repr(dict(original)) == "{'b': b'}"


def test_a_tuple_is_made_anew_only_if_a_part_of_it_is_another_object() -> None:
    inner: list[Any] = []
    original = (inner, 1)

    def change(held: tuple[list[Any], int]) -> None:
        held[0].append(Leaf("a"))

    assert replayed(([], 1), change, original) is original
    assert repr(original) == "([a'], 1)"


def test_a_plain_number_that_changed_is_set_and_one_that_did_not_is_left() -> None:
    def change(held: dict[str, Any]) -> None:
        held["count"] = 2
        held["x"] = Leaf("x")

    original = {"count": 1, "rate": 0.5}
    replayed({"count": 1, "rate": 0.5}, change, original)
    assert original["count"] == 2
    assert original["rate"] == 0.5
