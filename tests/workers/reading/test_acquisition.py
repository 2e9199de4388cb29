"""Two studies in, whether they hold the same images out: copies by other routes, and studies that only look alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import JPEG2000Lossless, RLELossless

from tests.builders_dicom import a_series, planes, write
from triage.model import SequenceKind, Study
from workers.reading.study import read_study

COUNT = 20
STAMPS = {
    "AcquisitionDate": "20240311", "AcquisitionTime": "151400.25", "Manufacturer": "SIEMENS", "DeviceSerialNumber": "7",
}  # fmt: skip


def described(paths: list[Path]) -> Study:
    return read_study(paths, kinds=frozenset(), compared=True).study


def copied(paths: list[Path], folder: Path, change: Callable[[int, Dataset], None], **how: Any) -> list[Path]:
    """The files in reverse order under other UIDs, as a second router writes them."""
    written = []
    for k, path in enumerate(paths):
        ds = dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.77", "1.2.77.1", f"1.2.77.1.{99 - k}"
        change(k, ds)
        written.append(write(ds, folder / f"copy{99 - k}", **how))
    return written


def no_change(_k: int, _ds: Dataset) -> None:
    """Only UIDs and file names differ."""


def other_dates(_k: int, ds: Dataset) -> None:
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240304"
    ds.StudyTime = ds.AcquisitionTime = "000001"


def signed(_k: int, ds: Dataset) -> None:
    ds.PixelRepresentation = 1


def big(_k: int, ds: Dataset) -> None:
    """Another size of the stored values: 32 bits."""
    ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype("<u4").tobytes()
    ds.BitsAllocated = ds.BitsStored = 32
    ds.HighBit = 31


def with_loss(_k: int, ds: Dataset) -> None:
    ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") // 8 * 8).astype("<u2").tobytes()


def smoothed_on_another_day(k: int, ds: Dataset) -> None:
    with_loss(k, ds)
    other_dates(k, ds)


def on_another_scanner(k: int, ds: Dataset) -> None:
    with_loss(k, ds)
    ds.DeviceSerialNumber = "8"


def brightened_on_another_day(k: int, ds: Dataset) -> None:
    """By a factor that is no whole number, and with an offset."""
    values = np.frombuffer(ds.PixelData, "<u2").astype(float)
    ds.PixelData = np.rint(values * 1.5 + 40).astype("<u2").tobytes()
    other_dates(k, ds)


def without_a_time(k: int, ds: Dataset) -> None:
    with_loss(k, ds)
    ds.AcquisitionTime = "000000"


def blank(_k: int, ds: Dataset) -> None:
    ds.PixelData = bytes(len(ds.PixelData))
    ds.AcquisitionTime = "000000"


CASES = [
    pytest.param(no_change, True, id="other UIDs and order"),
    pytest.param(other_dates, True, id="every date and time coerced"),
    pytest.param(signed, True, id="stated as signed"),
    pytest.param(big, True, id="32 bits"),
    pytest.param(with_loss, True, id="compressed with loss: its time and place are those of the original"),
    pytest.param(brightened_on_another_day, True, id="brighter, every date and time coerced"),
    pytest.param(smoothed_on_another_day, False, id="noop: other pixels, another time"),
    pytest.param(on_another_scanner, False, id="other pixels, another scanner"),
    pytest.param(without_a_time, False, id="not measured: other pixels, and no time is stated"),
    pytest.param(blank, False, id="not measured: empty planes equal any other"),
]


@pytest.mark.parametrize(("change", "same"), CASES)
def test_the_same_acquisition_under_other_uids(
    tmp_path: Path, change: Callable[[int, Dataset], None], *, same: bool
) -> None:
    original = a_series(tmp_path / "a", count=COUNT, **STAMPS)
    if change is blank:
        original = copied(original, tmp_path / "blank", blank)
    found = described(original).acquisition
    assert bool(found & described(copied(original, tmp_path / "b", change)).acquisition) is same


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless], ids=["JPEG 2000", "RLE"])
def test_no_transfer_syntax_hides_a_copy(tmp_path: Path, syntax: Any) -> None:
    original = a_series(tmp_path / "a", pixels=planes(COUNT, 64, 64))
    copies = copied(original, tmp_path / "b", other_dates)
    for path in copies:
        ds = dcmread(path)
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(path)
    assert described(original).acquisition & described(copies).acquisition


@pytest.mark.parametrize("lost", [(), (0,), (8, 11), (0, 1, 18, 19)])
def test_a_copy_that_lacks_slices(tmp_path: Path, lost: tuple[int, ...]) -> None:
    original = a_series(tmp_path / "a", count=COUNT)
    left = [path for k, path in enumerate(original) if k not in lost]
    assert described(original).acquisition & described(copied(left, tmp_path / "b", other_dates)).acquisition


def test_two_acquisitions_share_nothing(tmp_path: Path) -> None:
    """The same protocol, place and scanner, a minute later."""
    one = a_series(tmp_path / "a", count=COUNT, **STAMPS)
    later = a_series(
        tmp_path / "b", pixels=planes(COUNT, seed=2), **STAMPS | {"AcquisitionTime": "151500.25"}
    )  # fmt: skip
    assert not described(one).acquisition & described(later).acquisition


def test_planes_are_looked_at_only_when_studies_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads headers decodes no pixels."""
    original = a_series(tmp_path / "a", count=COUNT, **STAMPS)
    full = read_study(original, compared=True)
    assert full.study.acquisition == described(original).acquisition
    assert full.study.acquired == described(original).acquired is not None
    assert SequenceKind.FLAIR in full.used
    monkeypatch.setattr("workers.reading.acquisition.load_planes", lambda _wanted: pytest.fail("decoded"))
    assert read_study(original, kinds=frozenset()).study.acquisition == frozenset()
