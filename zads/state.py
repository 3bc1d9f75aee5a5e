"""One small JSON file with what has to survive a restart: checked when it is read, replaced as a whole when it is written.

A file that is no good is kept under another name, since it may be all that is left of a year's totals: that is
logged once and counted, and what it held begins anew.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
# What code that reads foreign JSON raises: no text, no JSON, another shape, other types, absurd numbers or depths.
_NO_GOOD = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


class StateFile:
    """A file that one thread at a time loads and saves; `holds` names its content in messages ("totals")."""

    def __init__(self, file: Path, holds: str = "totals") -> None:
        self.file, self._holds = file, holds
        self._errors: Counter[str] = Counter()
        self._written: str | None = None
        self._is_failing = False

    def load(self, take: Callable[[Any], T]) -> T | None:
        """Return what `take` makes of the file's content; None where there is no file, or none that is good.

        `take` is the validation: it raises ValueError, KeyError, TypeError or the like on what it does not understand,
        and must have changed nothing then.
        """
        try:
            return take(json.loads(self.file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except _NO_GOOD as error:
            self._errors["StateDamaged"] += 1
            self._put_aside(f"{type(error).__name__}: {error}"[:200])
            return None

    def save(self, content: Mapping[str, Any]) -> bool:
        """Write the content in place of the former one, unless it is the same; return whether it is in the file.

        Never raises: a folder that cannot be written is said once and counted, and tried again at the next call.
        """
        text = json.dumps(content, separators=(",", ":"))
        if text == self._written:
            return True
        partial = self.file.with_suffix(".new")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())  # else a power cut may leave an empty file under the right name
            partial.replace(self.file)
        except OSError as error:
            self._errors["StateNotSaved"] += 1
            if not self._is_failing:
                _LOG.warning(
                    "%s cannot be kept in %s (%s): a restart would begin anew", self._holds, self.file, error.strerror
                )
            self._is_failing = True
            with suppress(OSError):
                partial.unlink()
            return False
        if self._is_failing:
            _LOG.info("%s are kept in %s again", self._holds, self.file)
        self._written, self._is_failing = text, False
        return True

    def errors(self) -> dict[str, int]:
        """Return what went wrong since the last call, by reason, for Reading.errors."""
        errors, self._errors = self._errors, Counter()
        return dict(errors)

    def _put_aside(self, why: str) -> None:
        aside = self.file.with_name(f"{self.file.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        try:
            self.file.replace(aside)
        except OSError as error:
            _LOG.error("%s is damaged (%s) and cannot be put aside (%s): %s begin anew", self.file, why, error, self._holds)
        else:
            _LOG.error("%s is damaged (%s): it is kept as %s, and %s begin anew", self.file, why, aside.name, self._holds)
