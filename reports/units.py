"""Units: counts and bytes as people read them, three significant digits each."""

from __future__ import annotations

from typing import Final

_COUNTS: Final = ("", "k", "M", "G", "T", "P", "E")
_BYTES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

_TIMES: Final = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def count_text(count: int) -> str:
    """Return a count with an SI prefix: ``784``, ``25.6 M``, ``8.18 G``."""
    return _scaled(count, 1000, _COUNTS)


def bytes_text(count: int) -> str:
    """Return bytes in powers of 1024: ``784 B``, ``97.5 MiB``."""
    return _scaled(count, 1024, _BYTES)


def duration_text(seconds: float) -> str:
    """Return a time in the unit that fits: ``784 ns``, ``12.5 µs``, ``3.4 ms``, ``1.25 s``."""
    for unit, size in _TIMES:
        if seconds >= 0.9995 * size or unit == "ns":
            number = seconds / size
            return f"{number:.3g} {unit}" if number < 999.5 else f"{number:.0f} {unit}"
    raise AssertionError("the last unit fits what is left")


def share_text(part: float, whole: float) -> str:
    """Return a part of a whole in per cent with one decimal: ``12.5``."""
    share = 100 * part / whole
    return "<0.1" if 0 < share < 0.05 else f"{share:.1f}"


def _scaled(count: int, base: int, units: tuple[str, ...]) -> str:
    size, unit = float(count), 0
    while size >= base * 0.9995 and unit < len(units) - 1:
        size /= base
        unit += 1
    number = str(count) if unit == 0 else f"{size:.3g}" if size < 999.5 else f"{size:.0f}"
    return f"{number} {units[unit]}".rstrip()
