"""Comparing tensors: bit by bit or within a tolerance, with the first element that differs."""

import math

import pytest
import torch

from opscope.runtime.compare import Tolerance, difference, fingerprint, same_bits

ONE = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def test_equal_tensors_do_not_differ() -> None:
    assert difference(ONE, ONE.clone()) is None
    assert difference(torch.tensor(math.nan), torch.tensor(math.nan)) is None


def test_the_first_difference_and_the_largest_are_told() -> None:
    other = ONE.clone()
    other[1, 0], other[1, 1] = 3.25, 6.0
    assert difference(ONE, other) == (
        "2 of 4 elements differ, by at most 2; the first at [1, 0]: eager 3.0, replay 3.25"
    )


def test_bits_count_unless_a_tolerance_is_given() -> None:
    zero, minus = torch.tensor(0.0), torch.tensor(-0.0)
    assert difference(zero, minus) is not None
    assert difference(zero, minus, Tolerance(atol=1e-9)) is None


@pytest.mark.parametrize(
    ("tolerance", "is_equal"),
    [
        (Tolerance(), False), (Tolerance(rtol=0.2), True), (Tolerance(rtol=0.05), False),
        (Tolerance(atol=0.11), True), (Tolerance(atol=0.01), False),
    ],
)  # fmt: skip
def test_tolerances_are_relative_to_what_is_expected(tolerance: Tolerance, is_equal: bool) -> None:
    expected, actual = torch.tensor([1.0, math.nan]), torch.tensor([1.1, math.nan])
    assert (difference(expected, actual, tolerance) is None) is is_equal


def test_a_tolerance_does_not_make_other_integers_equal() -> None:
    assert difference(torch.tensor(1), torch.tensor(2), Tolerance(atol=5.0)) is not None


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (ONE.double(), "dtype: eager torch.float32, replay torch.float64"),
        (ONE[0], "shape: eager [2, 2], replay [2]"),
        (ONE.t().contiguous().t(), "strides: eager [2, 1], replay [1, 2]"),
        (ONE.clone().requires_grad_(), "requires_grad: eager False, replay True"),
        (torch.nn.Parameter(ONE, False), "class: eager Tensor, replay Parameter"),
        (ONE.to_sparse(), "layout: eager torch.strided, replay torch.sparse_coo"),
        (ONE.to("meta"), "device: eager cpu, replay meta"),
    ],
)
def test_facts_are_compared_before_elements(other: torch.Tensor, what: str) -> None:
    assert difference(ONE, other) == what
    assert not same_bits(ONE, other) or "strides" in what or "requires_grad" in what


def test_strides_of_single_elements_mean_nothing() -> None:
    assert difference(torch.ones(1, 3), torch.ones(3, 1).t()) is None


def test_parts_of_sparse_tensors_are_compared() -> None:
    other = ONE.clone()
    other[0, 0] = 0
    assert difference(ONE.to_sparse(), (ONE * 2).to_sparse()) == (
        "4 of 4 elements of its values differ, by at most 4; the first at [0]: eager 1.0, replay 2.0"
    )
    assert "indices differ" in str(difference(ONE.to_sparse(), other.to_sparse()))


def test_complex_numbers_and_small_types() -> None:
    number = torch.tensor([1 + 2j, 3 - 1j])
    assert difference(number, number.clone()) is None
    assert "the first at [1]: eager (3-1j), replay (3-2j)" in str(
        difference(number, torch.tensor([1 + 2j, 3 - 2j]))
    )
    for dtype in (torch.bool, torch.uint8, torch.bfloat16, torch.float8_e4m3fn):
        small = torch.tensor([0, 1]).to(dtype)
        assert difference(small, small.clone()) is None
        assert difference(small, torch.tensor([1, 0]).to(dtype)) is not None


def test_fingerprints_are_equal_where_bits_are() -> None:
    assert fingerprint(ONE) == fingerprint(ONE.t().contiguous().t())
    assert fingerprint(ONE) != fingerprint(ONE.double())
    assert fingerprint(ONE) != fingerprint(ONE.view(4))
    assert fingerprint(torch.tensor(0.0)) != fingerprint(torch.tensor(-0.0))
    assert fingerprint(torch.empty(0)) == fingerprint(torch.empty(0))
