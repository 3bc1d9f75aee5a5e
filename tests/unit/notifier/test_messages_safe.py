"""Whatever stands in labels and annotations, a message is within each provider's limits, and nothing in it is markup."""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.channels import Channel, slack_content
from notifier.channels.slack_content import blocks, plain, short
from notifier.channels.webhook import BODY_MOST, body_of, encode
from notifier.gallery_cases import site
from notifier.gallery_pages import mrkdwn
from notifier.gallery_wire import Wire, channels, taking
from notifier.message import Message
from notifier.model import Delivery, Incident
from notifier.render import Renderer
from notifier.routing import Router
from notifier.words import apart, one_line, since_said, spoken
from tests.unit.notifier.record import Clock
from zads.stack.inbox_store import Inbox
from zads.stack.standin_pagerduty import PagerDuty
from zads.stack.standin_slack_blocks import problems, weight

NOW = 1_775_030_470.0  # 2026-04-01 08:01:10 UTC
_EVIL = (
    "<!channel>",
    "<!here> <@U012AB3CD> <#C012AB3CD>",
    "<https://evil.example|Acknowledge>",
    "https://evil.example/x|y",
    "*bold* _sloped_ ~struck~ `code` ```",
    ":large_green_circle: *RESOLVED*",
    "> quoted",
    "\r\nBcc: victim@example.org\r\n\r\n<h1>x",
    "\n\n--boundary\nContent-Type: text/html\n",
    "<script>alert(1)</script><img src=x onerror=x>",
    "\" onmouseover='x' &lt;b&gt; &amp;",
    "</title></style></p></div>",
    "\u202egnirts\u2066 \u200f\u200e\ufeff",
    "عطل في كافكا",
    "\U0001f525\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "ä" * 300,
    "a-name-without-an-end-" * 400,
    "&" * 5000,
    "x" * 40_000,
    "\U0001f600" * 40_000,
    "<error expanding template: error executing template __alert_X: nil data>",
    "javascript:alert(1)",
    "Kafka down since 08:01 UTC: no community gets alerts (process gone on zads)",
    "\ud800",
)
_TEXT = st.one_of(
    st.sampled_from(_EVIL), st.text(max_size=200), st.lists(st.sampled_from(_EVIL[:16]), max_size=4).map(" ".join)
)
_LABELS = st.dictionaries(
    st.sampled_from(("headline", "label", "community", "service", "host", "alertname", "part", "about")), _TEXT
)
_NOTES = st.dictionaries(
    st.sampled_from(("summary", "impact", "effect", "first", "runbook_url", "dashboard", "pending", "description")), _TEXT
)


@st.composite
def _deliveries(draw: st.DrawFn, *, digest: bool = False) -> Delivery:
    kind: Any = "firing" if digest else draw(st.sampled_from(("firing", "reminder", "acknowledged", "resolved")))
    state: Any = draw(st.sampled_from(("firing", "acknowledged", "resolved")))
    began = NOW - draw(st.floats(0, 400_000))
    incident = Incident(
        draw(st.integers(0, 10**6)),
        "0123456789abcdef",
        state,
        draw(st.sampled_from(("page", "ticket", "info", "<!here>\r\nX: y"))),
        draw(_LABELS),
        draw(_NOTES),
        began,
        began,
        resolved_at=NOW if state == "resolved" else None,
        acknowledged_by=draw(_TEXT),
        ending=draw(st.sampled_from(("", "unseen"))),
        step_at=draw(st.sampled_from((None, NOW + 600))),
    )
    return Delivery(
        7,
        incident,
        draw(st.sampled_from(("email", "slack", "pagerduty", "webhook"))),
        kind,
        1,
        NOW - draw(st.sampled_from((0.0, 9000.0))),
        held=draw(st.sampled_from(("", "quiet hours", "planned work 1: <!channel>\r\nX: y" + "z" * 40_000))),
        told=draw(st.booleans()),
        again=draw(st.booleans()),
        fallback_for=draw(st.sampled_from(("", "slack"))),
    )


_MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _message(delivery: Delivery) -> Message:
    config = site("http://127.0.0.1:1")
    return Renderer(
        "https://n.example", router=Router(config), facts=lambda _: "412 alerts wait", reminder=1800, clock=Clock(NOW)
    ).message(delivery)


