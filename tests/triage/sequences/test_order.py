"""The order of series around the agent, where times, dates or numbers lack."""

from __future__ import annotations

from datetime import date, time

import pytest

from tests.builders_dicom import a_header
from triage.model import SequenceKind, SeriesHeader
from triage.sequences.identify import AFTER_CONTRAST, identify_study

K = SequenceKind
DAY, NEXT = date(2024, 1, 1), date(2024, 1, 2)
EARLY, LATE, NIGHT, MORNING = time(10, 0), time(10, 30), time(23, 50), time(0, 10)


def t1(number: int | None, at: time | None, day: date | None = None, agent: str = "") -> SeriesHeader:
    return a_header(
        series_instance_uid=f"1.{number}{agent}", series_number=number, acquisition_time=at, acquisition_date=day,
        contrast_agent=agent, scanning_sequence=("SE",), repetition_time_ms=550.0, echo_time_ms=9.0,
    )  # fmt: skip


def t2(at: time | None) -> SeriesHeader:
    return a_header(series_number=1, acquisition_time=at, scanning_sequence=("SE",), repetition_time_ms=5000.0,
                    echo_time_ms=95.0)  # fmt: skip


@pytest.mark.parametrize(
    ("one", "agent", "kind"),
    [
        pytest.param(t1(3, EARLY, DAY), t1(9, LATE, DAY, "Gd"), K.T1, id="noop: before"),
        pytest.param(t1(10, LATE, DAY), t1(9, EARLY, DAY, "Gd"), K.T1_GD, id="noop: after"),
        pytest.param(t1(3, None), t1(9, LATE, DAY, "Gd"), K.T1, id="no time, the lower number"),
        pytest.param(t1(10, None), t1(9, LATE, DAY, "Gd"), K.T1_GD, id="no time, the higher number"),
        pytest.param(t1(10, LATE, DAY), t1(9, None, None, "Gd"), K.T1_GD, id="the agent has no time"),
        pytest.param(t1(None, None), t1(9, LATE, DAY, "Gd"), K.T1, id="not measured: neither time nor number"),
        pytest.param(t1(2, NIGHT, DAY), t1(9, MORNING, NEXT, "Gd"), K.T1, id="over midnight"),
    ],
)
def test_before_or_after_the_agent(one: SeriesHeader, agent: SeriesHeader, kind: SequenceKind) -> None:
    found = identify_study([t2(time(9, 0)), one, agent])
    assert [f.kind for f in found[1:]] == [kind, K.T1_GD]


def test_a_flair_without_a_time_is_not_after_a_later_number() -> None:
    flair = a_header(series_number=5, scanning_sequence=("SE", "IR"), repetition_time_ms=9000.0, echo_time_ms=119.0,
                     inversion_time_ms=2500.0)  # fmt: skip
    found, _ = identify_study([flair, t1(9, LATE, DAY, "Gd")])
    assert not any(reason.startswith(AFTER_CONTRAST) for reason in found.reasons)
