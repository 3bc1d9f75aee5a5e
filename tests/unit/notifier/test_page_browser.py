"""The page in a real browser: on a phone and a desk, light and dark, by keyboard, without JavaScript, with too much of everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tests.support.screenshot import ARGUMENTS
from tests.unit.notifier.browser import PASSWORD, guarded_site
from tests.unit.notifier.site import Site, alert, free_port, wait
from zads.stack import programs

pytestmark = pytest.mark.browser
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
_PAGES = ("/", "/incident/1", "/incident/2", "/history?q=down", "/statistics", "/runbook", "/login", "/wall")
_LONG = "a-service-whose-name-has-no-end-" * 8
_OPEN = 205
# WCAG 2.2, 1.4.3: each visible text against what is painted behind it; its own colours, not the stylesheet's.
_CONTRAST = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1 }; };
  const light = ({ r, g, b }) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; }
    return parse(matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(0,0,0)' : 'rgb(255,255,255)'); };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest('svg, datalist, option')) continue;
    const style = getComputedStyle(e), a = light(parse(style.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${e.tagName} ${e.className} ${e.textContent.slice(0, 30)}`);
  }
  return poor;
}"""
# What a screen reader and a thumb need: a name for each field and button, one h1, headings in steps, room to press.
_REACH = """(phone) => {
  const found = [];
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, button')) {
    if (!e.getClientRects().length) continue;
    const name = e.getAttribute('aria-label') || [...(e.labels || [])].map((l) => l.textContent).join(' ') || e.textContent;
    if (!name.trim()) found.push('no name: ' + e.outerHTML.slice(0, 80));
    const box = e.getBoundingClientRect();
    const small = phone && !e.classList.contains('link') && e.type !== 'checkbox' && box.height < 44;
    if (small) found.push('too small: ' + e.outerHTML.slice(0, 80));
  }
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
  let before = 0;
  for (const e of document.querySelectorAll('h1, h2, h3, h4')) {
    const level = Number(e.tagName[1]);
    if (level > before + 1) found.push('a heading is left out before: ' + e.textContent);
    before = level;
  }
  if (!document.documentElement.lang || !document.title || !document.querySelector('main')) found.push('no language, title or main');
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  if (new Set(ids).size !== ids.length) found.push('an id twice');
  return found;
}"""
_OUTSIDE = """() => [...document.querySelectorAll('body *')].filter((e) => e.getClientRects().length && !e.closest('.skip, .scroll, svg')
  && (e.getBoundingClientRect().right > innerWidth + 1)).map((e) => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a site with more than 200 open incidents, endless names and markup in labels; Slack refuses."""
    site = guarded_site(tmp_path_factory.mktemp("full"))
    try:
        site.slack._token = "another"
        site.start_providers()
        site.start()
        odd = alert(mark="odd")
        odd["labels"] |= {"service": _LONG, "x" * 300: "<b onmouseover=\"document.title='x'\">&</b>" * 20}
        odd["annotations"] |= {
            "summary": f"{_LONG} down <img src=x onerror=\"document.title='x'\">",
            "impact": _LONG,
            "first": _LONG,
        }
        site.post(odd, alert(mark="over"))
        site.post(alert("resolved", mark="over"))
        site.post(*[alert(mark=str(n), severity="page" if n % 3 else "ticket") for n in range(_OPEN - 1)])
        assert site.notifier
        store = site.notifier.store
        wait(lambda: store.parked().get("slack", 0) > 3, 30)
        yield site
    finally:
        site.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=programs.find("chromium"), args=ARGUMENTS)
        yield chromium
        chromium.close()


