"""Series of one session on their anchor: placed, or left out with a sentence, never an error of the whole study."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pytest
import scipy.ndimage as ndi
import SimpleITK as sitk

from triage.alignment.registration import descend
from triage.alignment.session import align
from triage.errors import NotAssessable
from triage.model import Patient, SequenceKind, Study, StudyImages, Volume

MM = 4.0
FLAIR, T1, DWI, ADC = (SequenceKind(kind) for kind in ("flair", "t1", "dwi", "adc"))


def head(shift_mm: float = 0.0) -> Volume:
    """A smooth blob with structure inside; ``shift_mm``: how far its header puts it to the patient's left."""
    rng = np.random.default_rng(3)
    inside = np.linalg.norm(np.indices((30, 30, 30)) - 14.5, axis=0) < 11
    voxels = np.where(inside, 100 + 400 * ndi.gaussian_filter(rng.normal(size=inside.shape), 2), 0).astype(np.float32)
    affine = np.diag([MM, MM, MM, 1.0])
    affine[0, 3] = shift_mm
    return Volume(voxels, affine)


def session_of(**shifts: float) -> StudyImages:
    volumes = {SequenceKind(kind): head(shift) for kind, shift in shifts.items()}
    return StudyImages(Study("1.2", Patient("x"), date(2024, 3, 1), None, ()), volumes, {})


FAR = 400.0


@pytest.mark.parametrize(
    ("shifts", "placed", "left_out"),
    [
        pytest.param({"flair": 0.0}, {FLAIR}, (), id="alone"),
        pytest.param({"flair": 0.0, "t1": 0.0}, {FLAIR, T1}, (), id="together"),
        pytest.param({"flair": 0.0, "t1": FAR}, {FLAIR}, ("t1",), id="T1 elsewhere"),
        pytest.param({"t1": FAR, "flair": 0.0}, {FLAIR}, ("t1",), id="T1 elsewhere, first"),
        pytest.param({"flair": 0.0, "dwi": FAR, "adc": FAR}, {FLAIR}, ("dwi", "adc"), id="diffusion elsewhere"),
        pytest.param({"flair": 0.0, "dwi": 0.0, "adc": FAR}, {FLAIR, DWI, ADC}, (), id="the ADC map lies like the DWI"),
    ],
)
def test_a_series_that_does_not_overlap_is_left_out(
    shifts: Mapping[str, float], placed: set[SequenceKind], left_out: tuple[str, ...]
) -> None:
    session = align(session_of(**shifts))
    assert (set(session.volumes), set(session.to_anchor)) == (placed, placed)
    assert len(session.left_out) == len(left_out)
    for kind in left_out:
        assert any(f"the {kind} series is left out: the images do not overlap" in said for said in session.left_out)


def test_a_small_movement_is_found() -> None:
    session = align(session_of(flair=0.0, t1=6.0))
    centre = np.array([58.0, 58.0, 58.0, 1.0])
    moved = session.to_anchor[T1] @ (centre + np.array([6.0, 0, 0, 0]))
    assert np.abs(moved - centre).max() < 1.0


def test_images_that_come_apart_are_named() -> None:
    fixed, moving = (sitk.GetImageFromArray(head().voxels) for _ in range(2))
    start = sitk.Euler3DTransform()
    start.SetTranslation([500.0, 0.0, 0.0])
    with pytest.raises(NotAssessable, match="registration_failed: the images do not overlap"):
        descend(fixed, moving, start, step_mm=1.0, mutual_information=True)
