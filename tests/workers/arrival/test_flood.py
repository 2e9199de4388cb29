"""Very many studies at once -> no pass of the beat takes long, and all of them have their turn."""

from __future__ import annotations

from datetime import date

from tests.workers.arrival.beating import QUIET_S, Beat
from triage.infusions import Infusion
from triage.model import SequenceKind
from workers.budget import PASS_S
from workers.ports import PatientKey, StudyState


class TestFlood:
    """Each header takes a second, and a dozen studies wait."""

    FLOOD = tuple(f"1.1.{n:02d}" for n in range(12))

    def flooded(self, *, urgent_last: bool) -> Beat:
        beat = Beat()
        beat.header_s = 1.0
        for study in self.FLOOD:
            beat.arrive(30, study=study, images_in_acquisition=30)
        if urgent_last:
            beat.index.add_infusion(PatientKey("P9"), Infusion(date(2026, 3, 1)), now=beat.clock.now())
            beat.arrive(30, study="9.9", images_in_acquisition=30, patient_id="P9")
        return beat

    def test_a_pass_is_short(self) -> None:
        beat = self.flooded(urgent_last=False)
        began_s = beat.clock.elapsed_s()
        assert beat.sweeper.arrivals() == PASS_S
        assert beat.clock.elapsed_s() - began_s == PASS_S

    def test_a_pass_does_at_least_one_thing(self) -> None:
        beat = self.flooded(urgent_last=False)
        beat.header_s = 60.0
        assert beat.sweeper.arrivals() == 1

    def test_all_have_their_turn(self) -> None:
        beat = self.flooded(urgent_last=False)
        handed_over = [beat.sweeper.arrivals() for _ in range(6)]
        assert (sum(handed_over), set(handed_over)) == (12, {2})

    def test_the_last_to_come_is_the_first_when_it_is_urgent(self) -> None:
        beat = self.flooded(urgent_last=True)
        beat.sweeper.arrivals()
        assert beat.bell.urgent == ["9.9"]

    def test_urgent_ones_without_end_do_not_keep_the_others_waiting(self) -> None:
        beat = self.flooded(urgent_last=False)
        beat.index.add_infusion(PatientKey("P9"), Infusion(date(2026, 3, 1)), now=beat.clock.now())
        for number in range(16):
            for more in range(4):
                beat.arrive(30, study=f"9.{number}.{more}", images_in_acquisition=30, patient_id="P9")
            beat.sweeper.arrivals()
        assert {beat.state(study) for study in self.FLOOD} == {StudyState.READY}

    def test_an_image_that_comes_between_two_turns_starts_the_quiet_period_again(self) -> None:
        beat = self.flooded(urgent_last=False)
        beat.kind = SequenceKind.T1
        for _ in range(7):
            beat.sweeper.arrivals()
        beat.header_s = 0.0
        beat.arrive(1, study=self.FLOOD[-1], first=31)
        beat.clock.advance(QUIET_S - 1)
        beat.sweeper.arrivals()
        assert beat.state(self.FLOOD[-1]) is StudyState.RECEIVING
        beat.clock.advance(1)
        beat.sweeper.arrivals()
        assert beat.state(self.FLOOD[-1]) is StudyState.READY
