"""Nested objects are taken apart into leaves and a structure, and put together again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from opscope.errors import CaptureError
from opscope.ir.structure import Structure, is_plain_container, take_apart


class Leaf:
    """Stands for a tensor; compared by identity."""


def apart(whole: Any) -> tuple[list[Any], Structure]:
    return take_apart(whole, lambda part: isinstance(part, Leaf))


class Pair(NamedTuple):
    one: Any
    two: Any


@dataclass(frozen=True)
class Frozen:
    value: Any
    note: str = "note"


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass
class Output(OrderedDict[str, Any]):
    """A dictionary whose items are its attributes too."""

    logits: Any = None
    extra: Any = None
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("logits", "extra"):
            if getattr(self, name) is not None:
                self[name] = getattr(self, name)


A, B = Leaf(), Leaf()


@pytest.mark.parametrize(
    ("whole", "paths"),
    [
        (A, ["x"]),
        ((A, [B, 3]), ["x[0]", "x[1][0]"]),
        ({"a": A, 2: (B,)}, ["x['a']", "x[2][0]"]),
        ({"a": A, object(): B}, ["x['a']", "x[key 1]"]),
        (Pair(A, {"b": B}), ["x.one", "x.two['b']"]),
        (Frozen([A]), ["x.value[0]"]),
        (Slotted(A), ["x.value"]),
        (
            SimpleNamespace(layers=[SimpleNamespace(keys=A, values=B)]),
            ["x.layers[0].keys", "x.layers[0].values"],
        ),
        (Output(logits=A), ["x['logits']"]),
        ([[], (), {}, None, "text"], []),
    ],
)
def test_leaves_paths_and_the_way_back(whole: Any, paths: list[str]) -> None:
    leaves, structure = apart(whole)
    assert structure.leaf_paths("x") == paths
    assert len(structure.leaf_paths()) == len(leaves)
    again = structure.build(leaves)
    assert type(again) is type(whole)
    assert apart(again)[0] == leaves
    assert apart(again)[1].leaf_paths("x") == paths


def test_attributes_that_mirror_items_are_one_leaf_and_stay_mirrors() -> None:
    leaves, structure = apart(Output(logits=A, extra=(B,)))
    assert leaves == [A, B]
    again = structure.build([B, A])
    assert again.logits is B
    assert again["logits"] is B
    assert again.extra is again["extra"]
    assert again.extra == (A,)


def test_objects_without_leaves_are_passed_on_as_they_are() -> None:
    config = SimpleNamespace(width=3)
    leaves, structure = apart({"config": config, "x": A})
    assert structure.build(leaves)["config"] is config


def test_plain_containers_are_made_anew() -> None:
    whole: dict[str, Any] = {"rest": [], "x": A}
    leaves, structure = apart(whole)
    structure.build(leaves)["rest"].append(1)
    assert structure.build(leaves)["rest"] == []


def test_a_set_of_leaves_is_refused() -> None:
    with pytest.raises(CaptureError, match="a set of tensors"):
        apart({A, B})


def test_an_object_that_contains_itself_is_refused_only_if_it_holds_leaves() -> None:
    loop = SimpleNamespace(note="none")
    loop.itself = loop
    assert apart(loop)[1].build([]) is loop
    loop.x = A
    with pytest.raises(CaptureError, match="SimpleNamespace holds tensors and itself"):
        apart(loop)


def test_plain_containers_are_no_more_than_their_parts() -> None:
    class Named(list[int]):
        pass

    for plain in ([], (), {}, Pair(1, 2)):
        assert is_plain_container(plain)
    for other in (Named(), OrderedDict(), SimpleNamespace(), "text", None, {1}):
        assert not is_plain_container(other)


def test_a_structure_shows_as_python_would_with_stars_for_leaves() -> None:
    _, structure = apart({"p": Pair(Leaf(), 3), "l": [Leaf(), (Leaf(),)], 7: None})
    assert repr(structure) == "{'p': Pair(one=*, two=3), 'l': [*, (*,)], 7: None}"
