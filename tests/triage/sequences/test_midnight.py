"""The order of series in a study that goes on after midnight."""

from __future__ import annotations

from datetime import date, time

import pytest

from triage.model import SequenceKind as K
from triage.model import SeriesHeader
from triage.sequences.identify import identify_study

EVENING, NEXT_DAY = date(2024, 3, 11), date(2024, 3, 12)


def t1(number: int, at: time, day: date | None, agent: str = "") -> SeriesHeader:
    return SeriesHeader(
        f"1.{number}",
        modality="MR",
        series_number=number,
        scanning_sequence=("SE",),
        repetition_time_ms=550,
        echo_time_ms=12,
        contrast_agent=agent,
        acquisition_time=at,
        acquisition_date=day,
    )


@pytest.mark.parametrize(
    ("headers", "kinds"),
    [
        pytest.param(
            [t1(1, time(23, 45), EVENING), t1(2, time(0, 2), NEXT_DAY, "Gd"), t1(3, time(0, 10), NEXT_DAY)],
            [K.T1, K.T1_GD, K.T1_GD],
            id="across midnight",
        ),
        pytest.param(
            [t1(1, time(22, 45), EVENING), t1(2, time(22, 50), EVENING, "Gd"), t1(3, time(22, 55), EVENING)],
            [K.T1, K.T1_GD, K.T1_GD],
            id="noop: one evening",
        ),
        pytest.param(
            [t1(1, time(10, 30), EVENING), t1(2, time(10, 0), None, "Gd")],
            [K.T1_GD, K.T1_GD],
            id="a date is missing: the time alone counts",
        ),
    ],
)
def test_a_study_across_midnight(headers: list[SeriesHeader], kinds: list[K]) -> None:
    assert [found.kind for found in identify_study(headers)] == kinds
