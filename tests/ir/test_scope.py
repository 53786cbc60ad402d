"""Scopes: their addresses, and the way back from an address to its scope."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscope.errors import IRError
from opscope.ir import Scope, ScopeKind
from opscope.ir.scope import ADDRESS, ScopeTable, escape_step, unescape_step
from support.random_graphs import property_settings, scope_trees

MODULE, FUNCTION, OPERATOR = ScopeKind.MODULE, ScopeKind.FUNCTION, ScopeKind.OPERATOR


def test_addresses_lead_from_the_root() -> None:
    root = Scope.root()
    block = Scope(root, MODULE, "layers.0", "Block", call=2)
    norm = Scope(block, MODULE, "norm")
    attend = Scope(block, FUNCTION, "attend")
    linear = Scope(attend, OPERATOR, "aten::linear", call=3)
    inner = Scope(attend, MODULE, "proj")
    assert [scope.address for scope in (root, block, norm, attend, linear, inner)] == [
        "",
        "layers.0#2",
        "layers.0#2.norm",
        "layers.0#2/attend()",
        "layers.0#2/attend()/aten::linear<operator>#3",
        "layers.0#2/attend()/proj",
    ]
    assert inner.path == "layers.0.proj"
    assert (inner.depth, [scope.name for scope in inner.chain()]) == (
        3,
        ["", "layers.0", "attend", "proj"],
    )
    assert (str(block), repr(block), repr(root)) == (
        "layers.0#2 (Block)",
        "<Scope layers.0#2 (Block)>",
        "<Scope root>",
    )


@given(st.text())
def test_any_name_is_escaped_without_blanks_and_read_back(name: str) -> None:
    step = escape_step(name)
    assert step
    assert not re.search(r"[\s/#()<>\"\\]", step)
    assert unescape_step(step) == name


@property_settings
@given(st.data())
def test_every_address_matches_its_pattern(data: st.DataObject) -> None:
    for scope in data.draw(scope_trees(Scope.root()))[1:]:
        assert re.fullmatch(ADDRESS, scope.address)


@property_settings
@given(st.data())
def test_the_table_gives_back_the_tree(data: st.DataObject) -> None:
    scopes = data.draw(scope_trees(Scope.root()))[1:]
    table = ScopeTable(Scope.root())
    for scope in scopes:
        parent = scope.parent
        assert parent is not None, "only the root, left out above, has no parent"
        if table.implies_parent(scope):
            made = table.at(scope.address, scope.class_name)
        else:
            made = table.below(table.at(parent.address), scope.address, scope.class_name)
        assert [(part.kind, part.name, part.call, part.class_name) for part in made.chain()] == [
            (part.kind, part.name, part.call, part.class_name) for part in scope.chain()
        ]
        assert table.at(scope.address) is made


@pytest.mark.parametrize(
    ("known", "address", "parent", "name"),
    [
        ([], "a.b.c", "", "a.b.c"),
        (["a"], "a.b.c", "a", "b.c"),
        (["a", "a.b"], "a.b.c", "a.b", "c"),
        (["a"], "ab.c", "", "ab.c"),
        (["a"], "a.b.c()", "", "a.b.c"),
        (["a"], "a/b.c()", "a", "b.c"),
        ([], "a#2.b", "a#2", "b"),
        (["a"], "a.b#2.c.d", "a.b#2", "c.d"),
        (["a.b#2.c"], "a.b#2.c.d", "a.b#2.c", "d"),
        ([], "f()/a.b", "f()", "a.b"),
        (["a"], ".a", "", ".a"),
        (["a"], "a..b", "a", ".b"),
    ],
)
def test_the_longest_known_part_is_the_parent(
    known: list[str], address: str, parent: str, name: str
) -> None:
    table = ScopeTable(Scope.root())
    for other in known:
        table.at(other)
    scope = table.at(address)
    assert scope.parent is not None
    assert (scope.parent.address, scope.name, scope.address) == (parent, name, address)


@pytest.mark.parametrize(
    "address", ["a(", "a()b", "a<root>", "a<module>", "a b", "a/", "%zz", "f().a"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(IRError, match=r"is not the address of a scope|is written"):
        ScopeTable(Scope.root()).at(address)


def test_one_address_has_one_class_and_one_parent() -> None:
    table = ScopeTable(Scope.root())
    scope = table.at("a.b", "Linear")
    other = table.at("a")
    assert table.at("a.b") is scope
    with pytest.raises(
        IRError, match=r"scope a\.b is of class Conv here but was given Linear before"
    ):
        table.at("a.b", "Conv")
    with pytest.raises(IRError, match=r"scope a\.b does not stand in a"):
        table.below(other, "a.b", "Linear")
    with pytest.raises(IRError, match="scope b does not stand in a"):
        table.below(other, "b")
