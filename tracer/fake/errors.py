"""What it means that an operator cannot run without data, in the user's words and with the user's line."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from torch._subclasses import fake_tensor

from ...errors import CaptureError
from ...ir import Frame
from ..blocks import scripted
from ..blocks.higher_order import ProgramRecorder
from ..recorders.deep import DeepRecorder
from ..sources.frames import is_library_file

_RECORDING = {
    function.__code__ for function in (ProgramRecorder.record, ProgramRecorder.record_higher_order)
}


_DEEP = DeepRecorder.record.__code__
_FAILED_IN_SCRIPT = "The following operation failed in the TorchScript interpreter."
_NO_STORAGE = "Not available for 'meta' device type"
_NO_DATA = "its data is not allocated yet"
_WITHOUT_DATA = (
    fake_tensor.DataDependentOutputException.__name__,
    fake_tensor.DynamicOutputShapeException.__name__,
    fake_tensor.UnsupportedOperatorException.__name__,
)


def explained(error: BaseException) -> CaptureError | None:
    """Return what an error of a run without data means; None for an error of the program's own."""
    what = _what_failed(error)
    if what is None:
        return None
    return CaptureError("\n".join([what, *_users_line(error)]))


def refusal(error: BaseException) -> str | None:
    """Return what to know of an error of an operator that runs without data; None for any other error."""
    name = _operator_called(error.__traceback__)
    if name is None:
        return None
    return "\n".join(
        (
            f"With fake=True torch is asked what {name} would give, and refuses these arguments. Some are "
            "refused only there: if the program runs, trace it with real tensors.",
            *_users_line(error),
        )
    )


def _users_line(error: BaseException) -> list[str]:
    stack = _stack_of(error.__traceback__)
    source = None if stack is None else stack.user.range
    if source is None:
        return []
    underlined = [f"    {line}" for line in source.underlined().splitlines()]
    return [f"  from {source} in {source.function}", *underlined]


def _what_failed(error: BaseException) -> str | None:
    line = _line_of_script(str(error))
    if line is not None:
        return (
            f"a scripted function needs the data of a tensor, and fake=True computes none: {line}\n"
            "  trace with real tensors, or call the function as it was before torch.jit.script"
        )
    name = _operator_called(error.__traceback__) or str(getattr(error, "func", "an operator"))
    if isinstance(error, fake_tensor.DynamicOutputShapeException):
        return (
            f"{name} gives a tensor whose size depends on data, and fake=True computes none\n"
            "  trace with real tensors, or use a form of fixed size such as a mask or torch.where"
        )
    if isinstance(error, fake_tensor.DataDependentOutputException):
        return (
            f"{name} gives Python a value of a tensor, and fake=True computes none\n"
            "  trace with real tensors, keep the value in a tensor (torch.where), or pass it as an argument"
        )
    if isinstance(error, fake_tensor.UnsupportedOperatorException) or _lacks_fake_kernel(error):
        return (
            f"{name} cannot tell the type of its result without computing it\n"
            "  trace with real tensors, or, if it is your own, give it a torch.library.register_fake"
        )
    if _NO_DATA in str(error):
        return f"{name} goes by the data of a tensor, and fake=True computes none\n  trace with real tensors"
    if _is_export(error.__traceback__) or _NO_STORAGE in str(error):
        return (
            "the data of a tensor is handed to Python or NumPy, and fake=True computes none\n"
            "  trace with real tensors"
        )
    return None


def _line_of_script(message: str) -> str | None:
    """Return the line of a script that could not run without data; None if that is not what failed.

    TorchScript's interpreter hands errors on as text, and leaves out what has none.
    """
    if not message.startswith(_FAILED_IN_SCRIPT):
        return None
    cause = message.rpartition("RuntimeError: ")[2].strip()
    if cause and not cause.startswith(_WITHOUT_DATA):
        return None
    line = message.partition(" <--- HERE")[0].splitlines()[-2]
    return line.strip()


def _lacks_fake_kernel(error: BaseException) -> bool:
    """Whether a custom operator was asked for a fake result and has no way to make one."""
    return isinstance(error, RuntimeError) and str(error).startswith("There was no fake impl")


def _operator_called(traceback: TracebackType | None) -> str | None:
    """Return the operator that the program called when the error arose."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code in _RECORDING:
            facts: Any = frame.f_locals.get("facts")
            return None if facts is None else str(facts.name)
        traceback = traceback.tb_next
    return None


def _is_export(traceback: TracebackType | None) -> bool:
    while traceback is not None:
        if traceback.tb_frame.f_code.co_qualname == "_read.<locals>.wrapped":
            return True
        traceback = traceback.tb_next
    return False


def _stack_of(traceback: TracebackType | None) -> Frame | None:
    """Return the Python stack at the operator that failed, without opscope's own frames below it."""
    stack: Frame | None = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code in _RECORDING or code is _DEEP or code.co_filename == scripted.__file__:
            break
        stack = Frame(code, traceback.tb_lasti, stack, is_library_file(code.co_filename))
        traceback = traceback.tb_next
    return stack
