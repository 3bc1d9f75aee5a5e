"""A notifier on ports of its own; and a record with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.notifier.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    try:
        site.start_providers()
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Site]:
    """Give a site of which nothing runs yet."""
    site = Site(tmp_path)
    try:
        yield site
    finally:
        site.close()
