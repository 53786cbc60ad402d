"""``opscope demo train``: a whole training step as one graph, replayed for five steps beside eager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
import typer
from rich.console import Console
from rich.table import Table

from ..program.traced import TracedProgram, trace
from .demo import EXAMPLES, example, make_folder, same_bits
from .outputs import write_together
from .waiting import waiting

_STEPS = 5
_BATCH: Final = (4, 65)  # sentences, and their tokens with the one to be foretold last
_VOCABULARY = 1000
_WIDTH = 100  # columns of the tables where stdout is no terminal


@dataclass(frozen=True, slots=True)
class Training:
    """A network in training.

    Attributes:
        model: the network.
        optimizer: what trains it.
        scheduler: what changes the learning rate after each step.
        step: takes a batch of tokens, trains once, and returns the loss.
    """

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    step: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Step:
    """How one replayed step compares with the eager one: what is the same, bit for bit.

    Attributes:
        loss: of eager.
        rate: the learning rate.
        same: for each thing that was compared, whether it is the same.
    """

    loss: float
    rate: float
    same: dict[str, bool]


def run_training(out: Path, examples: Path | None = None) -> bool:
    """Trace a training step, replay it for some steps, print what it shows, and return whether all is equal.

    Raises:
        CommandError: the folder cannot be made, or the network is not there.
    """
    make_folder(out)
    folder = EXAMPLES if examples is None else examples
    ours, theirs = (_training(folder) for _ in range(2))
    torch.manual_seed(1)
    first, *batches = (torch.randint(_VOCABULARY, _BATCH) for _ in range(_STEPS + 2))
    for training in (ours, theirs):
        torch.manual_seed(2)
        training.step(first)  # in which the optimizer makes its state
    with waiting("tracing a training step"):
        torch.manual_seed(3)
        traced = trace(ours.step, batches[0], warn=False)
        torch.manual_seed(3)
        theirs.step(batches[0])
    steps = list(_compared(ours, theirs, traced, batches[1:]))
    console = Console()
    width = None if console.is_terminal else _WIDTH
    console.print(_table(steps), width=width)
    typer.echo(f"\nnot recorded: {len(traced.diagnostics) or 'nothing'}\n")
    typer.echo(traced.summary())
    typer.echo(traced.summary(by="line", top=8))
    files = {out / f"train{suffix}": traced.save for suffix in (".html", ".svg", ".png")}
    text = partial(Path.write_text, data=str(traced.graph), encoding="utf-8")
    with waiting("drawing"):
        write_together({**files, out / "train.txt": text})
    typer.echo(f"the files are in {out}")
    return all(all(step.same.values()) for step in steps)


def _training(examples: Path) -> Training:
    torch.manual_seed(0)
    make = example(examples, "gpt.py").gpt
    model = make(layers=4, heads=4, width=128, vocabulary=_VOCABULARY, context=128, dropout=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)

    def train(tokens: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        logits = model(tokens[:, :-1]).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    return Training(model.train(), optimizer, scheduler, train)


def _compared(
    ours: Training, theirs: Training, traced: TracedProgram, batches: list[torch.Tensor]
) -> Iterator[Step]:
    """Train both, one by replays, and compare them after each step."""
    for seed, batch in enumerate(batches, start=4):
        torch.manual_seed(seed)
        replayed, drawn = traced(batch), torch.get_rng_state()
        torch.manual_seed(seed)
        loss = theirs.step(batch)
        rate = theirs.optimizer.param_groups[0]["lr"]
        same = {
            "loss": same_bits(loss, replayed),
            "random numbers": same_bits(torch.get_rng_state(), drawn),
        }
        held, expected = _held_by(ours), _held_by(theirs)
        same.update((name, same_bits(expected[name], held[name])) for name in held)
        yield Step(loss.item(), rate, same)
        for training in (ours, theirs):
            training.scheduler.step()


def _held_by(training: Training) -> dict[str, list[Any]]:
    """Return what a step leaves behind."""
    parameters = list(training.model.parameters())
    return {
        "weights": parameters,
        "gradients": [parameter.grad for parameter in parameters],
        "optimizer": [dict(held) for held in training.optimizer.state.values()],
    }


def _table(steps: list[Step]) -> Table:
    title = "replayed steps beside eager ones, bit for bit"
    table = Table(title=title, title_justify="left", pad_edge=False, box=None, header_style="bold")
    table.add_column("step", justify="right")
    table.add_column("loss", justify="right")
    table.add_column("learning rate", justify="right")
    for name in steps[0].same:
        table.add_column(name)
    for number, step in enumerate(steps, start=1):
        cells = ["equal" if same else "DIFFERS" for same in step.same.values()]
        table.add_row(str(number), f"{step.loss:.4f}", f"{step.rate:.6f}", *cells)
    return table
