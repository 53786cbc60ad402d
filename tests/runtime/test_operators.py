"""What a replay runs and what a parsed graph says of it go together."""

import opscope
from opscope.ir import CALL, Effect
from opscope.ir.own_operators import OWN_OPERATORS, SET_ATTRIBUTES, WRAP
from opscope.runtime.operators import callable_of


def test_each_operator_of_ours_can_be_run() -> None:
    for name in OWN_OPERATORS:
        assert name == CALL or callable(callable_of(name))


def test_a_parsed_graph_knows_what_our_operators_do() -> None:
    text = """\
graph made(%part : f32[2]) -> (f32[2]):
  %whole : f32[2] = prim::wrap(None, ["part"], [%part], None, [2], [1])
  %named : f32[2] = prim::set_attributes(%whole, ["name"], ["whole"])
  prim::wait(%named)
  return (%named)
"""
    wrap, set_attributes, wait = opscope.parse(text).nodes()
    assert wrap.operator is WRAP
    assert set_attributes.operator is SET_ATTRIBUTES
    assert wait.operator.effects == Effect.WRITES
