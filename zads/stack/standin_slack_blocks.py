"""What Slack's Block Kit allows in a message, and how Slack words what is wrong with one.

Source: docs.slack.dev/reference/block-kit (blocks, block elements, composition objects). The wording with
the place as a JSON pointer is what Slack answers in `response_metadata.messages`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

BLOCKS_MOST = 50
_TEXT = ("plain_text", "mrkdwn")
_INTERACTIVE = {
    "button", "channels_select", "checkboxes", "conversations_select", "datepicker", "datetimepicker",
    "external_select", "multi_channels_select", "multi_conversations_select", "multi_external_select",
    "multi_static_select", "multi_users_select", "overflow", "radio_buttons", "static_select", "timepicker",
    "users_select", "workflow_button",
}  # fmt: skip
# Allowed in messages too; their insides are not looked at, since the notifier sends none of them.
_OTHERS = {"context_actions", "file", "input", "table", "video"}


def weight(blocks: Sequence[Any]) -> int:
    """Return what counts against `msg_blocks_too_long`: the texts' characters and something for each block.

    The limit is not documented. Slack's maintainers say "12,000 text characters with a buffer for block
    containers"; the measurements in slackapi/bolt-js issues 2509 and 2867 fit 50 for a block and 13,300 in all.
    """
    total, todo = 50 * len(blocks), list(blocks)
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            total += sum(len(value) for key, value in node.items() if key == "text" and isinstance(value, str))
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return total


def problems(blocks: Sequence[Any], at: str = "/blocks") -> list[str]:
    """Return everything that is wrong with the blocks, each with its JSON pointer."""
    found: list[str] = []
    if len(blocks) > BLOCKS_MOST:
        found.append(_say(f"no more than {BLOCKS_MOST} items allowed", at))
    seen: set[str] = set()
    for number, block in enumerate(blocks):
        where = f"{at}/{number}"
        if not isinstance(block, dict):
            found.append(_say("must be an object", where))
            continue
        found += _block(block, where)
        identity = block.get("block_id")
        if identity is None:
            continue
        if not isinstance(identity, str) or not 0 < len(identity) <= 255:
            found.append(_say("must be a string of 1 to 255 characters", f"{where}/block_id"))
        elif identity in seen:
            found.append(_say(f"`block_id` already exists: {identity}", f"{where}/block_id"))
        else:
            seen.add(identity)
    return found


def _say(what: str, where: str) -> str:
    return f"{what} [json-pointer:{where}]"


def _block(block: dict[str, Any], at: str) -> Iterator[str]:
    kind = block.get("type")
    if kind == "section":
        yield from _section(block, at)
    elif kind == "header":
        yield from _text_object(block.get("text"), f"{at}/text", 150, ("plain_text",))
    elif kind == "context":
        yield from _elements(block, at, 10)
    elif kind == "actions":
        yield from _elements(block, at, 25)
    elif kind == "image":
        yield from _image(block, at)
        if block.get("title") is not None:
            yield from _text_object(block["title"], f"{at}/title", 2000, ("plain_text",))
    elif kind == "markdown":
        yield from _string(block, "text", at, 12_000)
    elif kind == "rich_text":
        elements = block.get("elements")
        if not isinstance(elements, list) or not all(
            isinstance(element, dict) and str(element.get("type", "")).startswith("rich_text_") for element in elements
        ):
            yield _say("must be an array of rich text elements", f"{at}/elements")
    elif kind != "divider" and (not isinstance(kind, str) or kind not in _OTHERS):
        yield _say("unsupported type" if isinstance(kind, str) else "missing required field: type", at)


def _section(block: dict[str, Any], at: str) -> Iterator[str]:
    if block.get("text") is None and not block.get("fields"):
        yield _say("must define either `text` or `fields`", at)
    if block.get("text") is not None:
        yield from _text_object(block["text"], f"{at}/text", 3000)
    if block.get("fields") is not None:
        for number, field in enumerate((yield from _list(block, "fields", at, 10))):
            yield from _text_object(field, f"{at}/fields/{number}", 2000)
    if block.get("accessory") is not None:
        yield from _element(block["accessory"], f"{at}/accessory", "section")


def _elements(block: dict[str, Any], at: str, most: int) -> Iterator[str]:
    actions: set[str] = set()
    for number, element in enumerate((yield from _list(block, "elements", at, most))):
        where = f"{at}/elements/{number}"
        yield from _element(element, where, str(block["type"]))
        action = element.get("action_id") if isinstance(element, dict) else None
        if isinstance(action, str) and action in actions:
            yield _say(f"`action_id` already exists: {action}", f"{where}/action_id")
        elif isinstance(action, str):
            actions.add(action)


def _element(element: Any, at: str, inside: str) -> Iterator[str]:
    kind = element.get("type") if isinstance(element, dict) else None
    if not isinstance(element, dict) or not isinstance(kind, str):
        yield _say("must be an element object with a type", at)
    elif inside != "actions" and kind == "image":
        yield from _image(element, at)
    elif inside == "context" and kind in _TEXT:
        yield from _text_object(element, at, 3000)
    elif inside == "context" or kind not in _INTERACTIVE:
        yield _say(f"unsupported type: {kind[:80]}", at)
    else:
        if kind == "button":
            yield from _text_object(element.get("text"), f"{at}/text", 75, ("plain_text",))
            if element.get("style") is not None and element["style"] not in ("primary", "danger"):
                yield _say("must be `primary` or `danger`", f"{at}/style")
        for name, most in (("action_id", 255), ("url", 3000), ("value", 2000)):
            if element.get(name) is not None:
                yield from _string(element, name, at, most)


def _image(node: dict[str, Any], at: str) -> Iterator[str]:
    yield from _string(node, "alt_text", at, 2000)
    if node.get("image_url") is not None:
        yield from _string(node, "image_url", at, 3000)
    elif not isinstance(node.get("slack_file"), dict):
        yield _say("must define either `image_url` or `slack_file`", at)


def _text_object(node: Any, at: str, most: int, kinds: tuple[str, ...] = _TEXT) -> Iterator[str]:
    if not isinstance(node, dict):
        yield _say("must be a text object", at)
        return
    kind = node.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        yield _say(f"must be one of {', '.join(kinds)}", f"{at}/type")
    yield from _string(node, "text", at, most)


def _string(node: dict[str, Any], name: str, at: str, most: int) -> Iterator[str]:
    value = node.get(name)
    if value is None:
        yield _say(f"missing required field: {name}", at)
    elif not isinstance(value, str):
        yield _say("must be a string", f"{at}/{name}")
    elif not value:
        yield _say("must be more than 0 characters", f"{at}/{name}")
    elif len(value) > most:
        yield _say(f"must be less than {most + 1} characters", f"{at}/{name}")


def _list(block: dict[str, Any], name: str, at: str, most: int) -> Generator[str, None, list[Any]]:
    """Say what is wrong with a list; as a generator it returns the list, empty when it is none."""
    value = block.get(name)
    if not isinstance(value, list):
        yield _say("must be an array", f"{at}/{name}")
        return []
    if not value:
        yield _say("must have at least 1 item", f"{at}/{name}")
    if len(value) > most:
        yield _say(f"no more than {most} items allowed", f"{at}/{name}")
    return value
