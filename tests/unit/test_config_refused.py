"""What a zads.toml may not say: each is refused with its line, in plain words, together with everything else that is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zads.config import ConfigErrors, load, parse, warnings
from zads.config_schema import example, place, tables

ROOT = Path(__file__).parents[2]
MINIMAL = '[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n'


def errors(text: str) -> list[str]:
    """Return what is said of the text, [] when it is right."""
    try:
        parse(text)
    except ConfigErrors as found:
        return str(found).splitlines()
    return []


def only(text: str) -> str:
    """Return the one thing that is said of the text."""
    found = errors(text)
    assert len(found) == 1, found
    return found[0]


def test_an_error_says_line_path_what_is_wrong_what_was_found_what_it_means_and_an_example() -> None:
    assert only(MINIMAL + "[site]\n# a comment\nlatitude = 200\n") == (
        "zads.toml:5: site.latitude: expected at most 90, found 200; degrees north of the equator, for example 33.3573"
    )


def test_everything_is_said_at_once_in_the_order_of_the_lines() -> None:
    """Wrong values, unknown keys, missing ones, and what several keys together get wrong."""
    text = """[site]
latitud = 1
[exporters]
kafka_lag_port = 99999
services_port = 9310
[[community]]
name = "a"
networks = ["10.0.0.0/8"]
commit_batch = "many"
[[community]]
name = "a"
networks = ["10.1.0.0/16", "nonsense"]
[[host]]
name = "b"
address = "127.0.0.1"
[[service]]
name = "s"
host = "c"
probe = "tcp://127.0.0.1:1"
[notifier.routes]
page = ["slack"]
"""
    found = [error.split(": ", 2) for error in errors(text)]
    assert [(where, path) for where, path, _ in found] == [
        ("zads.toml:2", "site.latitud"),
        ("zads.toml:4", "exporters.kafka_lag_port"),
        ("zads.toml:5", "exporters.services_port"),
        ("zads.toml:9", "community[0].commit_batch"),
        ("zads.toml:11", "community[1].name"),
        ("zads.toml:12", "community[1].networks[1]"),
        ("zads.toml:12", "community[1].networks[0]"),
        ("zads.toml:13", "host[0].probe"),
        ("zads.toml:18", "service[0].host"),
        ("zads.toml:21", "notifier.routes.page"),
        ("zads.toml", "kafka.public"),
    ]


def test_what_follows_only_from_another_error_is_not_said() -> None:
    """No unknown host where the host's own name is wrong, no collision with a port that is no port."""
    text = MINIMAL + '[[host]]\nname = "Bad Name"\naddress = "a"\nprobe = "a:1"\n'
    text += '[[service]]\nname = "s"\nhost = "bad"\nprobe = "tcp://127.0.0.1:1"\n'
    assert "host[0].name" in only(text)
    assert "kafka_lag_port" in only(MINIMAL + '[exporters]\nkafka_lag_port = "9310"\n')
    assert "[0]: expected" in only("[kafka.public]\nbootstrap = [3]\n")
    assert "routing_key_file" in only(MINIMAL + "[notifier.pagerduty]\nrouting_key_file = 3\n")
    assert "expected a table" in only("[kafka]\npublic = 3\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[exporters]\nkafka_lag_port = 99999", "expected at most 65535, found 99999"),
        ("[exporters]\nkafka_lag_port = 0", "expected at least 1, found 0"),
        ('[exporters]\nkafka_lag_port = "9308"', 'expected a port from 1 to 65535, found "9308"'),
        ("[exporters]\nkafka_lag_port = true", "expected a port from 1 to 65535, found true"),
        ("[exporters]\nkafka_lag_port = 9308.0", "expected a port from 1 to 65535, found 9308.0"),
        ("[exporters]\ninterval = 0", "expected more than 0 seconds, found 0"),
        ('[exporters]\ninterval = "0s"', 'expected more than 0 seconds, found "0s"'),
        ("[exporters]\ninterval = -1", "cannot be negative, found -1"),
        ("[exporters]\ninterval = nan", "a duration has an end, found nan"),
        ('[exporters]\ninterval = "1h"', 'expected at most "5m", found "1h"'),
        ('[exporters]\ninterval = "soon"', "'soon' is no duration"),
        ("[exporters]\ninterval = [1]", 'expected a duration such as "20m", found a list'),
        ("[stream]\nlatency_objective = inf", "a duration has an end, found inf"),
        ("[stream]\nlatency_objective = 1" + "0" * 400, "a duration has an end"),
        ("[notifier]\nreminder = 0", "expected more than 0 seconds"),
        ("[stream]\npacket_bytes = 0", "expected more than 0, found 0"),
        ("[stream]\npacket_bytes = 1.5", "expected a whole number, found 1.5"),
        ("[stream]\npublic_programs = [1, 2]", "2 is also in public_programs"),
        ("[stream]\npublic_programs = 1", "expected a list in [ ], found 1"),
        ("[stream]\ntopic_pattern = '('", "no regular expression"),
        ("[stream]\ntopic_pattern = 'ztf'", "lacks the named group night and program"),
        ("[site]\nlatitude = nan", "expected a finite number, found nan"),
        ('[site]\nlatitude = "33"', 'expected a number, found "33"'),
        ("[site]\nelevation = 1e9", "expected at most 9000, found 1000000000.0"),
        ('[site]\nname = ""', "expected some text"),
        ('[site]\nname = "two\\nlines"', "expected one line of text"),
        ("[site]\nname = 1979-05-27", "expected text in quotes, found 1979-05-27"),
        ('[site]\ntimezone = "../../etc/passwd"', "is no time zone"),
        ('[prometheus]\nretention = "forever"', "no time for Prometheus"),
        ('[prometheus]\nretention = "0d"', "no time for Prometheus"),
        ('[prometheus]\nretention = "1h30"', "no time for Prometheus"),
        ('[prometheus]\nretention_size = "20 GB"', "no size for Prometheus"),
        ('[prometheus]\nretention_size = "much"', "no size for Prometheus"),
        ('[exporters]\nlisten = "127.0.0.1:80"', "the port does not belong here"),
        ('[exporters]\nlisten = "999.1.1.1"', "no IP address"),
        ('[exporters]\nlisten = "a b"', "no IP address and no host name"),
        ('[exporters]\nlisten = ""', "no IP address and no host name"),
        ('[notifier]\nlisten = "127.0.0.1"', 'write "host:port"'),
        ('[notifier]\nlisten = ":9380"', 'write "host:port"'),
        ('[notifier]\nlisten = "127.0.0.1:99999"', "a port from 1 to 65535"),
        ('[notifier]\nlisten = "127.0.0.1:²"', "a port from 1 to 65535"),
        ('[notifier]\nlisten = "http://127.0.0.1:80"', 'without "://"'),
        ('[notifier]\nlisten = "::1:80"', "in brackets"),
        ('[notifier]\nlisten = "999.0.0.1:80"', "no IP address"),
        ('[notifier]\nexternal_url = "zads.example"', 'begins with "http://"'),
        ('[wall]\nlisten = "127.0.0.1:8080"\nport = 3', "unknown key"),
        ("[thresholds]\nrestarts_per_hour = -1", "expected at least 0, found -1"),
        ("[slo]\nobjective = 1.0", "expected less than 1, found 1.0"),
        ('[notifier]\nstore = ""', "expected the path"),
        ('[notifier]\nstore = "~/a"', "write the whole path"),
        ('[notifier]\nstore = "a\\u0000b"', "expected the path"),
        ("wall = 3", "expected a table, found 3"),
        ('[[wall]]\nlisten = "a:1"', "expected one table: write [wall]"),
        ('[community]\nname = "a"', "write [[community]]"),
        ('[notifier.oncall]\nname = "a"', "write [[notifier.oncall]]"),
        ('[mirror]\nsource_alias = "zads"', "is the same as source_alias"),
        ('[internal]\nnetworks = ["10.0.0.1/8"]', "write 10.0.0.0/8"),
        ('[internal]\nnetworks = ["::ffff:10.0.0.0/104"]', "write the IPv4 network"),
        ('[internal]\nnetworks = ["10.0.0.0/8", "10.0.0.0/8"]', "10.0.0.0/8 is listed twice"),
        ('[notifier.routes]\npgae = ["email"]', "unknown key; did you mean page?"),
        (
            '[notifier.routes]\npage = ["mail"]',
            'expected "email", "slack", "pagerduty" or "webhook" (did you mean "email"?), found "mail"',
        ),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(text: str, words: str) -> None:
    found = only(text + "\n" + MINIMAL)
    assert words in found
    assert re.match(r"zads\.toml:[123]: ", found)


