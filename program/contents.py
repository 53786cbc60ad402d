"""Traced programs as what a file holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any, Protocol

import torch

from ..errors import FormatError
from ..ir import Graph, Node
from ..ir.conditions import Circumstance
from ..ir.files import (
    Contents,
    Data,
    PlaceRef,
    ProgramRecord,
    SavedCircumstance,
    SavedGenerator,
    SavedStored,
    StateRecord,
    TensorRef,
    header_bytes,
)
from ..ir.findings import Diagnostic
from ..ir.identities import Way
from ..ir.mutation import Mutation
from ..ir.own_operators import GRADIENT, SET_GRADIENT
from ..ir.places import HeldPlace
from ..ir.structure import Structure
from ..ir.updates import Stored
from ..runtime import TensorWriter
from ..tracer import InputSpec, type_of_tensor
from ..tracer.saved import PlaceWriter, saved_circumstances, saved_inputs


class Traced(Protocol):
    """What is asked of a traced program to write it."""

    graph: Graph
    state: dict[str, Any]
    inputs: InputSpec
    outputs: Structure
    diagnostics: tuple[Diagnostic, ...]
    mutations: tuple[Mutation, ...]
    circumstances: tuple[Circumstance, ...]
    updates: dict[str, Structure]
    stored: tuple[Stored, ...]
    depth: str

    @property
    def lengths(self) -> tuple[Node, ...]:
        """The nodes that give lists of a certain length."""
        ...

    @property
    def private(self) -> tuple[str, ...]:
        """The names of the constants whose memory nobody else has."""
        ...

    @property
    def twins(self) -> Mapping[Way, frozenset[Way]]:
        """The ways to objects among the arguments that the program changes."""
        ...


def contents_of(program: Traced, *, with_state: bool) -> tuple[Contents, Data | None]:
    """Return what a file is to hold of a program, and the data of its tensors.

    Raises:
        FormatError: a tensor of its state cannot come back exactly.
    """
    made, data = contents_of_all((program,), with_state=with_state)
    return made[0], data


def contents_of_all(
    programs: Sequence[Traced], *, with_state: bool
) -> tuple[list[Contents], Data | None]:
    """Return what a file is to hold of programs that share their state, and the data of its tensors.

    Raises:
        FormatError: a tensor of the state cannot come back exactly.
    """
    has_gradients = any(_has_gradients(program.graph) for program in programs)
    tensors = TensorWriter(type_of_tensor, with_gradients=has_gradients)
    places = PlaceWriter(tensors.add) if with_state else None
    # Everything that all of them refer to is collected before it is told of.
    objects = [
        {} if places is None else dict(_objects(program, tensors, places)) for program in programs
    ]
    records = [_record(program, tensors, places) for program in programs]
    tensors.require_apart()
    if places is not None:
        shared = StateRecord(
            {},
            tuple(tensors.records),
            tuple([entry.name for entry in tensors.entries]),
            places.places,
            places.holders,
        )
        records = [
            replace(record, state=replace(shared, objects=own))
            for record, own in zip(records, objects, strict=True)
        ]
    contents = [
        Contents(program.graph, record, torch=torch.__version__)
        for program, record in zip(programs, records, strict=True)
    ]
    return contents, _data(tensors)


def _record(program: Traced, tensors: TensorWriter, places: PlaceWriter | None) -> ProgramRecord:
    """Return what a file is to hold of a program besides its graph and state."""
    obstacles = []
    circumstances: list[SavedCircumstance] = []
    for each in saved_circumstances(program.circumstances, tensors.number, places):
        if isinstance(each, str):
            obstacles.append(each)
        else:
            circumstances.append(each)
    stored = []
    for put in program.stored:
        number = None if places is None else places.place(put.place)
        if number is None and places is not None:
            obstacles.append(f"it puts something into {put.place.name}, which a file cannot hold")
        stored.append(SavedStored(put.place.name, number, put.structure, put.is_whole))
    add = tensors.add if places is not None else lambda *_: None
    return ProgramRecord(
        inputs=saved_inputs(program.inputs, add),
        outputs=program.outputs,
        depth=program.depth,
        diagnostics=program.diagnostics,
        lengths=program.lengths,
        mutations=program.mutations,
        circumstances=tuple(circumstances),
        updates=program.updates,
        stored=tuple(stored),
        twins=program.twins,
        private=tuple([name for name in program.private if name in program.graph.state]),
        obstacles=tuple(obstacles),
    )


def _has_gradients(graph: Graph) -> bool:
    """Whether a graph goes by the gradients that tensors have when it begins, or sets them."""
    kinds = (GRADIENT.name, SET_GRADIENT.name)
    parts = (graph, *graph.functions.values())
    return any(node.kind in kinds for part in parts for node in part.walk())


def _objects(
    program: Traced, tensors: TensorWriter, places: PlaceWriter
) -> Iterator[tuple[str, Any]]:
    for name in program.graph.state:
        if name not in program.state:
            raise FormatError(f"nothing is known of state {name!r}, which the graph has")
        kept = program.state[name]
        if isinstance(kept, torch.Tensor):
            yield name, TensorRef(tensors.add(kept, name))
        elif isinstance(kept, torch.Generator):
            yield name, _generator(kept, name, tensors)
        else:
            number = places.place(kept) if isinstance(kept, HeldPlace) else None
            yield name, kept if number is None else PlaceRef(number)


def _generator(generator: torch.Generator, name: str, tensors: TensorWriter) -> SavedGenerator:
    defaults = [torch.default_generator]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        defaults += torch.cuda.default_generators
    if any(generator is default for default in defaults):
        return SavedGenerator(str(generator.device), None)
    state = generator.get_state()
    return SavedGenerator(str(generator.device), tensors.add(state, f"{name}.state"))


def _data(tensors: TensorWriter) -> Data | None:
    if not tensors.entries:
        return None
    header = header_bytes(tensors.entries)

    def write(stream: IO[bytes]) -> None:
        stream.write(header)
        tensors.write(stream)

    return Data(len(header) + tensors.nbytes, write)
