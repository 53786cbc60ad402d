"""Units: counts and bytes as people read them, three significant digits each."""

from __future__ import annotations

from typing import Final

_COUNTS: Final = ("", "k", "M", "G", "T", "P", "E")
_BYTES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def count_text(count: int) -> str:
    """Return a count with an SI prefix: ``784``, ``25.6 M``, ``8.18 G``."""
    return _scaled(count, 1000, _COUNTS)


def bytes_text(count: int) -> str:
    """Return bytes in powers of 1024: ``784 B``, ``97.5 MiB``."""
    return _scaled(count, 1024, _BYTES)


def share_text(part: int, whole: int) -> str:
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
