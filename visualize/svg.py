"""SVG as Graphviz writes it, made fit for pages: a text alternative, plain tooltips, centred text.

Graphviz measures text with a font of this machine, and the reader's may be narrower: boxes then have
room to spare, so text is anchored in their middle. Titles of clusters become a layer of their own.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ..errors import RenderError
from .markup import clean
from .scene import BoxKind, Scene
from .wording import counted

_SIZE = re.compile(rb'<svg width="([\d.]+)pt" height="([\d.]+)pt"')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SVG = "{http://www.w3.org/2000/svg}"
_TOOLTIP = "{http://www.w3.org/1999/xlink}title"


def svg_size(svg: bytes) -> tuple[float, float]:
    """Return width and height in points."""
    match = _SIZE.search(svg)
    if match is None:
        raise RenderError("Graphviz wrote an SVG without a size")
    return float(match[1]), float(match[2])


def describe(scene: Scene) -> tuple[str, str]:
    """Return a title and a description for people who do not see the picture."""
    ends = {kind: [box.title for box in scene.boxes if box.kind is kind] for kind in BoxKind}
    sentences = [scene.totals]
    for kind, verb in ((BoxKind.INPUT, "Reads"), (BoxKind.OUTPUT, "Returns")):
        if ends[kind]:
            sentences.append(f"{verb} {', '.join(ends[kind][:8])}")
    drawn = sum(len(ends[kind]) for kind in (BoxKind.OPERATOR, BoxKind.SCOPE, BoxKind.SECTION))
    sentences.append(f"Drawn as {counted(drawn, 'box').replace('boxs', 'boxes')}")
    sentences.extend(scene.notes)
    return f"Graph of {scene.title}", ". ".join(sentences)


def finished_svg(svg: bytes, title: str, description: str) -> bytes:
    """Return an SVG that stands on its own: nothing in it is loaded, linked to or run."""
    root = ElementTree.fromstring(svg)
    for group in list(root.iter(f"{_SVG}g")):
        _use_plain_tooltip(group)
        kinds = group.get("class", "").split()
        if "node" in kinds and "heading" not in kinds:
            _centre_text(group)
    _gather_titles(root)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        for name in [name for name in element.attrib if "xlink" in name]:
            del element.attrib[name]
    root.attrib = {"xmlns": _SVG[1:-1], "role": "img", "aria-label": clean(title), **root.attrib}
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag)
        element.text = clean(text)
        root.insert(position, element)
    markup: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{markup}\n'.encode()


def _use_plain_tooltip(group: ElementTree.Element) -> None:
    """Turn Graphviz's link without a target into a ``title``, in place of the box's opaque name."""
    for title in group.findall(f"{_SVG}title"):
        group.remove(title)
    for wrapper in group.findall(f"{_SVG}g"):
        link = wrapper.find(f"{_SVG}a")
        if link is None:
            continue
        place = list(group).index(wrapper)
        group.remove(wrapper)
        for shape in reversed(list(link)):
            group.insert(place, shape)
        tooltip = link.get(_TOOLTIP)
        if tooltip and not group.findall(f"{_SVG}title"):
            title = ElementTree.Element(f"{_SVG}title")
            title.text = tooltip
            group.insert(0, title)


def _centre_text(node: ElementTree.Element) -> None:
    outline = next((part for part in node if part.get("d") or part.get("points")), None)
    if outline is None:
        return
    numbers = _NUMBER.findall(outline.get("d") or outline.get("points") or "")
    across = [float(number) for number in numbers[::2]]
    middle = f"{(min(across) + max(across)) / 2:.2f}"
    for text in node.findall(f"{_SVG}text"):
        text.set("text-anchor", "middle")
        text.set("x", middle)


def _gather_titles(root: ElementTree.Element) -> None:
    """Put the titles of clusters into the last layer of the page."""
    page = root.find(f"{_SVG}g")
    if page is None:
        return
    titles = ElementTree.Element(f"{_SVG}g", {"class": "titles"})
    for group in page.findall(f"{_SVG}g[@class]"):
        if "heading" in group.get("class", "").split():
            page.remove(group)
            titles.append(group)
    if len(titles):
        page.append(titles)
