"""What the explorer's page of a large program costs: writing it, opening it, and working with it.

Note [A page is measured where people use it]
    The page is opened in a browser without a window, as if for the first time, in each round. Times are those
    of the browser's own clock: from the start of the navigation to the frame after the first picture; from
    before something is asked for to the frame that shows it. While the view moves, the time between frames
    counts, and of those the longest. Model Explorer is given the same graph, as its own format has it.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import opscope

from .browser import browser_without_window, wait_for
from .harness import Claim, Comparison, Effort, Report, seconds_of
from .large_graphs import network
from .model_explorer_page import HOW_TO_GET_IT, is_here, model_explorer_times

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_TARGETS = {
    "first picture": 2000.0,
    "unfold a block of 200 operators": 200.0,
    "find the operators of a kind": 100.0,
    "longest of 60 frames, moving": 50.0,
}
_PEER = "Model Explorer"

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
    """Measure the pages of networks, the largest of a hundred thousand operators, beside Model Explorer."""
    rows: list[Comparison] = []
    notes: list[str] = []
    for blocks in (50,) if effort.is_quick else (50, 500):
        _compare(blocks, effort, rows, notes)
    if not is_here():
        notes.append(HOW_TO_GET_IT)
    notes.append("In a browser without a window, which draws without a graphics card.")
    return Report("The explorer's page", "ms", tuple(rows), tuple(dict.fromkeys(notes)))


def _compare(blocks: int, effort: Effort, rows: list[Comparison], notes: list[str]) -> None:
    """Add the rows of a network of so many blocks."""
    graph = network(blocks)
    size = f"{sum(1 for _ in graph.walk()):,} operators"
    rounds = effort.size(3, 1)
    written = statistics.median(seconds_of(opscope.to_html, graph) for _ in range(rounds))
    text = opscope.to_html(graph)
    claims = (
        Claim("time", written * 1e3, "ms", 3000.0),
        Claim("size", len(text.encode()) / 1e6, "MB", 15.0),
    )
    rows.append(Comparison(f"write the page of {size}", {"opscope": written * 1e3}, claims))
    with tempfile.TemporaryDirectory() as folder:
        ours = _our_times(text, Path(folder), rounds)
        if ours is None:
            notes.append("No browser: pip install playwright, apt-get install chromium.")
            return
        theirs: Sequence[float | None] | None = None
        if is_here():
            exported = opscope.save(graph, Path(folder) / "network.explorer.json")
            theirs = model_explorer_times(exported)
    rows.extend(_beside(ours, theirs))


def _beside(ours: Sequence[float], theirs: Sequence[float | None] | None) -> Iterator[Comparison]:
    """Yield a row for each target; what Model Explorer did not come to, fails."""
    for number, (what, limit) in enumerate(_TARGETS.items()):
        figures: dict[str, float | None] = {"opscope": ours[number]}
        claims = [Claim("time", ours[number], "ms", limit)]
        if theirs is not None and number < len(theirs):
            other = figures[_PEER] = theirs[number]
            if other is not None:
                claims.append(Claim("theirs / ours", other / ours[number]))
        yield Comparison(what, figures, tuple(claims))


def _our_times(text: str, folder: Path, rounds: int) -> list[float] | None:
    """Return the median for each of the targets; None where there is no browser."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    with browser_without_window("--disable-gpu") as browser:
        if browser is None:
            return None
        measured = [_round(browser, path) for _ in range(rounds)]
    return [statistics.median(some) for some in zip(*measured, strict=True)]


def _round(browser: Browser, path: Path) -> list[float]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.add_init_script(_FIRST_PICTURE)
    page.goto(path.as_uri())
    opened = wait_for(page, "window.__seen")
    worked: list[float] = page.evaluate(_WORK)
    page.close()
    return [float(opened), *worked]
