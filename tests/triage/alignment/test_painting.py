"""The atlas painted in a scan's contrast, on a ball of tissue around a ventricle."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from triage.alignment.painting import fit_of, pair_in_one_contrast

SIZE, MM = 40, 4.0
AWAY = np.sqrt(((np.indices((SIZE,) * 3) - (SIZE - 1) / 2.0) ** 2).sum(axis=0)) * MM
MEMBERS: dict[str, npt.NDArray[np.float32]] = {
    "csf": ((AWAY < 16) | ((AWAY >= 56) & (AWAY < 60))).astype(np.float32),
    "white": ((AWAY >= 16) & (AWAY < 44)).astype(np.float32),
    "cortex": ((AWAY >= 44) & (AWAY < 56)).astype(np.float32),
}
HEAD = AWAY < 70  # the brain and a rim of bone


def a_scan(csf: float, white: float, cortex: float, bone: float) -> npt.NDArray[Any]:
    levels = {"csf": csf, "white": white, "cortex": cortex}
    painted = sum(levels[g] * m for g, m in MEMBERS.items()) + bone * (AWAY >= 60)
    return np.asarray(painted * np.random.default_rng(1).normal(1.0, 0.02, painted.shape))


def grid() -> sitk.Image:
    image = sitk.Image([SIZE] * 3, sitk.sitkUInt8)
    image.SetSpacing([MM] * 3)
    return image


@pytest.mark.parametrize(
    "scan",
    [
        pytest.param(a_scan(0.25, 1.0, 1.2, 0.1), id="noop: FLAIR, dark fluid"),
        pytest.param(a_scan(0.3, 1.0, 0.7, 0.1), id="noop: T1"),
        pytest.param(a_scan(2.5, 1.0, 1.3, 0.1), id="b = 0 or T2: bright fluid, dark bone"),
    ],
)
def test_a_well_placed_scan_fits_in_every_contrast(scan: npt.NDArray[Any]) -> None:
    assert fit_of(scan, HEAD, MEMBERS, None, grid()) > 0.85


@pytest.mark.parametrize(("csf", "outer"), [(0.25, 0.25), (1.6, 0.1)], ids=["dark fluid: as fluid", "bright: as bone"])
def test_what_lies_around_the_brain(csf: float, outer: float) -> None:
    flat, painted = (
        sitk.GetArrayFromImage(i) for i in pair_in_one_contrast(a_scan(csf, 1.0, 1.2, 0.1), HEAD, MEMBERS, None, grid())
    )
    assert painted[0, 0, 0] == pytest.approx(outer, rel=0.2)
    assert flat[0, 0, 0] == pytest.approx(painted[0, 0, 0], rel=1e-5)
