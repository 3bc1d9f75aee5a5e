"""What a check of zads.toml says: what is wrong, where, and what else has to be right for it to be believed."""

from __future__ import annotations

from dataclasses import dataclass

from zads.config_schema import Path

Need = tuple[str | int | None, ...]  # None stands for every entry of a list


@dataclass(frozen=True)
class Finding:
    """What is wrong at a place; it is only believed where `path` and all that it `needs` were right by themselves."""

    path: Path
    message: str
    needs: tuple[Need, ...] = ()
