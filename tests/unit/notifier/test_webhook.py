"""The signed webhook on the wire: its form, its signature, every kind of answer, and no word of its address or its secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import requests

from notifier.channels.webhook import BODY_MOST, WebhookChannel, body_of, encode, identity, sign
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Incident, Receipt
from tests.unit.notifier.site import free_port
from tests.unit.notifier.wire import CUT, GARBAGE, SLOW, Wire, certificate, serving
from zads.config import SecretError, Webhook
from zads.signing_key import signing_key
from zads.stack.inbox_store import Inbox
from zads.stack.standin_webhook import Webhook as Receiver

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
NOW = 1_775_030_400.0
PATH = "/a-path-that-is-secret"


def _delivery(**words: Any) -> Delivery:
    labels = {"alertname": "ServiceDown", "headline": "KAFKA DOWN", "service": "kafka-public"}
    notes = {"summary": "Kafka down on zads", "pending": "60"}
    incident = Incident(7, "f-a", "firing", "page", labels, notes, NOW - 10, NOW)
    return Delivery(5, incident, "webhook", words.pop("kind", "firing"), 1, NOW, **words)


def _message(**words: Any) -> Message:
    fields: dict[str, Any] = {
        "state": "firing",
        "severity": "page",
        "subject": "[ZADS] Kafka down",
        "title": "Kafka down for 1 min",
        "what": ("Kafka down on zads.",),
        "impact": "No alerts.",
        "first": "systemctl status kafka",
        "notes": ("On call: operator 1.",),
        "links": (("Acknowledge", "http://n/incident/7"),),
    }
    return Message(**(fields | words))


def _channel(url: str, **words: Any) -> WebhookChannel:
    ca_file = words.pop("ca_file", None)
    return WebhookChannel(Webhook(url=url, secret_env="X", ca_file=ca_file), SECRET, "ZADS", **words)


def _send(wire: Wire, delivery: Delivery | None = None, **words: Any) -> Receipt:
    return _channel(wire.url + PATH, **words).send(delivery or _delivery(), _message())


def test_the_signature_is_that_of_the_specifications_example() -> None:
    """The published vector of Standard Webhooks: receivers' libraries compute the same."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    data = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, data) == expected


def test_the_body_has_the_documented_form() -> None:
    """Every field of version 1, by name; a receiver written today reads it after any change."""
    with serving(200) as wire:
        receipt = _send(wire)
    assert json.loads(wire.got[0].body) == {
        "version": 1,
        "type": "incident.firing",
        "timestamp": "2026-04-01T08:00:00Z",
        "id": "zads-5-1775030400-f-a",
        "kind": "firing",
        "site": "ZADS",
        "incident": {
            "id": 7,
            "key": "zads-f-a-1775030390",
            "state": "firing",
            "severity": "page",
            "headline": "KAFKA DOWN",
            "since": "2026-04-01T07:58:50Z",
            "opened_at": "2026-04-01T08:00:00Z",
            "acknowledged_at": None,
            "acknowledged_by": None,
            "resolved_at": None,
            "labels": {"alertname": "ServiceDown", "headline": "KAFKA DOWN", "service": "kafka-public"},
            "annotations": {"summary": "Kafka down on zads", "pending": "60"},
        },
        "message": {
            "state": "firing",
            "severity": "page",
            "title": "Kafka down for 1 min",
            "what": ["Kafka down on zads."],
            "impact": "No alerts.",
            "first": "systemctl status kafka",
            "notes": ["On call: operator 1."],
            "links": [{"name": "Acknowledge", "url": "http://n/incident/7"}],
        },
        "shortened": False,
    }
    assert receipt.references == {"key": "zads-f-a-1775030390"}
    request = wire.got[0]
    assert (request.method, request.path, request.headers["content-type"]) == ("POST", PATH, "application/json")


def test_each_try_has_the_same_name_and_a_signature_of_its_own_time() -> None:
    """A receiver knows the repetition by its name; the signature of yesterday is worth nothing today."""
    now = [1_775_030_500.7]
    with serving(500, 200) as wire:
        channel = _channel(wire.url + PATH, clock=lambda: now[0])
        with pytest.raises(DeliveryError):
            channel.send(_delivery(), _message())
        now[0] += 60
        channel.send(_delivery(doubtful=True), _message())
    first, second = wire.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "zads-5-1775030400-f-a"
    assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("1775030500", "1775030560")
    for request in wire.got:
        name, seconds = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        mark = hmac.new(b"k" * 32, f"{name}.{seconds}.".encode() + request.body, hashlib.sha256).digest()
        assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(mark).decode()}"


