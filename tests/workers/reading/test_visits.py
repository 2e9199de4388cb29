"""Two visits under one StudyInstanceUID: the study's own is read, or the study is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builders_dicom import a_series
from triage.errors import NotAssessable
from triage.model import SequenceKind
from workers.reading.study import read_study

NOW = {"StudyDate": "20240311", "AcquisitionDate": "20240311", "AcquisitionTime": "151400"}
BEFORE = {"StudyDate": "20240301", "AcquisitionDate": "20240301"}
UNDATED = {"StudyDate": "", "SeriesDate": "", "AcquisitionDate": ""}


def read(folder: Path, other: dict[str, Any], count: int = 12) -> Any:
    return read_study(a_series(folder, series=1, **NOW) + a_series(folder, series=2, count=count, **other))


@pytest.mark.parametrize("at", ["080000", "151400", "180000", ""])
def test_two_whole_visits_are_refused(tmp_path: Path, at: str) -> None:
    """Whichever was measured could be the baseline: a follow-up would look unchanged."""
    with pytest.raises(NotAssessable, match="2024-03-01 and 2024-03-11") as refused:
        read(tmp_path, BEFORE | {"AcquisitionTime": at})
    assert refused.value.code == "two_visits"


OF_ONE_VISIT = [
    pytest.param(NOW, id="noop"),
    pytest.param({**NOW, "AcquisitionDate": "20240312", "AcquisitionTime": "001000"}, id="after midnight"),
    pytest.param({**NOW, "AcquisitionDate": "20240312", "AcquisitionTime": "081000"}, id="repeated the next morning"),
    pytest.param({**NOW, "AcquisitionDate": "", "AcquisitionTime": ""}, id="dated by the study"),
    pytest.param({**UNDATED, "AcquisitionTime": ""}, id="not measured: no date at all"),
    pytest.param(
        {**NOW, "AcquisitionDate": "20240320", "ImageType": ["DERIVED", "SECONDARY", "MPR"]}, id="computed later"
    ),
]


@pytest.mark.parametrize("other", OF_ONE_VISIT)
def test_images_of_one_visit_stay_together(tmp_path: Path, other: dict[str, Any]) -> None:
    images = read(tmp_path, other)
    assert len(images.study.series) == 2
    assert images.set_aside == ()


def test_a_few_images_of_another_visit_are_set_aside_and_said(tmp_path: Path) -> None:
    images = read(tmp_path, BEFORE, count=2)
    assert len(images.study.series) == 1
    assert SequenceKind.FLAIR in images.volumes
    assert str(images.study.study_date) == "2024-03-11"
    assert images.set_aside == ("2 of 14 objects were acquired at another visit, of 2024-03-01; the rest is assessed",)
