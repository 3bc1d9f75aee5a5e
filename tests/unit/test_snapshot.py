"""The fast text is the same as prometheus_client's own, for any label text."""

from __future__ import annotations

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from zads.snapshot import WideFamily

labels = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@settings(max_examples=200)
@given(st.dictionaries(st.tuples(labels, labels, st.integers(0, 99)), st.integers(0, 2**60), max_size=8))
def test_parses_to_the_same_samples(samples: dict[tuple[str, str, int], int]) -> None:
    """Quotes, backslashes, newlines and everything else survive."""
    text = WideFamily("kafka_consumergroup_lag").render(samples.items()).decode()
    parsed = {
        (s.labels["consumergroup"], s.labels["topic"], int(s.labels["partition"])): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert parsed == samples


def test_promtool_accepts_it() -> None:
    """Prometheus' own linter has nothing to say."""
    family = WideFamily("kafka_consumergroup_lag")
    text = family.render([(('a"b\\c\nd', "ztf", 0), 3), (("é", "ztf", 1), 0)])
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_series_that_are_gone_are_forgotten() -> None:
    """Prefixes are kept only while their series live."""
    family = WideFamily("kafka_consumergroup_lag")
    family.render([(("a", "t", 0), 1), (("b", "t", 0), 1)])
    assert b'"b"' not in family.render([(("a", "t", 0), 1)])
    assert len(family._prefixes) == 1
