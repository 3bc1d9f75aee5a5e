"""The PromQL expressions that docs/exporters.md gives, by name."""

from __future__ import annotations

import re
from pathlib import Path

DOC = Path(__file__).resolve().parents[2] / "docs" / "exporters.md"
_BLOCK = re.compile(r"^```promql ([\w-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documented() -> dict[str, str]:
    """Return the expressions."""
    found = _BLOCK.findall(DOC.read_text(encoding="utf-8"))
    assert len(dict(found)) == len(found), "two expressions have one name"
    return dict(found)
