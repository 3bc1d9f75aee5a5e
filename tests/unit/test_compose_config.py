"""zads.toml for the containers: addresses, the night that is kept, secrets, Kafka's files."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zads.config import ConfigErrors, load, parse
from zads.stack import container_files, containers
from zads.stack.containers import Layout, derive
from zads.stack.toml_text import document

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "zads.toml").read_text(encoding="utf-8")
REAL = """[kafka.public]
bootstrap = ["kafka.example.org:9092"]
[notifier]
token_file = "/etc/zads/secrets/alertmanager_token"
[notifier.slack]
channel = "#alerts"
token_file = "/etc/zads/secrets/slack_token"
"""

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_SCALAR = st.one_of(_TEXT, st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False))
_CONTENT = st.recursive(
    st.dictionaries(_TEXT, st.one_of(_SCALAR, st.lists(_SCALAR, max_size=3)), max_size=4),
    lambda inner: st.dictionaries(_TEXT, st.one_of(inner, st.lists(inner, max_size=2), _SCALAR), max_size=3),
    max_leaves=8,
)


@given(_CONTENT)
def test_a_document_is_read_as_what_was_written(content: dict[str, object]) -> None:
    """Any keys, texts, numbers, tables and arrays of tables come back from tomllib as they were."""
    assert tomllib.loads(document(content)) == content


def test_every_loopback_address_becomes_a_container() -> None:
    """Of the example site nothing but the page's own link stays on loopback, and ports stay."""
    config = parse(derive(EXAMPLE, Layout(), page="31000"))
    assert config.kafka["public"].bootstrap == ("kafka-public:22092",)
    assert config.kafka["upstream"].bootstrap == ("kafka-upstream:21092",)
    assert config.mirror.jmx == "mirrormaker:23094"
    assert config.notifier.slack and config.notifier.slack.base_url == "http://inbox:28090/slack/api/"
    assert config.notifier.email and config.notifier.email.smarthost == "inbox:28025"
    assert config.prometheus.address == "prometheus:29090"
    assert config.notifier.external_url == "http://127.0.0.1:31000"
    rest = derive(EXAMPLE, Layout(), page="31000").replace("http://127.0.0.1:31000", "").replace('"127.0.0.1/32"', "")
    assert "127.0." not in rest


def test_communities_are_told_apart_by_fixed_addresses() -> None:
    """Each community has its own address on the communities' network; Kafka's machine and our programs are internal."""
    config = parse(derive(EXAMPLE, Layout("10.7")))
    networks = [str(one) for community in config.communities for one in community.networks]
    assert networks == [f"10.7.2.{number}/32" for number in range(21, 26)]
    assert {"10.7.1.0/24", "10.7.2.10/32"} <= {str(one) for one in config.internal.networks}


def test_what_is_no_address_stays() -> None:
    """Thresholds, routes, programs' patterns and communities' contracts are those of zads.toml."""
    config, made = load(ROOT / "zads.toml"), parse(derive(EXAMPLE, Layout()))
    for part in ("stream", "thresholds", "slo"):
        assert getattr(config, part) == getattr(made, part)
    assert [one.process for one in config.services] == [one.process for one in made.services]
    assert config.notifier.routes == made.notifier.routes


def test_a_real_kafka_stays_where_it_is() -> None:
    """With a Kafka elsewhere this is the monitor alone: one exporters' process, and the ports that are published."""
    config = parse(derive(REAL, Layout(), page="29380"))
    assert not containers.simulated(config)
    assert config.kafka["public"].bootstrap == ("kafka.example.org:9092",)
    assert config.exporters.one_process and config.exporters.listen == "exporters"
    assert (config.notifier.listen, config.wall.listen) == ("notifier:29380", "wall:28080")
    assert config.notifier.external_url == "http://127.0.0.1:29380"
    assert config.notifier.slack and str(config.notifier.slack.token_file) == "/secrets/slack_token"


