"""The list of studies is read from rows: a fixed number of questions, and never a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from listener.web.app import create_app
from listener.web.site import Site
from listener.web.worklist import open_worklist
from tests.fakes import FakeClock, an_instance
from workers.config import Settings
from workers.index.sql import SqlIndex, open_index
from workers.index.worklist import WorklistTable
from workers.outputs.results import ResultFolder

CLOCK = FakeClock()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqlIndex]:
    opened = open_index(f"sqlite:///{tmp_path / 'index.db'}")
    yield opened
    opened.close()


def decide(index: SqlIndex, number: int) -> None:
    uid, now = f"1.2.{number}", CLOCK.now()
    index.record_instances([an_instance(uid, received_at=now)])
    index.mark_ready(uid, now=now, reason="test")
    claim = index.claim(uid, owner="w", now=now, lease_s=30)
    assert claim is not None
    document = {"decision": {"category": "possible", "priority": "P2", "reasons": [f"reason {number}"]}}
    assert index.save_assessment(claim, stage="full", document=document, now=now)


def statements_of(index: SqlIndex, question: Callable[[], object]) -> list[str]:
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    sa.event.listen(index._engine, "before_cursor_execute", note)
    try:
        question()
    finally:
        sa.event.remove(index._engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize("door", ["/", "/api/studies", "icansee studies"])
def test_a_list_of_studies_loads_no_document(index: SqlIndex, tmp_path: Path, door: str) -> None:
    table = WorklistTable(index._engine)
    site = Site(Settings(), index, ResultFolder(tmp_path), lambda: "run", now=CLOCK.now, worklist=table)
    client = TestClient(create_app(site), base_url="http://127.0.0.1")

    def ask() -> None:
        if door.startswith("/"):
            assert client.get(door).status_code == 200
        else:
            open_worklist(index, now=CLOCK.now())

    decide(index, 1)
    of_one = statements_of(index, ask)
    for number in range(2, 12):
        decide(index, number)
    of_many = statements_of(index, ask)
    assert len(of_one) == len(of_many) > 0
    assert not any("assessments" in statement or "document" in statement for statement in of_many)
    assert any("document" in statement for statement in statements_of(index, lambda: index.assessment("1.2.1")))


def test_the_page_shows_every_study(index: SqlIndex, tmp_path: Path) -> None:
    for number in range(1, 4):
        decide(index, number)
    table = WorklistTable(index._engine)
    site = Site(Settings(), index, ResultFolder(tmp_path), lambda: "run", now=CLOCK.now, worklist=table)
    page = TestClient(create_app(site), base_url="http://127.0.0.1").get("/").text
    assert page.count('<tr id="s-') == 3