def test_the_incidents_key_is_that_of_its_first_message() -> None:
    """It fires again under another startsAt: the receiver still knows which one it is."""
    with serving(204) as wire:
        _send(wire, _delivery(references={"key": "zads-f-a-1"}, kind="resolved"))
    assert json.loads(wire.got[0].body)["incident"]["key"] == "zads-f-a-1"


@pytest.mark.parametrize(("name", "mark"), [("1.2", "f"), ("1", "a.b"), ("1", "f" * 300), ("1", "f\r\nX-Evil: 1")])
def test_a_name_never_holds_what_parts_the_signed_text(name: str, mark: str) -> None:
    """No full stop, nothing that ends a header, not endless; different deliveries keep different names."""
    incident = Incident(1, mark, "firing", "page", {}, {}, 1.0, 1.0)
    names = {identity(Delivery(1, incident, "webhook", "firing", 1, 1.0, name=one)) for one in (name, "another")}
    assert len(names) == 2
    assert all(len(one) < 140 and one.replace("-", "").replace("_", "").isalnum() for one in names)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_what_is_accepted(status: int) -> None:
    """Any 2xx, whatever its body."""
    with serving((status, "<html>what?")) as wire:
        _send(wire)
    assert len(wire.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 451])
def test_what_stays_is_parked(status: int) -> None:
    """One try, no redirect followed, nothing asked again later."""
    with serving((status, {"Location": "/elsewhere", "Retry-After": "5"}, ""), 200) as wire:
        with pytest.raises(DeliveryError, match=f"answered {status}") as caught:
            _send(wire)
        assert len(wire.got) == 1
    error = caught.value
    assert (error.permanent, error.doubtful, error.retry_after) == (True, False, None)


@pytest.mark.parametrize(
    ("status", "doubtful"),
    [(408, False), (425, False), (429, False), (500, True), (501, True), (502, True), (503, False), (504, True)],
)
@pytest.mark.parametrize("wait", ["7", "Wed, 01 Apr 2099 08:00:00 GMT", "", "soon"])
def test_what_passes_is_tried_again_when_it_says(status: int, doubtful: bool, wait: str) -> None:
    """Retry-After in seconds or as a date is obeyed, up to an hour; nonsense there is none."""
    with serving((status, {"Retry-After": wait} if wait else {}, "")) as wire, pytest.raises(DeliveryError) as caught:
        _send(wire)
    error = caught.value
    assert (error.permanent, error.doubtful) == (False, doubtful)
    assert error.retry_after == {"7": 7.0, "Wed, 01 Apr 2099 08:00:00 GMT": 3600.0}.get(wait)


@pytest.mark.parametrize(
    ("answer", "words"),
    [(CUT, "the connection was cut"), (SLOW, "no answer in time"), (GARBAGE, "127.0.0.1")],
)
def test_no_answer_may_still_have_arrived(answer: str, words: str) -> None:
    """Cut after the request, endless, or no HTTP: tried again, with the mark that it may be a repetition."""
    with serving(answer) as wire, pytest.raises(DeliveryError, match=words) as caught:
        _send(wire, timeout=0.3)
    assert (caught.value.permanent, caught.value.doubtful) == (False, True)


def test_nobody_there_and_no_such_name() -> None:
    """Refused, and DNS: tried again, and surely not arrived."""
    for url, words in (
        (f"http://127.0.0.1:{free_port()}/x", "nobody listens there"),
        ("http://no-such-host.invalid/x", "no-such-host.invalid: the name cannot be resolved"),
    ):
        with pytest.raises(DeliveryError, match=words) as caught:
            _channel(url).send(_delivery(), _message())
        assert (caught.value.permanent, caught.value.doubtful) == (False, False)