def _watched(context: BrowserContext, site: Site) -> Page:
    """Return a page that fails when it complains, or looks outside."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(f"http://127.0.0.1:{site.own}/") else None)
    page.complaints = complaints  # type: ignore[attr-defined]
    return page


def _log_in(page: Page, site: Site, target: str = "/") -> None:
    page.goto(f"http://127.0.0.1:{site.own}/login?next={target}")
    page.get_by_label("Your name").fill("Ada Lovelace")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Log out")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("logged_in", [False, True], ids=["anonymous", "logged in"])
def test_every_page_fits_is_named_and_can_be_read(
    scheme: str, logged_in: bool, browser: Browser, full: Site, tmp_path: Path
) -> None:
    """At 1280 and 390 px: nothing sideways, contrast AA, each field named, nothing remote, no complaint; pictures for the eye."""
    context = browser.new_context(viewport=DESK, color_scheme=scheme)  # type: ignore[arg-type]
    page = _watched(context, full)
    if logged_in:
        _log_in(page, full)
    for path in _PAGES:
        page.goto(f"http://127.0.0.1:{full.own}{path}")
        for size in (DESK, PHONE):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            name = path.strip("/").replace("/", "-").partition("?")[0] or "now"
            page.screenshot(path=tmp_path / f"{name}-{size['width']}.png")
            for details in page.locator("details:not([open]) > summary").all()[:2]:
                details.click()
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
            assert page.evaluate(_OUTSIDE) == [], path
            assert page.evaluate(_CONTRAST) == [], path
            assert page.evaluate(_REACH, size is PHONE) == [], path
    assert page.title() != "x"
    assert page.complaints == []  # type: ignore[attr-defined]
    context.close()


def test_two_hundred_open_incidents_are_listed_and_the_rest_is_counted(browser: Browser, full: Site) -> None:
    """The list is a list, and says what is left out and where to find it."""
    context = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = _watched(context, full)
    page.goto(f"http://127.0.0.1:{full.own}/")
    assert page.locator(".card").count() == 200
    page.get_by_role("link", name=f"and {_OPEN - 200} more").click()
    assert "and more found" in page.inner_text("main")
    context.close()


def test_a_screen_on_the_wall_needs_no_scrolling(browser: Browser, full: Site) -> None:
    """At 1080 and 2160 lines; the letters are big."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    page = _watched(context, full)
    for width, height in ((1920, 1080), (3840, 2160), (1280, 720)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"http://127.0.0.1:{full.own}/wall")
        assert page.evaluate("document.documentElement.scrollHeight - innerHeight") <= 0
        assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('.rows b')).fontSize)") >= height / 25
        foot = page.locator("footer").bounding_box()
        assert foot and foot["y"] + foot["height"] <= height
    context.close()


def test_without_javascript_and_without_a_mouse(browser: Browser, full: Site) -> None:
    """Log in, open an incident, acknowledge it, take it back: by Tab and Enter alone."""
    context = browser.new_context(viewport=DESK, java_script_enabled=False)  # type: ignore[arg-type]
    page = _watched(context, full)
    _log_in(page, full, "/incident/3")
    page.get_by_role("button", name="Acknowledge").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=acknowledged by Ada Lovelace")
    page.get_by_role("button", name="Take the acknowledgement back").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Acknowledgement taken back by Ada Lovelace")
    page.goto(f"http://127.0.0.1:{full.own}/")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "To the content"
    page.get_by_role("button", name="Log out").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Log in")
    assert page.complaints == []  # type: ignore[attr-defined]
    context.close()


def test_a_link_in_a_message_finds_the_reader_logged_in(browser: Browser, full: Site) -> None:
    """Strict cookies are not shown to a link from elsewhere: the page asks once more by itself, to the very button."""
    port = free_port()
    link = f'<a href="http://127.0.0.1:{full.own}/incident/4#acknowledge">Acknowledge</a>'
    full.serve(Starlette(routes=[Route("/", lambda _request: HTMLResponse(link))]), port)
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    page = context.new_page()
    _log_in(page, full)
    page.goto(f"http://localhost:{port}/")  # another site than 127.0.0.1
    page.get_by_role("link", name="Acknowledge").click()
    page.wait_for_selector("text=Log out")
    assert page.get_by_role("button", name="Acknowledge").is_visible()
    assert page.url.endswith("#acknowledge")
    context.close()


def test_another_site_can_neither_send_our_forms_nor_frame_us(browser: Browser, full: Site) -> None:
    """In a browser in which somebody is logged in."""
    port = free_port()
    evil = (
        f'<form method="post" action="http://127.0.0.1:{full.own}/incident/5/acknowledge"><input name="token" value="x">'
        f'<button>Win</button></form><iframe src="http://127.0.0.1:{full.own}/incident/5"></iframe>'
    )
    full.serve(Starlette(routes=[Route("/", lambda _request: HTMLResponse(evil))]), port)
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    page = context.new_page()
    _log_in(page, full)
    page.goto(f"http://localhost:{port}/")
    assert "Kafka" not in (page.frames[1].locator("body").inner_text(timeout=5000) if len(page.frames) > 1 else "")
    page.get_by_role("button", name="Win").click()
    page.wait_for_selector("text=another site")
    assert full.notifier
    incident = full.notifier.store.incident(5)
    assert incident and incident.state == "firing"
    context.close()
