"""The arguments of chat.postMessage and chat.update: what Slack takes, what it refuses, what a reader sees.

Sources: docs.slack.dev (chat.postMessage, chat.update, message attachments, message metadata).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zads.stack.standin_http import decode
from zads.stack.standin_slack_blocks import problems, weight

TEXT_MOST = 40_000  # chat.postMessage cuts what is longer and warns
UPDATE_TEXT_MOST = 4_000  # chat.update refuses what is longer
_MARKDOWN_MOST = 12_000
_ATTACHMENTS_MOST = 100
_BLOCKS_WEIGHT_MOST = 13_300
# "Metadata exceeds size limit" is documented, the limit is not; this is far above what an incident needs.
_METADATA_MOST = 8_000


@dataclass(frozen=True)
class Refusal:
    """An error's name, and what exactly is wrong."""

    error: str
    messages: tuple[str, ...] = ()


def decoded(fields: dict[str, Any]) -> dict[str, Any] | Refusal:
    """Decode the JSON arguments, which come as strings in forms; refuse what is not of its kind."""
    out = {name: value for name, value in fields.items() if value is not None}
    for name, kind, error in (
        ("blocks", list, "invalid_blocks_format"),
        ("attachments", list, "invalid_attachments"),
        ("metadata", dict, "invalid_metadata_format"),
    ):
        value = out.get(name)
        if isinstance(value, str):
            if not value.strip():
                del out[name]
                continue
            try:
                out[name] = value = decode(value)
            except ValueError:
                return Refusal(error)
        if name in out and not isinstance(value, kind):
            return Refusal(error)
    return out


def wrong(fields: dict[str, Any], *, update: bool = False) -> Refusal | None:
    """Return Slack's refusal of decoded arguments, None when they are right."""
    text, markdown = fields.get("text", ""), fields.get("markdown_text", "")
    blocks, attachments = fields.get("blocks") or [], fields.get("attachments") or []
    if markdown and (text or blocks):
        return Refusal("markdown_text_conflict")
    if not text.strip() and not markdown.strip() and not blocks and not attachments:
        return Refusal("no_text")
    if len(markdown) > _MARKDOWN_MOST or (update and len(text) > UPDATE_TEXT_MOST):
        return Refusal("msg_too_long")
    found = problems(blocks)
    if found:
        return Refusal("invalid_blocks", tuple(found))
    if weight(blocks) > _BLOCKS_WEIGHT_MOST:
        return Refusal("msg_blocks_too_long")
    if len(attachments) > _ATTACHMENTS_MOST:
        return Refusal("too_many_attachments")
    found = [problem for number, one in enumerate(attachments) for problem in _attachment(one, f"/attachments/{number}")]
    if found:
        return Refusal("invalid_attachments", tuple(found))
    return _wrong_metadata(fields["metadata"], update) if "metadata" in fields else None


def _attachment(one: Any, at: str) -> Iterator[str]:
    if not isinstance(one, dict):
        yield f"must be an object [json-pointer:{at}]"
        return
    if "blocks" in one:
        blocks = one["blocks"]
        yield from (
            problems(blocks, f"{at}/blocks") if isinstance(blocks, list) else [f"must be an array [json-pointer:{at}]"]
        )
    elif not (one.get("text") or one.get("fallback")):
        yield f"must define `blocks`, `text` or `fallback` [json-pointer:{at}]"
    for name in ("text", "fallback", "pretext", "title", "color", "footer"):
        if one.get(name) is not None and not isinstance(one[name], str):
            yield f"must be a string [json-pointer:{at}/{name}]"
    pairs = one.get("fields", [])
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
        yield f"must be an array of objects [json-pointer:{at}/fields]"


def _wrong_metadata(metadata: dict[str, Any], update: bool) -> Refusal | None:
    if not metadata and update:
        return None  # an empty object takes the metadata away
    kind, payload = metadata.get("event_type"), metadata.get("event_payload")
    if not isinstance(kind, str) or not kind or not isinstance(payload, dict):
        return Refusal("invalid_metadata_schema")
    return Refusal("metadata_too_large") if len(str(metadata)) > _METADATA_MOST else None


def readable(message: dict[str, Any]) -> str:
    """Return what a reader sees: the blocks' texts in order, the plain text where there are none, attachments."""
    lines = list(_texts(message.get("blocks") or [])) or [str(message.get("text", ""))]
    return "\n".join([*lines, *_texts(message.get("attachments") or [])]).strip("\n")


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for entry in node:
            yield from _texts(entry)
    elif isinstance(node, dict):
        for key in ("pretext", "title", "text", "value" if "title" in node else "", "alt_text"):
            if isinstance(node.get(key), str):
                yield node[key]
            elif key:
                yield from _texts(node.get(key))
        for key in ("fields", "elements", "accessory", "blocks"):
            yield from _texts(node.get(key))
