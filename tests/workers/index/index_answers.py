"""What every implementation of ports.StudyIndex must keep and answer: decisions, lists, statements of others,
patients."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.workers.index.index_contract import (
    LEASE_S,
    NOW,
    STUDY,
    a_document,
    a_row,
    claimed,
    later,
    make_ready,
    state_of,
)
from triage.infusions import Infusion
from workers.announcements import Announcement, Source, Step
from workers.ports import ConflictRow, PatientKey, StudyIndex, StudyState


class AnswersContract:
    # --- assessments

    def test_versions_supersede_each_other(self, index: StudyIndex) -> None:
        assert index.assessment(STUDY) is None
        make_ready(index)
        claim = claimed(index)
        first, full, late = a_document("possible", "P2"), a_document("neurotoxicity_suspected", "P1"), a_document()
        assert index.save_assessment(claim, stage="first_look", document=first, now=later(1))
        assert index.assessment(STUDY) == first
        assert index.save_assessment(claim, stage="full", document=full, now=later(2))
        assert index.assessment(STUDY) == full
        index.complete(claim, now=later(3))
        index.requeue(STUDY, now=later(4))
        assert index.save_assessment(claimed(index, now=later(4)), stage="first_look", document=late, now=later(5))
        assert index.assessment(STUDY) == late
        kept = [(a["revision"], a["stage"], a["created_at"], a["superseded"]) for a in index.assessments(STUDY)]
        assert kept == [
            (1, "first_look", later(1), True),
            (1, "full", later(2), True),
            (2, "first_look", later(5), False),
        ]
        assert [a["document"] for a in index.assessments(STUDY)] == [first, full, late]

    def test_the_study_shows_the_newest_decision(self, index: StudyIndex) -> None:
        make_ready(index)
        claim = claimed(index)
        index.save_assessment(claim, stage="full", document=a_document("possible", "P2"), now=NOW)
        row = index.study(STUDY)
        assert row is not None
        assert (row.decided_revision, row.category, row.priority) == (1, "possible", "P2")
        assert row.reasons == ("größer",)

    def test_saving_the_same_version_again_keeps_one(self, index: StudyIndex) -> None:
        make_ready(index)
        claim = claimed(index)
        index.save_assessment(claim, stage="full", document=a_document("possible"), now=NOW)
        again = claimed(index, now=later(LEASE_S))
        index.save_assessment(again, stage="full", document=a_document("no_pattern"), now=later(40))
        assert [a["document"]["decision"]["category"] for a in index.assessments(STUDY)] == ["no_pattern"]

    def test_a_repeated_first_look_does_not_hide_the_full_one(self, index: StudyIndex) -> None:
        make_ready(index)
        claim = claimed(index)
        index.save_assessment(claim, stage="full", document=a_document("possible"), now=NOW)
        index.save_assessment(claim, stage="first_look", document=a_document("no_pattern"), now=later(1))
        found = index.assessment(STUDY)
        assert found is not None
        assert found["decision"]["category"] == "possible"
        assert sum(not a["superseded"] for a in index.assessments(STUDY)) == 1

    # --- questions

    def test_studies_newest_first(self, index: StudyIndex) -> None:
        assert index.studies() == []
        for number in (2, 3, 1):
            index.record_instances([a_row(number, study_instance_uid=f"1.{number}")])
        assert [s.study_instance_uid for s in index.studies()] == ["1.3", "1.2", "1.1"]
        assert [s.study_instance_uid for s in index.studies(limit=2)] == ["1.3", "1.2"]

    def test_the_most_urgent_first_and_no_p1_is_cut(self, index: StudyIndex) -> None:
        assert (index.most_urgent(), index.number_of_studies()) == ([], 0)
        for number, priority in enumerate(("P1", "unchanged", "P2", "P1", "P3"), 1):
            uid = f"1.{number}"
            index.record_instances([a_row(number, study_instance_uid=uid)])
            index.mark_ready(uid, now=NOW, reason="test")
            claim = index.claim(uid, owner="w", now=NOW, lease_s=30)
            assert claim is not None
            index.save_assessment(claim, stage="full", document=a_document("possible", priority), now=NOW)
        index.record_instances([a_row(6, study_instance_uid="1.6")])
        found = [row.study_instance_uid for row in index.most_urgent()]
        assert set(found[:2]) == {"1.1", "1.4"}
        assert found[2:4] == ["1.3", "1.5"]
        assert set(found[4:]) == {"1.2", "1.6"}
        assert [row.priority for row in index.most_urgent(limit=1)] == ["P1", "P1", "P2"]
        assert index.number_of_studies() == 6

    @pytest.mark.parametrize(
        ("patient_id", "found"),
        [
            pytest.param("P-1", ["1.1", "1.2", "1.3"], id="of any issuer, by date"),
            pytest.param("P-2", [], id="nobody"),
            pytest.param("' OR 1=1 --", [], id="not code"),
        ],
    )
    def test_studies_with_an_id(self, index: StudyIndex, patient_id: str, found: list[str]) -> None:
        index.record_instances(
            [
                a_row(1, study_instance_uid="1.2", study_date=date(2026, 2, 2)),
                a_row(2, study_instance_uid="1.1", study_date=date(2026, 1, 1)),
                a_row(3, study_instance_uid="1.3", issuer="OTHER", study_date=date(2026, 3, 1)),
            ]
        )
        assert [s.study_instance_uid for s in index.studies_with_id(patient_id)] == found

    @pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (3, 0, 2, 1)], ids=["first", "last", "between"])
    @pytest.mark.parametrize("batch", [1, 4], ids=["one by one", "at once"])
    def test_facts_of_a_study_are_those_of_most_objects(
        self, index: StudyIndex, order: tuple[int, ...], batch: int
    ) -> None:
        stranger = a_row(1, patient_id="P-9", birth_date=date(1950, 1, 1), sex="M", study_time="", accession_number="")
        nameless = a_row(2, patient_id="", issuer="", birth_date=None, sex="", study_date=None, accession_number="")
        objects = [stranger, nameless, a_row(3), a_row(4)]
        rows = [objects[number] for number in order]
        for first in range(0, len(rows), batch):
            index.record_instances(rows[first : first + batch])
        study = index.study(STUDY)
        assert study is not None
        assert (study.patient_id, study.issuer, study.birth_date) == ("P-1", "CLINIC", date(1980, 2, 29))
        assert (study.sex, study.study_date, study.study_time) == ("F", date(2026, 2, 28), "101500.25")
        assert study.accession_number == "A77"
        assert [row.study_instance_uid for row in index.studies_with_id("P-1")] == [STUDY]
        assert index.studies_with_id("P-9") == []

    def test_a_study_that_turns_out_to_be_somebody_elses_marks_who_loses_it_and_who_gets_it(
        self, index: StudyIndex
    ) -> None:
        index.record_instances([a_row(1, patient_id="P-9")])
        assert index.marked_patients() == {}
        index.record_instances([a_row(2), a_row(3)])
        study = index.study(STUDY)
        assert study is not None
        assert (study.patient_id, set(index.marked_patients())) == ("P-1", {"P-1", "P-9"})

    def test_infusions(self, index: StudyIndex) -> None:
        one, other = PatientKey("P-1"), PatientKey("P-1", "CLINIC")
        first, second = Infusion(date(2026, 1, 5)), Infusion(date(2026, 5, 6), "retreatment", "HL7")
        assert (index.infusions_of(one), index.infusions()) == ((), {})
        for patient, infusion in ((one, second), (one, first), (other, first), (one, first)):
            index.add_infusion(patient, infusion, now=NOW)
        assert index.infusions_of(one) == (first, second)
        assert index.infusions() == {one: (first, second), other: (first,)}
        index.add_infusion(one, replace(first, source="ADT"), now=NOW)
        assert index.infusions_of(one)[0].source == "ADT"
        assert index.remove_infusion(one, first.day, now=NOW)
        assert not index.remove_infusion(one, first.day, now=NOW)
        assert index.infusions_of(one) == (second,)
        assert index.infusions_of(other) == (first,)

    def test_what_changes_marks_the_patient(self, index: StudyIndex) -> None:
        assert index.marked_patients() == {}
        index.add_infusion(PatientKey("P-9"), Infusion(date(2026, 1, 5)), now=NOW)
        assert index.marked_patients() == {"P-9": NOW}
        index.remove_infusion(PatientKey("P-9"), date(2026, 1, 5), now=later(1))
        index.forget_mark("P-9", NOW)
        assert index.marked_patients() == {"P-9": later(1)}, "marked again meanwhile"
        index.forget_mark("P-9", later(1))
        index.remove_infusion(PatientKey("P-9"), date(2026, 1, 5), now=later(2))
        assert index.marked_patients() == {}, "there was nothing to remove"
        make_ready(index)
        claim = claimed(index)
        index.save_assessment(claim, stage="full", document=a_document(), now=later(3))
        assert set(index.marked_patients().values()) == {later(3)}
        index.complete(claim, now=later(4))
        assert set(index.marked_patients().values()) == {later(4)}
        index.mark_patient("", now=NOW)
        assert "" not in index.marked_patients(), "an empty ID is nobody"

    # --- what others said, what was kept aside

    def test_announcements_replace_each_other(self, index: StudyIndex) -> None:
        begun = Announcement(Source.MPPS, "1.9", STUDY, Step.IN_PROGRESS, {})
        done = replace(begun, step=Step.COMPLETED, images={f"{STUDY}.1": 3, f"{STUDY}.2": 2})
        assert index.announcement(Source.MPPS, "1.9") is None
        for one in (begun, done, done):
            index.put_announcement(one, now=NOW)
            assert index.announcement(Source.MPPS, "1.9") == one
        assert index.announcement(Source.AVAILABILITY, "1.9") is None

    def test_study_counts(self, index: StudyIndex) -> None:
        assert index.study_counts([STUDY]) == {}
        index.record_instances([a_row(1), a_row(2), a_row(3, study_instance_uid="1.5", series_instance_uid="1.5.1")])
        said = Announcement(Source.MPPS, "1.9", STUDY, Step.COMPLETED, {f"{STUDY}.1": 3, f"{STUDY}.2": 2})
        index.put_announcement(said, now=NOW)
        [found] = index.study_counts([STUDY, "1.5"]).values()
        assert [(one.received, one.announced) for one in found.series] == [(2, 3), (0, 2)]
        assert (found.received, found.announced, found.closed) == (2, 5, True)

    def test_conflicts_are_recorded_once(self, index: StudyIndex) -> None:
        second = ConflictRow("1.2.b.dcm", "1.2", "1.3", STUDY, later(1), "MR1")
        who = {"patient_id": "P-2", "issuer": "CLINIC", "birth_date": date(1980, 2, 29), "sex": "F"}
        first = replace(second, path="1.2.a.dcm", received_at=NOW, same_images=True, **who)
        index.record_conflicts([])
        index.record_conflicts([second, first])
        index.record_conflicts([second])
        assert index.conflicts() == [first, second]

    def test_tallies(self, index: StudyIndex) -> None:
        assert index.tallies() == {}
        make_ready(index)
        index.record_instances([a_row(7, study_instance_uid="1.5"), a_row(8, study_instance_uid="1.6")])
        assert index.tallies() == {("ready", "", ""): 1, ("receiving", "", ""): 2}
        claim = claimed(index)
        assert index.save_assessment(claim, stage="full", document=a_document("possible", "P2"), now=NOW)
        assert index.complete(claim, now=NOW)
        assert index.tallies() == {("assessed", "possible", "P2"): 1, ("receiving", "", ""): 2}

    def test_studies_that_are_tried_again_and_again(self, index: StudyIndex) -> None:
        make_ready(index)
        assert [index.tried_often(number) for number in (0, 1)] == [1, 0]
        claim = claimed(index)
        assert index.tried_often(1) == 0, "the first attempt still goes on"
        index.fail(claim, reason="disk", retry_at=NOW + timedelta(seconds=300), now=NOW)
        assert [index.tried_often(number) for number in (1, 2)] == [1, 0]
        again = index.claim(STUDY, owner="w", now=NOW + timedelta(seconds=300), lease_s=30)
        assert again is not None
        assert [index.tried_often(number) for number in (1, 2)] == [1, 0]
        index.fail(again, reason="given up", retry_at=None, now=NOW)
        assert index.tried_often(1) == 0, "a failed study is shown as such"

    def test_removal(self, index: StudyIndex) -> None:
        make_ready(index, [a_row(1), a_row(2, series_instance_uid=f"{STUDY}.2")])
        claim = claimed(index)
        assert index.save_assessment(claim, stage="full", document=a_document(), now=NOW)
        assert not index.begin_removal(STUDY, revision=1)  # somebody works on it
        assert index.complete(claim, now=NOW)
        assert not index.begin_removal(STUDY, revision=2)
        assert index.begin_removal(STUDY, revision=1)
        assert state_of(index)[0] is StudyState.REMOVING
        assert not index.requeue(STUDY, now=NOW)
        patient = next(iter(index.marked_patients()))
        index.forget_mark(patient, NOW)
        later = NOW + timedelta(seconds=1)
        index.finish_removal(STUDY, [row.sop_instance_uid for row in index.instances(STUDY)], now=later)
        assert index.marked_patients() == {patient: later}, "others may have waited for it"
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.instance_count, row.series_count) == (StudyState.REMOVED, 0, 0)
        assert index.assessment(STUDY) == a_document()
        assert not index.requeue(STUDY, now=NOW)
        index.record_instances([a_row(1)])  # sent again: as new
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.revision, row.instance_count, row.series_count) == (StudyState.RECEIVING, 2, 1, 1)

    def test_an_image_that_comes_during_a_removal_stays(self, index: StudyIndex) -> None:
        make_ready(index, [a_row(1)])
        claim = claimed(index)
        assert index.save_assessment(claim, stage="full", document=a_document(), now=NOW)
        assert index.complete(claim, now=NOW)
        assert index.begin_removal(STUDY, revision=1)
        index.record_instances([a_row(2)])
        index.finish_removal(STUDY, [a_row(1).sop_instance_uid], now=NOW)
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.revision, row.instance_count) == (StudyState.RECEIVING, 2, 1)
        assert [one.sop_instance_uid for one in index.instances(STUDY)] == [a_row(2).sop_instance_uid]
