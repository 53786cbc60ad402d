"""A page of the explorer in a real browser, used as people use it: with mouse and keyboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

import opscope

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_MISSING: Final = (
    "the tests of the explorer's page need a browser: install one (apt-get install chromium),"
    " or set OPSCOPE_NO_BROWSER=1 to go without these tests"
)
# Milliseconds that a button is held, as people do: two pictures are drawn meanwhile.
PRESS: Final = 35.0
_SCREENSHOTS: Final = Path(__file__).parents[1] / "screenshots"

# The names that a script may use; places are in pixels of the page.
_SCRIPT: Final = """(given) => {
  const { session, view } = window.__explorer;
  const { model } = session;
  const { arrangement } = view;
  const onPage = ({ x, y, width, height }) => {
    const corner = view.canvas.getBoundingClientRect();
    const { zoom } = view.view;
    return {
      x: corner.x + (x - view.view.x) * zoom,
      y: corner.y + (y - view.view.y) * zoom,
      width: width * zoom,
      height: height * zoom,
    };
  };
  const nameOf = (item) => (item < 0 ? model.branchTitle(~item) : model.nodeTitle(item));
  const BODY
}"""
_PLACE: Final = """place = () => {
  const { boxes, frames } = view.picture;
  const box = boxes.filter((b) => b.title === given)[0];
  if (box) return onPage(view.placeOf(box.item));
  const frame = frames.find((f) => f.title === given);
  return frame ? onPage(frame) : null;
};
return place();"""


def find_browser() -> str:
    """Return the path of a browser; without one, the test fails and says what to do, or is skipped."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.environ.get("OPSCOPE_NO_BROWSER") == "1":
        pytest.skip("OPSCOPE_NO_BROWSER is set")
    if found is None:
        pytest.fail(_MISSING)
    return found


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Run a browser that shows nothing and asks nobody for anything."""
    path = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_OPTIONS)
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle in pixels of the page."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle."""
        return self.x + self.width / 2, self.y + self.height / 2


class ExplorerPage:
    """One page.

    Attributes:
        page: the browser's page.
        problems: errors that the page met and requests that it made, besides that for itself.
    """

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.problems: list[str] = []
        self._folder = folder
        self.address = (folder / "explorer.html").as_uri()
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", self._note_request)

    def open(self, program: Any, *, at: str = "", **options: Any) -> None:
        """Show a program; ``at`` is what stands behind the ``#`` of the address."""
        self.write(opscope.to_html(program, **options))
        self.visit(at)

    def write(self, text: str) -> None:
        """Write the page's file."""
        (self._folder / "explorer.html").write_text(text, encoding="utf-8")

    def visit(self, at: str = "") -> None:
        """Go to the page's file, and wait until it is there."""
        self.page.goto(f"{self.address}#{at}" if at else self.address)
        while not self.page.evaluate(
            "!!window.__explorer"
        ):  # the page's policy lets nothing wait in it
            self.page.wait_for_timeout(5)
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.page.evaluate(
            """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
              () => requestIdleCallback(() => done(), { timeout: 1000 }))))"""
        )

    def ask(self, script: str, given: Any = None) -> Any:
        """Run JavaScript that sees ``session``, ``view``, ``model`` and ``given``; return what it returns."""
        body = script if script.startswith("place =") else f"unused = 0;\n{script}"
        return self.page.evaluate(_SCRIPT.replace("BODY", body), given)

    # What is seen

    def boxes(self) -> list[str]:
        """Return the titles of all boxes, outer branches first."""
        found: list[str] = self.ask("return view.picture.boxes.map((b) => b.title);")
        return found

    def frames(self) -> list[str]:
        """Return the titles of all unfolded branches."""
        found: list[str] = self.ask("return view.picture.frames.map((f) => f.title);")
        return found

    def edges(self) -> list[str]:
        """Return what each flow connects, as it is drawn: ``relu -> add``."""
        found: list[str] = self.ask("""
          const { flows } = arrangement;
          const shown = (n) => nameOf(arrangement.shownFor(n));
          return Array.from(flows.source, (n, f) => `${shown(n)} -> ${shown(flows.target[f])}`);""")
        return found

    def selected(self) -> str:
        """Return what is selected: ``node relu``; empty for nothing."""
        found: str = self.ask("""
          const s = session.selection;
          if (!s) return '';
          if (s.kind === 'value') return `value ${model.valueName(s.id)}`;
          return `${s.kind} ${nameOf(s.kind === 'branch' ? ~s.id : s.id)}`;""")
        return found

    def marked(self) -> list[str]:
        """Return the titles of the marked nodes."""
        found: list[str] = self.ask("return [...session.marks].map(nameOf);")
        return found

    def place(self, title: str) -> Place:
        """Return where a box or an unfolded branch is drawn, the first of that title."""
        found = self.ask(_PLACE, title)
        assert found is not None, f"nothing is called {title!r}: {self.frames()} {self.boxes()}"
        return Place(**found)

    def colour_at(self, x: float, y: float) -> str:
        """Return the colour of the graph at a point of the page: ``#ffffff``."""
        found: str = self.ask(
            """
          const corner = view.canvas.getBoundingClientRect();
          const scale = window.devicePixelRatio;
          view.drawNow();
          const at = [(given[0] - corner.x) * scale, (given[1] - corner.y) * scale];
          const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
          pixel.drawImage(view.canvas, ...at.map(Math.round), 1, 1, 0, 0, 1, 1);
          const [r, g, b] = pixel.getImageData(0, 0, 1, 1).data;
          return '#' + [r, g, b].map((c) => c.toString(16).padStart(2, '0')).join('');""",
            [x, y],
        )
        return found

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.page.locator(selector).first.inner_text()

    # What is done

    def click(self, title: str) -> None:
        """Click a box in its middle, an unfolded branch on its title."""
        self.page.mouse.click(*self._handle(title), delay=PRESS)
        self.settle()

    def double_click(self, title: str) -> None:
        """Click it twice."""
        self.page.mouse.dblclick(*self._handle(title), delay=PRESS)
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
            self.settle()

    def choose(self, label: str, option: str) -> None:
        """Choose from a list at the top of the page."""
        self.page.get_by_label(label, exact=True).select_option(label=option)
        self.settle()

    def search(self, query: str) -> None:
        """Type into the search."""
        self.page.get_by_role("combobox", name="Search").fill(query)
        self.settle()
        self.settle()

    def bring(self, title: str) -> None:
        """Move the picture so that a box or an unfolded branch is in the middle."""
        place = self.place(title)
        canvas = self.ask("return onPage({ ...view.view, width: 0, height: 0 });")
        size = self.ask("return view.size;")
        to = (canvas["x"] + size["width"] / 2, canvas["y"] + size["height"] / 2)
        x, y = self._handle(title) if place.height > 60 else place.middle
        self.ask("view.panBy(...given);", [x - to[0], y - to[1]])
        self.settle()

    def picture(self, name: str) -> Path:
        """Keep a picture of the page for people to look at, in a folder that git ignores."""
        _SCREENSHOTS.mkdir(exist_ok=True)
        path = _SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def _handle(self, title: str) -> tuple[float, float]:
        is_frame = title in self.frames() and title not in self.boxes()
        place = self.place(title)
        zoom = self.ask("return view.view.zoom;")
        return (place.x + 40 * zoom, place.y + 13 * zoom) if is_frame else place.middle

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.problems.append(f"request: {request.url}")
