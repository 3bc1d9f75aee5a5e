"""How Prometheus is told to scrape our exporters: address, path, TLS and login, and what does not fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from zads import render
from zads.config import ConfigErrors, parse
from zads.web_config import _hash as hash_like

KAFKA = '[kafka.public]\nbootstrap = ["10.0.0.5:9092"]\n'
NAMES = ["kafka-lag", "broker-egress", "alert-arrival", "services"]
TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
USERS = f"basic_auth_users: {{prometheus: {hash_like('x', '$2b$04$abcdefghijklmnopqrstuu' + '.' * 31)}}}\n"
CLIENTS = TLS.replace("}", ", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}")


def _jobs(text: str) -> dict[str, dict[str, Any]]:
    rendered = yaml.safe_load(render.prometheus(parse(text), Path("alertrules")))
    return {job["job_name"]: job for job in rendered["scrape_configs"] if job["job_name"] in NAMES}


def _errors(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        _jobs(text)
    return [str(error) for error in caught.value.errors]


def _secured(folder: Path, web: str, scrape: str = "") -> str:
    (folder / "web.yml").write_text(web)
    return f'{KAFKA}[exporters]\nweb_config_file = "{folder}/web.yml"\n[exporters.scrape]\n{scrape}'


def test_without_a_web_config_file_nothing_is_said_of_tls_or_a_login() -> None:
    """A port each, in plain text."""
    jobs = _jobs(KAFKA)
    assert list(jobs) == NAMES
    assert [job["static_configs"][0]["targets"] for job in jobs.values()] == [[f"127.0.0.1:{9308 + n}"] for n in range(4)]
    assert all(job.keys() == {"job_name", "static_configs", "honor_labels"} for job in jobs.values())


def test_one_process_is_one_port_with_a_path_each() -> None:
    """The jobs keep their names, which the rules know."""
    jobs = _jobs(KAFKA + '[exporters]\none_process = true\nlisten = "10.0.0.6"\nall_port = 9308\n')
    assert {name: job["metrics_path"] for name, job in jobs.items()} == {name: f"/{name}/metrics" for name in NAMES}
    assert {job["static_configs"][0]["targets"][0] for job in jobs.values()} == {"10.0.0.6:9308"}


def test_files_are_named_in_full_and_only_what_is_asked_for(tmp_path: Path) -> None:
    """Prometheus reads paths from its own file's folder; TLS alone, a login alone, both."""
    job = _jobs(_secured(tmp_path, TLS))["services"]
    assert (job["scheme"], "tls_config" in job, "basic_auth" in job) == ("https", False, False)
    job = _jobs(_secured(tmp_path, USERS, 'username = "prometheus"\npassword_file = "pw"\n'))["services"]
    assert "scheme" not in job
    assert job["basic_auth"] == {"username": "prometheus", "password_file": str(Path.cwd() / "pw")}
    scrape = 'ca_file = "ca.pem"\nserver_name = "m.example.org"\ncert_file = "p.pem"\nkey_file = "p.key"\n'
    job = _jobs(_secured(tmp_path, CLIENTS, scrape))["services"]
    here = Path.cwd()
    assert job["tls_config"] == {
        "ca_file": f"{here}/ca.pem",
        "server_name": "m.example.org",
        "cert_file": f"{here}/p.pem",
        "key_file": f"{here}/p.key",
    }


@pytest.mark.parametrize(
    ("web", "scrape", "words"),
    [
        (USERS, "", ["exporters.scrape.username: is missing: "]),
        (TLS, 'username = "a"\npassword_file = "b"', ["exporters.scrape.username: 'a' is no user of "]),
        (USERS, 'username = "a"\npassword_file = "b"', ["known are prometheus"]),
        (CLIENTS, "", ["exporters.scrape.cert_file: is missing: "]),
        ("", 'ca_file = "a"\nserver_name = "b"', ["scrape.ca_file: would not be used", "scrape.server_name: would not be"]),
        (CLIENTS + USERS, "", ["exporters.scrape.username: is missing", "exporters.scrape.cert_file: is missing"]),
        ("tls: x", "", ["exporters.web_config_file: ", "tls: is not supported here"]),
    ],
)
def test_what_the_exporters_ask_and_prometheus_does_not_have_is_refused(
    tmp_path: Path, web: str, scrape: str, words: list[str]
) -> None:
    """It would look like four dead exporters; everything at once, by its key."""
    said = "\n".join(_errors(_secured(tmp_path, web, scrape)))
    assert all(word in said for word in words), said


def test_a_web_config_file_that_is_not_there_is_said() -> None:
    """By its key."""
    assert _errors(f'{KAFKA}[exporters]\nweb_config_file = "/nowhere/web.yml"\n') == [
        "exporters.web_config_file: /nowhere/web.yml cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('[exporters.scrape]\nca_file = "/a"', ["ca_file"]),
        ('username = "a"', ["password_file"]),
        ('password_file = "/a"', ["username"]),
        ('username = "a"\npassword_file = "/a"\npassword_env = "A"', ["password_env"]),
        ('cert_file = "/a"', ["cert_file"]),
        ('key_file = "/a"', ["key_file"]),
        ('username = "a"\npassword_file = "/a"\ncert_file = "/a"\nkey_file = "/b"', []),
    ],
)
def test_half_a_login_and_half_a_certificate_are_refused(text: str, keys: list[str]) -> None:
    """By zads.toml alone; keys without a web config file would not be used."""
    whole = text if text.startswith("[") else f'[exporters]\nweb_config_file = "/w"\n[exporters.scrape]\n{text}'
    try:
        parse(f"{KAFKA}{whole}\n")
        found = []
    except ConfigErrors as errors:
        found = [error.path.removeprefix("exporters.scrape.") for error in errors.errors]
    assert found == keys