class _Html(HTMLParser):
    """Keeps the elements, the addresses and the letters that a reader would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _skeleton(message: Message) -> list[str]:
    """Return the elements of the same message with harmless words."""
    calm = replace(
        message,
        title="t",
        what=("w",) * len(message.what),
        impact="i" if message.impact else "",
        first="f" if message.first else "",
        notes=("n",) * len(message.notes),
    )
    return _Html(calm.html).elements


@_MANY
@given(_deliveries())
def test_html_holds_no_element_from_outside(delivery: Delivery) -> None:
    """The same elements as with harmless words, closed in order; only our web addresses; the words stand there as they are."""
    message = _message(delivery)
    seen = _Html(message.html)
    assert seen.elements == _skeleton(message)
    assert seen.open == []
    assert seen.links == [url for _, url in message.links]
    assert all(re.match(r"https?://", url) for url in seen.links)
    assert seen.attributes <= {"lang", "charset", "name", "content", "class", "style", "href"}
    for line in (message.title, *message.what, message.impact, message.first, *message.notes):
        assert line in seen.text
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", line)


@_MANY
@given(_deliveries())
def test_slack_takes_it_and_finds_no_markup_from_outside(delivery: Delivery) -> None:
    """Within the limits; each "<" is one of our links or the mention; nothing is bold, sloped, struck or a picture but ours."""
    message = _message(delivery)
    made = blocks(message)
    assert problems(made) == []
    assert weight(made) <= 12_000
    assert len(plain(message)) <= 4000 and len(short(message)) <= 4000
    texts = [one["text"] for block in made for one in (block.get("elements") or [block["text"]])]
    assert all(one["verbatim"] for block in made for one in (block.get("elements") or [block["text"]]))
    for text in (*texts, plain(message), short(message)):
        links = {f"<{slack_content.escape(url)}|{name}>" for name, url in message.links}
        assert set(re.findall(r"<[^>]*>", text)) <= links | {f"<@{message.mention}>"}
        assert text.count("<") == text.count(">") == len(re.findall(r"<[^>]*>", text))
        drawn = mrkdwn(text)
        assert set(re.findall(r"<b>(.*?)</b>", drawn)) <= {message.tag.replace("<", "&lt;"), "First:"}
        assert not re.search(r'<(i|s|code)>|class="emoji"', drawn)
        assert drawn.count('class="sign"') <= 1
        assert not re.search(r"(?m)^&gt;", text)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Wire, dict[str, Channel]]]:
    """Give the real channels, and what they hand over."""
    with taking() as wire:
        yield wire, channels(site(wire.url), wire)


@settings(_MANY, max_examples=100)
@given(delivery=_deliveries())
def test_mail_has_our_headers_alone_and_short_lines(world: tuple[Wire, dict[str, Channel]], delivery: Delivery) -> None:
    """RFC 5322: each line ends with CRLF and has 998 octets at most, all of them ASCII; the text arrives whole."""
    wire, by_name = world
    wire.taken()
    message = _message(delivery)
    by_name["email"].send(replace(delivery, channel="email"), message)
    (raw,), _ = wire.taken()
    lines = raw.split(b"\r\n")
    assert all(len(line) <= 998 and not re.search(rb"[\r\n\x80-\xff]", line) for line in lines)
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert not mail.defects
    assert set(mail.keys()) <= {
        *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Thread-Topic", "Thread-Index"),
        *("Auto-Submitted", "X-Auto-Response-Suppress", "X-ZADS-State", "X-ZADS-Severity", "Importance", "MIME-Version"),
        "Content-Type",
    }
    assert len(mail.keys()) == len(set(mail.keys()))
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and html is not None
    assert text.get_content().splitlines()[0] == message.title
    assert message.what[0] in text.get_content()
    assert _Html(html.get_content()).elements == _skeleton(message)


@settings(_MANY, max_examples=100)
@given(delivery=_deliveries())
def test_pagerduty_takes_it(world: tuple[Wire, dict[str, Channel]], delivery: Delivery, tmp_path_factory: Any) -> None:
    """As strict as its documentation: summary, source, links, sizes."""
    wire, by_name = world
    wire.taken()
    by_name["pagerduty"].send(replace(delivery, channel="pagerduty"), _message(delivery))
    _, ((_, body),) = wire.taken()
    strict = PagerDuty(Inbox(Path(tmp_path_factory.mktemp("p")) / "inbox.jsonl"), body["routing_key"])
    reply = strict.enqueue(json.dumps(body).encode())
    assert reply.status == 202, reply
    assert len(json.dumps(body)) < 512_000
    assert 0 < len(body["payload"]["summary"]) <= 1024


@_MANY
@given(_deliveries())
def test_the_webhooks_body_is_bounded(delivery: Delivery) -> None:
    """And JSON, whatever is in it."""
    data = encode(body_of(delivery, _message(delivery), "s"))
    assert len(data) <= BODY_MOST
    assert json.loads(data)["message"]["title"]


@settings(_MANY, max_examples=30)
@given(st.lists(_deliveries(digest=True), min_size=1, max_size=5), st.integers(1, 50))
def test_a_storm_of_whatever_stays_readable(some: list[Delivery], times: int) -> None:
    """250 alerts with anything in them: one message within the limits that counts all of them."""
    many = [replace(d, incident=replace(d.incident, id=n * 10 + i)) for n in range(times) for i, d in enumerate(some)]
    message = Renderer("https://n.example", clock=Clock(NOW)).digest(many)
    assert problems(blocks(message)) == [] and weight(blocks(message)) <= 12_000 and len(plain(message)) <= 4000
    assert _Html(message.html).elements == _skeleton(message)
    assert len(message.title) <= 200 and len(message.what) <= 16
    over = all(d.incident.state == "resolved" for d in many)
    shown = [d for d in many if over or d.incident.state != "resolved"]
    assert message.title.startswith(f"{len(shown):,} alert")


def test_endless_texts_are_cut_in_each_part() -> None:
    """Signs that five letters stand for, in everything at once: what to do first and the links are still there."""
    endless = "&" * 40_000
    notes = dict.fromkeys(("summary", "impact", "first"), endless)
    incident = Incident(1, "f", "firing", "page", {"headline": endless, "host": endless}, notes, NOW - 60, NOW - 60)
    message = _message(Delivery(1, incident, "slack", "firing", 1, NOW - 900, held=endless))
    made = blocks(message)
    assert problems(made) == [] and weight(made) <= 12_000
    assert [one["text"]["text"][:9] for one in made if one["type"] == "section"][2:] == ["*First:* ", "<https://"]
    assert len(plain(message)) <= 4000 and plain(message).endswith("|Silence>")
    assert len(message.text) < 8000 and len(message.html) < 40_000


def test_a_text_that_prometheus_could_not_fill_in_is_left_out_and_said() -> None:
    """The labels stand in for it, so that one still knows what it is about; nobody reads Go's error at night."""
    notes = {"summary": "<error expanding template: error executing template __alert_X: nil data>", "impact": "Y."}
    incident = Incident(1, "f", "firing", "page", {"headline": "KAFKA DOWN", "service": "k"}, notes, NOW - 60, NOW - 60)
    message = _message(Delivery(1, incident, "slack", "firing", 1, NOW))
    assert message.title == "Kafka down for 60 s, 412 alerts wait: y"
    assert "Prometheus could not fill in the rule's own words (summary)." in message.text
    assert "headline=KAFKA DOWN, service=k" in message.text
    assert "error" not in message.text


