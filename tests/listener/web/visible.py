"""A page in, the words that a reader sees out."""

from __future__ import annotations

from html.parser import HTMLParser


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += data.split()


def content(page: str) -> str:
    """What a page holds inside its frame."""
    return page[page.index("<main") : page.index("</main>")]


def words(page: str) -> list[str]:
    """Words in their order; where an element begins or ends a word ends too."""
    parser = _Words()
    parser.feed(page)
    return parser.found
