"""write_volume: any volume, any oblique LPS affine, comes back voxel for voxel; headers are valid and recognised."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from simulation.dicom import PatientIdentity, StudyIdentity, to_stored, uid, write_volume
from triage.model import SequenceKind, Volume

PATIENT = PatientIdentity("SIM-TEST", "Simulated^Test")
STARTED = datetime(2024, 3, 1, 10, 0)  # noqa: DTZ001 - local, as DICOM
STUDY = StudyIdentity(uid("test", "study"), uid("test", "frame"), STARTED)


def a_volume(*, flipped: bool = False, whole: bool = False) -> Volume:
    rng = np.random.default_rng(3)
    voxels = rng.uniform(20, 900, (12, 20, 24)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (11, -7, 5), degrees=True).as_matrix() * (0.9, 0.8, 4.4)
    if flipped:
        affine[:3, 2] *= -1
    affine[:3, 3] = (-80.5, -101.25, 33.0)
    return Volume(np.rint(voxels) if whole else voxels, affine)


def read(files: list[Path]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(f) for f in files])
    return reader.Execute()


@pytest.mark.parametrize("whole", [True, False])
def test_round_trip_through_simpleitk(tmp_path: Path, whole: bool) -> None:
    volume = a_volume(whole=whole)
    image = read(write_volume(volume, tmp_path, kind=SequenceKind.FLAIR, patient=PATIENT, study=STUDY))
    back = sitk.GetArrayFromImage(image)
    if whole:
        assert np.array_equal(back, volume.voxels)
    assert float(np.abs(back / volume.voxels - 1).max()) < 1e-3
    for index in ((0, 0, 0), (23, 0, 0), (0, 19, 6), (23, 19, 6)):
        expected = volume.affine @ (*index, 1)
        assert image.TransformIndexToPhysicalPoint(index) == pytest.approx(expected[:3], abs=1e-3)


def test_left_handed_stacks_keep_every_voxel_in_its_place(tmp_path: Path) -> None:
    from workers.reading.study import read_study

    volume = a_volume(flipped=True, whole=True)
    files = write_volume(volume, tmp_path, kind=SequenceKind.FLAIR, patient=PATIENT, study=STUDY, vendor="ge")
    found = read_study(files).volumes[SequenceKind.FLAIR]
    inverse = np.linalg.inv(found.affine)
    for k, j, i in ((0, 0, 0), (11, 3, 20), (2, 19, 5)):
        there = np.rint(inverse @ volume.affine @ (i, j, k, 1)).astype(int)
        assert found.voxels[there[2], there[1], there[0]] == volume.voxels[k, j, i]


@pytest.mark.parametrize("vendor", ["siemens", "ge", "philips"])
@pytest.mark.parametrize("kind", ["flair", "t1", "t2", "t1_gd", "dwi", "adc"])
def test_kind_is_recognised_and_header_valid(tmp_path: Path, vendor: str, kind: str) -> None:
    from workers.reading.study import read_study

    volume = a_volume(whole=True)
    files = write_volume(volume, tmp_path, kind=SequenceKind(kind), patient=PATIENT, study=STUDY, vendor=vendor)
    assert [s.identification.kind for s in read_study(files).study.series] == [SequenceKind(kind)]
    said = subprocess.run(["dciodvfy", "-new", str(files[0])], capture_output=True, text=True, check=False)
    assert "Error -" not in said.stdout + said.stderr


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([0.0, 0.5, 3.25], id="small reals"),
        pytest.param([-0.3, 1.0, 4.8], id="negative"),
        pytest.param([0.0, 70000.0, 12.0], id="beyond 16 bits"),
        pytest.param([0.0, 0.0, 0.0], id="constant"),
    ],
)
def test_scaling_uses_all_16_bits(values: list[float]) -> None:
    voxels = np.array(values).reshape(1, 1, 3)
    stored, slope, intercept = to_stored(voxels)
    back = stored * (slope or 1.0) + intercept
    assert float(np.abs(back - voxels).max()) <= np.ptp(voxels) / 131070 * 1.01


def test_sheared_affines_are_refused(tmp_path: Path) -> None:
    volume = a_volume()
    affine = volume.affine.copy()
    affine[:3, 0] += 0.1 * affine[:3, 1]
    with pytest.raises(ValueError, match="orthogonal"):
        write_volume(Volume(volume.voxels, affine), tmp_path, kind=SequenceKind.FLAIR, patient=PATIENT, study=STUDY)
