"""Series of one session on their anchor: placed, or left out with a sentence, never an error of the whole study."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pytest
import scipy.ndimage as ndi
import SimpleITK as sitk

from tests.builders import rigid
from triage.alignment.agreement import peak
from triage.alignment.descent import descend
from triage.alignment.session import align
from triage.errors import NotAssessable
from triage.model import Patient, SequenceKind, Study, StudyImages, Volume

MM = 4.0
FLAIR, T1, DWI, ADC = (SequenceKind(kind) for kind in ("flair", "t1", "dwi", "adc"))


def head(shift_mm: float = 0.0, *, whose: int = 3) -> Volume:
    """A smooth blob with structure inside; ``shift_mm``: how far its header puts it to the patient's left."""
    rng = np.random.default_rng(whose)
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


def dark_for_bright(volume: Volume) -> Volume:
    """The same head in another contrast."""
    return Volume(np.where(volume.voxels > 0, 900 - volume.voxels, 0).astype(np.float32), volume.affine)


def turned(volume: Volume, degrees: float) -> Volume:
    """The same voxels under a header that is turned about the middle of the head."""
    middle = volume.affine @ (15.0, 15.0, 15.0, 1.0)
    return Volume(volume.voxels, rigid((degrees, 0.0, degrees), centre=tuple(middle[:3])) @ volume.affine)


def stretched(volume: Volume) -> Volume:
    return Volume(volume.voxels, volume.affine @ np.diag([1.0, 1.0, 1.4, 1.0]))


NOISE = Volume(np.random.default_rng(1).normal(100, 20, (30, 30, 30)).astype(np.float32), head().affine)
UNIFORM = Volume(np.full((30, 30, 30), 7, np.float32), head().affine)
NO_PLACE = "its structures do not lie on those of the other images"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        pytest.param(dark_for_bright(head()), None, id="noop: another contrast"),
        pytest.param(turned(head(), 5.0), None, id="noop: moved a little"),
        pytest.param(stretched(head()), NO_PLACE, id="a wrong slice distance"),
        pytest.param(NOISE, NO_PLACE, id="nothing of a head"),
        pytest.param(UNIFORM, "the images do not overlap", id="not measured: uniform"),
    ],
)
def test_what_does_not_lie_on_the_flair_is_left_out(other: Volume, said: str | None) -> None:
    images = StudyImages(Study("1.2", Patient("x"), date(2024, 3, 1), None, ()), {FLAIR: head(), T1: other}, {})
    session = align(images)
    assert (T1 in session.volumes) is (said is None), session.left_out
    assert len(session.left_out) == (said is not None)
    if said is not None:
        assert session.left_out[0].startswith(f"the t1 series is left out: {said}")


def test_diffusion_images_are_distorted_and_stay() -> None:
    images = StudyImages(
        Study("1.2", Patient("x"), date(2024, 3, 1), None, ()), {FLAIR: head(), DWI: head(whose=4)}, {}
    )
    assert DWI in align(images).volumes


def test_images_that_come_apart_are_named() -> None:
    fixed, moving = (sitk.GetImageFromArray(head().voxels) for _ in range(2))
    start = sitk.Euler3DTransform()
    start.SetTranslation([500.0, 0.0, 0.0])
    with pytest.raises(NotAssessable, match="registration_failed: the images do not overlap"):
        descend(fixed, moving, start, step_mm=1.0, mutual_information=True)


def test_the_peak_is_where_two_contrasts_of_one_head_lie_on_each_other() -> None:
    here, away = np.eye(4), rigid(shift_mm=(7.0, 7.0, 0.0))
    other = dark_for_bright(head())
    assert peak(head(), other, here) > 1.3
    assert peak(head(), other, away) < 1.1
    assert peak(head(), NOISE, here) < 1.2
    assert peak(Volume(np.zeros((9, 9, 9), np.float32), np.diag([4.0, 4.0, 4.0, 1.0])), other, here) == 0.0
