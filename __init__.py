"""opscope traces a PyTorch program while it runs into a graph that people can read, run and draw.

Nothing here imports torch: names are resolved when they are first used (PEP 562), so that a saved
graph can be read and drawn where torch is not installed.
"""

from __future__ import annotations

__version__ = "0.1.0"
