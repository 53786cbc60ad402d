"""Every pass and pipeline by its name, read from text: ``dce{drop_random=true},cse``, ``noopt``."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, Final

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
        RemoveMutation,
        SpecializeTypes,
    )
}
"""The passes that text may name, besides those that :func:`register_pass` adds."""

_ADDED: Final[dict[str, Pass]] = {}

_NAME = re.compile(r"[\w-]+")
_SPEC = re.compile(r"\s*(?P<name>[\w-]+)\s*(?:\{(?P<options>[^{}]*)\})?\s*(?:,|\Z)")
_BOOLS: Final = {"true": True, "false": False}


def register_pass(pass_: Pass, name: str = "") -> None:
    """Give a pass, such as a set of rewrite rules, a name that text may use; a later one takes it over.

    >>> register_pass(RewriteRules((rule,), name="my_rules"))
    >>> traced.apply("my_rules,dce")

    Args:
        pass_: the pass, with its options.
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
                "  write them as cse,dce{drop_random=true}"
            )
        passes += _named(match["name"], match["options"])
        position = match.end()
    return tuple(passes)


def _named(name: str, options: str | None) -> tuple[Pass, ...]:
    """Return the pass of a name, or the passes of a pipeline."""
    class_ = PASSES.get(name)
    if class_ is not None:
        return (_made(name, class_, options or ""),)
    if name not in _ADDED and name not in PIPELINES:
        raise PassError(
            f"there is no pass {name!r}\n  there are {', '.join(sorted({*PASSES, *_ADDED}))}\n"
            f"  and the pipelines {', '.join(PIPELINES)}"
        )
    if options is not None:
        raise PassError(f"{name} has no options in text\n  write {name} alone")
    return (_ADDED[name],) if name in _ADDED else read_passes(",".join(PIPELINES[name]))


def _made(name: str, class_: type[Pass], options: str) -> Pass:
    known = {
        option.name: option.default
        for option in fields(class_)  # type: ignore[arg-type]
        if isinstance(option.default, bool | int | float | str)
    }
    given = {}
    for option in filter(None, map(str.strip, options.split(","))):
        key, _, value = map(str.strip, option.partition("="))
        if key not in known:
            offered = f"its options are {', '.join(known)}" if known else "it has no options"
            raise PassError(f"pass {name} has no option {key!r}\n  {offered}")
        given[key] = _read(name, key, value, known[key])
    return class_(**given)


def _read(name: str, key: str, value: str, default: Any) -> Any:
    """Return an option's value, of the class of its default."""
    try:
        return _BOOLS[value] if isinstance(default, bool) else type(default)(value)
    except (KeyError, ValueError):
        wanted = "true or false" if isinstance(default, bool) else type(default).__name__
        raise PassError(f"option {key} of pass {name} takes {wanted}, not {value!r}") from None
