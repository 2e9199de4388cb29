"""Entries and documents in, pages out: the words that readers know, and nothing that is markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from listener.web import pages
from tests.listener.web.visible import content, words

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "triage" / "report" / "golden" / "assessment.json"
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "' onmouseover='alert(1)",
    "&lt;b&gt;",
]


def a_document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return loaded


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check_nothing_runs(page: str) -> None:
    for tag, attributes in Elements(page).found:
        assert tag not in ("iframe", "object", "embed", "style", "base"), tag
        assert tag != "script" or is_harmless(attributes), attributes
        assert tag != "form" or attributes.get("action", "/").startswith("/"), attributes
        assert not any(name.startswith("on") or name == "style" for name in attributes), attributes
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), attributes


def is_harmless(script: dict[str, str | None]) -> bool:
    """A module of ours, or data that no browser runs."""
    if "src" in script:
        return str(script["src"]).startswith("/static/")
    return script.get("type") == "application/json"


def with_text(value: Any, text: str) -> Any:
    """The document with another text in every place that holds one."""
    if isinstance(value, dict):
        return {key: with_text(one, text) for key, one in value.items()}
    if isinstance(value, list):
        return [with_text(one, text) for one in value]
    return text if isinstance(value, str) else value


def golden(name: str) -> list[str]:
    return (HERE / "golden" / name).read_text(encoding="utf-8").split()


def test_the_study_page_says_what_it_always_said() -> None:
    page = pages.study(a_document(), has_picture=True)
    assert words(content(page)) == golden("study.txt")
    assert any(tag == "img" for tag, _ in Elements(page).found)


def test_without_a_picture_the_page_says_so() -> None:
    page = pages.study(a_document(), has_picture=False)
    assert "There are no images to show" in page
    assert not any(tag == "img" for tag, _ in Elements(page).found)


def a_study_page(text: str) -> str:
    """The page of a study with this text in every place but dates, which the drawing reads."""
    document = with_text(a_document(), text)
    for series in document["evolution"]["trend"]:
        for point in series["points"]:
            point["study_date"] = None
    return pages.study(document, has_picture=True)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_changes_nothing(text: str) -> None:
    page = a_study_page(text)
    check_nothing_runs(page)
    assert [tag for tag, _ in Elements(page).found] == [tag for tag, _ in Elements(a_study_page("harmless")).found]
    assert " ".join(words(page)).count(" ".join(text.split())) >= 6


def test_a_document_without_what_the_page_needs_is_a_fault_and_no_gap() -> None:
    document = a_document()
    del document["decision"]["priority"]
    with pytest.raises(UndefinedError):
        pages.study(document, has_picture=False)


def test_the_style_is_a_file_without_anything_from_elsewhere() -> None:
    style = pages.STYLE.read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style
