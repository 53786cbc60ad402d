"""What a recorded program has whether it can be run here or not: its graph, and what can be done to that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never, Protocol, Self

from ..errors import PassError, ReplayError
from ..ir import Graph, Node, StateKind, TensorType, TupleType, Value
from ..ir.conditions import Circumstance, Guard, guards_of
from ..ir.files import Contents, Data
from ..ir.findings import Diagnostic
from ..ir.folded import Folded
from ..ir.mutation import Mutation
from ..ir.structure import Structure
from ..ir.tuples import flat_types
from ..passes.base import Pass, PassResult
from ..passes.fold_operators import FoldOperators, FoldOperatorsResult
from ..passes.pipeline import OnPass, PipelineReport, run_passes
from ..passes.torch_facts import TorchFacts
from ..passes.unfold_operators import UnfoldOperators, UnfoldOperatorsResult

if TYPE_CHECKING:
    from ..reports import Summary


class Inputs(Protocol):
    """What is known of the inputs of a program without running it."""

    @property
    def names(self) -> tuple[str, ...]:
        """A readable name per tensor: ``x``, ``batch['image']``."""
        ...

    @property
    def types(self) -> tuple[TensorType, ...]:
        """The type per tensor that the program was traced with."""
        ...

    @property
    def dimensions(self) -> Sequence[Mapping[int, str]]:
        """Per tensor, the dimensions whose size may differ, with the names they were given."""
        ...


class RecordedProgram:
    """A program as it ran once: its graph, what was found about it, and what passes make of it.

    Attributes:
        graph: every operator of the run.
        outputs: the structure of what it returns.
        diagnostics: what could not be recorded exactly, with the lines that caused it.
        mutations: for a functional graph, which of its outputs are new contents of inputs and state.
        circumstances: what around the program, besides its inputs, a replay must find as it was: whether
            modules train, what requires gradients, options of optimizers, settings of torch.
        updates: what becomes of the arguments whose contents the program changes, by the argument's name;
            a replay changes its own arguments so.
        depth: "deep" if what composite operators call was recorded in the place of them, else "flat".

    Args:
        lengths: the nodes that give lists whose length a replay holds to that of the trace.
        facts: answers what passes ask about operators of torch.
    """

    def __init__(
        self,
        graph: Graph,
        outputs: Structure,
        diagnostics: tuple[Diagnostic, ...] = (),
        lengths: tuple[Node, ...] = (),
        mutations: tuple[Mutation, ...] = (),
        circumstances: tuple[Circumstance, ...] = (),
        updates: Mapping[str, Structure] | None = None,
        facts: TorchFacts | None = None,
    ) -> None:
        self.graph = graph
        self._facts = facts
        self.outputs = outputs
        self.diagnostics = diagnostics
        self.mutations = mutations
        self.circumstances = circumstances
        self.updates = dict(updates or {})
        self.depth = "flat"
        self._lengths = lengths
        self._folded: tuple[Folded, ...] = ()

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __reduce_ex__(self, protocol: object) -> Never:
        raise ReplayError(
            "a program holds the tensors and objects of the model that it was traced from by reference, so "
            "it can be neither pickled nor copied in depth\n"
            "  save() it, and load() the file; copy() gives a traced program a graph of its own"
        )

    @property
    def lengths(self) -> tuple[Node, ...]:
        """The nodes that give lists whose length a replay holds to that of the trace."""
        return self._lengths

    @property
    def _inputs(self) -> Inputs | None:
        """What is known of the inputs; None for a graph alone."""
        return None

    def apply(
        self, *passes: str | Pass, verify_each: bool = False, on_pass: OnPass | None = None
    ) -> PipelineReport:
        """Run passes on the graph, in place: later replays run what they make of it.

        ``traced.apply("dce", "cse")``; ``print`` what it returns for a table of what each pass did.

        Args:
            passes: names of passes and pipelines, alone or as a list, with options or without
                (``"cse,dce"``, ``"dce{drop_random=true}"``, ``"noopt"``), or passes themselves.
            verify_each: whether to verify the graph after each pass.
            on_pass: is called after each pass with a copy of the graph before it, the pass, the graph, and
                the pass's own result.

        Raises:
            PassError: there is no such pass or option, or a pass broke the graph.
        """
        from ..passes.registry import read_passes  # which names all passes there are

        listed: list[Pass] = []
        for pass_ in passes:
            listed += read_passes(pass_) if isinstance(pass_, str) else (pass_,)
        with self._equipped(listed) as equipped:
            report = run_passes(self.graph, equipped, verify_each=verify_each, on_pass=on_pass)
        if report.changed:
            for run in report.runs:
                self._note_levels(run.result)
            self._lengths = tuple(node for node in self._lengths if node.block is not None)
            self._forget_derived()
        return report

    @contextmanager
    def _equipped(self, passes: Sequence[Pass]) -> Iterator[list[Pass]]:
        """Give passes what they ask for besides the graph, until they have run."""
        facts = self._facts
        yield [pass_ if facts is None else pass_.with_facts(facts) for pass_ in passes]

    def _forget_derived(self) -> None:
        """Forget what was worked out from the graph, which is another now."""
        self.__dict__.pop("guards", None)

    @cached_property
    def guards(self) -> tuple[Guard, ...]:
        """The conditions on inputs that a replay checks, with the lines that made them."""
        return guards_of(self.graph, self._dimension_names(), self._lengths)

    def _dimension_names(self) -> dict[tuple[Value, int], str]:
        inputs = self._inputs
        if inputs is None:
            return {}
        tensors = iter(inputs.dimensions)
        names: dict[tuple[Value, int], str] = {}
        for value in self.graph.inputs:
            dimensions = list(islice(tensors, sum(1 for _ in flat_types([value.type]))))
            if not isinstance(value.type, TupleType):
                names.update({(value, at): name for at, name in dimensions[0].items() if name})
        return names

    def fold(self, what: Literal["operators"]) -> FoldOperatorsResult:
        """Make one node of each composite operator that a deep trace shows as what it calls.

        The graph is changed in place, to that of a flat trace as far as nothing outside reads what an
        operator makes inside, which a backward pass does. A replay is exact at either level, and goes on to
        be held to what a deep trace holds it to, its sizes say.

        Returns:
            Which operators were folded, and which were not and why; ``print`` it.
        """
        _require_known_level(what)
        (run,) = self.apply(FoldOperators()).runs
        assert isinstance(run.result, FoldOperatorsResult), "it is what the pass returns"
        return run.result

    def unfold(self, what: Literal["operators"]) -> UnfoldOperatorsResult:
        """Put what composite operators call in the place of their nodes again, where they were folded.

        Of a graph that was not changed since, this gives the very one that it was.

        Returns:
            How many operators were unfolded, and which were not, since something that they read is gone.

        Raises:
            PassError: nothing was folded, since the trace is flat: what operators call is not known.
        """
        _require_known_level(what)
        if self.depth == "flat" and not self._folded and not self._has_open_operators():
            raise PassError(
                f"{self.graph.name} was traced flat, so what its operators call is not known\n"
                '  trace it with depth="deep", which holds a replay to the sizes that operators go by'
            )
        (run,) = self.apply(UnfoldOperators(self._folded)).runs
        assert isinstance(run.result, UnfoldOperatorsResult), "it is what the pass returns"
        return run.result

    def _has_open_operators(self) -> bool:
        """Whether operators stand in the graph, or in one that it calls, as what they call."""
        return any(graph.composites for graph in (self.graph, *self.graph.functions.values()))

    def _note_levels(self, result: PassResult) -> None:
        """Keep what is needed to unfold what a pass has folded."""
        if isinstance(result, FoldOperatorsResult):
            self._folded = (*self._folded, *result.folded)
            lists = set(self._lengths)
            self._lengths += tuple(
                folded.node
                for folded in result.folded
                if folded.node.gives_lists and not lists.isdisjoint(folded.nodes)
            )
        elif isinstance(result, UnfoldOperatorsResult):
            self._folded = result.kept

    @property
    def parameter_count(self) -> int:
        """The number of elements in all parameters that the graph reads."""
        count = 0
        for entry in self.graph.state.values():
            if entry.kind is StateKind.PARAMETER and isinstance(entry.value.type, TensorType):
                count += entry.value.type.numel or 0
        return count

    def summary(self, **options: Any) -> Summary:
        """Return what the program computes, moves and keeps: FLOPs, bytes, parameters and memory.

        Args:
            options: those of :func:`opscope.summarize`: ``by``, ``depth``, ``sort``, ``top``, ``fold`` and
                ``width``.

        Raises:
            ReportError: an option is not as it should be, or a FLOP formula failed.
        """
        from ..reports import summarize

        return summarize(self.graph, **options)

    def contents(self, *, with_state: bool) -> tuple[Contents, Data | None]:
        """Return what a file is to hold of the program, and the data of its tensors: here, a graph alone."""
        return Contents(self.graph), None

    def save(self, path: str | Path, *, state: bool | None = None, **options: Any) -> Path:
        """Write the program to a file, or draw it into one; see :func:`opscope.save`."""
        from ..saving import save

        return save(self, path, state=state, **options)

    def state_notes(self) -> Mapping[str, str]:
        """Return what is known of the numbers in the state, by name, in a line each."""
        return {}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return what a notebook shows: the explorer."""
        from ..exploring import notebook_bundle

        return notebook_bundle(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.graph.name}: {len(self.graph.block)} nodes>"

    def __str__(self) -> str:
        return str(self.graph)


def _require_known_level(what: str) -> None:
    if what != "operators":
        raise PassError(f"there is a level of 'operators' to fold and unfold, and none of {what!r}")
