"""Secrets come from a file or from the environment, exactly one of them, and no message holds one."""

from __future__ import annotations

from pathlib import Path

import pytest

from zads.cli import main
from zads.config import ConfigErrors, SecretError, check_secrets, parse, read_secret, secret

MINIMAL = '[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n'
SECRET = "hunter2"


def test_a_secret_is_read_from_its_file_or_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"\ufeff {SECRET}\n")
    assert secret("a.token", tmp_path / "a", None) == SECRET
    assert secret("a.token", None, "X", {"X": f"{SECRET}\n"}) == SECRET


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (f"{SECRET}\n{SECRET}\n".encode(), "more than one line"),
        (SECRET.encode() + b"\xff", "no UTF-8"),
        (SECRET.encode() + b"\x00x", "more than one line"),
    ],
)
def test_a_file_without_one_secret_is_refused_without_showing_it(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SecretError, match=words) as caught:
        secret("a.token", tmp_path / "a", None)
    assert SECRET not in str(caught.value) and caught.value.key == "a.token_file"
    with pytest.raises(ValueError, match=words) as error:
        read_secret(tmp_path / "a")
    assert SECRET not in repr(error.value) and error.value.__suppress_context__ | (error.value.__context__ is None)


def test_what_is_missing_is_said_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"a\.token_file: .*/no cannot be read: No such file"):
        secret("a.token", tmp_path / "no", None)
    with pytest.raises(SecretError, match=r"a\.token_file: .* cannot be read: Is a directory"):
        secret("a.token", tmp_path, None)
    with pytest.raises(SecretError, match=r"a\.token_env: the environment variable X is not set"):
        secret("a.token", None, "X", {})
    with pytest.raises(SecretError, match=r"a\.token_env: .* more than one line"):
        secret("a.token", None, "X", {"X": "a\nb"})
    with pytest.raises(SecretError, match=r"set a\.token_file or a\.token_env"):
        secret("a.token", None, None)


CHANNELS = {
    "notifier.slack": ('channel = "#a"', "token"),
    "notifier.pagerduty": ("", "routing_key"),
    "notifier.email": ('smarthost = "a:25"\nsender = "a@b"\nto = ["c@d"]\nusername = "u"', "password"),
}


@pytest.mark.parametrize("table", CHANNELS)
def test_exactly_one_source_is_needed(table: str) -> None:
    rest, key = CHANNELS[table]
    text = f"{MINIMAL}[{table}]\n{rest}\n"
    with pytest.raises(ConfigErrors, match=rf"{table}\.{key}_file: is missing: write this or {key}_env"):
        parse(text)
    with pytest.raises(ConfigErrors, match=rf"{table}\.{key}_env: there is a {key}_file too: keep one"):
        parse(text + f'{key}_file = "/a"\n{key}_env = "A"\n')
    parse(text + f'{key}_file = "/a"\n')
    parse(text + f'{key}_env = "A"\n')


def test_a_password_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigErrors, match=r"notifier\.email\.username: is missing"):
        parse(MINIMAL + '[notifier.email]\nsmarthost = "a:25"\nsender = "a@b"\nto = ["c@d"]\npassword_env = "A"\n')


def test_the_notifiers_token_has_a_default_file_that_makes_way() -> None:
    assert str(parse(MINIMAL).notifier.token_file) == "/etc/zads/secrets/alertmanager_token"
    notifier = parse(MINIMAL + '[notifier]\ntoken_env = "A"\n').notifier
    assert (notifier.token_file, notifier.token_env) == (None, "A")
    with pytest.raises(ConfigErrors, match=r"notifier\.token_env: there is a token_file too"):
        parse(MINIMAL + '[notifier]\ntoken_env = "A"\ntoken_file = "/a"\n')
    with pytest.raises(ConfigErrors, match=r"notifier\.password_env: there is a password_file too"):
        parse(MINIMAL + '[notifier]\npassword_env = "A"\npassword_file = "/a"\n')


FULL = f"""{MINIMAL}security_protocol = "SASL_SSL"
sasl_mechanism = "PLAIN"
sasl_username = "u"
sasl_password_env = "ZADS_T_KAFKA"
[notifier]
token_env = "ZADS_T_TOKEN"
password_env = "ZADS_T_PAGE"
[notifier.slack]
channel = "#a"
token_env = "ZADS_T_SLACK"
[notifier.pagerduty]
routing_key_env = "ZADS_T_KEY"
[notifier.email]
smarthost = "a:25"
sender = "a@b"
to = ["c@d"]
username = "u"
password_env = "ZADS_T_SMTP"
"""


def test_each_holder_gives_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA", "TOKEN", "PAGE", "SLACK", "KEY", "SMTP"):
        monkeypatch.setenv(f"ZADS_T_{name}", name.lower())
    config = parse(FULL)
    notifier = config.notifier
    assert notifier.slack and notifier.pagerduty and notifier.email
    assert config.kafka["public"].sasl_password() == "kafka"
    assert (notifier.token(), notifier.password(), notifier.slack.token()) == ("token", "page", "slack")
    assert (notifier.pagerduty.routing_key(), notifier.email.password()) == ("key", "smtp")
    assert check_secrets(config) == []
    assert parse(MINIMAL).notifier.password() is None
    assert not parse(MINIMAL).kafka["public"].has_sasl_password


def test_check_reads_them_only_when_asked_and_says_all_that_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "zads.toml"
    file.write_text(FULL)
    assert main(["--config", str(file), "config", "check"]) == 0
    assert main(["--config", str(file), "config", "check", "--secrets"]) == 2
    err = capsys.readouterr().err
    keys = ("kafka.public.sasl_password_env", "notifier.token_env", "notifier.password_env", "notifier.slack.token_env")
    assert all(f"{key}: the environment variable" in err for key in (*keys, "notifier.email.password_env"))


def test_print_shows_names_only(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZADS_T_SLACK", SECRET)
    (tmp_path / "zads.toml").write_text(FULL)
    assert main(["--config", str(tmp_path / "zads.toml"), "config", "print"]) == 0
    out = capsys.readouterr().out
    assert '"ZADS_T_SLACK"' in out and SECRET not in out
