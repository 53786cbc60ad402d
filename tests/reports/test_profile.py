"""What a profile and statistics show of times and numbers that are given."""

from __future__ import annotations

import pytest

from opscope import Profile, ReportError, Statistics
from opscope.ir import parse
from opscope.ir.numbers import Numbers
from opscope.reports.units import duration_text

NET = """
    graph Net(%x : f32[8, 4]) -> (f32[8, 4]):
      state %fc.weight : f32[4, 4], %fc.bias : f32[4]
      %h : f32[8, 4] = aten::linear(%x, %fc.weight, %fc.bias)  # net.py:3 fc (Linear)
      %y : f32[8, 4] = aten::relu(%h)  # net.py:4 act (ReLU)
      %z : f32[8, 4] = aten::log(%y)  # net.py:5 act (ReLU)
      return (%z)
"""


def profile() -> Profile:
    graph = parse(NET)
    return Profile(graph, dict(zip(graph.block, (3e-6, 0.9e-6, 0.1e-6), strict=True)), 7)


def test_times_by_module() -> None:
    assert (
        f"\n{profile()}"
        == """
Net: 4 µs

Module        Time      %           FLOPs  FLOP/s  Moved  Moved/s
─────────────────────────────────────────────────────────────────
Net           4 µs  100.0 ████████    256    64 M  848 B  202 MiB
├ fc  Linear  3 µs   75.0 ██████      256  85.3 M  336 B  107 MiB
└ act  ReLU   1 µs   25.0 ██            –       –  512 B  488 MiB
─────────────────────────────────────────────────────────────────
Times    medians of 7 runs after a first one, node by node
Slowest  3 µs aten::linear, net.py:3, fc
         900 ns aten::relu, net.py:4, act
         100 ns aten::log, net.py:5, act
"""
    )


def test_times_by_operator_are_in_order_and_cut_off() -> None:
    table = profile().table(by="operator", top=2).splitlines()
    assert [line.split()[:4] for line in table[4:8]] == [
        ["Net", "3", "4", "µs"],
        ["├", "linear", "1", "3"],
        ["├", "relu", "1", "900"],
        ["└", "…", "1", "more"],
    ]


def test_a_program_without_nodes_has_a_profile() -> None:
    graph = parse("graph Empty(%x : f32[2]) -> (f32[2]):\n  return (%x)")
    assert str(Profile(graph, {}, 1)).startswith("Empty: 0 ns\n")


def test_options_are_those_of_a_summary() -> None:
    with pytest.raises(ReportError, match="a summary is by module, line, operator, not by 'day'"):
        profile().table(by="day")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ns"),
        (4.2e-10, "0.42 ns"),
        (9.996e-7, "1 µs"),
        (1.25e-5, "12.5 µs"),
        (0.0034, "3.4 ms"),
        (61.0, "61 s"),
        (1234.4, "1234 s"),
    ],
)
def test_times_have_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_statistics_show_the_largest_and_what_went_wrong_first() -> None:
    graph = parse(NET)
    linear, relu, log = graph.block
    (x,) = graph.inputs
    numbers = {
        linear: Numbers(32, 0.5, 1.25, 3.0, 0, 0),
        relu: Numbers(32, 0.25, 0.5, 4.0, 0, 0),
        log: Numbers(32, None, None, None, 3, 1),
    }
    statistics = Statistics(graph, numbers, {x: Numbers(32, None, None, None, 0, 1)})
    assert statistics.first_nonfinite is log
    assert statistics.first_nan is log
    assert statistics.absmax == {linear: 3.0, relu: 4.0}
    assert (
        f"\n{statistics}"
        == """
Net: the largest numbers of one run

Value                        mean   std  absmax
───────────────────────────────────────────────
%y = aten::relu  net.py:4    0.25   0.5       4
%h = aten::linear  net.py:3   0.5  1.25       3
───────────────────────────────────────────────
Nodes       3 made floating-point numbers
Given       %x holds 1 infinite of 32 numbers
Not finite  1 node made NaN, 1 node made infinities; mean, std and absmax leave
            1 node out
First       %z : f32[8, 4] = aten::log(%y) made 3 NaN and 1 infinite of 32
            numbers, net.py:5, in act
"""
    )


def test_hostile_names_stay_on_their_line() -> None:
    graph = parse(
        'graph G(%x : f32[2]) -> (f32[2]):\n  %"</script>\\n%y" : f32[2] = aten::exp(%x)'
        '  # "a b:\\n.py":3 m%2F<\n  return (%"</script>\\n%y")'.replace(" m%2F<", " m%2F")
    )
    (node,) = graph.block
    statistics = Statistics(graph, {node: Numbers(2, None, None, None, 1, 0)}, {})
    assert "made 1 NaN" in " ".join(str(statistics).split())
    html = statistics._repr_html_()
    assert "<script" not in html
    assert "</script>" not in html
