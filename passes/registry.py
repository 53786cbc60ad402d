"""Passes and pipelines by name, read from text: ``dce{drop_random=true},cse``, ``noopt``, ``mine:MyPass``."""

from __future__ import annotations

import importlib
import re
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final, cast

from ..errors import PassError
from .base import Pass
from .constant_pooling import ConstantPooling
from .constant_propagation import ConstantPropagation
from .cse import CommonSubexpressionElimination
from .dce import DeadCodeElimination
from .erase_profiling import EraseProfiling
from .fixup_scopes import FixupScopes
from .fold_operators import FoldOperators
from .fold_shapes import FoldShapes
from .inline import Inline
from .lift_linear import LiftLinear
from .lower_all_tuples import LowerAllTuples
from .lower_simple_tuples import LowerSimpleTuples
from .normalize_ops import NormalizeOps
from .outline import Outline
from .peephole import Peephole
from .pipelines import PIPELINES
from .reinplace import Reinplace
from .remove_mutation import RemoveMutation
from .specialize_types import SpecializeTypes

PASSES: Final[dict[str, type[Pass]]] = {
    pass_.name: pass_
    for pass_ in (
        CommonSubexpressionElimination,
        ConstantPooling,
        ConstantPropagation,
        DeadCodeElimination,
        EraseProfiling,
        FixupScopes,
        FoldOperators,
        FoldShapes,
        Inline,
        LiftLinear,
        LowerAllTuples,
        LowerSimpleTuples,
        NormalizeOps,
        Outline,
        Peephole,
        Reinplace,
        RemoveMutation,
        SpecializeTypes,
    )
}
"""The passes that text may name, besides those that :func:`register_pass` adds."""

_ADDED: Final[dict[str, Pass | type[Pass]]] = {}

_NAME = re.compile(r"[\w-]+")
_SPEC = re.compile(r"\s*(?P<name>[\w.]+:[\w.]+|[\w-]+)\s*(?:\{(?P<options>[^{}]*)\})?\s*(?:,|\Z)")
_BOOLS: Final = {"true": True, "false": False}


def register_pass(pass_: Pass | type[Pass], name: str = "") -> None:
    """Give a pass, such as a set of rewrite rules, a name that text may use; a later one takes it over.

    A class is made anew for each use, with the options that text gives: ``my_pass{rate=0.5}``.

    >>> register_pass(RewriteRules((rule,), name="my_rules"))
    >>> traced.apply("my_rules,dce")

    Args:
        pass_: the pass, with its options, or its class.
        name: its name; the pass's own if left out.

    Raises:
        PassError: the name is that of a pass or a pipeline of opscope's own, or text cannot say it.
    """
    wanted = name or pass_.name
    if not _NAME.fullmatch(wanted):
        raise PassError(
            f"{wanted!r} cannot be the name of a pass\n  take letters, digits, underscores and hyphens"
        )
    if wanted in PASSES or wanted in PIPELINES:
        raise PassError(f"{wanted} is a pass of opscope's own\n  take another name")
    _ADDED[wanted] = pass_


def read_passes(text: str) -> tuple[Pass, ...]:
    """Return the passes that a text names: ``dce``, ``cse,dce``, ``dce{drop_random=true}``, ``noopt``.

    ``mine:MyPass`` stands for what the module ``mine`` calls ``MyPass``, a pass or a class of passes.

    Raises:
        PassError: the text is not such a list, or names a pass, an option or a value that there is not.
    """
    passes: list[Pass] = []
    position = 0
    while position < len(text):
        match = _SPEC.match(text, position)
        if match is None:
            raise PassError(
                f"{text[position:]!r} is not a list of passes\n"
                "  write them as cse,dce{drop_random=true},module:MyPass"
            )
        passes += _named(match["name"], match["options"])
        position = match.end()
    return tuple(passes)


def _named(name: str, options: str | None) -> tuple[Pass, ...]:
    """Return the pass of a name, or the passes of a pipeline."""
    found = _imported(name) if ":" in name else PASSES.get(name) or _ADDED.get(name)
    if isinstance(found, type):
        return (_made(name, found, options or ""),)
    if found is None and name not in PIPELINES:
        raise PassError(
            f"there is no pass {name!r}\n  there are {', '.join(sorted({*PASSES, *_ADDED}))}\n"
            f"  and the pipelines {', '.join(PIPELINES)}\n"
            f"  one of your own is module:{name}, or {name} after register_pass"
        )
    if options is not None:
        raise PassError(f"{name} has no options in text\n  write {name} alone")
    return read_passes(",".join(PIPELINES[name])) if found is None else (found,)


def _imported(name: str) -> Pass | type[Pass]:
    """Return the pass, or the class of passes, that a module has."""
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{module}.".startswith(f"{missing}."):
            raise  # something that the user's module imports
        raise PassError(f"pass {name}: there is no module {missing}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise PassError(f"pass {name}: {module} has nothing that is called {path}")
        found = getattr(found, part)
    if not isinstance(found, Pass) and not (isinstance(found, type) and issubclass(found, Pass)):
        raise PassError(
            f"pass {name}: {path} is of class {type(found).__name__}, no pass and no class of passes\n"
            "  rules become one as RewriteRules((rule,), name=...)"
        )
    return found


def _made(name: str, class_: type[Any], options: str) -> Pass:
    if not is_dataclass(class_):
        raise PassError(
            f"pass {name}: {class_.__name__} is no dataclass\n"
            "  write @dataclass(frozen=True, slots=True) before it; its fields are its options"
        )
    known = {
        option.name: option.default
        for option in fields(class_)
        if isinstance(option.default, bool | int | float | str)
    }
    required = [o.name for o in fields(class_) if o.default is o.default_factory is MISSING]
    if required:
        raise PassError(
            f"pass {name} cannot be made from text: {', '.join(required)} has no default\n"
            "  pass what it makes to apply, or register that"
        )
    given = {}
    for option in filter(None, map(str.strip, options.split(","))):
        key, _, value = map(str.strip, option.partition("="))
        if key not in known:
            offered = f"its options are {', '.join(known)}" if known else "it has no options"
            raise PassError(f"pass {name} has no option {key!r}\n  {offered}")
        given[key] = _read(name, key, value, known[key])
    return cast(Pass, class_(**given))


def _read(name: str, key: str, value: str, default: Any) -> Any:
    """Return an option's value, of the class of its default."""
    try:
        return _BOOLS[value] if isinstance(default, bool) else type(default)(value)
    except (KeyError, ValueError):
        wanted = "true or false" if isinstance(default, bool) else type(default).__name__
        raise PassError(f"option {key} of pass {name} takes {wanted}, not {value!r}") from None
