"""One state of every random generator, to start each run from."""

from __future__ import annotations

import random

import numpy as np
import torch


def seed_everything(seed: int = 7) -> None:
    """Seed the generators of torch, NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
