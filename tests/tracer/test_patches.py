"""What stands in torch while a trace runs is gone afterwards, whatever ended the trace."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch

import opscope
from opscope.tracer.dispatch.replacing import Undo
from opscope.tracer.patches import process

OWNERS = (torch, torch.Tensor, torch.nn.Module, torch.random, torch.autograd.Function, math)


def attributes() -> list[dict[str, Any]]:
    return [{**vars(owner), "__warningregistry__": None} for owner in OWNERS]


def add(x: torch.Tensor) -> torch.Tensor:
    return x + x.shape[0]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("name", ["exchange_transforms", "run_compiled_code_eagerly"])
def test_an_interrupt_while_patches_are_put_in_leaves_none(
    kind: type[BaseException], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opscope.trace(add, torch.ones(2))
    before = attributes()

    def interrupted(*args: Any) -> None:
        raise kind

    with monkeypatch.context() as patched:
        patched.setattr(process, name, interrupted)
        with pytest.raises(kind):
            opscope.trace(add, torch.ones(2))
    assert attributes() == before
    assert opscope.trace(add, torch.ones(2))(torch.ones(3)).tolist() == [4.0, 4.0, 4.0]
    assert attributes() == before


def test_an_interrupt_while_patches_are_taken_out_leaves_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opscope.trace(add, torch.ones(2))
    before = attributes()
    interrupts = [KeyboardInterrupt, KeyboardInterrupt]
    take_out = process._Wrapper.take_out

    def interrupted(wrapper: Any) -> None:
        if interrupts and wrapper.name == "item":
            raise interrupts.pop()
        take_out(wrapper)

    monkeypatch.setattr(process._Wrapper, "take_out", interrupted)
    with pytest.raises(KeyboardInterrupt):
        opscope.trace(add, torch.ones(2))
    assert not interrupts
    assert attributes() == before


def test_steps_are_undone_to_the_end_and_in_reverse() -> None:
    done: list[str] = []
    interrupts = [KeyboardInterrupt]

    def step() -> None:
        if interrupts:
            raise interrupts.pop()
        done.append("second")

    undo = Undo()
    undo.add(lambda: done.append("first"))
    undo.add(step)
    with pytest.raises(KeyboardInterrupt):
        undo.run()
    assert done == ["second", "first"]
    undo.run()
    assert done == ["second", "first"]


COMPILES = """
import torch, opscope
x = torch.ones(3)
opscope.trace(lambda x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,)), x)
compiled = torch.compile(lambda x: x + torch.tensor(1.0), backend="eager", fullgraph=True)
print(compiled(x).tolist())
"""


def test_what_is_compiled_after_a_trace_knows_the_functions_of_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPILES], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[2.0, 2.0, 2.0]", done.stderr
