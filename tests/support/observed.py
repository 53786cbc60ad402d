"""Which operators torch's own observer of execution traces sees: all that C++ may observe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from torch.profiler import ExecutionTraceObserver


def observed_by_torch(call: Callable[[], object], folder: Path) -> set[str]:
    """Return the operators that torch's observer of execution traces reports: it has their schemas."""
    path = folder / "trace.json"
    observer = ExecutionTraceObserver()
    observer.register_callback(str(path))
    observer.start()
    try:
        call()
    finally:
        observer.stop()
        observer.unregister_callback()
    found = set()
    for node in json.loads(path.read_text())["nodes"]:
        for attribute in node["attrs"]:
            if attribute["name"] == "op_schema" and attribute["value"]:
                found.add(attribute["value"].partition("(")[0])
    return found
