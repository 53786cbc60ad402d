"""The check: replay against eager, and the program against itself."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import CheckError, ReplayError
from ..runtime.compare import Tolerance
from ..tracer import Capture, unrecorded
from .arguments import KeptArguments
from .graphs import GraphDifference, compare_graphs
from .locate import locate
from .outcomes import Found, OutcomeComparison
from .quiet import without_warnings
from .randomness import PythonRandomness
from .report import CheckDifference, CheckReport, DifferenceKind, Origin
from .runs import Outcome, Runs, Subject


def check_program(
    subject: Subject, input_sets: Sequence[KeptArguments], orders: int, tolerance: Tolerance
) -> CheckReport:
    """Compare a program with its replay on sets of inputs and return a report.

    For each set, the program, the replay, and another trace of the program each run from the same
    state, with the same random numbers, on inputs of their own. Needs memory for a copy of the
    program's state and for the results of two runs.

    Raises:
        CheckError: the program itself fails on the inputs.
        ReplayError: the traced program does not take the inputs.
    """
    check = _Check(subject, orders, tolerance)
    python_randomness = PythonRandomness()
    with unrecorded(), without_warnings():
        try:
            for number, arguments in enumerate(input_sets):
                check.run(number, arguments)
        finally:
            python_randomness.restore()
    return check.report(len(input_sets))


_ATTEMPTS = 8
"""How often a program that is known to give changing results is traced to see where it changes."""


class _Check:
    def __init__(self, subject: Subject, orders: int, tolerance: Tolerance) -> None:
        self._subject = subject
        self._orders = orders
        self._tolerance = tolerance
        self._comparison = OutcomeComparison(tolerance)
        self._differences: list[CheckDifference] = []
        self._notes: dict[str, None] = {}
        self._origin: Origin | None = None

    def run(self, number: int, arguments: KeptArguments) -> None:
        """Compare on one set of inputs."""
        runs = Runs(self._subject, arguments, self._orders)
        runs.require_fit()
        try:
            expected = runs.eager()
        except Exception as error:
            raise CheckError(
                f"{self._subject.graph.name} itself fails on set of inputs {number}, so there is nothing to "
                f"compare its replay with\n  {type(error).__name__}: {error}"
            ) from error
        found = self._replay_differences(runs, expected)
        captured, results = runs.retrace()
        structural = self._compare_structure(captured)
        paths = expected.structure.leaf_paths("result")
        unsteady = self._comparison.results_difference(expected.leaves, results, paths)
        if unsteady is not None and structural is None:
            captured, structural = self._until_structure_differs(runs, captured)
        elif unsteady is None and structural is not None and not found:
            unsteady = self._unsteady_structure(runs, captured, structural)
        if unsteady is not None:
            found.append(Found(DifferenceKind.PROGRAM, "", unsteady))
        if found and self._origin is None:
            self._origin = locate(self._subject, runs, self._tolerance, structural, captured.graph)
        self._differences.extend(CheckDifference(*each, number) for each in found)

    def report(self, input_sets: int) -> CheckReport:
        """Return what all runs found."""
        return CheckReport(
            program=self._subject.graph.name,
            differences=tuple(self._differences),
            origin=self._origin,
            notes=tuple(self._notes),
            compared=dict(self._comparison.compared),
            input_sets=input_sets,
            is_exact=self._tolerance.is_exact,
        )

    def _replay_differences(self, runs: Runs, expected: Outcome) -> list[Found]:
        try:
            actual = runs.replay()
        except ReplayError:  # it refuses these inputs and says why
            raise
        except Exception as error:  # noqa: BLE001  # that it fails at all is what was to be found out
            message = f"the program runs and the replay raises {type(error).__name__}: {error}"
            return [Found(DifferenceKind.REPLAY, "", message)]
        return list(self._comparison.compare(expected, actual, runs.snapshot))

    def _compare_structure(self, captured: Capture) -> GraphDifference | None:
        subject = self._subject
        return compare_graphs(subject.graph, captured.graph, subject.state, captured.objects)

    def _until_structure_differs(
        self, runs: Runs, captured: Capture
    ) -> tuple[Capture, GraphDifference | None]:
        """Trace a program of changing results a few times more, to catch it at another branch."""
        structural = None
        for _ in range(_ATTEMPTS):
            captured, _results = runs.retrace()
            structural = self._compare_structure(captured)
            if structural is not None:
                break
        return captured, structural

    def _unsteady_structure(
        self, runs: Runs, captured: Capture, structural: GraphDifference
    ) -> str | None:
        """Return in words that the program runs other operators each time; None if it does not.

        Where two more runs agree with each other, it is the graph that stands apart: passes changed
        it, or the program remembers its first run. It gives the same results, so that is a note.
        """
        again, _ = runs.retrace()
        if compare_graphs(captured.graph, again.graph, captured.objects, again.objects) is None:
            self._notes[
                "the program now runs other operators than its graph has, with the same results: "
                f"{structural.what}"
            ] = None
            return None
        return f"it does not run the same operators each time: {structural.what}"
