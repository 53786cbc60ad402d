"""Models that can be run again and again, whatever they were given as."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import torch
from torch.jit import mobile
from torch.jit.mobile import LiteScriptModule

from ..errors import FootprintError
from .formats import classes_named_in, kind_of_file
from .result import ModelKind, md5_of

Given: TypeAlias = str | os.PathLike[str] | torch.nn.Module | LiteScriptModule

_JIT: Final[Any] = torch.jit  # these are not typed
_MOBILE: Final[Any] = mobile
_GPU_PREFIXES: Final = ("metal::", "metal_prepack_unet::")
_HOLDS_LOCK: Final = "holding the GIL"


class NeedsInterpreterError(FootprintError):
    """The lite interpreter, as Python drives it, cannot run a backward pass."""


class Runnable(Protocol):
    """A model that has been loaded."""

    def has(self, method: str) -> bool:
        """Whether it has a method of that name."""
        ...

    def call(self, method: str, args: Sequence[Any]) -> Any:
        """Call a method."""
        ...


class Model(Protocol):
    """A model as it was given."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def kind(self) -> ModelKind:
        """What it was given as."""
        ...

    @property
    def md5(self) -> str:
        """Of its file; empty if there is none."""
        ...

    @property
    def size(self) -> int:
        """Bytes of its file; 0 if there is none."""
        ...

    @property
    def is_loaded_anew(self) -> bool:
        """Whether each run loads it, which calls operators."""
        ...

    def load(self) -> Runnable:
        """Return it, ready to be called."""
        ...

    def substitute(self) -> Runnable:
        """Return it for an interpreter that runs backward passes too."""
        ...

    def roots(self) -> frozenset[str] | None:
        """Return the operators that its program names; None if only a run can tell."""
        ...

    def classes(self) -> frozenset[str]:
        """Return the classes in C++ that it mentions."""
        ...


def model_of(given: Given) -> Model:
    """Return the model that a path or module stands for.

    Raises:
        FootprintError: it is none.
    """
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        kind = kind_of_file(path)
        facts = (str(path), kind, md5_of(path), path.stat().st_size)
        return ScriptFile(*facts) if kind is ModelKind.TORCHSCRIPT else LiteFile(*facts)
    if isinstance(given, LiteScriptModule):
        return LiteModule(given)
    if isinstance(given, torch.jit.ScriptModule):
        return ScriptedModule(_apart(given))
    if isinstance(given, torch.nn.Module):
        return EagerModule(_apart(given))
    raise FootprintError(
        f"{type(given).__name__} is no model: give a path, or a module"
        " (a function can be the forward of a torch.nn.Module)"
    )


@dataclass(frozen=True, slots=True)
class LiteFile:
    """A file for the lite interpreter."""

    name: str
    kind: ModelKind
    md5: str
    size: int
    is_loaded_anew: bool = True

    def load(self) -> Runnable:
        """Load it into the lite interpreter."""
        return _Lite(_MOBILE._load_for_lite_interpreter(self.name))

    def substitute(self) -> Runnable:
        """Load it into the interpreter of TorchScript, which takes archives alone."""
        if self.kind is ModelKind.LITE_FLATBUFFER:
            raise FootprintError(
                f"{self.name} runs a backward pass, which needs the interpreter of TorchScript, and that"
                " reads no flatbuffers\n"
                "save it with model._save_for_lite_interpreter(path), without _use_flatbuffer"
            )
        return _Scripted(_load_script(self.name))

    def roots(self) -> frozenset[str]:
        """Read which operators its methods name; of an archive without loading it.

        Raises:
            FootprintError: it trains, and no interpreter here can do that from a flatbuffer.
        """
        if self.kind is ModelKind.LITE:
            return frozenset(_MOBILE._get_model_ops_and_info(self.name))
        roots = frozenset(
            _MOBILE._export_operator_list(_MOBILE._load_for_lite_interpreter(self.name))
        )
        if "aten::backward" in roots:  # torch does not come back from it
            self.substitute()
        return roots

    def classes(self) -> frozenset[str]:
        """Read which classes in C++ it mentions."""
        return classes_named_in(Path(self.name))


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """A file that ``torch.jit.save`` wrote."""

    name: str
    kind: ModelKind
    md5: str
    size: int
    is_loaded_anew: bool = True

    def load(self) -> Runnable:
        """Load it into the interpreter of TorchScript."""
        return _Scripted(_load_script(self.name))

    def substitute(self) -> Runnable:
        """Load it."""
        return self.load()

    def roots(self) -> frozenset[str]:
        """Return which operators its methods name."""
        return _named_operators(_load_script(self.name))

    def classes(self) -> frozenset[str]:
        """Read which classes in C++ it mentions."""
        return classes_named_in(Path(self.name))


