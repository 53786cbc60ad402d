"""A replay checks what it is given, and says what was expected, what came, and which input."""

import math
from typing import Any

import numpy
import pytest
import torch

import opscope


def add(
    batch: dict[str, torch.Tensor], scale: float = 2.0, *, mask: torch.Tensor | None = None
) -> Any:
    return batch["image"] * scale


IMAGE = torch.ones(2, 3)


@pytest.fixture(scope="module")
def traced() -> opscope.TracedProgram:
    return opscope.trace(add, {"image": IMAGE}, dynamic=False)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (
            ({"image": torch.ones(4, 3)},),
            {},
            "input batch['image'] does not fit: expected f32[2, 3], got f32[4, 3]\n"
            "  dimension 0 is 4 and was 2, which dynamic= or force_outplace= fixed at the trace; "
            "trace again with inputs of this size",
        ),
        (
            ({"image": torch.ones(3)},),
            {},
            "input batch['image'] does not fit: expected f32[2, 3], got f32[3]\n"
            "  it has 1 dimensions and had 2; trace again with inputs of this size",
        ),
        (
            ({"image": IMAGE.double()},),
            {},
            "input batch['image'] does not fit: expected f32[2, 3], got f64[2, 3]\n"
            "  its dtype is f64 and was f32; convert it with .to()",
        ),
        (
            ({"image": torch.ones(2, 3, device="meta")},),
            {},
            "input batch['image'] does not fit: expected f32[2, 3], got f32[2, 3]{device=meta}\n"
            "  it is on meta and was on cpu",
        ),
        (({},), {}, "input batch: 'image' is missing"),
        (
            ({"image": (IMAGE, IMAGE)},),
            {},
            "input batch['image'] must be a tensor, as when the program was traced; got a tuple of 2\n"
            "  a replay is called as the program is: traced(x, y), not traced((x, y))",
        ),
        (
            ({"image": numpy.zeros(2)},),
            {},
            "input batch['image'] must be a tensor, as when the program was traced; got array([0., 0.])\n"
            "  make one of it with torch.as_tensor()",
        ),
        (
            ({"image": IMAGE, "label": 3},),
            {},
            "input batch: 'label' was not there when the program was traced",
        ),
        ((IMAGE,), {}, "input batch must be a dict, got Tensor"),
        (
            ({"image": "x"},),
            {},
            "input batch['image'] must be a tensor, as when the program was traced; got 'x'",
        ),
        (
            ({"image": IMAGE}, 3.0),
            {},
            "input scale was 2.0 when the program was traced, which fixed it; got 3.0\n"
            "  trace again with this value",
        ),
        (
            ({"image": IMAGE},),
            {"mask": IMAGE},
            "input mask was None when the program was traced, which fixed it; got a tensor f32[2, 3]\n"
            "  trace again with this value",
        ),
        (
            (),
            {},
            "the arguments do not fit the traced program: missing a required argument: 'batch'",
        ),
        (
            ({"image": IMAGE},),
            {"other": 1},
            "the arguments do not fit the traced program: got an unexpected keyword argument 'other'",
        ),
    ],
)
def test_wrong_inputs_are_explained(
    traced: opscope.TracedProgram, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(opscope.InputError) as raised:
        traced(*args, **kwargs)
    assert str(raised.value) == message


def test_arguments_may_be_passed_by_position_or_name(traced: opscope.TracedProgram) -> None:
    image = torch.randn(2, 3)
    expected = add({"image": image})
    for result in (
        traced({"image": image}),
        traced(batch={"image": image}),
        traced({"image": image}, 2.0),
        traced({"image": image}, scale=2.0, mask=None),
    ):
        assert torch.equal(result, expected)


def test_one_tensor_in_two_places_must_stay_one() -> None:
    x = torch.ones(2)
    same = opscope.trace(lambda a, b: a + b, (x, x))
    assert same(x, x).tolist() == [2.0, 2.0]
    with pytest.raises(opscope.InputError, match="inputs a and b were one tensor"):
        same(x, x.clone())


def test_requires_grad_may_differ_and_so_may_the_strides_of_single_elements() -> None:
    traced = opscope.trace(lambda x: x * 2, torch.ones(1, 3))
    other = torch.randn(3, 1).t().requires_grad_()
    assert other.stride() != torch.ones(1, 3).stride()
    assert torch.equal(traced(other), other * 2)
    assert traced(other).requires_grad


def test_the_order_of_elements_in_memory_may_differ_where_sizes_may() -> None:
    traced = opscope.trace(lambda x: x.contiguous().view(-1), torch.ones(2, 3))
    other = torch.arange(6.0).view(3, 2).t()
    assert torch.equal(traced(other), other.contiguous().view(-1))


def test_the_order_of_elements_in_memory_of_a_fixed_input_must_be_that_of_the_trace() -> None:
    # ``contiguous`` does nothing here, so torch leaves it out and the graph has no copy.
    traced = opscope.trace(lambda x: x.contiguous().view(-1), torch.ones(2, 3), dynamic=False)
    with pytest.raises(
        opscope.InputError, match=r"its strides are \[1, 2\] and were \[3, 1\]; pass it through"
    ):
        traced(torch.ones(3, 2).t())


def test_an_input_that_was_a_parameter_must_be_it_again() -> None:
    linear = torch.nn.Linear(2, 2)

    def program(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return linear(x) + w

    x = torch.ones(2, 2)
    traced = opscope.trace(program, (x, linear.weight))
    assert torch.equal(traced(x, linear.weight), program(x, linear.weight))
    with pytest.raises(
        opscope.InputError, match=r"input w was linear.weight of the program itself"
    ):
        traced(x, torch.ones(2, 2))


class Cache:
    """A store that a program fills, empty to begin with."""

    def __init__(self) -> None:
        self.layers: list[torch.Tensor] = []
        self.kind = "growing"

    def update(self, x: torch.Tensor) -> torch.Tensor:
        self.layers.append(x)
        return torch.cat(self.layers)


def filling(x: torch.Tensor, cache: Cache) -> tuple[torch.Tensor, Cache]:
    return cache.update(x * 2), cache


def test_an_object_without_tensors_is_told_by_what_it_held() -> None:
    first = Cache()
    traced = opscope.trace(filling, (torch.ones(2), first), warn=False)
    joined, cache = traced(torch.arange(2.0), Cache())
    assert joined.tolist() == [0.0, 2.0]
    assert [layer.tolist() for layer in cache.layers] == [[0.0, 2.0]]
    with pytest.raises(opscope.InputError, match=r"input cache.layers: 0 was not there"):
        traced(torch.ones(2), first)
    other = Cache()
    other.kind = "sliding"
    with pytest.raises(opscope.InputError, match=r"input cache.kind was 'growing' when"):
        traced(torch.ones(2), other)


def test_an_object_that_holds_nothing_is_told_by_its_identity() -> None:
    class Marker:
        pass

    marker = Marker()

    def program(x: torch.Tensor, mark: Marker) -> torch.Tensor:
        return x * 2 if mark is marker else x

    traced = opscope.trace(program, (torch.ones(2), marker))
    assert traced(torch.ones(2), marker).tolist() == [2.0, 2.0]
    with pytest.raises(opscope.InputError, match="input mark was"):
        traced(torch.ones(2), Marker())


def test_the_order_of_a_dictionary_is_that_of_the_trace() -> None:
    def program(parts: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat(list(parts.values()))

    one, two = torch.ones(2), torch.zeros(2)
    traced = opscope.trace(program, ({"one": one, "two": two},))
    with pytest.raises(
        opscope.InputError, match=r"parts has its items in the order 'two', 'one', and"
    ):
        traced({"two": two, "one": one})


def test_an_array_that_was_filled_anew_is_another_value() -> None:
    def program(x: torch.Tensor, scale: Any) -> torch.Tensor:
        return x * float(scale[0])

    for scale in (numpy.ones(2), bytearray(b"ab")):
        traced = opscope.trace(program, (torch.ones(2), scale))
        assert torch.equal(traced(torch.ones(2), scale), program(torch.ones(2), scale))
        scale[0] = 5
        with pytest.raises(opscope.InputError, match="input scale was"):
            traced(torch.ones(2), scale)


def test_arrays_with_what_is_no_number_are_equal_to_themselves() -> None:
    scale = numpy.array([1.0, numpy.nan])
    traced = opscope.trace(lambda x, scale: x * float(scale[0]), (torch.ones(2), scale))
    assert torch.equal(traced(torch.ones(2), scale.copy()), torch.ones(2))


def test_the_sign_of_zero_counts() -> None:
    traced = opscope.trace(lambda x, v: x * math.copysign(1.0, v), (torch.ones(2), 0.0))
    with pytest.raises(opscope.InputError, match=r"was 0\.0 when the program was traced"):
        traced(torch.ones(2), -0.0)
