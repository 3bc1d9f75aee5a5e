"""The runbook and the alert rules, where they are: in a checkout's docs/ and alertrules/, or inside the installed package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).resolve().parent
_RUNBOOKS = (_HERE.parent / "docs" / "runbook.md", _HERE / "runbook.md")
_RULES = (_HERE.parent / "alertrules", _HERE / "alertrules")


@dataclass(frozen=True)
class Rule:
    """One alerting or recording rule, as its file has it."""

    file: str
    name: str
    expression: str
    alert: bool
    wait: str = "0s"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> str:
        """Its severity in words; where the rule has none, it is the service's own."""
        return self.labels.get("severity", "as zads.toml says for the service")

    def mentions(self, word: str) -> bool:
        """Tell whether the rule's expression or texts have a label or series of that name."""
        texts = (self.expression, *self.labels.values(), *self.annotations.values())
        return word in self.labels or any(re.search(rf"(?<![\w:]){re.escape(word)}(?![\w:])", text) for text in texts)


def runbook_text() -> str | None:
    """Return the runbook's Markdown, or None where it is not installed."""
    file = next((file for file in _RUNBOOKS if file.exists()), None)
    return file.read_text(encoding="utf-8") if file else None


def section(text: str, alert: str) -> str | None:
    """Return what stands under an alert's heading, without the heading, or None."""
    found = re.search(rf"^## {re.escape(alert)}\s*\n(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else None


def read_rules(configured: Path | None = None) -> list[Rule]:
    """Return the rules of the configured folder, else of the checkout, else of the installed package.

    Raises OSError or ValueError when a file cannot be read.
    """
    folders = ([configured] if configured else []) + list(_RULES)
    folder = next((folder for folder in folders if list(folder.glob("*.rules.yml"))), None)
    rules: list[Rule] = []
    for file in sorted(folder.glob("*.rules.yml")) if folder else ():
        try:
            content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
            for group in content["groups"]:
                rules += [_rule(file.name, entry) for entry in group["rules"]]
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file} holds no rules of Prometheus ({error}); `promtool check rules {file}` says more"
            ) from None
    return rules


def _rule(file: str, entry: Mapping[str, Any]) -> Rule:
    return Rule(
        file,
        entry.get("alert") or entry["record"],
        entry["expr"].strip(),
        "alert" in entry,
        str(entry.get("for", "0s")),
        {key: str(value) for key, value in entry.get("labels", {}).items()},
        {key: str(value) for key, value in entry.get("annotations", {}).items()},
    )
