"""zads.toml: the example loads, and everything wrong is said at once with its place."""

from pathlib import Path

import pytest

from zads.cli import main
from zads.config import ConfigErrors, host_port, load, parse, parse_duration, read_secret

ROOT = Path(__file__).parents[2]
MINIMAL = '[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n'


def test_the_example_site_loads() -> None:
    config = load(ROOT / "zads.toml")
    assert [c.name for c in config.communities] == ["lasair", "alerce", "antares", "fink", "ampel"]
    assert config.stream.latency_objective == 1200.0


def test_one_table_is_enough() -> None:
    assert parse(MINIMAL).notifier.routes["page"] == ()


def test_every_error_is_reported_with_its_dotted_path() -> None:
    text = MINIMAL + '[site]\nlatitud = 3\nlatitude = 200\n[thresholds]\ncommunity_lag = "soon"\n'
    with pytest.raises(ConfigErrors) as caught:
        parse(text)
    assert {e.path for e in caught.value.errors} == {"site.latitud", "site.latitude", "thresholds.community_lag"}


def test_two_communities_behind_one_address_are_refused() -> None:
    text = MINIMAL + "".join(f'[[community]]\nname = "{n}"\nnetworks = ["192.0.2.0/24"]\n' for n in "ab")
    with pytest.raises(ConfigErrors, match=r"community\[1\].networks\[0\]: 192.0.2.0/24 overlaps"):
        parse(text)


def test_a_service_on_an_unknown_host_is_refused() -> None:
    with pytest.raises(ConfigErrors, match=r"service\[0\].host: 'nowhere' is no \[\[host\]\]; known: none"):
        parse(MINIMAL + '[[service]]\nname = "a"\nhost = "nowhere"\nprobe = "tcp://127.0.0.1:1"\n')


def test_a_route_to_a_channel_without_settings_is_refused() -> None:
    with pytest.raises(ConfigErrors, match=r"notifier\.routes\.page: names slack"):
        parse(MINIMAL + '[notifier.routes]\npage = ["slack"]\n')


@pytest.mark.parametrize(("text", "seconds"), [("20m", 1200), ("1h30m", 5400), (5, 5), ("250ms", 0.25)])
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "m", "1x", -1, True, "1h x"])
def test_bad_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


def test_addresses_are_split() -> None:
    assert host_port("http://127.0.0.1:80/metrics") == ("127.0.0.1", 80)
    assert host_port("[::1]:9092") == ("::1", 9092)


def test_an_empty_secret_says_so(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ValueError, match="is empty"):
        read_secret(tmp_path / "token")


def test_check_exits_2_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "zads.toml"
    bad.write_text("[site")
    assert main(["--config", str(bad), "config", "check"]) == 2
    err = capsys.readouterr().err
    assert "not valid TOML" in err and "Traceback" not in err


def test_an_unreadable_file_exits_2(tmp_path: Path) -> None:
    assert main(["--config", str(tmp_path / "none.toml"), "config", "check"]) == 2
