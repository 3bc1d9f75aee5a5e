"""Put processes, probes and the night into metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from prometheus_client.metrics_core import Metric

from exporters.services import certificates, words
from exporters.services.askers import Asked, Askers
from exporters.services.here import local_hosts
from exporters.services.probes import TLS_SCHEMES, probe
from exporters.services.processes import Finder, Vitals
from exporters.services.restarts import Restarts
from exporters.services.sky import Sky
from zads.apply_record import read_outcome
from zads.collector import Reading
from zads.config import Config, Service, host_port
from zads.metrics import counter, gauge

_TIMEOUT = 2.0
_DEADLINE = 3.0
_CERTIFICATES_EVERY = 600.0
_TLS_KAFKA = frozenset({"SSL", "SASL_SSL"})
Key = tuple[str, str]


class ServicesCollector:
    """Look at every service of the config: process and protocol; and at the Sun."""

    name = "services"

    def __init__(
        self,
        config: Config,
        finder: Finder,
        restarts: Restarts,
        *,
        ask: Callable[[str, float], float] | None = None,
        clock: Callable[[], float] = time.time,
        deadline: float = _DEADLINE,
    ) -> None:
        self._config, self._finder, self._restarts = config, finder, restarts
        clusters = {address: cluster for cluster in config.kafka.values() for address in cluster.bootstrap}
        self._ask = ask or partial(probe, clusters=clusters)
        self._clock = clock
        self._local = local_hosts(config.hosts)
        self._tls = {
            f"kafka://{address}" for address, cluster in clusters.items() if cluster.security_protocol in _TLS_KAFKA
        }
        self._askers: Askers[Key] = Askers(2 * len(config.services) + len(config.hosts), deadline)
        self._expiry: dict[str, float] = {}
        self._expiry_at: dict[str, float] = {}
        self._sky = Sky(config.site)

    def close(self) -> None:
        """End the probes' threads."""
        self._askers.close()

    def collect(self) -> Reading:
        """Probe all at once, so that one that hangs delays nothing but itself."""
        questions: dict[Key, Callable[[], float]] = {
            ("service", s.name): partial(self._ask, s.probe, _TIMEOUT) for s in self._config.services
        }
        questions |= {("host", h.name): partial(self._ask, f"tcp://{h.probe}", _TIMEOUT) for h in self._config.hosts}
        questions |= self._certificates_due()
        asked = self._askers.ask(questions)
        self._note_expiry({name: at for (kind, name), at in asked.answers.items() if kind == "certificate"})
        hosts = gauge("zads_host_answering")
        for host in self._config.hosts:
            hosts.add_metric([host.name], float(asked.answers["host", host.name] is not None))
        answers = {name: value for (kind, name), value in asked.answers.items() if kind == "service"}
        vitals = {s.name: self._finder.find(s) for s in self._config.services if s.process or s.unit}
        seen = [self._words(service, asked, vitals.get(service.name)) for service in self._config.services]
        silent = ((h.name, asked.why.get(("host", h.name))) for h in self._config.hosts)
        seen += [f"host {name}: does not answer ({why})" for name, why in silent if why]
        families = self._services(answers, vitals)
        errors = {**asked.errors, **self._restarts.errors()}
        sky = self._sky.families(self._clock())
        return Reading([*families, hosts, *sky, *self._applied()], errors=errors, seen=words.all_of(seen))

    def _words(self, service: Service, asked: Asked[Key], vitals: Vitals | None) -> str:
        key, process = ("service", service.name), words.Process(vitals, here=self._here(service, vitals))
        if key not in asked.answers:
            said = f"does not say how it is ({asked.why[key]})"
        else:
            said = words.answer(asked.answers[key], asked.why.get(key, "no reason is known"))
        return words.service(service.name, said, process, self._expiry.get(service.name), self._clock())

    def _certificates_due(self) -> dict[Key, Callable[[], float]]:
        """Return the question for each TLS listener's certificate: every ten minutes, until the first answer each time."""
        due: dict[Key, Callable[[], float]] = {}
        for service in self._config.services:
            scheme, _, rest = service.probe.partition("://")
            if scheme not in TLS_SCHEMES and service.probe not in self._tls:
                continue
            if time.monotonic() - self._expiry_at.get(service.name, float("-inf")) >= _CERTIFICATES_EVERY:
                due["certificate", service.name] = partial(certificates.expires, *host_port(rest), _TIMEOUT)
        return due

    def _note_expiry(self, found: dict[str, float | None]) -> None:
        for name, at in found.items():
            if at is not None:
                self._expiry[name], self._expiry_at[name] = at, time.monotonic()

    def _here(self, service: Service, vitals: Vitals | None) -> bool:
        """Tell whether the service's process has to be on this machine.

        One that is not here and never was may be another machine's: that is not "down".
        """
        if not service.process and not service.unit:
            return False  # a service elsewhere: only its protocol can be seen
        return vitals is not None or service.host in self._local or self._restarts.seen(service.name)

    def _services(self, answers: dict[str, float | None], found: dict[str, Vitals | None]) -> list[Metric]:
        up, answering, seconds = (gauge(f"zads_service_{name}") for name in ("up", "answering", "probe_seconds"))
        start, expiry = gauge("zads_service_start_time_seconds"), gauge("zads_service_certificate_expiry_timestamp_seconds")
        restarts, cpu = counter("zads_service_restarts_total"), counter("zads_service_cpu_seconds_total")
        memory, threads = gauge("zads_service_resident_memory_bytes"), gauge("zads_service_threads")
        files, limit = gauge("zads_service_open_files"), gauge("zads_service_max_open_files")
        for service in self._config.services:
            labels, answer = self._labels(service), answers.get(service.name)
            if service.name in answers:  # one that refuses to say how it is has no value, neither 1 nor 0
                answering.add_metric(labels, float(answer is not None))
            if answer is not None:
                seconds.add_metric(labels, answer)
            if service.name in self._expiry:
                expiry.add_metric(labels, self._expiry[service.name])
            vitals = found.get(service.name)
            if vitals is not None:
                self._restarts.see(service.name, vitals.identity, vitals.started)
                start.add_metric(labels, vitals.started)
                cpu.add_metric(labels, vitals.cpu_seconds)
                memory.add_metric(labels, vitals.resident)
                threads.add_metric(labels, vitals.threads)
                if vitals.open_files is not None and vitals.max_open_files is not None:
                    files.add_metric(labels, vitals.open_files)
                    limit.add_metric(labels, vitals.max_open_files)
            if self._here(service, vitals):
                up.add_metric(labels, float(vitals is not None))
                restarts.add_metric(labels, self._restarts.count(service.name))
        return [up, answering, seconds, expiry, start, restarts, cpu, memory, threads, files, limit]

    @staticmethod
    def _labels(service: Service) -> list[str]:
        return [service.name, service.role, service.host]

    def _applied(self) -> list[Metric]:
        """Say how the last `zads config apply` ended; nothing where there was none."""
        outcome = read_outcome(self._config.exporters.state_dir)
        if outcome is None:
            return []
        success, at = gauge("zads_config_last_apply_success"), gauge("zads_config_last_apply_timestamp_seconds")
        success.add_metric([], float(outcome.success))
        at.add_metric([], outcome.at)
        return [success, at]


def build(config: Config) -> ServicesCollector:
    """Return the collector for the config."""
    return ServicesCollector(config, Finder(), Restarts(config.exporters.state_dir / "services.json"))
