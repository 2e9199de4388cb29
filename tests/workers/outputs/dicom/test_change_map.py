"""The change map: what other libraries read back is the map of the evidence, voxel by voxel, in its place."""

from __future__ import annotations

import io
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import dcmread

from tests.workers.outputs.dicom.result_builders import a_decision, change
from tests.workers.outputs.sources_builders import ORIGIN_MM, SPACING_MM
from workers.outputs.dicom.change_map import NOT_MEASURED, PM
from workers.outputs.evidence.files import CHANGE_NOT_MEASURED


def read_back() -> tuple[Any, dict[tuple[float, ...], float]]:
    """The object, and its values by LPS mm, read with pydicom alone."""
    found = dcmread(io.BytesIO(PM.render(*a_decision())))
    shared, values = found.SharedFunctionalGroupsSequence[0], found.pixel_array
    row, column = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    down_mm, right_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    points = {}
    for frame, groups in zip(values, found.PerFrameFunctionalGroupsSequence, strict=True):
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        for r, c in np.ndindex(frame.shape):
            point = origin + row * c * right_mm + column * r * down_mm
            points[tuple(np.round(point, 3))] = float(frame[r, c])
    return found, points


def test_every_value_is_read_back_in_its_place() -> None:
    _, found = read_back()
    expected = change()
    assert len(found) == expected.size
    for index, value in np.ndenumerate(expected):
        point = tuple(np.round(np.array(index[::-1]) * SPACING_MM + np.array(ORIGIN_MM), 3))
        assert found[point] == value


def test_what_was_not_measured_is_marked() -> None:
    found, _ = read_back()
    assert found.FloatPixelPaddingValue == NOT_MEASURED == CHANGE_NOT_MEASURED == change().min()
    mapping = found.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "%"


def test_highdicom_reads_the_same_volume() -> None:
    volume = hd.imread(io.BytesIO(PM.render(*a_decision()))).get_volume(apply_real_world_transform=False)
    np.testing.assert_array_equal(np.sort(volume.array, axis=None), np.sort(change(), axis=None))


def test_without_a_comparison_there_is_no_map() -> None:
    assert not PM.applies(*a_decision(compared=False))
