"""Circumstances as plain data, and asked for again in another process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch

from ...ir.conditions import Circumstance, OfSetting, of_setting
from ...ir.files import SavedCircumstance, past
from ..program.circumstances import OfModules, OfTensors, of_tensors
from ..program.optimizers import OfOptions
from ..program.stores import OfConditions, circumstance_of
from .places import PlaceRestorer, PlaceWriter
from .questions import fact_named, question


def saved_circumstances(
    circumstances: Iterable[Circumstance],
    number_of: Callable[[torch.Tensor], int | None],
    places: PlaceWriter | None,
) -> Iterator[SavedCircumstance | str]:
    """Yield circumstances as a file has them; where one cannot be asked for again, why, in words.

    Args:
        circumstances: those of a program.
        number_of: gives the numbers that tensors have in the file; None for one that it does not have.
        places: takes what conditions are about; None where the file has no state.
    """
    for each in circumstances:
        if isinstance(each, SavedCircumstance):
            yield each
        elif isinstance(each, OfSetting):
            if question(each.call) is None:
                yield f"a replay has to find that {each.text}, which it cannot ask for"
            yield _saved(each, "setting", (each.call, each.answer))
        elif isinstance(each, OfTensors):
            yield _of_tensors(each, number_of)
        elif isinstance(each, OfConditions) and places is not None:
            conditions = [places.condition(condition) for condition in each.conditions]
            known = [condition for condition in conditions if condition is not None]
            if len(known) < len(conditions):
                yield f"a replay has to find that {each.text}, which a file cannot hold"
            yield _saved(each, "places", tuple(known))
        else:
            if places is not None and not isinstance(each, OfModules | OfOptions):
                yield f"a replay has to find that {each.text}, which it cannot ask for"
            yield past(each.text, each.source, each.advice)


def _saved(each: Circumstance, asked: str, details: tuple[Any, ...]) -> SavedCircumstance:
    return SavedCircumstance(
        each.text, each.source, each.failing, advice=each.advice, asked=asked, details=details
    )


def _of_tensors(
    each: OfTensors, number_of: Callable[[torch.Tensor], int | None]
) -> SavedCircumstance:
    name, answer = each.fact
    found = [(reference(), text) for reference, text in each.tensors]
    numbers = [(number_of(tensor), text) for tensor, text in found if tensor is not None]
    kept = tuple([(number, text) for number, text in numbers if number is not None])
    if not kept or fact_named(name) is None:
        return past(each.text, each.source, each.advice)
    return _saved(each, "fact", (name, answer, kept))


def restored_circumstances(
    saved: Iterable[SavedCircumstance],
    tensors: Sequence[torch.Tensor],
    places: PlaceRestorer,
    plain: Callable[[Any], Any],
) -> Iterator[Circumstance]:
    """Yield circumstances that ask again.

    Args:
        saved: as a file has them.
        tensors: those of the file, by number.
        places: those of the file.
        plain: makes an object of what the file has for it.
    """
    for each in saved:
        match each.asked:
            case "setting":
                call, answer = each.details
                ask = question(call)
                yield (
                    each
                    if ask is None
                    else of_setting(call, plain(answer), ask, each.source, each.advice)
                )
            case "fact":
                name, answer, pairs = each.details
                noted = [(tensors[number], text) for number, text in pairs]
                asks = fact_named(name)
                yield (
                    each if asks is None else of_tensors((name, answer), asks, noted, each.source)
                )
            case "places":
                conditions = list(map(places.condition, each.details))
                yield circumstance_of(conditions) if conditions else each
            case _:
                yield each
