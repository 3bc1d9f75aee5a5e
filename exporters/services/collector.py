"""Put processes, probes and the night into metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from prometheus_client.metrics_core import Metric

from exporters.services.probes import probe
from exporters.services.processes import Finder, Restarts
from zads import night
from zads.collector import Reading
from zads.config import Config, Service
from zads.metrics import counter, gauge

_TIMEOUT = 2.0


class ServicesCollector:
    """Look at every service of the config: process and protocol; and at the Sun."""

    name = "services"

    def __init__(
        self,
        config: Config,
        finder: Finder,
        restarts: Restarts,
        *,
        ask: Callable[[str, float], float] = probe,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._finder, self._restarts = config, finder, restarts
        self._ask, self._clock = ask, clock
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="probe")
        self._dawn: tuple[float, float | None] = (0.0, None)

    def close(self) -> None:
        """End the probes' threads."""
        self._pool.shutdown(cancel_futures=True)

    def collect(self) -> Reading:
        """Probe all at once, so that one that hangs delays nothing but itself."""
        targets = {("service", s.name): s.probe for s in self._config.services}
        targets |= {("host", h.name): f"tcp://{h.probe}" for h in self._config.hosts}
        futures = {key: self._pool.submit(self._seconds, address) for key, address in targets.items()}
        answers = {key: future.result() for key, future in futures.items()}
        hosts = gauge("zads_host_answering")
        for host in self._config.hosts:
            hosts.add_metric([host.name], float(answers["host", host.name] is not None))
        families = self._services({name: value for (kind, name), value in answers.items() if kind == "service"})
        return Reading(families=[*families, hosts, *self._night()])

    def _seconds(self, address: str) -> float | None:
        try:
            return self._ask(address, _TIMEOUT)
        except OSError:
            return None

    def _services(self, answers: dict[str, float | None]) -> list[Metric]:
        up, answering, seconds = (gauge(f"zads_service_{name}") for name in ("up", "answering", "probe_seconds"))
        start = gauge("zads_service_start_time_seconds")
        restarts, cpu = counter("zads_service_restarts_total"), counter("zads_service_cpu_seconds_total")
        memory, threads = gauge("zads_service_resident_memory_bytes"), gauge("zads_service_threads")
        files, limit = gauge("zads_service_open_files"), gauge("zads_service_max_open_files")
        for service in self._config.services:
            labels, answer = self._labels(service), answers[service.name]
            answering.add_metric(labels, float(answer is not None))
            if answer is not None:
                seconds.add_metric(labels, answer)
            if not service.process:
                continue  # a service elsewhere: only its protocol can be seen
            vitals = self._finder.find(service)
            up.add_metric(labels, float(vitals is not None))
            if vitals is not None:
                self._restarts.see(service.name, vitals.started)
                start.add_metric(labels, vitals.started)
                cpu.add_metric(labels, vitals.cpu_seconds)
                memory.add_metric(labels, vitals.resident)
                threads.add_metric(labels, vitals.threads)
                if vitals.open_files is not None and vitals.max_open_files is not None:
                    files.add_metric(labels, vitals.open_files)
                    limit.add_metric(labels, vitals.max_open_files)
            restarts.add_metric(labels, self._restarts.count(service.name))
        return [up, answering, seconds, start, restarts, cpu, memory, threads, files, limit]

    @staticmethod
    def _labels(service: Service) -> list[str]:
        return [service.name, service.role, service.host]

    def _night(self) -> list[Metric]:
        site, now = self._config.site, datetime.fromtimestamp(self._clock(), UTC)
        place = (site.latitude, site.longitude)
        altitude = gauge("zads_sun_altitude_degrees")
        degrees = night.sun_altitude_degrees(now, *place, site.elevation)
        altitude.add_metric([], degrees)
        observing = gauge("zads_observing_night")
        observing.add_metric([], float(degrees < site.sun_limit))
        info = gauge("zads_night_info")
        info.add_metric([night.night_name(now, site.longitude)], 1)
        end = gauge("zads_night_end_timestamp_seconds")
        if now.timestamp() - self._dawn[0] > 600:  # dawn moves by a minute a day
            dawn = night.next_dawn(now, *place, site.sun_limit)
            self._dawn = (now.timestamp(), dawn.timestamp() if dawn else None)
        if self._dawn[1] is not None:
            end.add_metric([], self._dawn[1])
        return [altitude, observing, info, end]


def build(config: Config) -> ServicesCollector:
    """Return the collector for the config."""
    return ServicesCollector(config, Finder(), Restarts(config.exporters.state_dir / "services.json"))
