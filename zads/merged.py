"""The pages of several exporters as one: each family stands once, as Prometheus' text format demands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zads.snapshot import Page

_HELP = b"# HELP "


def merged(pages: Iterable[Page]) -> bytes:
    """Return one page with every series of the pages, each once: the first page that has a series says its value.

    What all of them say about themselves (process_*, zads_build_info) is so said once. A family of one exporter alone,
    as the wide ones are, is moved and not looked into.
    """
    families: dict[bytes, list[bytes]] = {}
    for page in pages:
        for name, pieces in _families(page).items():
            if name in families:
                families[name].append(_new_samples(families[name], pieces))
            else:
                families[name] = pieces
    return b"".join(piece for pieces in families.values() for piece in pieces)


def _families(page: Page) -> dict[bytes, list[bytes]]:
    """Return the page's families by name, each in pieces as the page holds it."""
    families: dict[bytes, list[bytes]] = {}
    pieces: list[bytes] = []
    for name, piece in _pieces(page):
        if name is not None:
            pieces = families.setdefault(name, [])
        pieces.append(piece)
    return families


def _pieces(page: Page) -> Iterator[tuple[bytes | None, bytes]]:
    """Yield the page cut where families begin: a family's name, None within one, and the text."""
    for chunk in page.chunks():
        begin = 0
        while begin < len(chunk):
            end = chunk.find(b"\n" + _HELP, begin) + 1 or len(chunk)
            piece = chunk[begin:end]
            head = piece[: piece.find(b"\n")] if piece.startswith(_HELP) else b""
            yield head.split(b" ", 3)[2] if head else None, piece
            begin = end


def _new_samples(known: Iterable[bytes], pieces: Iterable[bytes]) -> bytes:
    """Return the samples of a family's text whose series are not known yet."""
    seen = {_series(line) for text in known for line in text.split(b"\n")}
    lines = (line for text in pieces for line in text.split(b"\n"))
    return b"".join(line + b"\n" for line in lines if line and not line.startswith(b"#") and _series(line) not in seen)


def _series(line: bytes) -> bytes:
    """Return a sample's name and labels: all but the value, which is the last word."""
    return line.rpartition(b" ")[0]
