"""``opscope demo``: trace, draw and replay real networks, and print what it cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import torch
import typer
from rich.console import Console
from rich.table import Table

from ..ir.structure import take_apart
from ..program.traced import TracedProgram, trace
from .errors import CommandError
from .outputs import write_together
from .summary import count_nodes, count_scopes, operators_by_kind
from .target import load_script
from .waiting import waiting

EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples"
"""Where the examples lie if opscope runs from a checkout; wheels come without them."""

_ROUNDS = 5  # how often each network is run and traced
_MOST_KINDS = 5
_WIDTH = 100  # columns of the table where stdout is no terminal


@dataclass(frozen=True, slots=True)
class Case:
    """A network and what it is called with."""

    model: torch.nn.Module
    kwargs: dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class DemoModel:
    """A network of the demonstration.

    Attributes:
        name: heads its column.
        stem: name of its files without suffix.
        make: returns the network and its inputs; raises :class:`Missing` where it cannot.
    """

    name: str
    stem: str
    make: Callable[[], Case]


class Missing(CommandError):
    """Something that a network needs is not there; the message says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one network gave.

    Attributes:
        name: of the network.
        traced: its trace.
        eager_s: seconds of one run, median.
        trace_s: seconds of one trace, median.
        is_exact: whether the replay gave what the network gives, bit for bit.
        files: what was written.
    """

    name: str
    traced: TracedProgram
    eager_s: float
    trace_s: float
    is_exact: bool
    files: tuple[Path, ...]


def run_demo(out: Path, examples: Path | None = None) -> bool:
    """Run the demonstration, print its table, and return whether every replay was exact.

    Raises:
        CommandError: the folder cannot be made, or no network is there.
    """
    folder = EXAMPLES if examples is None else examples
    return demonstrate(
        (
            DemoModel("ResNet-50", "resnet50", partial(_resnet50, folder)),
            DemoModel("GPT, 12 layers", "gpt", partial(_gpt, folder)),
            DemoModel("GPT-2, transformers", "gpt2", _gpt2),
        ),
        out,
    )


def demonstrate(models: Sequence[DemoModel], out: Path) -> bool:
    """Trace, draw and replay networks, print a table, and return whether every replay was exact.

    Raises:
        CommandError: the folder cannot be made, or no network is there.
    """
    make_folder(out)
    outcomes = []
    for model in models:
        try:
            with waiting(f"{model.name}: loading"):
                torch.manual_seed(0)
                case = model.make()
        except Missing as missing:
            typer.echo(f"{model.name} is left out: {missing}", err=True)
            continue
        outcomes.append(_outcome(model, case, out))
    if not outcomes:
        raise CommandError("there is no network to trace")
    _print_table(outcomes)
    typer.echo(f"\nthe files are in {out}")
    return all(outcome.is_exact for outcome in outcomes)


def _outcome(model: DemoModel, case: Case, out: Path) -> Outcome:
    network = case.model.eval()
    with torch.no_grad():
        with waiting(f"{model.name}: tracing"):
            traced = trace(network, (), case.kwargs, warn=False)
            eager_s, trace_s = _medians(network, case.kwargs)
            is_exact = same_bits(network(**case.kwargs), traced(**case.kwargs))
    files = tuple(out / f"{model.stem}{suffix}" for suffix in (".html", ".svg", ".png", ".txt"))
    with waiting(f"{model.name}: drawing"):
        text = str(traced.graph)
        write_together(
            {
                path: partial(Path.write_text, data=text, encoding="utf-8")
                if path.suffix == ".txt"
                else traced.save
                for path in files
            }
        )
    return Outcome(model.name, traced, eager_s, trace_s, is_exact, files)


def _medians(network: torch.nn.Module, kwargs: dict[str, torch.Tensor]) -> tuple[float, float]:
    """Return the median seconds of a run and of a trace, which take turns."""
    eager, tracing = [], []
    for _ in range(_ROUNDS):
        eager.append(_seconds(partial(network, **kwargs)))
        tracing.append(_seconds(partial(trace, network, (), kwargs, warn=False)))
    return median(eager), median(tracing)


def _seconds(action: Callable[[], Any]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def same_bits(expected: Any, actual: Any) -> bool:
    """Whether two results have one structure and their tensors the same types and bits."""
    leaves, structure = take_apart(expected, _is_tensor)
    others, other = take_apart(actual, _is_tensor)
    if type(expected) is not type(actual) or structure.leaf_paths() != other.leaf_paths():
        return False
    return all(map(_same_tensor, leaves, others))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _same_tensor(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape or a.device != b.device:
        return False
    return torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))


def _resnet50(examples: Path) -> Case:
    model = example(examples, "resnet.py").resnet50()
    return Case(model, {"images": torch.randn(1, 3, 224, 224)})


def _gpt(examples: Path) -> Case:
    model = example(examples, "gpt.py").gpt(layers=12, heads=8, width=512, vocabulary=16384)
    return Case(model, {"tokens": torch.randint(16384, (1, 128))})


def _gpt2() -> Case:
    if find_spec("transformers") is None:
        raise Missing("transformers is not installed (pip install 'opscope[demo]')")
    from transformers import GPT2Config, GPT2LMHeadModel  # optional, and slow to load

    config = GPT2Config()
    tokens = torch.randint(config.vocab_size, (1, 64))
    return Case(GPT2LMHeadModel(config), {"input_ids": tokens})


def make_folder(out: Path) -> None:
    """Make the folder that the files of a demonstration go to.

    Raises:
        CommandError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make the folder {out}: {error.strerror}") from error


def example(examples: Path, name: str) -> Any:
    """Return one of the examples as a module.

    Raises:
        Missing: it is not there.
    """
    path = examples / name
    if not path.is_file():
        raise Missing(
            f"{name} is an example of the source checkout, and there is none in {examples}; "
            "name the folder with --examples"
        )
    return load_script(path)


def _print_table(outcomes: Sequence[Outcome]) -> None:
    table = Table(show_lines=False, pad_edge=False, box=None, header_style="bold")
    table.add_column("", style="bold")
    for outcome in outcomes:
        table.add_column(outcome.name)
    rows: dict[str, Callable[[Outcome], str]] = {
        "nodes": lambda outcome: f"{count_nodes(outcome.traced.graph):,}",
        "scopes": lambda outcome: f"{count_scopes(outcome.traced.graph):,}",
        "parameters": lambda outcome: f"{outcome.traced.parameter_count:,}",
        "operators": _operators,
        "one eager run": lambda outcome: f"{outcome.eager_s * 1e3:.1f} ms",
        "one trace": lambda outcome: f"{outcome.trace_s * 1e3:.1f} ms",
        "trace / eager": lambda outcome: f"{outcome.trace_s / outcome.eager_s:.2f}",
        "not recorded": lambda outcome: str(len(outcome.traced.diagnostics) or "nothing"),
        "replay": lambda outcome: "bit for bit" if outcome.is_exact else "DIFFERS",
        "files": lambda outcome: "\n".join(path.name for path in outcome.files),
    }
    for name, cell in rows.items():
        table.add_row(name, *map(cell, outcomes))
    console = Console()
    console.print(table, width=None if console.is_terminal else _WIDTH)


def _operators(outcome: Outcome) -> str:
    kinds = operators_by_kind(outcome.traced.graph)
    lines = [f"{count:>3} {kind}" for kind, count in kinds.most_common(_MOST_KINDS)]
    rest = sum(count for _, count in kinds.most_common()[_MOST_KINDS:])
    if rest:
        lines.append(f"{rest:>3} others")
    return "\n".join(lines)
