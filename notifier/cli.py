"""`zads notify serve | test | explain | replay`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from notifier.channels import Channel
from notifier.dispatch import Dispatcher
from notifier.model import Delivery, DeliveryError, Incident
from notifier.render import render
from notifier.routing import channels_for, fallback_for, on_call
from notifier.store import Store
from notifier.watch import Watch
from notifier.webhook import Application
from zads.config import Config, ConfigError, ConfigErrors, host_port, load, read_secret


def _secret(errors: list[ConfigError], path: str, file: Path) -> str:
    try:
        return read_secret(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        errors.append(ConfigError(path, f"{file} cannot be read: {reason}"))
        return ""


def build_channels(config: Config, source: str) -> list[Channel]:
    """Return the configured channels.

    Raises ConfigErrors with every secret that is missing.
    """
    from notifier.channels.email import EmailChannel
    from notifier.channels.pagerduty import PagerDutyChannel
    from notifier.channels.slack import SlackChannel

    settings, errors, channels = config.notifier, list[ConfigError](), list[Channel]()
    if settings.pagerduty:
        key = _secret(errors, "notifier.pagerduty.routing_key_file", settings.pagerduty.routing_key_file)
        channels.append(PagerDutyChannel(settings.pagerduty, key, config.site.name))
    if settings.slack:
        channels.append(
            SlackChannel(settings.slack, _secret(errors, "notifier.slack.token_file", settings.slack.token_file))
        )
    if settings.email:
        channels.append(EmailChannel(settings.email))
    if errors:
        raise ConfigErrors(source, errors)
    return channels


def _serve(args: argparse.Namespace) -> int:
    config = load(args.config)
    errors: list[ConfigError] = []
    token = _secret(errors, "notifier.token_file", config.notifier.token_file)
    password = None
    if config.notifier.password_file:
        password = _secret(errors, "notifier.password_file", config.notifier.password_file)
    if errors:
        raise ConfigErrors(str(args.config), errors)
    channels = build_channels(config, str(args.config))
    try:
        store = _open(config)
    except sqlite3.Error as error:
        print(f"{config.notifier.store} cannot be used: {error}", file=sys.stderr)
        return 1
    dispatcher = Dispatcher(
        store,
        channels,
        config.notifier.external_url,
        fallback=lambda channel, severity, broken: fallback_for(config, channel, severity, broken),
    )
    watch = Watch(config, store, dispatcher, os.environ.get("ZADS_DEADMAN_URL"))
    application = Application(config, store, dispatcher, watch, token, password).build()
    host, port = host_port(config.notifier.listen)
    dispatcher.start()
    watch.start()
    server = uvicorn.Server(
        uvicorn.Config(application, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    )
    try:
        asyncio.run(server.serve())
    except KeyboardInterrupt:
        pass
    finally:
        watch.stop()
        dispatcher.stop()
        store.close()
    return 0 if server.started else 1


def _open(config: Config) -> Store:
    """Open the record; a damaged one is moved aside and begun anew, aloud."""
    file = config.notifier.store

    def routes(severity: str) -> tuple[str, ...]:
        return channels_for(config, severity)

    try:
        return Store(file, routes)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        aside = file.with_suffix(f".damaged-{int(time.time())}")
        file.rename(aside)
        for extra in ("-wal", "-shm"):
            Path(f"{file}{extra}").unlink(missing_ok=True)
        print(f"{file} is damaged ({error}): it was moved to {aside}, a new one is begun", file=sys.stderr)
        return Store(file, routes)


def _test(args: argparse.Namespace) -> int:
    config = load(args.config)
    now = time.time()
    incident = Incident(
        int(now),
        "test",
        "firing",
        "info",
        {"alertname": "Test", "headline": "TEST MESSAGE"},
        {
            "summary": "Test from ZADS Monitor: nothing is wrong",
            "impact": "None.",
            "first": "Nothing: you can read this, so it works.",
        },
        now,
        now,
        None,
        None,
        "",
    )
    for channel in build_channels(config, str(args.config)):
        if channel.name == args.channel:
            delivery = Delivery(int(now), incident, channel.name, "firing", 1, now)
            try:
                channel.send(delivery, render(delivery, config.notifier.external_url, now))
            except DeliveryError as error:
                print(f"It did not arrive: {error}", file=sys.stderr)
                return 1
            print(f"{args.channel} accepted the test message.")
            return 0
    print(f"{args.channel} is not configured: add [notifier.{args.channel}]", file=sys.stderr)
    return 2


def _explain(args: argparse.Namespace) -> int:
    config = load(args.config)
    labels = dict(pair.split("=", 1) for pair in args.labels if "=" in pair)
    severity = labels.get("severity", "ticket")
    channels = channels_for(config, severity)
    known = severity in config.notifier.routes
    print(
        f"severity {severity}{'' if known else ' (not known: treated as ticket)'}: {', '.join(channels) or 'noted, nobody is told'}"
    )
    print(f"on call now: {on_call(config, datetime.now(UTC)) or 'nobody is named'}")
    for channel in channels:
        other = fallback_for(config, channel, severity)
        print(f"when {channel} refuses for good: {other or 'the others have it already'}, and ChannelUnhealthy is raised")
    if severity == "page":
        print(f"reminder every {config.notifier.reminder / 60:.0f} min until somebody acknowledges")
    return 0


def _replay(args: argparse.Namespace) -> int:
    store = _open(load(args.config))
    print(f"{store.replay()} parked messages are queued again")
    store.close()
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads notify`."""
    parser = commands.add_parser("notify", help="the notifier")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("serve", help="take alerts in and tell people").set_defaults(func=_serve)
    test = actions.add_parser("test", help="send a marked test message and say whether it arrived")
    test.add_argument("--channel", required=True, choices=("email", "slack", "pagerduty"))
    test.set_defaults(func=_test)
    explain = actions.add_parser("explain", help="who would get an alert with these labels")
    explain.add_argument("labels", nargs="+", metavar="LABEL=VALUE")
    explain.set_defaults(func=_explain)
    actions.add_parser("replay", help="queue parked messages again").set_defaults(func=_replay)
