"""Open a page in the system's Chromium and keep a picture: `python tests/support/screenshot.py URL FILE [WIDTH HEIGHT]`."""

from __future__ import annotations

import shutil
import sys

from playwright.sync_api import sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def shoot(url: str, file: str, width: int = 1920, height: int = 1080, ready: str | None = None) -> list[str]:
    """Save a picture and return what the page wrote to its console as errors."""
    errors: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        if ready:
            page.wait_for_selector(ready, timeout=15000)
        page.wait_for_timeout(500)
        page.screenshot(path=file, full_page=width < 900)
        browser.close()
    return errors


def page_text(url: str, ready: str = "body[data-ready]") -> str:
    """Return the text that a reader sees in a real browser."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.goto(url)
        page.wait_for_selector(ready, timeout=15000)
        text = page.inner_text("main")
        browser.close()
    return text


if __name__ == "__main__":
    size = [int(value) for value in sys.argv[3:5]] or [1920, 1080]
    print(shoot(sys.argv[1], sys.argv[2], *size, ready="body[data-ready]" if ":28080" in sys.argv[1] else None))
