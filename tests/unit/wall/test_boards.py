"""The dashboards' page in Chromium before a real Prometheus: what it shows, chooses, loses and finds again."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page

from tests.support.backfilled import backfilled
from tests.support.cord import Cord
from tests.support.wall_site import served
from tests.support.wall_world import site, world
from tests.unit.wall.every_type import board
from tests.unit.wall.wall_site import PHONE, settled, until
from wall.app import DASHBOARDS

pytestmark = pytest.mark.browser
ROUNDS = int(os.environ.get("ZADS_REFRESHES", "60"))  # 500 for the long look
# Refreshes come hundreds of times faster; patience with a slow answer stays.
FASTER = """(() => {
  const [wait, ask] = [window.setTimeout, window.fetch];
  window.refreshes = 0;
  window.setTimeout = (call, time, ...more) => wait(call, time >= 5000 && time % 1000 === 0 ? 10 : time, ...more);
  window.fetch = (...all) => ask(...all).finally(() => (window.refreshes += 1));
})()"""
_SPOILED = """() => {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push('scrolls sideways');
  for (const e of document.querySelectorAll('.panel')) {
    const box = e.getBoundingClientRect();
    if (box.right > innerWidth + 1 || box.left < 0) found.push('outside: ' + e.ariaLabel);
    if (box.width < 100 || box.height < 20) found.push('too small: ' + e.ariaLabel);
  }
  const boxes = [...document.querySelectorAll('.panel')].map((e) => [e.ariaLabel, e.getBoundingClientRect()]);
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  for (const [n, a] of boxes) for (const [m, b] of boxes) if (a !== b && meet(a, b)) found.push(`${n} lies on ${m}`);
  return [...new Set(found)];
}"""
# The contrast of each text with what lies behind it, canvas left out (WCAG 2.1: 4.5, or 3 from 24 px, or bold from 18.66 px).
_CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const style = getComputedStyle(e), image = style.backgroundImage.match(/rgb\\([^)]*\\)/g) || [];
      if (image.length) return image.map(numbers);
      const colour = numbers(style.backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return [colour];
    }
    return [[255, 255, 255]];
  };
  const poor = [];
  const texts = 'h1, h2, h3, p, a, b, td, th, li, label, button, select, summary, .name, .value, .line, .who, strong';
  for (const e of document.querySelectorAll(texts)) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize), text = light(numbers(style.color));
    const large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 600);
    for (const colour of behind(e)) {
      const [x, y] = [text, light(colour)].sort((p, q) => q - p), ratio = (x + 0.05) / (y + 0.05);
      if (ratio < (large ? 3 : 4.5)) poor.push([e.textContent, style.color, colour.join(), ratio.toFixed(2)]);
    }
  }
  return poor;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return our own dashboards and the one with every type."""
    folder = tmp_path_factory.mktemp("boards")
    for path in DASHBOARDS.glob("*.json"):
        shutil.copy(path, folder)
    (folder / "every.json").write_text(json.dumps(board()))
    return folder


@pytest.fixture(scope="module")
def cord(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cord]:
    """Yield the cable to a real Prometheus that has seen a clear night in which a community fell behind."""
    with backfilled(tmp_path_factory.mktemp("prometheus"), world("community_lagging", time.time())) as address:
        yield Cord(address)


@pytest.fixture(scope="module")
def url(cord: Cord, folder: Path) -> Iterator[str]:
    with served(site("community_lagging"), cord.address, folder) as url:
        yield url


def _open(page: Page, address: str) -> None:
    page.goto(address)
    settled(page)


def _panel(page: Page, title: str) -> str:
    return " ".join(page.get_by_role("region", name=title, exact=True).inner_text().split())


