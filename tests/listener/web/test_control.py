"""The share of flagged studies by week, and its control limits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from listener.web.control import FEWEST, WeekOfFlags, weeks_of

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)


def week(number: int, flagged: int, studies: int) -> list[tuple[datetime, bool]]:
    return [(MONDAY + timedelta(weeks=number, hours=one), one < flagged) for one in range(studies)]


def test_noop_nothing_was_decided() -> None:
    assert weeks_of([], UTC) == []


def test_usual_weeks() -> None:
    found = weeks_of([*week(0, 2, 20), *week(1, 3, 20), *week(2, 1, 20)], UTC)
    assert [one.monday for one in found] == [date(2026, 3, 16), date(2026, 3, 9), date(2026, 3, 2)]
    assert [one.unusual for one in found] == [False] * 3
    assert (found[0].low, round(found[0].high or 0, 4)) == (0.0, 0.3012)  # 0.1 + 3 * sqrt(0.1 * 0.9 / 20)


def test_a_week_with_many_flags_is_unusual() -> None:
    found = weeks_of([one for number in range(8) for one in week(number, 2, 40)] + week(8, 20, 40), UTC)
    assert [one.unusual for one in found] == [True] + [False] * 8


def test_not_measured_a_week_with_few_studies_says_nothing() -> None:
    (few, _) = weeks_of([*week(0, 0, 40), *week(1, FEWEST - 1, FEWEST - 1)], UTC)
    assert few == WeekOfFlags(date(2026, 3, 9), FEWEST - 1, FEWEST - 1, None, None)
    assert not few.unusual


def test_a_week_begins_at_midnight_of_the_site() -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # a Sunday
    assert weeks_of([(late, True)], UTC)[0].monday == date(2026, 2, 23)
    assert weeks_of([(late, True)], timezone(timedelta(hours=1)))[0].monday == date(2026, 3, 2)


MOMENTS = st.integers(0, 40_000).map(lambda minutes: MONDAY + timedelta(minutes=7 * minutes))


@given(st.lists(st.tuples(MOMENTS, st.booleans())))
def test_nothing_is_lost_and_limits_hold_the_mean(decisions: list[tuple[datetime, bool]]) -> None:
    found = weeks_of(decisions, UTC)
    assert sum(one.studies for one in found) == len(decisions)
    assert sum(one.flagged for one in found) == sum(flagged for _, flagged in decisions)
    share = sum(flagged for _, flagged in decisions) / max(1, len(decisions))
    for one in found:
        assert one.monday.weekday() == 0
        assert one.low is None or one.high is None or 0 <= one.low <= share <= one.high <= 1
