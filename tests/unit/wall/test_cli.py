"""`zads wall serve` as a process: it answers, drains on SIGTERM and ends with 0."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_serve_answers_without_prometheus_and_ends_with_0(tmp_path: Path):
    """It starts with nothing to look at, is alive, says BLIND, and SIGTERM is a clean end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (ROOT / "zads.toml").read_text(encoding="utf-8")
    text = re.sub(r'(\[wall\]\nlisten = )".*"', rf'\1"127.0.0.1:{port}"', text)
    text = re.sub(r'(\[prometheus\]\naddress = )".*"', r'\1"127.0.0.1:9"', text)
    path = tmp_path / "zads.toml"
    path.write_text(text, encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-m", "zads.cli", "--config", str(path), "wall", "serve"], cwd=ROOT)
    try:
        url = f"http://127.0.0.1:{port}"
        assert _get(f"{url}/-/healthy") == "alive\n"
        assert '"word":"BLIND"' in _get(f"{url}/api/health.json")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def _get(url: str) -> str:
    end = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read(), "utf-8")
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
