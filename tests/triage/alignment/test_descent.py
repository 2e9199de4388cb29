"""The first alignment of two whole heads, of which one may nod, lean or turn far."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from tests.builders import rigid
from triage.alignment.descent import coarse_rigid
from triage.alignment.images import isotropic_grid, matrix_of, resample, smooth_to, to_sitk
from triage.alignment.registration import rotation_deg
from triage.errors import NotAssessable
from triage.model import Affine, Volume

COARSE_MM = 8.0


def coarse(volume: Volume, moved: Affine) -> sitk.Image:
    """The volume under a header that is moved, at 8 mm."""
    image = to_sitk(Volume(volume.voxels, moved @ volume.affine))
    return resample(smooth_to(image, COARSE_MM), isotropic_grid(image, COARSE_MM))


@pytest.mark.parametrize(
    "degrees",
    [
        pytest.param((0, 0, 0), id="noop: not turned"),
        pytest.param((12, 0, 0), id="a little"),
        pytest.param((40, 0, 0), id="nods forward"),
        pytest.param((-40, 0, 0), id="nods backward"),
        pytest.param((0, 40, 0), id="leans to the left"),
        pytest.param((0, -40, 0), id="leans to the right"),
        pytest.param((0, 0, 40), id="turns to the left"),
        pytest.param((0, 0, -40), id="turns to the right"),
        pytest.param((-25, 15, 15), id="about three axes"),
    ],
)
def test_a_turned_head_is_found(degrees: tuple[float, float, float], head: Volume) -> None:
    moved = rigid(degrees)
    found = matrix_of(coarse_rigid(coarse(head, np.eye(4)), coarse(head, moved), turned=True))
    assert rotation_deg(np.linalg.inv(moved) @ found) < 8.0


@pytest.mark.parametrize("turned", [False, True])
def test_an_empty_image_is_refused(turned: bool, head: Volume) -> None:
    with pytest.raises(NotAssessable, match="registration_failed: an image is empty"):
        coarse_rigid(coarse(head, np.eye(4)), coarse(head, np.eye(4)) * 0, turned=turned)
