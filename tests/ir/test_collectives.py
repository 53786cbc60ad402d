"""What graphs tell of communication without torch."""

from __future__ import annotations

from fractions import Fraction

import pytest

from opscope.errors import ParseError
from opscope.ir import GroupType, parse, parse_type
from opscope.ir.collectives import CollectiveKind, collectives

TEXT = """
graph step(%x : f32[8, 4], %part : f32[2, 4]) -> (f32[8, 4]):
  constant %process_group.0 : group[0:4]{nccl, rank=1}, %process_group.7 : group[1, 3]{nccl, rank=1},
      %ReduceOp : object
  [%0 : f32[8, 4]], %1 : object = c10d::allreduce_([%x], %process_group.0, %ReduceOp, None)
  prim::wait(%1)
  %2 : f32[2, 4], %3 : object = c10d::_reduce_scatter_base_(%part, %x, %process_group.0, %ReduceOp)
  %4 : f32[4, 4] = _c10d_functional::all_gather_into_tensor(%part, 2, "7")
  %5 : object = c10d::gather_([], [%part], %process_group.0, 0)
  %6 : object = c10d::barrier(%x, %process_group.0, [])
  %7 : f32[8, 4] = _c10d_functional::all_reduce(%x, "sum", "unknown")
  return (%7)
"""


def test_each_collective_has_its_group_its_message_and_what_is_sent_of_it() -> None:
    found = collectives(parse(TEXT).walk())
    assert [(c.kind.value, c.group, c.message_bytes, c.sent_bytes) for c in found] == [
        ("all-reduce", "process_group.0", 128, 192),
        ("reduce-scatter", "process_group.0", 128, 96),
        ("all-gather", "process_group.7", 64, 32),
        ("gather", "process_group.0", 128, 96),
        ("barrier", "process_group.0", 0, 0),
        ("all-reduce", "", 128, None),
    ]


@pytest.mark.parametrize(
    ("kind", "size", "share"),
    [
        (CollectiveKind.ALL_REDUCE, 1, Fraction(0)),
        (CollectiveKind.ALL_REDUCE, 8, Fraction(7, 4)),
        (CollectiveKind.ALL_GATHER, 8, Fraction(7, 8)),
        (CollectiveKind.REDUCE_SCATTER, 1024, Fraction(1023, 1024)),
        (CollectiveKind.BROADCAST, 1, Fraction(0)),
        (CollectiveKind.BROADCAST, 8, Fraction(1)),
        (CollectiveKind.BARRIER, 8, Fraction(0)),
    ],
)
def test_what_a_process_sends_at_least(kind: CollectiveKind, size: int, share: Fraction) -> None:
    assert kind.sent_share(size) == share


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (GroupType((0,), 0), "group[0]{rank=0}"),
        (GroupType((0, 1), 1, "gloo"), "group[0, 1]{gloo, rank=1}"),
        (GroupType(tuple(range(1024)), 3, "nccl"), "group[0:1024]{nccl, rank=3}"),
        (GroupType(tuple(range(3, 1024, 8)), 3, "nccl"), "group[3:1020:8]{nccl, rank=3}"),
        (GroupType((5, 4, 3), 4), "group[5, 4, 3]{rank=4}"),
        (GroupType((0, 1, 2, 7, 9, 11), 7), "group[0:3, 7:12:2]{rank=7}"),
        (GroupType((0,), 0, "cpu:gloo,cuda:nccl"), 'group[0]{"cpu:gloo,cuda:nccl", rank=0}'),
    ],
)
def test_groups_are_types_that_text_holds_whole(type_: GroupType, text: str) -> None:
    assert str(type_) == text
    assert parse_type(text) == type_


@pytest.mark.parametrize(
    "text", ["group", "group[0]", "group[x]{rank=0}", "group[0:99999999]{rank=0}"]
)
def test_what_is_no_group_is_an_error(text: str) -> None:
    with pytest.raises(ParseError, match="write a group as"):
        parse_type(text)
