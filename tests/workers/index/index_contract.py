"""What every implementation of ports.StudyIndex must do with arriving images and claims; see index_answers for the
rest.

class TestMyIndex(IndexContract, AnswersContract):
    @pytest.fixture()
    def index(self) -> StudyIndex: ...
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from triage.infusions import Infusion
from workers.ports import Claim, InstanceRow, PatientKey, StudyIndex, StudyState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STUDY = "1.2.826.0.1"
LEASE_S = 30.0


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def a_row(number: int = 1, **changes: Any) -> InstanceRow:
    row = InstanceRow(
        sop_instance_uid=f"{STUDY}.1.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        series_instance_uid=f"{STUDY}.1",
        study_instance_uid=STUDY,
        path=f"ab/{STUDY}.1.{number}.dcm",
        size_bytes=1000 + number,
        received_at=later(number),
        calling_ae="SCANNER",
        patient_id="P-1",
        issuer="CLINIC",
        birth_date=date(1980, 2, 29),
        sex="F",
        study_date=date(2026, 2, 28),
        study_time="101500.25",
        accession_number="A77",
        modality="MR",
        series_description="FLAIR größer Ω",
        series_number=4,
        images_in_acquisition=3,
        frame_count=1,
    )
    return replace(row, **changes)


def a_document(category: str = "no_pattern", priority: str = "unchanged") -> dict[str, Any]:
    return {"schema_version": "1", "decision": {"category": category, "priority": priority, "reasons": ["größer"]}}


def make_ready(index: StudyIndex, rows: Sequence[InstanceRow] = (a_row(),)) -> None:
    index.record_instances(rows)
    assert index.mark_ready(STUDY, now=NOW, reason="FLAIR complete")


def claimed(index: StudyIndex, *, owner: str = "w1", now: datetime = NOW) -> Claim:
    claim = index.claim(STUDY, owner=owner, now=now, lease_s=LEASE_S)
    assert claim is not None
    return claim


def state_of(index: StudyIndex) -> tuple[StudyState, int, int]:
    """(state, revision, attempts)"""
    row = index.study(STUDY)
    assert row is not None
    return row.state, row.revision, row.attempts


class IndexContract:
    # --- arrival

    @pytest.mark.parametrize(
        ("batches", "instances", "series"),
        [
            pytest.param([[]], None, None, id="nothing recorded, no study"),
            pytest.param([[a_row(1)]], 1, 1, id="one"),
            pytest.param([[a_row(1), a_row(2)], [a_row(3)]], 3, 1, id="two batches"),
            pytest.param([[a_row(1)], [a_row(1)]], 1, 1, id="again: counted once"),
            pytest.param([[a_row(1), a_row(1)]], 1, 1, id="twice in one batch: counted once"),
            pytest.param([[a_row(1), a_row(2, series_instance_uid="9.9")]], 2, 2, id="two series"),
            pytest.param([[a_row(1)], [a_row(2, series_instance_uid="9.9"), a_row(3)]], 3, 2, id="a series comes back"),
        ],
    )
    def test_counts(
        self, index: StudyIndex, batches: list[list[InstanceRow]], instances: int | None, series: int | None
    ) -> None:
        for batch in batches:
            index.record_instances(batch)
        row = index.study(STUDY)
        assert (row and row.instance_count, row and row.series_count) == (instances, series)

    def test_what_goes_in_comes_out(self, index: StudyIndex) -> None:
        bare = InstanceRow("1.9.1", "1.2", "1.2.1", "1.9.2", "1.9", "cd/1.9.1.dcm", 1 << 33, NOW)
        index.record_instances([a_row(), bare])
        assert index.instances(STUDY) == [a_row()]
        assert index.instances("1.9") == [bare]
        assert index.instances("1.2.3") == []
        row = index.study(STUDY)
        assert row is not None
        facts = (row.patient_id, row.issuer, row.birth_date, row.sex, row.study_date, row.study_time)
        assert facts == ("P-1", "CLINIC", date(1980, 2, 29), "F", date(2026, 2, 28), "101500.25")
        assert (row.accession_number, row.state, row.revision, row.attempts) == ("A77", StudyState.RECEIVING, 1, 0)
        assert (row.ready_at, row.due_at, row.lease_owner, row.lease_until, row.failure) == (None,) * 5
        assert (row.decided_revision, row.category, row.priority, row.reasons) == (None, None, None, ())

    def test_times_of_arrival_span_all_instances(self, index: StudyIndex) -> None:
        index.record_instances([a_row(5)])
        index.record_instances([a_row(9), a_row(2)])
        row = index.study(STUDY)
        assert row is not None
        assert (row.first_received_at, row.last_received_at) == (later(2), later(9))
        assert row.first_received_at.tzinfo is not None

    def test_patients_after_an_infusion_come_first(self, index: StudyIndex) -> None:
        """By the spelling of the ID and the day; then by the first image."""
        days = {
            "9": date(2026, 2, 28),
            "8": date(2026, 2, 28),
            "7": date(2026, 1, 1),
            "6": None,
            "5": date(2026, 2, 28),
        }
        for number, (study, day) in enumerate(days.items()):
            of_whom = "stranger" if study in "95" else "P-1"
            index.record_instances([a_row(number, study_instance_uid=study, study_date=day, patient_id=of_whom)])
        assert [row.study_instance_uid for row in index.receiving()] == ["9", "8", "7", "6", "5"]
        index.add_infusion(PatientKey("P-1"), Infusion(date(2026, 2, 1)), now=NOW)
        assert [row.study_instance_uid for row in index.receiving()] == ["8", "9", "7", "6", "5"]
        for second, study in enumerate(days):
            index.mark_ready(study, now=later(second), reason="x")
        assert [row.study_instance_uid for row in index.due(now=later(60))] == ["8", "9", "7", "6", "5"]
        index.remove_infusion(PatientKey("P-1"), date(2026, 2, 1), now=NOW)
        assert [row.study_instance_uid for row in index.due(now=later(60))] == ["9", "8", "7", "6", "5"]

    def test_any_number_of_studies_can_be_asked_about(self, index: StudyIndex) -> None:
        """SQLite takes 32,766 values in one statement, PostgreSQL 65,535."""
        assert index.study_counts([f"1.2.{n}" for n in range(70_000)]) == {}

    def test_ready_only_once(self, index: StudyIndex) -> None:
        assert index.mark_ready(STUDY, now=NOW, reason="x") is False  # unknown study
        index.record_instances([a_row()])
        assert [s.study_instance_uid for s in index.receiving()] == [STUDY]
        assert index.mark_ready(STUDY, now=NOW, reason="x") is True
        assert index.mark_ready(STUDY, now=NOW, reason="x") is False
        assert index.receiving() == []
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.ready_at) == (StudyState.READY, NOW)

    @pytest.mark.parametrize("state", [StudyState.READY, StudyState.ASSESSED, StudyState.FAILED])
    def test_a_late_instance_reopens(self, index: StudyIndex, state: StudyState) -> None:
        make_ready(index)
        if state is StudyState.ASSESSED:
            index.complete(claimed(index), now=NOW)
        if state is StudyState.FAILED:
            index.fail(claimed(index), reason="r", retry_at=None, now=NOW)
        assert state_of(index)[0] is state
        index.record_instances([a_row(2)])
        assert state_of(index) == (StudyState.RECEIVING, 2, 0)
        row = index.study(STUDY)
        assert row is not None
        assert (row.ready_at, row.due_at, row.failure) == (None, None, None)

    @pytest.mark.parametrize(
        ("settle", "row"),
        [
            pytest.param(True, a_row(1), id="known instance again"),
            pytest.param(False, a_row(2), id="still receiving"),
        ],
    )
    def test_noop_does_not_reopen(self, index: StudyIndex, settle: bool, row: InstanceRow) -> None:
        index.record_instances([a_row(1)])
        if settle:
            index.mark_ready(STUDY, now=NOW, reason="x")
        before = state_of(index)
        index.record_instances([row])
        assert state_of(index) == before

    # --- claims

    def test_due_in_order_of_readiness(self, index: StudyIndex) -> None:
        for uid, ready in (("1.1", 20.0), ("1.2", 10.0), ("1.3", 30.0)):
            index.record_instances([a_row(sop_instance_uid=f"{uid}.9", study_instance_uid=uid)])
            index.mark_ready(uid, now=later(ready), reason="x")
        index.record_instances([a_row()])  # RECEIVING: never due
        assert [s.study_instance_uid for s in index.due(now=later(60))] == ["1.2", "1.1", "1.3"]

    @pytest.mark.parametrize(
        ("seconds", "free"),
        [
            pytest.param(0, False, id="just claimed"),
            pytest.param(LEASE_S - 1, False, id="lease alive"),
            pytest.param(LEASE_S, True, id="lease over"),
            pytest.param(LEASE_S + 60, True, id="long over"),
        ],
    )
    def test_a_lease_keeps_others_out_until_it_ends(self, index: StudyIndex, seconds: float, free: bool) -> None:
        make_ready(index)
        first = claimed(index)
        assert (first.owner, first.revision, first.attempt, first.until) == ("w1", 1, 1, later(LEASE_S))
        assert bool(index.due(now=later(seconds))) is free
        second = index.claim(STUDY, owner="w2", now=later(seconds), lease_s=LEASE_S)
        assert (second is not None) is free
        if second is not None:
            assert second.attempt == 2

    @pytest.mark.parametrize(
        ("seconds", "free"),
        [
            pytest.param(-LEASE_S, False, id="set back by as long as a lease"),
            pytest.param(-LEASE_S - 1, True, id="so late a lease no honest clock writes"),
            pytest.param(-3600.0, True, id="set back by an hour"),
        ],
    )
    def test_a_lease_from_before_the_clock_was_set_back(self, index: StudyIndex, seconds: float, free: bool) -> None:
        make_ready(index)
        claimed(index)
        assert bool(index.due(now=later(seconds), lease_s=LEASE_S)) is free
        assert (index.claim(STUDY, owner="w2", now=later(seconds), lease_s=LEASE_S) is not None) is free

    @pytest.mark.parametrize(
        ("seconds", "due"),
        [
            pytest.param(0.0, False, id="noop: it waits"),
            pytest.param(300.0, True, id="its time has come"),
            pytest.param(-1.0, True, id="written in the future"),
            pytest.param(-3600.0, True, id="set back by an hour"),
        ],
    )
    def test_a_retry_from_before_the_clock_was_set_back(self, index: StudyIndex, seconds: float, due: bool) -> None:
        make_ready(index)
        index.fail(claimed(index), reason="r", retry_at=later(300), now=NOW)
        assert bool(index.due(now=later(seconds))) is due
        assert (index.claim(STUDY, owner="w", now=later(seconds), lease_s=LEASE_S) is not None) is due

    @pytest.mark.parametrize("state", ["unknown", "receiving", "assessed", "failed"])
    def test_nothing_to_claim(self, index: StudyIndex, state: str) -> None:
        if state == "receiving":
            index.record_instances([a_row()])
        if state in ("assessed", "failed"):
            make_ready(index)
            claim = claimed(index)
            if state == "assessed":
                assert index.complete(claim, now=NOW)
            else:
                index.fail(claim, reason="r", retry_at=None, now=NOW)
        assert index.claim(STUDY, owner="w1", now=later(999), lease_s=LEASE_S) is None

    def test_exactly_one_of_many_claims_wins(self, index: StudyIndex) -> None:
        uids = [f"1.7.{n}" for n in range(12)]
        for uid in uids:
            index.record_instances([a_row(sop_instance_uid=f"{uid}.1", study_instance_uid=uid)])
            index.mark_ready(uid, now=NOW, reason="x")
        gate = threading.Barrier(6)

        def work(owner: str) -> list[Claim | None]:
            gate.wait()
            return [index.claim(uid, owner=owner, now=NOW, lease_s=LEASE_S) for uid in uids]

        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(work, [f"w{n}" for n in range(6)]))
        for number, uid in enumerate(uids):
            winners = [claims[number] for claims in results if claims[number] is not None]
            assert len(winners) == 1, uid
            row = index.study(uid)
            assert row is not None
            assert (row.lease_owner, row.attempts) == (winners[0].owner, 1)

    def test_renewing(self, index: StudyIndex) -> None:
        make_ready(index)
        claim = index.renew(claimed(index), now=later(20), lease_s=LEASE_S)
        assert claim is not None
        assert claim.until == later(20 + LEASE_S)
        assert index.claim(STUDY, owner="w2", now=later(40), lease_s=LEASE_S) is None

    def test_a_late_renewal_keeps_what_nobody_took(self, index: StudyIndex) -> None:
        make_ready(index)
        claim = claimed(index)
        assert index.renew(claim, now=later(LEASE_S + 5), lease_s=LEASE_S) is not None
        assert index.save_assessment(claim, stage="full", document=a_document(), now=later(LEASE_S + 6))

    @pytest.mark.parametrize("loss", ["taken", "taken by the same owner", "completed", "failed"])
    def test_a_lost_lease_stays_lost(self, index: StudyIndex, loss: str) -> None:
        make_ready(index)
        old = claimed(index)
        if loss.startswith("taken"):
            claimed(index, owner="w1" if loss.endswith("owner") else "w2", now=later(LEASE_S))
        elif loss == "completed":
            assert index.complete(old, now=NOW)
        else:
            index.fail(old, reason="r", retry_at=later(1), now=NOW)
        before = index.study(STUDY)
        assert index.renew(old, now=later(40), lease_s=LEASE_S) is None
        assert index.save_assessment(old, stage="full", document=a_document(), now=later(40)) is False
        assert index.complete(old, now=later(40)) is False
        index.fail(old, reason="late", retry_at=None, now=later(40))
        assert index.study(STUDY) == before
        assert index.assessment(STUDY) is None

    def test_a_reopened_study_keeps_its_lease_and_takes_the_old_result(self, index: StudyIndex) -> None:
        make_ready(index)
        claim = claimed(index)
        index.record_instances([a_row(2)])
        assert index.renew(claim, now=later(5), lease_s=LEASE_S) is not None
        assert index.save_assessment(claim, stage="first_look", document=a_document(), now=later(6))
        assert index.mark_ready(STUDY, now=later(7), reason="x")
        assert index.claim(STUDY, owner="w2", now=later(8), lease_s=LEASE_S) is None
        assert index.complete(claim, now=later(9)) is False
        assert state_of(index) == (StudyState.READY, 2, 0)
        assert claimed(index, owner="w2", now=later(10)).revision == 2

    # --- ends

    def test_complete(self, index: StudyIndex) -> None:
        make_ready(index)
        assert index.complete(claimed(index), now=NOW) is True
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.lease_owner, row.lease_until) == (StudyState.ASSESSED, None, None)

    def test_failure_with_retry(self, index: StudyIndex) -> None:
        make_ready(index)
        index.fail(claimed(index), reason="index_away", retry_at=later(10), now=NOW)
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.failure, row.due_at, row.attempts) == (StudyState.READY, "index_away", later(10), 1)
        assert index.due(now=later(9)) == []
        assert index.claim(STUDY, owner="w", now=later(9), lease_s=LEASE_S) is None
        assert claimed(index, now=later(10)).attempt == 2

    def test_failure_for_good(self, index: StudyIndex) -> None:
        make_ready(index)
        index.fail(claimed(index), reason="poison", retry_at=None, now=NOW)
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.failure, row.lease_owner) == (StudyState.FAILED, "poison", None)
        assert index.due(now=later(9999)) == []

    def test_requeue(self, index: StudyIndex) -> None:
        assert index.requeue(STUDY, now=NOW) is False
        make_ready(index)
        index.fail(claimed(index), reason="poison", retry_at=None, now=NOW)
        assert index.requeue(STUDY, now=later(50)) is True
        row = index.study(STUDY)
        assert row is not None
        assert (row.state, row.revision, row.attempts) == (StudyState.READY, 2, 0)
        assert (row.failure, row.ready_at) == (None, later(50))
        assert claimed(index, now=later(50)).revision == 2
