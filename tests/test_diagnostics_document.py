"""docs/diagnostics.md shows, for each kind of diagnostic, a program and exactly what its user sees."""

from pathlib import Path

import opscope
from support.gallery import rendered

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "diagnostics.md"


def test_the_gallery_shows_what_its_programs_show() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert rendered(text) == text, (
        "run: python tests/support/gallery.py docs/diagnostics.md, and look at the difference"
    )


def test_every_kind_has_a_section() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for kind in opscope.DiagnosticKind:
        assert f"\n## {kind.value}\n" in text, f"{kind.value} is not in the gallery"
        section = text.partition(f"\n## {kind.value}\n")[2].partition("\n## ")[0]
        assert f"{kind.value}: " in section, f"no program of the gallery shows {kind.value}"
