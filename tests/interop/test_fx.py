"""Programs as modules of torch.fx, and such modules as programs."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.passes.shape_prop import ShapeProp

import opscope
from support.replays import tensors_of


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(4, 4)
        self.bn = torch.nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor, flag: bool = True) -> Any:
        h = self.fc(x).relu_()
        a, b = h.split(2, dim=1)
        with torch.no_grad():
            c = a * x.shape[0]
        return {"a": self.bn(h) + x.shape[0], "b": (b, [c])}


def assert_same(actual: Any, expected: Any) -> None:
    assert type(actual) is type(expected)
    ours, theirs = tensors_of(actual), tensors_of(expected)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert one.requires_grad == other.requires_grad
        assert torch.equal(one, other)


def check_both_ways(function: Callable[..., Any], make: Callable[[], tuple[Any, ...]]) -> None:
    """Run eagerly, as a module of torch.fx, and as a program made of that; all must agree."""
    torch.manual_seed(1)
    expected = function(*make())
    traced = opscope.trace(function, make(), warn=False)
    torch.manual_seed(1)
    assert_same(traced.to_fx()(*make()), expected)
    again = opscope.from_fx(traced.to_fx(), make(), warn=False)
    opscope.verify(again.graph)
    torch.manual_seed(1)
    assert_same(again(*make()), expected)


def test_a_module_has_operators_state_modules_lines_and_scopes() -> None:
    traced = opscope.trace(Net(), torch.randn(3, 4))
    module = traced.to_fx()
    node = next(n for n in module.graph.nodes if n.target is torch.ops.aten.linear.default)
    assert node.meta["val"].shape == node.meta["tensor_meta"].shape == (3, 4)
    assert node.meta["nn_module_stack"] == {"fc": ("fc", "Linear")}
    assert node.meta["opscope_scope"] == "fc"
    assert node.meta["stack_trace"].splitlines()[-1].strip() == "h = self.fc(x).relu_()"
    assert module.fc.weight is traced.state["fc.weight"]
    assert "h = torch.ops.aten.relu_.default" in module.code
    assert "run_in_modes([['grad', False]]" in module.code


def test_a_round_trip_gives_the_same_graph_and_holds_at_other_sizes() -> None:
    net = Net()
    traced = opscope.trace(net, torch.randn(3, 4))
    again = opscope.from_fx(traced.to_fx())
    kinds = [(node.kind, node.scope.address, node.modes) for node in traced.graph.walk()]
    assert [(node.kind, node.scope.address, node.modes) for node in again.graph.walk()] == kinds
    assert again.graph.nodes(op="aten::linear")[0].source.line == (  # type: ignore[union-attr]
        traced.graph.nodes(op="aten::linear")[0].source.line  # type: ignore[union-attr]
    )
    assert not again.diagnostics
    x = torch.randn(5, 4)
    expected = copy.deepcopy(net)(x)
    assert_same(again(x), expected)


def test_checks_are_the_programs_own_and_can_be_left_out() -> None:
    traced = opscope.trace(Net(), torch.randn(3, 4))
    module = traced.to_fx()
    with pytest.raises(opscope.GuardError, match=r"x.size\(0\) != 1 does not hold; from .*test_fx"):
        module(torch.randn(1, 4))
    with pytest.raises(opscope.InputError, match="input x does not fit: it has 1 dimensions"):
        module(torch.randn(4))
    with pytest.raises(opscope.InputError, match="input flag was True"):
        module(torch.randn(3, 4), False)
    assert "opscope" not in traced.to_fx(checks=False).code.replace(
        "opscope_interop_fx_calls_run", ""
    )


def _writes(x: torch.Tensor, y: torch.Tensor) -> Any:
    x.add_(1)
    y[0] = x[0]
    out = torch.empty(3)
    torch.add(x[0], 1, out=out)
    return x, [y, out]


def _nested(batch: dict[str, Any]) -> Any:
    a, b = batch["p"]
    return {"max": torch.max(a, 0), "list": [a, b.chunk(2)], "rest": (b.unbind(0), 3, None)}


def _sizes(x: torch.Tensor) -> Any:
    n = x.shape[0]
    return torch.zeros(n * 2 + 1) + x.view(n // 2, -1).sum() / max(n, 3), x.reshape(-1)[: n - 1]


_W = torch.randn(3, requires_grad=True)


def _condition(x: torch.Tensor) -> Any:
    return torch.cond(x.sum() > 0, lambda x: (x * _W).sin(), lambda x: (x - _W).cos(), (x,))


def _transforms(x: torch.Tensor) -> Any:
    mapped = torch.func.vmap(lambda a: (a * 2).sum() + x.sum())(x)  # type: ignore[no-untyped-call]
    return mapped, torch.func.grad(lambda a: (a**2).sum())(x)


def _modes(x: torch.Tensor) -> Any:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = x @ x
    with torch.inference_mode():
        z.detach().sum()
    return z, torch.nn.functional.dropout(z, 0.5)


def _updates(cache: dict[str, Any], x: torch.Tensor) -> Any:
    cache["k"] = x + 1
    cache.setdefault("l", []).append(x * 2)
    return cache["k"].sum(), cache


def _varied(*xs: torch.Tensor, **more: torch.Tensor) -> Any:
    return xs[0] + xs[1]


_CALLED = opscope.trace(lambda x: (x + 1).relu(), torch.ones(3))


def _calls(x: torch.Tensor) -> Any:
    return _CALLED(x) * _CALLED(x + 1)


@pytest.mark.parametrize(
    ("function", "make"),
    [
        (_writes, lambda: (torch.zeros(2, 3), torch.zeros(2, 3))),
        (_nested, lambda: ({"p": (torch.arange(6.0).view(2, 3), torch.ones(4, 2))},)),
        (_sizes, lambda: (torch.ones(4, 6),)),
        (_condition, lambda: (torch.ones(3),)),
        (_transforms, lambda: (torch.ones(3, 2),)),
        (_modes, lambda: (torch.ones(3, 3),)),
        (_updates, lambda: ({}, torch.ones(3))),
        (_varied, lambda: (torch.ones(2), torch.ones(2))),
        (_calls, lambda: (torch.ones(3),)),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_a_module_and_the_program_made_of_it_do_what_the_program_does(
    function: Callable[..., Any], make: Callable[[], tuple[Any, ...]]
) -> None:
    check_both_ways(function, make)


def test_gpt2_goes_both_ways_and_gives_its_own_class() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=1,
        n_embd=16,
        n_head=2,
        vocab_size=20,
        n_positions=16,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    check_both_ways(model, lambda: (torch.arange(8)[None],))


def test_a_training_step_goes_both_ways_and_keeps_reading_its_optimizer() -> None:
    def build() -> tuple[torch.nn.Module, torch.optim.Optimizer, Callable[..., Any]]:
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad()
            loss: torch.Tensor = model(x).square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return loss.detach()

        return model, optimizer, step

    x = torch.randn(3, 4)
    eager, eager_optimizer, step = build()
    for run in range(4):
        eager_optimizer.param_groups[0]["lr"] = 0.1 * (run + 1)
        expected = step(x)
    model, optimizer, step = build()
    step(x)
    traced = _with_rate(optimizer, 0.2, lambda: opscope.trace(step, x))
    again = _with_rate(optimizer, 0.3, lambda: opscope.from_fx(traced.to_fx(), x))
    actual = _with_rate(optimizer, 0.4, lambda: again(x))
    assert torch.equal(actual, expected)
    assert_same(list(model.parameters()), list(eager.parameters()))
    assert "%optimizer.param_groups.0.lr : float" in str(again.graph)
    with pytest.raises(opscope.InputError, match="pass inputs"):
        opscope.from_fx(traced.to_fx())


def _with_rate(optimizer: torch.optim.Optimizer, rate: float, run: Callable[[], Any]) -> Any:
    optimizer.param_groups[0]["lr"] = rate
    return run()


class Plain(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
        self.b = torch.nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        return torch.relu(self.fc(x) + self.b).view(-1).sum(), {"y": y.add_(1)}


def test_a_symbolic_trace_is_read_with_the_shapes_that_shape_prop_found() -> None:
    model = Plain()
    module = torch.fx.symbolic_trace(model)
    with pytest.raises(opscope.InputError, match="placeholder x does not tell what it takes"):
        opscope.from_fx(module)
    x = torch.randn(3, 4)
    ShapeProp(module).propagate(x, torch.zeros(2))
    program = opscope.from_fx(module)
    assert [str(node.scope) for node in program.graph.walk()][:2] == [
        "fc.0 (Linear)",
        "fc.1 (ReLU)",
    ]
    assert_same(program(x, torch.zeros(2)), model(x, torch.zeros(2)))


def test_graphs_of_make_fx_are_read() -> None:
    x = torch.randn(3, 4)
    module = make_fx(lambda x: torch.relu(x).softmax(0))(x)
    program = opscope.from_fx(module)
    assert [node.kind for node in program.graph.walk()] == ["aten::relu", "aten::_softmax"]
    assert torch.equal(program(x), module(x))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch's export of torch's own trees
def test_an_exported_program_keeps_its_sizes_its_modules_and_its_lines() -> None:
    model = Plain()
    inputs = (torch.randn(3, 4), torch.zeros(2))
    shapes = {"x": {0: torch.export.Dim("b")}, "y": None}
    program = opscope.from_fx(torch.export.export(model, inputs, dynamic_shapes=shapes))
    (node,) = program.graph.nodes(op="aten::linear")
    assert str(node.scope) == "fc.0 (Linear)"
    assert node.source is not None
    assert node.source.text.strip().startswith("return torch.relu(self.fc(x)")
    x = torch.randn(7, 4)
    assert_same(program(x, torch.zeros(2)), model(x, torch.zeros(2)))


def test_a_node_that_cannot_be_converted_is_named_with_its_line_and_a_remedy() -> None:
    module = opscope.trace(lambda x: x.view(2, 2) * 2, torch.zeros(4), dynamic=False).to_fx()
    node = next(n for n in module.graph.nodes if n.target is torch.ops.aten.view.default)
    node.args = (node.args[0], [3, 3])
    module.recompile()
    with pytest.raises(opscope.CaptureError) as error:
        opscope.from_fx(module)
    text = str(error.value)
    assert text.startswith(f"node {node.name} of the module cannot be converted: ")
    assert "lambda x: x.view(2, 2) * 2" in text
    assert "pass some, opscope.from_fx(module, (x,))" in text


def test_hostile_names_become_attributes_and_results() -> None:
    name = "</script>'\"\n: ü"

    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer(name.replace(".", ""), torch.ones(2))
            self.register_buffer("graph", torch.ones(2))

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            buffers = dict(self.named_buffers())
            return {name: x + buffers[name] + buffers["graph"]}

    check_both_ways(Odd(), lambda: (torch.zeros(2),))


def test_a_functional_graph_is_refused_with_what_to_do() -> None:
    traced = opscope.trace(lambda x: x.add_(1), torch.zeros(2), force_outplace=True)
    with pytest.raises(opscope.ReplayError, match="trace the program without force_outplace"):
        opscope.to_fx(traced)


def test_a_replay_can_be_traced_compiled_and_run_in_threads_modes_and_autograd() -> None:
    net = Net().eval()
    traced = opscope.trace(net, torch.randn(3, 4))
    x = torch.randn(5, 4)
    expected = net(x)
    outer = opscope.trace(lambda x: traced(x)["a"] + 1, torch.randn(3, 4))
    assert [node.kind for node in outer.graph.block] == ["prim::call", "aten::add.Tensor"]
    assert torch.equal(outer(x), expected["a"] + 1)

    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(traced(x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        assert torch.equal(each["a"], expected["a"])
    assert len(found) == 4

    with torch.inference_mode():
        assert traced(x)["a"].is_inference()
    (ours,) = torch.autograd.grad(traced(x)["a"].sum(), net.fc.weight)
    (theirs,) = torch.autograd.grad(net(x)["a"].sum(), net.fc.weight)
    assert torch.equal(ours, theirs)


def test_torch_compile_follows_a_replay_without_a_break_and_sees_passes() -> None:
    net = Net().eval()
    traced = opscope.trace(net, torch.randn(3, 4))
    compiled = torch.compile(traced, fullgraph=True, backend="eager")
    for rows in (3, 5):
        x = torch.randn(rows, 4)
        assert_same(compiled(x), net(x))
    net.train()
    with pytest.raises(opscope.GuardError, match="training"):
        traced(x)


def test_what_passes_made_of_a_program_is_what_is_compiled_next() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        x.neg()
        return x + 1

    traced = opscope.trace(function, torch.ones(2))
    compiled = torch.compile(traced, fullgraph=True, backend="eager")
    compiled(torch.ones(2))
    assert traced.compilable is not None
    assert "aten.neg" in traced.compilable.code
    traced.apply("dce")
    assert torch.equal(compiled(torch.ones(2)), torch.full((2,), 2.0))
    assert "aten.neg" not in traced.compilable.code


def test_a_pickled_module_still_draws_and_writes_what_depends_on_no_input() -> None:
    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> Any:
            self.count.add_(1)
            fresh = torch.zeros(x.shape[1])
            fresh.add_(self.count)
            with torch.no_grad():
                noise = torch.rand(4)
            return torch.topk(x + fresh + noise, 2), self.count.clone()

    net, x = Counting(), torch.randn(3, 4)
    traced = opscope.trace(net, x)
    file = io.BytesIO()
    torch.save(traced.to_fx(), file)
    file.seek(0)
    read = torch.load(file, weights_only=False)
    for rows in (3, 5):
        x = torch.randn(rows, 4)
        torch.manual_seed(rows)
        expected = net(x)
        torch.manual_seed(rows)
        assert_same(read(x), expected)
    with pytest.raises(opscope.InputError, match="dtype"):
        read(x.double())


def test_an_attribute_that_leads_nowhere_is_named_with_what_to_do() -> None:
    module = opscope.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).to_fx()
    del module.bias
    with pytest.raises(
        opscope.CaptureError, match="node bias reads bias, and the module has no such"
    ):
        opscope.from_fx(module)


def test_what_torch_fx_traces_itself_is_told_to_be_converted_without_checks() -> None:
    def scaled(x: torch.Tensor, by: float) -> torch.Tensor:
        return x.relu() * by

    traced = opscope.trace(scaled, (torch.ones(2), 3.0))
    told = r"input {} is a torch.fx.Proxy, .*\n.*to_fx\(checks=False\)"
    with pytest.raises(opscope.InputError, match=told.format("by")):
        torch.fx.symbolic_trace(traced.to_fx())
    with pytest.raises(opscope.InputError, match=told.format("x")):
        torch.fx.symbolic_trace(traced.to_fx(), {"by": 3.0})
    again = torch.fx.symbolic_trace(traced.to_fx(checks=False))
    assert again(torch.ones(2), 3.0).tolist() == [3.0, 3.0]