def test_an_address_of_nobody_is_refused() -> None:
    """A loopback address at which no container listens is said with its key, for it would be the container itself."""
    with pytest.raises(ConfigErrors, match=r"notifier\.webhook\.url.*container itself"):
        derive(REAL + '[notifier.webhook]\nurl = "http://127.0.0.1:7000/x"\nsecret_file = "s"\n', Layout())


def test_a_night_that_goes_on_is_kept() -> None:
    """Run again beside running containers, an hour later, the site stays; after a change of zads.toml it is anew."""
    now = datetime(2026, 3, 20, 4, 0, tzinfo=UTC)
    first = container_files.site_text(EXAMPLE, None, Layout(), now=now)
    assert container_files.site_text(EXAMPLE, first, Layout(), now=now + timedelta(hours=1)) == first
    changed = EXAMPLE.replace("partitions = 16", "partitions = 8")
    assert "partitions = 8" in container_files.site_text(changed, first, Layout(), now=now + timedelta(hours=1))


def test_a_night_that_ends_is_not_kept() -> None:
    """Half a day later the former site has day: the new one has dusk an hour ago."""
    now = datetime(2026, 3, 20, 4, 0, tzinfo=UTC)
    first = container_files.site_text(EXAMPLE, None, Layout(), now=now)
    later = container_files.site_text(EXAMPLE, first, Layout(), now=now + timedelta(hours=11))
    assert tomllib.loads(later)["site"]["longitude"] != tomllib.loads(first)["site"]["longitude"]


def test_kafka_listens_in_its_container_and_is_called_by_name() -> None:
    """Kafka listens on every address of its container, its controller on loopback alone, and tells its name."""
    config = parse(derive(EXAMPLE, Layout()))
    lines = dict(line.split("=", 1) for line in container_files.kafka_properties("kafka-public", config).splitlines())
    assert lines["listeners"] == "PLAINTEXT://0.0.0.0:22092,CONTROLLER://127.0.0.1:22093"
    assert lines["advertised.listeners"] == "PLAINTEXT://kafka-public:22092"
    assert lines["controller.quorum.voters"] == "1@127.0.0.1:22093"
    assert lines["log.dirs"] == container_files.KAFKA_DATA


def test_services_find_kafka_by_its_command_line() -> None:
    """What zads.toml looks for among the processes is in the command lines that the containers run."""
    config = parse(derive(EXAMPLE, Layout()))
    words = container_files.java_arguments(config)
    for service in config.services:
        assert re.search(service.process, " ".join(["java", *words[service.name]])), service.name


def test_secrets_that_are_missing_are_named(tmp_path: Path) -> None:
    """A real site whose secrets are not in the folder gets each by its key; what is given is copied for our group only."""
    given_, to = tmp_path / "given", tmp_path / "to"
    given_.mkdir()
    (given_ / "slack_token").write_text("xoxb-1")
    config = parse(derive(REAL, Layout()).replace("/secrets/", f"{to}/"))
    with pytest.raises(ConfigErrors, match=r"notifier\.token_file.*alertmanager_token"):
        container_files.copy_secrets(given_, to, config)
    (given_ / "alertmanager_token").write_text("t")
    container_files.copy_secrets(given_, to, config)
    assert (to / "slack_token").read_text() == "xoxb-1"
    assert {file.stat().st_mode & 0o777 for file in to.iterdir()} == {0o640}


def test_the_night_makes_its_own_secrets_and_takes_given_ones(tmp_path: Path) -> None:
    """Nothing is configured for the simulated night; a page password that is given wins, and nothing changes later."""
    given_, to = tmp_path / "given", tmp_path / "to"
    given_.mkdir()
    (given_ / "page_password").write_text("chosen")
    config = parse(derive(EXAMPLE, Layout()).replace("/secrets/", f"{to}/"))
    container_files.copy_secrets(given_, to, config)
    made = {file.name: file.read_text() for file in to.iterdir()}
    container_files.copy_secrets(given_, to, config)
    assert {file.name: file.read_text() for file in to.iterdir()} == made
    assert made["page_password"] == "chosen" and len(made["pagerduty_key"]) > 20
