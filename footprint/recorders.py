"""Recorders: context managers that tell which operators, types, classes and features torch has used."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from ..errors import FootprintError
from .observation import Observation, Seen
from .operators import class_name, classes_in_schemas


class Recorder:
    """What watches torch between entering and leaving it, in all threads.

    One recorder of a kind can be attached at a time. It is detached whatever ends its block, and begins
    anew when it is entered again. While it is attached torch's profiler cannot be used, and
    it cannot be attached while that is in use.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        _ATTACHED.attach((self,))
        self._clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _ATTACHED.detach((self,), is_failing=error is not None)

    def _clear(self) -> None:
        """Forget what was seen."""
        raise NotImplementedError

    def _take(self, seen: Seen) -> None:
        """Add what was seen in a stretch of time."""
        raise NotImplementedError


class OperatorCallTracer(Recorder):
    """Records which operators the dispatcher calls, those that operators call in turn included.

        with OperatorCallTracer() as tracer:
            model(x)
        sorted(tracer.called_operators)    # ['aten::addmm', 'aten::linear', ...]

    A few operators that are called all the time, ``aten::size`` among them, are not reported by torch.
    """

    __slots__ = ("_callers",)

    def __init__(self) -> None:
        self._clear()

    @property
    def called_operators(self) -> frozenset[str]:
        """The names of operators, ``aten::add.Tensor``, that were called so far."""
        return frozenset(self.callers)

    @property
    def callers(self) -> dict[str, frozenset[str]]:
        """For every operator that was called the ones that called it; an empty name where none did."""
        _ATTACHED.hand_out(self)
        return {name: frozenset(callers) for name, callers in sorted(self._callers.items())}

    def _clear(self) -> None:
        self._callers: dict[str, set[str]] = {}

    def _take(self, seen: Seen) -> None:
        for call in seen.calls:
            self._callers.setdefault(call.operator, set()).add(call.caller)


class KernelDTypeTracer(Recorder):
    """Records for which types of elements kernels ran.

    A torch that was built for tracing reports the tags of its kernels, and ``are_kernels`` is true. All
    others report none; then what is known is which types the tensors had that operators were given, and the
    keys are names of operators.
    """

    __slots__ = ("_of_kernels", "_of_operators")

    def __init__(self) -> None:
        self._clear()

    @property
    def are_kernels(self) -> bool:
        """Whether ``called_kernel_tags`` has tags of kernels rather than names of operators."""
        _ATTACHED.hand_out(self)
        return bool(self._of_kernels)

    @property
    def called_kernel_tags(self) -> dict[str, frozenset[str]]:
        """The types, such as ``Float``, by tag of kernel if these are known, else by operator."""
        _ATTACHED.hand_out(self)
        tags = self._of_kernels or self._of_operators
        return {tag: frozenset(dtypes) for tag, dtypes in sorted(tags.items())}

    @property
    def operator_dtypes(self) -> dict[str, frozenset[str]]:
        """The types of tensors that operators were given, by operator."""
        _ATTACHED.hand_out(self)
        return {name: frozenset(dtypes) for name, dtypes in sorted(self._of_operators.items())}

    def _clear(self) -> None:
        self._of_kernels: dict[str, set[str]] = {}
        self._of_operators: dict[str, set[str]] = {}

    def _take(self, seen: Seen) -> None:
        for report in seen.kernel_dtypes:
            tag, separator, dtype = report.partition("$")
            if separator:
                self._of_kernels.setdefault(tag, set()).add(dtype)
        for call, dtypes in seen.calls.items():
            if dtypes:
                self._of_operators.setdefault(call.operator, set()).update(dtypes)


class CustomClassTracer(Recorder):
    """Records which classes in C++ are used: those that operators mention in their signatures.

    A torch that was built for tracing also reports those that are looked up while a model is loaded.
    """

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._clear()

    @property
    def loaded_classes(self) -> frozenset[str]:
        """Names of classes, without their namespaces."""
        _ATTACHED.hand_out(self)
        return frozenset(self._found)

    def _clear(self) -> None:
        self._found: set[str] = set()

    def _take(self, seen: Seen) -> None:
        self._found.update(class_name(name) for name in seen.custom_classes)
        self._found |= classes_in_schemas({call.operator for call in seen.calls})


class BuildFeatureTracer(Recorder):
    """Records which features of a build are asked for; only a torch built for tracing reports them."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._clear()

    @property
    def build_features(self) -> frozenset[str]:
        """Names of features."""
        _ATTACHED.hand_out(self)
        return frozenset(self._found)

    def _clear(self) -> None:
        self._found: set[str] = set()

    def _take(self, seen: Seen) -> None:
        self._found |= seen.build_features


@contextmanager
def attached(recorders: Sequence[Recorder]) -> Iterator[None]:
    """Attach several recorders at once, without forgetting what they have seen before.

    Raises:
        FootprintError: one of them, or another of its kind, is attached already.
    """
    _ATTACHED.attach(recorders)
    try:
        yield
    except BaseException:
        _ATTACHED.detach(recorders, is_failing=True)
        raise
    _ATTACHED.detach(recorders, is_failing=False)


class _Attached:
    """The recorders that are attached in this process, and the one observation that serves them all.

    Whenever one comes or goes the observation is ended, given to those that were there, and begun anew.
    """

    __slots__ = ("_lock", "_observation", "_recorders")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._recorders: list[Recorder] = []
        self._observation: Observation | None = None

    def attach(self, recorders: Sequence[Recorder]) -> None:
        with self._lock:
            for recorder in recorders:
                self._refuse_two_of_a_kind(recorder)
            before = list(self._recorders)
            self._cut([*before, *recorders], is_failing=False)

    def detach(self, recorders: Sequence[Recorder], *, is_failing: bool) -> None:
        with self._lock:
            left = [other for other in self._recorders if other not in recorders]
            self._cut(left, is_failing=is_failing)

    def hand_out(self, recorder: Recorder) -> None:
        """Let a recorder that is attached see what has been called until now."""
        with self._lock:
            if recorder in self._recorders:
                self._cut(list(self._recorders), is_failing=False)

    def _cut(self, then: list[Recorder], *, is_failing: bool) -> None:
        """Give what was seen to the recorders, and go on with others."""
        observation, self._observation = self._observation, None
        now, self._recorders = self._recorders, then
        try:
            if observation is not None:
                seen = observation.end()
                for recorder in now:
                    recorder._take(seen)
        except FootprintError:
            if (
                not is_failing
            ):  # an error of the program is worth more than that it was not recorded
                raise
        finally:
            if then:
                self._begin(now)

    def _begin(self, before: list[Recorder]) -> None:
        needs_dtypes = any(isinstance(recorder, KernelDTypeTracer) for recorder in self._recorders)
        try:
            self._observation = Observation(with_dtypes=needs_dtypes)
        except BaseException:
            self._recorders = [recorder for recorder in self._recorders if recorder in before]
            raise

    def _refuse_two_of_a_kind(self, recorder: Recorder) -> None:
        kind = type(recorder)
        if recorder in self._recorders:
            raise FootprintError(
                f"this {kind.__name__} is attached already; leave its block before it is entered again"
            )
        if any(isinstance(other, kind) for other in self._recorders):
            raise FootprintError(
                f"another {kind.__name__} is attached already, and there can be one in a process\n"
                "leave its block first; trace_run attaches one of each kind, so nest no recorder around it"
            )


_ATTACHED: Final = _Attached()