@pytest.mark.parametrize(
    ("name", "expired", "trusted", "words"),
    [
        ("IP:127.0.0.1", False, False, "self-signed certificate"),
        ("IP:127.0.0.1", True, True, "certificate has expired"),
        ("DNS:other.example.org", False, True, "certificate is not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_does_not_fit_gets_nothing(
    tmp_path: Path, name: str, expired: bool, trusted: bool, words: str
) -> None:
    """Nobody's, expired, another's: said as it is; no byte of the message goes there; tried again, since they are renewed."""
    file, context = certificate(tmp_path, name, expired=expired)
    with serving(200, tls=context) as wire:
        url = f"https://127.0.0.1:{wire.port}{PATH}"
        with pytest.raises(DeliveryError, match="its certificate is not accepted") as caught:
            _channel(url, ca_file=file if trusted else None).send(_delivery(), _message())
        assert words in str(caught.value)
        assert (caught.value.permanent, caught.value.doubtful, wire.got) == (False, False, [])


def test_a_certificate_of_ones_own_is_trusted_by_its_file(tmp_path: Path) -> None:
    """ca_file; a file that is gone is said."""
    file, context = certificate(tmp_path)
    with serving(200, tls=context) as wire:
        channel = _channel(f"https://127.0.0.1:{wire.port}{PATH}", ca_file=file)
        channel.send(_delivery(), _message())
        assert len(wire.got) == 1
        file.unlink()
        with pytest.raises(DeliveryError, match=r"public\.pem, the certificates .* cannot be read"):
            channel.send(_delivery(), _message())


def test_a_server_that_speaks_no_tls() -> None:
    """https:// to a port of http://: said, not raised as a defect."""
    with serving(200) as wire, pytest.raises(DeliveryError, match="TLS fails"):
        _channel(f"https://127.0.0.1:{wire.port}/").send(_delivery(), _message())


@pytest.mark.parametrize("answer", [301, 401, (404, f"not found: {PATH}"), 500, CUT, SLOW, GARBAGE])
def test_no_error_and_no_log_tells_the_address_or_the_secret(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Only the host: whatever the answer quotes, and with all of our own logging on."""
    with serving(answer) as wire, caplog.at_level(logging.INFO), pytest.raises(DeliveryError) as caught:
        _send(wire, timeout=0.3)
    said = f"{caught.value} {caught.value.__cause__} {caplog.text}"
    assert "127.0.0.1" in said
    assert "secret" not in said.replace("notifier.webhook.secret", "") and SECRET[6:] not in said


def test_no_password_of_netrc_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`requests` would add it by itself."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(file))
    with serving(200) as wire:
        requests.post(wire.url, timeout=5)
        _send(wire)
    assert ["authorization" in request.headers for request in wire.got] == [True, False]


def test_a_body_is_never_too_large() -> None:
    """Megabytes in labels, annotations or texts: shortened, said so, still whole JSON with its title."""
    large = "x" * 1_000_000
    for labels, notes, what in (({}, {"a": large}, ()), ({}, {}, (large,)), ({f"l{n}": large for n in range(90)}, {}, ())):
        incident = Incident(1, "f", "firing", "page", labels, notes, 1.0, 1.0)
        body = body_of(Delivery(1, incident, "webhook", "firing", 1, 1.0), _message(what=what), "ZADS")
        data = encode(body)
        assert len(data) <= BODY_MOST
        found = json.loads(data)
        assert found["shortened"] is True and found["message"]["title"] == "Kafka down for 1 min"


def test_odd_text_and_odd_times_are_sent() -> None:
    """Half a surrogate pair, other scripts, a time that is none: JSON all the same."""
    incident = Incident(1, "f", "firing", "page", {"headline": "\ud800 Привет\r\n"}, {}, 1e18, 1.0)
    with serving(200) as wire:
        _send(wire, Delivery(1, incident, "webhook", "firing", 1, NOW))
    found = json.loads(wire.got[0].body)["incident"]
    assert "Привет" in found["headline"] and found["since"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hunter2-hunter2-hunter2-hunter2", "does not begin with"),
        ("whsec_!!", "not base64"),
        (f"whsec_{base64.b64encode(b'short').decode()}", "holds 5 bytes"),
    ],
)
def test_a_secret_that_receivers_could_not_use_is_refused(text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When zads.toml is read, with the key's name and how to make one, never with the secret."""
    monkeypatch.setenv("HOOK", text)
    with pytest.raises(SecretError, match=words) as caught:
        Webhook(url="https://x.org/", secret_env="HOOK").secret()
    assert caught.value.key == "notifier.webhook.secret_env"
    assert "openssl rand" in str(caught.value) and "hunter2" not in str(caught.value)
    monkeypatch.setenv("HOOK", SECRET)
    assert Webhook(url="https://x.org/", secret_env="HOOK").secret() == SECRET


def test_the_stand_in_takes_what_is_signed_once(tmp_path: Path) -> None:
    """A receiver written from the specification: shows the first, accepts the repetition, shows nothing twice."""
    inbox = Inbox(tmp_path / "inbox.jsonl")
    receiver = Receiver(inbox, SECRET, clock=lambda: NOW)
    with serving(200) as wire:
        for _ in range(2):
            _send(wire, clock=lambda: NOW)
    assert [receiver.receive(one.headers, one.body).status for one in wire.got] == [200, 200]
    assert [(one["channel"], one["state"], one["title"]) for one in inbox.all()] == [
        ("webhook", "firing", "Kafka down for 1 min")
    ]
    again = Receiver(Inbox(tmp_path / "inbox.jsonl"), SECRET, clock=lambda: NOW)
    assert again.receive(wire.got[0].headers, wire.got[0].body).status == 200
    assert len(Inbox(tmp_path / "inbox.jsonl").all()) == 1
