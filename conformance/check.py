"""One sample: run eagerly, captured, replayed, and compared bit by bit.

Note [Uninitialised memory]
    ``torch.empty`` and its like return whatever the memory held, so neither two eager runs nor eager
    and replay agree. Torch can fill such memory with a known value, in its deterministic mode. Where
    values differ, the sample is run again from the start in this mode, and must then agree like any
    other. No list of names says which operators these are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

import torch

import opscope

from .comparison import sharing, structure_difference, tensors_in, type_difference, value_difference
from .samples import Sample, Trial
from .seeds import seed_everything

_REPLAYS: Final = 2  # the first must leave nothing behind
_LONGEST: Final = 300  # characters of an error's message
# In the messages of what a run without data refuses, and of a replay of what such a run left out.
_NEEDS_DATA: Final = "fake=True"
_NOT_COMPUTED: Final = "no data was computed"


class Verdict(Enum):
    """How a sample came out."""

    PASSED = "passed"
    PASSED_FILLED = "passed where torch fills uninitialised memory"
    FAILED = "failed"
    NO_PROGRAM = "no program"  # eager itself raises


class Stage(Enum):
    """What went wrong first."""

    NONE = ""
    EAGER = "eager"
    CAPTURE = "capture"
    GRAPH = "graph"  # it does not verify, or its text does not read back
    TRACED_RUN = "traced run"  # tracing changed what the program does
    REPLAY = "replay"
    RESULT = "result"
    INPUTS = "inputs"  # what the program wrote into its arguments
    KEPT = "kept"  # what it wrote into parameters, buffers, optimizer state
    RANDOM = "random numbers"
    ALIASING = "aliasing"
    GRADIENTS = "gradients"
    PROCESS = "process"  # it died or never ended


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a sample.

    Attributes:
        number: the sample's place in its entry.
        verdict: how it came out.
        stage: what went wrong first.
        problem: that in words.
        reported: the kinds of the trace's diagnostics: what it said itself that is not exact.
        passes: those that were applied before the replay; none for the graph as it was traced.
    """

    number: int
    verdict: Verdict
    stage: Stage = Stage.NONE
    problem: str = ""
    reported: tuple[str, ...] = ()
    passes: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """How samples are traced.

    Attributes:
        depth: what becomes of composite operators.
        fake: whether nothing is computed; a program that needs data is none then.
        passes: lists of passes; each is applied to a copy of the graph, which is replayed again.
    """

    depth: Any = "flat"
    fake: bool = False
    passes: tuple[str, ...] = ()


USUAL: Final = Way()


class Difference(Exception):
    """A sample did not come out as in eager.

    Attributes:
        stage: where that shows.
        problem: how, in words.
        is_of_values: whether it is the values of two tensors of one type that differ.
    """

    def __init__(self, stage: Stage, problem: str, is_of_values: bool = False) -> None:
        super().__init__(problem)
        self.stage = stage
        self.problem = problem
        self.is_of_values = is_of_values


def check(sample: Sample, way: Way = USUAL) -> list[Outcome]:
    """Run a sample eagerly, captured and replayed, and say whether the three agree.

    Returns:
        What became of the graph as it was traced and, if that is right, of it after each list of passes.
    """
    reported: list[str] = []
    found = _differences(sample, way, reported)
    settled = found
    if any(difference.is_of_values for difference in found.values()):
        with filled_memory():
            settled = _differences(sample, way, [])
    said = tuple(dict.fromkeys(reported))
    plain, *others = (
        _outcome(sample.number, passes, found.get(passes), settled.get(passes), said)
        for passes in ("", *way.passes)
    )
    return [plain, *others] if plain.verdict in (Verdict.PASSED, Verdict.PASSED_FILLED) else [plain]


def _outcome(
    number: int,
    passes: str,
    found: Difference | None,
    settled: Difference | None,
    reported: tuple[str, ...],
) -> Outcome:
    """Tell what was found, and what stays of it where torch fills uninitialised memory."""
    if found is None:
        return Outcome(number, Verdict.PASSED, passes=passes)
    if found.stage is Stage.EAGER:
        return Outcome(number, Verdict.NO_PROGRAM, found.stage, found.problem, passes=passes)
    if found.is_of_values and settled is None:
        return Outcome(number, Verdict.PASSED_FILLED, passes=passes)
    shown = settled or found
    return Outcome(number, Verdict.FAILED, shown.stage, shown.problem, reported, passes)


