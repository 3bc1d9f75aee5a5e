"""The pages' stylesheet, and the hash by which browsers know it for ours: no other style is obeyed."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def style() -> str:
    """Return the stylesheet, which stands in each page."""
    return (files("notifier") / "page.css").read_text(encoding="utf-8")


@cache
def style_hash() -> str:
    """Return the source expression for a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()}'"
