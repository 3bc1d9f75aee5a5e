"""`zads notify serve | test | explain | replay | incidents | ack | maintenance | oncall`."""

from __future__ import annotations

import argparse
import sqlite3
import sys

from notifier import cli_actions, cli_explain, cli_mail_report, cli_password, gallery
from notifier.channels import Channel
from notifier.daemon import Notifier, build_channels, open_store, read_access
from notifier.page_trial import send_test
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
    arrived, words = send_test(channel, renderer)
    print(words, file=sys.stdout if arrived else sys.stderr)
    return 0 if arrived else 1


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
    cli_password.register(actions)
    cli_mail_report.register(actions)
    shown = actions.add_parser("gallery", help="write every kind of message to files")
    shown.add_argument("folder")
    shown.set_defaults(func=lambda args: gallery.main([args.folder]))
