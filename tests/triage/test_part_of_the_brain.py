"""A baseline or a follow-up that shows a part of the brain: what was not seen is not called unchanged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.builders import labels_on, prepared_from, scanned, small_head, some_images
from tests.triage.test_assessment import CONTEXT, SETTINGS
from triage.anatomy import WHITE, mask_of
from triage.assessment import first_look
from triage.libraries import ndi
from triage.model import Atlas, Mask, Presence, Volume
from triage.sequences.image import shown_part

LESIONS = 3
Part = Callable[[Volume, int], Volume]


def whole(scan: Volume, _top: int) -> Volume:
    return scan


def without_top(scan: Volume, top: int) -> Volume:
    return Volume(scan.voxels[:top].copy(), scan.affine)


def empty_top(scan: Volume, top: int) -> Volume:
    shown = np.arange(len(scan.voxels))[:, None, None] < top
    return Volume(np.where(shown, scan.voxels, 0).astype(np.float32), scan.affine)


def lesions_above(labels: Volume, names: dict[int, str], top: int) -> Mask:
    """Three balls in the white matter from the slice ``top`` on."""
    white = mask_of(labels.voxels, names, WHITE)
    deep = ndi.distance_transform_edt(white, sampling=labels.spacing_mm[::-1]) >= 4
    places = np.argwhere(deep & (np.arange(len(white))[:, None, None] >= top))
    centres = np.zeros(white.shape, dtype=bool)
    centres[tuple(places[np.linspace(0, len(places) - 1, LESIONS + 2).astype(int)[1:-1]].T)] = True
    return np.asarray(ndi.distance_transform_edt(~centres, sampling=labels.spacing_mm[::-1]) <= 7) & (labels.voxels > 0)


@pytest.mark.parametrize(
    ("baseline", "followup", "cut_mm", "expected"),
    [
        pytest.param(whole, whole, 40, Presence.PRESENT, id="noop: both are whole"),
        pytest.param(without_top, whole, 40, Presence.INDETERMINATE, id="the baseline ends below"),
        pytest.param(empty_top, whole, 40, Presence.INDETERMINATE, id="the baseline is empty above"),
        pytest.param(whole, without_top, 32, Presence.INDETERMINATE, id="the follow-up ends below"),
        pytest.param(whole, empty_top, 32, Presence.INDETERMINATE, id="the follow-up is empty above"),
        pytest.param(without_top, without_top, 40, Presence.INDETERMINATE, id="both end below"),
    ],
)
def test_lesions_where_one_scan_shows_nothing(
    atlas: Atlas, baseline: Part, followup: Part, cut_mm: float, expected: Presence
) -> None:
    head = small_head(atlas)
    labels = Volume(labels_on(head, atlas), head.affine)
    top = int(np.flatnonzero((labels.voxels > 0).any(axis=(1, 2)))[-1] + 1 - cut_mm / head.spacing_mm[2])
    before, now = scanned(head, seed=21), scanned(head, seed=22, gain=2.0)
    mask = lesions_above(labels, dict(atlas.label_names), top)
    now = Volume(np.where(mask, 1.5 * now.voxels, now.voxels).astype(np.float32), now.affine)
    prepared = prepared_from(shown_part(baseline(before, top)), atlas, whole=head)
    found = first_look(some_images(followup(now, top)), prepared, CONTEXT, atlas, SETTINGS).assessment
    b = next(one for one in found.findings if one.pattern == "B")
    assert b.presence is expected, b.explanation
    assert expected is Presence.PRESENT or "of the white matter" in b.explanation or "coverage" in b.explanation


@pytest.mark.parametrize("part", [without_top, empty_top])
def test_a_little_that_is_not_seen_leaves_the_rest_judged_and_is_said(atlas: Atlas, part: Part) -> None:
    head = small_head(atlas)
    top = int(np.flatnonzero((labels_on(head, atlas) > 0).any(axis=(1, 2)))[-1] + 1 - 20 / head.spacing_mm[2])
    prepared = prepared_from(scanned(head, seed=21), atlas)
    found = first_look(some_images(part(scanned(head, seed=22), top)), prepared, CONTEXT, atlas, SETTINGS).assessment
    assert next(one for one in found.findings if one.pattern == "B").presence is Presence.ABSENT
    assert any("of the white matter" in said for said in found.notices)
