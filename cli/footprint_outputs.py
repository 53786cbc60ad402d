"""What ``opscope footprint`` writes: files whole and together, or text for other commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import typer

from ..footprint import OperatorSelection, operator_dict, operator_list, operator_schema
from .errors import CommandError
from .outputs import check_place, write_together

_STDOUT: Final = Path("-")


@dataclass(frozen=True, slots=True)
class FootprintOutputs:
    """Where to write what; None for nowhere, ``-`` for standard output.

    Attributes:
        yaml: ``selected_operators.yaml`` for torch.
        executorch_yaml: the same for ExecuTorch.
        executorch_list: names with commas between them.
        executorch_dict: keys of kernels by operator, as JSON.
        executorch_schema: names, as in files of kernels.
    """

    yaml: Path | None = None
    executorch_yaml: Path | None = None
    executorch_list: Path | None = None
    executorch_dict: Path | None = None
    executorch_schema: Path | None = None

    @property
    def for_executorch(self) -> tuple[Path, ...]:
        """Where something for ExecuTorch is to be written."""
        places = (
            self.executorch_yaml,
            self.executorch_list,
            self.executorch_dict,
            self.executorch_schema,
        )
        return tuple(place for place in places if place is not None)

    @property
    def all(self) -> tuple[Path, ...]:
        """Where anything is to be written."""
        return self.for_executorch if self.yaml is None else (self.yaml, *self.for_executorch)

    def check(self, sources: Iterable[Path]) -> None:
        """Find out whether all can be written before anything is run.

        Raises:
            CommandError: a place cannot be written, is named twice, or is that of something to be read.
        """
        read = {path.resolve(): path for path in sources}
        seen: set[Path] = set()
        for path in self.all:
            place = path.resolve()
            if place in seen:
                raise CommandError(f"{path} is to be written twice")
            seen.add(place)
            if place in read and path != _STDOUT:
                raise CommandError(f"{path} is a model that is to be read; write to another file")
            if path != _STDOUT:
                check_place(path)

    def write(self, torch: OperatorSelection, executorch: OperatorSelection) -> None:
        """Write all that is asked for, or nothing.

        Raises:
            CommandError: a file cannot be written.
            FootprintError: a selection cannot be said in one of the forms.
        """
        texts = dict(self._texts(torch, executorch))
        for path, (text, _) in texts.items():
            if path == _STDOUT:
                typer.echo(text, nl=not text.endswith("\n"))
        files = {path: texts[path] for path in texts if path != _STDOUT}
        write_together({path: partial(_write, text) for path, (text, _) in files.items()})
        for path, (_, summary) in files.items():
            typer.echo(f"wrote {path}: {summary}", err=True)

    def _texts(
        self, torch: OperatorSelection, executorch: OperatorSelection
    ) -> Iterable[tuple[Path, tuple[str, str]]]:
        if self.yaml is not None:
            roots = sum(operator.is_root for operator in torch.operators.values())
            yield (
                self.yaml,
                (torch.to_yaml(), f"{len(torch.operators)} operators, {roots} of them roots"),
            )
        forms: Mapping[Path | None, Callable[[OperatorSelection], str]] = {
            self.executorch_yaml: OperatorSelection.to_yaml,
            self.executorch_list: operator_list,
            self.executorch_dict: operator_dict,
            self.executorch_schema: operator_schema,
        }
        for path, form in forms.items():
            if path is not None:
                text = form(executorch)
                yield path, (text, f"{len(executorch.operators)} operators for ExecuTorch")


def _write(text: str, path: Path) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text if text.endswith("\n") else f"{text}\n")
