"""The page in a real browser: each scene at 1920 x 1080 without overflow, a phone, and the way through a lost Prometheus."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from tests.unit.wall import scenes
from tests.unit.wall.fake_prometheus import FakePrometheus
from wall.app import application
from wall.source import Source

pytestmark = pytest.mark.browser
# Tiles whose text is cut, and what reaches beyond the screen.
_CUT = """() => [...document.querySelectorAll('.name, .word, .line')]
  .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)
  .concat(document.documentElement.scrollHeight > innerHeight ? ['the page scrolls'] : [])
  .concat([...document.querySelectorAll('.tile')].filter(e => e.scrollHeight > e.clientHeight + 2).map(e => 'high: ' + e.innerText))"""


class Site:
    """The wall before a Prometheus of ours."""

    def __init__(self) -> None:
        self.prometheus = FakePrometheus(scenes.clear_night())
        config = scenes.config()
        there = config.prometheus.model_copy(update={"address": self.prometheus.address})
        self.source = Source(config.model_copy(update={"prometheus": there}))
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        self.server = uvicorn.Server(uvicorn.Config(application(self.source), log_level="warning", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()

    def show(self, scene: scenes.Scene) -> None:
        """Change what Prometheus says, and forget what was kept."""
        self.prometheus.scene = scene
        self.source._wall, self.source._chart_at = None, 0.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--headless=new", "--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.should_exit = True
    site.thread.join(10)
    site.prometheus.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    errors: list[str] = []
    outside: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("request", lambda r: outside.append(r.url) if not r.url.startswith(("http://127.0.0.1:", "data:")) else None)
    yield page
    page.close()
    assert not errors
    assert not outside


def _open(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.wait_for_selector("body[data-ready]")
    page.wait_for_timeout(300)


# What may end in an ellipsis is a community's name; it never pushes another tile away.
def test_twenty_communities_with_long_names_keep_the_rows(page: Page, site: Site, tmp_path: Path):
    names = [f"a-community-with-a-rather-long-name-{i}" for i in range(20)]
    before = site.source._config
    site.source._config = scenes.site_of(names)
    site.show(scenes.clear_night(names))
    _open(page, site)
    page.screenshot(path=tmp_path / "twenty.png")
    site.source._config = before
    assert page.locator("#communities .tile").count() == 5
    assert page.locator("#communities .tile").last.inner_text().split("\n")[1] == "16 on time"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1920


@pytest.mark.parametrize("name", ["clear_night", "quiet_day", "kafka_down", "mirror_down", "lasair_behind", "long_names"])
def test_every_scene_fits_the_screen(name: str, page: Page, site: Site, tmp_path: Path):
    """No text is cut, nothing scrolls; a picture is kept for the eye."""
    site.show(getattr(scenes, name)())
    _open(page, site)
    page.screenshot(path=tmp_path / f"{name}.png")
    assert page.evaluate(_CUT) == []


def test_a_phone_reads_it_without_scrolling_sideways(page: Page, site: Site, tmp_path: Path):
    site.show(scenes.mirror_down())
    page.set_viewport_size({"width": 390, "height": 844})
    _open(page, site)
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('.line')).fontSize)") >= 12


def test_a_lost_prometheus_shows_and_heals_in_place(page: Page, site: Site, tmp_path: Path):
    """Without a reload: BLIND and hatched tiles, then ALL WELL again."""
    site.show(scenes.clear_night())
    _open(page, site)
    page.evaluate("window.stays = 1")
    site.prometheus.silent = True
    page.wait_for_selector("#headline .word:text('BLIND')", timeout=15_000)
    page.screenshot(path=tmp_path / "blind.png")
    assert page.locator("#sky .tile.unknown, #communities .tile.unknown, #chain .tile.unknown").count() == 12
    assert page.locator(".tile.ok").count() == 0
    site.prometheus.silent = False
    page.wait_for_selector("#headline .word:text('ALL WELL')", timeout=15_000)
    assert page.evaluate("window.stays") == 1


def test_nobody_looking_costs_nothing(site: Site):
    """Without a viewer Prometheus is not asked and the process sleeps: under 1 % of a core."""
    site.source.wall()
    asked, cpu, begin = site.prometheus.queries, time.process_time(), time.monotonic()
    time.sleep(3)
    assert site.prometheus.queries == asked
    assert (time.process_time() - cpu) / (time.monotonic() - begin) < 0.01
