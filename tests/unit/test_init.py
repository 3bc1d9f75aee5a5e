"""`zads init`: whatever the groups are called, the zads.toml that it writes is a right one and finds them again."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zads.cli import main
from zads.config import Config, parse
from zads.init_site import Seen, head, site

ALERTS = ["ztf_20261124_programid1", "ztf_20261125_programid1"]
HEAD = head(["127.0.0.1:9092"], {})


def _site(*groups: str, **seen: object) -> Config:
    return parse(site(HEAD, Seen(ALERTS, dict.fromkeys(groups, "Empty"), **seen)))  # type: ignore[arg-type]


def _owner(config: Config, group: str) -> list[str]:
    return [c.name for c in config.communities if any(re.fullmatch(pattern, group) for pattern in c.groups)]


def test_a_small_cluster_gives_some_15_lines() -> None:
    text = site(HEAD, Seen(ALERTS, {"lasair": "Stable"}, {"lasair": ALERTS}))
    assert 10 <= len(text.splitlines()) <= 20
    assert "2 alert topics, the newest ztf_20261125_programid1" in text
    config = parse(text)
    assert config.kafka["public"].bootstrap == ("127.0.0.1:9092",) and "upstream" not in config.kafka
    assert [(c.name, c.groups, c.commits) for c in config.communities] == [("lasair", ("lasair",), True)]


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("it's", "it-s"),
        ('say "hi"', "say-hi"),
        ("two\nlines\ttab", "two-lines-tab"),
        ("back\\slash", "back-slash"),
        ("Ökonomie", "okonomie"),
        ("天文", "community"),
        ("'\"\\\n\x00\x7f", "community"),
        ("ampel-v0.7.1-ztf_uw_public", "ampel-v0-7-1-ztf-uw-public"),
        ("." * 300, "community"),
        ("a" * 249, "a" * 56),
    ],
)
def test_odd_names_are_quoted_and_found_again(group: str, name: str) -> None:
    config = _site(group)
    assert _owner(config, group) == [name]


@given(st.lists(st.text(min_size=1, max_size=40), unique=True, max_size=12))
def test_any_names_give_a_right_file_in_which_each_has_an_owner(groups: list[str]) -> None:
    """Whatever Kafka lists: what is not one of our own is found, and no two communities are called the same."""
    config = _site(*groups)
    internal = re.compile(r"(zads-|connect-|mm2|_|.*-mm2$|.*mirror-?maker)", re.IGNORECASE | re.DOTALL)
    for group in groups:
        assert internal.match(group) or _owner(config, group), group
    assert len({c.name for c in config.communities}) == len(config.communities)


def test_names_that_collide_are_numbered() -> None:
    config = _site("a.b", "a-b", "a b", "A_B")
    assert [c.name for c in config.communities] == ["a-b", "a-b-2", "a-b-3", "a-b-4"]
    assert all(len(_owner(config, group)) == 1 for group in ("a.b", "a-b", "a b", "A_B"))


def test_ids_that_are_new_at_each_run_are_one_community() -> None:
    first = "spark-kafka-source-1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed--1234567-driver-0"
    second = "spark-kafka-source-9f3c1a80-0000-4b2d-9b5d-ab8dfbbd4bed-7654321-driver-0"
    config = _site(first, second, "console-consumer-48213", "console-consumer-99999", "tonight_20261125")
    assert [c.name for c in config.communities] == ["console-consumer", "spark-kafka-source-driver-0", "tonight"]
    assert _owner(config, first) == _owner(config, second) == ["spark-kafka-source-driver-0"]
    assert _owner(config, "spark-kafka-source-") == _owner(config, "lasair") == []


def test_a_group_that_is_only_an_id_does_not_match_everything() -> None:
    config = _site("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed")
    assert _owner(config, "lasair") == []


def test_what_is_ours_or_reads_other_topics_is_left_out_and_said() -> None:
    text = site(
        HEAD,
        Seen(
            ALERTS,
            dict.fromkeys(["zads-kafka-lag", "connect-mm2", "__internal", "", "lasair", "billing"], "Empty"),
            {"lasair": ["ztf_20261124_programid1"], "billing": ["invoices"]},
        ),
    )
    assert [c.name for c in parse(text).communities] == ["lasair"]
    assert '# Not taken, since they read other topics only: "billing"' in text


def test_a_reader_that_commits_nothing_is_written_so() -> None:
    """Only when it is there now, and when there is a topic on which it could have committed."""
    groups = {"fink": "Stable", "gone": "Empty"}
    config = parse(site(HEAD, Seen(ALERTS, groups)))
    assert {c.name: c.commits for c in config.communities} == {"fink": False, "gone": True}
    by_day = parse(site(HEAD, Seen([], groups)))
    assert all(c.commits for c in by_day.communities)


def test_two_thousand_groups_do_not_make_a_book() -> None:
    groups = [f"group-{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(2000)]
    text = site(HEAD, Seen(ALERTS, dict.fromkeys(groups, "Empty")))
    assert len(parse(text).communities) == 50 and "# 1950 more groups are left out." in text


@pytest.mark.parametrize("port", [9093, 9090, 9100, 9308, 9312, 9380, 8080])
def test_a_kafka_on_one_of_our_own_ports_moves_ours(port: int) -> None:
    config = parse(head([f"127.0.0.1:{port}"], {}))
    values = [config.alertmanager.address, config.prometheus.address, config.notifier.listen, config.wall.listen]
    assert f"127.0.0.1:{port}" not in values
    assert config.notifier.external_url == f"http://{config.notifier.listen}"


def test_several_brokers_and_their_security_are_written() -> None:
    security = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "m",
        "sasl_password_env": "P",
    }
    config = parse(head(["a.example:9093", "b.example:9093", "[2001:db8::1]:9093"], security))
    assert config.kafka["public"].sasl_password_env == "P"
    assert [host.address for host in config.hosts] == ["a.example", "b.example", "2001:db8::1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_kafka() -> Iterator[str]:
    """A server that takes what comes and closes."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_what_is_no_kafka_is_said_and_nothing_is_written(
    folder: Path, no_kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--bootstrap", no_kafka]) == 1
    assert "does not answer as a Kafka broker" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("bootstrap", ["nowhere", "a:b", "a:0", "a:99999", ",", "http://a:1"])
def test_a_bad_address_is_said(folder: Path, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--bootstrap", bootstrap]) == 2
    assert "host:port" in capsys.readouterr().err and list(folder.iterdir()) == []


def test_half_a_login_is_said_before_anybody_is_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--bootstrap", "127.0.0.1:1", "--security-protocol", "SASL_SSL"]) == 2
    assert "kafka.public.sasl_mechanism: is missing" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("zads.toml", "my-zads.toml"):
        (folder / name).write_text("mine")
    assert main(["init", "--bootstrap", "127.0.0.1:1"]) == 2
    assert "my-zads.toml exists" in capsys.readouterr().err
    assert main(["init", "--bootstrap", "127.0.0.1:1", "--output", "zads.toml"]) == 2
    assert (folder / "zads.toml").read_text() == (folder / "my-zads.toml").read_text() == "mine"
