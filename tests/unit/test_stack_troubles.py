"""Troubles of `zads sim`: several at once, healed one by one; a host that is gone by labels; a disk that fills by its metric."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import yaml

from tests.unit.test_supervisor import Stack
from tests.unit.test_supervisor import stack as stack
from zads import cache, render
from zads.config import load
from zads.stack import components, control, programs, trouble_disk, trouble_host
from zads.stack.paths import Paths

ROOT = Path(__file__).resolve().parents[2]
ZADS = str(ROOT / ".venv" / "bin" / "zads")


def _sim(root: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run([ZADS, "sim", *words], cwd=root, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_several_are_killed_at_once_and_healed_one_by_one(stack: Stack) -> None:
    """`heal NAME` lets go of that one; the other stays held, a provider stays away, until `heal` alone."""
    calm = stack.runs("calm")
    stack.runs("stubborn")
    root = stack.paths.root
    assert _sim(root, "kill", "calm", "stubborn")[0] == 0
    assert _sim(root, "refuse", "slack")[0] == 0
    code, said = _sim(root, "heal", "calm")
    assert code == 0 and "calm" in said
    assert stack.runs("calm") != calm
    assert stack.row("stubborn")["state"] == "killed"
    assert control.read(stack.paths.control)["providers"] == {"slack": True}
    assert _sim(root, "heal", "slack")[0] == 0
    assert control.read(stack.paths.control)["providers"] == {}
    code, said = _sim(root, "heal", "nobody")
    assert code == 2 and "no component" in said
    assert stack.row("stubborn")["state"] == "killed"
    assert _sim(root, "heal")[0] == 0
    stack.runs("stubborn")


def test_what_other_trouble_needs_stays_when_one_is_healed(stack: Stack) -> None:
    """The simulator shows the public program alone as long as some community is slow or packets are late."""
    stack.runs("calm")

    def ask(content: control.Control) -> None:
        content["communities"] |= {"lasair": {"rate_share": 0.2}, "calm": {"commits": False}}
        content["simulator"] |= {"public": True, "late_seconds": 60.0, "garbage": True}

    control.change(stack.paths.control, ask)
    assert _sim(stack.paths.root, "heal", "calm", "garbage")[0] == 0
    left = control.read(stack.paths.control)
    assert left["communities"] == {"lasair": {"rate_share": 0.2}}
    assert left["simulator"] == {"public": True, "late_seconds": 60.0}
    control.change(stack.paths.control, lambda c: c["communities"].clear())
    assert _sim(stack.paths.root, "heal", "late")[0] == 0
    assert control.read(stack.paths.control)["simulator"] == {}


def test_a_host_that_is_gone_takes_neither_the_monitor_nor_ipac_along(tmp_path: Path) -> None:
    """Only what runs on the Kafka host keeps its label; each target is still expected once; promtool takes the files."""
    config = load(ROOT / "zads.toml")
    files = render.render(config, ROOT / "alertrules")
    changed = trouble_host.set_apart(config, files)
    jobs = yaml.safe_load(changed["prometheus.yml"])["scrape_configs"]
    where = {
        (job["job_name"], one["labels"].get("service", "")): one["labels"]["host"]
        for job in jobs
        for one in job["static_configs"]
    }
    assert {key for key, host in where.items() if host == "monitor"} == {
        ("prometheus", ""),
        ("alertmanager", ""),
        ("notifier", ""),
    }
    assert [key for key, host in where.items() if host == "ipac"] == [("jmx", "kafka-upstream")]
    for name in ("kafka-lag", "broker-egress", "alert-arrival", "services", "node"):
        assert where[name, ""] == "zads"
    rules = yaml.safe_load(changed["thresholds.rules.yml"])["groups"][0]["rules"]
    expected = [rule for rule in rules if rule["record"] == "zads:expected_targets"]
    assert sum(int(rule["expr"].removeprefix("vector(").removesuffix(")")) for rule in expected) == len(where)
    render.write(files | changed, tmp_path)
    done = subprocess.run(
        [programs.find("promtool"), "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_killed_with_the_host_runs_on_the_stack() -> None:
    """A component that is renamed would stay alive, and the host would never be gone."""
    config = load(ROOT / "zads.toml")
    built = {c.name for c in components.build(config, Paths(ROOT), programs.jars(cache.folder()), {})}
    assert set(trouble_host.ON_HOST) <= built


def test_a_simulated_disk_is_a_disk_of_node_exporter_that_gets_smaller(tmp_path: Path) -> None:
    """node_exporter itself shows it beside the real ones, under 30 % free and full within 4 h; healed it is gone."""
    paths = Paths(tmp_path)
    file = trouble_disk.textfile(paths)
    file.parent.mkdir(parents=True)
    filler = trouble_disk.Filler(paths)
    filler.step(wanted=True, now=1000.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    argv = [programs.find("node_exporter"), f"--web.listen-address={address}", "--collector.disable-defaults"]
    argv += ["--collector.filesystem", "--collector.textfile", f"--collector.textfile.directory={file.parent}"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        first = _avail(address)
        assert first.keys() > {"/simulated"}, "beside the machine's own"
        filler.step(wanted=True, now=1000.0 + 600)
        later = _avail(address)
        left = later["/simulated"] / ((first["/simulated"] - later["/simulated"]) / 600)
        assert 0.2e11 < later["/simulated"] < 0.3e11
        assert 3600 < left < 4 * 3600
        trouble_disk.unmount(paths)
        assert "/simulated" not in _avail(address)
    finally:
        process.kill()
        process.wait(10)


def _avail(address: str) -> dict[str, float]:
    """Return node_filesystem_avail_bytes by mount point."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    rows = [line for line in text.splitlines() if line.startswith("node_filesystem_avail_bytes{")]
    return {row.split('mountpoint="')[1].split('"')[0]: float(row.rsplit(" ", 1)[1]) for row in rows}


def test_a_filler_that_is_not_wanted_begins_anew(tmp_path: Path) -> None:
    """Healed and asked for again it starts from the same share."""
    paths = Paths(tmp_path)
    trouble_disk.textfile(paths).parent.mkdir(parents=True)
    filler = trouble_disk.Filler(paths)
    read = trouble_disk.textfile(paths).read_text
    filler.step(wanted=True, now=1000.0)
    first = read()
    filler.step(wanted=True, now=5000.0)
    assert read() != first
    filler.step(wanted=False, now=5010.0)
    filler.step(wanted=True, now=6000.0)
    assert read() == first


def test_nothing_is_mounted_where_nobody_may(tmp_path: Path) -> None:
    """Where a mount is not seen by the process that has to see it, all of it is taken back."""
    paths = Paths(tmp_path)
    paths.data.mkdir(parents=True)
    paths.dir.mkdir(exist_ok=True)
    assert trouble_disk.mount(paths, 2**22) is False  # no such process sees anything
    assert not trouble_disk.folder(paths).exists()
    assert not (paths.data / "disk.img").exists()
