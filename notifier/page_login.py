"""The log-in, and pages that only say something."""

from __future__ import annotations

import html

from notifier.page_frame import Visitor, frame, note
from notifier.words import duration


def login_page(visitor: Visitor, target: str, *, words: str = "", name: str = "") -> str:
    """Return the form; `target`: where to go afterwards, `words`: why it is asked again."""
    form = (
        f'<form method="post" action="/login" class="sheet narrow">{visitor.hidden}'
        f'<input type="hidden" name="next" value="{html.escape(target, quote=True)}">'
        '<div class="fields"><label class="grow">Your name, as it stands beside what you acknowledge '
        f'<input name="name" required maxlength="60" autocomplete="username" value="{html.escape(name, quote=True)}"></label>'
        '<label class="grow">Password <input type="password" name="password" required maxlength="200" '
        'autocomplete="current-password"></label><button class="main">Log in</button></div></form>'
    )
    return frame(
        "Log in",
        f'{note(words, bad=True)}<h1>Log in</h1><p class="dim">All operators share one password.</p>{form}',
        visitor=visitor,
    )


def not_possible(visitor: Visitor) -> str:
    """Return the page where there is no password to log in with."""
    return message_page(
        "No password is set",
        "Set notifier.password_hash_file in zads.toml; zads notify hash-password prints what goes into that file.",
        visitor,
    )


def message_page(title: str, words: str, visitor: Visitor) -> str:
    """Return a page that says one thing, and leads back."""
    return frame(
        title,
        f'<h1>{html.escape(title)}</h1><p>{html.escape(words)}</p><p><a href="/">What is open now</a></p>',
        visitor=visitor,
    )


def too_early(seconds: float) -> str:
    """Return what is said to who has to wait."""
    return f"Too many wrong passwords: wait {duration(max(1.0, seconds))} and try again."
