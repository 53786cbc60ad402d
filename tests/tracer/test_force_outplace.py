"""Programs traced to functional graphs: the same results, the same writes to inputs and state."""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from opscope.cli.target import load_script
from support.functional import assert_same, check_functional, writes_of
from support.replays import plain_text

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_functional_graph_reads_as_the_program() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[0] *= 2
        y[:, 1].fill_(5.0)
        return y

    traced = opscope.trace(program, torch.ones(2, 3), force_outplace=True)
    assert plain_text(traced) == (
        "graph program(%x : f32[2, 3]) -> (f32[2, 3]):\n"
        "  %y : f32[2, 3] = aten::clone(%x)\n"
        "  %0 : f32[3] = aten::select.int(%y, 0, 0)\n"
        "  %1 : f32[3] = aten::mul.Tensor(%0, 2)\n"
        "  %y.1 : f32[2, 3] = aten::select_scatter(%y, %1, 0, 0)\n"
        "  %2 : f32[3] = aten::clone(%1)\n"
        "  %y.2 : f32[2, 3] = aten::select_scatter(%y.1, %2, 0, 0)\n"
        "  %3 : f32[2]{strides=[3]} = aten::select.int(%y.2, 1, 1)\n"
        "  %4 : f32[2] = aten::fill.Scalar(%3, 5.0)\n"
        "  %y.3 : f32[2, 3] = aten::select_scatter(%y.2, %4, 1, 1)\n"
        "  return (%y.3)"
    )
    assert traced.mutations == ()
    check_functional(program, torch.randn(2, 3))


def test_a_number_that_is_assigned_to_a_part() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[:, 1] = 5.0
        return y

    check_functional(program, torch.randn(2, 3))


def test_writes_to_inputs_are_outputs_and_are_done() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x[0] = y.sum()
        y.mul_(2)
        return x, x + 1

    traced = check_functional(program, torch.randn(3), torch.randn(2))
    assert [(m.output, m.name, m.input) for m in traced.mutations] == [(2, "x", 0), (3, "y", 1)]
    x, y = torch.zeros(3), torch.ones(2)
    first, _ = traced(x, y)
    assert first is x, "the program returns its input itself"
    assert x.tolist() == [2.0, 0.0, 0.0]
    assert y.tolist() == [2.0, 2.0]


def test_graphs_alone_write_nothing() -> None:
    traced = opscope.trace(lambda x: x.add_(1), torch.zeros(2), force_outplace=True)
    from opscope.runtime import compile_graph

    x = torch.zeros(2)
    result, content = compile_graph(traced.graph, {}).function(x)
    assert x.tolist() == [0.0, 0.0]
    assert result is content
    assert content.tolist() == [1.0, 1.0]


