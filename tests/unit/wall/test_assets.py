"""The page's own files: types, caching, policy, and that everything it names is shipped with it."""

from __future__ import annotations

import re
import sys
from importlib.resources import files

import pytest
from starlette.testclient import TestClient

from tests.unit.wall import scenes
from wall.app import application
from wall.assets import BOARD, FILES, LIBRARY, LibraryMissing, assets, version
from wall.source import Source


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(application(Source(scenes.config())))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/wall.css", "text/css; charset=utf-8"),
        ("/wall.js", "text/javascript; charset=utf-8"),
        ("/fonts/inter-5.3.0-latin.woff2", "font/woff2"),
        ("/fonts/inter-5.3.0-latin-ext.woff2", "font/woff2"),
    ],
)
def test_every_file_has_its_type_and_is_not_sent_twice(client: TestClient, path: str, kind: str):
    """Fonts stay for a year, the rest is asked for again and answered in a few bytes while it is the same."""
    first = client.get(path)
    assert first.status_code == 200
    assert first.headers["content-type"] == kind
    assert first.headers["cache-control"] == ("public, max-age=31536000, immutable" if "woff2" in path else "no-cache")
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "font-src 'self'" in again.headers["content-security-policy"]


def test_fonts_are_fonts_with_their_licence_and_origin():
    """The files are woff2; beside them stand the licence and the version that their names carry."""
    fonts = files("wall").joinpath("static", "fonts")
    served = [name.rpartition("/")[2] for name in FILES if name.endswith(".woff2")]
    assert sorted(served) == sorted(p.name for p in fonts.iterdir() if p.name.endswith(".woff2"))
    assert all(fonts.joinpath(name).read_bytes()[:4] == b"wOF2" for name in served)
    assert "SIL OPEN FONT LICENSE" in fonts.joinpath("LICENSE").read_text(encoding="utf-8")
    assert "5.3.0" in fonts.joinpath("README.md").read_text(encoding="utf-8")


def test_the_page_names_only_what_is_served(client: TestClient):
    """Every address in the page, the style and the scripts is one of our own files; none is of another host."""
    paths = ({asset.path for asset in assets()} - {BOARD}) | {"/d/"}
    for path in sorted(paths):
        if path.endswith("woff2"):
            continue
        text = client.get(path).text
        named = set(re.findall(r'(?:href|src|from|url\()[ =]?"([^"\s]+)"', text)) - {"data:,", "#panels"}
        assert {name.removeprefix(".") for name in named} <= paths, path
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg|github\.com/leeoniya/uPlot \()", text), path


def test_nothing_else_of_the_disk_can_be_asked_for(client: TestClient):
    for path in ("/fonts/LICENSE", "/static/wall.js", "/../app.py", "/fonts/..%2f..%2fapp.py"):
        assert client.get(path).status_code == 404


def test_a_changed_file_is_a_new_version(client: TestClient):
    """The page learns it with every answer and takes itself anew."""
    served = assets()
    assert client.get("/api/health.json").json()["page"] == version(served)
    served[1].body += b"\n"
    assert version(served) != version(assets())


def test_the_chart_library_is_the_one_that_was_looked_at(monkeypatch: pytest.MonkeyPatch):
    """uPlot as its author released it, unread by Python; anything else in its box stops the start with what to do."""
    served = {asset.path: asset.body for asset in assets()}
    assert b"uPlot (v1.6.31)" in served["/uplot.js"]
    assert not re.search(rb"\beval\(|new Function\(", served["/uplot.js"])
    assert "youplot" not in sys.modules
    monkeypatch.setitem(LIBRARY, "uplot.js", ("vendor/uplot.min.css", LIBRARY["uplot.js"][1]))
    with pytest.raises(LibraryMissing, match=r"not uPlot 1\.6\.31\. Install the version"):
        assets()
    monkeypatch.setitem(LIBRARY, "uplot.js", ("vendor/gone.js", LIBRARY["uplot.js"][1]))
    with pytest.raises(LibraryMissing, match="is not there"):
        assets()