def _differences(sample: Sample, way: Way, reported: list[str]) -> dict[str, Difference]:
    """Return what differs after each list of passes; where the plain replay does, that for all of them."""
    try:
        return _check(sample, way, reported)
    except Difference as difference:
        return dict.fromkeys(("", *way.passes), difference)


@contextlib.contextmanager
def filled_memory() -> Iterator[None]:
    """Make torch fill memory that it would leave as it was; see Note [Uninitialised memory]."""
    is_on, only_warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(is_on, warn_only=only_warns)


@dataclass(slots=True)
class _Observed:
    """All that a run gave, changed and drew."""

    result: Any
    inputs: Any
    kept: Sequence[Any]
    random_state: torch.Tensor
    gradients: list[torch.Tensor | None] | None = None


def _check(sample: Sample, way: Way, reported: list[str]) -> dict[str, Difference]:
    """Compare replays with eager, and return how those after passes differ; a plain one raises."""
    expected = _eager(sample.build())
    trial = sample.build()
    restore = _restorer(trial)
    traced = _captured(trial, way, reported)
    if way.fake:
        _require_untouched(trial, torch.get_rng_state(), sample.build())
    elif trial.runs == 1:
        _compare_traced_run(trial, expected)
    _check_text(traced)

    def compare_replay(program: opscope.TracedProgram) -> None:
        restore()
        fresh = sample.build()
        _compare(_replayed(program, trial, fresh.args, fresh.kwargs), expected)

    for _ in range(_REPLAYS):
        compare_replay(traced)
    text = str(traced.graph)
    if traced.fold("operators").changed:
        _check_text(traced)
        compare_replay(traced)
        traced.unfold("operators")
        if str(traced.graph) != text:
            raise Difference(Stage.GRAPH, "the graph is another when it was folded and unfolded")
    found = {}
    for passes in way.passes:
        try:
            changed = _applied(traced, passes)
            _check_text(changed)
            compare_replay(changed)
        except Difference as difference:
            found[passes] = difference
    return found


def _applied(traced: opscope.TracedProgram, passes: str) -> opscope.TracedProgram:
    copied = traced.copy()
    try:
        copied.apply(passes, verify_each=True)
    except Exception as error:  # any is a finding
        raise Difference(Stage.GRAPH, _described(error)) from error
    return copied


def _eager(trial: Trial) -> _Observed:
    try:
        return _observe(trial, lambda: trial.program(*trial.args, **trial.kwargs), trial)
    except Exception as error:  # whatever torch's own test of it expects
        raise Difference(Stage.EAGER, _described(error)) from error


def _captured(trial: Trial, way: Way, reported: list[str]) -> opscope.TracedProgram:
    seed_everything()
    try:
        traced = opscope.trace(
            trial.program,
            trial.args,
            trial.kwargs,
            warn=False,
            depth=way.depth,
            fake=way.fake,
        )
    except Exception as error:  # any is a finding
        notes = getattr(error, "__notes__", ())
        if any(_NEEDS_DATA in text for text in (str(error), *notes)):
            raise Difference(Stage.EAGER, _described(error)) from error
        raise Difference(Stage.CAPTURE, _described(error)) from error
    reported.extend(diagnostic.kind.value for diagnostic in traced.diagnostics)
    return traced


def _require_untouched(trial: Trial, random_state: torch.Tensor, fresh: Trial) -> None:
    """Check that a run without data left everything as it was before."""
    seed_everything()
    if not torch.equal(random_state, torch.get_rng_state()):
        raise Difference(Stage.TRACED_RUN, "tracing without data drew random numbers")
    _compare_all(Stage.TRACED_RUN, "input", (trial.args, trial.kwargs), (fresh.args, fresh.kwargs))
    _compare_all(Stage.TRACED_RUN, "kept", list(trial.kept()), list(fresh.kept()))


def _compare_traced_run(trial: Trial, expected: _Observed) -> None:
    """Check that the run under capture drew and wrote what eager did."""
    if not torch.equal(torch.get_rng_state(), expected.random_state):
        raise Difference(Stage.TRACED_RUN, "tracing drew other random numbers")
    _compare_all(Stage.TRACED_RUN, "input", (trial.args, trial.kwargs), expected.inputs)
    _compare_all(Stage.TRACED_RUN, "kept", list(trial.kept()), expected.kept)


