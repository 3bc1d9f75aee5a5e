"""`zads export NAME | all`: run exporters, each on its port, or all in one process on one port."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any, cast

from zads import kafka, web_config
from zads.collector import Collector, CollectorLoop
from zads.config import Config, ConfigError, ConfigErrors, load
from zads.http import Server
from zads.merged import merged
from zads.reload import Listener
from zads.web_config import WebConfig, WebConfigError

_LOG = logging.getLogger(__name__)
_NAMES = ("kafka-lag", "broker-egress", "alert-arrival", "services")


class Exporters:
    """The exporters of one process: their loops, and the server for their pages."""

    def __init__(self, name: str, config: Config, web_file: Path | None) -> None:
        self._name, self._config, self._web_file = name, config, web_file
        self._web = _web(config, web_file)
        self._server: Server | None = None
        self.loops = {one: CollectorLoop(_build(one, config), config.exporters.interval) for one in _chosen(name)}

    def start(self) -> None:
        """Begin to collect and to serve.

        Raises OSError when the address cannot be listened on.
        """
        self._serve()
        for loop in self.loops.values():
            loop.start()

    def stop(self) -> None:
        """End everything within some seconds."""
        if self._server is not None:
            self._server.stop()
        for loop in self.loops.values():
            loop.ask_to_stop()
        for loop in self.loops.values():
            loop.stop()

    def take(self, config: Config) -> None:
        """Put a new configuration into effect.

        Raises what is wrong with it (ConfigErrors, OSError), and leaves the former one in effect then.
        """
        _check(self._name, config, self._web_file)
        before, web_before, done = self._config, self._web, list[str]()
        try:
            for name in self.loops:
                done.append(name)
                self._change(name, before, config)
            self._config, self._web = config, _web(config, self._web_file)
            if (_address(self._name, before), web_before) != (_address(self._name, config), self._web):
                self._serve()
        except Exception:
            self._config, self._web = before, web_before
            for name in done:
                self._change(name, config, before)
            if self._server is None:
                self._serve()
            raise

    def _change(self, name: str, before: Config, config: Config) -> None:
        """Let one loop go on with another configuration; an exporter that can keep what it knows does."""
        module = _module(name)

        def change(old: Collector) -> Collector:
            if hasattr(module, "take"):
                return cast(Collector, module.take(old, before, config))
            old.close()  # the others keep their totals in a file, which they write now and read again
            return _build(name, config)

        self.loops[name].change(change, config.exporters.interval)

    def _serve(self) -> None:
        """Serve on the configured address instead of the former one."""
        host, port = _address(self._name, self._config)
        if self._server is not None:
            self._server.stop()
            self._server = None
        try:
            server = Server(host, port, self.loops, self._web)
        except OSError as error:
            why = error.strerror or str(error)
            key = f"exporters.{_port_key(self._name)}"
            raise OSError(f"{host}:{port} cannot be listened on: {why}; the address is exporters.listen and {key}") from None
        server.start()
        self._server = server
        paths = " ".join(["/metrics", *(f"/{name}/metrics" for name in self.loops if len(self.loops) > 1)])
        _LOG.info("listening on %s://%s:%d, %s", server.scheme, host, server.port, paths)


def _chosen(name: str) -> tuple[str, ...]:
    return _NAMES if name == "all" else (name,)


def _port_key(name: str) -> str:
    return f"{name.replace('-', '_')}_port"


def _address(name: str, config: Config) -> tuple[str, int]:
    return config.exporters.listen, int(getattr(config.exporters, _port_key(name)))


def _module(name: str) -> Any:
    return importlib.import_module(f"exporters.{name.replace('-', '_')}")


def _build(name: str, config: Config) -> Collector:
    return cast(Collector, _module(name).build(config))


def _web(config: Config, file: Path | None) -> WebConfig:
    """Return what is asked of who reads: by the command line's file, else by the config's."""
    chosen = file or config.exporters.web_config_file
    return web_config.load(chosen) if chosen else WebConfig()


def _check(name: str, config: Config, web_file: Path | None, source: str = "zads.toml") -> None:
    """Check what the config's own check cannot see: files that an exporter needs.

    Raises ConfigErrors.
    """
    errors = [
        ConfigError(f"kafka.{cluster_name}.{key}", reason)
        for cluster_name, cluster in config.kafka.items()
        for key, reason in kafka.faults(cluster)
        # The services' probe speaks TLS and does not log in.
        if name != "services" or not key.startswith("sasl_")
    ]
    try:
        _web(config, web_file)
    except WebConfigError as error:
        errors.append(ConfigError("exporters.web_config_file", str(error)))
    if errors:
        raise ConfigErrors(source, errors)


def _once(name: str, config: Config) -> int:
    """Collect once and print the metrics; say on standard error what failed."""
    with tempfile.TemporaryDirectory(prefix="zads-export-") as folder:
        # A look by hand must not write over the totals of the exporter that runs.
        with contextlib.suppress(OSError):
            for file in config.exporters.state_dir.glob("*.json"):
                shutil.copy(file, folder)
        exporters = config.exporters.model_copy(update={"state_dir": Path(folder)})
        return _print(name, config.model_copy(update={"exporters": exporters}))


def _print(name: str, config: Config) -> int:
    """Print what one collection of each sees, as one page; say on standard error what failed."""
    snapshots = {}
    for one in _chosen(name):
        loop = CollectorLoop(_build(one, config), config.exporters.interval)
        snapshots[one] = loop.once()
        loop.stop()
    if len(snapshots) > 1:
        sys.stdout.write(merged(snapshot.page for snapshot in snapshots.values()).decode())
    else:
        for chunk in snapshots[name].page.chunks():
            sys.stdout.write(chunk.decode())
    sys.stdout.flush()
    failed = {one: snapshot.words for one, snapshot in snapshots.items() if not snapshot.ok}
    for one, words in failed.items():
        print(f"{one}: {words}", file=sys.stderr)
    return 1 if failed else 0


def _run(args: argparse.Namespace) -> int:
    config = load(args.config)
    _check(args.name, config, args.web_config_file, str(args.config))
    if args.check:
        print(f"{args.config} is right for {', '.join(_chosen(args.name))}")
        return 0
    if not os.environ.get("ZADS_DEBUG"):
        # What the client library says of a lost connection is counted and said by us, once.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
    if args.once:
        return _once(args.name, config)
    stop = threading.Event()
    # A SIGHUP from now on waits until the listener takes it: it serves before that, and must not be ended by one.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    exporters = Exporters(args.name, config, args.web_config_file)
    exporters.start()
    try:
        with Listener(config.exporters.state_dir, f"export-{args.name}", args.config, exporters.take):
            # The kernel may give a signal to any thread, which does not wake this one: it looks for itself now and then.
            while not stop.wait(1.0):
                pass
    finally:
        exporters.stop()
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads export`."""
    parser = commands.add_parser("export", help="run an exporter, or all of them in one process")
    parser.add_argument("name", choices=(*_NAMES, "all"))
    parser.add_argument("--check", action="store_true", help="check the config and the files that it names, and exit")
    parser.add_argument(
        "--once", action="store_true", help="collect once, print the metrics and exit: 0 when all could be read"
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config_file",
        type=Path,
        metavar="FILE",
        help="TLS and passwords for what is served, as Prometheus' own programs take them, instead of what "
        "exporters.web_config_file names",
    )
    parser.set_defaults(func=_run)
