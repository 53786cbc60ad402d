"""Traced programs made again of what a file holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import torch

from ..errors import FormatError, ReplayError
from ..ir.files import (
    Archive,
    Contents,
    PlaceRef,
    ProgramRecord,
    SavedGenerator,
    StateRecord,
    TensorRef,
    read_header,
)
from ..ir.updates import Stored
from ..runtime import Resolver, make_tensors, read_memories
from ..tracer import plain_torch, unrecorded
from ..tracer.saved import PlaceRestorer, restored_circumstances, restored_inputs
from .traced import TracedProgram


class Restoration:
    """The state of a program that was read from a file, and the program.

    Args:
        contents: what the file holds.
        archive: the file.
        objects: what the user gives for what the file does not hold.
        sharing: another program of the same file, with which this one has its tensors and places in common.
    """

    def __init__(
        self,
        contents: Contents,
        archive: Archive,
        objects: Mapping[str, Any],
        sharing: Restoration | None = None,
    ) -> None:
        self._contents = contents
        self._archive = archive
        self._given = objects
        self._sharing = sharing

    @property
    def _record(self) -> ProgramRecord:
        record = self._contents.program
        if record is None:
            raise ReplayError(
                f"{self._archive.path} holds a graph alone, and no program that could be run\n"
                "  save the traced program: traced.save(...)"
            )
        return record

    @property
    def _saved(self) -> StateRecord:
        state = self._record.state
        if state is None:
            raise ReplayError(
                f"{self._archive.path} was saved without the state of its program, so there is nothing to "
                "run it on\n  save it with state=True"
            )
        return state

    @cached_property
    def tensors(self) -> list[torch.Tensor]:
        """The tensors of the file, by number.

        Raises:
            FormatError: the file is damaged, or another one by now.
            ReplayError: one is on a device that is not here.
        """
        if self._sharing is not None:
            return self._sharing.tensors
        saved = self._saved
        memories: list[torch.UntypedStorage] = []
        if self._archive.data is not None:
            try:
                with self._archive.open_data() as stream:
                    spans = read_header(stream, self._archive.data)
                    memories = read_memories(stream, [size for _, size in spans.values()])
            except FormatError as error:
                raise FormatError(f"{self._archive.path}: {error}") from error
        with unrecorded(), plain_torch():  # nothing around the first call sees or changes this
            return make_tensors(saved.tensors, memories)

    @cached_property
    def _places(self) -> PlaceRestorer:
        if self._sharing is not None:
            return self._sharing._places
        saved = self._saved
        plain = Resolver(self._given, self.tensors).plain
        return PlaceRestorer(saved.places, saved.holders, self.tensors, plain)

    @cached_property
    def state(self) -> dict[str, Any]:
        """What each entry of the graph's state is; what is missing is what stands for it."""
        resolver = Resolver(self._given, self.tensors)
        return {
            name: self._places.places[held.number]
            if isinstance(held, PlaceRef)
            else resolver.plain(held)
            for name, held in self._saved.objects.items()
        }

    def program(self) -> TracedProgram:
        """Return the program, ready to be replayed.

        Raises:
            ReplayError: a replay would not be exact, or needs classes or objects that are not here; the
                message names them all.
        """
        with unrecorded(), plain_torch():
            return self._program(self._record)

    def _program(self, record: ProgramRecord) -> TracedProgram:
        resolver = Resolver(self._given, self.tensors)
        # What was missing when the state was asked for first may be here by now.
        others = {
            name: resolver.plain(held)
            for name, held in self._saved.objects.items()
            if not isinstance(held, PlaceRef | TensorRef | SavedGenerator)
        }
        inputs = restored_inputs(
            record.inputs, resolver.structure(record.inputs.structure), self.tensors, resolver.plain
        )
        program = TracedProgram(
            self._contents.graph,
            {**self.state, **others},
            inputs,
            resolver.structure(record.outputs),
            record.diagnostics,
            record.lengths,
            None,
            record.mutations,
            tuple(
                restored_circumstances(
                    record.circumstances, self.tensors, self._places, resolver.plain
                )
            ),
            {name: resolver.structure(part) for name, part in record.updates.items()},
            tuple(self._stored(resolver)),
            twins={
                resolver.plain(way): frozenset(map(resolver.plain, others))
                for way, others in record.twins.items()
            },
        )
        program.depth = record.depth
        program.claim(record.private)
        self._require_whole(resolver)
        return program

    def _stored(self, resolver: Resolver) -> Iterator[Stored]:
        for put in self._record.stored:
            if put.place is not None:
                structure = None if put.structure is None else resolver.structure(put.structure)
                yield Stored(self._places.places[put.place], structure, put.is_whole)

    def _require_whole(self, resolver: Resolver) -> None:
        record = self._record
        if record.obstacles:
            listed = "\n".join(f"  {obstacle}" for obstacle in record.obstacles)
            raise ReplayError(
                f"a replay of {self._contents.graph.name} from a file would not be exact\n{listed}\n"
                "  trace the program in the process that replays it"
            )
        if resolver.missing:
            listed = "\n".join(f"  {name}: {what}" for name, what in resolver.missing.items())
            raise ReplayError(
                f"{self._contents.graph.name} needs what is not in the file and not loaded here\n{listed}"
            )
