"""What the explorer's page of a large program costs: writing it, opening it, and working with it.

Note [A page is measured where people use it]
    The page is opened in a browser without a window, as if for the first time, in each round. Times are those
    of the browser's own clock: from the start of the navigation to the frame after the first picture; from
    before something is asked for to the frame that shows it. While the view moves, the time between frames
    counts, and of those the longest.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import opscope

from .harness import Claim, Comparison, Effort, Report, seconds_of
from .large_graphs import network

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_TARGETS = {
    "first picture": 2000.0,
    "unfold a block of 200 operators": 200.0,
    "find the operators of a kind": 100.0,
    "longest of 60 frames, moving": 50.0,
}

_FIRST_PICTURE = """
const look = () => {
  if (window.__explorer) requestAnimationFrame(() => (window.__seen = performance.now()));
  else requestAnimationFrame(look);
};
look();
"""
_WORK = """async () => {
  const { session, view } = window.__explorer;
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const timed = async (run) => {
    const start = performance.now();
    run();
    await frame();
    await frame();
    return performance.now() - start;
  };
  const { model } = session;
  const blocks = [...Array(model.branchCount).keys()];
  const isBlock = (b) => model.kind(b) === 'module' && Math.abs(model.drawnCount[b] - 200) < 60;
  const block = blocks.filter((b) => isBlock(b) && session.folding[b] === 0)[3];
  session.reveal(~block);
  await frame();
  const unfold = await timed(() => session.unfoldAll(block));
  const input = document.querySelector('.finder-input');
  const find = await timed(() => {
    input.value = 'op:softmax';
    input.dispatchEvent(new Event('input'));
  });
  if (!session.marks.size) throw new Error('nothing was found');
  session.unfoldAll();
  await new Promise((done) => setTimeout(done, 500));
  let last = await frame();
  let longest = 0;
  for (let number = 0; number < 60; number++) {
    view.panBy(5, 23);
    const now = await frame();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return [unfold, find, longest];
}"""


def explorer(effort: Effort) -> Report:
    """Measure the page of a network of a hundred thousand operators."""
    graph = network(effort.size(500, 50))
    size = sum(1 for _ in graph.walk())
    rounds = effort.size(3, 1)
    written = statistics.median(seconds_of(opscope.to_html, graph) for _ in range(rounds))
    text = opscope.to_html(graph)
    rows = [
        Comparison(
            "write the page",
            {"time": written * 1e3},
            (
                Claim("time", written * 1e3, "ms", 3000.0),
                Claim("size", len(text.encode()) / 1e6, "MB", 15.0),
            ),
        )
    ]
    notes = [f"A network of {size:,} operators in {len(text.encode()) / 1e6:.1f} MB of HTML."]
    found = _in_browser(text, rounds)
    if found is None:
        notes.append("No browser: pip install playwright, apt-get install chromium.")
    else:
        for (what, limit), values in zip(_TARGETS.items(), found, strict=True):
            middle = statistics.median(values)
            rows.append(Comparison(what, {"time": middle}, (Claim("time", middle, "ms", limit),)))
        notes.append("In a browser without a window, which draws without a graphics card.")
    return Report("The explorer's page", "ms", tuple(rows), tuple(notes))


def _in_browser(text: str, rounds: int) -> list[list[float]] | None:
    """Return the times of each round for each of the targets; None where there is no browser."""
    with tempfile.TemporaryDirectory() as folder, _browser() as browser:
        if browser is None:
            return None
        path = Path(folder) / "page.html"
        path.write_text(text, encoding="utf-8")
        return [
            list(some) for some in zip(*(_round(browser, path) for _ in range(rounds)), strict=True)
        ]


def _round(browser: Browser, path: Path) -> list[float]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.add_init_script(_FIRST_PICTURE)
    page.goto(path.as_uri())
    while not (
        opened := page.evaluate("window.__seen")
    ):  # the page's policy lets nothing wait inside it
        page.wait_for_timeout(5)
    worked: list[float] = page.evaluate(_WORK)
    page.close()
    return [float(opened), *worked]


@contextmanager
def _browser() -> Iterator[Browser | None]:
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright  # of use for these figures alone
    except ImportError:
        path = None
    if path is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_OPTIONS)
        yield browser
        browser.close()