def test_every_type_shows_its_data_in_words(page: Page, url: str):
    """Numbers with units and names, rows, Markdown without markup of its own; the rest says what is wrong in its place."""
    _open(page, f"{url}/d/every")
    lag = _panel(page, "Lag")
    assert "alerce 4 s" in lag
    assert "min" in lag.partition("lasair")[2]
    assert "10.1%" in _panel(page, "Budget")
    assert "alerce 30" in _panel(page, "Waiting")
    assert "READING of All" in _panel(page, "Words")
    assert "<script>window.bad = 1</script>" in _panel(page, "Words")
    assert page.evaluate("window.bad") is None
    assert "lasair 1.1 MB/s" in _panel(page, "Egress of All")
    assert page.get_by_role("table", name="Takes").get_by_role("row").count() == 6
    assert (
        page.get_by_role("table", name="Takes").get_by_role("link", name="fink").get_attribute("href")
        == "/d/every?var-community=fink"
    )
    assert "panel type piechart is not supported by zads wall; open it in Grafana" in _panel(page, "Pie")
    assert "Prometheus refuses the expression" in _panel(page, "Broken")
    assert "UNKNOWN" in _panel(page, "Empty")
    assert "nothing fires" in _panel(page, "None")


def test_charts_have_words_for_those_who_do_not_see_them(page: Page, url: str):
    """Each picture says its newest values; each panel its description."""
    _open(page, f"{url}/d/every")
    words = page.get_by_role("img").evaluate_all("all => all.map((e) => e.ariaLabel)")
    assert "Services: kafka-public OK, kafka-upstream OK, mirrormaker OK" in words
    assert any("Egress of All: " in text and "fink 1.1 MB/s" in text for text in words)
    assert page.get_by_role("region", name="Lag", exact=True).get_attribute("aria-description") == "Lag, described."


def test_charts_are_drawn(page: Page, url: str):
    """The library puts ink on its canvas, in the colour of the line that lies on top, and of the states."""
    _open(page, f"{url}/d/every")
    colours = """(title) => {
      const canvas = document.querySelector(`[aria-label="${title}"] canvas`), seen = {};
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 250) {
        const key = [data[i], data[i + 1], data[i + 2]].join(); seen[key] = (seen[key] || 0) + 1;
      }
      return seen;
    }"""
    assert page.evaluate(colours, "Egress of All").get("204,121,167", 0) > 20
    assert page.evaluate(colours, "Services").get("63,181,166", 0) > 5000


def test_keys_reach_everything(page: Page, url: str):
    """Tab comes to the selects, the links, the charts, the tables; arrows walk through a chart's times."""
    _open(page, f"{url}/d/every")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.name || document.activeElement.className || document.activeElement.tagName"
            )
        )
    assert {"skip", "var-community", "time", "plot", "row", "body scrolls"} <= reached
    page.locator("[aria-label='Egress of All'] .plot").focus()
    assert page.locator("[aria-label='Egress of All'] .when").inner_text() == ""
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    until(page, "document.querySelector('[aria-label=\"Egress of All\"] .when').textContent.trim().endsWith('UTC')")


def test_a_choice_changes_what_is_asked_and_stands_in_the_address(page: Page, url: str):
    """A community and a time: without a reload; a link to other dashboards takes both along."""
    _open(page, f"{url}/d/every")
    page.evaluate("window.stays = 1")
    page.get_by_label("Community").select_option("fink")
    page.wait_for_selector("h3:text-is('Egress of fink')")
    assert "lasair" not in _panel(page, "Egress of fink")
    page.get_by_label("Time").select_option("now-30m|now")
    until(page, "location.search.includes('from=now-30m')")
    link = page.get_by_role("navigation", name="Links of this dashboard").get_by_role("link", name="Community")
    until(page, "[...document.querySelectorAll('#links a')].every((a) => a.href.includes('now-30m'))")
    assert "var-community=fink" in (link.get_attribute("href") or "")
    assert page.evaluate("window.stays") == 1
    page.reload()
    settled(page)
    assert page.get_by_label("Community").input_value() == "fink"


def test_a_folded_row_opens_and_only_then_asks(page: Page, url: str):
    _open(page, f"{url}/d/every")
    button = page.get_by_role("button", name="Folded")
    assert button.get_attribute("aria-expanded") == "false"
    assert page.get_by_role("region", name="Inside").count() == 0
    button.click()
    page.wait_for_selector("h3:text-is('Inside')")
    assert button.get_attribute("aria-expanded") == "true"
    button.click()
    until(page, "!document.querySelector('[aria-label=\"Inside\"]')")


