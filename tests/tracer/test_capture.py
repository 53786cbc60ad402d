"""Programs of every kind are recorded operator by operator, and replay bit for bit."""

import collections
import dataclasses
import functools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import pytest
import torch
from torch import nn

import opscope
from support.replays import check_replay, plain_text


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.fc2 = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.fc1(x))
        return self.fc2(hidden)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc1(x)


def test_a_module_reads_as_it_was_written() -> None:
    traced = check_replay(Mlp(), torch.randn(3, 4))
    assert plain_text(traced) == (
        "graph Mlp(%x : f32[3, 4]) -> (f32[3, 2]{grad}):\n"
        "  state %fc1.weight : f32[8, 4]{grad}, %fc1.bias : f32[8]{grad}, %fc2.weight : f32[2, 8]{grad},\n"
        "      %fc2.bias : f32[2]{grad}\n"
        "  %0 : f32[3, 8]{grad} = aten::linear(%x, %fc1.weight, %fc1.bias)\n"
        "  %hidden : f32[3, 8]{grad} = aten::relu(%0)\n"
        "  %1 : f32[3, 2]{grad} = aten::linear(%hidden, %fc2.weight, %fc2.bias)\n"
        "  return (%1)"
    )


def test_composite_operators_stay_whole() -> None:
    traced = check_replay(nn.LSTM(4, 6), torch.randn(5, 2, 4))
    assert [node.kind for node in traced.graph.walk()].count("aten::lstm.input") == 1


def test_in_place_writes_views_and_slice_assignment_replay_in_order() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[:, 0] = 1.5
        y[1].mul_(2)
        row = y.view(-1)[2:5]
        row += 1
        return y

    traced = check_replay(program, torch.randn(3, 4))
    assert "aten::mul_.Tensor" in str(traced.graph)


def test_a_write_to_an_input_is_replayed() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x * 2

    traced = opscope.trace(program, torch.zeros(2))
    given = torch.zeros(2)
    assert traced(given).tolist() == [2.0, 2.0]
    assert given.tolist() == [1.0, 1.0]


def test_python_numbers_stay_numbers_and_promote_as_numbers() -> None:
    traced = check_replay(lambda x: (x + 2, x * 1.5, 3 - x), torch.ones(2, dtype=torch.int8))
    assert plain_text(traced) == (
        "graph function(%x : i8[2]) -> (i8[2], f32[2], i8[2]):\n"
        "  %0 : i8[2] = aten::add.Tensor(%x, 2)\n"
        "  %1 : f32[2] = aten::mul.Tensor(%x, 1.5)\n"
        "  %2 : i8[2] = aten::rsub.Scalar(%x, 3)\n"
        "  return (%0, %1, %2)"
    )


def test_a_tensor_of_python_data_is_one_constant() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        offsets = torch.tensor([1.0, 2.0])
        offsets += 1
        return x + offsets

    traced = check_replay(program, torch.zeros(2))
    assert plain_text(traced) == (
        "graph program(%x : f32[2]) -> (f32[2]):\n"
        "  constant %constant : f32[2]\n"
        "  %offsets : f32[2] = aten::clone(%constant)\n"
        "  %offsets.1 : f32[2] = aten::add_.Tensor(%offsets, 1)\n"
        "  %0 : f32[2] = aten::add.Tensor(%x, %offsets.1)\n"
        "  return (%0)"
    )
    assert torch.equal(
        traced(torch.zeros(2)), traced(torch.zeros(2))
    )  # the write did not reach the constant


def test_lists_of_results_are_taken_apart() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2)
        (whole,) = x.split(4)
        return first + second + whole.sum()

    traced = check_replay(program, torch.randn(4))
    assert "[%first : f32[2], %second : f32[2]] = aten::chunk(%x, 2)" in str(traced.graph)
    assert "[%whole : f32[4]] = aten::split.Tensor(%x, 4)" in str(traced.graph)


def test_several_results_are_several_values() -> None:
    traced = check_replay(lambda x: torch.max(x, dim=1), torch.randn(3, 4))
    assert "%0 : f32[3], %1 : i64[3] = aten::max.dim(%x, 1)" in str(traced.graph)


