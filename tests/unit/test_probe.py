"""The probe's arithmetic on plain values, its options and sentences, its report and metrics."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporters.probe import faults, report
from exporters.probe.clock import Clock
from exporters.probe.faults import ProbeError
from exporters.probe.figures import Figures
from exporters.probe.options import Since, Wanted, site
from exporters.probe.report import Contract, Report
from exporters.probe.textfile import TextFile
from zads.config import ConfigErrors, KafkaCluster, parse
from zads.kafka.fetch import Batch, Fetched, Record
from zads.kafka.steps import NoLoginError, StepError

ROOT = Path(__file__).resolve().parents[2]
PACKET = sorted((ROOT / "zads" / "stack" / "packets").glob("*.avro"))[0].read_bytes()
CONFIG = parse('[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n')
PART = ("ztf_20260401_programid1", 0)


class Sent(Batch):
    """A batch of plain records; `upto` is where it ends, beyond its last record when some were compacted away."""

    def __init__(self, *offsets: int, value: bytes = PACKET, upto: int | None = None, control: bool = False) -> None:
        self._offsets, self._value = offsets, value
        self.base, self.next, self.control = offsets[0], (upto or offsets[-1] + 1), control
        self.size = 1000 * len(offsets)
        self.timestamp = 1_000_000

    def records(self) -> Iterator[Record]:
        for offset in self._offsets:
            yield Record(offset, self.timestamp, self._value)


def _taken(figures: Figures, *batches: Batch, received: float = 1003.0, end: int = -1, most: int | None = None) -> Figures:
    figures.take(Fetched(PART, received, figures.partitions[PART].next, end, batches), most)
    return figures


def _figures(begin: int = 0, end: int = 0) -> Figures:
    figures = Figures(1000.0)
    figures.find(PART, begin, end)
    return figures


def test_a_batch_that_begins_before_what_was_asked_for_counts_from_there() -> None:
    """Kafka sends whole batches: 7 of 10 are new, and there is no gap."""
    figures = _taken(_figures(begin=3), Sent(*range(10)))
    assert (figures.alerts, figures.missing_offsets, figures.partitions[PART].next) == (7, 0, 10)


def test_gaps_are_counted_wherever_they_are_and_the_end_of_a_transaction_is_none() -> None:
    """2 before a batch, 1 within it, 3 at its end; a control record takes an offset and is no alert."""
    figures = _taken(_figures(), Sent(2, 3, 5, upto=9), Sent(9, control=True), Sent(10))
    assert (figures.alerts, figures.gaps, figures.missing_offsets) == (4, 3, 6)
    assert figures.partitions[PART].next == 11


def test_an_answer_to_an_older_question_is_not_counted_twice() -> None:
    """It was asked for before the reading went elsewhere."""
    figures = _taken(_figures(), Sent(0, 1))
    figures.take(Fetched(PART, 1003.0, 0, 2, (Sent(0, 1),)))
    assert (figures.alerts, figures.wire, figures.duplicates) == (2, 2000, 1)  # the second of the two is the same packet


def test_no_more_alerts_than_were_asked_for() -> None:
    """In the middle of a batch too."""
    figures = _taken(_figures(), Sent(0, 1, 2), Sent(3, 4, 5), most=4)
    assert (figures.alerts, figures.partitions[PART].next, figures.lag) == (4, 4, 0)


def test_what_lay_there_before_has_no_delay_to_here() -> None:
    """5 old, 2 new: 7 delays before the record, 2 after it; the backlog's rate is of its own time."""
    figures = _taken(_figures(end=5), Sent(*range(5)), received=1002.0)
    _taken(figures, Sent(5, 6), received=1010.0, end=9)
    assert [figures.measured(stage) for stage in ("exposure", "record", "total")] == [7, 2, 2]
    assert figures.delays("record") == {"p50": 10.0, "p95": 10.0, "p99": 10.0, "max": 10.0}
    assert (figures.backlog.alerts, figures.backlog.wire, figures.backlog.seconds) == (5, 5000, 2.0)
    assert (figures.lag, figures.live) == (2, 2)


def test_quantiles_are_of_the_delays_themselves() -> None:
    """Of 1 to 100 seconds 95 % took 95 s or less: the smallest value with so many at or below it."""
    figures = _figures()
    for number in range(1, 101):
        figures._delays["total"].append(float(number))
    assert figures.delays("total") == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def test_a_clock_that_is_behind_shows() -> None:
    """An alert that comes 3 s before it is put on record."""
    batch = Sent(0)
    batch.timestamp = 1_006_000
    assert _taken(_figures(), batch, received=1003.0).earliest_future == 3.0


