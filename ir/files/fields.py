"""JSON as files hold it: read with limits, and asked for values of the kind that the format says.

Each function that asks takes ``where``, what the value is called in messages: ``types[3].shape``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

from ...errors import FormatError

MOST_VALUES: Final = 64_000_000
"""JSON values that an entry may have: those of a graph of some three million nodes."""

MOST_DEEP: Final = 100
"""How deep a file may nest lists, types and structures."""

MOST_BLOCKS: Final = 50
"""How deep it may nest blocks."""

MOST_WHOLE: Final = 2**63 - 1

_Item = TypeVar("_Item")


def dump_json(value: Any, what: str) -> bytes:
    """Return JSON as a file holds it: ASCII, without blanks.

    Raises:
        FormatError: it is nested too deeply, or holds a number that JSON has not.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} cannot be written to a file: {error}") from error


def load_json(content: bytes, name: str) -> Any:
    """Return what an entry of a file holds. O(size).

    Raises:
        FormatError: it is no JSON, names a field twice, nests too deeply, or has too many values.
    """
    count = content.count(b",") + content.count(b"[") + content.count(b"{")
    if count > MOST_VALUES:
        raise FormatError(f"{name} has up to {count:,} values, and a file may have {MOST_VALUES:,}")
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number
        )
    except RecursionError as error:
        raise FormatError(f"{name} is nested too deeply to be read") from error
    except ValueError as error:  # of the text's encoding too
        raise FormatError(f"{name} is not JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object names a field twice")
    return made


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def wrong(where: str, expected: str, found: Any) -> FormatError:
    """Return the error that a value is not what the format says."""
    shown = json.dumps(found, default=repr) if not isinstance(found, list | dict) else None
    if shown is None:
        shown = "a list" if isinstance(found, list) else "an object"
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return FormatError(f"{where} must be {expected}, and is {shown}")


def whole(value: Any, where: str, least: int = 0, most: int = MOST_WHOLE) -> int:
    """Return a whole number from ``least`` to ``most``."""
    if value.__class__ is not int or not least <= value <= most:
        raise wrong(where, f"a whole number from {least} to {most}", value)
    return value


def text(value: Any, where: str) -> str:
    """Return a string."""
    if value.__class__ is not str:
        raise wrong(where, "a string", value)
    return value


def flag(value: Any, where: str) -> bool:
    """Return true or false."""
    if value.__class__ is not bool:
        raise wrong(where, "true or false", value)
    return value


def listed(value: Any, where: str, length: int | None = None) -> list[Any]:
    """Return a list, of a certain length if that is given."""
    if value.__class__ is not list or (length is not None and len(value) != length):
        raise wrong(where, "a list" if length is None else f"a list of {length}", value)
    return value


def fields(
    value: Any, where: str, needed: Collection[str], others: Collection[str] = ()
) -> dict[str, Any]:
    """Return an object that has the needed fields and no others than these and ``others``."""
    if value.__class__ is not dict:
        raise wrong(where, "an object", value)
    for name in needed:
        if name not in value:
            raise FormatError(f"{where} lacks {name}")
    for name in value:
        if name not in needed and name not in others:
            raise FormatError(f"{where} has a field {name!r}, which this version does not know")
    return value


def item(value: Any, table: Sequence[_Item], where: str, what: str) -> _Item:
    """Return what a number stands for in a table that was read before."""
    if value.__class__ is not int or not 0 <= value < len(table):
        raise wrong(where, f"the number of one of {len(table)} {what}", value)
    return table[value]


def tagged(value: Any, where: str) -> tuple[str, Any]:
    """Return the only field of an object, which says what the value beside it is."""
    if value.__class__ is not dict or len(value) != 1:
        raise wrong(where, "an object of one field", value)
    return next(iter(value.items()))