class LiteModule:
    """A module that the lite interpreter has loaded."""

    kind = ModelKind.LITE
    md5 = ""
    size = 0
    is_loaded_anew = False

    def __init__(self, module: LiteScriptModule) -> None:
        self.name = type(module).__name__
        self._module = module

    def load(self) -> Runnable:
        """Return it."""
        return _Lite(self._module)

    def substitute(self) -> Runnable:
        """Refuse: where it came from is not known."""
        raise FootprintError(
            f"{self.name} runs a backward pass, which the lite interpreter cannot do here\n"
            "give the path of its file instead"
        )

    def roots(self) -> frozenset[str]:
        """Return which operators its methods name."""
        return frozenset(_MOBILE._export_operator_list(self._module))

    def classes(self) -> frozenset[str]:
        """Return none: it does not tell."""
        return frozenset()


class ScriptedModule:
    """A module that was scripted or traced by TorchScript."""

    kind = ModelKind.SCRIPTED
    md5 = ""
    size = 0
    is_loaded_anew = False

    def __init__(self, module: torch.nn.Module) -> None:
        self.name = getattr(module, "original_name", "") or type(module).__name__
        self._module = module

    def load(self) -> Runnable:
        """Return it."""
        return _Scripted(self._module)

    def substitute(self) -> Runnable:
        """Return it."""
        return self.load()

    def roots(self) -> frozenset[str]:
        """Return which operators its methods name."""
        return _named_operators(self._module)

    def classes(self) -> frozenset[str]:
        """Return none: its operators tell."""
        return frozenset()


class EagerModule:
    """A module in Python, whose operators only a run can tell."""

    kind = ModelKind.MODULE
    md5 = ""
    size = 0
    is_loaded_anew = False

    def __init__(self, module: torch.nn.Module) -> None:
        self.name = type(module).__name__
        self._module = module

    def load(self) -> Runnable:
        """Return it."""
        return _Eager(self._module)

    def substitute(self) -> Runnable:
        """Return it."""
        return self.load()

    def roots(self) -> None:
        """Return None."""
        return

    def classes(self) -> frozenset[str]:
        """Return none: its operators tell."""
        return frozenset()


def needs_gpu(roots: frozenset[str]) -> bool:
    """Whether operators are ones of Metal, which no other machine than Apple's has."""
    return any(root.startswith(_GPU_PREFIXES) for root in roots)


@dataclass(frozen=True, slots=True)
class _Lite:
    module: Any

    def has(self, method: str) -> bool:
        return bool(self.module.find_method(method))

    def call(self, method: str, args: Sequence[Any]) -> Any:
        try:
            return self.module.run_method(method, *args)
        except RuntimeError as error:
            if _HOLDS_LOCK in str(error):
                raise NeedsInterpreterError(method) from error
            raise


@dataclass(frozen=True, slots=True)
class _Scripted:
    module: Any

    def has(self, method: str) -> bool:
        return hasattr(self.module, method)

    def call(self, method: str, args: Sequence[Any]) -> Any:
        # As the program has it: optimizing would fuse and replace operators.
        with _JIT.optimized_execution(False):
            return getattr(self.module, method)(*args)


@dataclass(frozen=True, slots=True)
class _Eager:
    module: torch.nn.Module

    def has(self, method: str) -> bool:
        return callable(getattr(self.module, method, None))

    def call(self, method: str, args: Sequence[Any]) -> Any:
        called = self.module if method == "forward" else getattr(self.module, method)
        return called(*args)


def _load_script(path: str) -> Any:
    with _no_deprecations():
        return _JIT.load(path, map_location="cpu")


def _named_operators(module: Any) -> frozenset[str]:
    with _no_deprecations():
        return frozenset(_JIT.export_opnames(module))


@contextmanager
def _no_deprecations() -> Iterator[None]:
    """Keep torch from telling our users that they should not have used what their model was made with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _apart(module: torch.nn.Module) -> torch.nn.Module:
    """Return a copy, so that running it leaves the statistics and parameters of the user's as they are.

    Raises:
        FootprintError: it cannot be copied.
    """
    try:
        with _no_deprecations():
            return copy.deepcopy(module)
    except Exception as error:
        raise FootprintError(
            f"{type(module).__name__} cannot be copied, and running it would change it: {error}\n"
            "save it to a file, and give the path"
        ) from error
