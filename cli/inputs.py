"""Inputs as the command line spells them: random tensors, tensors from files, Python literals.

Reading a spec needs no torch, so that a mistake is reported before anything is loaded;
``cli/values.py`` makes the values.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from ..ir import DType
from .errors import CommandError

_FORMS: Final = """\
an input is one of
  f32[1,3,224,224]  i64[2,16]<1000     a tensor of random numbers
  x.pt  x.safetensors  x.pt:name       what a file holds, or one entry of it
  3  0.5  True  None  [1,2]  '"text"'  a Python literal"""
_TENSOR_FORM: Final = (
    "a tensor is written like f32[1,3,224,224], f32[], i64[2,16]<1000 or f16[8,64]@cuda:0"
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RandomTensor:
    """A tensor to be filled with random numbers.

    Attributes:
        dtype: element type.
        shape: elements, row-major.
        below: whole numbers are drawn from 0 up to this, which is not reached.
        device: where the tensor goes, in torch's words.
    """

    dtype: DType
    shape: tuple[int, ...]
    below: int = 2
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class StoredValue:
    """What a file holds, or the entry of that name."""

    path: Path
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class LiteralValue:
    """A Python literal."""

    value: Any


InputSpec: TypeAlias = RandomTensor | StoredValue | LiteralValue


class SpecError(CommandError):
    """A spec cannot be read; the message marks the place."""

    def __init__(self, text: str, position: int, problem: str, advice: str = _FORMS) -> None:
        super().__init__(f"{problem}\n  {text}\n  {' ' * position}^\n{advice}")


def parse_input(text: str) -> InputSpec:
    """Read the spec of one input.

    Raises:
        SpecError: it is none; the message marks the place.
    """
    if _TENSOR_START.match(text):
        return _TensorReader(text).read()
    stored = _STORED.fullmatch(text)
    if stored is not None:
        return StoredValue(Path(stored["path"]), stored["entry"])
    try:
        return LiteralValue(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        position, problem = _why_not_literal(text)
        raise SpecError(text, position, problem) from None


def parse_argument(text: str) -> Any:
    """Read the value of an ``--arg``: a Python literal, or a bare word, which is text.

    Raises:
        CommandError: it is neither.
    """
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    if _WORD.fullmatch(text) and text.lower() not in _CONSTANTS:
        return text
    meant = _CONSTANTS.get(text.lower())
    advice = (
        f"write {meant}" if meant else "text with other signs than letters needs quotes: '\"a b\"'"
    )
    raise CommandError(f"{text!r} is not a Python literal; {advice}")


def parse_pairs(option: str, pairs: Iterable[str], read: Callable[[str], _T]) -> dict[str, _T]:
    """Read ``name=value`` pairs of an option.

    Raises:
        CommandError: a pair has no name or no value, or a name comes twice.
    """
    values: dict[str, _T] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise CommandError(f"{option} takes name=value, not {pair!r}")
        if name in values:
            raise CommandError(f"{option} gives {name} twice")
        values[name] = read(text)
    return values


_TENSOR_START = re.compile(r"\s*[A-Za-z_][\w.]*\s*\[")
_STORED = re.compile(
    r"(?P<path>[^\s'\"\[({].*\.(?:pt|pth|safetensors))(?::(?P<entry>.+))?", re.DOTALL
)
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_CONSTANTS: Final = {"true": "True", "false": "False", "none": "None", "null": "None"}
_DEVICE = re.compile(r"[a-z]+(?::\d+)?")

_WHOLE = ("int", "uint")
_FILLABLE: Final = {
    name: dtype
    for dtype in DType
    if dtype is DType.BOOL
    or dtype.is_complex
    or (dtype.is_floating_point and "_x2" not in dtype.value)
    or dtype.long_name in {f"{sign}{bits}" for sign in _WHOLE for bits in (8, 16, 32, 64)}
    for name in (dtype.value, dtype.long_name)
} | {
    "double": DType.F64,
    "float": DType.F32,
    "half": DType.F16,
    "cdouble": DType.C128,
    "cfloat": DType.C64,
    "chalf": DType.C32,
    "long": DType.I64,
    "int": DType.I32,
    "short": DType.I16,
}


class _TensorReader:
    """Reads ``dtype[sizes]<bound@device`` from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> RandomTensor:
        dtype = self._dtype()
        shape = self._shape()
        below = self._bound(dtype) if self._take("<") else 2
        device = self._device() if self._take("@") else "cpu"
        self._space()
        if self._at < len(self._text):
            raise self._error("a tensor ends here; only <N and @device may follow its sizes")
        return RandomTensor(dtype, shape, below, device)

    def _dtype(self) -> DType:
        name = self._match(r"[\w.]+")
        dtype = _FILLABLE.get(name.removeprefix("torch."))
        if dtype is None:
            self._at -= len(name)
            near = difflib.get_close_matches(name, _FILLABLE, n=1)
            advice = f"; did you mean {near[0]}?" if near else ", such as f32, bf16, i64 or bool"
            raise self._error(f"{name!r} is no dtype that can be filled{advice}")
        return dtype

    def _shape(self) -> tuple[int, ...]:
        self._take("[")
        sizes: list[int] = []
        while not self._take("]"):
            if sizes and not self._take(","):
                raise self._error("a comma or ] is missing here")
            sizes.append(self._number("a size must stand here, a whole number from 0"))
        return tuple(sizes)

    def _bound(self, dtype: DType) -> int:
        if not dtype.long_name.startswith(_WHOLE):
            self._at -= 1
            raise self._error(f"only whole numbers have a bound; {dtype} has none")
        self._space()
        start = self._at
        below = self._number("the bound must stand here, a whole number from 1")
        bits = dtype.nbytes * 8 - (1 if dtype.long_name.startswith("int") else 0)
        most = min(2**bits, 2**63 - 1)  # torch draws from no wider range
        if not 1 <= below <= most:
            self._at = start
            raise self._error(f"the bound of {dtype} is a whole number from 1 to {most}")
        return below

    def _device(self) -> str:
        self._space()
        found = _DEVICE.match(self._text, self._at)
        if found is None:
            raise self._error("a device must stand here, such as cpu or cuda:0")
        self._at = found.end()
        return found[0]

    def _number(self, problem: str) -> int:
        digits = self._match(r"[0-9]+")
        if not digits:
            raise self._error(problem)
        return int(digits)

    def _match(self, pattern: str) -> str:
        self._space()
        found = re.compile(pattern).match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _take(self, sign: str) -> bool:
        self._space()
        if not self._text.startswith(sign, self._at):
            return False
        self._at += 1
        return True

    def _space(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1

    def _error(self, problem: str) -> SpecError:
        return SpecError(self._text, self._at, problem, _TENSOR_FORM)


def _why_not_literal(text: str) -> tuple[int, str]:
    """Return the place and the words for text that is neither a tensor, a file, nor a literal."""
    word = text.strip()
    start = len(text) - len(text.lstrip())
    if not word:
        return 0, "an input is empty"
    if word.lower() in _CONSTANTS:
        return start, f"{word} is not Python; write {_CONSTANTS[word.lower()]}"
    if word.removeprefix("torch.") in _FILLABLE:
        return len(
            text.rstrip()
        ), f"the sizes are missing; write {word}[2,3], or {word}[] for one number"
    if "/" in word or re.fullmatch(r"[\w-]+\.\w+", word):
        return start, f"{word} is no file of a known kind: .pt, .pth or .safetensors"
    try:
        ast.parse(word, mode="eval")
    except SyntaxError as error:
        return start + max((error.offset or 1) - 1, 0), "this is not a Python literal"
    return start, "this is neither a tensor, nor a file, nor a Python literal; text needs quotes"
