"""What torch's own counter makes of a program."""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop, sdpa_flop

_ATEN = torch.ops.aten
# On CPUs attention has kernels of its own, which the counter has no formula for.
_CPU_ATTENTION = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu: unwrap(sdpa_flop),
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: unwrap(sdpa_backward_flop),
}


def counted_by_torch(run: Callable[[], Any]) -> int:
    """Return the FLOPs of what ``run`` does, by ``torch.utils.flop_counter``."""
    with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION) as counter:
        run()
    return int(counter.get_total_flops())
