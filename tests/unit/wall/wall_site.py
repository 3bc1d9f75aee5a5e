"""The wall before a Prometheus of ours, and how a browser opens it."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn
from playwright.sync_api import Page, ViewportSize

from tests.unit.wall import scenes
from tests.unit.wall.fake_prometheus import FakePrometheus
from wall.app import application
from wall.source import Source
from zads.config import Config

DESK, PHONE = ViewportSize(width=1920, height=1080), ViewportSize(width=390, height=844)
# The page refreshes hundreds of times faster, its patience with a slow answer stays; and its refreshes are counted.
FASTER = """(() => {
  const [wait, ask] = [window.setTimeout, window.fetch];
  window.refreshes = 0;
  window.setTimeout = (call, time, ...more) => wait(call, time === 5000 ? 10 : time, ...more);
  window.fetch = (...all) => { window.refreshes += 1; return ask(...all); };
})()"""


class Site:
    """The wall's server on a free port; what Prometheus says is a scene."""

    def __init__(self) -> None:
        self.prometheus = FakePrometheus(scenes.clear_night())
        self.source = Source(self.here(scenes.config()))
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._serve(listening)

    def here(self, config: Config) -> Config:
        """Return the config with our Prometheus."""
        there = config.prometheus.model_copy(update={"address": self.prometheus.address})
        return config.model_copy(update={"prometheus": there})

    def _serve(self, listening: socket.socket) -> None:
        self.server = uvicorn.Server(uvicorn.Config(application(self.source), log_level="error", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()

    def show(self, name: str) -> None:
        """Change what Prometheus says to one of the pictures, and forget what was kept."""
        config = scenes.site_of(scenes.MANY) if name == "many_communities" else scenes.config()
        self.source._config = self.here(config)
        self.say(scenes.PICTURES[name]())

    def say(self, scene: scenes.Scene) -> None:
        """Change what Prometheus says, and forget what was kept."""
        self.prometheus.scene, self.prometheus.silent = scene, False
        self.source._wall, self.source._chart_at = None, 0.0

    def stop(self) -> None:
        """End the wall's server: nobody listens."""
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join(10)

    def start(self) -> None:
        """Serve again at the same address."""
        self._serve(socket.create_server(("127.0.0.1", self.port)))

    def close(self) -> None:
        """End everything."""
        self.stop()
        self.prometheus.close()


def settled(page: Page) -> None:
    """Wait until the state is shown and no letter changes its shape any more."""
    page.wait_for_selector("body[data-ready]")
    page.evaluate("document.fonts.ready")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def open_wall(page: Page, site: Site) -> None:
    """Open the page and wait until it stands."""
    page.goto(site.url)
    settled(page)


def until(page: Page, condition: str, seconds: float = 20) -> None:
    """Wait for a condition in the page; the page's policy forbids the browser's own way, which evaluates text."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def refreshes(page: Page, count: int) -> None:
    """Wait for so many whole refreshes of a page that runs FASTER."""
    until(page, f"refreshes > {page.evaluate('refreshes') + count}", 120)
