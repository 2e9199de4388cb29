"""Two contrasts under one series UID are refused; what varies within one acquisition is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from tests.builders_dicom import a_series
from tests.workers.reading.reading import FLAIR
from workers.reading.contrasts import mixed_contrasts
from workers.reading.study import read_study

T2_PHYSICS = {"ScanningSequence": "SE", "RepetitionTime": 5500, "EchoTime": 95, "InversionTime": None}


def header(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("headers", "mixed"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param([header()] * 2, False, id="not stated"),
        pytest.param([header(RepetitionTime=9000, InversionTime=2500)] * 2, False, id="noop: one contrast"),
        pytest.param([header(RepetitionTime=9000), header(RepetitionTime=9900)], False, id="triggered"),
        pytest.param([header(RepetitionTime=9000), header(RepetitionTime=5500)], True, id="two repetition times"),
        pytest.param([header(InversionTime=2500), header()], True, id="some are inverted"),
        pytest.param([header(InversionTime=0), header()], False, id="no inversion, said in two ways"),
        pytest.param([header(InversionTime=700), header(InversionTime=2500)], False, id="two inversions"),
        pytest.param([header(RepetitionTime=0), header(RepetitionTime=9000)], False, id="a repetition time of zero"),
    ],
)
def test_what_counts_as_two_contrasts(headers: list[Dataset], mixed: bool) -> None:
    assert (mixed_contrasts(headers) is not None) is mixed


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_t2_under_the_uid_of_the_flair_is_not_measured_as_flair(tmp_path: Path, names: tuple[str, str]) -> None:
    paths = a_series(tmp_path / names[0])
    paths += a_series(tmp_path / names[1], **T2_PHYSICS)
    images = read_study(sorted(paths))
    assert FLAIR not in images.volumes
    assert [one.code for one in images.skipped] == ["mixed_contrasts"]
