"""The picture of a fit: outlines where the regions end, in the colours of their groups, the head the right way up."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from triage.model import Volume
from workers.outputs.evidence.fit import fit_picture

NAMES = {1: "thalamus_left", 2: "pons", 3: "white_matter_left"}
YELLOW, CYAN, GREEN = (255, 210, 0), (0, 220, 220), (120, 255, 120)


def a_head(*, turned: bool = False) -> tuple[Volume, Volume]:
    """A box of white matter with a thalamus above a pons; turned: the same with slices that run the other way."""
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[4:36, 4:36, 4:36] = 3
    labels[24:32, 14:26, 22:30] = 1
    labels[6:16, 14:26, 14:26] = 2
    flair = np.where(labels > 0, 100, 5).astype(np.float32)
    affine = np.eye(4)
    if turned:
        labels, flair = labels[::-1], flair[::-1]
        affine[2, 2], affine[2, 3] = -1.0, 39.0
    return Volume(flair, affine), Volume(labels, affine)


def pixels_of(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)))


@pytest.mark.parametrize("turned", [False, True])
def test_outlines_and_the_way_up(turned: bool) -> None:
    pixels = pixels_of(fit_picture(*a_head(turned=turned), NAMES))
    assert pixels.shape == (160, 240, 3)
    coronal = pixels[:80, 80:160]  # first row: through the thalami
    rows = {colour: np.argwhere((coronal == colour).all(axis=2))[:, 0].mean() for colour in (YELLOW, CYAN)}
    assert rows[YELLOW] < rows[CYAN], "the thalami lie above the pons"
    columns = np.argwhere((coronal == YELLOW).all(axis=2))[:, 1]
    assert columns.mean() > 40, "the patient's left is on the right"
    assert (pixels == GREEN).all(axis=2).any()


def test_not_measured_without_regions_the_middle_is_shown() -> None:
    flair, labels = a_head()
    pixels = pixels_of(fit_picture(flair, Volume(np.zeros_like(labels.voxels), labels.affine), NAMES))
    assert not (pixels == GREEN).all(axis=2).any()
    assert (pixels[:, :, 0] > 200).any()