LOGIN = 'sasl_mechanism = "PLAIN"\nsasl_username = "a"\nsasl_password_env = "B"'
COMMUNITY = '[[community]]\nname = "{}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("commits = false\ncommit_batch = 3", "commit_batch: means nothing with commits = false"),
        ('groups = ["a", "a"]', "groups[1]: is listed twice"),
        ('groups = ["("]', "groups[0]: '(' is no regular expression"),
        ('commits = "yes"', 'commits: expected true or false, found "yes"'),
        ("burst_factor = 0.5", "burst_factor: expected at least 1, found 0.5"),
        ('networks = ["127.0.0.1/32"]', "networks[0]: 127.0.0.1/32 overlaps 127.0.0.1/32 of internal"),
        (COMMUNITY.format("a"), "name: 'a' is already community[0]"),
        ('groups = ["g"]\n' + COMMUNITY.format("b") + 'groups = ["g"]', "groups[0]: 'g' is already one of a's"),
        ("3 = 4", "unknown key; known here: name, label"),
    ],
)
def test_communities_that_contradict_themselves_are_refused(text: str, words: str) -> None:
    assert words in only(MINIMAL + COMMUNITY.format("a") + text + "\n")


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('security_protocol = "SASL_SSL"', ["sasl_mechanism"]),
        ('security_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"', ["sasl_username", "sasl_password_file"]),
        ('security_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"\nsasl_username = "a"', ["sasl_password_file"]),
        ('security_protocol = "SASL_SSL"\nsasl_mechanism = "GSSAPI"', []),
        ('security_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"', ["sasl_mechanism"]),
        (
            'sasl_mechanism = "PLAIN"\nsasl_username = "a"\nsasl_password_env = "B"',
            ["sasl_mechanism", "sasl_username", "sasl_password_env"],
        ),
        ('ca_file = "/a"', ["ca_file"]),
        ('security_protocol = "SSL"\nkey_file = "/a"', ["key_file"]),
        ('security_protocol = "SSL"\ncert_file = "/a"\nca_file = "/b"', []),
        ('security_protocol = "ssl"', ["security_protocol"]),
        (
            f'security_protocol = "SASL_SSL"\n{LOGIN}\nsasl_password_file = "/c"',
            ["sasl_password_env"],
        ),
    ],
)
def test_a_login_or_an_encryption_that_is_not_whole_is_refused(text: str, paths: list[str]) -> None:
    assert [e.split(": ")[1].removeprefix("kafka.public.") for e in errors(MINIMAL + text + "\n")] == paths


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[wall]\nlisten = "127.0.0.1:9380"', "wall.listen"),
        ('[wall]\nlisten = "localhost:9090"', "wall.listen"),
        ('[wall]\nlisten = "0.0.0.0:9090"', "wall.listen"),
        ('[exporters]\nlisten = "0.0.0.0"\nservices_port = 9090', "prometheus.address"),
        ("[exporters]\nall_port = 9308", "exporters.all_port"),
        ('[alertmanager]\naddress = "127.0.0.1:9092"', "alertmanager.address"),
        ('[mirror]\njmx = "127.0.0.1:9100"', "prometheus.node_exporter"),
        ('[kafka.upstream]\nbootstrap = ["127.0.0.1:9092"]', "kafka.upstream.bootstrap[0]"),
        ('[kafka.upstream]\nbootstrap = ["a:1", "A:1"]', "kafka.upstream.bootstrap[1]"),
    ],
)
def test_two_programs_on_one_address_are_refused(text: str, path: str) -> None:
    found = only(MINIMAL + text + "\n")
    assert f" {path}: " in found and "already taken by" in found


