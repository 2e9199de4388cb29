"""Saved views: in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.engine import Engine

from tests.fake_worklist import InMemoryViews
from workers.index.sql import SqlIndex
from workers.index.views import SqlViews
from workers.worklist_ports import KeptView, KeptViews


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def views(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> KeptViews:
    if request.param == "memory":
        return InMemoryViews()
    engine = engine_of(request.param)
    SqlIndex(engine)
    return SqlViews(engine)


def test_views_belong_to_their_account(views: KeptViews) -> None:
    assert views.views_of("a") == [], "noop: nothing was saved"
    night = views.keep_view(KeptView("a", "night", "g=p1"))
    other = views.keep_view(KeptView("b", "night", "g=p2"))
    views.keep_view(KeptView("a", "<b>", ""))
    again = views.keep_view(KeptView("a", "night", "g=p1&sort=newest"))
    assert again.number == night.number != other.number
    assert [(one.words, one.query) for one in views.views_of("a")] == [("night", "g=p1&sort=newest"), ("<b>", "")]
    assert not views.drop_view("a", other.number), "it belongs to somebody else"
    assert views.drop_view("a", night.number)
    assert not views.drop_view("a", night.number)
    assert [one.words for one in views.views_of("a")] == ["<b>"]
    assert [one.words for one in views.views_of("b")] == ["night"]