def test_a_batch_that_cannot_be_unpacked_is_counted_whole_and_passed_over() -> None:
    """A compression that this Python lacks."""

    class Packed(Sent):
        def records(self) -> Iterator[Record]:
            raise ModuleNotFoundError("zstandard")

    figures = _taken(_figures(), Packed(0, 1, 2), Sent(3))
    assert (figures.alerts, figures.decoded) == (4, 1)
    assert figures.undecodable == {"batch_ModuleNotFound": 3}


def test_failures_are_counted_by_reason_and_gone_when_it_works_again() -> None:
    """A partition's error stays until an answer comes."""
    figures = _figures()
    figures.take(Fetched(PART, 1003.0, error="NotLeaderForPartition"))
    assert figures.partitions[PART].error == "NotLeaderForPartition"
    _taken(figures, Sent(0))
    assert (figures.partitions[PART].error, figures.failures) == ("", {"NotLeaderForPartition": 1})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("latest", Since("latest")),
        ("-10m", Since("ago", 600.0)),
        ("90s", Since("ago", 90.0)),
        ("earliest", Since("earliest")),
    ],
)
def test_where_to_begin(text: str, found: Since) -> None:
    """An edge of the log, or so long ago."""
    assert Since.parse(text) == found


def test_tonights_topic_is_found_by_the_streams_pattern() -> None:
    """The night by the site's midnight, the public program; another night or program only when asked for."""
    evening = datetime(2026, 4, 1, 3, 30, tzinfo=UTC)
    tonight = Wanted.of(CONFIG, None, None, (), evening)
    assert tonight.matches("ztf_20260401_programid1")
    assert not tonight.matches("ztf_20260401_programid2")
    assert not tonight.matches("ztf_20260331_programid1")
    assert "tonight (20260401), program 1" in tonight.words
    other = Wanted.of(CONFIG, None, "20260331", (2, 3), evening)
    assert other.matches("ztf_20260331_programid3")
    named = Wanted.of(CONFIG, "lsst.alerts", None, (), evening)
    assert named.matches("lsst.alerts")
    assert named.name == "lsst.alerts"
    assert Wanted.of(CONFIG, "ztf_.*", None, (), evening).name is None


def test_a_config_gives_the_cluster_and_options_change_what_they_say(tmp_path: Path) -> None:
    """Its log-in stays with --bootstrap; with --security-config its addresses stay."""
    file = tmp_path / "zads.toml"
    (tmp_path / "pw").write_text("x")
    login = f'sasl_mechanism = "PLAIN"\nsasl_username = "u"\nsasl_password_file = "{tmp_path}/pw"\n'
    file.write_text(f'[kafka.public]\nbootstrap = ["a:1"]\nsecurity_protocol = "SASL_PLAINTEXT"\n{login}')
    _, cluster = site(file, True, "public", "b:2,c:3", None)
    assert (cluster.bootstrap, cluster.sasl_username) == (("b:2", "c:3"), "u")
    (tmp_path / "login.toml").write_text('security_protocol = "SSL"\n')
    _, cluster = site(file, True, "public", None, tmp_path / "login.toml")
    assert (cluster.bootstrap, cluster.security_protocol, cluster.sasl_username) == (("a:1",), "SSL", None)
    with pytest.raises(ConfigErrors, match="no such cluster"):
        site(file, True, "upstream", None, None)
    (tmp_path / "login.toml").write_text("[kafka.public]\n")
    with pytest.raises(ConfigErrors, match="write the keys alone"):
        site(file, True, "public", None, tmp_path / "login.toml")


