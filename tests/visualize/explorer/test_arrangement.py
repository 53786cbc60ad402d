"""What is laid out: which edges there are between what is drawn, and where they cross borders."""

from collections.abc import Callable
from typing import Any

Browse = Callable[..., Any]

LAID_OUT = """
const session = new Session(program);
const letters = (text) => text.length * 6;
const arrangement = new Arrangement(session, letters);
"""
CHOICE = """
graph Net(%p : bool[], %x : f32[2]):
  %y : f32[2] = higher_order::cond(%p, %x)
    block0(%a : f32[2]):
      %b : f32[2] = aten::relu(%a)
      -> (%b)
    block1(%c : f32[2]):
      %d : f32[2] = aten::neg(%c)
      -> (%d)
  %z : f32[2] = aten::exp(%y)
  %w : f32[2] = aten::neg(%y)
  return (%z, %w)
"""


def test_what_either_block_gives_is_one_value_to_who_reads_it(browse: Browse) -> None:
    script = """
    session.foldAll();
    return arrangement.picture().edges.map((edge) => edge.count);
    """
    assert browse(LAID_OUT + script, CHOICE) == [1] * 6


def layers(count: int) -> str:
    """Return a chain of blocks of which each also gives something that goes out."""
    lines, last = [], "x"
    for number in range(count):
        scope = f"blocks.{number}"
        lines.append(f"  %k{number} : f32[2] = aten::neg(%{last})    # net.py:1 {scope}")
        lines.append(f"  %h{number} : f32[2] = aten::exp(%k{number})    # net.py:2 {scope}")
        last = f"h{number}"
    scopes = "\n".join(f"  scope blocks.{number} (Block)" for number in range(count))
    kept = ", ".join(f"%k{number}" for number in range(count))
    body = "\n".join(lines)
    return f"graph Net(%x : f32[2]):\n{scopes}\n{body}\n  return (%{last}, {kept})\n"


def test_a_run_that_shows_its_first_has_the_gates_of_one_turn(browse: Browse) -> None:
    script = """
    const branches = Array.from({ length: model.branchCount }, (_, b) => b);
    const run = branches.find((b) => model.kind(b) === 'repeat');
    session.setFold(run, 1);
    session.setFold(~model.itemsOf(run)[0], 1);
    const { gates, frameOf, edges } = arrangement.picture();
    const below = gates.filter((gate) => gate.y > frameOf.get(run).y + frameOf.get(run).height - 1);
    return [below.map((gate) => gate.title), below.map((gate) => gate.flows.length)];
    """
    titles, flows = browse(LAID_OUT + script, layers(5))
    assert titles == ["k0  2", "h0  2"]
    assert flows == [5, 1]  # all turns' values leave by them
