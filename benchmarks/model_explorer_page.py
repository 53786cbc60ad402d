"""Model Explorer on the same graph: its server is a process of its own, its page in the same browser.

Note [When Model Explorer has drawn]
    It lays graphs out in a worker, and says so on its page until that is done; what comes after is drawn in
    the next frame. Unfolding is asked of it as a click on its button does, in the layers around the block
    first, outside the clock; it is done when the layer counts as unfolded, before anything has glided to its
    place. A search is done when it says how many results there are.
"""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .browser import browser_without_window, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOW_TO_GET_IT = "Model Explorer is not installed: make .venv/peers, and it is measured beside."

_LIMIT_S = 240.0
_PEERS = Path(sys.prefix, "peers", "bin", "python")  # where make .venv/peers puts it
_DRAWS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
_SERVE = """
import sys
import model_explorer
config = model_explorer.config()
config.add_model_from_path(sys.argv[1])
model_explorer.visualize_from_config(config, port=int(sys.argv[2]), no_open_in_browser=True)
"""
_HAS_DRAWN = """(() => {
  const isBusy = /Processing graph/.test(document.body.innerText);
  return !isBusy && document.querySelector('webgl-renderer') && performance.now();
})()"""
_WORK = """async () => {
  const [renderer] = Object.values(window.me_test.renderers);
  const nodes = () => renderer.curModelGraph.nodesById;
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const unfold = async (id, isWhole) => {
    const start = performance.now();
    renderer.sendExpandOrCollapseGroupNodeRequest(nodes()[id], isWhole, true);
    while (!nodes()[id].expanded) await frame();
    await frame();
    return performance.now() - start;
  };
  const block = Object.values(nodes()).find((node) => node.label === 'blocks.7');
  const around = [];
  for (let id = block.nsParentId; id; id = nodes()[id].nsParentId) around.unshift(id);
  for (const id of around) await unfold(id, false);
  const unfolded = await unfold(block.id, true);
  await new Promise((done) => setTimeout(done, 1000));
  const input = document.querySelector('search-bar input');
  input.focus();
  const start = performance.now();
  input.value = 'softmax';
  input.dispatchEvent(new Event('input', { bubbles: true }));
  while (!/\\d results/.test(document.querySelector('search-bar').innerText)) await frame();
  return [unfolded, performance.now() - start];
}"""


def is_here() -> bool:
    """Whether it can be measured."""
    return _python() is not None


def model_explorer_times(exported: Path) -> list[float | None]:
    """Return how long it takes until the first picture, to unfold a block and to search; None for what fails.

    Args:
        exported: a graph in its own format, which has a layer ``blocks.7``.
    """
    with _served(exported) as address, browser_without_window(*_DRAWS) as browser:
        if browser is None or not address:
            return [None] * 3
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(_LIMIT_S * 1e3)
        return list(_times(page, address))


def _times(page: Page, address: str) -> Iterator[float | None]:
    from playwright.sync_api import Error  # of use for these figures alone

    try:
        page.goto(address)
        yield float(wait_for(page, _HAS_DRAWN, _LIMIT_S))
    except (Error, TimeoutError):  # it has crashed, or takes too long
        yield from [None] * 3
        return
    try:
        yield from page.evaluate(_WORK)
    except Error:
        yield from [None] * 2


def _python() -> str | None:
    """Return the interpreter that has it."""
    if importlib.util.find_spec("model_explorer") is not None:
        return sys.executable
    return str(_PEERS) if _PEERS.exists() else None


@contextmanager
def _served(exported: Path) -> Iterator[str]:
    """Run its server; yield the address of the graph's page, or nothing where it does not start."""
    command = [str(_python()), "-u", "-c", _SERVE, str(exported), str(_free_port())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None, "the server's output is a pipe"
        lines = (line.strip() for line in server.stdout)
        yield next((line for line in lines if line.startswith("http://")), "")
        server.terminate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
    return port
