"""The fast text is the same as prometheus_client's own, for any label text, and its gzip is a gzip."""

from __future__ import annotations

import gzip
import subprocess
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from zads.snapshot import Page, Part, WideFamily

labels = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
texts = st.lists(st.tuples(st.sampled_from([0, 1, 30, 2000, 9000]), st.binary(max_size=5)), max_size=12)


@settings(max_examples=200)
@given(st.dictionaries(st.tuples(labels, labels, st.integers(0, 99)), st.integers(0, 2**60), max_size=8))
def test_parses_to_the_same_samples(samples: dict[tuple[str, str, int], int]) -> None:
    """Quotes, backslashes, newlines and everything else survive, written whole or from a prefix."""
    family = WideFamily("kafka_consumergroup_lag")
    by_prefix = "".join(f'{family.prefix(g, t)}{n}"}} {value}\n' for (g, t, n), value in samples.items())
    for text in (family.render(samples.items()).decode(), family.head.decode() + by_prefix):
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


def test_a_family_without_series_has_no_text() -> None:
    """Not even its head."""
    assert WideFamily("kafka_consumergroup_lag").render([]) == b""


@given(texts)
def test_a_page_put_together_from_parts_is_one_valid_gzip(pieces: list[tuple[int, bytes]]) -> None:
    """Short and long parts in any order, empty ones too: one gzip member with the right check sum and length."""
    parts = [Part(content * count) for count, content in pieces]
    page = Page(parts)
    expected = b"".join(content * count for count, content in pieces)
    assert page.text() == b"".join(page.chunks()) == expected
    assert page.size == len(expected)
    compressed = page.gzip()
    assert gzip.decompress(compressed) == expected
    engine = zlib.decompressobj(31)
    assert engine.decompress(compressed) == expected
    assert engine.eof, "one member, complete, for clients that read only one"
    assert not engine.unused_data


def test_a_long_part_is_not_kept_as_text() -> None:
    """Memory holds the deflated lines only: a twentieth."""
    line = WideFamily("kafka_consumergroup_lag").lines([(("lasair", "ztf_20260401_programid1", 3), 12)])
    part = Part(line * 2000)
    assert part.text() == line * 2000
    assert len(part.stream()) < part.size / 20
