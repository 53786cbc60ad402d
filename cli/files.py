"""Files that commands read: programs, and graphs as text; loads no torch unless that is asked for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..errors import FormatError, ParseError
from ..ir import Graph, Operator, parse, unknown_operator
from ..ir.own_operators import OWN_OPERATORS
from ..ir.scalars import scalar_named
from ..ir.structure import Structure, StructureKind
from ..program.facts_when_asked import FactsWhenAsked
from ..program.loaded import load
from ..program.recorded import RecordedProgram
from .errors import CommandError


def read_program(path: Path, *, with_schemas: bool = False) -> RecordedProgram:
    """Return the program of a file; that of a graph as text is the graph alone.

    Args:
        path: the file.
        with_schemas: whether operators of text are to be described as torch describes them, as far as it
            is installed. Those of a program are in the file.

    Raises:
        CommandError: the file cannot be read, or holds no graph.
    """
    try:
        if path.suffix.lower() == ".opscope":
            return load(path)
        text = path.read_text(encoding="utf-8")
    except FormatError as error:
        raise CommandError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        file, _, name = str(path).rpartition(":")
        hint = f"\nopscope trace {path} -o {name}.opscope writes a file of it" if file else ""
        raise CommandError(f"cannot read {path}: {reason}{hint}") from error
    try:
        graph = _parsed(text, with_schemas=with_schemas)
    except ParseError as error:
        raise CommandError(_other_kind(path) or f"{path}: {error}") from error
    return RecordedProgram(graph, Structure(StructureKind.CONSTANT), facts=FactsWhenAsked())


def _other_kind(path: Path) -> str:
    """Return what to do with a file of a kind that holds no graph to read; empty for others."""
    match path.suffix.lower():
        case ".html" | ".htm":
            return f"{path} is a page\nopen it in a browser; commands read .opscope and .txt files"
        case ".py":
            return (
                f"{path} is Python\n"
                f"opscope trace {path}:NAME -o {path.stem}.opscope writes what this command reads"
            )
    return ""


def _parsed(text: str, *, with_schemas: bool) -> Graph:
    if with_schemas and find_spec("torch") is not None:
        # This loads torch, which few commands need.
        from ..program.operators import parse as parse_with_torch

        return parse_with_torch(text)
    return parse(text, _operator_named)


def _operator_named(name: str) -> Operator:
    """Return the operator of a name as far as it is known without torch."""
    return OWN_OPERATORS.get(name) or scalar_named(name) or unknown_operator(name)
