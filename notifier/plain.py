"""A message as its alert came: for when writing it in full fails, since a defect of ours must not keep a page back."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from notifier.message import Message
from notifier.model import Delivery
from notifier.render import Renderer
from notifier.words import one_line

_LOG = logging.getLogger(__name__)
_MOST = 500


def written(renderer: Renderer, delivery: Delivery, many: Sequence[Delivery] = ()) -> Message:
    """Return the message of a delivery, or of a digest of many; in plain words where the renderer fails."""
    try:
        return renderer.digest(list(many)) if many else renderer.message(delivery)
    except Exception as error:  # whatever it is: that it fires is worth more than how it reads
        _LOG.exception("a message about incident %d cannot be written in full", delivery.incident.id)
        return _plain(delivery, many, error)


def _plain(delivery: Delivery, many: Sequence[Delivery], error: Exception) -> Message:
    incident = delivery.incident
    name = one_line(f"{incident.headline} {incident.subject}")[:_MOST]
    state = incident.state if delivery.kind != "digest" else "firing"
    told = [one_line(f"{one.incident.state}: {one.incident.headline} {one.incident.subject}")[:_MOST] for one in many[:50]]
    return Message(
        state,
        incident.severity,
        f"[ZADS] {name}",
        f"{len(many)} alerts" if many else f"{name}: {state}",
        (*told, one_line(str(incident.annotations.get("summary", "")))[:_MOST]) if not many else tuple(told),
        one_line(str(incident.annotations.get("impact", "")))[:_MOST],
        one_line(str(incident.annotations.get("first", "")))[:_MOST],
        (f"In plain words, since the notifier could not write it in full ({type(error).__name__}).",),
        (),
    )
