"""A run that halts: where it does, what can be seen and replaced there, and what it gives in the end."""

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.exactness import assert_identical


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        attn = torch.softmax(self.q(x), -1)
        return attn @ x.t() @ x


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList([Attention(), Attention()])

    def forward(self, x: torch.Tensor) -> Any:
        for block in self.blocks:
            x = x + block(x)
        return x


@pytest.fixture
def x() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 4)


@pytest.fixture
def interpreter(x: torch.Tensor) -> opscope.Interpreter:
    return opscope.Interpreter(opscope.trace(Net(), x))


def line_of(text: str) -> str:
    lines = Path(__file__).read_text().splitlines()
    return f"{Path(__file__).name}:{next(n for n, line in enumerate(lines, 1) if text in line)}"


def test_a_run_from_halt_to_halt_gives_what_a_call_gives(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    stops = interpreter.stops(x)
    kinds = [stop.node.kind for stop in stops]
    assert kinds == [node.kind for node in interpreter.program.graph.block]
    assert_identical(stops.output, interpreter.program(x))


def test_an_operator_halts_before_each_of_its_nodes(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    interpreter.break_at(op="aten::softmax*")
    seen = [(stop.node.scope.address, stop.node.kind) for stop in interpreter.stops(x)]
    assert seen == [("blocks.0", "aten::softmax.int"), ("blocks.1", "aten::softmax.int")]


def test_a_scope_halts_where_it_is_entered(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    interpreter.break_at(scope="blocks.?")
    seen = [(stop.node.scope.path, stop.node.kind) for stop in interpreter.stops(x)]
    assert seen == [("blocks.0.q", "aten::linear"), ("blocks.1.q", "aten::linear")]


def test_a_line_halts_each_time_the_run_comes_to_it(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    interpreter.break_at(line=line_of("return attn @ x.t() @ x"))
    kinds = [stop.node.kind for stop in interpreter.stops(x)]
    assert kinds == [interpreter.program.graph.nodes(op="aten::t")[0].kind] * 2


def test_a_line_in_a_loop_of_its_own_halts_in_every_turn() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = x * 2 + 1
        return x

    interpreter = opscope.Interpreter(opscope.trace(program, torch.ones(2)))
    interpreter.break_at(line=line_of("x = x * 2 + 1"))
    seen = [stop.node.kind for stop in interpreter.stops(torch.ones(2))]
    assert seen == ["aten::mul.Tensor"] * 3


def test_all_of_a_breakpoint_must_hold(interpreter: opscope.Interpreter, x: torch.Tensor) -> None:
    interpreter.break_at(op="aten::softmax*", scope="blocks.1")
    assert [stop.node.scope.address for stop in interpreter.stops(x)] == ["blocks.1"]
    with pytest.raises(opscope.ReplayError) as raised:
        interpreter.break_at(op="aten::softmax*", line=line_of("return attn @ x.t() @ x"))
    assert "no node of which all of this holds: op='aten::softmax*', line=" in str(raised.value)


def test_breakpoints_add_up_and_are_forgotten(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    interpreter.break_at(op="aten::softmax*").break_at(scope="blocks.1.q")
    kinds = [stop.node.kind for stop in interpreter.stops(x)]
    assert kinds == ["aten::softmax.int", "aten::linear", "aten::softmax.int"]
    interpreter.clear()
    assert len(list(interpreter.stops(x))) == len(interpreter.program.graph.block)


def test_values_are_read_by_name(interpreter: opscope.Interpreter, x: torch.Tensor) -> None:
    interpreter.break_at(op="aten::matmul", scope="blocks.0")
    stop = next(interpreter.stops(x))
    function = interpreter.program.function  # type: ignore[union-attr]
    assert torch.equal(stop.values["%attn"], torch.softmax(function.blocks[0].q(x), -1))
    assert stop.values["%blocks.0.q.weight"] is function.blocks[0].q.weight
    assert stop.values["%x"] is x
    assert "%attn" in stop.values
    assert "%nothing" not in stop.values


def test_a_value_that_is_replaced_is_read_by_what_follows(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    function = interpreter.program.function  # type: ignore[union-attr]
    interpreter.break_at(op="aten::matmul", scope="blocks.1")
    stops = interpreter.stops(x)
    for stop in stops:
        for name in [name for name in stop.values if name.startswith("%attn")]:
            stop.replace(name, torch.zeros(3, 4))
    assert torch.equal(stops.output, x + function.blocks[0](x))


def test_what_is_put_in_must_be_like_what_it_replaces(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    stop = next(interpreter.stops(x))
    with pytest.raises(opscope.ReplayError) as raised:
        stop.replace("%x", torch.zeros(2, 4))
    assert str(raised.value) == (
        "%x is torch.float32 [3, 4] on cpu here, and what is given is torch.float32 [2, 4] on cpu\n"
        "  a trace holds for tensors like those that it saw"
    )
    with pytest.raises(opscope.ReplayError, match="is a tensor, for which 3 cannot stand"):
        stop.replace("%x", 3)


def test_a_step_runs_one_node_and_returns_what_it_made(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    interpreter.break_at(op="aten::softmax*")
    stops = interpreter.stops(x)
    stop = next(stops)
    before = stop.node
    made = stop.step()
    assert list(made) == ["%attn"]
    assert stop.node is before.next
    assert torch.equal(made["%attn"].sum(-1), stop.values["%attn"].sum(-1))
    while not stop.is_over:
        stop.step()
    assert_identical(stops.output, interpreter.program(x))
    assert list(stops) == []


def test_names_that_are_not_there_say_why(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    interpreter.break_at(op="aten::softmax*", scope="blocks.1")
    stop = next(interpreter.stops(x))
    with pytest.raises(KeyError) as raised:
        stop.values["%attn"]
    assert isinstance(raised.value, opscope.ReplayError)
    assert str(raised.value).startswith("%attn is not alive here\n  it went when ")
    assert "aten::matmul(%attn," in str(raised.value)
    with pytest.raises(opscope.ReplayError, match="which has not run yet"):
        stop.values["%attn.1"]
    with pytest.raises(
        opscope.ReplayError, match="has no value %atn\n  there are, for example, %att"
    ):
        stop.values["%atn"]


def test_a_stop_shows_the_node_and_the_users_line(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    interpreter.break_at(op="aten::softmax*")
    stop = next(interpreter.stops(x))
    first, place, line, mark = str(stop).splitlines()
    assert first.startswith("before %attn : f32[3, 4]{grad} = aten::softmax.int(%")
    assert line_of("attn = torch.softmax(self.q(x), -1)") in place
    assert place.endswith("in Attention.forward, scope blocks.0")
    assert line == "    attn = torch.softmax(self.q(x), -1)"
    assert mark.strip("^ ") == ""


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"scope": "block.0"}, "has no scope block.0\n  there are, for example, blocks.0"),
        ({"op": "aten::softmx"}, "runs no aten::softmx\n  there are, for example, aten::softmax"),
        ({"line": "nowhere"}, "'nowhere' is no source line"),
        ({}, "a breakpoint needs a scope, an op or a line"),
    ],
)
def test_a_breakpoint_that_holds_nowhere_is_an_error(
    interpreter: opscope.Interpreter, asked: Any, message: str
) -> None:
    with pytest.raises(opscope.ReplayError) as raised:
        interpreter.break_at(**asked)
    assert message in str(raised.value)


def test_there_is_no_output_before_the_end(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    stops = interpreter.stops(x)
    stop = next(stops)
    with pytest.raises(opscope.ReplayError, match="has not come to its end"):
        _ = stops.output
    stops.close()
    assert list(stops) == []
    with pytest.raises(opscope.ReplayError, match="the run is over"):
        stop.step()


def test_a_run_that_fails_is_over() -> None:
    traced = opscope.trace(lambda x: torch.linalg.inv(x) + 1, torch.eye(2))
    stops = opscope.Interpreter(traced).stops(torch.zeros(2, 2))
    with pytest.raises(RuntimeError, match="singular"):
        list(stops)
    assert list(stops) == []


def test_a_run_that_is_let_go_of_frees_what_it_holds(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    before = torch.is_grad_enabled()
    for stop in interpreter.stops(x):
        assert stop.values
        break
    del stop
    gc.collect()
    assert torch.is_grad_enabled() is before


def test_nodes_of_a_block_halt_before_the_node_that_runs_it() -> None:
    def program(x: torch.Tensor) -> Any:
        y = x + 1
        return torch.cond(x.sum() > 0, lambda y: y.sin(), lambda y: y.cos(), (y,))

    interpreter = opscope.Interpreter(opscope.trace(program, torch.ones(2)))
    interpreter.break_at(op="aten::cos")
    assert [s.node.kind for s in interpreter.stops(torch.ones(2))] == ["higher_order::cond"]


def test_passes_between_runs_are_followed(
    interpreter: opscope.Interpreter, x: torch.Tensor
) -> None:
    interpreter.break_at(op="aten::softmax*")
    interpreter.program.apply("cse", "dce")
    assert len(list(interpreter.stops(x))) == 2


def test_a_loaded_program_halts_too(
    interpreter: opscope.Interpreter, x: torch.Tensor, tmp_path: Path
) -> None:
    traced = interpreter.program
    loaded = opscope.Interpreter(opscope.load(traced.save(tmp_path / "net.opscope")))
    loaded.break_at(line=line_of("return attn @ x.t() @ x"))
    stops = loaded.stops(x)
    assert len(list(stops)) == 2
    assert torch.equal(stops.output, traced(x))


def test_a_run_inside_a_trace_is_refused(interpreter: opscope.Interpreter, x: torch.Tensor) -> None:
    def outer(x: torch.Tensor) -> Any:
        return list(interpreter.stops(x))

    with pytest.raises(opscope.ReplayError, match="which a trace cannot record"):
        opscope.trace(outer, x)


@pytest.mark.parametrize("program", [nn.Linear(2, 2), opscope.parse("graph Net():\n  return ()")])
def test_what_cannot_be_run_is_refused_at_once(program: Any) -> None:
    with pytest.raises(TypeError, match=rf"this is {type(program).__name__}\n  trace it first"):
        opscope.Interpreter(program)
