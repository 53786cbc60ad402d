"""What a model is called with: inputs that are bundled with it, or given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import torch
from torch.utils import _pytree as pytree

from ..errors import FootprintError
from .models import Runnable

Calls: TypeAlias = dict[str, list[tuple[Any, ...]]]
GivenInputs: TypeAlias = (
    Mapping[str, Sequence[tuple[Any, ...]]] | Sequence[tuple[Any, ...]] | tuple[Any, ...]
)

_DIRECTORY: Final = "get_bundled_inputs_functions_and_info"
_OF_FORWARD: Final = "get_all_bundled_inputs"
_REMEDY: Final = (
    "bundle some before it is saved: torch.utils.bundled_inputs.bundle_inputs(scripted, [(x,)]);"
    " or give inputs (inputs= in Python, --input on the command line)"
)


def given_calls(inputs: GivenInputs) -> Calls:
    """Return which methods are to be called with what.

    Args:
        inputs: the arguments of each call of forward, as a list of tuples; one tuple is one call; or such
            lists by method.

    Raises:
        FootprintError: they are none of these, or none at all.
    """
    by_method = inputs if isinstance(inputs, Mapping) else {"forward": inputs}
    calls = {method: list(_calls_of(method, given)) for method, given in by_method.items()}
    if not any(calls.values()):
        raise FootprintError("inputs holds no call; give a list with a tuple of arguments for each")
    return calls


def _calls_of(method: str, given: Any) -> Iterator[tuple[Any, ...]]:
    if isinstance(given, tuple):
        yield given
        return
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise FootprintError(
            f"inputs for {method} must be a list with a tuple of arguments for each call,"
            f" not {type(given).__name__}"
        )
    for args in given:
        if not isinstance(args, tuple):
            raise FootprintError(
                f"inputs for {method} hold {type(args).__name__} where a tuple of arguments must stand:"
                " [(x,), (y,)] are two calls"
            )
        yield args


def fresh(calls: Calls) -> Calls:
    """Return copies of what is given, as a model may write to its inputs."""
    copied: Calls = pytree.tree_map_only(torch.Tensor, _copy, calls)
    return copied


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def bundled_calls(model: Runnable) -> Calls:
    """Ask a model which of its methods it has inputs for, and for these.

    Raises:
        FootprintError: it has none.
    """
    if model.has(_DIRECTORY):
        return _calls_by_directory(model)
    if model.has(_OF_FORWARD):
        return {"forward": _checked(_OF_FORWARD, model.call(_OF_FORWARD, ()))}
    raise FootprintError(f"it has no bundled inputs, so there is nothing to run\n{_REMEDY}")


def _calls_by_directory(model: Runnable) -> Calls:
    directory = model.call(_DIRECTORY, ())
    if not isinstance(directory, dict):
        raise FootprintError(
            f"its {_DIRECTORY} returned {type(directory).__name__} where a dict must come\n{_REMEDY}"
        )
    if not directory:
        raise FootprintError(f"it has bundled inputs for none of its methods\n{_REMEDY}")
    calls: Calls = {}
    for method, facts in directory.items():
        getter = _getter(facts)
        if getter is None or not model.has(getter):
            raise FootprintError(
                f"it says of no method that returns inputs for {method}\n{_REMEDY}"
            )
        if not model.has(method):
            raise FootprintError(
                f"it has bundled inputs for {method}, and no such method\n"
                "export the method (torch.jit.export), and save the model again"
            )
        calls[method] = _checked(getter, model.call(getter, ()))
    return calls


def _getter(facts: Any) -> str | None:
    names = facts.get("get_inputs_function_name") if isinstance(facts, dict) else None
    is_named = isinstance(names, list) and bool(names) and isinstance(names[0], str)
    return names[0] if is_named and names else None


def _checked(getter: str, inputs: Any) -> list[tuple[Any, ...]]:
    if not isinstance(inputs, list):
        raise FootprintError(
            f"its {getter} returned {type(inputs).__name__} where a list must come\n{_REMEDY}"
        )
    if not inputs:
        raise FootprintError(f"its {getter} returned no inputs\n{_REMEDY}")
    for args in inputs:
        if not isinstance(args, tuple):
            raise FootprintError(
                f"its {getter} returned a list of {type(args).__name__} where tuples must stand\n{_REMEDY}"
            )
    return inputs