def test_commands_and_lone_signs_stay_as_they_are_in_slack() -> None:
    """What is copied from a message has to run."""
    for text in (
        "systemctl status 'zads-*'",
        "du -xh --max-depth=2 /var | sort -h",
        "zads_alert_decode_errors_total",
        "at 08:01:10",
    ):
        assert slack_content.literal(text) == text


def test_a_rules_time_of_day_is_understood() -> None:
    """ "since 23:59 UTC" said just after midnight was yesterday; none at all is none."""
    midnight = 1_775_001_600.0
    assert since_said("Kafka down since 23:59 UTC: x", midnight + 20) == ("Kafka down: x", midnight - 60)
    assert since_said("Kafka down since 00:00 UTC: x", midnight + 20) == ("Kafka down: x", midnight)
    assert since_said("Kafka down since yesterday", midnight) == ("Kafka down since yesterday", None)


def test_what_nobody_sees_is_taken_out() -> None:
    """Marks of direction, spaces without width, tags, half a letter; a family and a flag stay whole."""
    assert one_line("a\u200bb\u200f\ufeff\U000e0041c\ud800") == "abc"
    assert one_line("\U0001f468\u200d\U0001f469") == "\U0001f468\u200d\U0001f469"
    assert spoken("1 packets, 11 packets, 1 communities, 90000 wait") == "1 packet, 11 packets, 1 community, 90,000 wait"
    assert apart("NodeFilesystemFull") == "node filesystem full" and apart("KafkaISRShrinks") == "kafka ISR shrinks"
