"""Which infusion a study belongs to, and which new date corrects a known one."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from triage.infusions import CORRECTION_DAYS, Infusion, corrected, earlier_infusion, infusion_of

FIRST, SECOND = Infusion(date(2024, 3, 4)), Infusion(date(2024, 6, 3), "retreatment", "HL7")
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("study_date", "infusions", "expected"),
    [
        pytest.param(FIRST.day + 7 * DAY, (), None, id="none known"),
        pytest.param(FIRST.day + 7 * DAY, (FIRST,), FIRST, id="after the only one"),
        pytest.param(FIRST.day - 7 * DAY, (SECOND, FIRST), FIRST, id="before all"),
        pytest.param(FIRST.day, (FIRST, SECOND), FIRST, id="on the day"),
        pytest.param(SECOND.day - DAY, (FIRST, SECOND), FIRST, id="day before the second"),
        pytest.param(SECOND.day, (SECOND, FIRST), SECOND, id="day of the second"),
        pytest.param(None, (FIRST,), FIRST, id="undated study, one infusion"),
        pytest.param(None, (FIRST, SECOND), None, id="undated study, two infusions"),
    ],
)
def test_infusion_of(study_date: date | None, infusions: tuple[Infusion, ...], expected: Infusion | None) -> None:
    assert infusion_of(study_date, infusions) == expected


def test_the_earlier_infusion() -> None:
    assert earlier_infusion(SECOND, (SECOND, FIRST)) == FIRST
    assert earlier_infusion(FIRST, (SECOND, FIRST)) is None


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        pytest.param(FIRST.day + DAY, FIRST, id="a day later"),
        pytest.param(FIRST.day - CORRECTION_DAYS * DAY, FIRST, id="at the limit"),
        pytest.param(FIRST.day + (CORRECTION_DAYS + 1) * DAY, None, id="a further infusion"),
        pytest.param(SECOND.day + DAY, SECOND, id="of the second"),
    ],
)
def test_a_near_date_corrects(day: date, expected: Infusion | None) -> None:
    assert corrected(day, (FIRST, SECOND)) == expected
    assert corrected(day, ()) is None
