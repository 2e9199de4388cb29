"""A study that the node retrieved itself to compare with: neither its images nor its results go anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fakes import an_instance
from tests.workers.deliveries.delivering import FULL, Site
from tests.workers.deliveries.test_forwarding import STUDY, TO_PACS, Forwards
from workers.index.prior_searches import SqlPriorSearches
from workers.index.sql import SqlIndex

WHO = [
    pytest.param([], ["SCANNER"], True, id="noop: a scanner sent it"),
    pytest.param(["VNA"], ["VNA"], False, id="retrieved"),
    pytest.param(["VNA", "MOVER"], ["MOVER"], False, id="retrieved, and sent under another name"),
    pytest.param(["VNA"], ["VNA", "SCANNER"], True, id="retrieved, and a scanner sends it, too"),
]


@pytest.mark.parametrize(("marks", "senders", "goes"), WHO)
def test_results(tmp_path: Path, marks: Sequence[str], senders: Sequence[str], goes: bool) -> None:
    site = Site(tmp_path, alert=True)
    engine = site.deliveries._engine
    uid, searches = FULL.study_instance_uid, SqlPriorSearches(engine)
    rows = [an_instance(uid, number, calling_ae=sender) for number, sender in enumerate(senders, start=1)]
    SqlIndex(engine).record_instances(rows)
    for sender in marks:
        searches.note_fetched(uid, sender)
        searches.note_fetched(uid, sender)
    assert searches.fetched([uid, "1.9"]) == (set() if goes else {uid})
    site.decide()
    assert bool(site.deliveries.listed()) is goes
    assert site.deliveries.unplanned(limit=9) == []


@pytest.mark.parametrize(("marks", "senders", "goes"), WHO)
def test_images(tmp_path: Path, marks: Sequence[str], senders: Sequence[str], goes: bool) -> None:
    site = Forwards(tmp_path)
    for sender in marks:
        SqlPriorSearches(site.deliveries._engine).note_fetched(STUDY, sender)
    for number in (1, 2, 3):
        site.receive("flair", number, calling_ae=senders[min(number, len(senders)) - 1])
    assert bool(site.planned()) is goes
    assert site.planned() <= TO_PACS