@pytest.mark.parametrize(
    "text", ['[wall]\nlisten = "10.0.0.1:9092"', '[wall]\nlisten = "127.0.0.2:9380"', '[exporters]\nlisten = "10.0.0.1"']
)
def test_one_port_on_two_machines_is_fine(text: str) -> None:
    assert errors(MINIMAL + text + "\n") == []


def test_routes_default_to_the_channels_that_are_configured() -> None:
    """Also for a severity that is left out of [notifier.routes]."""
    slack = '[notifier.slack]\nchannel = "#a"\ntoken_env = "A"\n[notifier.pagerduty]\nrouting_key_env = "B"\n'
    assert parse(MINIMAL + slack).notifier.routes == {"page": ("pagerduty", "slack"), "ticket": ("slack",), "info": ()}
    routes = parse(MINIMAL + slack + '[notifier.routes]\ninfo = ["slack"]\n').notifier.routes
    assert routes == {"page": ("pagerduty", "slack"), "ticket": ("slack",), "info": ("slack",)}
    assert "names email, but [notifier.email] is missing" in only(MINIMAL + slack + '[notifier.routes]\ninfo = ["email"]\n')
    assert "names slack twice" in only(MINIMAL + slack + '[notifier.routes]\ninfo = ["slack", "slack"]\n')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sites]", "did you mean [site]?"),
        ("[[communities]]", "did you mean [[community]]?"),
        ("[kafka.publik]\nbootstrap = []", "did you mean [kafka.public]?"),
        ("[site]\nlattitude = 3", "did you mean latitude?"),
        ("[site]\ntopic_pattern = 'a'", "it belongs into [stream]"),
        ("[notifier]\nsmarthost = 'a'", "it belongs into [notifier.email]"),
        ("[wall]\nqqq = 3", "unknown key; known here: listen"),
        ("[notifier.slak]\nchannel = 'a'", "did you mean [notifier.slack]?"),
    ],
)
def test_an_unknown_key_is_told_its_nearest(text: str, words: str) -> None:
    assert any(words in error for error in errors(text + "\n" + MINIMAL))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[notifier.slack]\nchannel = "#a"\ntoken_file = "/a"\ntoken = "hunter2"', "write token_file or token_env"),
        ('[notifier.slack]\nchannel = "#a"\ntoken_file = "/a"\nbot_token = "hunter2"', "write token_file or token_env"),
        (
            '[notifier.pagerduty]\nrouting_key_file = "/a"\nrouting_key = "hunter2"',
            "write routing_key_file or routing_key_env",
        ),
        ('[notifier.pagerduty]\nrouting_key_file = "/a"\nkey = "hunter2"', "write routing_key_file or routing_key_env"),
        ('[notifier]\npassword = "hunter2"', "write password_file or password_env"),
        (
            '[kafka.upstream]\nbootstrap = ["a:1"]\nsasl_password = "hunter2"',
            "write sasl_password_file or sasl_password_env",
        ),
        ('[site]\napi_key = "hunter2"', "never in zads.toml"),
        ('[notifier]\ntoken_env = "hunter-2 hunter2"', "not the secret itself"),
        ('[notifier]\npassword_file = ["hunter2"]', "expected a path in quotes;"),
        ('[notifier]\npassword_file = "hunter2\\n"', "expected the path"),
        ('[[notifier.slack]]\ntoken = "hunter2"', "expected one table: write [notifier.slack]"),
        ('[notifier]\nslack = "hunter2"', "expected a table"),
        ('[notifier.slack]\nchannel = "#a"\ntoken_file = "/a"\nbase_url = "ftp://user:hunter2@a"', "begins with"),
        ('[notifier]\nexternal_url = "https://user:hunter2@a"', "a name or a password does not belong into an address"),
    ],
)
def test_what_looks_like_a_secret_is_never_shown(text: str, words: str) -> None:
    found = "\n".join(errors(MINIMAL + text + "\n"))
    assert words in found
    if 'slack = "hunter2"' not in text:  # a channel's name is no secret, and looks like none
        assert "hunter2" not in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[site\nname = 'a'", r"zads\.toml:1: not valid TOML: .* in column 6"),
        ("[site]\nname = ZADS\n", r"zads\.toml:2: not valid TOML: .*; text stands in quotes"),
        ("[site]\nname = 'a'\nname = 'b'\n", r"zads\.toml:3: not valid TOML: Cannot overwrite"),
        ("[site]\nname = '''", r"zads\.toml:2: not valid TOML: "),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = 1" + "0" * 5000, "not valid TOML"),
        ("token = hunter2", r"zads\.toml:1: not valid TOML"),
        ("\x00", "not valid TOML"),
    ],
)
def test_a_text_that_is_no_toml_is_said_with_its_line(text: str, words: str) -> None:
    found = only(text)
    assert re.search(words, found) and "hunter2" not in found


