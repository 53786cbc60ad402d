"""Benchmarks: what opscope costs beside eager PyTorch and its other tracers. ``python -m benchmarks``."""