def test_gradients_flow_through_what_was_written_to_an_input() -> None:
    def program(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        x.mul_(w)
        return x * x

    traced = check_functional(program, torch.randn(3), torch.randn(3, requires_grad=True))
    assert [m.is_tracked for m in traced.mutations] == [True]
    x, w = torch.ones(3), torch.full((3,), 2.0, requires_grad=True)
    traced(x, w)
    assert x.requires_grad
    x.sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [1.0, 1.0, 1.0]


def test_a_tensor_that_backward_needs_may_be_written_to_an_input() -> None:
    def program(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        y = x * w
        x.zero_()
        return y.sin()

    # Eager refuses this backward; the functional graph need not, and must not be wrong.
    traced = opscope.trace(
        program, (torch.randn(3), torch.randn(3, requires_grad=True)), force_outplace=True
    )
    x, w = torch.full((3,), 2.0), torch.ones(3, requires_grad=True)
    traced(x, w).sum().backward()
    assert x.tolist() == [0.0, 0.0, 0.0]
    assert w.grad is not None
    assert torch.allclose(w.grad, 2 * torch.full((3,), 2.0).cos())


@pytest.mark.parametrize("under_no_grad", [False, True])
def test_histories_are_those_of_eager(under_no_grad: bool) -> None:
    def program(x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x * w
        view = y.view(-1)[1:]
        detached = y.detach()
        with torch.set_grad_enabled(not under_no_grad):
            view.mul_(w[0])
        detached[0] = 3.0
        return y * 1, view * 2, detached

    check_functional(
        program, torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    )


def test_leaves_made_inside_stay_leaves() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        w = torch.zeros(3).requires_grad_()
        before = (w * x).sum()
        with torch.no_grad():
            w.add_(1)
        return before + (w * x).sum()

    traced = opscope.trace(program, torch.ones(3), warn=False, force_outplace=True)
    assert writes_of(traced.graph) == ["aten::requires_grad_"], "a flag, and no memory"
    assert torch.equal(traced(torch.ones(3)), program(torch.ones(3)))
    assert traced(torch.ones(3)).requires_grad


def test_views_of_complex_numbers_bits_and_windows() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        z = torch.view_as_complex(x.clone())
        z.real.mul_(2)
        z.imag.add_(1)
        z.conj().add_(1j)
        y = x.flatten().clone()
        y.unfold(0, 2, 2).mul_(3)
        y.view(torch.int32)[0] = 3
        y.view(2, 4).movedim(0, 1).add_(1)
        y.as_strided((2,), (2,), 1).fill_(9)
        return torch.view_as_real(z), y

    traced = check_functional(program, torch.randn(4, 2))
    assert "prim::view_scatter" in str(traced)


def test_random_writes_draw_the_same_numbers() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x.clone()
        y.uniform_().normal_().bernoulli_(0.3).random_(7).exponential_().geometric_(0.4)
        z = torch.zeros(40, 3)
        z[:, 1].normal_()
        z.t().uniform_()
        z[::2].log_normal_()
        nn.functional.dropout(z, 0.4, training=True, inplace=True)
        nn.functional.alpha_dropout(z, 0.4, training=True, inplace=True)
        torch.rand(3, out=y[:3])
        torch.randn(8, out=torch.empty(0))
        return y, z

    check_functional(program, torch.randn(20))


def test_out_arguments_of_every_kind() -> None:
    def program(x: torch.Tensor) -> list[torch.Tensor]:
        same, empty, wide = torch.zeros(3), torch.zeros(0), torch.zeros(3, dtype=torch.float64)
        table = torch.zeros(3, 2)
        torch.exp(x, out=same)
        torch.add(x, 1, out=empty)
        torch.sum(torch.stack([x, x]), 0, out=wide)
        torch.sin(x, out=table[:, 1])
        values, places = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        torch.max(x, 0, out=(values, places))
        torch.mm(x[:, None], x[None], out=(product := torch.empty(3, 3)))
        return [same, empty, wide, table, values, places, product]

    check_functional(program, torch.randn(3))


def test_foreach_writes_over_views_and_bases() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, z = x.clone(), x * 2
        torch._foreach_mul_([y[0], y[1], z], 2.0)
        torch._foreach_add_([y, z], [z, y.clone()])
        torch._foreach_copy_([y[0]], [z[1]])
        return y, z

    with pytest.raises(opscope.PassError, match="reads elements that it writes"):
        check_functional(program, torch.randn(2, 3))  # the second list reads what the first wrote

    def apart(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, z = x.clone(), x * 2
        torch._foreach_mul_([y[0], y[1], z], 2.0)
        torch._foreach_add_([y, z], [x, x])
        torch._foreach_copy_([y[0]], [z[1]])
        return y, z

    check_functional(apart, torch.randn(2, 3))


def test_autocast_does_not_reach_what_wrote() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y.addmm_(x, x)
            y[0].mul_(2)
            return y @ x

    check_functional(program, torch.randn(3, 3))


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.InstanceNorm2d(4, track_running_stats=True),
            nn.Dropout(0.3, inplace=True),
        )


def check_model(model: nn.Module, x: torch.Tensor) -> opscope.TracedProgram:
    """Run a model eagerly and by functional replay from equal states; both must agree in all."""
    ours, theirs = copy.deepcopy(model), copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(5)
    expected = theirs(x)
    torch.manual_seed(5)
    traced = opscope.trace(ours, (x,), force_outplace=True)
    assert writes_of(traced.graph) == []
    ours.load_state_dict(before)
    torch.manual_seed(5)
    actual = traced(x)
    assert_same(actual, expected)
    for name, entry in theirs.state_dict().items():
        assert_same(ours.state_dict()[name], entry)
    expected.square().sum().backward()
    actual.square().sum().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad)
    return traced


def test_normalization_updates_its_statistics() -> None:
    traced = check_model(Net(), torch.randn(2, 3, 8, 8))
    assert [m.state for m in traced.mutations] == [
        "1.num_batches_tracked", "1.running_mean", "1.running_var",
        "3.running_mean", "3.running_var",
    ]  # fmt: skip


def test_a_resnet_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    model: Any = load_script(EXAMPLES / "resnet.py").resnet18(classes=10, width=8)
    traced = check_model(model.train(), torch.randn(2, 3, 32, 32))
    assert len(traced.mutations) == 60
    assert traced.graph.nodes(scope="layer1.*", op="prim::outplace")


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda p, foreach: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1, foreach=foreach),
        lambda p, foreach: torch.optim.Adam(p, 0.1, amsgrad=True, foreach=foreach),
        lambda p, foreach: torch.optim.RMSprop(p, 0.1, momentum=0.9, foreach=foreach),
    ],
)
def test_optimizer_steps(make: Any, foreach: bool) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)

    def ready() -> tuple[nn.Module, torch.optim.Optimizer]:
        mine = copy.deepcopy(model)
        optimizer: torch.optim.Optimizer = make(list(mine.parameters()), foreach)
        for parameter in mine.parameters():
            parameter.grad = torch.full_like(parameter, 0.5)
        optimizer.step()
        return mine, optimizer

    (ours, our_step), (theirs, their_step) = ready(), ready()
    start = copy.deepcopy((ours.state_dict(), our_step.state_dict()))
    traced = opscope.trace(our_step.step, (), warn=False, force_outplace=True)
    assert [k for k in writes_of(traced.graph) if k.startswith("aten::")] == []
    their_step.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_same(one, other)
    ours.load_state_dict(start[0])
    kept = {id(p): s for p, s in our_step.state.items()}
    for state, saved in zip(kept.values(), start[1]["state"].values(), strict=True):
        for name, tensor in state.items():
            if isinstance(tensor, torch.Tensor):
                tensor.copy_(saved[name])
    traced()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("functional", [False, True])
