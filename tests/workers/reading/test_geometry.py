"""Slices into a volume: points as SimpleITK has them, and every geometry that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.builders_dicom import (
    STUDY_UID,
    a_series,
    planes,
    with_pixels,
)
from tests.workers.reading.reading import (
    FLAIR,
    OBLIQUE,
    as_image,
    by_itk,
    only_refusal,
)
from workers.reading.study import read_study

GEOMETRIES = [
    pytest.param({}, id="axial"),
    pytest.param({"orientation": OBLIQUE, "spacing_mm": 4.4, "PixelSpacing": [0.8, 0.6]}, id="oblique-anisotropic"),
    pytest.param({"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), "spacing_mm": 1.2}, id="sagittal"),
    pytest.param({"orientation": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0), "spacing_mm": 3.0}, id="coronal"),
    pytest.param({"SpacingBetweenSlices": 9.0, "SliceThickness": 2.0}, id="lying-spacing-tags"),
    pytest.param({"RescaleSlope": 2.5, "RescaleIntercept": -7.0}, id="rescaled"),
]


@pytest.mark.parametrize("elements", GEOMETRIES)
def test_same_points_and_values_as_simpleitk(tmp_path: Path, elements: dict[str, Any]) -> None:
    paths = a_series(tmp_path, pixels=planes(14), **elements)
    volume = read_study(paths[::-1]).volumes[FLAIR]
    ours, theirs = as_image(volume), by_itk(paths)
    for index in [(0, 0, 0), (19, 0, 0), (0, 15, 0), (3, 4, 13)]:
        point = theirs.TransformIndexToPhysicalPoint(index)
        at = ours.TransformPhysicalPointToContinuousIndex(point)
        assert at == pytest.approx([round(v) for v in at], abs=1e-3)
        assert ours[tuple(round(v) for v in at)] == pytest.approx(theirs[index], rel=1e-5)


def test_affine_maps_voxel_indices_to_image_positions(tmp_path: Path) -> None:
    voxels = planes(12)
    paths = a_series(tmp_path, pixels=voxels, orientation=OBLIQUE, spacing_mm=4.0)
    volume = read_study(paths).volumes[FLAIR]
    assert volume.voxels.shape == (12, 16, 20)
    assert volume.voxels.dtype == np.float32
    for k, path in enumerate(paths):
        assert volume.affine @ [0, 0, k, 1] == pytest.approx(
            [*map(float, dcmread(path).ImagePositionPatient), 1], abs=1e-4
        )
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert np.linalg.det(volume.affine[:3, :3]) > 0


def spoil(k: int, **changes: Any) -> Any:
    def change(index: int, ds: Dataset) -> None:
        if index == k:
            for keyword, value in changes.items():
                setattr(ds, keyword, value)

    return change


def shear(k: int, ds: Dataset) -> None:
    x, y, z = ds.ImagePositionPatient
    ds.ImagePositionPatient = [x, y + 1.0 * k, z]


def jitter(limit_mm: float) -> Any:
    def change(k: int, ds: Dataset) -> None:
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, z + limit_mm * (-1) ** k]

    return change


def small_matrix(k: int, ds: Dataset) -> None:
    if k == 5:
        with_pixels(ds, planes(1, 8, 8)[0])


REFUSALS = [
    pytest.param(
        {"only": [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]},
        "missing_slices",
        "1 gaps of up to 10.0 mm between slices 5.0 mm apart",
        id="missing-slice",
    ),
    pytest.param(
        {"pixels": planes(13), "change": spoil(12, ImagePositionPatient=[-10.0, -8.0, -10.0])},
        "duplicate_slices",
        "1 slice positions",
        id="duplicate-position",
    ),
    pytest.param(
        {"change": spoil(3, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])},
        "mixed_orientation",
        "direction cosines",
        id="mixed-orientation",
    ),
    pytest.param({"change": small_matrix}, "mixed_geometry", "16x20", id="mixed-matrix"),
    pytest.param(
        {"change": spoil(3, PixelSpacing=[0.9, 0.9])}, "mixed_geometry", "between 0.9 and 1 mm", id="mixed-spacing"
    ),
    pytest.param({"change": shear}, "sheared_stack", "drift sideways by 11.0 mm", id="sheared"),
    pytest.param(
        {"change": spoil(6, ImagePositionPatient=[-10.0, -8.0, 0.8])},
        "uneven_spacing",
        "off an even spacing",
        id="uneven",
    ),
    pytest.param({"count": 9}, "too_few_slices", "9 slices; at least 10", id="too-few"),
    pytest.param(
        {"ImagePositionPatient": None, "change": lambda k, ds: ds.pop("ImagePositionPatient", None)},
        "no_geometry",
        "12 of 12",
        id="no-position",
    ),
    pytest.param({"change": spoil(0, PixelSpacing=[0.0, 1.0])}, "no_geometry", "not positive", id="zero-spacing"),
    pytest.param(
        {"change": lambda k, ds: setattr(ds, "ImageOrientationPatient", [1, 0, 0, 0.5, 1, 0])},
        "no_geometry",
        "perpendicular",
        id="skewed-cosines",
    ),
    pytest.param({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "mosaic", "tiled", id="mosaic"),
    pytest.param(
        {"change": lambda k, ds: k == 4 and ds.__delattr__("PixelData")}, "undecodable", "no pixel data", id="no-pixels"
    ),
    pytest.param(
        {"change": lambda k, ds: k == 4 and setattr(ds, "PixelData", ds.PixelData[:100])},
        "undecodable",
        "100 of its 640 bytes",
        id="short-pixels",
    ),
]


@pytest.mark.parametrize(("spoiled", "code", "words"), REFUSALS)
def test_refused_geometry(tmp_path: Path, spoiled: dict[str, Any], code: str, words: str) -> None:
    found, message = only_refusal(read_study(a_series(tmp_path, **spoiled)))
    assert found == code
    assert words in message


def test_small_jitter_is_accepted(tmp_path: Path) -> None:
    volume = read_study(a_series(tmp_path, change=jitter(0.2))).volumes[FLAIR]
    assert volume.spacing_mm[2] == pytest.approx(5.0, abs=0.05)


def test_a_refused_series_leaves_the_next_best_one(tmp_path: Path) -> None:
    bad = a_series(tmp_path, series=2, only=[k for k in range(40) if k != 7], pixels=planes(40), spacing_mm=3.0)
    good = a_series(tmp_path, series=1, pixels=planes(24))
    images = read_study(bad + good)
    assert images.used == {FLAIR: f"{STUDY_UID}.1"}
    assert [(s.series_instance_uid, s.code) for s in images.skipped] == [(f"{STUDY_UID}.2", "missing_slices")]
