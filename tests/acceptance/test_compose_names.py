"""`make up` shows what the containers of docker-compose.yml are compared with."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
_NAMES = Path(__file__).parents[1] / "compose" / "metric_names.txt"


def test_the_stack_shows_every_metric_that_the_containers_have_to(stack: Stack) -> None:
    """The list that `make compose-test` goes by holds no name that the running stack does not have."""
    wanted = set(_NAMES.read_text(encoding="utf-8").split())

    def all_seen() -> bool:
        url = "http://127.0.0.1:29090/api/v1/label/__name__/values"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return wanted <= set(json.load(answer)["data"])

    stack.wait(120, f"all names of {_NAMES.name}", all_seen)
    assert not [name for name in wanted if ":" in name], "a value in a name is a new metric each time"
