"""Tracing a model larger than this machine: 70 billion parameters, on no device, with ``fake=True``.

Note [A process of its own]
    Peak memory is a process's high-water mark, which never falls. So the model is built and traced
    in a fresh process, which reports the mark and the seconds of the trace alone, best of three.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .harness import Claim, Comparison, Effort, Report

_ROOT = Path(__file__).resolve().parents[1]
_PROGRAM = """
import json, sys, time
from pathlib import Path
import torch
from transformers import LlamaConfig, LlamaForCausalLM
import opscope

config = LlamaConfig(
    hidden_size=8192, num_hidden_layers=int(sys.argv[1]), num_attention_heads=64,
    num_key_value_heads=8, intermediate_size=28672, vocab_size=128256, use_cache=False,
)
with torch.device("meta"):
    model = LlamaForCausalLM(config).eval()
tokens = torch.zeros(1, 128, dtype=torch.long)
seconds = []
for _ in range(3):
    start = time.perf_counter()
    traced = opscope.trace(model, tokens, fake=True)
    seconds.append(time.perf_counter() - start)
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peak = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
print(json.dumps({
    "seconds": min(seconds), "peak_kib": peak[0] if peak else None,
    "parameters": traced.parameter_count, "nodes": len(traced.graph.block),
}))
"""


def fake(effort: Effort) -> Report:
    """Trace Llama of 70 billion parameters without computing."""
    layers = effort.size(80, 2)
    found = _measured(layers)
    claims = [Claim("seconds", found["seconds"], "s", 3.0)]
    if found["peak_kib"] is not None:
        claims.append(
            Claim("peak memory of the process", found["peak_kib"] / (1 << 20), "GiB", 1.0)
        )
    what = f"Llama, {layers} layers, {found['parameters'] / 1e9:.1f} billion parameters"
    return Report(
        "Tracing without computing",
        "s",
        (Comparison(what, {"opscope": found["seconds"]}, tuple(claims)),),
        (
            f"{found['nodes']} nodes, best of three traces. The peak is that of the whole process, with",
            "torch, transformers, and the model on the meta device.",
        ),
    )


def _measured(layers: int) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(layers)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
