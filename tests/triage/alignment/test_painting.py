"""The atlas painted in a scan's contrast, on a ball of tissue around a ventricle."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from triage.alignment.painting import ScanOnTemplate, fit_of, pair_in_one_contrast

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


def seen(scan: npt.NDArray[Any], planes: slice = slice(None)) -> ScanOnTemplate:
    """The scan when its field of view has these planes of the grid only."""
    shown = np.zeros(scan.shape, dtype=bool)
    shown[planes] = True
    return ScanOnTemplate(np.where(shown, scan, 0.0), HEAD, shown)


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
    assert fit_of(seen(scan), MEMBERS, None, grid()) > 0.85


@pytest.mark.parametrize(("csf", "outer"), [(0.25, 0.25), (1.6, 0.1)], ids=["dark fluid: as fluid", "bright: as bone"])
def test_what_lies_around_the_brain(csf: float, outer: float) -> None:
    flat, painted = (
        sitk.GetArrayFromImage(i) for i in pair_in_one_contrast(seen(a_scan(csf, 1.0, 1.2, 0.1)), MEMBERS, None, grid())
    )
    assert painted[0, 0, 0] == pytest.approx(outer, rel=0.2)
    assert flat[0, 0, 0] == pytest.approx(painted[0, 0, 0], rel=1e-5)


def still() -> sitk.Image:
    field = sitk.GetImageFromArray(np.zeros((SIZE, SIZE, SIZE, 3)), isVector=True)
    field.CopyInformation(grid())
    return field


@pytest.mark.parametrize("field", [None, still()], ids=["where it started", "deformed"])
@pytest.mark.parametrize(
    "planes",
    [
        pytest.param(slice(None), id="noop: the whole head"),
        pytest.param(slice(0, 26), id="cut above"),
        pytest.param(slice(14, None), id="cut below"),
        pytest.param(slice(12, 28), id="a slab"),
    ],
)
def test_what_is_out_of_view_moves_nothing_and_is_no_misfit(planes: slice, field: sitk.Image | None) -> None:
    scan = seen(a_scan(0.25, 1.0, 1.2, 0.1), planes)
    assert fit_of(scan, MEMBERS, field, grid()) > 0.85
    flat, painted = (sitk.GetArrayFromImage(i) for i in pair_in_one_contrast(scan, MEMBERS, field, grid()))
    np.testing.assert_allclose(flat[~scan.shown & HEAD], painted[~scan.shown & HEAD], atol=1e-4)


def test_a_scan_that_shows_nothing_of_the_head_fits_nowhere() -> None:
    assert fit_of(seen(a_scan(0.25, 1.0, 1.2, 0.1), slice(0, 0)), MEMBERS, None, grid()) == 0.0