def test_out_arguments_and_foreach_operators() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = torch.empty(3)
        torch.add(x, x, out=out)
        pair = [x.clone(), out.clone()]
        torch._foreach_mul_(pair, 2.0)
        return pair[0] + pair[1], out

    traced = check_replay(program, torch.randn(3))
    assert "aten::add.out(%x, %x, out=%out)" in str(traced.graph)


def test_random_operators_draw_the_same_numbers() -> None:
    check_replay(lambda x: nn.functional.dropout(x + torch.randn(4), 0.5), torch.randn(4))


def test_a_generator_is_kept_as_an_object() -> None:
    generator = torch.Generator().manual_seed(3)
    traced = opscope.trace(lambda x: x + torch.rand(2, generator=generator), torch.zeros(2))
    generator.manual_seed(3)
    expected = torch.rand(2, generator=generator)
    generator.manual_seed(3)
    assert torch.equal(traced(torch.zeros(2)), expected)


def test_parameters_made_inside_are_recorded() -> None:
    traced = check_replay(
        lambda x: nn.functional.linear(x, nn.Parameter(torch.ones(2, 3))), torch.randn(1, 3)
    )
    assert "prim::make_subclass" in str(traced.graph)


def test_data_is_a_view_of_its_tensor() -> None:
    traced = check_replay(lambda x: (x + 1).data.view(-1) * 2, torch.randn(2, 2))
    assert "prim::data" in str(traced.graph)
    assert not traced.diagnostics


def test_sparse_and_complex_tensors() -> None:
    check_replay(lambda x: (x.to_sparse() * 2).to_dense(), torch.eye(3))
    check_replay(
        lambda x: torch.view_as_real(torch.fft.fft(x).conj().resolve_conj()), torch.randn(4)
    )


def test_callables_of_every_kind() -> None:
    x = torch.randn(3, 4)
    model = Mlp()

    class Scaler:
        def __init__(self) -> None:
            self.factor = torch.full((4,), 2.0)

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.factor

    for function in (
        torch.relu,
        model,
        model.forward,
        model.encode,
        functools.partial(torch.mul, x),
        Scaler(),
    ):
        check_replay(function, x)
    traced = opscope.trace(Scaler(), x)
    assert "constant %factor : f32[4]" in str(traced.graph)


class Point(NamedTuple):
    x: torch.Tensor
    y: Any


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    extras: dict[str, Any]
    note: str = "kept"


def test_nested_structures_go_in_and_come_out() -> None:
    def program(
        batch: dict[str, Any], point: Point, *rest: torch.Tensor, scale: float = 2.0
    ) -> Output:
        total = batch["image"] * scale + point.x + rest[0] + rest[1]
        return Output(total, {"list": [total, None, 3], "point": Point(total + 1, "label")})

    x = torch.randn(2)
    args = ({"image": x, "id": 7}, Point(x + 1, None), x + 2, x + 3)
    traced = opscope.trace(program, args, {"scale": 3.0})
    names = [str(value.name) for value in traced.graph.inputs]
    assert names == ["batch.image", "point.x", "rest.0", "rest.1"]
    result = traced(*args, scale=3.0)
    expected = program(*args, scale=3.0)
    assert type(result) is Output
    assert result.note == "kept"
    assert torch.equal(result.logits, expected.logits)
    assert result.extras["list"][0] is result.logits
    assert result.extras["list"][1:] == [None, 3]
    assert type(result.extras["point"]) is Point
    assert torch.equal(result.extras["point"].x, expected.extras["point"].x)


def test_containers_with_a_class_of_their_own_keep_it() -> None:
    class Named(collections.OrderedDict[str, torch.Tensor]):
        pass

    def program(x: torch.Tensor) -> Named:
        return Named(a=x + 1, b=x + 2)

    result = opscope.trace(program, torch.zeros(1))(torch.zeros(1))
    assert type(result) is Named
    assert {key: value.item() for key, value in result.items()} == {"a": 1.0, "b": 2.0}


def test_empty_containers_are_made_anew_at_every_replay() -> None:
    traced = opscope.trace(lambda x: {"y": x + 1, "rest": []}, torch.zeros(1))
    traced(torch.zeros(1))["rest"].append("mine")
    assert traced(torch.zeros(1))["rest"] == []