PLAIN, TLS = KafkaCluster(bootstrap=("h:1",)), KafkaCluster(bootstrap=("h:1",), security_protocol="SSL")
SASL = KafkaCluster(bootstrap=("h:1",), security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u")


def _verification(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, message)
    error.verify_message = message
    return error


@pytest.mark.parametrize(
    ("step", "cause", "cluster", "words"),
    [
        ("dns", socket.gaierror(-2, "Name or service not known"), PLAIN, "getent hosts h"),
        ("tcp", ConnectionRefusedError(111, "refused"), PLAIN, "ask the operator whether Kafka runs"),
        ("tcp", TimeoutError("timed out"), PLAIN, "whether this machine's address is on the list"),
        ("tcp", OSError(113, "No route to host"), PLAIN, "No route to host"),
        ("tls", _verification("self-signed certificate"), TLS, "name its file as ca_file"),
        ("tls", _verification("Hostname mismatch, certificate is not valid for 'h'"), TLS, "for another name"),
        ("tls", ssl.SSLError(1, "wrong version number"), TLS, 'security_protocol = "PLAINTEXT"'),
        ("tls", ssl.SSLError(1, "wrong version number"), SASL, 'security_protocol = "SASL_PLAINTEXT"'),
        ("broker", ssl.SSLError(1, "tlsv13 alert certificate required"), TLS, "cert_file and key_file"),
        ("broker", TimeoutError("no"), PLAIN, 'set security_protocol = "SSL"'),
        ("broker", ConnectionResetError(104, "reset"), SASL, "A client certificate"),
        ("mechanism", NoLoginError(("SCRAM-SHA-512", "GSSAPI")), SASL, "it takes SCRAM-SHA-512 and GSSAPI"),
        ("mechanism", NoLoginError(()), SASL, 'security_protocol = "SSL"'),
    ],
)
def test_each_failure_has_a_sentence_that_says_what_to_do(
    step: str, cause: OSError, cluster: KafkaCluster, words: str
) -> None:
    """And the step as the state."""
    error = faults.of_step(StepError(step, "h:1", cause), cluster)
    assert error.step == step
    assert words in str(error)
    assert str(error).endswith((".", "h"))


def _reading(figures: Figures, problems: tuple[ProbeError, ...] = (), seconds: float = 10.0) -> Any:
    return SimpleNamespace(
        figures=figures, problems=lambda: list(problems), seconds=seconds, topics=(PART[0],), leaders={PART: 1}, group=None
    )


def _report(figures: Figures, *problems: ProbeError, contract: Contract = Contract(), clock: Clock | None = None) -> Report:  # noqa: B008
    return report.of(_reading(figures, problems), "h:1", {"tcp": 0.01}, contract, clock)


def test_a_delay_that_may_be_the_readers_own_is_said_so() -> None:
    """100 alerts wait for it at the end."""
    found = _report(_taken(_figures(), Sent(0), end=101))
    assert "100 alerts still waited for this probe" in " ".join(found.words)
    assert not any("waited" in words for words in _report(_taken(_figures(), Sent(0), end=1)).words)


def test_the_way_here_is_compared_with_the_contract_by_what_lay_there() -> None:
    """A stream that brings little says nothing of the way."""
    figures = _taken(_figures(end=4000), Sent(*range(4000)), received=1002.0)
    assert "2.00 MB/s: more than the contract, less than a burst" in " ".join(_report(figures).words)
    assert "less than the contract" in " ".join(_report(figures, contract=Contract(3e6)).words)
    assert not any("MB/s" in words for words in _report(_taken(_figures(), Sent(0))).words)


def test_an_unkept_clock_and_one_that_is_behind_are_said() -> None:
    """Delays are measured with it."""
    words = " ".join(_report(_taken(_figures(), Sent(0)), clock=Clock(False, 16.0)).words)
    assert "Nothing keeps this machine's clock right" in words
    figures = _taken(_figures(), Sent(0), received=998.0)
    assert "before it was put on record" in " ".join(_report(figures).words)


def test_a_stream_read_in_part_is_not_good() -> None:
    """What could be read is told all the same."""
    found = _report(_taken(_figures(), Sent(0)), ProbeError("unreadable", "3 partitions cannot be read."))
    assert (found.state, found.good, found.values["alerts"]) == ("partly_unreadable", False, 1)
    assert "3 partitions cannot be read." in report.table(found)


def test_candids_are_text_in_the_report() -> None:
    """Of 18 or 19 digits; a browser would round a number."""
    found = json.loads(json.dumps(_report(_taken(_figures(), Sent(0), Sent(1))).values))
    assert found["duplicate_candids"] == [found["newest_candid"]]
    assert isinstance(found["newest_candid"], str)


def test_totals_in_the_metrics_go_up_over_probes_and_stand_when_one_fails(tmp_path: Path) -> None:
    """Of a failed one there is no delay, and the last success stays known."""
    file, values = tmp_path / "p.prom", _report(_taken(_figures(), Sent(0, 1))).values
    text = TextFile(file)
    text.write(Report("good", True, [], values), now=100.0)
    text.write(Report("good", True, [], values), now=160.0)
    text.write(Report("tcp", False, ["..."], {}), now=220.0)
    found = {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }
    assert found["zads_probe_alerts_total"] == 4
    assert found["zads_probe_received_bytes_total"] == 4000
    assert found["zads_probe_last_success_timestamp_seconds"] == 160
    assert (found["zads_probe_success"], found["zads_probe_state_infotcp"]) == (0, 1)
    assert not any(name.startswith("zads_probe_delay") for name in found)
    with pytest.raises(OSError):
        TextFile(tmp_path / "nowhere" / "p.prom").write(Report("good", True, [], values))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.004, "0.00 s"), (12.34, "12.3 s"), (800, "13 min 20 s"), (7500, "2 h 5 min"), (-3, "-3.00 s")]
)
def test_times_as_people_read_them(seconds: float, text: str) -> None:
    """Two figures are enough."""
    assert report.span(seconds) == text
