"""One message, for any channel: what, impact, what first, notes, links; as text and as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace

from notifier.links import Link

# White letters on each have a contrast of 4.5 or more (WCAG 2.2, 1.4.3).
_COLOURS = {"resolved": "#1c6f63", "acknowledged": "#7a5900"}
_FIRING = {"page": "#b93a00", "info": "#4a5560"}
_TICKET = "#8a5600"
# For mail programs that follow the reader's scheme; those that take it away show the light one.
_STYLE = (
    "@media(prefers-color-scheme:dark){body,.m{background:#14171c!important;color:#eceff3!important}"
    ".f{background:#262d36!important;color:#eceff3!important}.n{color:#b3bcc6!important}.l{color:#8cc1ff!important}}"
)
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
        colour = _COLOURS.get(self.state) or _FIRING.get(self.severity, _TICKET)
        facts = "".join(_paragraph(line) for line in (*self.what, *((self.impact,) if self.impact else ())))
        if self.first:
            facts += (
                '<p class="f" style="margin:1rem 0;padding:.6rem .8rem;background:#eef1f4;color:#16181d;border-radius:6px">'
                f"<b>First:</b> {html.escape(self.first)}</p>"
            )
        notes = "".join(_paragraph(line, "margin:0 0 .3rem;color:#515a66;font-size:.9rem", "n") for line in self.notes)
        links = f'<p style="margin:1rem 0 .4rem">{self._buttons(colour)}</p>' if self.links else ""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f'<meta name="color-scheme" content="light dark"><title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>'
            '<body class="m" style="font:16px/1.5 sans-serif;background:#fff;color:#16181d;margin:0;padding:0">'
            '<div class="m" style="max-width:40rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere;word-break:break-word">'
            f'<div style="border-left:6px solid {colour};padding-left:.9rem">'
            f'<p style="margin:0"><span style="background:{colour};color:#fff;font-weight:bold;font-size:.85rem;'
            f'padding:.15rem .5rem;border-radius:4px">{html.escape(self.tag)}</span></p>'
            f'<h1 style="font-size:1.25rem;line-height:1.3;margin:.4rem 0 .8rem">{html.escape(self.title)}</h1>'
            f"{facts}{links}{notes}</div></div></body></html>"
        )

    def _buttons(self, colour: str) -> str:
        """Return the links, the first as a button that a thumb finds."""
        place = "display:inline-block;margin:0 1rem .5rem 0;padding:.6rem 0"
        plain = f"{place};color:#0b5cad"
        button = f"{place};padding:.6rem 1.1rem;background:{colour};color:#fff;border-radius:6px;text-decoration:none"
        return " ".join(
            f'<a class="{"l" if index else "b"}" href="{html.escape(url, quote=True)}" style="{plain if index else button}">'
            f"{html.escape(name)}</a>"
            for index, (name, url) in enumerate(self.links)
        )

    def noting(self, *notes: str) -> Message:
        """Return the message with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def _paragraph(text: str, style: str = "margin:0 0 .6rem", kind: str = "t") -> str:
    return f'<p class="{kind}" style="{style}">{html.escape(text)}</p>'