def test_an_output_may_be_an_input_or_stand_twice() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x + 1
        return x, y, y

    x = torch.zeros(1)
    given, one, other = opscope.trace(program, x)(x)
    assert given is x
    assert one is other


def test_tied_weights_are_one_entry_with_two_names() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(5, 3)
            self.head = nn.Linear(3, 5, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.embedding(ids))

    traced = check_replay(Tied(), torch.tensor([1, 2]))
    assert "state %embedding.weight = %head.weight : f32[5, 3]{grad}" in str(traced.graph)
    assert list(traced.state) == ["embedding.weight"]


TABLE = torch.arange(3.0)


def test_constants_are_named_where_they_come_from() -> None:
    local = torch.ones(3)
    nested = {"inner": torch.full((3,), 2.0)}

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plain = torch.ones(3)
            self.register_buffer("buffer", torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.plain + self.buffer + TABLE

    model = Holder()

    def program(x: torch.Tensor) -> torch.Tensor:
        return model(x) * local + nested["inner"]

    traced = check_replay(program, torch.randn(3))
    assert list(traced.state) == ["model.plain", "model.buffer", "TABLE", "local", "nested.inner"]
    assert not traced.diagnostics


def test_replay_follows_the_parameters_of_the_model() -> None:
    model = Mlp()
    x = torch.randn(3, 4)
    traced = opscope.trace(model, x)
    with torch.no_grad():
        model.fc1.weight.mul_(3)
    assert torch.equal(traced(x), model(x))
    traced(x).sum().backward()
    replayed = model.fc1.weight.grad
    model.zero_grad()
    model(x).sum().backward()
    assert replayed is not None
    assert torch.equal(replayed, model.fc1.weight.grad)


def test_a_function_that_returns_a_generator_or_loops_over_one() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        def parts() -> Iterator[torch.Tensor]:
            for offset in range(3):
                yield x + offset

        return torch.stack(list(parts()))

    check_replay(program, torch.randn(2))


def test_custom_operators_are_single_nodes() -> None:
    @torch.library.custom_op("opscope_tests::double", mutates_args=())
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    traced = check_replay(lambda x: double(x) + 1, torch.randn(3))
    assert [node.kind for node in traced.graph.walk()] == [
        "opscope_tests::double",
        "aten::add.Tensor",
    ]


def test_backward_inside_a_trace_is_recorded() -> None:
    def program(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        loss = (x @ w).sum()
        (gradient,) = torch.autograd.grad(loss, w)
        return gradient

    x, w = torch.randn(3, 4), torch.randn(4, requires_grad=True)
    traced = opscope.trace(program, (x, w))
    assert torch.equal(traced(x, w), program(x, w))


def test_leaves_that_come_to_require_grad_do_so_at_replay() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        made = torch.ones(2, requires_grad=True)
        told = torch.zeros(2).requires_grad_()
        flipped = (x.detach() * 1).requires_grad_()
        product = made * told * flipped
        flipped.requires_grad_(False)
        return product, made, flipped * 2, torch.ones(1, requires_grad=True)

    traced = check_replay(program, torch.randn(2))
    assert "%made.1 : f32[2]{grad} = aten::requires_grad_(%made, True)" in str(traced.graph)


def test_parameters_frozen_for_a_while_are_thawed_at_replay() -> None:
    linear = nn.Linear(4, 4)

    def program(x: torch.Tensor) -> torch.Tensor:
        for parameter in linear.parameters():
            parameter.requires_grad_(False)
        y = linear(x)
        for parameter in linear.parameters():
            parameter.requires_grad_(True)
        return y

    traced = check_replay(program, torch.randn(3, 4))
    assert all(parameter.requires_grad for parameter in linear.parameters())
    assert not traced(torch.randn(3, 4)).requires_grad


def test_gradients_flow_through_modules_with_backward_hooks() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].register_full_backward_hook(lambda module, before, after: None)
    x = torch.ones(1, 2)
    opscope.trace(net, x, warn=False)(x).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_signatures_that_lie_are_not_trusted() -> None:
    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(x: torch.Tensor, *, twice: bool = False) -> torch.Tensor:
            result: torch.Tensor = function(x, 3)
            return result * 2 if twice else result

        return wrapper

    @decorate
    def program(x: torch.Tensor, y: int) -> torch.Tensor:
        return x + y

    x = torch.ones(2)
    traced = opscope.trace(program, x, {"twice": True})
    assert torch.equal(traced(x, twice=True), program(x, twice=True))


class Pair(tuple[torch.Tensor, torch.Tensor]):
    __slots__ = ()

    def __new__(cls, one: torch.Tensor, other: torch.Tensor) -> Self:
        return super().__new__(cls, (one, other))


def test_a_tuple_with_a_constructor_of_its_own_comes_back() -> None:
    x = torch.ones(1)
    result = opscope.trace(lambda x: Pair(x, x + 1), x)(x)
    assert type(result) is Pair
    assert result[1].item() == 2.0


def test_nested_tensors_with_jagged_layout_have_types() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return torch.nested.as_nested_tensor([x, x[:1]], layout=torch.jagged).to_padded_tensor(0.0)

    traced = opscope.trace(program, torch.ones(2, 3), warn=False)
    assert "layout=jagged" in str(traced.graph)
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)