@pytest.mark.parametrize("content", [b"\xff\xfe", MINIMAL.encode("utf-16")])
def test_a_file_that_is_no_text_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "zads.toml").write_bytes(content)
    with pytest.raises(ConfigErrors, match="cannot be read: it is no UTF-8 text"):
        load(tmp_path / "zads.toml")
    with pytest.raises(ConfigErrors, match="cannot be read: Is a directory"):
        load(tmp_path)
    with pytest.raises(ConfigErrors, match="cannot be read"):
        load("a\0b")


def test_windows_files_are_read(tmp_path: Path) -> None:
    """A mark at the beginning and \\r\\n."""
    (tmp_path / "zads.toml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load(tmp_path / "zads.toml").kafka["public"].bootstrap == ("127.0.0.1:9092",)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["127.0.0.1:1", "a", "10.0.0.0/8"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = [
    (*re.sub(r"[\[\]]", "", heading.split(", ")[-1]).split("."), field.alias or name)
    for heading, model in tables()
    for name, field in model.model_fields.items()
]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=8))
def test_no_value_anywhere_makes_the_check_fail_in_another_way(values: dict[tuple[str, ...], object]) -> None:
    """Any value at any key is right, or it is an error with words; several at once too."""
    from zads.config_validate import validate

    data: dict[str, object] = {}
    for path, value in values.items():
        table = data
        for position, part in enumerate(path[:-1]):
            here = place(path[: position + 1])
            inner = table.setdefault(part, [{}] if here and here.many else {})
            inner = inner[0] if isinstance(inner, list) and inner else inner
            if not isinstance(inner, dict):
                break
            table = inner
        else:
            table[path[-1]] = value
    config, found = validate(data)
    assert (config is None) == bool(found)
    assert all(error.message for _, error in found)


