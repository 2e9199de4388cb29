"""Rejection notes that cannot be read now, or that take long: they hold up no decision, and are not forgotten."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.fakes import SUSPECTED, an_instance, some_images
from tests.workers.studies.test_reconsider import DAY_7
from tests.workers.studies.test_rejections import OWN, UID, Noted
from triage.errors import Transient
from triage.infusions import Infusion
from workers.budget import PASS_S
from workers.files.facts import FactFolder
from workers.ports import InstanceRow, PatientKey, StudyState
from workers.rejection_notes import RejectionNote
from workers.studies.assess import Result
from workers.studies.inputs import PATIENT_ATTEMPTS, UNREAD
from workers.studies.reconsider import reconsider
from workers.studies.rejections import KnownNotes
from workers.studies.slow_notes import SlowNotes

GONE = FileNotFoundError(errno.ENOENT, "No such file or directory")


class Faulty(Noted):
    """A node on which the files of notes may be away."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.faults: dict[str, Exception] = {}
        read = self.reader.rejection_note

        def may_fail(path: Path) -> RejectionNote | None:
            if path.name in self.faults:
                raise self.faults[path.name]
            return read(path)

        self.reader.rejection_note = may_fail  # type: ignore[method-assign]
        self.engine.first = self.engine.whole = SUSPECTED
        self.reader.images[UID] = some_images(UID, day=DAY_7)
        self.index.record_instances(OWN)
        self.index.mark_ready(UID, now=self.clock.now(), reason="test")

    def rings(self, times: int) -> list[Result]:
        found = []
        for _ in range(times):
            found.append(self.ring(UID))
            self.clock.advance(600)
        return found

    @property
    def inputs(self) -> object:
        return self.document(UID)["inputs"].get(UNREAD)


@pytest.fixture
def node(tmp_path: Path) -> Faulty:
    return Faulty(tmp_path)


def key_images(node: Faulty) -> InstanceRow:
    """A key object selection that is no rejection note."""
    row = node.note("113001", OWN)
    node.reader.notes.clear()
    return row


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(GONE, id="ENOENT"),
        pytest.param(OSError(errno.ESTALE, "Stale file handle"), id="ESTALE"),
        pytest.param(Transient("away"), id="the store is away"),
    ],
)
def test_a_study_is_decided_without_a_key_object_that_cannot_be_read(node: Faulty, fault: Exception) -> None:
    row = key_images(node)
    node.faults["note.dcm"] = fault
    assert node.rings(PATIENT_ATTEMPTS + 2) == [Result.RETRY] * (PATIENT_ATTEMPTS - 1) + [
        Result.DECIDED,
        Result.RETRY,
        Result.RETRY,
    ]
    assert node.document(UID)["decision"]["category"] == "neurotoxicity_suspected"
    assert node.inputs == [row.sop_instance_uid]
    said = "1 key objects of the patient cannot be read now: a rejection note may be among them"
    assert said in node.document(UID)["notices"]
    assert node.versions == 2, "nothing is measured while it waits"
    node.faults.clear()
    assert Result.DECIDED in node.rings(3)
    assert (node.inputs, said in node.document(UID)["notices"]) == (None, False)
    assert node.first_line == "assessed again: 1 key objects of the patient can be read again"
    stored = node.index.study(UID)
    assert stored is not None
    assert stored.state is StudyState.ASSESSED


def test_a_note_that_can_be_read_at_last_counts(node: Faulty) -> None:
    node.note("113001", OWN[:2])
    node.faults["note.dcm"] = GONE
    node.rings(PATIENT_ATTEMPTS)
    assert node.index.object_answers(UID) == {}
    node.faults.clear()
    node.clock.advance(600)
    node.settle()
    assert len(node.index.object_answers(UID)) == 2
    assert "2 of its objects are rejected" in node.first_line


@pytest.mark.parametrize(
    ("patient_id", "fault"),
    [
        pytest.param("P1", None, id="noop: it can be read"),
        pytest.param("P2", GONE, id="not measured: it is of another patient"),
    ],
)
def test_a_study_that_waits_for_no_key_object(node: Faulty, patient_id: str, fault: Exception | None) -> None:
    node.note("113039", OWN, patient_id=patient_id)
    node.faults |= {} if fault is None else {"note.dcm": fault}
    assert node.rings(2) == [Result.DECIDED, Result.NOTHING_TO_DO]
    assert node.inputs is None


def beat(node: Faulty) -> int:
    return reconsider(node.index, node.bell, node.clock, read=lambda one: node.reader.rejection_note(Path(one.path)))


@pytest.mark.parametrize("fault", [None, GONE, Transient("away")], ids=["noop", "ENOENT", "the store is away"])
def test_what_else_is_known_of_the_patient_counts_meanwhile(node: Faulty, fault: Exception | None) -> None:
    node.settle()
    node.faults |= {} if fault is None else {"note.dcm": fault}
    node.note("113001", OWN[:1])
    node.index.record_instances([an_instance("1.8", 1, study_date=DAY_7, patient_id="P8")])
    node.index.add_infusion(PatientKey("P1"), Infusion(DAY_7), now=node.clock.now())
    assert beat(node) == 1, "the infusion date"
    assert set(node.index.marked_patients()) == (set() if fault is None else {"P1"}), "it is looked at again"
    assert len(node.index.object_answers(UID)) == (1 if fault is None else 0)


@pytest.mark.parametrize(
    ("each_s", "passes"),
    [
        pytest.param(0.0, 1, id="noop: quick notes"),
        pytest.param(0.6 * PASS_S, 4, id="two in a pass"),
        pytest.param(2 * PASS_S, 7, id="each takes longer than a pass"),
    ],
)
def test_many_slow_notes_are_read_over_several_passes(node: Faulty, tmp_path: Path, each_s: float, passes: int) -> None:
    node.settle()
    for n in range(7):
        node.note("113001", OWN[n % 4 : n % 4 + 1], name=f"note-{n}")
    happened: list[str] = []

    def slow(row: InstanceRow) -> RejectionNote | None:
        node.clock.advance(each_s)
        happened.append("read")
        return node.reader.rejection_note(Path(row.path))

    known = KnownNotes(slow, SlowNotes(FactFolder(tmp_path / "slow"), lambda _: None))
    for _ in range(passes):
        assert "P1" in node.index.marked_patients(), "not forgotten"
        assert node.index.object_answers(UID) == {}, "all or nothing"
        started_s = node.clock.elapsed_s()
        reconsider(node.index, node.bell, node.clock, alive=lambda: happened.append("alive"), read=known)
        assert node.clock.elapsed_s() - started_s <= PASS_S + each_s
    assert node.index.marked_patients() == {} or each_s, "all were read"
    assert len(node.index.object_answers(UID)) == 4
    assert happened.count("read") == 7, "each once"
    assert "read, read" not in ", ".join(happened), "a sign of life before each"
