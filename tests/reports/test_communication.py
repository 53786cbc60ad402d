"""What a summary says of communication: read from text, where torch is not needed."""

from __future__ import annotations

import json

import pytest

from opscope.ir import parse
from opscope.reports import summarize

TEXT = """
graph step(%x : f32[8, 4]) -> (f32[8, 4]):
  constant %process_group.0 : group[0:4]{nccl, rank=1}, %ReduceOp : object
  [%0 : f32[8, 4]], %1 : object = c10d::allreduce_([%x], %process_group.0, %ReduceOp, None)   # net.py:3 a (A)
  prim::wait(%1)                                                                              # net.py:3 a (A)
  %2 : f32[8, 4] = aten::neg(%0)                                                              # net.py:4 b (B)
  [%3 : f32[8, 4]], %4 : object = c10d::allreduce_([%2], %process_group.0, %ReduceOp, None)   # net.py:5 b (B)
  prim::wait(%4)                                                                              # net.py:5 b (B)
  %5 : object = c10d::barrier(%x, %process_group.0, [])                                       # net.py:6 b (B)
  return (%3)
"""


def test_messages_are_a_column_and_a_sentence() -> None:
    assert (
        str(summarize(parse(TEXT)))
        == """\
step: f32[8, 4] → f32[8, 4]

Module  Moved  Activations  Messages
────────────────────────────────────
step    896 B        128 B     256 B
├ a  A  256 B            –     128 B
└ b  B  640 B        128 B     128 B
────────────────────────────────────
Parameters  none
FLOPs       0 · a multiplication and an addition count as two
Moved       896 B read and written by operators
Messages    2 all-reduces of 256 B, 1 barrier in process_group.0 of 4 processes
            · each sends at least 384 B
Peak        128 B of results alive at once in a replay, at aten::neg, net.py:4 b
            (B) · with state and inputs 256 B
"""
    )


@pytest.mark.parametrize("by", ["module", "line", "operator"])
def test_every_grouping_has_them(by: str) -> None:
    summary = summarize(parse(TEXT), by=by, sort="messages")
    assert summary.message_bytes == 256
    assert sum(row["message_bytes"] for row in summary.rows if row["depth"] == 1) == 256


CALLS = """
graph step(%x : f32[8, 4]) -> (f32[8, 4]):
  constant %process_group.0 : group[0:4]{nccl, rank=1}
  %0 : f32[8, 4] = prim::call(@reduced, %x, %process_group.0)
  %1 : f32[8, 4] = prim::call(@reduced, %0, %process_group.0)
  return (%1)

function reduced(%y : f32[8, 4], %group : group[0:4]{nccl, rank=1}) -> (f32[8, 4]):
  constant %ReduceOp : object
  [%0 : f32[8, 4]], %1 : object = c10d::allreduce_([%y], %group, %ReduceOp, None)
  prim::wait(%1)
  return (%0)
"""


def test_messages_of_a_function_count_for_each_call() -> None:
    told = json.loads(summarize(parse(CALLS)).to_json())
    assert told["communication"] == [
        {
            "kind": "all-reduce", "group": "group", "processes": 4, "calls": 2,
            "message_bytes": 256, "sent_bytes": 384,
        },
    ]  # fmt: skip


def test_what_each_sends_is_left_out_where_a_group_is_not_known() -> None:
    summary = summarize(parse(TEXT.replace("group[0:4]{nccl, rank=1}", "object")))
    assert list(summary.communication.sentences()) == ["2 all-reduces of 256 B, 1 barrier"]