def test_every_key_has_a_meaning_and_an_example_that_is_right() -> None:
    """The examples of errors and docs are taken by the models."""
    for heading, model in tables():
        assert model.__doc__, heading
        for name, field in model.model_fields.items():
            path: tuple[str | int, ...] = ()
            for part in re.sub(r"[\[\]]", "", heading.split(", ")[-1]).split("."):
                path = (*path, part)
                around = place(path)
                path = (*path, 0) if around is not None and around.many else path
            path = (*path, field.alias or name)
            here = place(path)
            assert here is not None
            if here.model is None:
                assert field.description, path
            if here.model is None and field.examples:
                model.__pydantic_validator__.validate_assignment(model.model_construct(), name, field.examples[0])
                assert example(field)


def test_warnings_are_no_errors() -> None:
    text = MINIMAL + COMMUNITY.format("a") + COMMUNITY.format("b") + 'networks = ["10.0.0.0/8"]\n'
    text += '[notifier.email]\nsmarthost = "mail.example:25"\nsender = "a@b"\nto = ["c@d"]\nstarttls = false\n'
    found = {(w.path, w.line) for w in warnings(text, parse(text))}
    assert found == {("community[0]", 3), ("community[1]", 5), ("notifier.email.starttls", 12)}
    assert [w.path for w in warnings(MINIMAL, parse(MINIMAL))] == ["notifier"]
    example_site = (ROOT / "zads.toml").read_text(encoding="utf-8")
    assert warnings(example_site, parse(example_site)) == []


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ("[9092, 9092]", "exporters.community_ports[1]: names 9092 twice"),
        ("[9309]", "exporters.community_ports[0]: 9309 is exporters.broker_egress_port, which is no listener of Kafka's"),
        ("[0]", "exporters.community_ports[0]: "),
        ("9092", "exporters.community_ports: "),
    ],
)
def test_the_ports_that_communities_read_from_are_checked(ports: str, said: str) -> None:
    """Each once, none of our own, a list of ports."""
    assert said in only(MINIMAL + f"[exporters]\ncommunity_ports = {ports}\n")
    assert not errors(MINIMAL + "[exporters]\ncommunity_ports = [9092, 9093]\n")
