"""The report's page in a real browser: what a reader sees and hears, on a screen, a phone and paper."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.support.backfilled import backfilled
from tests.support.played_night import NIGHT, TROUBLE, play, site
from tests.support.screenshot import opened
from zads.config import load
from zads.report import cli, html

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    with backfilled(folder, play(TROUBLE).series) as address:
        config = load(site(address, folder))
        document, _ = cli.compose(config, NIGHT, datetime(2026, 3, 25, tzinfo=UTC))
    found = folder / "report.html"
    found.write_text(html.page(document), encoding="utf-8")
    return found


@pytest.fixture
def screen(file: Path) -> Iterator[Page]:
    with opened(file.as_uri(), 1200, 900) as (page, errors):
        yield page
        assert errors == []


def test_a_reader_sees_it(screen: Page) -> None:
    """By roles and words: headings, tables with heads, pictures with what they show."""
    headings = screen.get_by_role("heading", level=2).all_inner_texts()
    assert headings == [
        "What nobody measured", "Alerts", "Delay", "Communities", "Egress", "Bad minutes", "What was told", "The promise",
    ]  # fmt: skip
    alerts = screen.get_by_role("region", name="Alerts").get_by_role("table")
    assert alerts.get_by_role("columnheader").all_inner_texts()[0] == "program"
    assert screen.get_by_role("rowheader", name="lasair").count() == 2
    pictures = screen.get_by_role("img")
    assert pictures.count() == 3
    assert pictures.nth(0).get_attribute("aria-label").startswith("Public alerts per second. At IPAC at most ")  # type: ignore[union-attr]
    assert "12 minutes of darkness were bad" in screen.inner_text("main")
    assert screen.get_by_text("TROUBLE", exact=True).is_visible()


def test_the_lines_are_there_to_be_seen(screen: Page) -> None:
    """Each plot has a line that fills most of its width, and a hatched stretch for the ten minutes that nobody saw."""
    for picture in screen.get_by_role("img").all():
        box = picture.bounding_box()
        assert box is not None and box["width"] > 800 and box["height"] > 180
        widths = picture.locator("path.line").evaluate_all("paths => paths.map(path => path.getBoundingClientRect().width)")
        assert sum(widths) > 0.4 * box["width"]
        fills = picture.locator(".serie-0 path").evaluate_all("paths => paths.map(path => getComputedStyle(path).fill)")
        assert fills and all("hatch-" in fill for fill in fills)


def test_nothing_is_fetched(file: Path) -> None:
    """No request but the page itself, and no script in it."""
    asked: list[str] = []
    with opened("about:blank", 1200, 900) as (page, errors):
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
        assert page.evaluate("document.scripts.length") == 0
        assert errors == []


def test_a_phone_shows_it_without_moving_sideways(file: Path) -> None:
    """Plots are drawn for its width, so that their letters stay as large as the text's."""
    with opened(file.as_uri(), 390, 844) as (page, errors):
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.get_by_role("img").count() == 3
        letters = page.get_by_role("img").first.locator("text").first
        box = letters.bounding_box()
        assert box is not None and box["height"] >= 10
        assert errors == []


def test_paper_has_all_of_it(screen: Page) -> None:
    """Printed as PDF it has some pages, and no plot is cut."""
    screen.emulate_media(media="print")
    assert screen.get_by_role("img").count() == 3
    pdf = screen.pdf(format="A4")
    assert 2 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 6


def test_words_keep_their_contrast(screen: Page) -> None:
    """Every text is at least 4.5 : 1 against what it stands on (WCAG AA)."""
    worst = screen.evaluate(
        """() => {
          const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                               return .2126 * r + .7152 * g + .0722 * b };
          const parse = s => s.match(/[\\d.]+/g).map(Number);
          const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
                                if (c.length < 4 || c[3] > 0) return c.slice(0, 3) } return [255, 255, 255] };
          let least = [99, ''];
          for (const e of document.querySelectorAll('main *')) {
            const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
            if (!own || !e.getClientRects().length) continue;
            const style = getComputedStyle(e), svg = e.namespaceURI.endsWith('svg');
            const a = light(parse(svg ? style.fill : style.color).slice(0, 3)), b = light(behind(e));
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            if (ratio < least[0]) least = [ratio, e.textContent.trim().slice(0, 40)];
          }
          return least;
        }"""
    )
    assert worst[0] >= 4.5, worst
