"""MirrorMaker's own lag, out of its agent's text."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from exporters.alert_arrival.jmx import fetch, lag

TOPICS = re.compile(r"ztf_(?P<night>\d{8})_programid(?P<program>\d)")
NAME = "ztf_20260401_programid1"


def _row(part: int, value: str, name: str = NAME, family: str = "kafka_consumer_records_lag") -> str:
    return f'{family}{{client_id="c\\"1",partition="{part}",topic="{name}"}} {value}'


def test_the_lag_of_a_topic_is_the_sum_over_its_partitions() -> None:
    """Other topics, averages and maxima of the same name are left out; of two consumers the one further behind counts."""
    rows = [
        "# HELP kafka_consumer_records_lag x",
        _row(0, "30.0"),
        _row(1, "12.0"),
        _row(1, "10.0"),
        _row(0, "900.0", "heartbeats"),
        _row(0, "900.0", family="kafka_consumer_records_lag_max"),
        _row(2, "1.7E1 1795555000000"),
    ]
    assert lag("\n".join(rows), TOPICS) == {NAME: 59}


@pytest.mark.parametrize("value", ["NaN", "nonsense", "+Inf", "-Inf"])
def test_what_is_no_number_is_no_lag(value: str) -> None:
    """Not 0: not known."""
    assert lag(_row(0, value), TOPICS) is None


def test_a_lag_is_only_believed_while_fetches_go_on() -> None:
    """It keeps its value when the consumer has lost its cluster."""
    rate = 'kafka_consumer_fetch_rate{client_id="c"} '
    assert lag(f"{_row(0, '5')}\n{rate}1.9", TOPICS) == {NAME: 5}
    assert lag(f"{_row(0, '5')}\n{rate}0.0", TOPICS) is None
    assert lag("", TOPICS) is None


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 no\r\n\r\n", b"nonsense\r\n\r\n", b""])
def test_an_agent_that_answers_something_else_is_an_error(answer: bytes) -> None:
    """An OSError, in time."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(OSError):
            fetch(f"127.0.0.1:{server.getsockname()[1]}", 1.0)
