"""What has arrived and when -> ready or not, and by which rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import NOON
from triage.model import SequenceKind
from workers.announcements import SeriesCount, StudyCount
from workers.arrival.completeness import Progress, SeriesFacts, decide, gap_free
from workers.settings import ArrivalSettings

SETTINGS = ArrivalSettings(quiet_period_s=30.0, flair_settle_s=1.0)


def a_series(uid: str = "flair", kind: SequenceKind | None = SequenceKind.FLAIR, **changes: Any) -> SeriesFacts:
    """A whole-brain FLAIR of 30 slices, its first image 10 s ago and its last 0.1 s ago."""
    values: dict[str, Any] = {
        "instances": 30,
        "first_received_at": NOON - timedelta(seconds=10),
        "last_received_at": NOON - timedelta(seconds=changes.get("silent_s", 0.1)),
        "quiet_s": changes.pop("silent_s", 0.1),
        "gap_free": True,
        "coverage_mm": 150.0,
    }
    return SeriesFacts(uid, kind, **{**values, **changes})


def t1(began_s_ago: float, instances: int = 5) -> SeriesFacts:
    began = NOON - timedelta(seconds=began_s_ago)
    return a_series("t1", SequenceKind.T1, first_received_at=began, silent_s=0.0, instances=instances)


@pytest.mark.parametrize(
    ("series", "rule"),
    [
        pytest.param([], "empty", id="noop: nothing stored"),
        pytest.param([a_series(expected=30)], "flair_count", id="announced number reached"),
        pytest.param([a_series(expected=31)], "waiting", id="one image short of the announced number"),
        pytest.param([a_series(expected=31, silent_s=20)], "waiting", id="short of the number, however long it pauses"),
        pytest.param([a_series(expected=31, silent_s=30)], "quiet_period", id="short of the number for good"),
        pytest.param([a_series(expected=20, silent_s=0.5)], "waiting", id="more than announced: not believed"),
        pytest.param([a_series(expected=20, silent_s=1)], "flair_settled", id="not believed, settled"),
        pytest.param([a_series()], "waiting", id="gap-free, still coming"),
        pytest.param([a_series(silent_s=1)], "flair_settled", id="gap-free and settled"),
        pytest.param([a_series(silent_s=1, gap_free=False)], "waiting", id="a slice is missing"),
        pytest.param([a_series(silent_s=1, gap_free=None)], "waiting", id="not measured: geometry unknown"),
        pytest.param([a_series(silent_s=1, coverage_mm=60.0)], "waiting", id="half a head"),
        pytest.param([a_series(silent_s=1, coverage_mm=None)], "waiting", id="not measured: coverage unknown"),
        pytest.param([a_series(silent_s=0.6), t1(0.3)], "flair_followed", id="the next series has begun"),
        pytest.param([a_series(silent_s=0.3), t1(0.2)], "waiting", id="next series begun, too soon to tell"),
        pytest.param([a_series(silent_s=0.2), t1(0.1, 10)], "flair_followed", id="a fast sender went on"),
        pytest.param([a_series(silent_s=0.05), t1(0.05, 10)], "waiting", id="went on, but a disk may pause so long"),
        pytest.param([a_series(silent_s=0.3, longest_pause_s=0.1), t1(0.2, 10)], "waiting", id="it paused before"),
        pytest.param([a_series(silent_s=0.5, longest_pause_s=9.0), t1(0.2, 10)], "flair_followed", id="a slow sender"),
        pytest.param([a_series(silent_s=0.2), t1(5.0, 10)], "waiting", id="fast, side by side with a T1"),
        pytest.param([a_series(silent_s=0.6), t1(5.0)], "waiting", id="side by side with a T1 is not followed by it"),
        pytest.param([a_series("t1", SequenceKind.T1, silent_s=29)], "waiting", id="no FLAIR yet"),
        pytest.param([a_series("t1", SequenceKind.T1, silent_s=30)], "quiet_period", id="no FLAIR at all"),
        pytest.param([a_series("sr", SequenceKind.NOT_IMAGE, silent_s=30)], "quiet_period", id="result objects only"),
        pytest.param([a_series(kind=None, silent_s=30)], "quiet_period", id="not measured: unreadable header"),
        pytest.param([a_series(silent_s=40), t1(40)], "flair_settled", id="T1 still coming: not quiet, FLAIR complete"),
        pytest.param(
            [a_series("f1", expected=31), a_series("f2", expected=30)], "flair_count", id="second of two FLAIR series"
        ),
    ],
)
def test_fresh_study(series: list[SeriesFacts], rule: str) -> None:
    verdict = decide(series, progress=Progress(), settings=SETTINGS)
    assert verdict.rule == rule
    assert verdict.ready is (rule not in ("waiting", "empty"))


@pytest.mark.parametrize(
    ("images", "closed", "rule"),
    [
        pytest.param({}, False, "flair_settled", id="noop: nothing announced"),
        pytest.param({"flair": 30}, True, "announced", id="all there"),
        pytest.param({"flair": 30, "t1": 5}, True, "flair_count", id="FLAIR is there, T1 is missing"),
        pytest.param({"flair": 31}, True, "waiting", id="one FLAIR image is missing, though gap-free and settled"),
        pytest.param({"flair": 31}, False, "flair_settled", id="the scanner is still at work: its numbers grow"),
    ],
)
def test_announced_study(images: dict[str, int], closed: bool, rule: str) -> None:
    counts = tuple(SeriesCount(uid, 30 if uid == "flair" else 0, number) for uid, number in images.items())
    verdict = decide(
        [a_series(silent_s=1)],
        progress=Progress(),
        settings=SETTINGS,
        announced=StudyCount(counts, closed=closed),
    )
    assert verdict.rule == rule


@pytest.mark.parametrize(
    ("progress", "rule"),
    [
        pytest.param(Progress({"flair": 30}, taken_up=True), "waiting", id="seen and taken up: the rest is waited for"),
        pytest.param(Progress({"flair": 30}, taken_up=False), "flair_count", id="seen, but no worker came: again"),
        pytest.param(Progress({"flair": 29}, taken_up=True), "flair_count", id="a late FLAIR image"),
        pytest.param(Progress({}, taken_up=True), "flair_count", id="not known what was seen: rather once too often"),
    ],
)
def test_reopened_study(progress: Progress, rule: str) -> None:
    series = [a_series(expected=30, silent_s=5), t1(4.0)]
    assert decide(series, progress=progress, settings=SETTINGS).rule == rule


@pytest.mark.parametrize(
    ("positions_mm", "even"),
    [
        pytest.param([0, 5, 10, 15], True, id="even"),
        pytest.param([15, 0, 10, 5], True, id="any order"),
        pytest.param([0, 5.01, 9.99, 15], True, id="rounded positions"),
        pytest.param([0, 5, 15, 20], False, id="one missing"),
        pytest.param([0, 0, 5, 5, 10, 10], True, id="two echoes at each place"),
        pytest.param([0, 5], None, id="two slices: not measured"),
        pytest.param([], None, id="none: not measured"),
        pytest.param([3, 3, 3], None, id="all at one place: not measured"),
    ],
)
def test_gap_free(positions_mm: list[float], even: bool | None) -> None:
    assert gap_free(positions_mm) is even


def in_turn(*pauses_s: float, silent_s: float, **changes: Any) -> list[SeriesFacts]:
    """A FLAIR and one more series after each pause; each takes 5 s. The last image came ``silent_s`` ago."""
    ends = [NOON - timedelta(seconds=silent_s)]
    for pause_s in reversed(pauses_s):
        ends.insert(0, ends[0] - timedelta(seconds=5 + pause_s))
    kinds = [changes.pop("kind", SequenceKind.FLAIR), *[SequenceKind.T1] * len(pauses_s)]
    return [
        a_series(
            f"s{n}", kind, silent_s=(NOON - end).total_seconds(), last_received_at=end,
            first_received_at=end - timedelta(seconds=5), **(changes if n == 0 else {}),
        )
        for n, (kind, end) in enumerate(zip(kinds, ends, strict=True))
    ]  # fmt: skip


def begun(images: int) -> SeriesFacts:
    at = {"first_received_at": NOON - timedelta(seconds=9), "last_received_at": NOON - timedelta(seconds=9)}
    return a_series("t1", SequenceKind.T1, instances=images, silent_s=9.0, coverage_mm=None, **at)


@pytest.mark.parametrize(
    ("series", "rule"),
    [
        pytest.param(in_turn(0.2, 0.5, silent_s=4.0), "settled", id="one right after another"),
        pytest.param(in_turn(0.2, 0.5, silent_s=3.9), "waiting", id="a moment too soon"),
        pytest.param(in_turn(0.2, 3.0, silent_s=11.0), "waiting", id="paused for 3 s before"),
        pytest.param(in_turn(0.2, 3.0, silent_s=12.0), "settled", id="four times as long as it paused"),
        pytest.param(
            in_turn(0.2, 200.0, silent_s=29.0), "waiting", id="as a scanner sends: not before the quiet period"
        ),
        pytest.param(in_turn(0.2, 200.0, silent_s=30.0), "quiet_period", id="noop: the quiet period"),
        pytest.param(in_turn(silent_s=29.0), "waiting", id="not measured: one series says nothing of pauses"),
        pytest.param(in_turn(0.2, silent_s=9.0, longest_pause_s=2.5), "waiting", id="paused within a series"),
        pytest.param(in_turn(0.2, silent_s=9.0, gap_free=False), "waiting", id="the FLAIR lacks slices"),
        pytest.param(in_turn(0.2, silent_s=9.0, coverage_mm=60.0), "waiting", id="half a head"),
        pytest.param(in_turn(0.2, silent_s=9.0, expected=31), "waiting", id="one image short of its number"),
        pytest.param(in_turn(0.2, silent_s=9.0, kind=SequenceKind.T2), "waiting", id="no FLAIR"),
        pytest.param([*in_turn(0.2, silent_s=9.0), begun(9)], "waiting", id="nine images of a T1"),
        pytest.param([*in_turn(0.2, silent_s=9.0), begun(10)], "settled", id="noop: ten of them"),
        pytest.param([*in_turn(0.2, silent_s=9.0), begun(1)], "settled", id="one object: it may hold all frames"),
    ],
)
def test_a_study_that_came_at_one_go(series: list[SeriesFacts], rule: str) -> None:
    seen = Progress({"s0": 30}, taken_up=True)
    assert decide(series, progress=seen, settings=SETTINGS).rule == rule


def test_what_is_announced_is_waited_for() -> None:
    counts = StudyCount((SeriesCount("s9", 0, 30),), closed=True)
    seen = Progress({"s0": 30}, taken_up=True)
    series = in_turn(0.2, silent_s=9.0)
    assert decide(series, progress=seen, settings=SETTINGS, announced=counts).rule == "waiting"
