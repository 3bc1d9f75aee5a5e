"""A reader of the notifier's page over HTTP that keeps cookies, as a browser does; and a site with a password."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

from tests.unit.notifier.site import Site
from zads.passwords import hash_password

PASSWORD = "correct horse battery"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any) -> None:
        return None


class Answer:
    """What came back; a redirect is not followed."""

    def __init__(self, status: int, headers: Message, text: str) -> None:
        self.status, self.headers, self.text = status, headers, text

    @property
    def token(self) -> str:
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.text)
        return found[1] if found else ""


class Reader:
    """One visitor."""

    def __init__(self, site: Site) -> None:
        self._base = f"http://127.0.0.1:{site.own}"
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies), _Stay)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return self._ask(urllib.request.Request(f"{self._base}{path}", None, headers, method=method))

    def post(self, path: str, fields: dict[str, str] | bytes, **headers: str) -> Answer:
        data = fields if isinstance(fields, bytes) else urllib.parse.urlencode(fields).encode()
        return self._ask(urllib.request.Request(f"{self._base}{path}", data, headers))

    def _ask(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read().decode())

    def log_in(self, password: str = PASSWORD, *, name: str = "Ada", target: str = "/") -> Answer:
        token = self.get("/login").token
        return self.post("/login", {"token": token, "name": name, "password": password, "next": target})

    def token(self, path: str = "/") -> str:
        return self.get(path).token


def guarded_site(folder: Path, more: str = "") -> Site:
    """Return a site whose page has a password."""
    (folder / "hash").write_text(hash_password(PASSWORD))
    return Site(folder, more=f'password_hash_file = "{folder}/hash"\n{more}')
