"""The hook: any of three keys will do, and none gives an error that says so."""

import subprocess
import sys

import pytest
import torch

from opscope.tracer.dispatch import dispatcher

PROGRAM = """
import torch
from opscope.tracer.dispatch import dispatcher
dispatcher.CANDIDATE_KEYS = {keys}
import opscope
traced = opscope.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
assert dispatcher.kernels().key_name == {expected!r}, dispatcher.kernels().key_name
print([node.kind for node in traced.graph.walk()])
"""


@pytest.mark.parametrize("position", [1, 2])
def test_each_fallback_key_captures_as_well(position: int) -> None:
    key = dispatcher.CANDIDATE_KEYS[position]
    program = PROGRAM.format(keys=("NoSuchKey", key), expected=key)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['aten::linear']"


def test_no_working_key_is_an_error_with_the_torch_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "CANDIDATE_KEYS", ("NoSuchKey",))
    monkeypatch.delitem(sys.modules, "_opscope_kernels", raising=False)
    with pytest.raises(dispatcher.UnsupportedTorchError) as raised:
        dispatcher.kernels()
    message = str(raised.value)
    assert f"torch {torch.__version__} offers no dispatcher key" in message
    assert "NoSuchKey: " in message


def test_a_second_copy_of_the_package_shares_the_kernels() -> None:
    installed = dispatcher.kernels()
    assert sys.modules["_opscope_kernels"].kernels is installed


@pytest.mark.parametrize(
    ("number", "dtype"),
    [(2, torch.int64), (2.5, torch.float64), (True, torch.bool), (2j, torch.complex128)],
)
def test_wrapped_numbers_promote_like_the_numbers(number: complex, dtype: torch.dtype) -> None:
    wrapped = dispatcher.WrappedNumbers(dispatcher.kernels()).wrap(number)
    assert wrapped.dtype == dtype
    assert wrapped.item() == number
    for other in (torch.int8, torch.float32, torch.complex64):
        tensor = torch.ones(2, dtype=other)
        assert (tensor + wrapped).dtype == (tensor + number).dtype


def test_the_first_nested_tensor_of_a_process_leaves_its_making_in_no_graph() -> None:
    program = """
import sys, torch, opscope

assert [n.kind for n in opscope.trace(torch.neg, torch.ones(2)).graph.walk()] == ["aten::neg"]
print("torch.distributed.tensor" in sys.modules)

def jagged(x, offsets):
    return torch.nested.nested_tensor_from_jagged(x, offsets).values()

traced = opscope.trace(jagged, (torch.ones(5, 3), torch.tensor([0, 2, 5])))
print([n.kind for n in traced.graph.walk()])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "False",  # what takes long to load is not loaded before a program needs it
        "['aten::_nested_view_from_jagged', 'aten::_nested_get_values']",
    ]
