"""Fluid for the size of the head: as much as there is, and not measured when the atlas cannot be trusted."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi

from tests.builders import labels_on, scanned
from triage.alignment.images import NEAREST, resample, to_sitk
from triage.anatomy import mask_of
from triage.fluid.atrophy import LATERAL, AtrophyLimits, fluid_shares
from triage.measurements import lookup
from triage.model import Atlas, Found, Volume

LIMITS = AtrophyLimits()
Anatomy = tuple[Volume, Volume]


@pytest.fixture(scope="module")
def anatomy(head: Volume, atlas: Atlas) -> Anatomy:
    """Labels and brain mask on the grid of the small head."""
    import SimpleITK as sitk

    brain = sitk.GetArrayFromImage(resample(to_sitk(atlas.brain_mask, sitk.sitkUInt8), to_sitk(head), how=NEAREST))
    return Volume(labels_on(head, atlas), head.affine), Volume(brain, head.affine)


def shares(found: Found) -> dict[str, float | None]:
    return {
        name: lookup(found.measurements, name, "fluid_share_percent").value for name in ("ventricles", "sulcal_csf")
    }


def measured(scan: Volume, anatomy: Anatomy, atlas: Atlas) -> dict[str, float | None]:
    return shares(fluid_shares(scan, *anatomy, atlas.label_names, LIMITS))


def with_ventricles_wider(head: Volume, anatomy: Anatomy, atlas: Atlas, mm: float) -> Volume:
    """Fluid as far as ``mm`` around the lateral ventricles."""
    lateral = mask_of(anatomy[0].voxels, atlas.label_names, LATERAL)
    fluid = float(np.median(head.voxels[lateral]))
    near = ndi.distance_transform_edt(~lateral) * head.spacing_mm[0] <= mm
    return Volume(np.where(near, fluid, head.voxels).astype(np.float32), head.affine)


def test_noop_a_healthy_head_is_within_the_usual(head: Volume, anatomy: Anatomy, atlas: Atlas) -> None:
    found = measured(scanned(head, seed=5, bias=0.1), anatomy, atlas)
    assert found["ventricles"] is not None
    assert found["sulcal_csf"] is not None
    assert 0.3 < found["ventricles"] < 2.5
    assert found["sulcal_csf"] < 8.0


def test_wide_ventricles_are_measured_as_wide_as_they_are(head: Volume, anatomy: Anatomy, atlas: Atlas) -> None:
    wide = with_ventricles_wider(head, anatomy, atlas, 5.0)
    lateral = mask_of(anatomy[0].voxels, atlas.label_names, LATERAL)
    near = ndi.distance_transform_edt(~lateral) * head.spacing_mm[0] <= 5.0
    truth = 100.0 * float((near & (anatomy[1].voxels > 0)).sum() / (anatomy[1].voxels > 0).sum())
    assert measured(wide, anatomy, atlas)["ventricles"] == pytest.approx(truth, rel=0.25)


def test_the_gain_of_the_scanner_does_not_matter(head: Volume, anatomy: Anatomy, atlas: Atlas) -> None:
    louder = Volume(head.voxels * np.float32(37.0), head.affine)
    assert measured(louder, anatomy, atlas) == pytest.approx(measured(head, anatomy, atlas))


def test_what_cannot_be_measured_says_why(head: Volume, anatomy: Anatomy, atlas: Atlas) -> None:
    labels, brain = anatomy
    cut = Volume(
        np.where(np.arange(head.voxels.shape[0])[:, None, None] > 45, 0, head.voxels).astype(np.float32), head.affine
    )
    shifted = (
        Volume(np.roll(labels.voxels, 30, axis=2), labels.affine),
        Volume(np.roll(brain.voxels, 30, axis=2), brain.affine),
    )
    for scan, where, code in (
        (cut, anatomy, "coverage"),
        (Volume(head.voxels + np.float32(1.0), head.affine), shifted, "atlas_misfit"),
        (head, (Volume(labels.voxels * 0, labels.affine), brain), "no_reference_tissue"),
    ):
        found = fluid_shares(scan, *where, atlas.label_names, LIMITS)
        assert all((m.reason or "").startswith(code) for m in found.measurements), (code, found.measurements)
