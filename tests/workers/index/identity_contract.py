"""What every implementation of ports.StudyIndex must do with merges and splits of patients."""

from __future__ import annotations

from datetime import date

import pytest

from tests.workers.index.index_contract import NOW, STUDY, a_row, later
from triage.infusions import Infusion
from workers.identity_events import Change, IdentityEvent, IdentityRefusedError
from workers.ports import PatientKey, StudyIndex

DAY = date(2026, 2, 1)
OTHER = "1.2.826.0.2"


def said(change: Change, old: PatientKey, new: PatientKey, seconds: float = 0.0) -> IdentityEvent:
    return IdentityEvent(change, old, new, "test", later(seconds))


P1, P2 = PatientKey("P-1", "CLINIC"), PatientKey("P-2", "CLINIC")
MERGE, SPLIT = said(Change.MERGE, P1, P2), said(Change.SPLIT, P1, P2, 60.0)


def identity(index: StudyIndex, uid: str = STUDY) -> tuple[str, str, str | None]:
    row = index.study(uid)
    assert row is not None
    return row.patient_id, row.issuer, row.stated_patient_id


def forget_marks(index: StudyIndex) -> None:
    for patient_id, marked_at in index.marked_patients().items():
        index.forget_mark(patient_id, marked_at)


class IdentityContract:
    def test_a_merge_is_in_force_for_studies_that_are_there_and_a_split_undoes_it(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1)])
        assert index.record_identity(MERGE)
        assert not index.record_identity(MERGE), "the same again changes nothing"
        assert identity(index) == ("P-2", "CLINIC", "P-1")
        assert [row.study_instance_uid for row in index.studies_with_id("P-2")] == [STUDY]
        assert index.studies_with_id("P-1") == []
        assert set(index.marked_patients()) == {"P-1", "P-2"}
        forget_marks(index)
        assert index.record_identity(SPLIT)
        assert identity(index) == ("P-1", "CLINIC", None)
        assert set(index.marked_patients()) == {"P-1", "P-2"}
        assert index.identity_events("P-1") == index.identity_events("P-2") == [MERGE, SPLIT]
        assert index.identity_events("P-3") == index.identity_events("") == []

    def test_an_event_is_later_than_all_before_it_also_when_a_clock_was_set_back(self, index: StudyIndex) -> None:
        for event in (MERGE, said(Change.SPLIT, P1, P2, -3600.0), said(Change.MERGE, P1, P2, -1800.0)):
            index.record_identity(event)
        first, second, third = index.identity_events("P-1")
        assert first == MERGE, "noop: an honest clock is kept"
        assert first.at < second.at < third.at

    def test_a_merge_is_in_force_for_studies_that_come_later(self, index: StudyIndex) -> None:
        index.record_identity(said(Change.MERGE, P2, PatientKey("P-3")))
        index.record_identity(MERGE)
        index.record_instances([a_row(1)])
        assert identity(index) == ("P-3", "CLINIC", "P-1")
        index.record_instances([a_row(2, patient_id="P-9"), a_row(3, patient_id="P-9")])
        assert identity(index) == ("P-9", "CLINIC", None), "most images state another ID now"
        assert {"P-3"} <= set(index.marked_patients())
        index.record_instances([a_row(4), a_row(5)])
        assert identity(index) == ("P-3", "CLINIC", "P-1")

    def test_a_contradiction_changes_nothing(self, index: StudyIndex) -> None:
        index.record_identity(MERGE)
        with pytest.raises(IdentityRefusedError, match="split that first"):
            index.record_identity(said(Change.MERGE, P1, PatientKey("P-3")))
        assert index.identity_events("P-1") == [MERGE]

    def test_a_merge_is_turned_round(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1)])
        index.record_identity(MERGE)
        assert identity(index) == (P2.patient_id, P2.issuer, "P-1")
        index.record_identity(said(Change.MERGE, P2, P1))
        assert identity(index) == ("P-1", "CLINIC", None)

    def test_a_second_issuer_takes_a_merge_without_issuer_out_of_force(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1)])
        index.record_identity(said(Change.MERGE, PatientKey("P-1"), PatientKey("P-2")))
        assert identity(index) == ("P-2", "CLINIC", "P-1")
        index.record_instances([a_row(9, study_instance_uid=OTHER, issuer="ELSEWHERE")])
        assert identity(index) == ("P-1", "CLINIC", None)
        assert identity(index, OTHER) == ("P-1", "ELSEWHERE", None)

    def test_infusions_follow(self, index: StudyIndex) -> None:
        index.add_infusion(P1, Infusion(DAY), now=NOW)
        index.add_infusion(PatientKey("P-1"), Infusion(date(2025, 1, 1)), now=NOW)
        index.record_identity(said(Change.MERGE, PatientKey("P-1"), PatientKey("P-2")))
        forget_marks(index)
        assert [one.day for one in index.infusions_of(P2)] == [DAY]
        assert [one.day for one in index.infusions_of(PatientKey("P-2"))] == [date(2025, 1, 1)]
        assert set(index.infusions()) == {P2, PatientKey("P-2")}
        index.add_infusion(P1, Infusion(date(2026, 4, 20)), now=later(1))
        assert set(index.marked_patients()) == {"P-1", "P-2"}
        assert index.remove_infusion(P2, DAY, now=later(2))
        assert not index.remove_infusion(P2, DAY, now=later(2))
        assert [one.day for one in index.infusions_of(P1)] == [date(2026, 4, 20)]

    def test_the_last_word_about_an_infusion_counts_whenever_two_ids_turn_out_to_be_one(
        self, index: StudyIndex
    ) -> None:
        """now is the same, or earlier: a clock was set back."""
        one, other, corrected = PatientKey("P-8"), PatientKey("P-9"), date(2026, 2, 11)
        index.add_infusion(other, Infusion(corrected), now=NOW)
        index.add_infusion(one, Infusion(DAY), now=later(-60))
        assert index.infusions() == {one: (Infusion(DAY),), other: (Infusion(corrected),)}
        index.record_identity(said(Change.MERGE, one, other))
        assert index.infusions() == {other: (Infusion(DAY),)}, "the later word, under the ID in force"
        index.record_identity(said(Change.SPLIT, one, other))
        assert index.infusions() == {one: (Infusion(DAY),), other: (Infusion(corrected),)}

    def test_a_day_that_is_said_again_does_not_turn_a_correction_against_another_infusion(
        self, index: StudyIndex
    ) -> None:
        """The second infusion was moved; then an old list says its first date again. The first infusion stays."""
        second, moved = date(2026, 3, 3), date(2026, 2, 21)
        for seconds, day in enumerate((DAY, second, moved)):
            index.add_infusion(P1, Infusion(day), now=later(seconds))
        assert [one.day for one in index.infusions_of(P1)] == [DAY, moved]
        index.add_infusion(P1, Infusion(second), now=later(60))
        assert [one.day for one in index.infusions_of(P1)] == [DAY, second]
        index.add_infusion(P1, Infusion(second), now=later(70))
        assert [one.day for one in index.infusions_of(P1)] == [DAY, second], "noop: and once more"

    def test_what_is_withdrawn_before_a_merge_is_withdrawn_after_it(self, index: StudyIndex) -> None:
        one, other = PatientKey("P-8"), PatientKey("P-9")
        index.add_infusion(one, Infusion(DAY), now=NOW)
        assert not index.remove_infusion(other, DAY, now=later(1)), "not known under this ID so far"
        index.record_identity(said(Change.MERGE, one, other))
        assert index.infusions() == {}
        index.add_infusion(one, Infusion(DAY), now=later(2))
        assert index.infusions() == {other: (Infusion(DAY),)}

    def test_a_correction_of_one_study(self, index: StudyIndex) -> None:
        index.record_instances([a_row(1), a_row(9, study_instance_uid=OTHER)])
        index.record_identity(IdentityEvent(Change.CORRECT, P1, P2, "test", NOW, STUDY, date(1981, 1, 1), "M"))
        assert identity(index) == ("P-2", "CLINIC", "P-1")
        assert identity(index, OTHER) == ("P-1", "CLINIC", None)
        row = index.study(STUDY)
        assert row is not None
        assert (row.birth_date, row.sex, row.stated_birth_date) == (date(1981, 1, 1), "M", date(1980, 2, 29))
        index.record_identity(IdentityEvent(Change.REJECT, P1, P2, "test", NOW, STUDY))
        assert identity(index) == ("P-1", "CLINIC", None)
