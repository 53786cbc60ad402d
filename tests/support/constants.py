"""Constants of graphs that are written as text, for passes that compute with them."""

from __future__ import annotations

from typing import Any

import torch

from opscope.ir import Modes
from opscope.runtime import StateTensors
from opscope.tracer import apart, type_of_tensor


def state_tensors(state: dict[str, Any], *, private: bool = True) -> StateTensors:
    """Return the tensors behind a graph's constants, which nobody else has if ``private``."""
    own = {id(kept): kept for kept in state.values() if isinstance(kept, torch.Tensor)}
    return StateTensors(state, own if private else {}, Modes(), type_of_tensor, apart)
