"""Open a page in the system's Chromium and keep a picture: `python tests/support/screenshot.py URL FILE [WIDTH HEIGHT]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from zads.stack import programs

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WALL_READY = "body[data-ready]"
_PHONE = 900  # narrower pages scroll: the whole of them is the picture


@contextmanager
def opened(url: str, width: int = 1920, height: int = 1080, ready: str | None = None) -> Iterator[tuple[Page, list[str]]]:
    """Open a page and wait for its letters; what it writes to its console as errors is listed."""
    errors: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=programs.find("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        if ready:
            page.wait_for_selector(ready, timeout=15000)
        page.evaluate("document.fonts.ready")
        yield page, errors
        browser.close()


def shoot(url: str, file: str, width: int = 1920, height: int = 1080, ready: str | None = None) -> list[str]:
    """Save a picture and return what the page wrote to its console as errors."""
    with opened(url, width, height, ready) as (page, errors):
        page.wait_for_timeout(500)
        page.screenshot(path=file, full_page=width < _PHONE)
    return errors


def page_text(url: str, ready: str = WALL_READY) -> str:
    """Return the text that a reader sees in a real browser."""
    with opened(url, ready=ready) as (page, _):
        return page.inner_text("main")


if __name__ == "__main__":
    wide, high = [int(value) for value in sys.argv[3:5]] or [1920, 1080]
    print(shoot(sys.argv[1], sys.argv[2], wide, high, ready=WALL_READY if ":28080" in sys.argv[1] else None))
