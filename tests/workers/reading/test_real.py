"""Files of real scanners; read in place, see the shared data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    ExplicitVRBigEndian,
)

from tests.workers.reading.reading import (
    ADC,
    DWI,
    T1,
    as_image,
)
from triage.model import SequenceKind
from workers.reading.folder import read_folder
from workers.reading.pixels import load_planes, open_header
from workers.reading.study import read_study

SHARED = Path(os.environ.get("ICANSEE_SHARED", Path(__file__).parents[4] / "shared"))
REAL = SHARED / "data" / "dicom" if (SHARED / "data").is_dir() else SHARED / "dicom"


def real(name: str) -> Path:
    folder = REAL / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: set ICANSEE_SHARED")
    return folder


@pytest.mark.real
def test_real_siemens_xa30_enhanced() -> None:
    (paths,) = read_folder(real("siemens_xa30_enhanced")).values()
    images = read_study(paths)
    kinds = {s.header.series_description: s.identification.kind for s in images.study.series}
    assert kinds == {
        "DWI_dir80_PA_ADC": ADC,
        "DWI_dir80_PA_TRACEW": DWI,
        "DWI_dir80_PA_FA": SequenceKind.DERIVED,
        "DWI_dir80_PA_ColFA": SequenceKind.DERIVED,
        "anat-T1w_acq-tfl": T1,
        "PhoenixZIPReport": SequenceKind.NOT_IMAGE,
    }
    assert images.skipped == ()
    dwi = next(s.header for s in images.study.series if s.identification.kind is DWI)
    assert dwi.b_values == (2500.0,)
    assert images.volumes[ADC].spacing_mm == pytest.approx((3, 3, 3), abs=1e-3)
    white_and_grey = images.volumes[ADC].voxels
    assert 500 < np.median(white_and_grey[white_and_grey > 0]) < 1500


@pytest.mark.real
@pytest.mark.parametrize("number", ["5", "6", "11", "12"])
def test_real_enhanced_geometry_equals_simpleitk(number: str) -> None:
    (path,) = next(real("siemens_xa30_enhanced").glob(f"{number}_*")).iterdir()
    (volume,) = read_study([path]).volumes.values()
    ours, theirs = as_image(volume), sitk.ReadImage(str(path), sitk.sitkFloat32)
    size = theirs.GetSize()
    for index in [
        (0, 0, 0),
        (size[0] - 1, 0, 0),
        (size[0] // 2, size[1] // 2, size[2] // 2),
        (0, size[1] - 1, size[2] - 1),
    ]:
        at = ours.TransformPhysicalPointToContinuousIndex(theirs.TransformIndexToPhysicalPoint(index))
        assert at == pytest.approx([round(v) for v in at], abs=0.02)
        assert ours[tuple(round(v) for v in at)] == pytest.approx(theirs[index])


@pytest.mark.real
def test_real_transfer_syntaxes_decode_to_the_same_pixels() -> None:
    paths = sorted(real("transfer_syntaxes").glob("*.dcm"))
    opened = [open_header(path) for path in paths]
    decoded = [load_planes([(pixels, 0)]) for _, pixels in opened]
    assert len({str(ds.file_meta.TransferSyntaxUID) for ds, _ in opened}) == 7
    assert ExplicitVRBigEndian in {ds.file_meta.TransferSyntaxUID for ds, _ in opened}
    assert decoded[0].std() > 0
    for path, voxels in zip(paths, decoded, strict=True):
        np.testing.assert_array_equal(voxels, decoded[0], err_msg=path.name)


@pytest.mark.real
def test_real_mosaic_is_refused() -> None:
    (path,) = real("transfer_syntaxes").glob("1.dcm")
    (series,) = read_study([path]).study.series
    assert series.identification.kind is SequenceKind.UNKNOWN
    assert series.header.vendor["mosaic_images"] == "35"
