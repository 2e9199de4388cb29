"""Studies arriving and waiting -> which are marked ready, which are rung for; also with broker or index away."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.values import convert_value

from tests.workers.arrival.beating import QUIET_S, STUDY, Beat
from triage.errors import NotAssessable, Transient
from triage.infusions import Infusion
from triage.model import SequenceKind
from workers.arrival.probe import SeriesProbe
from workers.ports import InstanceRow, PatientKey, StudyRow, StudyState
from workers.queue.beat import Pass
from workers.queue.rings import DueRinger
from workers.studies import quarantine


class TestArrivals:
    def test_announced_number_reached(self) -> None:
        beat = Beat()
        beat.arrive(29, images_in_acquisition=30)
        assert beat.sweeper.arrivals() == 0
        beat.arrive(1, first=30, images_in_acquisition=30)
        assert beat.sweeper.arrivals() == 1
        assert beat.state() is StudyState.READY
        assert beat.bell.rings == [STUDY]

    def test_settled_without_a_number(self) -> None:
        beat = Beat()
        beat.arrive(30)
        assert beat.sweeper.arrivals() == 0
        beat.clock.advance(1.0)
        assert beat.sweeper.arrivals() == 1

    @pytest.mark.parametrize(
        "kind",
        [
            pytest.param(SequenceKind.NOT_IMAGE, id="result objects only"),
            pytest.param(NotAssessable("not_dicom", "unreadable"), id="not measured: unreadable header"),
        ],
    )
    def test_without_flair_after_the_quiet_period(self, kind: SequenceKind | Exception) -> None:
        beat = Beat()
        beat.kind = kind
        beat.arrive(2)
        beat.clock.advance(QUIET_S - 1)
        assert beat.sweeper.arrivals() == 0
        beat.clock.advance(1)
        assert beat.sweeper.arrivals() == 1

    @pytest.mark.parametrize(("images", "read"), [(1, 0), (2, 0), (3, 1)])
    def test_no_header_of_a_series_that_can_cover_nothing_is_read(self, images: int, read: int) -> None:
        beat = Beat()
        beat.arrive(images)
        beat.sweeper.arrivals()
        beat.clock.advance(QUIET_S)
        assert (beat.sweeper.arrivals(), beat.headers_read) == (1, read)

    def test_a_multi_frame_object_is_read_at_once(self) -> None:
        beat = Beat()
        beat.arrive(1, frame_count=30)
        beat.sweeper.arrivals()
        assert beat.headers_read == 1

    def test_one_header_per_series_is_read(self) -> None:
        beat = Beat()
        beat.arrive(10)
        beat.sweeper.arrivals()
        beat.arrive(10, first=11)
        beat.sweeper.arrivals()
        assert beat.headers_read == 1

    def test_the_rest_of_a_study_that_was_taken_up_waits_for_the_quiet_period(self) -> None:
        beat = Beat()
        beat.arrive(30, images_in_acquisition=30)
        beat.sweeper.arrivals()
        assert beat.index.claim(STUDY, owner="w", now=beat.clock.now(), lease_s=600) is not None
        beat.kind = SequenceKind.T1
        beat.arrive(5, first=31, series_instance_uid="t1")
        beat.clock.advance(QUIET_S - 10)
        assert beat.sweeper.arrivals() == 0
        beat.clock.advance(10)
        assert beat.sweeper.arrivals() == 1

    def test_a_study_reopened_before_a_worker_came_is_ready_again(self) -> None:
        beat = Beat()
        beat.arrive(30, images_in_acquisition=30)
        beat.sweeper.arrivals()
        beat.kind = SequenceKind.T1
        beat.arrive(5, first=31, series_instance_uid="t1")
        assert beat.sweeper.arrivals() == 1

    def test_a_broker_that_is_away_does_not_keep_a_study_from_being_ready(self) -> None:
        beat = Beat()
        beat.bell.away = True
        beat.arrive(30, images_in_acquisition=30)
        assert beat.sweeper.arrivals() == 1
        beat.bell.away = False
        assert beat.ringer.ring_due() == 1

    def test_a_study_that_cannot_be_looked_at_is_handed_over_after_the_quiet_period(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beat = Beat()
        beat.arrive(30)

        def broken(*_: object) -> object:
            """What reading a header with an unknown value representation raises in pydicom."""
            return convert_value("ZZ", RawDataElement(Tag("PatientName"), "ZZ", 2, b"ab", 0, False, True))

        monkeypatch.setattr(SeriesProbe, "facts", broken)
        beat.clock.advance(QUIET_S - 1)
        assert beat.sweeper.arrivals() == 0
        beat.clock.advance(1)
        assert beat.sweeper.arrivals() == 1
        assert beat.state() is StudyState.READY
        assert len(beat.bell.rings) == 1

    def test_one_bad_study_does_not_hold_up_the_others(self) -> None:
        beat = Beat()
        beat.arrive(30, study="1.1")
        beat.kind = KeyError("broken")
        beat.sweeper.arrivals()
        beat.kind = SequenceKind.FLAIR
        beat.arrive(30, study="1.2", images_in_acquisition=30)
        assert beat.sweeper.arrivals() == 1

    def test_a_beat_started_again_finds_everything_in_the_index(self) -> None:
        beat = Beat()
        beat.arrive(30)
        beat.sweeper.arrivals()
        beat.clock.advance(1)
        assert beat.started().arrivals() == 1

    @pytest.mark.parametrize(
        ("infusion", "urgent"),
        [
            pytest.param(None, [], id="no date known"),
            pytest.param(date(2026, 3, 1), [STUDY], id="after the infusion"),
            pytest.param(date(2026, 4, 1), [], id="before the infusion"),
        ],
    )
    def test_followups_go_first(self, infusion: date | None, urgent: list[str]) -> None:
        beat = Beat()
        if infusion:
            beat.index.add_infusion(PatientKey("P1"), Infusion(infusion), now=datetime.now(UTC))
        beat.arrive(30, images_in_acquisition=30)
        beat.sweeper.arrivals()
        assert beat.bell.urgent == urgent


class TestRinging:
    def due(self, *studies: str) -> Beat:
        beat = Beat()
        for study in studies:
            beat.arrive(3, study=study)
            beat.index.mark_ready(study, now=beat.clock.now(), reason="test")
        return beat

    def test_noop_nothing_due(self) -> None:
        beat = Beat()
        assert beat.ringer.ring_due() == 0
        assert beat.bell.rings == []

    def test_rung_again_ever_more_rarely(self) -> None:
        beat = self.due(STUDY)
        rung_after_s = []
        for second in range(600):
            if beat.ringer.ring_due():
                rung_after_s.append(second)
            beat.clock.advance(1)
        assert rung_after_s == [0, 10, 30, 70, 150, 310]

    def test_all_are_rung_again_when_the_broker_was_started_anew(self) -> None:
        beat = self.due("1.1", "1.2")
        assert beat.ringer.ring_due() == 2
        beat.clock.advance(1)
        assert beat.ringer.ring_due() == 0
        beat.epoch = "two"
        assert beat.ringer.ring_due() == 2

    def test_a_study_somebody_works_on_is_left_alone_until_its_lease_runs_out(self) -> None:
        beat = self.due(STUDY)
        beat.index.claim(STUDY, owner="w", now=beat.clock.now(), lease_s=30)
        assert beat.ringer.ring_due() == 0
        beat.clock.advance(30)
        assert beat.ringer.ring_due() == 1

    def test_a_new_attempt_is_rung_for_at_once(self) -> None:
        beat = self.due(STUDY)
        beat.ringer.ring_due()
        claim = beat.index.claim(STUDY, owner="w", now=beat.clock.now(), lease_s=30)
        assert claim is not None
        beat.index.fail(claim, reason="x", retry_at=beat.clock.now(), now=beat.clock.now())
        assert beat.ringer.ring_due() == 1

    @pytest.mark.parametrize("cost_s", [0.0, 1.0])
    def test_a_pass_is_short_and_all_have_their_turn(self, cost_s: float) -> None:
        beat = self.due(*(f"1.1.{n}" for n in range(10)))

        def urgency(_: StudyRow) -> bool:
            beat.clock.advance(cost_s)
            return False

        beat.ringer = beat.ringer_with(urgency)
        rung = [beat.ringer.ring_due() for _ in range(5)]
        assert rung == ([2] * 5 if cost_s else [10, 0, 0, 0, 0])
        assert len(set(beat.bell.rings)) == 10

    def test_a_fault_in_one_study_costs_its_place_alone(self) -> None:
        def urgency(row: StudyRow) -> bool:
            if row.study_instance_uid == "1.1":
                raise KeyError("a bug of ours")
            return True

        beat = self.due("1.1", "1.2")
        beat.ringer = beat.ringer_with(urgency)
        assert beat.ringer.ring_due() == 2
        assert (beat.bell.rings, beat.bell.urgent) == (["1.1", "1.2"], ["1.2"])

    def test_a_fault_in_a_study_that_exceeded_a_limit_costs_its_place_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beat = self.due("1.1", "1.2")
        claim = beat.index.claim("1.1", owner="w", now=beat.clock.now(), lease_s=30)
        assert claim is not None
        beat.index.fail(
            claim, reason=quarantine.failure(1, "too slow"), retry_at=beat.clock.now(), now=beat.clock.now()
        )
        instances = beat.index.instances
        broken = {"1.1": KeyError("a bug of ours")}

        def images(uid: str) -> list[InstanceRow]:
            if uid in broken:
                raise broken[uid]
            return instances(uid)

        monkeypatch.setattr(beat.index, "instances", images)
        assert beat.ringer.ring_due() == 2
        assert sorted(beat.bell.rings) == ["1.1", "1.2"]

    def test_a_ring_that_fails_is_not_taken_for_rung(self) -> None:
        beat = self.due(STUDY)
        beat.bell.away = True
        with pytest.raises(Transient):
            beat.ringer.ring_due()
        beat.bell.away = False
        assert beat.ringer.ring_due() == 1


@pytest.mark.parametrize(
    "fault", [pytest.param(Transient("away"), id="known"), pytest.param(KeyError("x"), id="a bug of ours")]
)
def test_a_pass_that_fails_is_tried_again(fault: Exception) -> None:
    faults: list[Exception] = [fault]
    calls = []

    def work() -> int:
        calls.append(1)
        if faults:
            raise faults.pop()
        return 0

    job = Pass("test", work, every_s=0.0)
    job.run()
    job.run()
    assert len(calls) == 2


LEAPS = [
    pytest.param(0.0, id="noop: nobody sets the clock"),
    pytest.param(-3600.0, id="set back by an hour"),
    pytest.param(-60.0, id="set back by a minute"),
    pytest.param(-29.0, id="set back by less than a lease"),
    pytest.param(3600.0, id="set forward by an hour"),
    pytest.param(366 * 86400.0, id="set forward by a year"),
]


class TestClocks:
    """Nothing waits longer, or less long, than it would have."""

    @pytest.mark.parametrize("leap_s", LEAPS)
    def test_the_quiet_period(self, leap_s: float) -> None:
        beat = Beat()
        beat.kind = SequenceKind.T1
        beat.arrive(2)
        assert beat.sweeper.arrivals() == 0
        beat.clock.leap(leap_s)
        beat.clock.advance(QUIET_S - 1)
        assert beat.sweeper.arrivals() == 0
        beat.clock.advance(1)
        assert beat.sweeper.arrivals() == 1

    @pytest.mark.parametrize("leap_s", LEAPS)
    def test_a_study_goes_on_after_it(self, leap_s: float) -> None:
        beat = Beat()
        beat.kind = SequenceKind.T1
        beat.arrive(2)
        assert beat.sweeper.arrivals() == 0
        beat.clock.leap(leap_s)
        beat.arrive(2, first=3)
        assert beat.sweeper.arrivals() == 0
        beat.clock.advance(QUIET_S - 1)
        assert beat.sweeper.arrivals() == 0
        beat.clock.advance(1)
        assert beat.sweeper.arrivals() == 1

    @pytest.mark.parametrize("leap_s", LEAPS)
    def test_the_first_look(self, leap_s: float) -> None:
        beat = Beat()
        beat.arrive(30)
        assert beat.sweeper.arrivals() == 0
        beat.clock.leap(leap_s)
        assert beat.sweeper.arrivals() == 0
        beat.clock.advance(1.0)
        assert beat.sweeper.arrivals() == 1

    @pytest.mark.parametrize("leap_s", LEAPS)
    def test_a_beat_that_starts_afterwards(self, leap_s: float) -> None:
        beat = Beat()
        beat.kind = SequenceKind.T1
        beat.arrive(2)
        beat.clock.leap(leap_s)
        beat.sweeper = beat.started()
        found = beat.sweeper.arrivals()
        beat.clock.advance(QUIET_S)
        assert found + beat.sweeper.arrivals() == 1

    @pytest.mark.parametrize("leap_s", LEAPS)
    def test_what_was_rung_is_rung_again(self, leap_s: float) -> None:
        beat = Beat()
        beat.arrive(1)
        beat.index.mark_ready(STUDY, now=beat.clock.now(), reason="x")
        assert beat.ringer.ring_due() == 1
        beat.clock.leap(leap_s)
        assert beat.ringer.ring_due() == 0
        beat.clock.advance(10.0)
        assert beat.ringer.ring_due() == 1

    @pytest.mark.parametrize("leap_s", LEAPS)
    def test_the_lease_of_a_dead_worker(self, leap_s: float) -> None:
        """At most twice as long as without the leap, whatever the leap."""
        beat = Beat()
        ringer = DueRinger(
            beat.index, beat.bell, beat.clock, first_pause_s=10.0, lease_s=30.0, broker_epoch=lambda: "one"
        )
        beat.arrive(1)
        beat.index.mark_ready(STUDY, now=beat.clock.now(), reason="x")
        assert beat.index.claim(STUDY, owner="dead", now=beat.clock.now(), lease_s=30.0) is not None
        beat.clock.leap(leap_s)
        looks = 0
        while not ringer.ring_due():
            beat.clock.advance(5.0)
            looks += 1
        assert looks * 5.0 <= 60.0
        assert beat.index.claim(STUDY, owner="next", now=beat.clock.now(), lease_s=30.0) is not None
