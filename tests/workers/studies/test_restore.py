"""Decisions, facts and images on the disk, no index -> the same decisions, priorities and infusion dates."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import an_instance
from triage.infusions import Infusion
from triage.model import Category, Priority
from workers.config import Settings
from workers.identity_events import Change, IdentityEvent
from workers.images_seen import images_seen
from workers.index.deliveries import open_delivery_table
from workers.index.node_index import UNREAD, NodeIndex, open_node_index
from workers.index.rebuilding import rebuilding_mark, rebuilding_since
from workers.outputs import kept
from workers.outputs.results import ResultFolder
from workers.ports import PatientKey, StudyState
from workers.settings import StoreSettings
from workers.studies.restore import Restored, restore

NOW = datetime(2026, 5, 6, 7, tzinfo=UTC)
STUDY = "1.2.3"
PATIENT = PatientKey("P1", "HOSPITAL")
IMAGES = [an_instance(STUDY, number, patient_id="P1") for number in (1, 2)]
SEEN = images_seen(row.sop_instance_uid for row in IMAGES)


def document(stage: str = "full", **changes: Any) -> dict[str, Any]:
    return {
        "schema_version": "1",
        "stage": stage,
        "study": {"study_instance_uid": STUDY, "study_date": "2026-05-01", "patient_id": "P1"},
        "findings": [],
        "decision": {"category": "possible", "priority": "P2", "reasons": ["found"]},
        "inputs": {"patient": ["P1", "HOSPITAL", None, "F"], "infusions": [], "earlier": {}},
        "images": SEEN,
        **changes,
    }


def put(folder: Path, revision: int, content: object, stage: str = "full") -> None:
    place = folder / "results" / STUDY / f"r{revision}-{stage}"
    place.mkdir(parents=True)
    (place / "document.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "store" / "ab").mkdir(parents=True)
    (tmp_path / "store" / "ab" / "1.dcm").touch()
    return tmp_path


def an_index(folder: Path) -> NodeIndex:
    return open_node_index(Settings(store=StoreSettings(state_dir=folder)))


FELL = "the category falls: possible in the version of this study before, not_assessable now"
FAILED: dict[str, Any] = {
    "decision": {"category": "not_assessable", "priority": "P1", "reasons": ["quarantined: too large"]}
}


@pytest.mark.parametrize(
    ("stored", "state", "revision", "priority", "versions"),
    [
        pytest.param({}, StudyState.RECEIVING, 1, None, 0, id="noop: nothing was decided"),
        pytest.param({(1, "full"): document()}, StudyState.ASSESSED, 1, "P2", 1, id="decided"),
        pytest.param(
            {(1, "first_look"): document("first_look"), (1, "full"): document(), (3, "full"): document()},
            StudyState.ASSESSED,
            3,
            "P2",
            3,
            id="several versions",
        ),
        pytest.param({(1, "first_look"): document("first_look")}, StudyState.RECEIVING, 2, "P2", 1, id="half done"),
        pytest.param(
            {(1, "full"): document(images=images_seen(["1.2.3.9"]))}, StudyState.RECEIVING, 2, "P2", 1, id="new images"
        ),
        pytest.param(
            {(1, "full"): document(images=images_seen(["1", "2", "3"]))},
            StudyState.FAILED,
            1,
            "P2",
            1,
            id="an image is lost",
        ),
        pytest.param({(1, "full"): document(images=None)}, StudyState.RECEIVING, 2, "P2", 1, id="of an older program"),
        pytest.param({(2, "full"): document(**FAILED)}, StudyState.FAILED, 2, "P1", 1, id="given up"),
        pytest.param(
            {(2, "full"): document(decision={**FAILED["decision"], "reasons": [FELL, *FAILED["decision"]["reasons"]]})},
            StudyState.FAILED,
            2,
            "P1",
            1,
            id="given up, behind what fell",
        ),
        pytest.param({(1, "full"): "{"}, StudyState.RECEIVING, 1, None, 0, id="not measured: damaged"),
        pytest.param(
            {(1, "full"): document(), (2, "full"): ""}, StudyState.RECEIVING, 3, "P2", 1, id="the newest is damaged"
        ),
        pytest.param(
            {(1, "full"): document(study={"study_instance_uid": "9"})}, StudyState.RECEIVING, 1, None, 0, id="stranger"
        ),
        pytest.param({(1, "full"): document(schema_version="2")}, StudyState.RECEIVING, 1, None, 0, id="newer program"),
    ],
)
def test_decisions_come_back(
    folder: Path,
    stored: dict[tuple[int, str], Any],
    state: StudyState,
    revision: int,
    priority: str | None,
    versions: int,
) -> None:
    for (number, stage), content in stored.items():
        put(folder, number, content, stage)
    index = an_index(folder)
    assert rebuilding_mark(folder).exists()
    index.record_instances(IMAGES)
    for _ in range(2):  # a second time changes nothing
        restore(index, folder, rebuilding_since(folder))
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.revision, row.priority) == (state, revision, priority)
        assert len(index.assessments(STUDY)) == versions
    assert not rebuilding_mark(folder).exists()
    assert ("P1" in index.marked_patients()) is bool(versions)
    index.close()


UNREAD_FILES = [
    pytest.param(f"results/{STUDY}/r1-full/document.json", id="its document"),
    pytest.param(f"results/{STUDY}", id="its results"),
]


@pytest.mark.parametrize("unread", UNREAD_FILES)
def test_a_decision_that_cannot_be_read_now_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, unread: str
) -> None:
    """And nobody else waits."""
    put(folder, 1, document())
    index = an_index(folder)
    index.record_instances([*IMAGES, an_instance("1.9", 1)])

    def fails(real: Any) -> Any:
        def read(path: Path, *arguments: Any) -> Any:
            if path == folder / unread:
                raise OSError(errno.EIO, "Input/output error")
            return real(path, *arguments)

        return read

    with monkeypatch.context() as patched:
        for name in ("read_bytes", "iterdir"):
            patched.setattr(Path, name, fails(getattr(Path, name)))
        for _ in range(2):
            assert restore(index, folder, rebuilding_since(folder)).unread == 1
            assert not rebuilding_mark(folder).exists()
            held, other = index.study(STUDY), index.study("1.9")
            assert held is not None
            assert other is not None
            assert (held.state, held.revision) == (StudyState.FAILED, 1)
            assert (held.failure, other.state) == (UNREAD, StudyState.RECEIVING)
    assert restore(index, folder, None) == Restored(studies=1)
    row = index.study(STUDY)
    assert row is not None
    assert (row.state, row.revision, row.priority, row.failure) == (StudyState.ASSESSED, 1, "P2", None)
    index.close()


def test_documents_of_known_decisions_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, 1, document())
    index = an_index(folder)
    index.record_instances(IMAGES)
    restore(index, folder, rebuilding_since(folder))
    monkeypatch.setattr(kept, "_version", lambda *_: pytest.fail("it is read"))
    assert restore(index, folder, None) == Restored()
    index.close()


NEWER: dict[str, Any] = {"decision": {"category": "possible", "priority": "P1", "reasons": ["newer"]}}


@pytest.mark.parametrize(
    ("kept_later", "state", "revision", "priority", "versions"),
    [
        pytest.param({}, StudyState.ASSESSED, 1, "P2", 1, id="noop: it knows the newest"),
        pytest.param({(2, "full"): document(**NEWER)}, StudyState.ASSESSED, 2, "P1", 2, id="a newer one"),
        pytest.param(
            {(2, "first_look"): document("first_look"), (2, "full"): document(**NEWER)},
            StudyState.ASSESSED,
            2,
            "P1",
            3,
            id="a newer one in two stages",
        ),
        pytest.param({(2, "first_look"): document("first_look")}, StudyState.RECEIVING, 3, "P2", 2, id="half done"),
        pytest.param({(2, "full"): ""}, StudyState.READY, 2, "P2", 1, id="not measured: it is damaged"),
    ],
)
def test_an_index_that_was_replaced_by_an_older_copy(
    folder: Path,
    kept_later: dict[tuple[int, str], Any],
    state: StudyState,
    revision: int,
    priority: str,
    versions: int,
) -> None:
    """What the files know of later decisions counts: a positive must not hide behind an earlier negative."""
    put(folder, 1, document())
    index = an_index(folder)
    index.record_instances(IMAGES)
    restore(index, folder, rebuilding_since(folder))
    for (number, stage), content in kept_later.items():
        put(folder, number, content, stage)
    for _ in range(2):  # a second time changes nothing
        restore(index, folder, None)
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.revision, row.priority) == (state, revision, priority)
        assert len(index.assessments(STUDY)) == versions
    index.close()


@pytest.mark.parametrize("retracted", [False, True])
def test_a_retraction_comes_back(folder: Path, retracted: bool) -> None:
    put(folder, 1, document())
    if retracted:
        ResultFolder(folder / "results").note_retraction(STUDY, 1, "full", why="wrong patient", at=NOW)
    index = an_index(folder)
    restore(index, folder, None)
    (found,) = open_delivery_table(Settings(store=StoreSettings(state_dir=folder)).index_url).unplanned(limit=5)
    assert found.retracted is retracted
    index.close()


def test_a_study_whose_images_are_gone_keeps_its_decisions(folder: Path) -> None:
    put(folder, 2, document())
    index = an_index(folder)
    restore(index, folder, None)
    row = index.study(STUDY)
    assert row is not None
    assert (row.state, row.patient_id, row.issuer, row.sex) == (StudyState.REMOVED, "P1", "HOSPITAL", "F")
    assert (row.study_date, row.category, row.decided_revision) == (date(2026, 5, 1), "possible", 2)
    index.close()


def test_what_the_index_knows_stays(folder: Path) -> None:
    put(folder, 1, document())
    index = an_index(folder)
    index.record_instances(IMAGES)
    index.mark_ready(STUDY, now=NOW, reason="test")
    claim = index.claim(STUDY, owner="w", now=NOW, lease_s=30)
    assert claim is not None
    restore(index, folder, None)
    assert index.assessments(STUDY) == [], "somebody is at it"
    newer = document(decision={"category": "no_pattern", "priority": "P1", "reasons": ["newer"]})
    assert index.save_assessment(claim, stage="full", document=newer, now=NOW)
    restore(index, folder, None)
    assert [version["document"] for version in index.assessments(STUDY)] == [newer]
    index.close()


def test_an_index_that_was_lost_again_meanwhile_stays_marked(folder: Path) -> None:
    index = an_index(folder)
    restore(index, folder, since=1)
    assert rebuilding_mark(folder).exists()
    index.close()


Say = Callable[[NodeIndex], object]
FIRST, SECOND = Infusion(date(2026, 5, 1), "CAR-T", "roster"), Infusion(date(2026, 7, 1), "retreatment", "HL7")


@pytest.mark.parametrize(
    ("says", "known"),
    [
        pytest.param([], (), id="noop: nothing was said"),
        pytest.param([lambda i: i.add_infusion(PATIENT, FIRST, now=NOW)], (FIRST,), id="one"),
        pytest.param(
            [
                lambda i: i.add_infusion(PATIENT, SECOND, now=NOW),
                lambda i: i.add_infusion(PATIENT, FIRST, now=NOW),
            ],
            (FIRST, SECOND),
            id="two",
        ),
        pytest.param(
            [
                lambda i: i.add_infusion(PATIENT, FIRST, now=NOW),
                lambda i: i.remove_infusion(PATIENT, FIRST.day, now=NOW),
            ],
            (),
            id="withdrawn",
        ),
        pytest.param(
            [
                lambda i: i.add_infusion(PATIENT, FIRST, now=NOW),
                lambda i: i.remove_infusion(PATIENT, FIRST.day, now=NOW),
                lambda i: i.add_infusion(PATIENT, FIRST, now=NOW),
            ],
            (FIRST,),
            id="said again",
        ),
    ],
)
def test_infusions_come_back(folder: Path, says: list[Say], known: tuple[Infusion, ...]) -> None:
    index = an_index(folder)
    for say in says:
        say(index)
    before = index.infusions()
    index.close()
    for path in folder.glob("index.db*"):
        path.unlink()
    index = an_index(folder)
    assert index.infusions() == {}
    restore(index, folder, rebuilding_since(folder))
    assert index.infusions() == before == ({PATIENT: known} if known else {})
    assert ("P1" in index.marked_patients()) is bool(says)
    index.close()


def test_merges_come_back_with_the_infusions_of_both(folder: Path) -> None:
    old = PatientKey("P0", "HOSPITAL")
    index = an_index(folder)
    index.add_infusion(old, FIRST, now=NOW)
    index.add_infusion(PATIENT, SECOND, now=NOW)
    index.record_identity(IdentityEvent(Change.MERGE, old, PATIENT, "HL7 ADT^A40", NOW))
    assert index.remove_infusion(PATIENT, SECOND.day, now=NOW)
    before, said = index.infusions(), index.identity_events("P1")
    assert before == {PATIENT: (FIRST,)}
    index.close()
    for path in folder.glob("index.db*"):
        path.unlink()
    for path in (folder / "facts").glob("identity-*"):
        path.with_name("identity-0.json").write_text(
            '{"format": 1, "kind": "identity", "key": [], "value": {}, "withdrawn": false}'
        )
    index = an_index(folder)
    restore(index, folder, rebuilding_since(folder))
    assert (index.infusions(), index.identity_events("P1")) == (before, said)
    index.close()


def test_rows_of_an_older_program_get_their_files(folder: Path) -> None:
    index = an_index(folder)
    index.add_infusion(PATIENT, FIRST, now=NOW)
    shutil.rmtree(folder / "facts")
    restore(index, folder, None)
    assert len(list((folder / "facts").iterdir())) == 1
    index.close()


def test_facts_of_a_program_that_did_not_write_when_they_were_said(folder: Path) -> None:
    index = an_index(folder)
    for infusion in (FIRST, SECOND):
        index.add_infusion(PATIENT, infusion, now=NOW)
    for path in (folder / "facts").iterdir():
        said = json.loads(path.read_text(encoding="utf-8"))
        said["value"].pop("said_at")
        said["withdrawn"] = said["key"][2] == FIRST.day.isoformat()
        path.write_text(json.dumps(said), encoding="utf-8")
    restore(index, folder, None)
    assert index.infusions() == {PATIENT: (SECOND,)}
    assert restore(index, folder, None).facts == 0, "nothing is left to do"
    index.close()


def test_the_words_of_the_documents_are_those_of_the_core() -> None:
    from triage.report.document import SCHEMA_VERSION
    from workers.outputs.document_json import DOCUMENT_JSON

    assert set(kept.CATEGORIES) == {one.value for one in Category}
    assert set(kept.PRIORITIES) == {one.value for one in Priority}
    assert kept.SCHEMA_VERSION == SCHEMA_VERSION
    assert DOCUMENT_JSON.file_name == kept.DOCUMENT
