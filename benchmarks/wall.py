"""How soon the wall's pages stand, and what they weigh: `python -m benchmarks.wall` prints a table.

A real Prometheus holds seven hours of a clear night; each page is opened in Chromium, cold (a new browser context) and again. The clock
runs from the request until the page has its data and its letters. Beside it stands the processor time of everything that took part
(Chromium, the wall's server, Prometheus, this program): on a machine that does nothing else a load takes no longer than that.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, sync_playwright

from tests.support.backfilled import backfilled
from tests.support.screenshot import ARGUMENTS, WALL_READY
from tests.support.wall_site import served
from tests.support.wall_world import site, world
from wall.app import DASHBOARDS
from zads import cache
from zads.stack import programs

ROUNDS = 7


def worked() -> float:
    """Return the processor seconds of this program and of all that it started."""
    own = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (own, *own.children(recursive=True)))


def load(browser: Browser, url: str) -> tuple[float, float, float, int]:
    """Return the seconds of a cold load, its processor seconds, the seconds of a warm one, and the bytes of the cold one."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    page = context.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda r: sizes.append(r.sizes()["responseBodySize"]))
    took = []
    for _ in range(2):
        begin, before = time.monotonic(), worked()
        page.goto(url)
        page.wait_for_selector(WALL_READY)
        page.evaluate("document.fonts.ready")
        took.append(time.monotonic() - begin)
        if len(took) == 1:
            weight, cpu = sum(sizes), worked() - before
    context.close()
    return took[0], cpu, took[1], weight


def main() -> None:
    """Print one line for each page."""
    os.environ["PATH"] += f"{os.pathsep}{cache.folder() / 'bin'}"
    paths = ["/", "/d/", *(f"/d/{path.stem}" for path in sorted(DASHBOARDS.glob("*.json")))]
    print("| page | first load, median | fastest | its processor time | again | kB |\n|---|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as data,
        backfilled(Path(data), world("clear_night", time.time())) as address,
        served(site("clear_night"), address) as url,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=programs.find("chromium"), args=ARGUMENTS)
        for path in paths:
            runs = [load(browser, url + path) for _ in range(ROUNDS)]
            middle, cpu, again = (statistics.median(run[n] for run in runs) for n in range(3))
            fastest = min(run[0] for run in runs)
            print(
                f"| {path} | {middle:.2f} s | {fastest:.2f} s | {cpu:.2f} s | {again:.2f} s | {runs[0][3] / 1000:.0f} |",
                flush=True,
            )
        browser.close()


if __name__ == "__main__":
    main()
