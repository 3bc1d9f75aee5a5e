"""The rules' expressions as trees: printed, they mean the same to Prometheus; without comparison, they drop nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.promql import leaves, parse, watched, write
from zads.stack import programs

FILES = sorted((Path(__file__).resolve().parents[2] / "alertrules").glob("*.rules.yml"))
EXPRESSIONS = sorted(
    {r["expr"] for f in FILES for g in yaml.safe_load(f.read_text(encoding="utf-8"))["groups"] for r in g["rules"]}
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty Prometheus; gives its address."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("{}")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    command = [str(programs.find("prometheus")), f"--config.file={folder}/prometheus.yml", f"--web.listen-address={address}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--storage.tsdb.path={folder}/data"], stdout=log, stderr=log)
    try:
        begin = time.monotonic()
        while True:
            try:
                _formatted(address, "up")
                break
            except OSError:
                assert time.monotonic() - begin < 60, (folder / "log").read_text()
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _formatted(address: str, expression: str) -> str:
    """Return how Prometheus writes the expression, without the parentheses that mean nothing."""
    url = f"http://{address}/api/v1/format_query?" + urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(url, timeout=10) as answer:
        return " ".join(json.load(answer)["data"].split())


def test_what_is_printed_is_what_was_read(prometheus: str) -> None:
    """By Prometheus' own formatter: with all parentheses written out, both texts are one; a second pass changes nothing."""
    for expression in EXPRESSIONS:
        tree = parse(expression)
        printed = write(tree)
        assert parse(printed) == tree, expression
        assert _formatted(prometheus, printed), expression
        # Prometheus parses its own form of the original to the same tree.
        assert write(parse(_formatted(prometheus, expression))) == write(parse(_formatted(prometheus, printed))), expression


def test_what_a_rule_watches_is_promql_without_a_comparison(prometheus: str) -> None:
    for expression in EXPRESSIONS:
        for one in watched(expression):
            assert _formatted(prometheus, one), one
            assert " or " not in one
            assert "unless" not in one
            assert "ALERTS" not in one


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("a == 0", ["(a == bool 0)"]),
        ("a > on () group_left () b", ["(a > bool on () group_left () b)"]),
        ("(a or b) * on (x) c", ["(a * on (x) c)", "(b * on (x) c)"]),
        ("a == 0 unless on (h) max by (h) (b == 1)", ["(a == bool 0)", "max by (h) ((b == bool 1))"]),
        ('a > 1 or max(ALERTS{alertname="A"}) and c', ["(a > bool 1)"]),
        ('a{x!="=> or <"}[5m:1s] < 0.5 and b offset 1h', ['((a{x!="=> or <"}[5m:1s] < bool 0.5) and b)']),
    ],
)
def test_comparisons_go_and_labels_stay(expression: str, wanted: list[str]) -> None:
    """Each limb of an `or` by itself, what `unless` names by itself, what holds a firing alert not at all."""
    assert watched(expression) == wanted


def test_a_comparison_that_is_kept_is_noticed() -> None:
    """`unless` on its right side and a nested comparison are looked at; what is no PromQL is refused."""
    assert list(leaves(parse("a + on (x) max by (x) (b{c='d'}[5m:1s])"))) == ["a", "b{c='d'}[5m:1s]"]
    for wrong in ("a ==", "(a", "a b", "* a"):
        with pytest.raises(ValueError, match=r"expected|left over|where|more"):
            parse(wrong)
