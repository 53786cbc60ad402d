"""Puts ``tests/`` on the path, so that every test can import ``support``; makes runs of CI repeatable."""

import os
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# Elsewhere each run draws other programs, and finds other mistakes.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
