"""What [exporters.scrape] of zads.toml can get wrong by itself; `zads.render_scrape` compares it with the web config file."""

from __future__ import annotations

from collections.abc import Iterator

from zads.config_findings import Finding
from zads.config_scrape import Scrape


def scrape_findings(scrape: Scrape, *, secured: bool) -> Iterator[Finding]:
    """Yield what contradicts itself; `secured` says whether the exporters ask for TLS or a password at all."""
    table = ("exporters", "scrape")
    if not secured:
        for key in sorted(scrape.model_fields_set):
            words = "would not be used: without exporters.web_config_file the exporters ask for neither TLS nor a password"
            yield Finding((*table, key), words, (("exporters", "web_config_file"),))
    for key, other, words in (
        ("key_file", "cert_file", "the certificate that it belongs to"),
        ("cert_file", "key_file", "the private key that belongs to it"),
    ):
        if getattr(scrape, key) and not getattr(scrape, other):
            yield Finding((*table, key), f"needs {other}, {words}", ((*table, other),))
    has_file, has_variable = scrape.password_file is not None, scrape.password_env is not None
    if has_file and has_variable:
        words = "there is a password_file too: keep one of them"
        yield Finding((*table, "password_env"), words, ((*table, "password_file"),))
    if scrape.username is None and (has_file or has_variable):
        words = "is missing: there is a password and no name to log in with"
        yield Finding((*table, "username"), words, ((*table, "password_file"), (*table, "password_env")))
    if scrape.username is not None and not has_file and not has_variable:
        words = "is missing: write this or password_env"
        yield Finding((*table, "password_file"), words, ((*table, "password_env"),))
