"""The page in a real browser: every picture fits a big screen and a phone, with the shipped letters and without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from tests.unit.wall import scenes
from tests.unit.wall.wall_site import DESK, PHONE, Site, open_wall, settled

pytestmark = pytest.mark.browser
# What is cut, what lies outside its tile or the screen, what lies on each other: measured on the letters themselves.
_SPOILED = """(phone) => {
  const found = [], screen = { right: innerWidth, bottom: phone ? Infinity : innerHeight };
  const letters = (e) => { const r = document.createRange(); r.selectNodeContents(e); return r.getBoundingClientRect(); };
  for (const e of document.querySelectorAll('.name, .word, .line, #foot > span, #chart text')) {
    const text = letters(e), box = e.closest('.tile').getBoundingClientRect();
    if (!e.textContent) continue;
    if (e.classList.contains('cut')) found.push('cut: ' + e.textContent);
    if (text.right > box.right || text.left < box.left) found.push('wide: ' + e.textContent);
    if (!e.closest('svg') && text.height && e.getBoundingClientRect().bottom > box.bottom + 1) found.push('high: ' + e.textContent);
    if (text.right > screen.right || text.bottom > screen.bottom) found.push('outside: ' + e.textContent);
  }
  for (const tile of document.querySelectorAll('.tile')) {
    const parts = [...tile.children].map((e) => e.getBoundingClientRect());
    const meet = (a, b) => a !== b && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
    if (parts.some((a) => parts.some((b) => meet(a, b)))) found.push('overlap: ' + tile.innerText);
  }
  for (const e of document.querySelectorAll('.tile:not(#headline) .word')) {
    for (const word of e.textContent.matchAll(/\\S+/g)) {
      const r = document.createRange();
      r.setStart(e.firstChild, word.index);
      r.setEnd(e.firstChild, word.index + word[0].length);
      if (r.getClientRects().length > 1) found.push('broken: ' + word[0]);
    }
  }
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) found.push('scrolls sideways');
  if (!phone && root.scrollHeight > innerHeight) found.push('scrolls');
  return [...new Set(found)];
}"""
# Sizes as the screen shows them, in pixels.
_SIZE = "(selector) => Math.min(...[...document.querySelectorAll(selector)].map((e) => parseFloat(getComputedStyle(e).fontSize)))"


def _abort(route: Route) -> None:
    route.abort()


@pytest.mark.parametrize("letters", ["shipped", "of the machine"])
@pytest.mark.parametrize("name", scenes.PICTURES)
def test_every_picture_fits(name: str, letters: str, page: Page, site: Site, console: list[str], tmp_path: Path):
    """No text is cut or outside its tile, nothing scrolls sideways, whatever letters the machine has; kept for the eye."""
    if letters != "shipped":
        page.route("**/*.woff2", _abort)
    site.show(name)
    open_wall(page, site)
    for phone, size in ((False, DESK), (True, PHONE)):
        page.set_viewport_size(size)
        settled(page)
        page.screenshot(path=tmp_path / f"{name}-{size['width']}.png", full_page=phone)
        assert page.evaluate(_SPOILED, phone) == []
        assert page.evaluate(_SIZE, ".line, .name, .label") >= (12 if phone else 22)
    shipped = page.evaluate("[...document.fonts].some((face) => face.status === 'loaded')")
    assert shipped == (letters == "shipped")
    if letters != "shipped":
        assert all("ERR_FAILED" in text for text in console)
        console.clear()


def test_sizes_are_those_of_the_drawing(page: Page, site: Site):
    """At 1080 lines the headline has 104 px, words 58 to 66, lines 30, in the shipped typeface."""
    site.show("clear_night")
    open_wall(page, site)
    sizes = {
        s: page.evaluate(_SIZE, s)
        for s in ("#headline .word", "#sky .word", "#communities .word", "#sky .line", "#sky .name")
    }
    assert sizes == pytest.approx(
        {"#headline .word": 104, "#sky .word": 66, "#communities .word": 58, "#sky .line": 30, "#sky .name": 30}
    )
    assert page.evaluate("document.fonts.check('600 66px Inter')")


def test_what_no_size_can_hold_ends_in_a_mark_and_is_told_whole(page: Page, site: Site):
    """A name longer than two lines gets an ellipsis, the whole is its title, and both go when the name does."""
    name = "x" * 63
    scene = scenes.clear_night()
    site.show("clear_night")
    site.source._config = site.here(scenes.site_of([name, "lasair", "alerce", "fink", "ampel"]))
    site.say({**scene, "community_connections": scenes.each([name, "lasair", "alerce", "fink", "ampel"], 1)})
    page.set_viewport_size({"width": 1280, "height": 720})
    open_wall(page, site)
    cut = page.locator("#communities .cut")
    assert cut.count() == 1
    assert cut.get_attribute("title") == name.upper()
    assert cut.evaluate("e => e.getBoundingClientRect().bottom <= e.nextElementSibling.getBoundingClientRect().top + 1")
    site.show("clear_night")
    page.wait_for_selector("#communities .name:text('ANTARES')")
    assert page.locator(".cut, [title]").count() == 0


def test_a_line_that_is_too_long_is_cut_with_a_mark_too(page: Page, site: Site):
    """On a big screen a line has one line: it ends in a mark inside its tile; a phone breaks it and shows it whole."""
    site.show("many_communities")
    open_wall(page, site)
    line = "1 behind · 2 unknown · 3 away · 4 reading · 5 waiting · 6 ready · 7 on time"
    page.route("**/api/health.json", lambda route: _with_line(route, line))
    page.reload()
    settled(page)
    last = page.locator("#communities .tile").last.locator(".line")
    assert last.get_attribute("title") == line
    assert last.evaluate("e => [getComputedStyle(e).textOverflow, e.clientHeight < 40, e.scrollWidth > e.clientWidth]") == [
        "ellipsis",
        True,
        True,
    ]
    page.set_viewport_size(PHONE)
    settled(page)
    assert last.get_attribute("title") is None
    assert page.evaluate(_SPOILED, True) == []
    page.unroute_all(behavior="ignoreErrors")


def _with_line(route: Route, line: str) -> None:
    answer = route.fetch()
    state = answer.json()
    state["communities"][-1]["line"] = line
    route.fulfill(response=answer, json=state)


def test_twenty_communities_with_long_names_keep_the_rows(page: Page, site: Site):
    """Five tiles: the late one, the absent one, two others and the rest; their names, alike at their beginning, stand whole."""
    site.show("many_communities")
    open_wall(page, site)
    tiles = page.locator("#communities .tile")
    assert tiles.count() == 5
    assert tiles.first.locator(".name").inner_text().replace("\n", "") == scenes.MANY[17].upper()
    assert tiles.last.inner_text().split("\n")[1] == "16 on time"
    tops = tiles.locator(".word").evaluate_all(
        "words => words.slice(0, 4).map((e) => Math.round(e.getBoundingClientRect().top))"
    )
    assert len(set(tops)) == 1


def test_a_headline_longer_than_the_screen_breaks_in_two_and_keeps_its_age(page: Page, site: Site):
    """Half the size and two lines instead of an ellipsis where the age stands; short again it is big again."""
    site.show("long_names")
    open_wall(page, site)
    word = page.locator("#headline .word")
    assert " ".join(word.inner_text().split()) == "MIRRORMAKER OF THE SECOND DATA CENTRE NOT ANSWERING 46 h 59"
    box = page.locator("#headline .age").bounding_box()
    assert box is not None
    assert 0 < box["x"] < box["x"] + box["width"] < 1920
    assert box["height"] < 80
    site.show("clear_night")
    page.wait_for_selector("#headline .word:text('ALL WELL')")
    assert page.evaluate(_SIZE, "#headline .word") == pytest.approx(104)


@pytest.mark.parametrize(
    "size", [(1280, 720), (1366, 768), (2560, 1080), (3840, 2160), (1280, 1024), (844, 390), (320, 568)]
)
def test_other_screens(size: tuple[int, int], page: Page, site: Site):
    """Small, wide, sharp and square screens: nothing is cut, only phones scroll, and never sideways."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    site.show("mirror_down")
    open_wall(page, site)
    assert page.evaluate(_SPOILED, size[0] <= 900) == []