def _check_text(traced: opscope.TracedProgram) -> None:
    text = str(traced.graph)
    try:
        opscope.verify(traced.graph)
        again = str(opscope.parse(text))
    except opscope.OpscopeError as error:
        raise Difference(Stage.GRAPH, _described(error)) from error
    if again != text:
        raise Difference(Stage.GRAPH, "the graph's text reads back as another text")


def _restorer(trial: Trial) -> Callable[[], None]:
    """Return what undoes all that a run does to what the program keeps."""
    saved = [(tensor, tensor.detach().clone()) for tensor in tensors_in(list(trial.kept()))[0]]
    hold_again = trial.note()

    def restore() -> None:
        hold_again()
        with torch.no_grad():
            for tensor, before in saved:
                tensor.copy_(before)

    return restore


def _replayed(
    traced: opscope.TracedProgram, trial: Trial, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> _Observed:
    replayed = replace(trial, program=traced, args=args, kwargs=kwargs)
    try:
        return _observe(replayed, lambda: traced(*args, **kwargs), trial)
    except Exception as error:  # any is a finding
        stage = Stage.EAGER if _NOT_COMPUTED in str(error) else Stage.REPLAY
        raise Difference(stage, _described(error)) from error


def _observe(trial: Trial, run: Callable[[], Any], owner: Trial) -> _Observed:
    seed_everything()
    for _ in range(trial.runs):
        result = run()
    inputs, kept = (trial.args, trial.kwargs), list(owner.kept())
    observed = _Observed(result, inputs, kept, torch.get_rng_state())
    if trial.is_differentiable:
        observed.gradients = _gradients(result, inputs, kept)
    return observed


def _gradients(result: Any, inputs: Any, kept: Sequence[Any]) -> list[torch.Tensor | None] | None:
    """Return the gradients of all that requires them; None where torch cannot take them."""
    outputs = [tensor for tensor in tensors_in(result)[0] if tensor.requires_grad]
    leaves = [*tensors_in(inputs)[0], *tensors_in(kept)[0]]
    wanted = [leaf for leaf in leaves if leaf.requires_grad and leaf.is_leaf]
    if not outputs or not wanted:
        return []
    try:
        above = [torch.ones_like(output).mul(0.75) for output in outputs]
        return list(torch.autograd.grad(outputs, wanted, above, allow_unused=True))
    except (RuntimeError, NotImplementedError):
        return None


def _compare(actual: _Observed, expected: _Observed) -> None:
    _compare_all(Stage.RESULT, "result", actual.result, expected.result)
    _compare_all(Stage.INPUTS, "input", actual.inputs, expected.inputs)
    _compare_all(Stage.KEPT, "kept", actual.kept, expected.kept)
    if not torch.equal(actual.random_state, expected.random_state):
        raise Difference(Stage.RANDOM, "the replay drew other random numbers")
    found, wanted = _sharing(actual), _sharing(expected)
    if found != wanted:
        raise Difference(Stage.ALIASING, f"tensors share memory as {found}, in eager as {wanted}")
    if (actual.gradients is None) != (expected.gradients is None):
        who = "replay's" if actual.gradients is None else "eager's"
        raise Difference(Stage.GRADIENTS, f"torch cannot take the {who} gradients alone")
    _compare_all(Stage.GRADIENTS, "gradient", actual.gradients, expected.gradients)


def _sharing(run: _Observed) -> tuple[list[int], list[int]]:
    """Return which inputs, results and kept tensors are one, and which share memory."""
    tensors = [*tensors_in(run.inputs)[0], *tensors_in(run.result)[0], *tensors_in(run.kept)[0]]
    first: dict[int, int] = {}
    same = [first.setdefault(id(tensor), place) for place, tensor in enumerate(tensors)]
    return same, sharing(tensors)


def _compare_all(stage: Stage, what: str, actual: Any, expected: Any) -> None:
    ours, our_structure = tensors_in(actual)
    theirs, their_structure = tensors_in(expected)
    problem = structure_difference(our_structure, their_structure)
    if problem is not None:
        raise Difference(stage, f"{what}: {problem}")
    for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        problem = type_difference(one, other)
        if problem is not None:
            raise Difference(stage, f"{what} {place}: {problem}")
        problem = value_difference(one, other)
        if problem is not None:
            raise Difference(stage, f"{what} {place}: {problem}", is_of_values=True)


def _described(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
