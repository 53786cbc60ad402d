"""What a run found, and how it is told: a table, then every sample that is not simply passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .check import Outcome, Verdict
from .entry import Report
from .exceptions import Expected, find

_MOST_NOT_RUN = 5  # samples that eager cannot run, named for each suite


@dataclass(frozen=True, slots=True)
class Summary:
    """All reports of a run, held against the expected exceptions."""

    reports: Sequence[Report]
    exceptions: Sequence[Expected]

    def suites(self) -> list[str]:
        """Return the suites that were run, in the order of their first report."""
        return list(dict.fromkeys(report.task.suite for report in self.reports))

    def of(self, suite: str) -> list[Report]:
        """Return the reports of one suite, by entry."""
        return sorted(
            (report for report in self.reports if report.task.suite == suite),
            key=lambda report: report.task.entry,
        )

    def lists_of_passes(self) -> list[str]:
        """Return what was applied before replays: nothing, which is ``""``, and each list of passes."""
        ways = (report.task.way.passes for report in self.reports)
        return ["", *dict.fromkeys(passes for way in ways for passes in way)]

    def verdicts(self, suite: str, passes: str = "") -> Counter[Verdict]:
        """Return how many samples of a suite came out how, as they were traced or after passes."""
        outcomes = (outcome for _, outcome in _outcomes(self.of(suite)))
        return Counter(outcome.verdict for outcome in outcomes if outcome.passes == passes)

    def expected(self, suite: str) -> Iterator[tuple[Report, Outcome, Expected]]:
        """Yield the failures of a suite that are listed exceptions."""
        for report, outcome in _outcomes(self.of(suite)):
            known = self._known(suite, report, outcome)
            if outcome.verdict is Verdict.FAILED and known is not None:
                yield report, outcome, known

    def unexpected(self, suite: str) -> Iterator[tuple[Report, Outcome]]:
        """Yield the failures of a suite that are not."""
        for report, outcome in _outcomes(self.of(suite)):
            if outcome.verdict is Verdict.FAILED and not self._known(suite, report, outcome):
                yield report, outcome

    def _known(self, suite: str, report: Report, outcome: Outcome) -> Expected | None:
        entry = report.task.entry
        return find(self.exceptions, suite, entry, outcome.number, outcome.passes)

    def mended(self) -> Iterator[Expected]:
        """Yield the exceptions of which not one sample failed, where all of them were run."""
        for known in self.exceptions:
            ran = [
                outcome
                for report, outcome in _outcomes(self.of(known.suite))
                if not report.task.most
                and known.covers(known.suite, report.task.entry, outcome.number, outcome.passes)
            ]
            if ran and not any(outcome.verdict is Verdict.FAILED for outcome in ran):
                yield known

    def is_clean(self) -> bool:
        """Whether every failure is expected."""
        return not any(True for suite in self.suites() for _ in self.unexpected(suite))

    def as_json(self) -> dict[str, Any]:
        """Return all that is not simply passed, and the counts."""
        return {suite: self._suite_as_json(suite) for suite in self.suites()}

    def _suite_as_json(self, suite: str) -> dict[str, Any]:
        reports = self.of(suite)
        return {
            "entries": len(reports),
            "samples": _counts(self.verdicts(suite)),
            "after": {
                passes: _counts(self.verdicts(suite, passes))
                for passes in self.lists_of_passes()
                if passes
            },
            "exported": sum(bool(report.is_exported) for report in reports)
            if _asked(reports)
            else None,
            "expected": [
                {**_as_json(report, outcome), "reason": known.reason}
                for report, outcome, known in self.expected(suite)
            ],
            "unexpected": [_as_json(*failure) for failure in self.unexpected(suite)],
            "other": [
                _as_json(report, outcome)
                for report, outcome in _outcomes(reports)
                if outcome.verdict in (Verdict.PASSED_FILLED, Verdict.NO_PROGRAM)
            ],
        }


def show(summary: Summary, console: Console) -> None:
    """Print the table and, below it, the failures and exceptions."""
    console.print(_table(summary))
    for suite in summary.suites():
        reports = summary.of(suite)
        if _asked(reports):
            count = sum(bool(report.is_exported) for report in reports)
            console.print(
                f"torch.export supports {count} of the {len(reports)} examples in {suite}."
            )
    _show_listed(summary, console)
    for suite in summary.suites():
        for (entry, passes), outcomes in _by_entry(summary.unexpected(suite)).items():
            what = f"{suite} {escape(entry)}" + f" after {escape(passes)}" * bool(passes)
            console.print(f"[red]failed[/] {what}: {_told(outcomes)}", soft_wrap=True)
    for known in summary.mended():
        where = f"{known.suite} {known.entry}"
        console.print(f"[yellow]mend: remove it[/] {escape(where)} is an exception and passes now")


def _table(summary: Summary) -> Table:
    table = Table(title="Replayed bit for bit as in eager", title_justify="left")
    table.add_column("suite", no_wrap=True)
    lists = summary.lists_of_passes()
    if len(lists) > 1:
        table.add_column("after", min_width=21, overflow="fold")
    for column in ("entries", "samples", "passed", "", "exceptions", "failed", "no program"):
        table.add_column(column, justify="right", no_wrap=True)
    for suite in summary.suites():
        for passes in lists:
            after = [passes] if len(lists) > 1 else []
            table.add_row("" if passes else suite, *after, *_figures(summary, suite, passes))
    return table


def _figures(summary: Summary, suite: str, passes: str) -> list[str]:
    verdicts = summary.verdicts(suite, passes)
    passed = verdicts[Verdict.PASSED] + verdicts[Verdict.PASSED_FILLED]
    total = passed + verdicts[Verdict.FAILED]
    expected = sum(outcome.passes == passes for _, outcome, _ in summary.expected(suite))
    return [
        f"{len(summary.of(suite)):,}",
        f"{total:,}",
        f"{passed:,}",
        f"{100 * passed / total:.2f} %" if total else "",
        f"{expected:,}",
        f"{verdicts[Verdict.FAILED] - expected:,}",
        f"{verdicts[Verdict.NO_PROGRAM]:,}",
    ]


def _show_listed(summary: Summary, console: Console) -> None:
    """Print what counts neither as a plain pass nor as an unexpected failure, with the reason."""
    for suite in summary.suites():
        filled: dict[str, int] = {}
        not_run: list[str] = []
        for report, outcome in _outcomes(summary.of(suite)):
            if outcome.verdict is Verdict.PASSED_FILLED and not outcome.passes:
                filled[report.task.entry] = filled.get(report.task.entry, 0) + 1
            if outcome.verdict is Verdict.NO_PROGRAM and outcome.number == 0:
                not_run.append(f"{report.task.entry}: {outcome.problem}")
        for line in not_run[:_MOST_NOT_RUN]:
            console.print(f"no program: {suite} {escape(line)}", soft_wrap=True)
        rest = len(not_run) - _MOST_NOT_RUN
        if rest > 0:
            console.print(f"no program: {rest} more of {suite} that eager cannot run; see --json")
        if filled:
            names = ", ".join(filled)
            console.print(
                f"{suite}: {sum(filled.values())} samples read uninitialised memory and agree where torch "
                f"fills it: {escape(names)}",
                soft_wrap=True,
            )
        for _, known in {id(known): ("", known) for *_, known in summary.expected(suite)}.values():
            console.print(
                f"exception: {suite} {escape(known.entry)}: {escape(known.reason)}", soft_wrap=True
            )


def _by_entry(
    failures: Iterable[tuple[Report, Outcome]],
) -> dict[tuple[str, str], list[Outcome]]:
    found: dict[tuple[str, str], list[Outcome]] = {}
    for report, outcome in failures:
        found.setdefault((report.task.entry, outcome.passes), []).append(outcome)
    return found


def _counts(verdicts: Counter[Verdict]) -> dict[str, int]:
    return {verdict.name.lower(): verdicts[verdict] for verdict in Verdict}


def _told(outcomes: Sequence[Outcome]) -> str:
    first = outcomes[0]
    numbers = ", ".join(str(outcome.number) for outcome in outcomes[:8])
    more = "" if len(outcomes) <= 8 else f" and {len(outcomes) - 8} more"
    said = f" (reported: {', '.join(first.reported)})" if first.reported else " (not reported)"
    return f"samples {numbers}{more}\n  {first.stage.value}: {escape(first.problem)}{said}"


def _outcomes(reports: Iterable[Report]) -> Iterator[tuple[Report, Outcome]]:
    for report in reports:
        for outcome in report.outcomes:
            yield report, outcome


def _asked(reports: Iterable[Report]) -> bool:
    return any(report.is_exported is not None for report in reports)


def _as_json(report: Report, outcome: Outcome) -> dict[str, Any]:
    return {
        "entry": report.task.entry,
        "sample": outcome.number,
        "passes": outcome.passes,
        "verdict": outcome.verdict.value,
        "stage": outcome.stage.value,
        "problem": outcome.problem,
        "reported": list(outcome.reported),
    }
