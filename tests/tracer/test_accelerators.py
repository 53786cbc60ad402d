"""Programs on an accelerator made for tests, for which autograd's engine has a thread of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcomes() -> Any:
    """What came of each program, from a process in which the accelerator is registered."""
    done = subprocess.run(
        [sys.executable, str(_HERE / "on_accelerator.py")],
        env={**os.environ, "PYTHONPATH": str(_HERE.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_autograd_has_a_thread_for_the_device_when_nothing_traces(outcomes: Any) -> None:
    assert outcomes["engine_threads"] == 2


@pytest.mark.parametrize(
    "name",
    [
        "a_forward",
        "views_and_writes",
        "a_gradient",
        "a_gradient_of_a_gradient",
        "both_devices",
        "a_checkpoint",
        "a_reentrant_checkpoint",
        "a_custom_function",
        "a_hook",
    ],
)
def test_a_program_is_traced_on_one_thread_and_replayed_exactly(outcomes: Any, name: str) -> None:
    assert outcomes[name] == {"is_equal": True, "is_on_one_thread": True, "diagnostics": []}


def test_training_steps_follow_eager_and_know_what_caused_them(outcomes: Any) -> None:
    step = outcomes["training"]
    assert step["is_equal"]
    assert step["is_on_one_thread"]
    assert (step["scope"], step["is_backward"], step["caused_here"]) == ("net.norm", True, True)
    # Whether the scaler found an infinite gradient decides whether the optimizer steps: a guard says so.
    assert [text.partition(":")[0] for text in step["diagnostics"]] == ["data read"]
