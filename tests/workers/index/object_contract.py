"""What every implementation of ports.StudyIndex must do with answers about objects that were set aside."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from tests.workers.index.index_contract import STUDY, a_document, a_row, claimed, later, make_ready, state_of
from triage.decision import NOT_IN_COHORT
from triage.report.headline import FALLS
from workers.identities import GivenAnswer, ObjectAnswer
from workers.output_kinds import KOS
from workers.ports import InstanceRow, StudyIndex, StudyState
from workers.studies.cohort import MESSAGE

VISIT = date(2026, 3, 5)  # of the images of a study that states an earlier day
SR = "1.2.840.10008.5.1.4.1.1.88.34"


def stray(number: int) -> InstanceRow:
    return a_row(number, patient_id="P-2", issuer="OTHER")


OF_P1 = a_row(1, patient_name="Right^Person")
STRANGER = replace(stray(3), patient_name="Wrong^Person")


def given(answer: ObjectAnswer, seconds: float = 0.0) -> GivenAnswer:
    return GivenAnswer(answer, "somebody", later(seconds))


def answer(index: StudyIndex, said: ObjectAnswer, *rows: InstanceRow, again: bool = True) -> None:
    answers = {row.sop_instance_uid: given(said) for row in rows}
    index.answer_objects(STUDY, answers, now=later(90), again=again)


def patient_of(index: StudyIndex) -> str:
    row = index.study(STUDY)
    assert row is not None
    return row.patient_id


class ObjectContract:
    def test_studies_that_were_not_looked_at_are_counted(self, index: StudyIndex) -> None:
        make_ready(index)
        claim = claimed(index)
        assert index.save_assessment(claim, stage="full", document=a_document(), now=later(1))
        assert index.not_looked_at() == 0, "noop: it was"
        outside = a_document("not_assessable")
        outside["decision"]["reasons"] = [f"{NOT_IN_COHORT}: {MESSAGE}"]
        assert index.save_assessment(claim, stage="full", document=outside, now=later(2))
        assert index.not_looked_at() == 1
        outside["decision"]["reasons"].insert(0, f"{FALLS}: possible in the version of this study before")
        assert index.save_assessment(claim, stage="full", document=outside, now=later(3))
        assert index.not_looked_at() == 1

    def test_noop_nobody_said_anything(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1), a_row(2)])
        assert index.object_answers(STUDY) == {}
        assert index.studies_in_question() == []
        answer(index, ObjectAnswer.RESTORED)
        assert (patient_of(index), index.object_answers(STUDY)) == ("P-1", {})

    def test_studies_with_several_identities_are_in_question(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1), a_row(2), stray(3), a_row(4, study_instance_uid="1.2.9", patient_id="")])
        assert index.studies_in_question() == [STUDY]

    def test_the_last_word_counts(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1), a_row(2), stray(3)])
        answer(index, ObjectAnswer.DISCARDED, stray(3))
        answer(index, ObjectAnswer.RESTORED, stray(3))
        assert index.object_answers(STUDY) == {stray(3).sop_instance_uid: given(ObjectAnswer.RESTORED)}
        assert index.studies_in_question() == [STUDY]

    def test_answered_objects_have_no_vote_about_the_patient(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1), stray(2), stray(3)])
        assert patient_of(index) == "P-2"
        answer(index, ObjectAnswer.DISCARDED, stray(2), stray(3))
        assert patient_of(index) == "P-1"
        assert {"P-1", "P-2"} <= set(index.marked_patients())
        index.record_instances([stray(4)])  # one more of them has a vote again
        answer(index, ObjectAnswer.RESTORED, stray(4), a_row(1))
        assert patient_of(index) == "P-2", "all have an answer: then all have a vote"

    def test_a_decided_study_goes_back_into_the_queue(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1), a_row(2), stray(3)])
        make_ready(index)
        claim = claimed(index)
        assert index.complete(claim, now=later(80))
        answer(index, ObjectAnswer.DISCARDED, stray(3), again=False)
        assert state_of(index)[:2] == (StudyState.ASSESSED, 1)
        answer(index, ObjectAnswer.DISCARDED, stray(3))
        assert state_of(index)[:2] == (StudyState.READY, 2)

    def test_a_study_that_still_arrives_is_not_hurried(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1), a_row(2), stray(3)])
        answer(index, ObjectAnswer.DISCARDED, stray(3))
        assert state_of(index)[:2] == (StudyState.RECEIVING, 1)

    def test_a_worker_that_is_at_it_starts_again(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1), a_row(2), stray(3)])
        make_ready(index)
        claim = claimed(index)
        answer(index, ObjectAnswer.DISCARDED, stray(3))
        assert not index.complete(claim, now=later(95))
        assert state_of(index)[:2] == (StudyState.READY, 2)

    @pytest.mark.parametrize(
        ("batches", "shown"),
        [
            pytest.param([[OF_P1]], "Right^Person", id="noop: one name"),
            pytest.param([[a_row(1)]], "", id="not measured: no name"),
            pytest.param([[STRANGER], [OF_P1, a_row(2, patient_name="Right^Person")]], "Right^Person", id="first"),
            pytest.param([[STRANGER, OF_P1, a_row(2)]], "Right^Person", id="in one batch"),
            pytest.param([[a_row(2), a_row(4)], [STRANGER], [OF_P1]], "Right^Person", id="before the first name"),
            pytest.param([[a_row(2), a_row(4)], [STRANGER]], "", id="of the stranger alone"),
            pytest.param([[OF_P1], [a_row(2, patient_name="Later^Name")]], "Right^Person", id="another spelling"),
        ],
    )
    def test_a_study_shows_the_name_of_its_patient(
        self, index: StudyIndex, batches: list[list[InstanceRow]], shown: str
    ) -> None:
        for rows in batches:
            index.record_instances(rows)
        row = index.study(STUDY)
        assert row is not None
        assert row.patient_name == shown

    def test_an_enhanced_object_weighs_more_than_one_slice(self, index: StudyIndex) -> None:
        index.record_instances([stray(1), stray(2), a_row(3, frame_count=150)])
        assert patient_of(index) == "P-1"

    def test_an_answer_that_is_there_before_the_object(self, index: StudyIndex) -> None:
        answer(index, ObjectAnswer.DISCARDED, stray(2), stray(3))
        index.record_instances([a_row(1), stray(2), stray(3)])
        assert patient_of(index) == "P-1"

    def test_key_objects_of_some_studies(self, index: StudyIndex) -> None:
        note = a_row(3, sop_class_uid=KOS)
        other = a_row(4, study_instance_uid="1.2.9", sop_class_uid=KOS)
        index.record_instances([a_row(1), note, other])
        assert index.key_objects([]) == []
        assert index.key_objects([STUDY]) == [note]
        assert index.key_objects([STUDY, "1.2.9", "1.2.8"]) == [note, other]

    @pytest.mark.parametrize(
        ("answered", "later_s"),
        [
            pytest.param(None, 0, id="no-op: nobody answered"),
            pytest.param(ObjectAnswer.REJECTED, 0, id="no-op: only a note did"),
            pytest.param(ObjectAnswer.RESTORED, 3600, id="somebody answered, and the clock was set back since"),
        ],
    )
    def test_a_note_is_later_than_who_answered_without_it(
        self, index: StudyIndex, answered: ObjectAnswer | None, later_s: int
    ) -> None:
        index.record_instances([a_row(1), a_row(2)])
        if answered is not None:
            said = {a_row(1).sop_instance_uid: given(answered, 3600)}
            index.answer_objects(STUDY, said, now=later(3600))
        note = a_row(3, sop_class_uid=KOS, received_at=later(0))
        index.record_instances([note])
        index.record_instances([note])  # the same again changes nothing
        (found,) = index.key_objects([STUDY])
        assert (found.received_at > later(3600)) is (later_s > 0)
        assert later_s or found == note
        row = index.study(STUDY)
        assert row is not None
        assert row.last_received_at < later(3600), "when it came is not changed"

    @pytest.mark.parametrize(
        ("changes", "objects", "state", "marked"),
        [
            pytest.param({}, 1, (StudyState.RECEIVING, 2), set(), id="an image"),
            pytest.param({"sop_class_uid": SR}, 1, (StudyState.ASSESSED, 1), set(), id="SR"),
            pytest.param({"sop_class_uid": KOS}, 1, (StudyState.ASSESSED, 1), {"P-1"}, id="a note"),
            pytest.param(
                {"sop_class_uid": SR, "birth_date": date(1970, 1, 2)},
                3,
                (StudyState.ASSESSED, 1),
                {"P-1"},
                id="more SR with another birth date",
            ),
            pytest.param(
                {"sop_class_uid": SR, "patient_id": "P-2", "issuer": "OTHER"},
                3,
                (StudyState.ASSESSED, 1),
                {"P-1", "P-2"},
                id="more SR of another patient",
            ),
        ],
    )
    def test_what_reopens_a_settled_study(
        self, index: StudyIndex, changes: dict[str, Any], objects: int, state: tuple[StudyState, int], marked: set[str]
    ) -> None:
        index.record_instances([a_row(1), a_row(2)])
        make_ready(index)
        assert index.complete(claimed(index), now=later(80))
        for patient_id, at in index.marked_patients().items():
            index.forget_mark(patient_id, at)
        index.record_instances([a_row(3 + n, **changes) for n in range(objects)])
        assert (state_of(index)[:2], set(index.marked_patients())) == (state, marked)
        row = index.study(STUDY)
        assert row is not None
        assert row.instance_count == 2 + objects

    @pytest.mark.parametrize(
        ("changes", "objects", "day"),
        [
            pytest.param({}, 1, VISIT, id="an image like the others"),
            pytest.param({"sop_class_uid": SR}, 1, VISIT, id="SR like the others"),
            pytest.param({"study_date": date(2026, 2, 20)}, 1, VISIT, id="an image of another day"),
            pytest.param({"study_date": date(2026, 3, 9)}, 5, date(2026, 3, 9), id="images of a later day"),
        ],
    )
    def test_the_day_of_the_visit_stands_while_the_objects_say_what_they_did(
        self, index: StudyIndex, changes: dict[str, Any], objects: int, day: date
    ) -> None:
        make_ready(index, [a_row(1), a_row(2)])
        assert index.complete(claimed(index), now=later(80))
        for patient_id, at in index.marked_patients().items():
            index.forget_mark(patient_id, at)
        index.put_visit(STUDY, VISIT, "110000", now=later(90))
        assert set(index.marked_patients()) == {"P-1"}
        index.record_instances([a_row(3 + n, **changes) for n in range(objects)])
        row = index.study(STUDY)
        assert row is not None
        assert row.study_date == day

    def test_a_note_reopens_a_study_without_a_patient_id(self, index: StudyIndex) -> None:
        """Nobody is marked by it."""
        make_ready(index, [a_row(1, patient_id="")])
        assert index.complete(claimed(index), now=later(80))
        index.record_instances([a_row(3, patient_id="", sop_class_uid=KOS)])
        assert state_of(index)[:2] == (StudyState.RECEIVING, 2)

    @pytest.mark.parametrize(
        ("changes", "state"),
        [
            pytest.param({}, (StudyState.ASSESSED, 1), id="noop: the same file"),
            pytest.param({"received_at": later(500)}, (StudyState.ASSESSED, 1), id="noop: the same file, later"),
            pytest.param({"calling_ae": "PACS"}, (StudyState.ASSESSED, 1), id="by another sender"),
            pytest.param({"size_bytes": 7, "calling_ae": "PACS"}, (StudyState.RECEIVING, 2), id="of another size"),
            pytest.param({"transfer_syntax_uid": "1.2.840.10008.1.2"}, (StudyState.RECEIVING, 2), id="encoded anew"),
            pytest.param({"patient_id": "P-2"}, (StudyState.RECEIVING, 2), id="with another patient ID"),
            pytest.param({"series_instance_uid": "9.9"}, (StudyState.RECEIVING, 2), id="of another series"),
        ],
    )
    def test_the_row_of_a_file_that_was_replaced(
        self, index: StudyIndex, changes: dict[str, Any], state: tuple[StudyState, int]
    ) -> None:
        """A lost file comes again: the row says what the file says, and the study is decided again."""
        make_ready(index, [a_row(1)])
        assert index.complete(claimed(index), now=later(80))
        again = a_row(1, **changes)
        index.record_instances([again])
        assert state_of(index)[:2] == state
        assert index.instances(STUDY) == [a_row(1) if set(changes) <= {"received_at"} else again]
        row = index.study(STUDY)
        assert row is not None
        assert (row.instance_count, row.series_count, row.patient_id) == (1, 1, again.patient_id)

    @pytest.mark.parametrize("others", [[], [a_row(2)]], ids=["the only object", "one of two"])
    def test_a_replaced_file_may_belong_to_another_study(self, index: StudyIndex, others: list[InstanceRow]) -> None:
        make_ready(index, [a_row(1), *others])
        assert index.complete(claimed(index), now=later(80))
        index.record_instances([a_row(1, study_instance_uid="1.2.9")])
        assert state_of(index)[:2] == (StudyState.RECEIVING, 2)
        assert index.instances(STUDY) == others
        counts = {row.study_instance_uid: row.instance_count for row in index.studies()}
        assert counts == {STUDY: len(others), "1.2.9": 1}
