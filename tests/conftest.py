"""Puts ``tests/`` on the path, so that every test can import ``support``; makes runs of CI repeatable."""

import os
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # workers share the cores, and so do the processes that tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Elsewhere each run draws other programs, and finds other mistakes.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
