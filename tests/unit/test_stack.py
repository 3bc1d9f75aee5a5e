"""The local stack's command with bad input, its simulated sky, its control file: no traceback, no orphan."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path

import pytest

from zads import cache
from zads.config import load, parse
from zads.stack import control, ports, programs, site
from zads.stack.sky import EXPOSURE_SECONDS, PROFILES, program_at, visits

ROOT = Path(__file__).resolve().parents[2]
ZADS = str(Path(sys.executable).parent / "zads")


def _run(folder: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run([ZADS, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    return done.returncode, text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout's folder with a space in its name, with ports that are nobody's."""
    folder = tmp_path / "my zads"
    folder.mkdir()
    text = (ROOT / "zads.toml").read_text(encoding="utf-8")
    for old, new in (("127.0.0.1:2", "127.0.0.1:3"), ("_port = 29", "_port = 39")):
        text = text.replace(old, new)
    (folder / "zads.toml").write_text(text, encoding="utf-8")
    (folder / "alertrules").symlink_to(ROOT / "alertrules")
    return folder


def test_nothing_runs_is_said_plainly(folder: Path) -> None:
    """down, status, inbox and sim without a stack."""
    assert _run(folder, "stack", "down") == (0, "Nothing runs here.\n")
    code, text = _run(folder, "stack", "status")
    assert code == 1 and "make up" in text
    code, text = _run(folder, "sim", "kill", "kafka")
    assert code == 1 and "make up" in text
    code, text = _run(folder, "stack", "logs", "kafka")
    assert code == 1 and "no log" in text


def test_a_broken_zads_toml_names_every_error_and_starts_nothing(folder: Path) -> None:
    """Exit code 2, dotted paths, nothing left."""
    text = (folder / "zads.toml").read_text(encoding="utf-8")
    (folder / "zads.toml").write_text(
        text.replace("latitude = 33.3573", "latitude = 330").replace('interval = "5s"', 'interval = "soon"')
    )
    code, text = _run(folder, "stack", "up")
    assert code == 2
    assert "site.latitude" in text and "exporters.interval" in text
    assert not (folder / ".stack" / "status.json").exists()


def test_a_taken_port_is_named_with_its_holder(folder: Path) -> None:
    """Before anything is started."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 32092))
        sock.listen()
        code, text = _run(folder, "stack", "up")
    assert code == 1
    assert "127.0.0.1:32092 (kafka-public) is held by" in text
    assert not (folder / ".stack" / "status.json").exists()


def test_a_program_that_is_missing_is_named_with_its_package(folder: Path, tmp_path: Path) -> None:
    """A PATH without prometheus."""
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("java", "mvn", "env", "sh"):
        found = shutil.which(name)
        if found:
            (bare / name).symlink_to(found)
    # A cache of its own: the real one may hold the programs, and this would start a stack.
    jars, own = programs.jars(cache.folder()), tmp_path / "cache"
    own.mkdir()
    (own / jars.name).symlink_to(jars)
    environment = {"PATH": str(bare), "HOME": str(Path.home()), "ZADS_CACHE_DIR": str(own)}
    done = subprocess.run([ZADS, "stack", "up"], cwd=folder, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "prometheus" in done.stderr and "make up" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_said(folder: Path) -> None:
    """As on a full disk: a file stands where the folder should be."""
    (folder / ".stack").write_text("in the way")
    code, text = _run(folder, "stack", "up")
    assert code == 1
    assert ".stack" in text


def test_a_free_port_has_no_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert ports.holder(address)
    assert ports.holder(address) is None


def test_the_site_is_moved_and_the_rest_stays(folder: Path) -> None:
    """Only the longitude differs, wherever the text has it; where it cannot be found, that is said."""
    text, now = (folder / "zads.toml").read_text(encoding="utf-8"), datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
    config = load(folder / "zads.toml")
    moved = parse(site.moved(text, config, now))
    assert moved.model_copy(update={"site": config.site}) == config
    longitude = moved.site.longitude
    assert longitude != config.site.longitude
    kafka = '[kafka.public]\nbootstrap = ["h:1"]\n'
    for short in (
        kafka,
        f"site.longitude = 5 # here\n{kafka}",
        f"[site]\n\tlongitude=5\n{kafka}",
        f"[site] # ours\n{kafka}",
    ):
        assert parse(site.moved(short, config, now)).site.longitude == longitude, short
    with pytest.raises(ValueError, match="line of its own"):
        site.moved(f"site = {{longitude = 5}}\n{kafka}", config, now)


def test_secrets_are_made_once_and_an_empty_one_again(folder: Path) -> None:
    """A full disk leaves an empty file: it is no secret."""
    config = parse((folder / "zads.toml").read_text(encoding="utf-8").replace('".stack', f'"{folder}/.stack'))
    site.make_secrets(config)
    file = folder / ".stack" / "secrets" / "slack_token"
    first = file.read_text(encoding="utf-8")
    assert first.startswith("xoxb-") and file.stat().st_mode & 0o077 == 0
    site.make_secrets(config)
    assert file.read_text(encoding="utf-8") == first
    file.write_text("")
    site.make_secrets(config)
    assert file.read_text(encoding="utf-8").startswith("xoxb-")


def test_the_night_has_ztfs_numbers() -> None:
    """The mean of alerts per exposure, a long tail, delays under 13 minutes at the 95th percentile and never over 15."""
    night = list(islice(visits(PROFILES["ztf"], 1.0, random.Random(1)), 4000))
    alerts = sorted(v.alerts for v in night)
    delays = sorted(v.delay for v in night)
    assert sum(alerts) / len(alerts) == pytest.approx(1000, rel=0.08)
    assert alerts[-1] > 4000
    assert delays[int(0.95 * len(delays))] == pytest.approx(780, rel=0.05)
    assert delays[-1] <= 900
    assert night[10].at == pytest.approx(10 * EXPOSURE_SECONDS)
    assert [program_at(1800.0 * n + 1) for n in range(6)] == [1, 2, 1, 2, 3, 1]


def test_the_same_seed_gives_the_same_night_and_clouds_make_gaps() -> None:
    first, second = (list(islice(visits(PROFILES["cloudy"], 0.1, random.Random(7)), 300)) for _ in range(2))
    assert first == second
    gaps = [b.at - a.at for a, b in pairwise(first)]
    assert max(gaps) > 10 * EXPOSURE_SECONDS


def test_two_commands_at_once_are_both_obeyed(tmp_path: Path) -> None:
    """The control file is changed under a lock and replaced whole; a broken one asks for nothing."""
    file = tmp_path / "control.json"
    control.change(file, lambda c: c["services"].update(kafka="killed"))
    control.change(file, lambda c: c["communities"].update(lasair={"rate_share": 0.2}))
    assert control.read(file)["services"] == {"kafka": "killed"}
    assert control.read(file)["communities"] == {"lasair": {"rate_share": 0.2}}
    file.write_text("{half")
    assert control.read(file) == {"services": {}, "communities": {}, "simulator": {}, "providers": {}}
