"""How much smaller the ventricle beside a lesion is, on a head made of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from triage.lesions.mass_effect import narrowing
from triage.model import Mask, Measurement

NAMES = {1: "white_matter_left", 2: "white_matter_right", 3: "lateral_ventricle_left", 4: "lateral_ventricle_right"}
LABELS = np.zeros((40, 40, 60), dtype=np.uint8)
LABELS[:, :, :30], LABELS[:, :, 30:] = 2, 1  # the patient's left lies at high i
LABELS[10:30, 10:30, 20:28], LABELS[10:30, 10:30, 32:40] = 4, 3
MM = 2.0


def box(*at: tuple[int, int]) -> Mask:
    out = np.zeros(LABELS.shape, dtype=bool)
    out[tuple(slice(*part) for part in at)] = True
    return out


def fluid(left: int, right: int) -> Mask:
    """Voxels of width of each ventricle."""
    return box((10, 30), (10, 30), (28 - right, 28)) | box((10, 30), (10, 30), (32, 32 + left))


LARGE_LEFT, LARGE_RIGHT = box((5, 20), (5, 20), (45, 58)), box((5, 20), (5, 20), (2, 15))
SMALL = box((5, 10), (5, 10), (45, 50))
NONE = np.zeros(LABELS.shape, dtype=bool)


def measured(lesions: Mask, space: Mask) -> Measurement:
    return narrowing(lesions, space, LABELS, NAMES, MM, (10.0, 4.0))


@pytest.mark.parametrize(
    ("lesions", "space", "right"),
    [
        pytest.param(NONE, fluid(8, 8), 0.0, id="no lesion"),
        pytest.param(SMALL, fluid(2, 8), 0.0, id="a small lesion does not press"),
        pytest.param(LARGE_LEFT, fluid(8, 8), 0.0, id="even ventricles"),
        pytest.param(LARGE_LEFT, fluid(2, 8), 75.0, id="pressed on its side"),
        pytest.param(LARGE_RIGHT, fluid(8, 2), 75.0, id="the same on the other side"),
        pytest.param(LARGE_RIGHT, fluid(2, 8), -300.0, id="wider on its side"),
        pytest.param(LARGE_LEFT, fluid(0, 8), 100.0, id="closed"),
    ],
)
def test_narrowing(lesions: Mask, space: Mask, right: float) -> None:
    assert measured(lesions, space).value == pytest.approx(right)


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(NONE, id="no fluid"),
        pytest.param(fluid(1, 0), id="too little"),
        pytest.param(fluid(8, 0), id="none on the other side"),
    ],
)
def test_ventricles_that_cannot_be_compared(space: Mask) -> None:
    found = measured(LARGE_LEFT, space)
    assert found.value is None
    assert found.reason is not None
    assert found.reason.startswith("small_ventricles")
