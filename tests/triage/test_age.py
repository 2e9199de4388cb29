"""Patients below two years: what the headers state about age, and what follows for a single scan."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.builders_dicom import a_series
from triage.age import too_young
from triage.lesions.burden import burden_unknown
from triage.model import Patient, Study, Volume
from triage.signal.change import MeasurementLimits
from triage.signal.single_scan import SingleScanLimits, measure_alone
from workers.reading.patient import age_in_years
from workers.reading.study import read_study

DAY = date(2026, 3, 1)


def study(born: date | None = None, *ages: float, day: date | None = DAY) -> Study:
    return Study("1.2", Patient("P", birth_date=born), day, None, stated_ages=ages)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        pytest.param(study(date(1990, 1, 1)), None, id="noop: an adult"),
        pytest.param(study(None, 30.0), None, id="noop: an adult by PatientAge"),
        pytest.param(study(), None, id="not stated"),
        pytest.param(study(date(2025, 1, 1)), "born 14 months before the study", id="by the birth date"),
        pytest.param(study(None, 1.0), "PatientAge 12 months", id="by PatientAge"),
        pytest.param(study(None, 0.0), "PatientAge 0 months", id="newborn"),
        pytest.param(study(DAY, 0.0), "PatientAge 0 months; born 0 months before the study", id="newborn by both"),
        pytest.param(study(date(1990, 1, 1), 0.0), None, id="zero for unknown: the birth date says adult"),
        pytest.param(study(None, 0.0, 40.0), None, id="zero for unknown: another object says adult"),
        pytest.param(study(date(2024, 3, 1)), None, id="two years"),
        pytest.param(study(date(2024, 3, 10)), "born 24 months before the study", id="a week less"),
        pytest.param(
            study(date(1990, 1, 1), 1.0),
            "ages that contradict each other: PatientAge 12 months; born 36 years before the study",
            id="the birth date says adult",
        ),
        pytest.param(
            study(date(2025, 3, 1), 40.0),
            "ages that contradict each other: PatientAge 40 years; born 12 months before the study",
            id="PatientAge says adult",
        ),
        pytest.param(
            study(None, 1.0, 40.0), "ages that contradict each other: PatientAge 12 months; PatientAge 40 years",
            id="two of PatientAge",
        ),
        pytest.param(study(date(2030, 1, 1)), None, id="born after the study: nothing is said"),
        pytest.param(study(date(2025, 1, 1), day=None), None, id="no study date"),
    ],
)  # fmt: skip
def test_who_is_too_young(one: Study, said: str | None) -> None:
    found = too_young(one, 2.0)
    whole = f"too_young: below 2 years intensities are not compared with those of adults ({said})"
    assert found == (None if said is None else whole)


@pytest.mark.parametrize(
    ("stated", "years"),
    [("018M", 1.5), ("045Y", 45.0), ("003W", 3 / 52.18), ("10D", 10 / 365.25), ("30", 30.0), ("000Y", 0.0),
     ("", None), ("old", None), ("45 Y", None), ("1234Y", None)],
)  # fmt: skip
def test_how_an_age_is_written(stated: str, years: float | None) -> None:
    assert age_in_years(stated) == (None if years is None else pytest.approx(years))


def test_the_ages_of_a_study_are_read(tmp_path: Path) -> None:
    paths = a_series(tmp_path, PatientAge="018M") + a_series(tmp_path, series=2, PatientAge="")
    assert read_study(paths, kinds=()).study.stated_ages == (1.5,)


def test_nothing_of_a_young_brain_is_compared() -> None:
    scan = Volume(np.ones((4, 4, 4), np.float32), np.eye(4))
    alone = measure_alone(scan, scan, {}, SingleScanLimits(), MeasurementLimits(), "too_young: below 2 years")
    assert {(one.value, one.reason) for one in alone.measurements} == {(None, "too_young: below 2 years")}
    assert {one.assessable for one in burden_unknown("too_young: below 2 years").measurements} == {False}
