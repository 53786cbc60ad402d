"""What tests of passes are told when a pass does not keep what it promises."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

import opscope
from opscope import Graph, Pass, PassError, PassResult
from opscope.testing import check_pass, check_text

BEFORE = """
    graph(%x : f32[2]):
      %a : f32[2] = aten::relu(%x)
      %b : f32[2] = aten::relu(%a)
      return (%b)
"""
AFTER = """
    graph(%x : f32[2]):
      %b : f32[2] = aten::relu(%x)
      return (%b)
"""


@dataclass(frozen=True)
class _Pass(Pass):
    """Does what a function does that a test gives."""

    name: ClassVar[str] = "mine"

    change: Callable[[Graph], bool]

    def run(self, graph: Graph) -> PassResult:
        return PassResult(self.change(graph))


def _drop_first_of_two(graph: Graph) -> bool:
    first, *others = graph.walk()
    if not others:
        return False
    first.output.replace_all_uses_with(first.inputs[0])
    first.erase()
    return True


def test_a_pass_that_keeps_its_promises_gives_its_result() -> None:
    assert check_pass(_Pass(_drop_first_of_two), BEFORE, AFTER) == PassResult(True)


def test_another_text_than_expected_is_shown_as_a_difference() -> None:
    with pytest.raises(AssertionError) as caught:
        check_pass(_Pass(lambda graph: False), BEFORE, AFTER)
    assert str(caught.value) == (
        "what pass mine makes of the graph is not what was expected\n"
        "--- expected\n"
        "+++ found\n"
        "@@ -1,3 +1,4 @@\n"
        " graph graph(%x : f32[2]) -> (f32[2]):\n"
        "-  %b : f32[2] = aten::relu(%x)\n"
        "+  %a : f32[2] = aten::relu(%x)\n"
        "+  %b : f32[2] = aten::relu(%a)\n"
        "   return (%b)"
    )


def test_a_pass_that_hides_what_it_changed_is_found() -> None:
    def silently(graph: Graph) -> bool:
        _drop_first_of_two(graph)
        return False

    with pytest.raises(AssertionError, match="changed=False, and the graph is another than before"):
        check_pass(_Pass(silently), BEFORE, AFTER)


def test_a_pass_that_claims_a_change_is_found() -> None:
    with pytest.raises(AssertionError, match="changed=True, and the graph is the same as before"):
        check_pass(_Pass(lambda graph: True), AFTER, AFTER)


def test_a_pass_that_leaves_something_for_a_second_run_is_found() -> None:
    three = BEFORE.replace("return (%b)", "%c : f32[2] = aten::relu(%b)\n      return (%c)")
    two = three.replace("%a : f32[2] = aten::relu(%x)\n      ", "").replace("(%a)", "(%x)")
    with pytest.raises(AssertionError, match="pass mine finds something to do when it runs again"):
        check_pass(_Pass(_drop_first_of_two), three, two)


def test_a_pass_that_breaks_the_graph_is_named() -> None:
    def put_last_first(graph: Graph) -> bool:
        first, last = graph.walk()
        last.move_before(first)
        return True

    with pytest.raises(PassError, match="pass mine broke the graph"):
        check_pass(_Pass(put_last_first), BEFORE, AFTER)


def test_names_that_text_must_quote_are_compared_as_any_others() -> None:
    text = """
        graph(%"</script>\\n:" : f32[2]):
          %"ä \\"b\\"" : f32[2] = aten::relu(%"</script>\\n:")
          return (%"ä \\"b\\"")
    """
    check_text(opscope.parse(text), text)
    with pytest.raises(AssertionError, match="the graph is not what was expected"):
        check_text(opscope.parse(text), text.replace("</script>", "<script>"))
