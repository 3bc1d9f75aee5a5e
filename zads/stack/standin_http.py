"""What the HTTP stand-ins share: an answer, JSON from a stranger, and Slack's ways to pass arguments.

A stranger's JSON may be nested a thousand deep, hold half a surrogate pair or an infinite number: all of
them are legal to Python's parser and break what writes them out again. They are refused or mended here,
once, so that nothing behind this file can fail on them.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import math
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from zads.stack.inbox_store import no_constant, printable

_DEPTH_MOST = 100
_SLACK_BODY_MOST = 4_000_000
_FIELDS_MOST = 1000


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] | None = None


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("number out of range")
    return number


def _depth(value: Any) -> int:
    """Return how deeply a value is nested, without recursion."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        if isinstance(node, dict):
            todo += [(child, depth + 1) for child in node.values()]
        elif isinstance(node, list):
            todo += [(child, depth + 1) for child in node]
    return deepest


def decode(text: str | bytes) -> Any:
    """Decode JSON that can be written out again; raises ValueError for everything else."""
    try:
        value = json.loads(text, parse_constant=no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _depth(value) > _DEPTH_MOST:
        raise ValueError("nested too deeply")
    return printable(value)


async def read_body(request: Request, most: int) -> bytes | None:
    """Return the body, None when it is larger than `most`; it is read to its end, or the client would see a reset.

    Raises ClientDisconnect when the end does not come: the client went away, or we go and wait no longer for it.
    """
    chunks, size = list[bytes](), 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= most:
                chunks.append(chunk)
    except asyncio.CancelledError:  # only the server's own end cancels a request
        raise ClientDisconnect from None
    return b"".join(chunks) if size <= most else None


@dataclass(frozen=True)
class SlackCall:
    """A call's token and arguments."""

    token: str
    fields: dict[str, Any]


def slack_refusal(error: str, messages: tuple[str, ...] = (), **more: Any) -> Reply:
    """Return Slack's way to say no: 200, ok false, the error's name, and details where it gives them."""
    body: dict[str, Any] = {"ok": False, "error": error, **more}
    if messages:
        body["errors"] = list(messages)
        body["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in messages]}
    return Reply(200, body)


async def slack_call(request: Request) -> SlackCall | Reply:
    """Read the token and the arguments from header, query and body; return Slack's refusal of a malformed request.

    Source: docs.slack.dev/apis/web-api (POST bodies); the errors' names are in every method's list.
    """
    header = request.headers.get("authorization", "")
    token = header[7:].strip() if header[:7].lower() == "bearer " else ""
    query: dict[str, Any] = {name: printable(value) for name, value in request.query_params.items()}
    body = await read_body(request, _SLACK_BODY_MOST)
    if body is None:
        return Reply(413, {"ok": False, "error": "request_entity_too_large"})
    if request.method != "POST" or not body:
        return SlackCall(token or str(query.pop("token", "")), query)
    kind, *parameters = [part.strip() for part in request.headers.get("content-type", "").lower().split(";")]
    if not kind:
        return slack_refusal("missing_post_type")
    charset = next((part[8:].strip("\"'") for part in parameters if part.startswith("charset=")), "utf-8")
    if charset not in {"utf-8", "utf8", "iso-8859-1"}:
        return slack_refusal("invalid_charset")
    if kind == "application/json":
        # With JSON the token has to be in the header.
        try:
            fields = decode(body)
        except ValueError:
            return slack_refusal("invalid_json")
        if not isinstance(fields, dict):
            return slack_refusal("json_not_object")
        return SlackCall(token, {**query, **fields})
    try:
        if kind == "multipart/form-data":
            form = _multipart(request.headers["content-type"], body)
        elif kind in {"application/x-www-form-urlencoded", "text/plain"}:
            pairs = parse_qsl(body.decode(charset), True, True, errors="strict", max_num_fields=_FIELDS_MOST)
            form = dict(pairs)
        else:
            return slack_refusal("invalid_post_type")
    except ValueError:
        return slack_refusal("invalid_form_data")
    form = {**query, **form}
    return SlackCall(token or str(form.pop("token", "")), form)


def _multipart(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the text fields of a multipart form; raises ValueError."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = email.message_from_bytes(head + body, policy=email.policy.compat32)
    if not message.is_multipart():
        raise ValueError("no multipart form")
    fields: dict[str, Any] = {}
    for part in message.get_payload():
        assert isinstance(part, email.message.Message)
        name = re.search(r'\bname="([^"]*)"', str(part.get("Content-Disposition", "")))
        content = part.get_payload(decode=True)
        if name is None or not isinstance(content, bytes):
            raise ValueError("a part without a name")
        fields[name[1]] = content.decode("utf-8")
    return fields
