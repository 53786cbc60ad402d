"""Every pass by its name, and passes with options read from text: ``dce{drop_random=true},cse``."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any, Final

from ..errors import PassError
from .base import Pass
from .cse import CommonSubexpressionElimination
from .dce import DeadCodeElimination
from .erase_profiling import EraseProfiling
from .fixup_scopes import FixupScopes
from .fold_operators import FoldOperators
from .inline import Inline
from .lower_all_tuples import LowerAllTuples
from .lower_simple_tuples import LowerSimpleTuples
from .outline import Outline
from .remove_mutation import RemoveMutation
from .specialize_types import SpecializeTypes
from .torch_facts import TorchFacts

PASSES: Final[dict[str, type[Pass]]] = {
    pass_.name: pass_
    for pass_ in (
        CommonSubexpressionElimination,
        DeadCodeElimination,
        EraseProfiling,
        FixupScopes,
        FoldOperators,
        Inline,
        LowerAllTuples,
        LowerSimpleTuples,
        Outline,
        RemoveMutation,
        SpecializeTypes,
    )
}
"""The passes that text may name."""

_SPEC = re.compile(r"\s*(?P<name>[\w-]+)\s*(?:\{(?P<options>[^{}]*)\})?\s*(?:,|\Z)")
_BOOLS: Final = {"true": True, "false": False}


def read_passes(text: str) -> tuple[Pass, ...]:
    """Return the passes that a text names: ``dce``, ``cse,dce``, ``dce{drop_random=true}``.

    Raises:
        PassError: the text is not such a list, or names a pass, an option or a value that there is not.
    """
    passes = []
    position = 0
    while position < len(text):
        match = _SPEC.match(text, position)
        if match is None:
            raise PassError(
                f"{text[position:]!r} is not a list of passes\n"
                "  write them as cse,dce{drop_random=true}"
            )
        passes.append(_made(match["name"], match["options"] or ""))
        position = match.end()
    return tuple(passes)


def informed(pass_: Pass, facts: TorchFacts) -> Pass:
    """Return a pass that knows about torch's operators, if it asks for that and nobody has told it."""
    is_ignorant = isinstance(pass_, RemoveMutation) and pass_.facts is None
    return replace(pass_, facts=facts) if is_ignorant else pass_  # type: ignore[type-var]


def _made(name: str, options: str) -> Pass:
    class_ = PASSES.get(name)
    if class_ is None:
        raise PassError(f"there is no pass {name!r}\n  there are {', '.join(sorted(PASSES))}")
    known: dict[str, Any] = {
        field.name: field.default
        for field in fields(class_)  # type: ignore[arg-type]
        if field.metadata.get("is_option", True)
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
