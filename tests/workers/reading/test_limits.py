"""Hostile files in, refusals by name out: the limit is found before memory is taken, and the rest is read."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.builders_dicom import a_series, an_object, planes, with_pixels, write
from tests.effort import within
from tests.workers.reading import hostile
from tests.workers.reading.reading import DWI, FLAIR, T1, only_refusal
from triage.errors import NotAssessable
from workers.reading import encoding, limits, volume
from workers.reading.study import read_header, read_study
from workers.reading.survey import survey

MOST_LINES = 20_000_000  # of Python; a million elements would be 33 millions


@pytest.mark.parametrize(
    ("spoil", "code", "text"),
    [
        pytest.param(lambda p: hostile.deflated(p, 900), "too_large", "a header holds more than 128 MiB", id="900 MiB"),
        *(
            pytest.param(
                lambda p, where=where: hostile.deflated(p, 130, where),
                "too_large",
                "a header holds more than 128 MiB",
                id=where,
            )
            for where in ("private block", "sequence", "overlay")
        ),
        pytest.param(
            lambda p: hostile.with_empty_frames(p, 400_000), "too_complex", "more than 20000 frames", id="frames"
        ),
        pytest.param(
            lambda p: hostile.with_empty_frames(p, 400_000, defined=False),
            "too_complex",
            "more than 20000 frames",
            id="frames, undefined length",
        ),
        pytest.param(
            lambda p: hostile.with_private_elements(p, 1_000_000),
            "too_complex",
            "more than 400000 elements",
            id="elements",
        ),
        pytest.param(lambda p: hostile.nested(p, 10_000), "too_complex", "more than 64 deep", id="nested"),
        pytest.param(
            lambda p: hostile.nested(p, 100_000), "too_complex", "more than 64 deep", id="nested still deeper"
        ),
    ],
)
def test_a_hostile_object_is_refused_by_name_and_costs_little(
    tmp_path: Path, spoil: Callable[[Path], Path], code: str, text: str
) -> None:
    paths = a_series(tmp_path)
    spoil(paths[3])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = within(MOST_LINES, lambda: read_study(paths))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10
    first = found.skipped[0]
    assert (first.code, text in first.message) == (code, True), first
    assert first.message.startswith("1 files: ")


def test_a_private_element_of_a_few_mib_is_read(tmp_path: Path) -> None:
    paths = a_series(tmp_path)
    hostile.deflated(paths[3], 5)
    assert FLAIR in read_study(paths).volumes


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
    ids=lambda uid: uid.name,
)
def test_the_survey_counts_what_pydicom_reads(tmp_path: Path, syntax: Any) -> None:
    item = Dataset()
    item.CodeValue = "1"
    inner = Dataset()
    inner.ConceptCodeSequence = [item, item]
    ds = an_object(AnatomicRegionSequence=[inner], PerFrameFunctionalGroupsSequence=[Dataset(), Dataset(), Dataset()])
    path = write(with_pixels(ds, planes(1)[0]), tmp_path / "a.dcm", syntax=syntax)
    with path.open("rb") as file:
        size = survey(file)
    elements = sum(1 for _ in ds.iterall()) - 1  # the pixels are not counted
    items = 3 + 1 + 2
    assert (size.elements, size.frames, size.depth) == (elements + items, 3, 2)


def test_headers_of_a_study_share_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = a_series(tmp_path)
    monkeypatch.setattr(limits, "STUDY_ELEMENTS", 200)
    found = read_study(paths)
    assert found.skipped[0].code == "too_complex"
    assert "the headers of the study hold more than 200 elements" in found.skipped[0].message


def test_decoded_bytes_of_a_study_share_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLAIR is read, T1 beyond the budget is refused before it is decoded."""
    flair = a_series(tmp_path / "flair", pixels=planes(12, 64, 64))
    physics = {"ScanningSequence": "SE", "RepetitionTime": 550, "EchoTime": 12, "InversionTime": None}
    t1 = a_series(
        tmp_path / "t1",
        pixels=planes(12, 64, 64),
        SeriesInstanceUID="1.2.3.77",
        SeriesDescription="Ax T1 SE",
        **physics,
    )
    monkeypatch.setattr(limits, "STUDY_DECODED_BYTES", 12 * 64 * 64 * 4)
    found = read_study([*flair, *t1])
    assert set(found.volumes) == {FLAIR}
    assert T1 not in found.volumes
    assert [(one.code, one.series_instance_uid) for one in found.skipped] == [("too_large", "1.2.3.77")]


def test_reading_has_a_deadline_of_processor_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = a_series(tmp_path)
    monkeypatch.setattr(limits, "STUDY_CPU_S", -1.0)
    with pytest.raises(NotAssessable) as refused:
        read_study(paths)
    assert refused.value.code == "too_slow"


def test_without_memory_an_object_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise MemoryError

    path = a_series(tmp_path)[0]
    monkeypatch.setattr(encoding, "read_partial", full)
    with pytest.raises(NotAssessable) as refused:
        read_header(path)
    assert refused.value.code == "too_large"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"RescaleSlope": "1e38", "RescaleIntercept": "0"}, id="slope 1e38"),
        pytest.param({"RescaleSlope": "-1e38", "RescaleIntercept": "0"}, id="slope -1e38"),
        pytest.param({"RescaleSlope": "1e300", "RescaleIntercept": "0"}, id="slope beyond float32"),
        pytest.param({"RescaleSlope": "1", "RescaleIntercept": "1e38"}, id="intercept 1e38"),
        pytest.param({"RescaleSlope": "1e-38", "RescaleIntercept": "0"}, id="slope 1e-38"),
        pytest.param(
            {"RescaleSlope": "1e38", "RescaleIntercept": "-1e38", "PixelPaddingValue": 0}, id="slope and padding"
        ),
    ],
)
def test_absurd_values_are_refused_when_the_volume_is_built(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert only_refusal(read_study(a_series(tmp_path, **changes)))[0] == "absurd_values"


def test_usual_rescaling_is_as_before(tmp_path: Path) -> None:
    stored = planes(12)
    found = read_study(a_series(tmp_path, pixels=stored, RescaleSlope="2.5", RescaleIntercept="-7"))
    expected = np.sort((stored.astype(np.float32) * np.float32(2.5) + np.float32(-7)).ravel())
    assert np.array_equal(np.sort(found.volumes[FLAIR].voxels.ravel()), expected)


def test_diffusion_directions_are_held_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    real = volume.load

    def load(stack: Any) -> Any:
        held.append(len(stack.frames))
        return real(stack)

    monkeypatch.setattr(volume, "load", load)
    gradients = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
    paths = []
    for n, gradient in enumerate(gradients):
        paths += a_series(
            tmp_path / str(n),
            pixels=planes(12, seed=n),
            ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION"],
            ScanningSequence="EP",
            SeriesDescription="ep2d_diff",
            InversionTime=None,
            DiffusionBValue=1000.0,
            DiffusionGradientOrientation=list(gradient),
        )
    monkeypatch.setattr(limits, "STUDY_DECODED_BYTES", 3 * 12 * 16 * 20 * 4 - 1)
    refused = read_study(paths)
    assert (DWI in refused.volumes, held) == (False, [])
    monkeypatch.setattr(limits, "STUDY_DECODED_BYTES", 3 * 12 * 16 * 20 * 4)
    assert DWI in read_study(paths).volumes
    assert held[:3] == [12, 12, 12]
