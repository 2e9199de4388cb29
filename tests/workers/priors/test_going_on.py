"""Searches that go on when what came cannot be the baseline, and begin anew when what they asked for changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes_priors import FakeArchive
from tests.workers.priors.nodes import BASELINE, FOLLOW_UP, PATIENT, Node, study_files
from triage.errors import Transient
from workers.identity_events import Change, IdentityEvent
from workers.ports import PatientKey
from workers.prior_settings import PriorSource
from workers.priors.archive import Archive

SOURCES = [{"name": name, "ae_title": name, "host": "127.0.0.1"} for name in ("PACS", "VNA")]


@pytest.fixture
def baseline(tmp_path: Path) -> list[Path]:
    return study_files(tmp_path / "archive", BASELINE, "20240105")


def find(node: Node, archive: FakeArchive) -> list[tuple[str, str]]:
    node.find(node.finder(archive))
    return [(one.source, one.state.value) for one in node.searches.of_study(FOLLOW_UP)]


OLDER = "1.2.826.0.1.7"


@pytest.mark.parametrize("stored", [False, True], ids=["only in the archive", "stored already"])
@pytest.mark.parametrize(
    ("most", "baseline_uid", "ends"),
    [
        pytest.param(2, OLDER, ["found", "not_needed"], id="the older one is fetched"),
        pytest.param(1, OLDER, ["nothing", "found"], id="by the next archive"),
    ],
)
def test_what_cannot_be_the_baseline_does_not_end_the_search(
    tmp_path: Path, stored: bool, most: int, baseline_uid: str, ends: list[str]
) -> None:
    made = Node(tmp_path / "state", {"sources": SOURCES, "max_studies": most})
    made.engine.unfit_baselines.add(BASELINE)
    made.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    made.infusion()
    near = study_files(tmp_path / "archive", BASELINE, "20240115")
    if stored:
        made.put(near)
        ends = ["found", "not_needed"]  # nothing of it was retrieved, so one study may still be
    made.settle()
    archive = FakeArchive([*near, *study_files(tmp_path / "archive", OLDER, "20231201")])
    for _ in range(4):
        made.find(made.finder(archive))
        made.settle()
        made.clock.ahead += timedelta(hours=2)
    document = made.index.assessment(FOLLOW_UP) or {}
    assert document["baseline"]["study_instance_uid"] == baseline_uid
    searches = made.searches.of_study(FOLLOW_UP)
    assert [one.state.value for one in searches] == ends
    assert (
        searches[0].answer["candidates"][0]["said"].startswith("it is here, and cannot be the baseline: not assessable")
    )
    assert max(one.attempts for one in searches) <= 2
    made.close()


def test_an_archive_is_asked_under_the_id_that_an_emergency_id_was_merged_into(
    tmp_path: Path, baseline: list[Path]
) -> None:
    made = Node(tmp_path / "other", {"sources": SOURCES[:1]})
    made.put(study_files(tmp_path / "unknown", FOLLOW_UP, "20240125", PatientID="EMERGENCY"))
    archive = FakeArchive(baseline)
    assert find(made, archive) == [("PACS", "nothing")]
    event = IdentityEvent(Change.MERGE, PatientKey("EMERGENCY"), PatientKey(PATIENT), "test", made.clock.now())
    made.index.record_identity(event)
    assert find(made, archive) == [("PACS", "found")]
    (search,) = made.searches.of_study(FOLLOW_UP)
    assert find(made, archive) == [("PACS", "found")]
    assert made.searches.of_study(FOLLOW_UP) == [search]
    made.close()


def test_a_late_infusion_date_and_a_new_archive_are_asked_for(tmp_path: Path, baseline: list[Path]) -> None:
    after = study_files(tmp_path / "archive", "1.2.826.0.1.3", "20240122")
    early = Node(tmp_path / "state", {"sources": SOURCES[:1]})
    early.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    assert find(early, FakeArchive(after)) == [("PACS", "found")]
    early.infusion()
    assert find(early, FakeArchive(after)) == [("PACS", "nothing")]
    early.close()
    later = Node(tmp_path / "state", {"sources": SOURCES})
    assert find(later, FakeArchive(baseline)) == [("PACS", "nothing"), ("VNA", "found")]
    later.close()


def test_no_search_for_what_was_retrieved_to_compare_with(tmp_path: Path) -> None:
    made = Node(tmp_path / "state", {"sources": SOURCES[:1], "max_studies": 1})
    made.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    days = ["20240115", "20231201", "20231101", "20231001"]
    held = [study_files(tmp_path / "archive", f"1.2.826.0.1.{n}", day) for n, day in enumerate(days, start=10)]
    archive = FakeArchive([path for files in held for path in files])
    for _ in range(4):
        made.find(made.finder(archive))
        made.settle()
        made.clock.ahead += timedelta(hours=2)
    assert [bool(made.images(f"1.2.826.0.1.{n}")) for n in range(10, 14)] == [True, False, False, False]
    scanned = [
        path.rename(path.with_suffix(".again")) for path in study_files(tmp_path / "s", "1.2.826.0.1.10", days[0])
    ]
    assert made.searches.fetched(["1.2.826.0.1.10", FOLLOW_UP]) == {"1.2.826.0.1.10"}
    made.put(scanned[-1:])  # the localizer: of it nothing was retrieved
    assert made.searches.fetched(["1.2.826.0.1.10"]) == set()
    made.close()


def test_an_archive_that_is_away_does_not_keep_the_next_one_from_being_asked(tmp_path: Path) -> None:
    made = Node(tmp_path / "state", {"sources": SOURCES})
    for number in range(20, 25):
        uid = f"1.2.826.0.1.{number}"
        made.put(study_files(tmp_path / "in", uid, "20240125", PatientID=f"P{number}")[:1])
    asked: list[str] = []

    @contextmanager
    def connect(source: PriorSource, ends_s: float) -> Iterator[Archive]:
        asked.append(source.name)
        if source.name == "PACS":
            raise Transient("the archive is away")
        with FakeArchive()(source, ends_s) as archive:
            yield archive

    finder = made.finder(connect)
    made.find(finder)
    assert asked == ["PACS", *["VNA"] * 5]
    made.clock.ahead += timedelta(hours=1)
    made.find(finder)
    assert asked[6:] == ["PACS"]
    made.close()
