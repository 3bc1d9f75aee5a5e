"""Bodies of webhooks: lenient where it is safe, one bad alert takes no good one with it, what is refused is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.intake import BadBodyError, parse_time, parse_webhook
from tests.unit.notifier.record import as_json
from tests.unit.notifier.site import Site, alert, wait


def test_bad_bodies_and_strangers_are_refused(site: Site) -> None:
    """401 without the token, 400 with a reason, 413 for too much; unknown fields are fine."""
    assert site.post(alert(), token="wrong") == 401
    assert site.post(alert(), token="\u00e9") == 401
    assert site.post(body=b"not json") == 400
    assert site.post(body=b'{"alerts": [{"status": "odd"}]}') == 400
    assert site.post(body=b"[" * 100_000) == 400
    assert site.post(body=b" " * 8_100_000) == 413
    assert site.post({**alert(), "newField": 1}) == 200


def test_one_bad_alert_does_not_take_a_page_with_it(site: Site) -> None:
    """The good one is told, the bad one is kept with its reason and shown; the sender need not come again."""
    bad = {**alert(mark="bad"), "startsAt": "yesterday"}
    assert site.post(bad, alert(mark="good")) == 200
    wait(lambda: site.got("pagerduty", "firing"))
    assert site.notifier
    kept = site.notifier.store.refused()
    assert [one.reason for one in kept] == ["alerts[0].startsAt: 'yesterday' is no RFC 3339 time"]
    assert json.loads(kept[0].body)["fingerprint"] == "f-bad"
    assert "alerts[0].startsAt" in site.request("/")[1]
    assert '"f-bad"' in site.request(f"/refused/{kept[0].id}")[1]


def test_a_body_that_is_refused_as_a_whole_is_kept(site: Site) -> None:
    """Not that of a stranger, who could fill the disk."""
    site.post(body=b"<html>not for you</html>")
    site.post(body=b"<html>stranger</html>", token="wrong")
    assert site.notifier
    assert [(one.reason, one.body) for one in site.notifier.store.refused()] == [
        ("the body is not JSON", "<html>not for you</html>")
    ]


@pytest.mark.parametrize("fingerprint", ["f\nBcc: x", "f" * 65, "f g", "é", "f>", "<!channel>", 7.5, {"a": 1}, "\ud800"])
def test_a_fingerprint_is_a_plain_word(fingerprint: Any) -> None:
    """It goes into headers and keys: what is none is replaced by a name of our own, always the same."""
    body = as_json({"alerts": [{**alert(), "fingerprint": fingerprint}]})
    first, second = parse_webhook(body).alerts[0], parse_webhook(body).alerts[0]
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 16 and first.fingerprint.isalnum()


def test_two_odd_fingerprints_stay_two_alerts() -> None:
    """Their names of our own differ as they do."""
    body = as_json({"alerts": [{**alert(), "fingerprint": text} for text in ("f g", "f h")]})
    assert len({one.fingerprint for one in parse_webhook(body).alerts}) == 2


def test_times_are_read_as_go_writes_them() -> None:
    """Nanoseconds, zones, the zero time; what has no zone is none."""
    assert parse_time("2026-04-01T10:00:00.123456789+02:00") == pytest.approx(1775030400.123456)
    assert parse_time("2026-04-01T08:00:00Z") == 1775030400.0
    assert parse_time("0001-01-01T00:00:00Z") is None
    for text in ("yesterday", "2026-04-01T08:00:00", "9" * 5000, "2026-04-01T08:00:00+99:00"):
        with pytest.raises(BadBodyError):
            parse_time(text)


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["status", "labels", "annotations", "startsAt", "endsAt", "fingerprint"]), _json)
    )
)
def test_whatever_comes_is_an_alert_or_refused(entries: list[dict[str, Any]]) -> None:
    """No body of this shape breaks the reader; nothing of it is lost."""
    body = parse_webhook(json.dumps({"alerts": entries}).encode())
    assert len(body.alerts) + len(body.refused) == len(entries)
    for one in body.alerts:
        json.dumps([one.labels, one.annotations], ensure_ascii=False).encode()


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_read_or_refused(body: bytes) -> None:
    """BadBodyError, or alerts."""
    try:
        parse_webhook(body)
    except BadBodyError:
        return
