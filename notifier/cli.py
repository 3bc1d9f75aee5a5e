"""`zads notify serve | test | explain | replay | incidents | ack | maintenance | oncall`."""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time

from notifier import cli_actions, cli_explain
from notifier.channels import Channel
from notifier.daemon import Notifier, build_channels, open_store, read_access
from notifier.model import Delivery, DeliveryError, Incident
from notifier.render import Renderer
from notifier.routing import Router
from zads import reload
from zads.config import CHANNELS, Config, load
from zads.serve import serve


def _serve(args: argparse.Namespace) -> int:
    config = load(args.config)
    token, password = read_access(config, str(args.config))
    channels = build_channels(config, str(args.config))
    router = Router(config)
    try:
        store = open_store(config, router)
    except sqlite3.Error as error:
        print(f"{config.notifier.store} cannot be used: {error}", file=sys.stderr)
        return 1
    notifier = Notifier(config, store, router, channels, token, password)

    def take(new: Config) -> None:
        """Begin anew with the new configuration, after what is being sent; one whose secrets are missing is refused."""
        read_access(new, str(args.config))
        build_channels(new, str(args.config))
        notifier.stop()
        reload.again(new)

    try:
        with reload.Listener(config.exporters.state_dir, "notifier", args.config, take):
            # Nothing is sent before the address is ours: another notifier may be sending from this record.
            listened = serve(notifier.application, config.notifier.listen, listening=notifier.start)
    finally:
        notifier.stop()
    return 0 if listened else 1


def _test(args: argparse.Namespace) -> int:
    config = load(args.config)
    for channel in build_channels(config, str(args.config)):
        if channel.name == args.channel:
            return _try(channel, Renderer(config.notifier.external_url))
    print(f"{args.channel} is not configured: add [notifier.{args.channel}]", file=sys.stderr)
    return 2


def _try(channel: Channel, renderer: Renderer) -> int:
    now = time.time()
    notes = {
        "summary": "Test from ZADS Monitor: nothing is wrong",
        "effect": "nothing to do",
        "impact": "None.",
        "first": "Nothing: you can read this, so it works.",
    }
    labels = {"alertname": "Test", "headline": "TEST MESSAGE"}
    incident = Incident(0, "test", "firing", "info", labels, notes, now, now)
    delivery = Delivery(int(now), incident, channel.name, "firing", 1, now)
    try:
        receipt = channel.send(delivery, renderer.message(delivery))
        if channel.name == "pagerduty":
            # An alert that stays open there would page again, or hide the next test.
            end = Delivery(int(now), incident, channel.name, "resolved", 1, now, references=receipt.references)
            channel.send(end, renderer.message(end))
    except DeliveryError as error:
        print(f"It did not arrive: {error}", file=sys.stderr)
        return 1
    for recipient, reason in receipt.missed.items():
        print(f"It did not arrive at {recipient}: {reason}", file=sys.stderr)
    ended = " and its end" if channel.name == "pagerduty" else ""
    print(f"{channel.name} accepted the test message{ended}.")
    return 1 if receipt.missed else 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads notify`."""
    parser = commands.add_parser("notify", help="the notifier")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("serve", help="take alerts in and tell people").set_defaults(func=_serve)
    test = actions.add_parser("test", help="send a marked test message and say whether it arrived")
    test.add_argument("--channel", required=True, choices=CHANNELS)
    test.set_defaults(func=_test)
    cli_explain.register(actions)
    cli_actions.register(actions)
