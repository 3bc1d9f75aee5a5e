"""The notifier put together: the record, the channels, their workers, the watch, the web side."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from starlette.applications import Starlette

from notifier.acknowledgements import Acknowledgements
from notifier.channels import Channel
from notifier.dispatch import Dispatcher
from notifier.emergency import Emergency
from notifier.facts import Facts
from notifier.login import Login, is_loopback
from notifier.render import Renderer
from notifier.routing import Router
from notifier.sight import Sight
from notifier.site import Site
from notifier.store import Store, damage
from notifier.watch import Watch
from notifier.webhook import Intake
from zads.config import Config, ConfigError, ConfigErrors, SecretError, host_port

_LOG = logging.getLogger(__name__)
Secret = TypeVar("Secret", str, "str | None")


def _or_error(errors: list[ConfigError], read: Callable[[], Secret], missing: Secret) -> Secret:
    """Return a secret; where it cannot be had, note why."""
    try:
        return read()
    except SecretError as error:
        errors.append(ConfigError(error.key, error.why))
        return missing


def build_channels(config: Config, source: str) -> list[Channel]:
    """Return the configured channels.

    Raises ConfigErrors with every secret that is missing.
    """
    from notifier.channels.email import EmailChannel
    from notifier.channels.pagerduty import PagerDutyChannel
    from notifier.channels.slack import SlackChannel
    from notifier.channels.slack_hook import SlackHookChannel
    from notifier.channels.webhook import WebhookChannel

    settings, errors, channels = config.notifier, list[ConfigError](), list[Channel]()
    if settings.pagerduty:
        _or_error(errors, settings.pagerduty.api_token, None)
        key = _or_error(errors, settings.pagerduty.routing_key, "")
        channels.append(PagerDutyChannel(settings.pagerduty, key, config.site.name))
    if settings.slack:
        key = _or_error(errors, settings.slack.key, "")
        channels.append(SlackHookChannel(key) if settings.slack.has_webhook_url else SlackChannel(settings.slack, key))
    if settings.email:
        channels.append(EmailChannel(settings.email, _or_error(errors, settings.email.password, None)))
    if settings.webhook:
        channels.append(WebhookChannel(settings.webhook, _or_error(errors, settings.webhook.secret, ""), config.site.name))
    if errors:
        raise ConfigErrors(source, errors)
    return channels


def read_access(config: Config, source: str) -> tuple[str, str | None]:
    """Return the token that Alertmanager shows, and the page's password where there is one.

    Raises ConfigErrors with every secret that is missing.
    """
    errors: list[ConfigError] = []
    token = _or_error(errors, config.notifier.token, "")
    password = _or_error(errors, config.notifier.password, None)
    if errors:
        raise ConfigErrors(source, errors)
    return token, password


def open_store(config: Config, router: Router) -> Store:
    """Open the record as its owner; a damaged one is moved aside and begun anew, aloud."""
    file = config.notifier.store
    try:
        return _joined(Store(file, router.plan), router)
    except sqlite3.DatabaseError as error:
        if not damage.damaged(error):
            raise
        aside = damage.move_aside(file)
        store = Store(file, router.plan)
        store.carry_over(damage.salvage_file(aside), f"{file} is damaged ({error}): it was moved to {aside}")
        return _joined(store, router)


def _joined(store: Store, router: Router) -> Store:
    """Let the router know the planned work that the record holds."""
    router.windows = store.windows
    return store


def _acknowledgements(config: Config, store: Store, clock: Callable[[], float]) -> Acknowledgements | None:
    """Return what reads acknowledgements back from PagerDuty, None where no key allows it."""
    settings = config.notifier.pagerduty
    token = settings.api_token() if settings else None
    return Acknowledgements(settings, token, store.pagerduty_keys, clock=clock) if settings and token else None


class Notifier:
    """Everything of one process; nothing runs before `start`."""

    def __init__(
        self,
        config: Config,
        store: Store,
        router: Router,
        channels: list[Channel],
        token: str,
        password: str | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config, self.store = config, store
        self._turn, self._ended = threading.Lock(), False
        settings = config.notifier
        self.sight = Sight(config, store, clock=clock)
        renderer = Renderer(
            settings.external_url,
            router=router,
            facts=Facts(config, lambda: self.sight.well, clock=clock),
            reminder=settings.reminder,
            clock=clock,
        )
        self.dispatcher = Dispatcher(
            store,
            channels,
            renderer,
            fallback=router.fallback,
            clock=clock,
        )
        self.emergency = Emergency(self.dispatcher, router.page_channels(), clock=clock)
        dead_man = os.environ.get("ZADS_DEADMAN_URL")
        self.watch = Watch(
            *(config, store, router, self.dispatcher, self.sight, self.emergency, dead_man),
            acknowledgements=_acknowledgements(config, store, clock),
            clock=clock,
        )
        login = Login(password, open_to_all=is_loopback(host_port(settings.listen)[0]))
        intake = Intake(store, self.dispatcher, self.watch, self.emergency, token)
        site = Site(config, store, self.dispatcher, self.watch, login)
        self.application = Starlette(routes=[*intake.routes(), *site.routes()], exception_handlers=site.handlers())

    def start(self) -> None:
        """Take the record over from the last process, start to send and to watch; nothing once it was told to stop."""
        with self._turn:
            if self._ended:
                return
            self.store.own()
            self.dispatcher.start()
            self.watch.start()

    def stop(self) -> None:
        """Finish what is claimed, and close the record; what fails on the way keeps nothing else from ending.

        A signal may come while it still starts: that is waited for.
        """
        with self._turn:
            self._ended = True
            for step in (self.watch.stop, self.emergency.stop, self.dispatcher.stop, self.store.close):
                try:
                    step()
                except Exception:  # half a stop would be a notifier that takes alerts in and sends none
                    _LOG.exception("a part of the notifier did not end as it should")