def test_whole_training_steps(functional: bool) -> None:
    def ready() -> tuple[nn.Module, Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.SiLU(), nn.Linear(6, 3))
        optimizer = torch.optim.Adam(model.parameters(), 0.1)

        def step(x: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad()
            loss = model(x).pow(2).sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return loss.detach()

        step(torch.ones(5, 4))
        return model, step

    (ours, our_step), (theirs, their_step) = ready(), ready()
    x = torch.randn(5, 4)
    traced = opscope.trace(our_step, x, allow={"stored gradient"}, force_outplace=functional)
    their_step(x)
    for _ in range(3):
        x = torch.randn(5, 4)
        assert_same(traced(x), their_step(x))
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert_same(one, other)


def test_the_state_of_a_trace_may_ask_for_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        state = opscope.get_tracing_state()
        assert state is not None
        assert state.force_outplace is False
        state.force_outplace = True
        return (x + 1).relu_()

    traced = opscope.trace(program, torch.zeros(1), dynamic=False)
    assert [node.kind for node in traced.graph.walk()] == ["aten::add.Tensor", "aten::relu"]
    with pytest.raises(opscope.CaptureError, match="sizes are data in this trace"):
        opscope.trace(program, torch.zeros(1))


def test_sizes_are_those_of_the_trace() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros(x.shape[0] + 1)
        y[1:] = x
        y *= x.sum().item()
        return y

    traced = opscope.trace(program, torch.ones(3), warn=False, force_outplace=True)
    assert torch.equal(traced(torch.ones(3)), program(torch.ones(3)))
    assert torch.equal(traced(torch.full((3,), 2.0)), program(torch.full((3,), 2.0)))
    with pytest.raises(opscope.InputError, match="dimension 0 is 4 and was 3"):
        traced(torch.ones(4))
    with pytest.raises(opscope.CaptureError, match="sizes are data in this trace"):
        opscope.trace(program, torch.ones(3), dynamic={"x": {0: "n"}}, force_outplace=True)


def refused(program: Any, *args: torch.Tensor) -> str:
    with pytest.raises((opscope.PassError, opscope.CaptureError)) as raised:
        opscope.trace(program, args, warn=False, force_outplace=True)
    return str(raised.value)


def test_what_cannot_be_a_value_names_the_users_line() -> None:
    def shares(x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros(3)
        y.set_(x)
        return y

    def grows(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        return y.resize_(9)

    def writes_data(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        y.data = torch.zeros(3)
        return y * 2

    assert "aten::set_.source_Tensor cannot be made functional: it gives a tensor other memory" in (
        refused(shares, torch.ones(3))
    )
    message = refused(grows, torch.ones(3))
    assert "aten::resize_ cannot be made functional" in message
    assert "grows:  return y.resize_(9)" in message
    message = refused(writes_data, torch.ones(3))
    assert "prim::set_data cannot be made functional" in message
    assert "y.data = torch.zeros(3)" in message


def test_what_a_sparse_tensor_may_be_made_of_is_not_written() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        places = torch.tensor([[0, 1]])
        sparse = torch.sparse_coo_tensor(places, y, (3,), check_invariants=True)
        y.add_(1)
        return sparse.to_dense()

    with pytest.raises(opscope.PassError, match=r"result of aten::\w*sparse_coo_tensor"):
        opscope.trace(program, torch.ones(2), force_outplace=True)
    check_functional(lambda x: (x + 1).add_(x.to_sparse().to_dense()), torch.eye(2))


def test_seeds_stay_where_they_are() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        y = x * torch.rand(3)
        y.add_(1)
        return y + torch.rand(3, generator=torch.Generator().manual_seed(4))

    traced = opscope.trace(program, torch.ones(3), warn=False, force_outplace=True)
    assert torch.equal(traced(torch.ones(3)), program(torch.ones(3)))


def test_inputs_on_one_memory_are_refused_at_the_trace_and_at_a_replay() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return y * 2

    whole = torch.zeros(4)
    assert "input x and input y share memory" in refused(program, whole, whole[:2])
    traced = opscope.trace(program, (whole, torch.zeros(2)), force_outplace=True)
    with pytest.raises(opscope.InputError, match="x and y share memory"):
        traced(whole, whole[:2])
    assert traced(whole, torch.ones(2)).tolist() == [2.0, 2.0]


def test_a_tensor_passed_twice_is_one() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return y * 2

    x = torch.zeros(2)
    traced = opscope.trace(program, (x, x), force_outplace=True)
    x = torch.ones(2)
    assert traced(x, x).tolist() == [4.0, 4.0]
    assert x.tolist() == [2.0, 2.0]


def test_outputs_share_memory_as_in_eager() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = x + 1
        row = y[0]
        row.mul_(2)
        return y, row

    y, row = opscope.trace(program, torch.ones(2, 2), force_outplace=True)(torch.ones(2, 2))
    row.zero_()
    assert y.tolist() == [[0.0, 0.0], [2.0, 2.0]]


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1:],
        lambda x: x.t(),
        lambda x: x.view(torch.int32),
        lambda x: torch.view_as_complex(x),
        lambda x: torch.view_as_complex(x).conj(),
        lambda x: x.unfold(0, 2, 1),
    ],
)
def test_outputs_on_the_memory_of_a_written_input_or_state_are_on_it_after_a_replay(
    view: Any,
) -> None:
    kept = torch.zeros(3, 2)

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        early = view(x)
        x.add_(1)
        kept.mul_(2)
        return early, view(x), view(kept)

    traced = opscope.trace(program, torch.ones(3, 2), force_outplace=True)
    memory = torch.arange(8.0)
    x, same = memory[2:].view(3, 2), memory.clone()[2:].view(3, 2)
    found, expected = traced(x), program(same)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
        assert one.storage_offset() == other.storage_offset()
    assert found[0].data_ptr() == found[1].data_ptr()
    assert found[0].untyped_storage().data_ptr() == memory.data_ptr()
    assert found[2].untyped_storage().data_ptr() == kept.data_ptr()


def test_a_view_of_a_written_input_has_its_gradients() -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        part = x[1:]
        part.copy_(y[1:])
        return part

    traced = opscope.trace(
        program, (torch.zeros(3), torch.ones(3, requires_grad=True)), force_outplace=True
    )
    gradients = []
    for function in (traced, program):
        x, y = torch.zeros(3), torch.ones(3, requires_grad=True)
        part = function(x, y)
        assert part._base is x
        (part * torch.arange(2.0) + x.sum()).sum().backward()
        gradients.append(y.grad)
    assert_same(*gradients)


def test_an_output_of_another_dtype_leaves_alone_what_autograd_saved() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x.relu_()
        return y, y.view(torch.int32)

    traced = opscope.trace(program, torch.ones(3, requires_grad=True) * 1, force_outplace=True)
    leaf = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    y, bits = traced(leaf * 1)
    assert bits.data_ptr() == y.data_ptr()
    y.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [0.0, 1.0, 1.0]


def _leaf(*size: int) -> torch.Tensor:
    return torch.rand(size, requires_grad=True) * 1


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x.copy_(x.detach() + 1),
        lambda x: x.copy_(x.view(torch.float32)),
        lambda x: [y := x * 1, y.view(torch.float32).as_strided((2,), (1,), 1).copy_(x[:2] * 3)],
    ],
    ids=["of other numbers", "of its own", "into a view that has no history"],
)
def test_what_is_copied_over_has_no_part_in_gradients(
    program: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    check_functional(program, _leaf(4))


@pytest.mark.parametrize("cut", [torch.Tensor.detach, lambda x: x.view(torch.float32)])
def test_a_view_with_a_history_of_its_own_keeps_it_beside_a_written_input(
    cut: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    traced = check_functional(lambda x, w: cut(x).mul_(w), _leaf(2, 4), _leaf(4))
    x, w = _leaf(2, 4), _leaf(4)
    assert traced(x, w).untyped_storage().data_ptr() == x.untyped_storage().data_ptr()


@pytest.mark.parametrize(
    "program",
    [
        lambda x, w: x.data.mul_(x * w) + x.data.add_(x),
        lambda x, w: (w * x.data, x.mul_(2))[0],
    ],
    ids=["through .data", "saved as .data"],
)
def test_writes_that_autograd_would_not_notice_are_refused(
    program: Callable[..., torch.Tensor],
) -> None:
    with pytest.raises(opscope.PassError, match="unnoticed by autograd"):
        opscope.trace(program, (_leaf(3), _leaf(3)), warn=False, force_outplace=True)


def test_turning_a_followed_tensor_under_no_grad_is_refused_where_its_gradient_would_not_turn() -> (
    None
):
    def program(x: torch.Tensor, turn: bool) -> torch.Tensor:
        y = x * 2
        with torch.no_grad():
            _ = y.t_() if turn else y.unsqueeze_(0)
        return y

    with pytest.raises(opscope.PassError, match=r"use t\(\)"):
        opscope.trace(program, (_leaf(2, 2), True), warn=False, force_outplace=True)
    check_functional(program, _leaf(2, 2), False)


@pytest.mark.parametrize("write", [torch.nn.functional.elu_, torch.celu_, torch.selu_])
def test_gradients_have_the_formula_of_the_write(
    write: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return write(x * 1)

    traced = opscope.trace(program, (_leaf(500),), force_outplace=True)
    ours, theirs = (torch.linspace(-3, 1, 500, requires_grad=True) for _ in range(2))
    traced(ours).sum().backward()
    program(theirs).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)