def test_gradients_flow_through_leaves_made_inside() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        w = torch.ones(4, requires_grad=True)
        ((x * w) ** 2).sum().backward()
        assert w.grad is not None
        return w.grad

    x = torch.randn(4)
    traced = opscope.trace(program, x)
    assert torch.equal(traced(x), program(x))


def test_tracing_leaves_identity_and_lifetimes_alone() -> None:
    import gc
    import weakref

    seen: list[weakref.ref[torch.Tensor]] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        seen.append(weakref.ref(y))
        y = y * 2
        gc.disable()
        try:
            assert seen[0]() is None, "the first intermediate is kept alive"
        finally:
            gc.enable()
        same = y.contiguous()
        assert same is y
        out = y.add_(1)
        assert out is y
        return y

    opscope.trace(program, torch.zeros(2))


def test_modes_and_subclasses_may_be_active() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            self.count += 1
            return func(*args, **(kwargs or {}))

    with Counting() as mode:
        traced = opscope.trace(lambda x: nn.functional.linear(x, x) + 1, torch.ones(2, 2))
    assert mode.count > 0
    assert [node.kind for node in traced.graph.walk()] == ["aten::linear", "aten::add.Tensor"]
    with FakeTensorMode():
        fake = opscope.trace(Mlp(), torch.randn(3, 4))
    assert [node.kind for node in fake.graph.walk()] == [
        "aten::linear",
        "aten::relu",
        "aten::linear",
    ]


def scaled_sum(x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return (x + y) * scale


@pytest.mark.parametrize(
    ("function", "count", "call"),
    [
        (scaled_sum, 2, "opscope.trace(scaled_sum, (x, y))"),
        (scaled_sum, 3, "opscope.trace(scaled_sum, (x, y, scale))"),
        (nn.Linear(2, 2), 3, "opscope.trace(model, (input, input2, input3))"),
        (torch.add, 2, "opscope.trace(add, (input1, input2))"),
        (lambda x, y: x + y, 2, "opscope.trace(function, (x, y))"),
    ],
)
def test_arguments_without_a_tuple_are_told_to_be_one(function: Any, count: int, call: str) -> None:
    inputs: list[Any] = [torch.ones(2)] * count
    with pytest.raises(opscope.CaptureError, match=r"come as one tuple.*\n  " + re.escape(call)):
        opscope.trace(function, *inputs)


def test_what_cannot_be_traced_says_so() -> None:
    with pytest.raises(
        opscope.CaptureError, match="a module or function is needed to trace, not int"
    ):
        opscope.trace(3, torch.ones(1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        opscope.trace(lambda x: x, (torch.ones(1), torch.ones(1)))
    with pytest.raises(opscope.CaptureError, match="returns a generator"):
        opscope.trace(lambda x: (x + n for n in range(3)), torch.ones(1))
    with pytest.raises(opscope.CaptureError, match="a set of tensors"):
        opscope.trace(lambda x: {x + 1}, torch.ones(1))
