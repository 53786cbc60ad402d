"""Sizes are data: what was traced at one size replays at others, or says why it cannot."""

import gc
import json
import logging
import math
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.replays import check_replay, plain_text, tensors_of

X = torch.arange(24.0).view(4, 6)
ROWS = torch.randn(9, 4)
OTHERS = (torch.randn(6, 4), torch.randn(9, 10), torch.randn(2, 8))


def check_sizes(
    program: Callable[..., Any], *others: torch.Tensor, at: torch.Tensor = X
) -> opscope.TracedProgram:
    """Trace at one size and compare with eager there and at other sizes, bit by bit."""
    traced = check_replay(program, at)
    for other in others or OTHERS:
        expected, actual = program(other), traced(other)
        assert type(expected) is type(actual)
        for one, two in zip(tensors_of(expected), tensors_of(actual), strict=True):
            assert one.shape == two.shape
            assert torch.equal(one, two)
    return traced


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x.view(x.shape[0] * x.shape[1]),
        lambda x: x.view(x.size(0), -1, 2),
        lambda x: x.reshape(x.numel()),
        lambda x: x.reshape(x.shape.numel()),
        lambda x: x.reshape(x.shape[:1] + (2, x.shape[1] // 2)),  # noqa: RUF005
        lambda x: x.reshape((2, *x.shape[:-1], x.shape[-1] // 2)),
        lambda x: x.expand(3, *x.shape),
        lambda x: x.repeat(x.size(0), 1),
        lambda x: torch.arange(x.size(0)) * 2,
        lambda x: torch.zeros(x.shape) + x,
        lambda x: torch.full((x.size(1),), x.size(0)),
        lambda x: (
            torch.Tensor(x.shape).copy_(x) + x.new(x.size()).zero_() + x.new(*x.shape).zero_()
        ),
        lambda x: x.new_zeros(x.size(0), 2),
        lambda x: x.narrow(0, 0, x.size(0) - 1),
        lambda x: nn.functional.interpolate(x[None, None], size=(x.size(0) * 2, x.size(1) * 2)),
        lambda x: nn.functional.pad(x, (0, 16 - x.size(1))),
        lambda x: x[: x.size(0) // 2, 1 : x.size(1) - 1],
        lambda x: x[..., x.shape[-1] - 1],
        lambda x: x[x.size(0) - 1],
        lambda x: x[None, x.size(0) - 1, :2],
        lambda x: ROWS[x.size(0) - 1] + ROWS[:, x.size(0) % 3].sum(),
        lambda x: x * x.size(-1) ** -0.5,
        lambda x: x / math.sqrt(x.size(-1)),
        lambda x: x * min(x.size(0), 100) + max(x.size(1), 1),
        lambda x: x.float() * float(3) + x.size(0) % 3,
        lambda x: x * (1.0 / x.size(0)) - x.size(1),
        lambda x: x * math.ceil(x.size(0) / 3) * math.floor(x.size(1) / 4),
        lambda x: x.unflatten(1, (x.size(1) // 2, 2)),
        lambda x: torch.linspace(0, 1, 5) * x.size(0),
        lambda x: torch.broadcast_to(x[:1], x.shape),
        lambda x: x.as_strided((x.size(1), x.size(0)), (1, x.stride(0))),
        lambda x: torch.ones(x.shape).masked_fill(x > x.size(0), x.size(1)),
        lambda x: x.nbytes * torch.ones(2),
        lambda x: (x.transpose(0, 1).contiguous().view(-1), x.contiguous().view(-1)),
    ],
)
def test_sizes_are_computed_with(program: Callable[..., Any]) -> None:
    traced = check_sizes(program)
    assert not [guard for guard in traced.guards if "==" in guard.text], "nothing is pinned"


def test_the_text_shows_sizes_as_values_and_names_them_after_variables() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows, columns = x.shape
        half = columns // 2
        return x.view(rows, half, 2)

    assert plain_text(check_sizes(program)) == (
        "graph program(%x : f32[4, 6]) -> (f32[4, 3, 2]):\n"
        "  %rows : int = aten::sym_size.int(%x, 0)\n"
        "  %columns : int = aten::sym_size.int(%x, 1)\n"
        "  %half : int = aten::floordiv.int(%columns, 2)\n"
        "  %0 : f32[4, 3, 2] = aten::view(%x, [%rows, %half, 2])\n"
        "  return (%0)"
    )


def test_a_branch_on_a_size_is_a_guard_with_its_line() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > 3 and not x.shape[1] < 5:
            return x * 2
        return x

    traced = check_replay(program, X)
    assert [str(guard) for guard in traced.guards] == [
        f"x.size(0) > 3    # test_sizes.py:{program.__code__.co_firstlineno + 1}: "
        "if x.shape[0] > 3 and not x.shape[1] < 5:",
        f"x.size(1) >= 5    # test_sizes.py:{program.__code__.co_firstlineno + 1}: "
        "if x.shape[0] > 3 and not x.shape[1] < 5:",
    ]
    assert torch.equal(traced(torch.ones(9, 5)), torch.ones(9, 5) * 2)
    with pytest.raises(opscope.GuardError) as raised:
        traced(torch.ones(2, 6))
    message = str(raised.value)
    assert message.startswith("this run cannot follow the trace: x.size(0) > 3 does not hold\n")
    assert "in test_a_branch_on_a_size_is_a_guard_with_its_line.<locals>.program" in message
    assert "if x.shape[0] > 3" in message


@pytest.mark.parametrize(
    ("program", "guard"),
    [
        (lambda x: sum(x[i] for i in range(x.size(0))), "x.size(0) == 4"),
        (lambda x: x * len(x), "x.size(0) == 4"),
        (lambda x: x * [1, 2, 3, 4, 5, 6, 7][x.size(1)], "x.size(1) == 6"),
        (lambda x: x * int(x.size(0)), "x.size(0) == 4"),
        (lambda x: x * {4: 2}[x.size(0)], "x.size(0) == 4"),
        (lambda x: x * len([0] * x.size(0)), "x.size(0) == 4"),
        (lambda x: x * len(json.dumps({"shape": x.shape})), "x.size(0) == 4"),
        (lambda x: sum(x.split(2)), "len(split(x, 2)) == 2"),
        (lambda x: x.chunk(4)[0] * 2, "len(chunk(x, 4)) == 4"),
        (lambda x: sum(row for row in x), "len(unbind(x)) == 4"),
        (lambda x: x if x.shape == (4, 6) else x * 2, "x.size(0) == 4"),
        (lambda x: x[:2].squeeze(), "%1.dim() == 2"),
        (lambda x: x * 2 if x.is_same_size(X) else x, "torch.is_same_size(x, X)"),
    ],
)
def test_a_size_that_python_needs_plain_is_pinned(program: Callable[..., Any], guard: str) -> None:
    traced = check_replay(program, X.clone()) if guard[0] != "%" else opscope.trace(program, X)
    assert guard in [found.text for found in traced.guards]
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(1, 7))


def test_slices_that_take_everything_are_recorded() -> None:
    # Torch leaves them out, which is right at this size only.
    check_sizes(lambda x: x[:, :6] + 1, torch.randn(3, 9))
    check_sizes(lambda x: x[:4, 0], torch.randn(9, 2))

    def write(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[:4] = 0.0
        y[:, :6] += 1
        return y

    check_sizes(write, torch.randn(6, 9))


def test_guards_on_hidden_sizes_speak_of_the_input() -> None:
    layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.LayerNorm(8))

    def program(x: torch.Tensor) -> torch.Tensor:
        hidden = layers(x).view(x.size(0), 2, 4).transpose(1, 2)
        if hidden.shape[0] > 1 and hidden.shape[1] == 4:
            return hidden.reshape(hidden.size(0), hidden.size(1) * 2)
        return hidden

    traced = check_sizes(program, torch.randn(7, 6))
    assert [guard.text for guard in traced.guards] == ["x.size(0) > 1"]
    assert plain_text(traced).count("sym_size") == 1


def test_a_size_guard_fails_before_anything_is_written() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x * 2 if x.relu().size(0) == 4 else x

    traced = opscope.trace(program, X.clone())
    other = torch.zeros(5, 6)
    with pytest.raises(opscope.GuardError, match=r"x\.size\(0\) == 4 does not hold"):
        traced(other)
    assert torch.equal(other, torch.zeros(5, 6))


def test_items_are_data_as_well() -> None:
    def program(x: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, float]:
        factor = 1 - 0.9 ** scale.item()
        return x * factor, factor

    traced = opscope.trace(program, (X, torch.tensor(2.0)))
    assert traced.diagnostics == ()
    expected, actual = program(X, torch.tensor(3.0)), traced(X, torch.tensor(3.0))
    assert torch.equal(expected[0], actual[0])
    assert expected[1] == actual[1]
    assert type(actual[1]) is float


def test_a_branch_on_data_is_a_guard_and_a_warning() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x - 1

    with pytest.warns(opscope.TracerWarning, match="which way the program goes"):
        traced = opscope.trace(program, X)
    assert [guard.text for guard in traced.guards] == ["bool(%1)"]
    assert torch.equal(traced(X * 2), X * 2 + 1)
    with pytest.raises(opscope.GuardError, match="does not hold"):
        traced(-X)


@pytest.mark.parametrize(
    "program",
    [
        lambda x, i: (
            x[i],
            x[:, i - 1],
            x[None, i, ..., 0],
            ROWS[i],
            x[i.int()],
            x[i:],
            x[: i + 1],
        ),
        lambda x, i: x.clone().index_fill_(0, i, 1)[i] + ROWS[i, i],
        lambda x, i: (x[i, x[0] > 9], x[i, [0, 1]], x[i.bool()], x[i.to(torch.uint8)]),
    ],
)
def test_a_tensor_that_is_a_whole_number_may_be_a_position(program: Callable[..., Any]) -> None:
    traced = opscope.trace(program, (X, torch.tensor(1)), warn=False)
    for place in (1, 2):
        try:
            actual = traced(X, torch.tensor(place))
        except opscope.GuardError:
            assert traced.diagnostics, "beside a mask or a list, a position is pinned"
            continue
        for one, other in zip(
            tensors_of(actual), tensors_of(program(X, torch.tensor(place))), strict=True
        ):
            assert torch.equal(one, other)


def test_a_write_at_a_position_that_data_gives() -> None:
    def program(x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[i] = 7
        x[:, i] += 1
        return x

    traced = check_replay(program, X, torch.tensor(1))
    assert torch.equal(traced(X, torch.tensor(3)), program(X, torch.tensor(3)))
    assert traced.guards == ()


def test_a_tensor_may_stand_for_a_number() -> None:
    def program(
        x: torch.Tensor, k: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return x.topk(k)[0], x[:k], torch.zeros(k, 2)

    traced = opscope.trace(program, (torch.arange(9.0), torch.tensor(2)))
    for one, two in zip(
        program(torch.arange(7.0), torch.tensor(5)),
        traced(torch.arange(7.0), torch.tensor(5)),
        strict=True,
    ):
        assert torch.equal(one, two)


def test_results_whose_size_depends_on_data() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        found = x[x > 3]
        return found.view(found.size(0), 1) * found.shape[0]

    check_sizes(program, torch.randn(3, 3) * 9)


def test_returned_sizes_are_numbers_and_sizes_again() -> None:
    traced = opscope.trace(lambda x: (x.size(0), x.shape, {"count": x.numel()}), X)
    result = traced(torch.ones(2, 3))
    assert result == (2, torch.Size([2, 3]), {"count": 6})
    assert type(result[0]) is int
    assert type(result[1]) is torch.Size


def test_a_size_is_an_int_for_the_program() -> None:
    seen: list[Any] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        rows = x.size(0)
        seen.append(
            (isinstance(rows, int), isinstance(x.shape, torch.Size), f"{rows:>3}", str(rows))
        )
        seen.append(
            (divmod(rows, 3), rows.bit_length(), -rows, abs(-rows), round(rows), rows == "4")
        )
        return x * rows

    check_replay(program, X, warn=False)
    assert seen[2:4] == seen[:2]


def test_numbers_kept_beyond_the_trace_are_plain() -> None:
    class Caching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.shape = x.shape
            self.rows = [x.size(0)]
            self.by_name = {"half": (x.size(1) // 2, "half")}
            return x * 2

    module = Caching()
    opscope.trace(module, X, warn=False)
    assert type(module.shape) is torch.Size
    assert type(module.rows[0]) is int
    assert type(module.by_name["half"][0]) is int
    assert torch.zeros(module.shape).shape == X.shape
    assert torch.Tensor.shape.__objclass__ is torch._C.TensorBase  # type: ignore[attr-defined]
    assert "item" not in vars(torch.Tensor)


def test_sizes_of_parameters_are_plain() -> None:
    linear = nn.Linear(6, 2)
    traced = opscope.trace(lambda x: linear(x) * linear.weight.shape[0] * linear.bias.numel(), X)
    assert "sym_size" not in str(traced)


def test_dynamic_false_fixes_every_size() -> None:
    traced = opscope.trace(lambda x: x.view(x.shape[0], -1), X, dynamic=False)
    assert "sym_size" not in str(traced)
    with pytest.raises(
        opscope.InputError,
        match="dimension 0 is 5 and was 4, which dynamic= or force_outplace= fixed",
    ):
        traced(torch.ones(5, 6))


@pytest.mark.parametrize("dynamic", [{"x": {0: "batch"}}, {"x": ("batch", None)}])
def test_named_dimensions_vary_and_others_are_fixed(dynamic: Any) -> None:
    def program(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x.view(x.shape[0], x.shape[1]) * y.size(0) if x.size(0) > 1 else x

    traced = opscope.trace(program, (X, X[0]), dynamic=dynamic)
    assert [guard.text for guard in traced.guards] == ["batch > 1"]
    assert torch.equal(traced(torch.ones(9, 6), X[0]), program(torch.ones(9, 6), X[0]))
    with pytest.raises(
        opscope.GuardError, match="cannot follow the trace: batch > 1 does not hold"
    ):
        traced(torch.ones(1, 6), X[0])
    with pytest.raises(opscope.InputError, match="dimension 1 is 7 and was 6"):
        traced(torch.ones(9, 7), X[0])


def test_dimensions_of_one_name_have_one_size() -> None:
    traced = opscope.trace(
        lambda x, y: x @ y.T if x.size(0) == y.size(0) else x,
        (X, X.clone()),
        dynamic={"x": {0: "n"}, "y": {0: "n"}},
    )
    assert traced(torch.ones(3, 6), torch.ones(3, 6)).shape == (3, 3)
    assert traced.guards == ()
    with pytest.raises(
        opscope.InputError, match=r"the dimension 'n' is 3 in x\.size\(0\) and 4 in y"
    ):
        traced(torch.ones(3, 6), torch.ones(4, 6))


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        (
            {"z": {0: "n"}},
            "names the input 'z', which the program does not have\n  its inputs are x",
        ),
        ({"x": {5: "n"}}, "names dimension 5 of input x, which has 2 dimensions"),
        ({"x": ("n",)}, "needs one name or None per dimension of input x, which has 2"),
        ({"x": None}, "needs one name or None per dimension of input x, which has 2; got None"),
        ({"x": {"n": 0}}, "names dimension 'n' of input x, which has 2 dimensions"),
        ({"x": {0: 1}}, "needs a text as the name of dimension 0 of input x; got 1"),
        (
            {"x": {0: "n", 1: "n"}},
            r"'n' is 4 in x.size\(0\) and 6 in x.size\(1\)\n  give them diff",
        ),
        (
            "n",
            "takes a mapping from names of inputs to their dimensions, or True or False, not 'n'",
        ),
    ],
)
def test_wrong_names_of_dimensions_are_explained(dynamic: Any, message: str) -> None:
    with pytest.raises(opscope.CaptureError, match=message):
        opscope.trace(lambda x: x, X, dynamic=dynamic)


def test_a_trace_inside_a_trace_pins_the_outer_sizes() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        inner = opscope.trace(lambda y: y.view(y.size(0), -1) * 2, x)
        return inner(x)

    traced = opscope.trace(program, X, warn=False)
    assert torch.equal(traced(X), X * 2)
    assert "x.size(0) == 4" in [guard.text for guard in traced.guards]


def test_nothing_of_a_trace_is_kept_by_its_numbers() -> None:
    gc.collect()
    gc.disable()
    try:
        traced = opscope.trace(lambda x: x.view(x.size(0), -1) if x.size(1) > 2 else x, X)
        graph = weakref.ref(traced)
        del traced
        assert graph() is None
    finally:
        gc.enable()


def test_numbers_stand_before_what_is_computed_from_them() -> None:
    def program(x: torch.Tensor, sections: torch.Tensor) -> torch.Tensor:
        count = sections.item()
        assert count > 0
        rest = (
            x.shape[0] % count
        )  # put into the graph when it is compared, behind the guard of the loop
        return torch.stack([x * (2 if place < rest else 1) for place in range(int(count))])

    check_replay(program, X.clone(), torch.tensor(1), warn=False)
    check_replay(program, X.clone(), torch.tensor(3), warn=False)


@pytest.mark.parametrize(
    "program",
    [
        lambda x, y: [t + 1 for t in (*torch.broadcast_tensors(x, y), x, y)],
        lambda x, y: (x.sum_to_size(y.shape) * 2, x + 1),
    ],
)
def test_a_result_that_is_an_argument_at_the_sizes_of_the_trace(
    program: Callable[..., Any],
) -> None:
    traced = check_replay(program, X.clone(), X.clone())
    assert traced.guards
    for one, other in ((X, X[:1]), (X, X[:, :1]), (X[:1], X[1:2]), (X[:3], X[:3].clone())):
        expected = program(one, other)
        try:
            actual = traced(one, other)
        except opscope.GuardError:
            assert one.shape != other.shape
            continue
        for ours, theirs in zip(tensors_of(actual), tensors_of(expected), strict=True):
            assert torch.equal(ours, theirs)


def test_what_cannot_differ_is_neither_computed_nor_guarded() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows = 0 + x.shape[0] * 1 - 0
        assert 0 <= rows == x.shape[0] // 1
        assert x.shape[1] - x.shape[1] == 0
        return x.view(rows, 2, -1)

    traced = check_sizes(program)
    assert traced.guards == ()
    assert [node.kind for node in traced.graph.walk()] == ["aten::sym_size.int", "aten::view"]


def test_what_is_compared_is_a_plain_truth_value() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.sum(0, keepdim=x.shape[0] > 2)
        return y * (2 if (x.shape[1] == 6) is True else 3)

    traced = check_sizes(program, torch.randn(3, 6))
    assert [guard.text for guard in traced.guards] == ["x.size(0) > 2", "x.size(1) == 6"]


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x * round(x.shape[0] * 7, -1),
        lambda x: x * (x.shape[0] / 2).is_integer(),
        lambda x: x * ~x.shape[0],
        lambda x: x * abs((x.shape[0] - 5.0) ** 0.5),
        lambda x: x * abs((9.0 - x.shape[0]) ** 0.5),
        lambda x: torch.Size([x.shape[0], 2]),
        lambda x: x.shape * 2 + 2 * x.shape[:1],
        lambda x: torch.broadcast_shapes(x.shape, (1, 1)),
    ],
)
def test_numbers_do_as_plain_ones_do(program: Callable[..., Any]) -> None:
    traced = opscope.trace(program, X)
    for other in (X, torch.ones(9, 10), torch.ones(13, 6)):
        try:
            actual = traced(other)
        except opscope.GuardError:
            continue
        expected = program(other)
        assert type(actual) is type(expected)
        assert torch.equal(torch.as_tensor(actual), torch.as_tensor(expected))


def test_a_backward_pass_inside_pins_the_sizes_that_autograd_keeps() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.clone().requires_grad_()
        return torch.autograd.grad((y * y.shape[0]).mean(), y)[0]

    traced = opscope.trace(program, X)
    assert torch.equal(traced(X * 2), program(X * 2))
    assert [guard.text for guard in traced.guards] == ["x.size(0) == 4", "x.size(1) == 6"]


def test_a_backward_pass_inside_keeps_the_items_that_its_forward_took() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.clone().requires_grad_()
        return torch.autograd.grad((y * x.max().item()).sum(), y)[0]

    with pytest.warns(opscope.TracerWarning, match="autograd gives it what they were"):
        opscope.trace(program, X)


@pytest.mark.parametrize("text", ["{}".format, "%d".__mod__, "%x".__mod__, str])
def test_a_size_turned_into_text_is_told(text: Callable[[int], str]) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x * {"4": 2.0}["%d" % x.shape[0]] * len(text(x.shape[0]))  # noqa: UP031

    with pytest.warns(opscope.TracerWarning, match="a size is turned into text here"):
        opscope.trace(program, X)


def test_shapes_and_items_in_messages_are_information(caplog: pytest.LogCaptureFixture) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.mean()
        print(x.shape, f"{x.shape} {y.item():.2f} {y:.2f}", "%.2f %.2f" % (y, y.item()))  # noqa: UP031
        logging.warning("%s %d %.2f %.2f", x.shape, x.shape[0], y, y.item())
        return x

    traced = check_replay(program, X, warn=True)
    assert "torch.Size([4, 6]) 4 11.50 11.50" in caplog.text
    assert {found.severity for found in traced.diagnostics} == {opscope.Severity.INFO}
    assert {found.kind for found in traced.diagnostics} == {opscope.DiagnosticKind.PRINTED}
    assert traced.guards == ()


def test_c_code_that_wants_a_plain_int_says_what_helps() -> None:
    with pytest.raises(TypeError) as raised:
        opscope.trace(lambda x: x * int.__add__(x.shape[0], 1), X)
    assert "Pass int(n) or float(n) there" in raised.value.__notes__[0]


def test_what_holds_for_every_number_is_no_guard() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows = 0 + x.shape[0] * 1
        offset = (rows + 0) // 1 - x.shape[0]
        if rows == x.shape[0] and offset <= 0 and rows >= rows - 0:
            x = torch.cat([x.new_ones(0), x])  # an empty vector is left out
        rows_of, _ = torch.where(x > 0)
        if x.shape[0] == rows and x.shape[1] <= 3:
            x = x + len(rows_of.shape)
        return x.sort(0).values[:, [2, 0]].chunk(2, 1)[0]

    x = torch.randn(4, 3)
    traced = opscope.trace(program, x, dynamic={"x": {0: "rows"}}, warn=False)
    assert not traced.guards
    assert not any(
        node.kind.startswith(("aten::add.int", "aten::sub.int")) for node in traced.graph.walk()
    )
    other = torch.randn(6, 3)
    assert torch.equal(traced(other), program(other))


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_sizes_of_sparse_tensors_are_data(layout: torch.layout) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        rows, columns = x.shape
        return (x @ torch.ones(columns, rows)) * x.numel() + (x * 2).to_dense().sum() * rows

    traced = opscope.trace(program, torch.eye(3, 4).to_sparse(layout=layout))
    assert traced.guards == ()
    x = torch.eye(5, 2).to_sparse(layout=layout)
    assert torch.equal(traced(x), program(x))


def test_the_layout_of_a_sparse_tensor_is_held_where_it_is_read() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x.to_dense() * x.sparse_dim()

    traced = opscope.trace(program, torch.eye(3).to_sparse())
    assert [guard.text for guard in traced.guards] == ["x.sparse_dim() == 2"]
    assert not traced.diagnostics
    assert torch.equal(traced(torch.ones(3, 3).to_sparse()), torch.full((3, 3), 2.0))
    with pytest.raises(opscope.GuardError):
        traced(torch.ones(3, 3).to_sparse(1))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("dynamic", [None, False])
def test_sizes_of_the_parts_of_ragged_tensors_are_data(dynamic: Any) -> None:
    def ragged(*lengths: int) -> torch.Tensor:
        parts = [torch.ones(length, 3) for length in lengths]
        return torch.nested.nested_tensor(parts, layout=torch.jagged)

    def program(x: torch.Tensor) -> torch.Tensor:
        return x.values() * x.values().shape[0] + x.to_padded_tensor(0.0).shape[1]

    traced = opscope.trace(program, ragged(2, 3), dynamic=dynamic)
    x = ragged(4, 5)
    assert torch.equal(traced(x), program(x))
    assert opscope.trace(lambda x: +x, ragged(2, 3))(x) is x


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_the_length_of_a_nested_tensor_is_data() -> None:
    def nested(*lengths: int) -> torch.Tensor:
        return torch.nested.nested_tensor([torch.ones(length, 3) for length in lengths])

    traced = opscope.trace(lambda x: x.to_padded_tensor(0.0) * x.size(0), nested(2, 3))
    assert traced(nested(1, 1, 1)).tolist() == [[[3.0] * 3]] * 3
