"""Which infusion a study belongs to, and which new date corrects a known one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from triage.infusions import (
    CORRECTION_DAYS,
    Infusion,
    StatedInfusion,
    corrected,
    earlier_infusion,
    infusion_of,
    standing,
)

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
    assert corrected(Infusion(day), (FIRST, SECOND)) == expected
    assert corrected(Infusion(day), ()) is None


BRIDGING = Infusion(FIRST.day - 14 * DAY, "Bridging therapy")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(FIRST, None, id="the cells after bridging"),
        pytest.param(Infusion(BRIDGING.day + DAY, "bridging"), BRIDGING, id="bridging is moved"),
        pytest.param(Infusion(BRIDGING.day), BRIDGING, id="of one day: the kind is corrected"),
    ],
)
def test_bridging_is_given_days_before_the_cells(said: Infusion, expected: Infusion | None) -> None:
    assert corrected(said, (BRIDGING,)) == expected


def stated(day: int, said: int | None, withdrawn: int | None = None, first: int | None = None) -> StatedInfusion:
    """said, withdrawn, first: hours after midnight; None: not recorded, not withdrawn, never before."""
    hour = [None if at is None else datetime(2024, 1, 1, at, tzinfo=UTC) for at in (said, withdrawn, first)]
    return StatedInfusion(Infusion(date(2024, 3, 1) + day * DAY), *hour)


@pytest.mark.parametrize(
    ("statements", "days"),
    [
        pytest.param([], [], id="noop: nothing was said"),
        pytest.param([stated(0, 1)], [0], id="one"),
        pytest.param([stated(0, 1), stated(90, 2)], [0, 90], id="two infusions"),
        pytest.param([stated(0, 1), stated(10, 2)], [10], id="corrected"),
        pytest.param([stated(0, 2), stated(10, 1)], [0], id="the last word counts, not the later day"),
        pytest.param([stated(0, 1), stated(20, 2), stated(40, 3)], [40], id="moved twice"),
        pytest.param([stated(0, 1, 2)], [], id="withdrawn"),
        pytest.param([stated(0, 3, 2)], [0], id="said again"),
        pytest.param([stated(0, 1), stated(0, None, 2)], [], id="withdrawn under another ID"),
        pytest.param([stated(0, 3), stated(0, None, 2)], [0], id="said again under this ID"),
        pytest.param([stated(0, 1), stated(10, 2, 3)], [0], id="a second one by mistake, withdrawn"),
        pytest.param(
            [stated(0, 1, 2), stated(10, 2, 3)], [], id="moved (the old day is withdrawn), and then withdrawn"
        ),
        pytest.param([stated(0, 1), stated(10, 2), stated(10, None, 3)], [0], id="the same, under another ID"),
        pytest.param([stated(0, 1), stated(10, 4, 3)], [10], id="withdrawn, and said again: it corrects"),
        pytest.param([stated(0, 1), stated(20, 2, 4), stated(40, 3)], [0, 40], id="what a mistake corrected stays"),
        pytest.param([stated(0, None), stated(10, None, 1)], [0], id="not measured, and one of them is withdrawn"),
        pytest.param([stated(0, 1), stated(10, None, 2)], [0], id="another day is withdrawn"),
        pytest.param([stated(0, None), stated(10, None)], [0, 10], id="not measured: nobody knows which came first"),
        pytest.param([stated(0, None), stated(10, 1)], [10], id="an old statement is corrected"),
        pytest.param(
            [stated(0, 1), stated(30, 4, first=2), stated(20, 3)],
            [0, 30],
            id="a corrected day is said again: as before",
        ),
        pytest.param([stated(0, 3, first=1), stated(10, 2)], [0], id="the first word again"),
        pytest.param([stated(0, 1), stated(10, 4, 3, first=2)], [10], id="said twice, withdrawn between"),
        pytest.param(
            [stated(0, 3, 4, first=1), stated(10, 2)], [10], id="said twice and withdrawn: the other one is left"
        ),
    ],
)
def test_what_holds_of_all_that_was_said(statements: list[StatedInfusion], days: list[int]) -> None:
    found = [(one.day - date(2024, 3, 1)).days for one in standing(statements)]
    assert found == days
    assert standing(reversed(statements)) == standing(statements)
