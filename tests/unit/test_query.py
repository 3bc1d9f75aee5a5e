"""`zads query` with a real Prometheus: one line a series, "nothing" for none, a sentence for an error."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backfilled import backfilled
from zads import query_cli


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder, now = tmp_path_factory.mktemp("query"), time.time()
    recent = [(now - 120, 1.0), (now - 60, 2.0), (now + 600, 2.0)]
    with backfilled(folder, {'up{job="b"}': recent, 'up{job="a",host="h"}': recent}) as address:
        file = folder / "zads.toml"
        file.write_text(f'[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n[prometheus]\naddress = "{address}"\n')
        yield file


def _run(toml: Path, expression: str) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    query_cli.register(parser.add_subparsers())
    args = parser.parse_args(["--config", str(toml), "query", expression])
    return int(args.func(args))


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("up", ["up host=h job=a: 2", "up job=b: 2"]),
        ("sum(up)", ["value: 4"]),
        ("sum by (job) (up) / 8", ["job=a: 0.25", "job=b: 0.25"]),
        ("up > 9", ["nothing"]),
        ("1 + 1", ["value: 2"]),
    ],
)
def test_each_series_is_a_line(toml: Path, expression: str, printed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(toml, expression) == 0
    assert capsys.readouterr().out.splitlines() == printed


def test_what_is_no_expression_is_said(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(toml, "sum(") == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("zads query: Prometheus at ") and "parse error" in said.err