def test_marks_are_told_in_words(page: Page, url: str):
    _open(page, f"{url}/d/every")
    page.get_by_text("1 mark", exact=True).click()
    until(page, "document.querySelectorAll('#marks li').length === 1")
    assert "Night" in page.locator("#marks li").inner_text()


@pytest.mark.parametrize("uid", [path.stem for path in sorted(DASHBOARDS.glob("*.json"))] + ["every"])
def test_dashboards_fit_a_desk_and_a_phone_and_are_read_by_everybody(uid: str, page: Page, url: str, tmp_path: Path):
    """Nothing scrolls sideways, no panel lies on another, every panel is one that the page can draw, contrast is AA."""
    _open(page, f"{url}/d/{uid}")
    for size in ({"width": 1920, "height": 1080}, PHONE):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        settled(page)
        page.screenshot(path=tmp_path / f"{uid}-{size['width']}.png", full_page=True)
        assert page.evaluate(_SPOILED) == []
        assert page.evaluate(_CONTRAST) == []
    if uid != "every":
        assert page.get_by_text("not supported by zads wall").count() == 0


def test_the_wall_dashboard_fills_one_screen(page: Page, url: str):
    """In kiosk mode nothing scrolls and no controls are seen."""
    page.set_viewport_size({"width": 1920, "height": 1080})
    _open(page, f"{url}/d/zads-health?kiosk")
    assert page.evaluate("document.documentElement.scrollHeight") == 1080
    assert not page.locator("#controls").is_visible()
    assert "LASAIR BEHIND" in page.inner_text("main")


def test_the_list_leads_to_every_dashboard_and_the_wall_to_the_list(page: Page, url: str):
    _open(page, url)
    page.get_by_role("link", name="dashboards").click()
    settled(page)
    cards = page.get_by_role("main").get_by_role("link")
    assert cards.count() == len(list(DASHBOARDS.glob("*.json"))) + 1
    page.get_by_role("link", name="Every type").click()
    settled(page)
    assert page.title() == "Every type · ZADS"
    assert page.get_by_role("heading", name="Every type").count() == 1


def test_a_lost_prometheus_is_told_with_since_when_and_heals(page: Page, url: str, cord: Cord):
    """Every panel but text turns UNKNOWN, the page says since when; the same page recovers by itself."""
    page.add_init_script(FASTER)
    _open(page, f"{url}/d/every")
    page.evaluate("window.stays = 1")
    cord.cut()
    try:
        page.wait_for_selector("#state:text('BLIND: Prometheus cannot be reached · no data since ')", timeout=30_000)
        assert page.locator(".panel.unknown").count() == page.locator(".panel:not(.t-text)").count()
        assert page.locator(".body:visible").count() == 1
        assert page.locator(".said:visible").first.inner_text() == "UNKNOWN"
        _open(page, f"{url}/d/zads-health")  # a page that is opened now shows the same
        assert page.locator(".panel.unknown").count() == page.locator(".panel").count()
        _open(page, f"{url}/d/every")
        page.evaluate("window.stays = 1")
    finally:
        cord.mend()
    until(page, "!document.body.classList.contains('blind')", 30)
    until(page, "document.querySelector('[aria-label=\"Lag\"]').innerText.includes('4 s')", 30)
    assert page.evaluate("window.stays") == 1


def test_a_hanging_server_takes_the_news_away(page: Page, url: str):
    """While an answer is waited for the old one does not stay as if it were new."""
    page.clock.install()
    _open(page, f"{url}/d/every")
    page.route("**/api/d/**", lambda _route: None)
    page.clock.fast_forward(17_000)
    page.wait_for_selector("#state:text('BLIND: the server of this page does not answer')", timeout=5_000)
    assert page.locator(".panel.unknown").count() == page.locator(".panel:not(.t-text)").count()
    page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize("path", ["/d/every", "/d/zads-community"])
