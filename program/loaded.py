"""Programs that were read from files: their graphs without torch, and with it the programs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ReplayError
from ..ir.files import Absent, Archive, Contents, Data, SavedInputs, read_file
from ..ir.structure import Structure, StructureKind
from ..passes.base import Pass
from ..passes.pipeline import OnPass, PipelineReport
from ..reports import Profile, Statistics
from .facts_when_asked import FactsWhenAsked
from .recorded import Inputs, RecordedProgram

if TYPE_CHECKING:  # these load torch, which only a replay needs
    from .restoration import Restoration
    from .running import RunResult
    from .traced import TracedProgram


class LoadedProgram(RecordedProgram):
    """A program that was saved: its graph, which needs no torch, and how to call it, which does.

    Calling it replays the graph on the state that the file holds, bit by bit as the program itself would
    have run there. That state is its own: what a replay writes to it stays in this process, until it is
    saved. Reading the file runs nothing of it; a call runs the operators that it names, so call only
    what you would run as a script.

    Attributes:
        path: the file.
        inputs: what the program takes; None if the file holds a graph alone.
        sources: the user's source files that stacks name, text by file.
        torch_version: that of the torch that the program was traced with; empty for a graph alone.
        absent: the objects of the program that the file does not hold.
        obstacles: why a replay from the file is refused, in words; mostly nothing.
    """

    def __init__(
        self,
        contents: Contents,
        archive: Archive,
        objects: Mapping[str, Any],
        sharing: LoadedProgram | None = None,
    ) -> None:
        record = contents.program
        if record is None:
            super().__init__(
                contents.graph, Structure(StructureKind.CONSTANT), facts=FactsWhenAsked()
            )
        else:
            super().__init__(
                contents.graph,
                record.outputs,
                record.diagnostics,
                record.lengths,
                record.mutations,
                record.circumstances,
                record.updates,
                FactsWhenAsked(),
            )
            self.depth = record.depth
        self.path = archive.path
        self.inputs: SavedInputs | None = None if record is None else record.inputs
        self.sources = {source.file: source.text for source in contents.sources}
        self.torch_version = contents.torch
        self.absent: tuple[Absent, ...] = () if record is None else record.absent
        self.obstacles: tuple[str, ...] = () if record is None else record.obstacles
        self._contents = contents
        self._archive = archive
        self._objects = dict(objects)
        self._sharing = sharing  # another program of the same file, with the same state

    @property
    def _inputs(self) -> Inputs | None:
        return self.inputs

    @property
    def is_program(self) -> bool:
        """Whether the file holds a program and not a graph alone."""
        return self._contents.program is not None

    @property
    def has_state(self) -> bool:
        """Whether the file holds the program's state, so that it can be replayed."""
        record = self._contents.program
        return record is not None and record.state is not None

    @cached_property
    def _restoration(self) -> Restoration:
        try:
            from .restoration import Restoration  # loads torch, which only a replay needs
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ReplayError(
                "torch is not installed, and a replay needs it; the graph needs none\n"
                f"  install torch {self.torch_version}"
            ) from error
        shared = None if self._sharing is None else self._sharing._restoration
        return Restoration(self._contents, self._archive, self._objects, shared)

    @property
    def state(self) -> dict[str, Any]:
        """The parameters, buffers and constants that the graph reads, by name. Loads torch and reads them.

        Raises:
            FormatError: the file is damaged, or another one by now.
            ReplayError: the file holds no state, or a tensor is on a device that is not here.
        """
        return self._restoration.state

    @cached_property
    def traced(self) -> TracedProgram:
        """The program as a trace gives it, without the function that was traced. Loads torch.

        Raises:
            FormatError: the file is damaged, or another one by now.
            ReplayError: the file holds no state, or the program needs classes or objects that are not here.
        """
        traced = self._restoration.program()
        traced._lengths, traced._folded = self._lengths, self._folded
        return traced

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the program; see :meth:`TracedProgram.__call__`. The first call reads the state.

        Raises:
            FormatError: the file is damaged, or another one by now.
            GuardError: the program would go another way than it went at the trace.
            InputError: the arguments do not fit those that the program was traced with.
            ReplayError: the file holds no state, or the program needs classes or objects that are not here.
        """
        return self.traced(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> RunResult:
        """Replay the program and keep some of its values; see :meth:`TracedProgram.run`."""
        return self.traced.run(*args, **kwargs)

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """Measure how long each node takes; see :meth:`TracedProgram.profile`."""
        return self.traced.profile(*args, **kwargs)

    def statistics(self, *args: Any, **kwargs: Any) -> Statistics:
        """Run the program once and return what its numbers are like; see :meth:`TracedProgram.statistics`."""
        return self.traced.statistics(*args, **kwargs)

    @property
    def code(self) -> str:
        """The Python function that a replay runs."""
        return self.traced.code

    def apply(
        self, *passes: str | Pass, verify_each: bool = False, on_pass: OnPass | None = None
    ) -> PipelineReport:
        """Run passes on the graph, in place; see :meth:`RecordedProgram.apply`. Needs no torch."""
        traced = self.__dict__.get("traced")
        if traced is None:
            return super().apply(*passes, verify_each=verify_each, on_pass=on_pass)
        report: PipelineReport = traced.apply(*passes, verify_each=verify_each, on_pass=on_pass)
        self._lengths, self._folded = traced._lengths, traced._folded
        self._forget_derived()
        return report

    def contents(self, *, with_state: bool) -> tuple[Contents, Data | None]:
        """Return what a file is to hold of the program as it is now, and the data of its tensors."""
        if "_restoration" in self.__dict__ and with_state and self.has_state:
            return self.traced.contents(with_state=True)
        record = self._contents.program
        if record is None:
            return replace(self._contents, graph=self.graph), None
        record = replace(record, lengths=self._lengths).fitted_to(self.graph)
        contents = replace(self._contents, graph=self.graph, program=record)
        if not with_state or record.state is None:
            return contents.without_state(), None
        return contents, self._archive.copied()

    def save(self, path: str | Path, *, state: bool | None = None, **options: Any) -> Path:
        """Write the program to a file, its own say, or draw it into one; see :func:`opscope.save`."""
        saved = super().save(path, state=state, **options)
        is_own = saved.resolve() == self.path.resolve()
        if is_own and state is not False and "_restoration" not in self.__dict__:
            self._archive = self._archive.renewed()
        return saved


def load(path: str | Path, *, objects: Mapping[str, Any] | None = None) -> LoadedProgram:
    """Read a program or graph that was saved as ``.opscope``. Needs no torch, and runs nothing.

    Args:
        path: the file.
        objects: classes, functions and other objects that a replay needs and the file does not hold, by
            the names that an error has for them. Classes and functions of modules that are loaded when the
            program is called are found by themselves.

    Raises:
        FormatError: it is no such file, of a later version, damaged, or too large.
        OSError: it cannot be read.
    """
    contents, archive = read_file(Path(path))
    return LoadedProgram(contents, archive, {} if objects is None else objects)
