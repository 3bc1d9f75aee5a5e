"""One message, for any channel: what, impact, what first, notes, links; as text and as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace

from notifier.links import Link

_COLOURS = {"resolved": "#2f8f83", "acknowledged": "#c98a00"}
_FIRING = {"page": "#d1480a"}
_WORDS = {"page": "PAGE", "ticket": "TICKET", "info": "NOTE"}


@dataclass(frozen=True)
class Message:
    """One message; `state` is firing, acknowledged or resolved.

    `title`: its first 80 characters stand alone on a locked phone. `subject`: the same for all messages of an
    incident, so that mail programs keep them together. `notes`: about the message itself (late, by whom, again when).
    `mention`: the Slack member id of who has to look, "" for nobody.
    """

    state: str
    severity: str
    subject: str
    title: str
    what: tuple[str, ...]
    impact: str
    first: str
    notes: tuple[str, ...]
    links: tuple[Link, ...]
    mention: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """All that follows the title, without the links."""
        first = (f"First: {self.first}",) if self.first else ()
        return (*self.what, *((self.impact,) if self.impact else ()), *first, *self.notes)

    @property
    def tag(self) -> str:
        """State and urgency in a word or two."""
        urgency = _WORDS.get(self.severity, "TICKET")
        return urgency if self.state == "firing" else f"{self.state.upper()} ({urgency.lower()})"

    @property
    def text(self) -> str:
        """The whole as plain text."""
        first = ["", f"First: {self.first}"] if self.first else []
        impact = [self.impact] if self.impact else []
        notes = ["", *self.notes] if self.notes else []
        links = [f"{name}: {url}" for name, url in self.links]
        return "\n".join([self.title, "", *self.what, *impact, *first, *notes, "", *links]) + "\n"

    @property
    def html(self) -> str:
        """The whole as HTML, without anything remote; a mail program may take away all but the simplest styles."""
        colour = _COLOURS.get(self.state) or _FIRING.get(self.severity, "#c98a00")
        facts = "".join(f'<p style="margin:0 0 .6rem">{html.escape(line)}</p>' for line in self.what)
        if self.impact:
            facts += f'<p style="margin:0 0 .6rem">{html.escape(self.impact)}</p>'
        if self.first:
            facts += (
                '<p style="margin:1rem 0;padding:.6rem .8rem;background:#f1f3f5;border-radius:6px">'
                f"<b>First:</b> {html.escape(self.first)}</p>"
            )
        notes = "".join(f'<p style="margin:0 0 .3rem;color:#5b6470">{html.escape(line)}</p>' for line in self.notes)
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            '<body style="font:16px/1.5 sans-serif;color:#16181d;max-width:40rem;margin:0 auto;padding:1rem">'
            f'<div style="border-left:8px solid {colour};padding-left:1rem">'
            f'<p style="color:{colour};font-weight:bold;margin:0">{html.escape(self.tag)}</p>'
            f'<h1 style="font-size:1.3rem;line-height:1.3;margin:.2rem 0 1rem">{html.escape(self.title)}</h1>'
            f'{facts}<p style="margin:1rem 0">{self._buttons(colour)}</p>{notes}</div>'
        )

    def _buttons(self, colour: str) -> str:
        """Return the links, the first as a button that a thumb finds."""
        place = "display:inline-block;margin:0 1.2rem .6rem 0;padding:.5rem 0"
        plain = f"{place};color:#0b5cad"
        button = f"{place};padding:.5rem 1rem;background:{colour};color:#fff;border-radius:6px;text-decoration:none"
        return " ".join(
            f'<a href="{html.escape(url, quote=True)}" style="{button if index == 0 else plain}">{html.escape(name)}</a>'
            for index, (name, url) in enumerate(self.links)
        )

    def noting(self, *notes: str) -> Message:
        """Return the message with more notes."""
        return replace(self, notes=(*self.notes, *notes))
