"""Shared by all tests: a skip that is not allowed is a failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zads import cache

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    line.split("#", 1)[0].strip()
    for line in (ROOT / "tests" / "allowed_skips.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#", 1)[0].strip()
}
# promtool, amtool and the like, where `make up` unpacked them; as the make targets do.
os.environ["PATH"] += f"{os.pathsep}{cache.folder() / 'bin'}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail") and item.nodeid not in ALLOWED:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and tests/allowed_skips.txt does not allow it: {report.longrepr}"


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
