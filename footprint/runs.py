"""The three ways in which a model is run, as apps on phones and desktops run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from ..errors import FootprintError
from .consuming import consume
from .inputs import Calls, bundled_calls, fresh
from .models import Model, NeedsInterpreterError, Runnable
from .recording import Recording
from .result import Outcome, RunReport

_READING: Final = "reading tensors"
_LOADING: Final = "loading"
_MOST_OF_MESSAGE: Final = 300


@dataclass(frozen=True, slots=True)
class Run:
    """One way to run a model.

    Attributes:
        name: what users call it.
        engine: of operators on quantized tensors.
        is_inference: whether it is run in inference mode.
        is_required: whether a model that fails in it has no footprint.
    """

    name: str
    engine: str
    is_inference: bool
    is_required: bool


RUNS: Final = {
    run.name: run
    for run in (
        Run("qnnpack", "qnnpack", is_inference=False, is_required=True),
        Run("fbgemm", "fbgemm", is_inference=False, is_required=False),
        Run("inference", "qnnpack", is_inference=True, is_required=False),
    )
}


@contextmanager
def engine_kept() -> Iterator[None]:
    """Put the engine of quantized operators back, whatever a block makes of it."""
    before = torch.backends.quantized.engine
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def run_model(model: Model, run: Run, inputs: Calls | None) -> tuple[Recording, RunReport]:
    """Load a model, call its methods, read what comes out, and record which operators that takes.

    Args:
        model: what to run.
        run: how to.
        inputs: what to call it with; None for the inputs that are bundled with it.

    Raises:
        FootprintError: the run is required, and the model or its inputs fail in it.
    """
    recording = Recording()
    if run.engine not in torch.backends.quantized.supported_engines:
        reason = f"this torch has no {run.engine} engine"
        return recording, RunReport(run.name, Outcome.SKIPPED, {}, reason, frozenset())
    torch.backends.quantized.engine = run.engine
    session = _Session(model, recording, None if inputs is None else fresh(inputs))
    outcome, reason = Outcome.DONE, ""
    try:
        with torch.inference_mode(run.is_inference):
            session.run()
    except Exception as error:
        if run.is_required:
            raise _failure(model, run, error) from error
        outcome, reason = Outcome.SKIPPED, summary_of(error)
    return recording, RunReport(
        run.name, outcome, session.counts, reason or session.note, frozenset(recording.callers)
    )


@dataclass(slots=True)
class _Session:
    """One run of a model.

    Attributes:
        model: what is run.
        recording: what is to see it.
        given: what it is called with; None for what is bundled with it.
        counts: how many inputs each method has been called with.
        note: what a reader should know of the run.
    """

    model: Model
    recording: Recording
    given: Calls | None
    counts: dict[str, int] = field(default_factory=dict)
    note: str = ""

    def run(self) -> None:
        asked, called = self._loaded(), self._loaded()
        self._consume([*self._inputs(asked).values()])
        for method, inputs in self._inputs(called).items():
            results = []
            for args in inputs:
                called, result = self._call(called, method, args)
                results.append(result)
                self.counts[method] = self.counts.get(method, 0) + 1
            self._consume(results)

    def _loaded(self) -> Runnable:
        if not self.model.is_loaded_anew:
            return self.model.load()
        # Classes in C++ pack their weights then, by operators that the program names.
        with self.recording.phase(_LOADING, is_of_model=True):
            return self.model.load()

    def _inputs(self, model: Runnable) -> Calls:
        if self.given is not None:
            for method in self.given:
                if not model.has(method):
                    raise FootprintError(f"it has no method {method} to call with the inputs given")
            return self.given
        with self.recording.phase("bundled inputs", is_of_model=True):
            return bundled_calls(model)

    def _call(self, model: Runnable, method: str, args: tuple[Any, ...]) -> tuple[Runnable, Any]:
        """Call a method, and return what is to be called next time, and the result."""
        try:
            with self.recording.phase(f"{method}()", is_of_model=True):
                return model, model.call(method, args)
        except NeedsInterpreterError:
            model = self.model.substitute()
            self.note = "run by the interpreter of TorchScript, as it trains"
            with self.recording.phase(f"{method}()", is_of_model=True):
                return model, model.call(method, args)

    def _consume(self, value: Any) -> None:
        with self.recording.phase(_READING):
            consume(value)


def summary_of(error: Exception) -> str:
    """Return the first words of an error that say something, in one line."""
    for line in str(error).splitlines():
        text = line.strip()
        if text and not text.startswith(("The following operation failed", "Traceback of")):
            return text[:_MOST_OF_MESSAGE]
    return type(error).__name__


def _failure(model: Model, run: Run, error: Exception) -> FootprintError:
    if isinstance(error, FootprintError):
        return FootprintError(f"{model.name}: {error}")
    reason = _last_words(error)
    if "cannot be found" in str(error) or "nknown builtin op" in str(error):
        hint = "load the library that registers these operators first (torch.ops.load_library)"
    else:
        hint = (
            f"check that it runs on its inputs; if it is not meant for the {run.engine} engine, leave"
            " that run out: runs=('fbgemm',), or --run fbgemm"
        )
    return FootprintError(f"{model.name} failed in the {run.name} run: {reason}\n{hint}")


def _last_words(error: Exception) -> str:
    """Return what an error says; TorchScript puts its own traceback before."""
    text = str(error)
    if "Traceback of TorchScript" in text:
        lines = [line for line in text.splitlines() if line.strip()]
        named = [line for line in lines if "Error: " in line]
        return (named or lines)[-1].strip()[:_MOST_OF_MESSAGE]
    return summary_of(error)
