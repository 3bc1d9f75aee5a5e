"""docs/drills.md: how to run the drills, what each does, and the times of a real run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.drills import table
from tests.drills.catalogue import BESIDE, NOT_DRILLED, PHASES
from tests.drills.model import Drill

_HEAD = """# Drills

Faults on the running stack, and what the operator is told of them. Written by `make drill` from a run (`--markdown`); what has to
be told, in which time, and what may be told besides stands in `tests/drills/catalogue.py`.

    make up
    make drill                                          # all, under an hour
    .venv/bin/python -m tests.drills --list
    .venv/bin/python -m tests.drills --only Kafka       # those with a word in their name
    .venv/bin/python -m tests.drills --messages DIR     # every message that arrived, to be read as the operator would
    .venv/bin/python -m tests.drills --markdown docs/drills.md

Each drill waits until nothing else is wrong, runs the checks of [runbook.md](runbook.md), causes its fault by `zads sim`, waits for the
messages at the stand-ins, runs the checks again (they have to print something else now), heals, and waits for the end. It fails when
something is not told, or late, or twice, or when anything else pages or makes a ticket. Those in one row of "beside each other" do not
touch each other. What came of each is kept in `.stack/drills`: a part that is run again replaces its rows only.

**detected**: from the fault until Prometheus says that the alert fires. **told**: until the last channel has it. **waiting**:
*seen*, from the fault until the condition holds (the exporters look every {collect:g} s, Prometheus scrapes every {scrape:g} s and
evaluates every {evaluate:g} s; a lag has to grow first); *for*, the rule's own wait; *group*, until the notifier has it; *delivery*,
until the last stand-in has it. What is over {looks:g} s to see, 2 s to group and 2 s to deliver is called avoidable.
"""
_WAITING = """
## What of the waiting can be avoided

- A page for a dead Kafka takes at most {looks:g} s to be seen, 20 s of `for`, 1 s of Alertmanager's `group_wait` and a fraction of a second
  to be delivered: {most:g} s and some rounding. A scrape every 5 s would take 2.5 s from it on the average, for twice the data.
- `for: 20s` is what keeps a restart by the supervisor, or by systemd, from waking somebody. It is the price of sleeping.
- Nothing waits between Alertmanager and the provider: each alert is its own group, the notifier sends as soon as it has committed.
- Prometheus or Alertmanager dead: the Watchdog is missed for {blind:g} s before the notifier calls itself blind, since a restart of either
  takes some of it.
"""


def document(found: Sequence[Any], drills: Sequence[Drill], config: Any) -> str:
    """Return the file's text; `found` is what was kept of the drills."""
    scrape, evaluate = config.prometheus.scrape_interval, config.prometheus.evaluation_interval
    looks = config.exporters.interval + scrape + evaluate
    facts = {"collect": config.exporters.interval, "scrape": scrape, "evaluate": evaluate, "looks": looks}
    rows = [table.Row(**row) for one in found for row in one["rows"]]
    times = [one["at"] for one in found]
    when = f"{datetime.fromtimestamp(min(times), UTC):%Y-%m-%d %H:%M}" if times else "never"
    good = sum(not one["wrong"] for one in found)
    parts = [
        _HEAD.format(**facts),
        f"\n## The last run\n\n{when} UTC, {_machine()}. {good} of {len(found)} drills as they should be"
        f"{'' if len(found) == len(drills) else f' (there are {len(drills)})'}.\n\n",
        table.markdown(rows),
        _WAITING.format(**facts, most=looks + 21, blind=120),
        "\n## What each does\n\n",
        *(
            f"- **{drill.name}**: {_causes(drill)}{f' ({drill.about})' if drill.about else ''}.{_may(drill)}\n"
            for drill in drills
        ),
        "\n## Beside each other\n\n",
        f"All the time: {', '.join(drill.name for drill in BESIDE)}.\n\n",
        *(f"{number}. {_phase(phase)}\n" for number, phase in enumerate(PHASES, 1)),
        "\n## Pages without a drill\n\n",
        *(f"- {name}: {why}.\n" for name, why in NOT_DRILLED.items()),
        "\n## Checks of the runbook that told no difference\n\n",
        *(_silent(found) or ["None.\n"]),
    ]
    return "".join(parts)


def _causes(drill: Drill) -> str:
    return "; then ".join(f"`zads sim {'`, `zads sim '.join(stage.causes)}`" for stage in drill.stages)


def _may(drill: Drill) -> str:
    return "".join(f" {name} may be told besides: {why}." for name, why in drill.may.items())


def _phase(phase: Sequence[Sequence[Drill]]) -> str:
    return " | ".join(", then ".join(drill.name for drill in lane) for lane in phase)


def _silent(found: Sequence[Any]) -> list[str]:
    return [
        f"- {one['drill']}: `{check['command']}` ({check['alert']})\n"
        for one in found
        for check in one["checks"]
        if not check["differs"]
    ]


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = next(
        (line.split("=", 1)[1].strip('"') for line in _release().splitlines() if line.startswith("PRETTY_NAME=")),
        platform.system(),
    )
    load = os.getloadavg()[2]
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {release}, Python {platform.python_version()}, load {load:.1f} over 15 min at its end"


def _release() -> str:
    file = Path("/etc/os-release")
    return file.read_text(encoding="utf-8") if file.exists() else ""
