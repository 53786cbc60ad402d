"""Scenes from the text of graphs, scenes as text, and golden files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from opscope.ir import Effect, Operator, Parameter, parse
from opscope.visualize import Scene, ViewOptions, build_scene

_GOLDEN = Path(__file__).parent.parent / "golden"


def operator(name: str) -> Operator:
    """Give operators the effects that their names promise, and no parameters."""
    base = name.partition(".")[0]
    if base.endswith("_"):
        parameters = (Parameter("self", "Tensor", alias="a", is_written=True),)
        return Operator(name, parameters, effects=Effect.WRITES)
    return Operator(name, effects=Effect.NONE)


@pytest.fixture
def draw() -> Callable[..., Scene]:
    """Build the scene of a graph's text; options are those of ``ViewOptions``."""

    def build(text: str, **options: object) -> Scene:
        names = options.pop("output_names", ())
        return build_scene(parse(text, operator), ViewOptions(**options), names)  # type: ignore[arg-type]

    return build


@pytest.fixture
def outline() -> Callable[[Scene], str]:
    """Spell a scene: boxes inside their clusters, then edges, each on a line."""
    return _outline


def _outline(scene: Scene) -> str:
    lines = []
    for cluster in scene.clusters:
        place = f" in {cluster.parent}" if cluster.parent else ""
        lines.append(f"{cluster.name}{place}: {cluster.title} | {cluster.detail}")
    for box in scene.boxes:
        place = f" in {box.cluster}" if box.cluster else ""
        text = " | ".join(part for part in (box.title, box.detail) if part)
        lines.append(f"{box.name} {box.kind.value}{place}: {text}".rstrip(": "))
    for edge in scene.edges:
        kind = "" if edge.kind.value == "flow" else f" {edge.kind.value}"
        label = f" ({edge.label})" if edge.label else ""
        lines.append(f"{edge.source} -> {edge.target}{kind}{label}")
    return "\n".join(lines)


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare text with a golden file, or write it there where UPDATE_GOLDENS is set."""

    def compare(name: str, text: str) -> None:
        path = _GOLDEN / name
        if os.environ.get("UPDATE_GOLDENS"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare
