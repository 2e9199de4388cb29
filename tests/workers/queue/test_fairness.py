"""Studies that are not urgent, behind a flood of urgent ones: the longest waiting goes first now and then."""

from __future__ import annotations

import pytest

from tests.fake_index import InMemoryIndex
from tests.fakes import FakeBell, FakeClock, an_instance
from workers.queue.rings import LONG_WAIT_S, DueRinger
from workers.reading.volume import MIN_SLICES
from workers.studies.urgency import FEWEST_IMAGES

SWEEP_S = 5.0


class Flood:
    """A beat over studies that nobody takes. Urgent are those whose UID begins with 1.9."""

    def __init__(self, *studies: str) -> None:
        self.index, self.bell, self.clock = InMemoryIndex(), FakeBell(), FakeClock()
        self.ringer = DueRinger(
            self.index,
            self.bell,
            self.clock,
            first_pause_s=10.0,
            broker_epoch=lambda: "one",
            urgent=lambda row: row.study_instance_uid.startswith("1.9"),
        )
        for uid in studies:
            self.come(uid)

    def come(self, uid: str, images: int = FEWEST_IMAGES) -> None:
        rows = [an_instance(uid, n, received_at=self.clock.now()) for n in range(images)]
        self.index.record_instances(rows)
        self.index.mark_ready(uid, now=self.clock.now(), reason="test")

    def goes_on(self, seconds: float) -> list[str]:
        """Who went first meanwhile."""
        before = len(self.bell.waited)
        for _ in range(int(seconds / SWEEP_S)):
            self.ringer.ring_due()
            self.clock.advance(SWEEP_S)
        return self.bell.waited[before:]

    def takes(self, uid: str) -> None:
        assert self.index.claim(uid, owner="worker", now=self.clock.now(), lease_s=1e6) is not None


@pytest.mark.parametrize(
    ("studies", "first"),
    [
        pytest.param([], [], id="noop: nothing waits"),
        pytest.param(["1.9.1", "1.9.2"], [], id="urgent ones go first anyway"),
        pytest.param(["1.9.1", "1.1"], ["1.1"], id="one behind urgent ones"),
        pytest.param(["1.1", "1.2", "1.3"], ["1.1"], id="the longest waiting, one at a time"),
    ],
)
def test_who_goes_first(studies: list[str], first: list[str]) -> None:
    flood = Flood(*studies)
    assert flood.goes_on(LONG_WAIT_S) == []
    assert flood.goes_on(LONG_WAIT_S / 2) == first


def test_the_next_one_when_it_was_taken() -> None:
    flood = Flood("1.9.1", "1.1")
    flood.goes_on(SWEEP_S)
    flood.come("1.2")
    flood.goes_on(LONG_WAIT_S)
    assert flood.bell.waited == ["1.1"]
    flood.takes("1.1")
    assert flood.goes_on(LONG_WAIT_S + SWEEP_S) == ["1.2"]
    flood.takes("1.2")
    assert flood.goes_on(3 * LONG_WAIT_S) == [], "only urgent ones are left"


def test_a_study_that_exceeded_a_limit_never_goes_first() -> None:
    from workers.studies import quarantine

    flood = Flood("1.1")
    claim = flood.index.claim("1.1", owner="w", now=flood.clock.now(), lease_s=10)
    assert claim is not None
    now = flood.clock.now()
    flood.index.fail(claim, reason=quarantine.failure(1, "memory"), retry_at=now, now=now)
    assert flood.goes_on(3 * LONG_WAIT_S) == []


@pytest.mark.parametrize(
    ("uid", "objects", "frames", "small"),
    [
        pytest.param("1.1", 1, 1, True, id="one image"),
        pytest.param("1.1", 9, 1, True, id="nine images"),
        pytest.param("1.1", 10, 1, False, id="as many as may cover a brain"),
        pytest.param("1.1", 1, 150, False, id="one enhanced object"),
        pytest.param("1.9.1", 1, 1, False, id="an urgent one stays urgent"),
    ],
)
def test_a_study_in_which_nothing_can_be_measured_goes_behind_the_others(
    uid: str, objects: int, frames: int, small: bool
) -> None:
    flood = Flood()
    rows = [an_instance(uid, n, received_at=flood.clock.now(), frame_count=frames) for n in range(objects)]
    flood.index.record_instances(rows)
    flood.index.mark_ready(uid, now=flood.clock.now(), reason="test")
    flood.goes_on(SWEEP_S)
    assert flood.bell.rings == [uid]
    assert (flood.bell.small == [uid]) is small


def test_only_what_reading_refuses_goes_behind_the_others() -> None:
    assert FEWEST_IMAGES <= MIN_SLICES


def test_small_studies_have_a_turn_of_their_own() -> None:
    """A patient whose infusion nobody reported waits for none of them, and each of them is served in the end."""
    flood = Flood("1.9.1")
    for n in range(20):
        flood.come(f"1.0.{n:02}", images=1)
    flood.goes_on(LONG_WAIT_S)
    flood.come("1.1")
    assert flood.goes_on(LONG_WAIT_S + SWEEP_S) == ["1.0.00", "1.1", "1.0.00"], "nobody took the first one yet"
    for first in ("1.0.00", "1.1"):
        flood.takes(first)
    assert flood.goes_on(LONG_WAIT_S) == ["1.0.01"]
