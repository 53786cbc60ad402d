"""Copies of arguments: apart from the originals, and among themselves as those are."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from opscope.checking import KeptArguments


def storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def test_tensors_that_share_memory_share_it_again() -> None:
    base = torch.arange(6.0).view(2, 3)
    row, transposed, other = base[1], base.t(), torch.ones(3)
    kept = KeptArguments((base, {"rows": [row, transposed]}, base), {"other": other})
    first, second = kept.fresh(), kept.fresh()
    again, held, twin = first.args
    assert again is twin
    assert storage(again) == storage(held["rows"][0]) == storage(held["rows"][1])
    assert storage(first.kwargs["other"]) != storage(again)
    assert storage(again) not in (storage(base), storage(second.args[0]))
    assert held["rows"][1].stride() == transposed.stride()
    again.zero_()
    assert held["rows"][0].tolist() == [0.0, 0.0, 0.0]
    assert base[1].tolist() == second.args[0][1].tolist() == [3.0, 4.0, 5.0]


def test_arguments_are_kept_as_they_were() -> None:
    x = torch.ones(2)
    kept = KeptArguments((x,), {})
    x.zero_()
    assert kept.fresh().args[0].tolist() == [1.0, 1.0]


def sorts_of_tensors() -> Iterator[torch.Tensor]:
    yield torch.randn(2, 3).expand(4, 2, 3)
    yield torch.randn(6)[1:4]
    yield torch.randn(2, 2, dtype=torch.cfloat).conj()
    yield torch.randn(2, 2, dtype=torch.cfloat).conj().imag
    yield torch.ones(2, 2).to_sparse()
    yield torch.ones(2, 2).to_sparse_csr()
    yield torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.strided)
    yield torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8)
    yield nn.Parameter(torch.ones(2))
    yield torch.ones(2, device="meta")
    yield torch.empty(0, 3)
    yield torch.tensor(3, dtype=torch.int32)


@pytest.mark.filterwarnings("ignore:.*(Sparse CSR|nested tensors|torch.quantize)")
def test_copies_are_of_the_same_sort() -> None:
    for tensor in sorts_of_tensors():
        (copy,) = KeptArguments((tensor,), {}).fresh().args
        assert copy is not tensor
        assert opscope.runtime.compare.difference(tensor, copy) is None


def test_leaves_stay_leaves_and_computed_tensors_stay_computed() -> None:
    leaf = torch.ones(2, requires_grad=True)
    computed = leaf * 2
    leaf.grad = torch.full((2,), 7.0)
    call = KeptArguments((leaf, computed, computed[0]), {}).fresh()
    one, two, part = call.args
    assert one.is_leaf
    assert one.grad.tolist() == [7.0, 7.0]
    assert not two.is_leaf
    assert part._base is two
    two.mul_(3)  # allowed, since it is no leaf
    assert part.item() == 6.0
    assert [source.is_leaf for _, source in call.sources] == [True, True]


def test_tensors_of_the_program_are_passed_as_they_are() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    row = weight.detach()[0]
    call = KeptArguments((weight, row), {}, [weight]).fresh()
    assert call.args[0] is weight
    assert call.args[1] is row


class Cache:
    def __init__(self) -> None:
        self.seen: list[int] = []


def test_objects_are_copied_for_python_and_shared_with_a_replay() -> None:
    cache, model = Cache(), nn.Linear(1, 1)
    kept = KeptArguments((cache, model, torch.ones(1)), {})
    assert kept.modules == [model]
    for_python, for_replay = kept.fresh(), kept.fresh(for_python=False)
    assert for_python.args[0] is not cache
    assert for_replay.args[0] is cache
    assert for_python.args[1] is model


def test_a_program_that_fills_a_cache_is_checked_with_an_empty_one_each_time() -> None:
    def program(x: torch.Tensor, cache: Cache) -> torch.Tensor:
        cache.seen.append(len(cache.seen))
        return x * len(cache.seen)

    cache = Cache()
    traced = opscope.trace(program, (torch.ones(1), cache), warn=False)
    cache.seen.clear()
    assert traced.check((torch.ones(1), cache)).ok
    assert cache.seen == []


@pytest.mark.parametrize(
    ("program", "alike"),
    [
        (lambda x, y: (x.add_(1), y * 2)[1], True),
        (lambda x, y: (y.mul_(3), x + y)[1], False),
    ],
)
def test_aliasing_reaches_program_and_replay(program: Any, alike: bool) -> None:
    base = torch.arange(4.0)
    arguments = (base, base[:2]) if alike else (base, base.view(2, 2)[1, :1])
    assert opscope.trace(program, arguments, check=True).check(arguments).ok


def test_one_tensor_passed_twice_stays_one() -> None:
    x = torch.ones(2, requires_grad=True)
    traced = opscope.trace(lambda a, b: a * b, (x, x))
    assert traced.check((x, x), gradients=2).ok
