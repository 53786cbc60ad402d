"""What outputs are called, and which share a box."""

from collections.abc import Callable

import pytest

from opscope.visualize import Scene
from opscope.visualize.endings import readable

Draw = Callable[..., Scene]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("", ""),
        ("['logits']", "logits"),
        ("['feats']['h']", "feats.h"),
        ("[0]", "output 0"),
        ("[1][0]", "output 1.0"),
        (".last_hidden_state", "last_hidden_state"),
        ("['past_key_values'].layers[0].keys", "past_key_values.layers.0.keys"),
    ],
)
def test_the_way_to_an_output_reads_as_people_say_it(path: str, name: str) -> None:
    assert readable(path) == name


def _outputs(draw: Draw, names: list[str]) -> list[tuple[str, str]]:
    lines = ["graph(%x : f32[4]):"]
    lines += [f"  %y{n} : f32[4] = aten::neg(%x)" for n in range(len(names))]
    lines.append(f"  return ({', '.join(f'%y{n}' for n in range(len(names)))})")
    scene = draw("\n".join(lines), output_names=names)
    return [(box.title, box.detail) for box in scene.boxes if box.kind.value == "output"]


def test_outputs_have_the_names_of_their_places(draw: Draw) -> None:
    names = ["['logits']", "['feats']['h']", "[2]"]
    assert _outputs(draw, names) == [
        ("logits", "4"),
        ("feats.h", "4"),
        ("y2", "output 2 · 4"),
    ]


def test_many_outputs_of_one_container_share_a_box(draw: Draw) -> None:
    names = [".logits", *(f".cache[{n}].{kind}" for n in range(2) for kind in ("keys", "values"))]
    assert _outputs(draw, names) == [("logits", "4"), ("cache", "4 tensors · 4")]
