"""`zads config apply`: check, render, let the programs check, swap, reload; all back when one of them refuses.

A bad file changes nothing. What came of it is recorded for a metric and an alert, whatever came of it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zads import apply_programs, apply_record, reload, render
from zads.apply_files import Swap, with_kept_lines
from zads.config import Config, ConfigError, parse, read

_PATIENCE = 20.0


class ApplyRefused(Exception):
    """zads.toml is right by itself, and was not put into effect: who refused, and what stands now."""

    def __init__(self, errors: Iterable[ConfigError], now: str) -> None:
        self.errors, self.now = tuple(errors), now
        super().__init__("\n".join([*(str(error) for error in self.errors), now]))


class ApplyRuns(Exception):
    """Another apply has not ended yet."""


def apply(source: Path, directory: Path | None = None, rules: Path | None = None, patience: float = _PATIENCE) -> list[str]:
    """Put zads.toml into effect and return what was done.

    `directory` and `rules` go before what zads.toml names; each of our programs has `patience` seconds to answer.
    Raises ConfigErrors (zads.toml is wrong), ApplyRefused (a program refuses), ApplyRuns or OSError; then what
    was in effect before still is.
    """
    text = ""
    try:
        text = read(source)
        config = aimed(parse(text, str(source)), directory, rules)
        with _only_one(config.exporters.state_dir):
            lines, copy = _put(config, text, patience)
            apply_record.applied(config.exporters.state_dir, source.resolve(), reload.digest(copy))
            return lines
    except ApplyRuns:
        raise  # the other one records its own outcome
    except BaseException as error:  # an interruption too: the file that was asked for is not in effect
        apply_record.refused(apply_record.state_dir_of(text), source.resolve(), error)
        raise


def aimed(config: Config, directory: Path | None, rules: Path | None) -> Config:
    """Return the configuration with other folders for the rendered files and the rules."""
    wanted = {"directory": directory, "rules": rules}
    update = {key: path for key, path in wanted.items() if path is not None}
    return config.model_copy(update={"rendered": config.rendered.model_copy(update=update)})


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Hold the lock of apply; raises ApplyRuns when another process holds it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "apply.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ApplyRuns(f"another apply (process {file.read().strip() or 'unknown'}) has not ended yet") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _put(config: Config, text: str, patience: float) -> tuple[list[str], str]:
    directory, rules = config.rendered.directory, config.rendered.rules.resolve()
    copy = with_kept_lines(text, _former_copy(config.rendered.site))
    if copy != text:
        config = aimed(parse(copy, str(config.rendered.site)), directory, config.rendered.rules)
    files = {**render.render(config, rules), config.rendered.site.name: copy}
    refused = apply_programs.check(files, rules) or apply_programs.unreachable(config)
    if refused:
        raise ApplyRefused(refused, "Nothing was changed.")
    swap = Swap(directory, files)
    try:
        swap.forward()
        refused = _reload(config, files, patience)
    except BaseException:
        _back(swap, config, files, patience)
        raise
    if refused:
        raise ApplyRefused(refused, _back(swap, config, files, patience))
    swap.done()
    return _told(config, swap), copy


def _former_copy(site: Path) -> str | None:
    try:
        return site.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _reload(config: Config, files: dict[str, str], patience: float) -> list[ConfigError]:
    """Reload Prometheus and Alertmanager, and ours only when both have taken their files."""
    return apply_programs.reload(config, files) or reload.hang_up(config.exporters.state_dir, patience)


def _back(swap: Swap, config: Config, files: dict[str, str], patience: float) -> str:
    """Put the former files back, have them loaded, and return what stands now."""
    former = {name: text for name in files if (text := swap.former(name)) is not None}
    swap.back()
    if "prometheus.yml" not in former or "alertmanager.yml" not in former:
        return "There were no former files: the new ones were removed again."
    errors = apply_programs.reload(config, {**files, **former}) + reload.hang_up(config.exporters.state_dir, patience)
    if errors:
        return "The former files were put back, but not all took them: " + "; ".join(str(error) for error in errors)
    return "The former files were put back and loaded again."


def _told(config: Config, swap: Swap) -> list[str]:
    lines = [f"{name} changed" for name in swap.changed] or ["nothing changed"]
    programs = reload.living(config.exporters.state_dir)
    copy = str(config.rendered.site.resolve())
    names = ", ".join(entry.name for entry in programs) or "none of our own programs runs"
    lines.append(f"Prometheus and Alertmanager have loaded it; of our own: {names}")
    lines += [f"{e.name} reads {e.config}, not the applied copy {copy}" for e in programs if e.config != copy]
    return lines
