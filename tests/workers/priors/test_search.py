"""Searches with an archive in memory: what is retrieved, refused, resumed and said."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.builders_dicom import a_series
from tests.fakes import an_instance
from tests.fakes_priors import FakeArchive
from tests.workers.priors.nodes import (
    BASELINE,
    FLAIR_IMAGES,
    FOLLOW_UP,
    INFUSION,
    PATIENT,
    T1_IMAGES,
    Node,
    study_files,
)
from triage.model import SequenceKind
from workers.identities import ObjectAnswer
from workers.ports import StudyRow
from workers.prior_settings import PriorSource
from workers.priors import retrieval
from workers.priors.archive import FoundStudy
from workers.priors.needs import Window
from workers.priors.search import why_not
from workers.reading.child import LimitExceeded

SOURCES = [{"name": name, "ae_title": name, "host": "127.0.0.1"} for name in ("PACS", "VNA")]
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
NEEDED = FLAIR_IMAGES + T1_IMAGES


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "state", {"sources": SOURCES, "max_attempts": 3})
    made.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    made.infusion()
    yield made
    made.close()


@pytest.fixture
def baseline(tmp_path: Path) -> list[Path]:
    return study_files(tmp_path / "archive", BASELINE, "20240105")


def find(node: Node, archive: FakeArchive) -> list[tuple[str, str]]:
    node.find(node.finder(archive))
    return [(one.source, one.state.value) for one in node.searches.of_study(FOLLOW_UP)]


def test_needed_series_come_and_the_decision_is_revised(node: Node, baseline: list[Path]) -> None:
    assert not (node.assess(FOLLOW_UP)["baseline"] or {}).get("study_instance_uid")
    archive = FakeArchive(baseline)
    assert find(node, archive) == [("PACS", "found"), ("VNA", "not_needed")]
    assert node.images(BASELINE) == {f"{BASELINE}.1": FLAIR_IMAGES, f"{BASELINE}.2": T1_IMAGES}
    assert archive.asked == 1
    node.settle()
    document = node.index.assessment(FOLLOW_UP)
    assert document is not None
    assert document["baseline"]["study_instance_uid"] == BASELINE
    assert document["notices"] == ["archive PACS for a missing baseline: earlier images were retrieved"]
    assert list((node.settings.store.state_dir / "run" / "priors").rglob("*.dcm")) == []
    # the retrieved study is no follow-up that needs a baseline of its own, and nothing is asked twice
    assert node.finder(archive).look() == 0


def test_what_broke_off_is_resumed_with_what_is_missing(node: Node, baseline: list[Path]) -> None:
    archive = FakeArchive(baseline)
    archive.breaks_after = 4  # the one that shows what the series is, and three images
    assert find(node, archive) == [("PACS", "waiting"), ("VNA", "waiting")]
    assert sum(node.images(BASELINE).values()) == 3
    said = node.searches.of_study(FOLLOW_UP)[0]
    assert (said.failure, said.attempts) == ("Transient: the archive broke off", 1)
    assert said.answer["candidates"][0]["said"] == "not complete yet: the archive broke off, or the time was over"
    archive.breaks_after = None
    node.clock.ahead += timedelta(minutes=10)
    assert find(node, archive)[0] == ("PACS", "found")
    assert sum(node.images(BASELINE).values()) == NEEDED
    assert archive.sent <= 4 + (NEEDED - 3) + 2  # nothing that was there came again, but for the looks at two series


def test_a_killed_process_leaves_a_search_that_the_next_one_takes_up(node: Node, baseline: list[Path]) -> None:
    killed = node.finder(FakeArchive(baseline))
    killed.look()
    assert node.searches.take(owner="node", now=node.clock.now(), for_s=1000) is not None
    nobody = node.finder(FakeArchive(baseline))
    assert not nobody.run_one()
    nobody.begin()
    assert nobody.run_one()
    assert sum(node.images(BASELINE).values()) == NEEDED


@pytest.mark.parametrize(
    ("elements", "answers", "said"),
    [
        pytest.param(
            {"PatientBirthDate": "19800101"},
            None,
            "identity mismatch: same patient ID but another birth date",
            id="the answer",
        ),
        pytest.param(
            {"PatientBirthDate": "19800101"},
            [FoundStudy(BASELINE, date(2024, 1, 5), "101112", PATIENT)],
            "refused: an image contradicts the follow-up (same patient ID but another birth date)",
            id="only the images",
        ),
        pytest.param(
            {"PatientID": "SOMEBODY"},
            [FoundStudy(BASELINE, date(2024, 1, 5), "101112", PATIENT)],
            "refused: an image contradicts the follow-up (another patient ID)",
            id="another ID in the images",
        ),
    ],
)
def test_a_study_of_somebody_else_is_refused(
    node: Node, tmp_path: Path, elements: dict[str, Any], answers: list[FoundStudy] | None, said: str
) -> None:
    archive = FakeArchive(study_files(tmp_path / "other", BASELINE, "20240105", **elements), answers=answers)
    assert find(node, archive) == [("PACS", "nothing"), ("VNA", "nothing")]
    assert node.images(BASELINE) == {}
    assert [one["said"] for one in node.searches.of_study(FOLLOW_UP)[0].answer["candidates"]] == [said]


def _of_another_study(image: pydicom.Dataset) -> None:
    image.StudyInstanceUID, image.PatientID = "1.2.826.0.1.77", "STRANGER"


def _of_a_stranger(image: pydicom.Dataset) -> None:
    image.PatientID, image.PatientBirthDate = "STRANGER", "19991231"


@pytest.mark.parametrize(
    ("spoil", "said", "used"),
    [
        pytest.param(
            _of_a_stranger, "refused: an image contradicts the follow-up (another patient ID)", 0, id="patient"
        ),
        pytest.param(_of_another_study, "not complete: 1 of 8 images", FLAIR_IMAGES - 1, id="study"),
    ],
)
def test_a_strange_image_in_the_middle_of_a_series_is_not_kept(
    node: Node, baseline: list[Path], spoil: Callable[[pydicom.Dataset], None], said: str, used: int
) -> None:
    image = pydicom.dcmread(baseline[5])
    archive = FakeArchive(baseline)
    spoil(image)
    image.save_as(baseline[5])
    held = archive.instances(BASELINE, f"{BASELINE}.1")
    archive.instances = lambda _study, series: held if series == f"{BASELINE}.1" else []  # type: ignore[method-assign]
    find(node, archive)
    assert node.searches.of_study(FOLLOW_UP)[0].answer["candidates"][0]["said"].startswith(said)
    stored = [pydicom.dcmread(path, stop_before_pixels=True) for path in node.store.all_files()]
    assert {one.PatientID for one in stored} == {PATIENT}
    assert {one.StudyInstanceUID for one in stored} == {FOLLOW_UP, BASELINE}
    answers = node.index.object_answers(BASELINE)
    left = [row for row in node.index.instances(BASELINE) if row.sop_instance_uid not in answers]
    assert len(left) == used
    assert {one.answer for one in answers.values()} <= {ObjectAnswer.DISCARDED}


def test_an_archive_that_is_away_is_given_up_in_the_end(node: Node) -> None:
    archive = FakeArchive()
    archive.away = True
    for _ in range(3):
        found = find(node, archive)
        node.clock.ahead += timedelta(hours=2)
    assert found == [("PACS", "gave_up"), ("VNA", "gave_up")]
    document = node.assess(FOLLOW_UP)
    assert [one["state"] for one in document["priors"]] == ["gave_up"] * 2
    assert document["notices"][0].endswith("or did not send everything: Transient: the archive is away")


def _unsendable(*uids: str) -> Callable[[FakeArchive, Node, pytest.MonkeyPatch], object]:
    return lambda archive, _node, _patch: archive.unsendable.update(uids)


def _no_classes(archive: FakeArchive, *_: object) -> None:
    archive.says_classes = False
    archive.unsendable.add(f"{BASELINE}.0")


def _comes_too_late(archive: FakeArchive, _node: Node, patch: pytest.MonkeyPatch) -> None:
    archive.pushes = True
    patch.setattr(retrieval, "PUSHED_WITHIN_S", 0.01)


def _disk_is_full(_archive: FakeArchive, _node: Node, patch: pytest.MonkeyPatch) -> None:
    def write_all(_fd: int, _parts: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr("workers.files.store.disk.write_all", write_all)


def _broken_header(_archive: FakeArchive, node: Node, _patch: pytest.MonkeyPatch) -> None:
    def kind_of(_path: Path) -> SequenceKind:
        raise LimitExceeded("no answer within 2 s")

    node.kind_of = kind_of


@pytest.mark.parametrize(
    ("spoil", "ends", "said"),
    [
        pytest.param(_unsendable(), "found", "retrieved", id="noop: everything is sent"),
        pytest.param(_unsendable(f"{BASELINE}.0"), "found", "retrieved", id="a capture that cannot be sent"),
        pytest.param(_no_classes, "found", "a series could not be looked at", id="the same, of no stated class"),
        pytest.param(_unsendable(f"{BASELINE}.2.2"), "found", "1 of 5 images", id="one image of the T1"),
        pytest.param(_unsendable(f"{BASELINE}.1.5"), "found", "1 of 8 images", id="the middle image of the FLAIR"),
        pytest.param(_unsendable(f"{BASELINE}.1"), "gave_up", "could not be looked at", id="no image of the FLAIR"),
        pytest.param(_comes_too_late, "gave_up", "did not come to the listener", id="images come later than the wait"),
        pytest.param(_disk_is_full, "gave_up", "out_of_space", id="the own disk is full"),
        pytest.param(_broken_header, "gave_up", "(LimitExceeded)", id="a header that is not read in time"),
    ],
)
def test_what_an_archive_does_not_send(
    node: Node,
    baseline: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[FakeArchive, Node, pytest.MonkeyPatch], object],
    ends: str,
    said: str,
) -> None:
    capture = a_series(
        tmp_path / "capture", count=1, series=9, StudyInstanceUID=BASELINE, StudyDate="20240105",
        SeriesInstanceUID=f"{BASELINE}.0", SOPInstanceUID=f"{BASELINE}.0.1", SOPClassUID=SECONDARY_CAPTURE,
    )  # fmt: skip
    archive = FakeArchive([*capture, *baseline])
    spoil(archive, node, monkeypatch)
    for _ in range(node.settings.priors.max_attempts):
        find(node, archive)
        node.clock.ahead += timedelta(hours=2)
    search = node.searches.of_study(FOLLOW_UP)[0]
    assert search.state.value == ends
    assert said in search.answer["candidates"][0]["said"]
    assert (f"{BASELINE}.1" in node.images(BASELINE)) is (ends == "found")
    assert (search.failure is None) is (ends == "found")


def test_what_comes_late_is_used(node: Node, baseline: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    archive = FakeArchive(baseline)
    _comes_too_late(archive, node, monkeypatch)
    assert find(node, archive)[0] == ("PACS", "waiting")
    node.put(baseline)
    node.clock.ahead += timedelta(hours=2)
    assert find(node, archive)[0] == ("PACS", "found")


def test_too_large_a_study_is_cut(node: Node, tmp_path: Path) -> None:
    small = Node(tmp_path / "state", {"sources": SOURCES[:1], "max_study_bytes": 5000})
    archive = FakeArchive(study_files(tmp_path / "archive", BASELINE, "20240105"))
    small.find(small.finder(archive))
    (search,) = small.searches.of_study(FOLLOW_UP)
    assert search.answer["candidates"][0]["said"].startswith("not complete: the study has more bytes")
    assert 0 < sum(small.images(BASELINE).values()) < NEEDED
    small.close()


@pytest.mark.parametrize(
    ("study", "wanted"),
    [
        pytest.param({}, 1, id="after the infusion, without a baseline"),
        pytest.param({"StudyDate": "20240110"}, 0, id="before the infusion"),
        pytest.param({"PatientID": ""}, 0, id="without a patient ID"),
        pytest.param({"StudyDate": ""}, 0, id="without a date"),
    ],
)
def test_who_needs_an_archive(tmp_path: Path, study: dict[str, Any], wanted: int) -> None:
    node = Node(tmp_path / "state", {"sources": SOURCES})
    node.put(study_files(tmp_path / "in", FOLLOW_UP, **{"day": "20240125", **_day(study)}, **_rest(study)))
    node.infusion()
    assert node.finder(FakeArchive()).look() == wanted
    node.close()


def _day(study: dict[str, Any]) -> dict[str, Any]:
    return {"day": study["StudyDate"]} if "StudyDate" in study else {}


def _rest(study: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in study.items() if name != "StudyDate"}


def test_a_stored_baseline_needs_no_archive(node: Node, baseline: list[Path]) -> None:
    node.put(baseline)
    assert node.finder(FakeArchive()).look() == 0


def test_a_stored_study_without_flair_needs_the_archive(node: Node, baseline: list[Path]) -> None:
    node.put([path for path in baseline if path.name.startswith("02_")])  # T1 only
    assert node.finder(FakeArchive()).look() == 0  # nobody knows yet whether it can serve
    node.settle()
    assert find(node, FakeArchive(baseline)) == [("PACS", "found"), ("VNA", "not_needed")]


def test_without_an_infusion_date_by_the_setting(tmp_path: Path) -> None:
    for wanted, setting in ((1, True), (0, False)):
        node = Node(tmp_path / str(setting), {"sources": SOURCES, "without_infusion": setting})
        node.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
        assert node.finder(FakeArchive()).look() == wanted
        node.close()


ROW = an_instance(FOLLOW_UP, study_date=date(2024, 1, 25), study_time="101112")
WINDOW = Window(date(2023, 1, 20), INFUSION, INFUSION)
GOOD = FoundStudy(BASELINE, date(2024, 1, 5), "101112", "P1", modalities=("MR", "SR"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({}, None, id="good"),
        pytest.param({"modalities": ()}, None, id="the archive does not say the modality"),
        pytest.param({"modalities": ("CT",)}, "not an MR study", id="CT"),
        pytest.param({"study_date": None}, "its study date is unknown", id="undated"),
        pytest.param({"study_date": date(2024, 1, 21)}, "after the infusion", id="after"),
        pytest.param({"study_date": date(2022, 1, 1)}, "too old to compare with", id="old"),
        pytest.param({"study_instance_uid": FOLLOW_UP}, "the follow-up itself", id="itself"),
        pytest.param({"patient_id": "P2"}, "identity mismatch: another patient ID", id="another ID"),
        pytest.param({"issuer": "ELSE"}, "identity mismatch: another issuer of the patient ID", id="issuer"),
        pytest.param({"issuer": "HOSPITAL_A"}, None, id="issuer by the mapping"),
    ],
)
def test_why_a_study_is_not_retrieved(node: Node, changes: dict[str, Any], why: str | None) -> None:
    row = node.index.study(FOLLOW_UP)
    assert isinstance(row, StudyRow)
    source = PriorSource(name="PACS", ae_title="PACS", host="h", issuers={"HOSPITAL_A": "HOSP"})
    assert why_not(replace(GOOD, **changes), replace(row, patient_id="P1", issuer="HOSP"), WINDOW, source) == why
