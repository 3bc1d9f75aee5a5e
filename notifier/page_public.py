"""What who is not logged in may read: no addresses, no links of others, nothing that looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Every repetition has an end: a long label costs no more than its length.
_MAIL = re.compile(r"[^\s@<>\"'(),;:=]{1,64}@[^\s@<>\"'(),;:=]{1,255}")
_LINK = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s<>\"']+", re.IGNORECASE)
_NAMED = re.compile(
    r"\b((?:[a-z0-9]{1,40}[_-]){0,4}(?:passwords?|passwd|pwd|secrets?|tokens?|api_?keys?|credentials?|authorization|bearer|cookies?))"
    r"(\s{0,3}[=:]\s{0,3}|\s{1,3}(?=\S{0,80}\d))(?:bearer\s+|basic\s+)?\S+",
    re.IGNORECASE,
)
# Slack's and others' prefixes, JSON web tokens, hashes, what is long and random.
_SECRETS = re.compile(
    r"\b(?:xox[a-z]-[\w-]+|xapp-[\w-]+|whsec_[\w+/=]+|gh[a-z]_\w{20,}|eyJ[\w-]+\.[\w.-]+)|\$scrypt\$\S+"
    r"|\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}|(?<![\w+/-])(?:[0-9a-fA-F]{32,}(?![\w+/-])"
    r"|(?=[\w+/]*\d)(?=[\w+/]*[A-Z])(?=[\w+/]*[a-z])[\w+/]{32,}={0,2}(?![\w-]))"
)
_SECRET_LABEL = re.compile(
    r"(?:^|_|-|\b)(?:pass(?:word|wd)?|pwd|secret|token|key|apikey|credential|auth(?:orization)?|cookie|session)s?(?:$|_|-)",
    re.IGNORECASE,
)
HIDDEN = "(hidden)"


def public(words: str) -> str:
    """Return the words with a remark in place of each e-mail address, link and secret."""
    words = _LINK.sub("(a link)", words)
    words = _MAIL.sub("(an address)", words)
    words = _NAMED.sub(lambda match: f"{match[1]}{match[2]}{HIDDEN}", words)
    return _SECRETS.sub(HIDDEN, words)


def public_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels of which those that are named like a secret show nothing."""
    return {public(name): HIDDEN if _SECRET_LABEL.search(name) else public(value) for name, value in labels.items()}
