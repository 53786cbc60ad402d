"""A browser that shows nothing, for what is measured where people use it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = ("--no-sandbox", "--disable-background-networking")


@contextmanager
def browser_without_window(*options: str) -> Iterator[Browser | None]:
    """Run a browser; None where there is none, or nothing to drive it."""
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright  # of use for these figures alone
    except ImportError:
        path = None
    if path is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_OPTIONS, *options])
        yield browser
        browser.close()


def wait_for(page: Page, expression: str, limit_s: float = 60.0) -> Any:
    """Return what an expression gives as soon as that is true, asked from outside the page.

    Raises:
        TimeoutError: it was not within the limit.
    """
    end = time.monotonic() + limit_s
    while not (
        found := page.evaluate(expression)
    ):  # a page's policy may let nothing wait inside it
        if time.monotonic() > end:
            raise TimeoutError(f"{expression} is not true after {limit_s:.0f} s")
        page.wait_for_timeout(5)
    return found
