"""`python -m notifier.gallery DIR`: every kind of message, as each channel hands it over, in files to look at.

The alerts are those that the rules' tests expect (alertrules/tests, held to be true by promtool); the channels are the
real ones, and what stands in the files is what they sent. DIR/index.html shows all.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from notifier import gallery_cases
from notifier.channels import Channel
from notifier.gallery_cases import Case
from notifier.gallery_pages import Shown, index, picture
from notifier.gallery_wire import Wire, channels, taking
from notifier.message import Message
from notifier.page_trial import send_test
from notifier.render import Renderer
from notifier.routing import Router
from zads.config import Config


def build(folder: Path, cases: Iterable[Case]) -> list[Shown]:
    """Write all files and return what was shown."""
    folder.mkdir(parents=True, exist_ok=True)
    with taking() as wire:
        config = gallery_cases.site(wire.url)
        by_name = channels(config, wire)
        shown = [_case(folder, case, config, by_name, wire) for case in cases]
    (folder / "index.html").write_text(index(shown), encoding="utf-8")
    return shown


def message_of(case: Case, config: Config, channel: str) -> Message:
    """Return the message that a channel is given."""
    renderer = _renderer(case, config)
    many = [replace(one, channel=channel) for one in case.many]
    message = renderer.digest(many) if many else renderer.message(case.by(channel))
    if case.memory:
        message = message.noting(f"Sent from memory: the notifier's record cannot be written ({case.memory}).")
    return message


def _renderer(case: Case, config: Config) -> Renderer:
    # Prometheus' numbers go with what concerns the stream, as notifier.facts decides.
    return Renderer(
        config.notifier.external_url,
        router=Router(config),
        facts=lambda _incident: case.facts,
        reminder=config.notifier.reminder,
        clock=lambda: case.now,
    )


def _case(folder: Path, case: Case, config: Config, by_name: dict[str, Channel], wire: Wire) -> Shown:
    shown = Shown(case.name, case.about)
    for name in case.only:
        wire.taken()
        if case.trial:
            arrived, words = send_test(by_name[name], _renderer(case, config), case.now)
            assert arrived, words
        else:
            message = message_of(case, config, name)
            shown.title = shown.title or message.title
            _write(folder, shown, "text", "txt", message.text)
            by_name[name].send(case.by(name), message)
        _keep(folder, shown, name, wire)
    if shown.slack or shown.push:
        _write(folder, shown, "slack and phone", "picture.html", picture(shown))
    return shown


def _keep(folder: Path, shown: Shown, name: str, wire: Wire) -> None:
    mails, calls = wire.taken()
    for mail in mails:
        _write(folder, shown, "mail", "eml", mail)
        parsed = email.message_from_bytes(mail, policy=email.policy.default)
        body = parsed.get_body(("html",))
        assert body is not None
        shown.mail = _write(folder, shown, "mail's html", "mail.html", body.get_content())
    if not calls:
        return
    _write(folder, shown, name, f"{name}.json", json.dumps([{"call": call, "body": body} for call, body in calls], indent=1))
    if name == "slack":
        shown.slack = calls
    elif name == "pagerduty":
        shown.push = calls[0][1]["payload"]["summary"]
        shown.title = shown.title or shown.push


def _write(folder: Path, shown: Shown, name: str, ending: str, content: str | bytes) -> str:
    path = f"{shown.name}.{ending}"
    (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    shown.files[name] = path
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m notifier.gallery", description="Write every kind of message to files.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--tests", type=Path, default=Path("alertrules/tests"), metavar="DIR", help="the rules' tests")
    given = parser.parse_args(arguments)
    try:
        shown = build(given.folder, [*gallery_cases.of_states(), *gallery_cases.of_rules(given.tests)])
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{len(shown)} messages: {given.folder / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
