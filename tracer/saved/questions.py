"""Questions to torch and to tensors, found again by the words that a circumstance has for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import torch

from ..patches.facts import LASTING_FACTS
from ..patches.modes import MODE_QUESTIONS
from ..patches.surroundings import flag_named, setting_named
from ..recorders.deep import AUTOCAST_ON, autocast_dtype

_MODE: Final = re.compile(r"torch\.(\w+)\((?:'(\w+)')?\)\Z")


def question(call: str) -> Callable[[], Any] | None:
    """Return what asks for a mode or setting: ``torch.is_grad_enabled()``; None if nothing is known to."""
    match = _MODE.match(call)
    if match is not None and match[1] in MODE_QUESTIONS:
        ask = getattr(torch, match[1])
        return partial(ask, match[2]) if match[2] else ask
    if call.startswith(AUTOCAST_ON):
        return partial(autocast_dtype, call.removeprefix(AUTOCAST_ON))
    return setting_named(call) or flag_named(call)


def fact_named(name: str) -> Callable[[torch.Tensor], Any] | None:
    """Return what asks a tensor for the fact of an operator's name; None if there is none."""
    fact = LASTING_FACTS.get(name)
    return None if fact is None else fact.ask
