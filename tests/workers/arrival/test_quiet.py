"""Looks at what arrives, with clocks that are set and hosts whose clocks are apart -> since when nothing came."""

from __future__ import annotations

import pytest

from workers.arrival.quiet import QuietTimes


class Looks:
    """One study, ``one``, whose mark is its number of images."""

    def __init__(self) -> None:
        self.quiet, self.elapsed_s = QuietTimes(), 100.0

    def look(self, after_s: float, images: int, stated_s: float, *, study: str = "one") -> float:
        self.elapsed_s += after_s
        self.quiet.look(self.elapsed_s, only={"one", study})
        quiet_s = self.quiet.quiet_s(study, "", images, stated_s=stated_s)
        self.quiet.looked(study)
        return quiet_s


@pytest.mark.parametrize(
    ("stated_s", "quiet_s"),
    [
        pytest.param(0.0, 0.0, id="noop: just now"),
        pytest.param(12.0, 12.0, id="it came before this process began"),
        pytest.param(-3600.0, 0.0, id="the clock was set back by an hour"),
    ],
)
def test_the_first_look_believes_the_clock(stated_s: float, quiet_s: float) -> None:
    assert Looks().look(0.5, 1, stated_s) == quiet_s


@pytest.mark.parametrize("leap_s", [0.0, -3600.0, 3600.0, 86400.0])
def test_later_only_own_seconds_count(leap_s: float) -> None:
    one = Looks()
    one.look(0.5, 1, 0.0)
    for number in range(1, 5):
        assert one.look(0.5, 1, 0.5 * number + leap_s) == 0.5 * number
    assert one.look(0.5, 2, leap_s) == min(max(leap_s, 0.0), 0.5), "an image came since the last look"


@pytest.mark.parametrize("apart_s", [-60.0, 60.0])
def test_a_host_whose_clock_is_apart_by_a_minute(apart_s: float) -> None:
    one = Looks()
    one.look(0.5, 1, 0.0)
    assert one.look(0.5, 1, apart_s, study="of the other host") == min(max(apart_s, 0.0), 0.5)
    assert one.look(2.0, 1, apart_s + 2.0, study="of the other host") == min(max(apart_s, 0.0), 0.5) + 2.0


@pytest.mark.parametrize(("stated_s", "quiet_s"), [(3.0, 3.0), (60.0, 40.0), (-60.0, 0.0)])
def test_a_study_whose_turn_came_late_is_believed_as_far_as_it_was_not_looked_at(
    stated_s: float, quiet_s: float
) -> None:
    one = Looks()
    one.look(0.5, 1, 0.0)
    for _ in range(4):
        one.look(10.0, 1, 0.0, study="another, in each pass")
    assert one.look(0.0, 2, stated_s) == quiet_s


def test_what_is_gone_is_forgotten() -> None:
    one = Looks()
    one.look(0.5, 1, 0.0, study="gone")
    one.look(50.0, 1, 0.0)
    assert one.look(0.5, 1, 0.2, study="gone") == pytest.approx(0.2)
