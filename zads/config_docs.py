"""docs/config.md, generated from the models: `python -m zads.config_docs > docs/config.md`."""

from __future__ import annotations

import sys

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from zads.config_schema import example, kind, shape, tables, toml, unit

_HEAD = """# zads.toml

Generated from `zads/config_models.py`, `zads/config_notifier.py` and `zads/config_programs.py` by `make generate`: edit those instead.

One file names everything once; what other programs read is rendered from it.

    zads config check              # every error at once: file:LINE: dotted.path: what is wrong; what the key means. Exit code 2
    zads config check --secrets    # reads every secret too, and says which cannot be had
    zads config print              # the values in effect as JSON
    zads config render [DIR]       # writes what other programs read: for a first start, before they run
    zads config apply [DIR]        # checks, renders, swaps, reloads everything; puts the old files back when one refuses
    zads init --bootstrap HOST:PORT  # looks at a Kafka and writes a zads.toml to start from

Durations are written as "30s", "20m", "1h30m", "7d", or as a number of seconds. Paths that do not begin with / count from the folder
where the command runs. An unknown key is an error. Only `[kafka.public]` is required; a key without a default, in a table that is
written, has to be there.

**Secrets** never stand here. Each has two keys, of which exactly one is written: `..._file` names a file that holds it, `..._env` an
environment variable. Where Alertmanager or Prometheus needs a secret that stands in the environment, `render` and `apply` write it to
`DIR/secrets/`, readable by its owner and group.

**Applying.** Our own programs read the applied copy, `DIR/zads.toml`, and read it again on SIGHUP; Prometheus and Alertmanager read
`DIR/prometheus.yml` and `DIR/alertmanager.yml` and have to be started with that (Prometheus with `--web.enable-lifecycle`). `apply`
changes these files only when zads.toml is right and promtool and amtool agree; then all reload, each is asked what it has loaded, and
when one refuses the old files come back. The outcome stands in `state_dir`/config-applied.json, from which a metric and an alert are
made. A line of the applied copy that ends with the comment `# kept by zads config apply` outlives an apply: the local stack keeps its
site under a dark sky with it.
"""


def _row(name: str, field: FieldInfo) -> str:
    if shape(field.annotation).model:
        return ""  # a table of its own
    duration = kind(field).name == "duration"
    if name == "routes":
        default = "the configured channels"
    elif field.is_required():
        default = "required"
    elif field.default in (None, ()) or field.default == "":
        default = "none"
    else:
        default = _code(toml(field.default, duration=duration))
    sample = example(field)
    cells = [f"`{name}`", kind(field).name, unit(field), default, _code(sample) if sample else "", field.description or ""]
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _table(heading: str, model: type[BaseModel]) -> str:
    lines = [f"## {heading}", "", " ".join((model.__doc__ or "").split()), ""]
    rows = [row for name, field in model.model_fields.items() if (row := _row(field.alias or name, field))]
    lines += ["| key | type | unit | default | example | meaning |", "|---|---|---|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def text() -> str:
    """Return docs/config.md."""
    return "\n".join([_HEAD, *(_table(heading, model) for heading, model in tables())])


if __name__ == "__main__":
    sys.stdout.write(text())
