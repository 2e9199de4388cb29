"""Faults of the store while a study or its baseline is read: never a result, and decided anew when it is over."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fakes import SUSPECTED
from tests.workers.files.test_store import a_data_set, put
from tests.workers.studies.test_reconsider import BEFORE, INFUSION, LATE, PRE, History
from triage.errors import NotAssessable, Transient
from triage.model import Basis, StudyImages
from workers.files.store import FileStore
from workers.ports import StudyState
from workers.reading.reader import DicomReader
from workers.studies.assess import Result
from workers.studies.whole_files import read_whole

FAULTS = [
    pytest.param(OSError(errno.EIO, "Input/output error"), id="EIO"),
    pytest.param(OSError(errno.ESTALE, "Stale file handle"), id="ESTALE"),
    pytest.param(OSError(errno.EINVAL, "Invalid argument"), id="EINVAL"),
    pytest.param(PermissionError(errno.EACCES, "Permission denied"), id="EACCES"),
    pytest.param(FileNotFoundError(errno.ENOENT, "No such file or directory"), id="ENOENT"),
    pytest.param(1, id="a byte is missing"),
    pytest.param(-1, id="a byte too many"),
]


@pytest.fixture
def node(tmp_path: Path) -> History:
    return History(tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_study_that_cannot_be_read_now_is_no_result(node: History, fault: OSError | int) -> None:
    node.come(LATE)
    node.files.faults["1.7"] = fault
    assert node.ring("1.7") is Result.RETRY
    row = node.index.study("1.7")
    assert row is not None
    assert (row.state, row.decided_revision) == (StudyState.READY, None)
    assert "cannot be read now" in (row.failure or "")
    node.files.faults.clear()
    node.clock.advance(600)
    assert node.ring("1.7") is Result.DECIDED


@pytest.mark.parametrize("fault", FAULTS)
def test_a_baseline_that_cannot_be_read_now_is_compared_with_later(node: History, fault: OSError | int) -> None:
    node.infusion(INFUSION)
    node.come(PRE)
    node.settle()
    node.come(LATE)
    node.files.faults["1.1"] = fault
    for _ in range(4):
        node.ring("1.7")
        node.clock.advance(600)
    assert node.compared("1.7") == (Basis.NONE, None), "decided without it in the end"
    assert "cannot be read now" in str(node.document("1.7")["baseline"]["rejected"])
    node.files.faults.clear()
    for _ in range(3):
        node.settle()
        node.clock.advance(600)
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE)
    assert node.document("1.7")["decision"]["reasons"][0].startswith("assessed again: ")


@pytest.mark.parametrize("fault", ["the folder of a study is a file", "a write fails"])
def test_noop_a_folder_that_cannot_be_used_is_no_fault_of_the_files(
    node: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    if fault == "a write fails":
        monkeypatch.setattr(node.storage, "save", full)
    else:
        (tmp_path / "1.1").write_text("", encoding="ascii")
    node.infusion(INFUSION)
    node.come(PRE)
    node.settle()
    node.come(LATE)
    for _ in range(4):
        node.settle()
        node.clock.advance(600)
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE)
    assert node.document("1.7")["baseline"]["rejected"] == []
    row = node.index.study("1.7")
    assert row is not None
    assert (row.state, row.revision) == (StudyState.ASSESSED, 1)


def test_a_refusal_that_cannot_be_remembered_is_still_the_reason(node: History, tmp_path: Path) -> None:
    (tmp_path / "1.1").write_text("", encoding="ascii")
    node.engine.unfit_baselines = {"1.1"}
    node.infusion(INFUSION)
    node.come(PRE, LATE)
    node.settle()
    assert "cannot be read now" not in str(node.document("1.7")["baseline"]["rejected"])
    assert len(node.document("1.7")["baseline"]["rejected"]) == 1


def number_of(paths: Sequence[Path], *, vouched: frozenset[Path]) -> int:
    assert not vouched
    return len(paths)


def test_a_fault_that_comes_while_it_is_read_is_none_of_the_content(node: History) -> None:
    node.come(LATE)

    def reads(_paths: object, *, vouched: object) -> StudyImages:
        node.files.faults["1.7"] = 10
        raise NotAssessable("no_images", "none of the files is readable")

    with pytest.raises(Transient, match="stored files cannot be read now"):
        read_whole("1.7", node.index, node.files, reads)


def test_noop_whole_files_say_what_they_say(node: History) -> None:
    node.come(LATE)

    def refuses(_paths: object, *, vouched: object) -> StudyImages:
        raise NotAssessable("no_images", "none of the files is readable")

    assert read_whole("1.7", node.index, node.files, number_of) == 1
    with pytest.raises(NotAssessable):
        read_whole("1.7", node.index, node.files, refuses)


def test_a_real_file_that_was_cut_short(node: History, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "state", max_object_bytes=1 << 20, durable=False)
    row = put(store, a_data_set()).row
    node.index.record_instances([row])
    uid = row.study_instance_uid
    assert read_whole(uid, node.index, store, number_of) == 1, "noop: whole"
    os.truncate(store.path(row), row.size_bytes // 2)
    with pytest.raises(Transient, match=f"{row.size_bytes // 2} bytes of the {row.size_bytes}"):
        read_whole(uid, node.index, store, DicomReader().read)
    store.path(row).unlink()
    with pytest.raises(Transient, match="No such file"):
        read_whole(uid, node.index, store, DicomReader().read)


@pytest.mark.parametrize("fault", FAULTS)
def test_own_files_that_stay_away_end_as_a_decision_that_names_them(node: History, fault: OSError | int) -> None:
    node.come(LATE)
    node.files.faults["1.7"] = fault
    for _ in range(3):
        node.ring("1.7")
        node.clock.advance(600)
    decision = node.document("1.7")["decision"]
    path = node.index.instances("1.7")[0].path
    assert (decision["category"], decision["priority"]) == ("not_assessable", "unchanged")
    assert decision["reasons"][0].startswith("store_fault: 1 of 1 stored files cannot be read now: instance ")
    assert Path(path).stem not in str(decision), "the reason is logged as well"
    assert node.document("1.7")["inputs"]["damaged"] == [path]
    versions = len(node.index.assessments("1.7"))
    for _ in range(5):
        node.ring("1.7")
        node.clock.advance(600)
    assert len(node.index.assessments("1.7")) == versions, "noop: nothing new is said while they stay away"
    node.files.faults.clear()
    for _ in range(3):
        node.settle()
        node.clock.advance(600)
    decision = node.document("1.7")["decision"]
    assert decision["category"] == "no_pattern"
    assert decision["reasons"][0] == "assessed again: its own files can be read again"
    row = node.index.study("1.7")
    assert row is not None
    assert row.state is StudyState.ASSESSED


def test_a_positive_whose_files_are_damaged_later_stays_urgent_and_says_what_fell(node: History) -> None:
    node.engine.first = node.engine.whole = SUSPECTED
    node.come(LATE)
    node.settle()
    node.files.faults["1.7"] = 1
    node.infusion(INFUSION)
    for _ in range(6):
        node.settle()
        node.clock.advance(600)
    decision = node.document("1.7")["decision"]
    assert (decision["category"], decision["priority"]) == ("not_assessable", "P1")
    assert "the category falls" in decision["reasons"][0]
    node.files.faults.clear()
    for _ in range(3):
        node.settle()
        node.clock.advance(600)
    assert node.document("1.7")["decision"]["category"] == "neurotoxicity_suspected"
