"""Pictures of the wall in every state: `python -m tests.support.wall_states DIR [STATE ...]`.

Each state is back-filled into a real Prometheus; the wall's two pages (/ and /d/zads-health in kiosk mode) are opened in Chromium at
1920x1080, at a phone's width, and scaled to a fifth, as the screen looks from five metres.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import requests
from playwright.sync_api import Browser, sync_playwright

from tests.support.backfilled import backfilled
from tests.support.screenshot import ARGUMENTS, WALL_READY
from tests.support.wall_site import served
from tests.support.wall_world import STATES, site, world
from zads import cache
from zads.stack import programs

PAGES = {"": "/", "-grafana": "/d/zads-health?kiosk"}
SIZES = {"": (1920, 1080, 1.0), "-phone": (390, 844, 1.0), "-five-metres": (1920, 1080, 0.2)}
LOST = "prometheus_lost"


def shoot(browser: Browser, url: str, folder: Path, state: str) -> list[str]:
    """Save all pictures of a state and return what the pages complained of."""
    errors: list[str] = []
    for page_name, path in PAGES.items():
        for size_name, (width, height, scale) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(url + path)
            page.wait_for_selector(WALL_READY)
            page.evaluate("document.fonts.ready")
            page.wait_for_timeout(400)
            page.screenshot(path=folder / f"wall-{state}{page_name}{size_name}.png", full_page=width < 900)
            page.close()
    return errors


def main(folder: Path, wanted: list[str]) -> int:
    """Make the pictures; return 1 when a page complained."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=programs.find("chromium"), args=ARGUMENTS)
        for state in wanted or [*STATES, LOST]:
            errors = _pictures(browser, state, folder)
            print(state, errors or "well")
            failed |= bool(errors)
        browser.close()
    return failed


def _pictures(browser: Browser, state: str, folder: Path) -> list[str]:
    known = "clear_night" if state == LOST else state
    with tempfile.TemporaryDirectory() as data, ExitStack() as prometheus:
        address = prometheus.enter_context(backfilled(Path(data), world(known, time.time())))
        with served(site(known), address) as url:
            if state == LOST:
                _both(url)
                prometheus.close()
                while not (_both(url)):
                    time.sleep(0.5)
            return shoot(browser, url, folder, state)


def _both(url: str) -> bool:
    """Let both pages look at Prometheus and return whether both are blind."""
    wall = requests.get(f"{url}/api/health.json", timeout=20).json()
    board = requests.get(f"{url}/api/d/zads-health", timeout=20).json()
    return bool(wall["blind"] and board["state"]["blind"])


if __name__ == "__main__":
    os.environ["PATH"] += f"{os.pathsep}{cache.folder() / 'bin'}"
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
