"""What the config accepts and this machine cannot do is said before the start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zads import kafka
from zads.config import KafkaCluster


def test_kerberos_without_its_library_is_told_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` names the key and what to install; with the library there is nothing to say."""
    cluster = KafkaCluster(bootstrap=("127.0.0.1:1",), security_protocol="SASL_PLAINTEXT", sasl_mechanism="GSSAPI")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "gssapi").is_dir()])
    [(key, words)] = kafka.faults(cluster)
    assert key == "sasl_mechanism"
    assert "gssapi" in words and "kinit" in words
    (tmp_path / "gssapi").mkdir()
    (tmp_path / "gssapi" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not kafka.faults(cluster)
