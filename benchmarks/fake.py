"""Tracing a model larger than this machine: 70 billion parameters, on no device, with ``fake=True``.

Note [A process of its own]
    Peak memory is a process's high-water mark, which never falls. So for each program the model is built
    and traced in a fresh process, which reports the mark and the seconds of the trace alone, best of three.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
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

def forward(tokens):
    return model(tokens)

def train(tokens):
    loss = model(tokens, labels=tokens).loss
    loss.backward()
    return loss.detach()

def step(tokens):
    optimizer.zero_grad()
    loss = train(tokens)
    optimizer.step()
    return loss

program, depth = {"forward": (forward, "flat"), "train": (train, "deep"), "step": (step, "deep")}[sys.argv[2]]
if program is step:
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
    optimizer.step()  # makes its state, on no device as well
seconds = []
for _ in range(3):
    start = time.perf_counter()
    traced = opscope.trace(program, tokens, fake=True, depth=depth)
    seconds.append(time.perf_counter() - start)
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peak = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
print(json.dumps({
    "seconds": min(seconds), "peak_kib": peak[0] if peak else None,
    "parameters": traced.parameter_count, "nodes": len(traced.graph.block),
}))
"""


@dataclass(frozen=True, slots=True)
class _Program:
    """What is traced.

    Attributes:
        name: what it is called above.
        what: the same for people.
        most_seconds: the target.
        most_gib: likewise.
    """

    name: str
    what: str
    most_seconds: float | None = None
    most_gib: float | None = None


_PROGRAMS = (
    _Program("forward", "forward", 3.0, 1.0),
    _Program("train", "forward and backward, deep", 10.0, 2.0),
    _Program("step", "the same and a step of AdamW"),
)


def fake(effort: Effort) -> Report:
    """Trace Llama of 70 billion parameters without computing."""
    layers = effort.size(80, 2)
    comparisons, parameters, nodes = [], 0.0, []
    for program in _PROGRAMS:
        found = _measured(layers, program.name)
        parameters = found["parameters"]
        nodes.append(f"{found['nodes']}")
        claims = [Claim("seconds", found["seconds"], "s", program.most_seconds)]
        if found["peak_kib"] is not None:
            peak = found["peak_kib"] / (1 << 20)
            claims.append(Claim("peak memory", peak, "GiB", program.most_gib))
        comparisons.append(Comparison(program.what, {"opscope": found["seconds"]}, tuple(claims)))
    return Report(
        f"Tracing Llama of {parameters / 1e9:.1f} billion parameters without computing",
        "s",
        tuple(comparisons),
        (
            f"{layers} layers; {', '.join(nodes)} nodes; best of three traces. The peak is that of the",
            "whole process, with torch, transformers, and the model on the meta device.",
        ),
    )


def _measured(layers: int, program: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(layers), program]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