def test_refreshes_grow_no_memory(path: str, page: Page, url: str):
    """The page keeps its elements, nodes and listeners, and its heap within 1 MB; ZADS_REFRESHES=500 looks longer."""
    page.add_init_script(FASTER)
    _open(page, url + path)
    session = page.context.new_cdp_session(page)

    def measure() -> dict[str, float]:
        # What is thrown away goes by and by: the least of some looks is what stays.
        seen = []
        for _ in range(4):
            session.send("HeapProfiler.collectGarbage")
            counters = session.send("Memory.getDOMCounters")
            heap = session.send("Runtime.getHeapUsage")["usedSize"]
            seen.append({"heap": heap, "nodes": counters["nodes"], "listeners": counters["jsEventListeners"]})
            page.wait_for_timeout(50)
        elements = page.evaluate("document.getElementsByTagName('*').length")
        return {"elements": elements, **{name: min(one[name] for one in seen) for name in seen[0]}}

    def rounds(count: int) -> None:
        until(page, f"refreshes >= {page.evaluate('refreshes') + count}", 20 + count)

    rounds(20)
    before = measure()
    rounds(ROUNDS)
    after = measure()
    print(path, ROUNDS, "refreshes:", before, after)
    assert after["elements"] == before["elements"]
    assert after["nodes"] <= before["nodes"] + 40
    assert after["listeners"] <= before["listeners"] + 4
    assert after["heap"] < before["heap"] + 1_000_000


def test_an_update_moves_nothing(page: Page, url: str):
    """Twenty refreshes keep every element and shift no layout."""
    page.add_init_script(FASTER)
    _open(page, f"{url}/d/every")
    page.evaluate("""() => {
      window.moved = 0; window.stays = [...document.querySelectorAll('.panel, .tile, canvas, td')];
      new PerformanceObserver((list) => list.getEntries().forEach((e) => (moved += e.value))).observe({ type: 'layout-shift' });
    }""")
    until(page, f"refreshes >= {page.evaluate('refreshes') + 20}", 60)
    assert page.evaluate("stays.every((e) => e.isConnected)")
    assert page.evaluate("moved") < 0.005


def test_many_screens_ask_once(url: str, cord: Cord):
    """Twenty looks within a second cost Prometheus as much as one: the answers are kept for some seconds."""

    def asked() -> float:
        text = requests.get(f"http://{cord.address}/metrics", timeout=10).text
        lines = [
            line
            for line in text.splitlines()
            if line.startswith("prometheus_http_requests_total") and 'handler="/api/v1/query' in line
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    requests.get(f"{url}/api/d/every", timeout=30)
    before, begin = asked(), time.monotonic()
    looks = 0
    while time.monotonic() - begin < 1.5:
        assert requests.get(f"{url}/api/d/every", timeout=30).ok
        looks += 1
    # A kept answer may become old meanwhile, once.
    assert asked() - before <= 20
    assert looks >= 3


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("from=yesterday", 400, "is no time"),
        ("from=now&to=now-6h", 400, "ends before it begins"),
        ("from=now-9000d", 400, "longer than"),
        ("expr=vector(1)&query=up&var-community=%22%7D%20or%20up%7Ba%3D%22", 200, "Egress of All"),
        ("var-datasource=http://elsewhere", 200, "Egress of All"),
        ("x=" + "y" * 5000, 400, "too long"),
    ],
)
def test_the_server_takes_names_and_times_only(query: str, status: int, says: str, url: str):
    """No PromQL from the browser: what it sends is a time, or one of the values that a variable has."""
    answer = requests.get(f"{url}/api/d/every?{query}", timeout=30)
    assert answer.status_code == status
    assert says in answer.text


def test_what_is_not_there_is_not_found(url: str):
    for path in ("/d/nothing", "/api/d/nothing", "/api/d/..%2f..%2fetc", "/d/every/../../x", "/board.html"):
        assert requests.get(url + path, timeout=10).status_code in {400, 404}, path
    for path in ("/d/", "/d/every", "/d/every/a-slug", "/api/d", "/uplot.js"):
        answer = requests.get(url + path, timeout=10)
        assert answer.status_code == 200, path
        assert "unsafe" not in answer.headers["content-security-policy"]
