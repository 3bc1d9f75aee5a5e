"""Matchers on labels, written as Alertmanager writes them: `community="lasair"`, `alertname=~"Kafka.*"`.

Source: https://prometheus.io/docs/alerting/latest/configuration/#matcher (the classic syntax, one matcher a text).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*"|[^"\s,{}]*)\s*')


@dataclass(frozen=True)
class Matcher:
    """One condition on one label; a label that is absent counts as empty, as in Prometheus."""

    label: str
    operator: str
    value: str

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels fit."""
        have = labels.get(self.label, "")
        if self.operator in {"=", "!="}:
            return (have == self.value) == (self.operator == "=")
        return (re.fullmatch(self.value, have, re.DOTALL) is not None) == (self.operator == "=~")

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{json.dumps(self.value, ensure_ascii=False)}"


@lru_cache(maxsize=1024)
def parse_matcher(text: str) -> Matcher:
    """Return the matcher that a text writes.

    Raises ValueError with an example where it is none, or where its pattern is no regular expression.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"""{text!r} is no matcher; write for example 'community="lasair"' or 'alertname=~"Kafka.*"'""")
    label, operator, value = found.groups()
    if value.startswith('"'):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f"{text!r}: only JSON's escapes may stand in the quotes") from None
    if operator.endswith("~"):
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{text!r}: {value!r} is no regular expression: {error}") from None
    return Matcher(label, operator, value)


def fit(matchers: Iterable[str], labels: Mapping[str, str]) -> bool:
    """Tell whether labels fit all of the matchers.

    Raises ValueError for a text that is no matcher.
    """
    return all(parse_matcher(text).fits(labels) for text in matchers)
