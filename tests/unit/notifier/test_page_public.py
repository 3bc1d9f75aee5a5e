"""What who is not logged in reads: no address, no link of others, no secret; and everything else as it is."""

from __future__ import annotations

import time

import pytest

from notifier.page_public import HIDDEN, public, public_labels


@pytest.mark.parametrize(
    "secret",
    [
        "operator1@example.org",
        "first.last+pager@mail.example.co.uk",
        "https://hooks.slack.com/services/T000/B000/XXXXXXXX",
        "kafka://user:pass@host:9092",
        "xoxb-123-abc",
        "0123456789abcdef0123456789abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "dGhpcyBpcyBhIHNlY3JldCBvZiBtaW5lIHllcyAx",
        "$scrypt$ln=14,r=8,p=5$c2FsdHNhbHRzYWx0c2E$aGFzaGhhc2hoYXNoaGFzaA",
        "$2y$10$N9qo8uLOickgx2ZMRZoMyecBPBZPbMY9K9Iy/VaK.7YTHTLYF41De",
    ],
)
@pytest.mark.parametrize("sentence", ["{}", "550 {} unknown", "refused: {}, try again", "({})", "<{}>", "key={}"])
def test_secrets_and_addresses_are_gone_wherever_they_stand(secret: str, sentence: str) -> None:
    """Alone, in brackets, in a provider's answer."""
    assert secret not in public(sentence.format(secret))


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "Password: hunter2",
        "api_key = hunter2",
        "token hunter2",
        "Authorization: Bearer hunter2",
        "smtp_password:hunter2",
    ],
)
def test_what_is_named_a_secret_is_gone(text: str) -> None:
    """However short."""
    assert "hunter2" not in public(text)


@pytest.mark.parametrize(
    "text",
    [
        "Kafka down on zads: no answer on port 9092 for 5 min",
        "Lasair is 1,204 alerts behind (2.3 MB/s of 5 MB/s)",
        "ztf_20260401_programid1 is missing 12 partitions",
        "systemctl restart zads-notifier; journalctl -u kafka -n 100",
        "/var/lib/zads/exporters/alert-arrival/offsets.sqlite3 fills",
        "invalid_auth",
        "the token was refused",
        "a very-long-service-name-with-many-parts-and-number-12 hangs",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Names, paths, numbers, commands."""
    assert public(text) == text


def test_labels_named_like_secrets_show_nothing() -> None:
    """Their names stay, so that the reader knows that there is more."""
    labels = {
        "api_token": "short",
        "key": "k",
        "PASSWORD": "p",
        "authorization": "x",
        "monkey": "banana",
        "host": "zads",
        "mail": "a@b.org",
    }
    shown = public_labels(labels)
    assert [shown[name] for name in ("api_token", "key", "PASSWORD", "authorization")] == [HIDDEN] * 4
    assert (shown["monkey"], shown["host"], shown["mail"]) == ("banana", "zads", "(an address)")


@pytest.mark.parametrize(
    "piece", ["a", "a@", "a-", "a_", "+", "@", "a1A", "token ", "token=", "http://", "(", "x.y-", "key:", "eyJ.", "a "]
)
def test_a_long_text_costs_no_more_than_its_length(piece: str) -> None:
    """100,000 characters of anything, as a label may be: well under a second on a quiet machine."""
    text = (piece * 100_000)[:100_000]
    begin = time.process_time()
    public(text)
    assert time.process_time() - begin < 3
