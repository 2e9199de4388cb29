"""What is wrong with a volume as an image of a head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.builders import an_ellipsoid, some_images
from triage.model import SequenceKind, Volume
from triage.sequences.image import doubts_about, empty_between, image_faults, shown_images
from triage.sequences.quality import quality_of, shortcomings

SPACING = np.diag([8.0, 8.0, 6.0, 1.0])


def scan() -> Any:
    """24 slices of 6 mm: a bright head in noise."""
    noise = np.random.default_rng(1).rayleigh(10, (24, 24, 24)).astype(np.float32)
    noise[3:22, 6:18, 6:18] += np.random.default_rng(2).normal(300, 40, (19, 12, 12)).astype(np.float32)
    return np.round(noise)


def blank(slices: slice) -> Callable[[Any], Any]:
    def change(voxels: Any) -> Any:
        voxels[slices] = 0
        return voxels

    return change


def drawn(voxels: Any) -> Any:
    voxels[5:20, 6, 6:18] = 4095
    return voxels


def one_bright_vessel(voxels: Any) -> Any:
    voxels[10, 10:12, 10:12] = 4095
    return voxels


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda v: v, [], id="noop: a scan"),
        pytest.param(blank(slice(0, 3)), [], id="noop: air below the head set to zero"),
        pytest.param(one_bright_vessel, [], id="noop: one bright vessel"),
        pytest.param(lambda v: np.where(v > 1e9, v, np.nan), ["all slices are empty"], id="not measured: no values"),
        pytest.param(blank(slice(0, None)), ["all slices are empty"], id="empty"),
        pytest.param(blank(slice(10, 13)), ["3 of 24 slices are empty between others"], id="blank slices"),
        pytest.param(blank(slice(9, None)), ["only 9 of 24 slices show something: 54 mm"], id="a part of the head"),
        pytest.param(lambda v: (v > 100).astype(np.float32), ["a mask"], id="a mask"),
        pytest.param(drawn, ["something is drawn into the images"], id="an outline drawn into it"),
    ],
)
def test_what_is_wrong(change: Callable[[Any], Any], said: list[str]) -> None:
    found = image_faults(Volume(change(scan()), SPACING))
    if said == ["a mask"]:
        assert any("has only 2 values" in one for one in found)
    else:
        assert list(found) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda v: v, None, id="noop: a scan"),
        pytest.param(blank(slice(0, 3)), None, id="noop: air below the head"),
        pytest.param(blank(slice(0, None)), None, id="not measured: everything is empty"),
        pytest.param(blank(slice(10, 13)), "3 of 24 slices are empty between others", id="three slices"),
    ],
)
def test_slices_that_may_hide_something(change: Callable[[Any], Any], said: str | None) -> None:
    assert empty_between(Volume(change(scan()), SPACING)) == said


@pytest.mark.parametrize(
    ("empty", "first", "left"),
    [
        pytest.param(slice(0, 0), 0, 24, id="noop: a scan"),
        pytest.param(slice(10, 13), 0, 24, id="noop: between others"),
        pytest.param(slice(0, None), 0, 24, id="noop: everything is empty"),
        pytest.param(slice(0, 4), 4, 20, id="at the bottom"),
        pytest.param(slice(19, None), 0, 19, id="at the top"),
    ],
)
def test_empty_slices_at_the_ends_are_left_out(empty: slice, first: int, left: int) -> None:
    whole = Volume(blank(empty)(scan()), SPACING)
    found = shown_images(replace(some_images(whole), dwi_b0=None)).volumes[SequenceKind.FLAIR]
    assert (found is whole) is (left == 24)
    assert np.array_equal(found.voxels, whole.voxels[first : first + left])
    assert found.affine[:3, 3] == pytest.approx((whole.affine @ [0, 0, first, 1])[:3])


def test_the_image_without_weighting_stays_on_the_grid_of_the_dwi() -> None:
    dwi, b0 = Volume(blank(slice(20, None))(scan()), SPACING), Volume(scan(), SPACING)
    found = shown_images(replace(some_images(None), volumes={SequenceKind.DWI: dwi}, dwi_b0=b0))
    assert found.dwi_b0 is not None
    assert found.dwi_b0.voxels.shape == found.volumes[SequenceKind.DWI].voxels.shape == (20, *b0.voxels.shape[1:])


@pytest.mark.parametrize(
    ("change", "alone", "doubt", "says"),
    [
        pytest.param({}, False, 0, "", id="noop"),
        pytest.param({"noise": 60.0}, False, 1, "the noise is", id="noise"),
        pytest.param({"noise": 60.0}, True, 0, "", id="noise in the only one"),
        pytest.param({"darker": 0.4}, False, 1, "brighter or darker than its neighbours", id="one dark slice"),
        pytest.param({"shift": 16}, False, 1, "the head moved by", id="motion between slices"),
        pytest.param({"ghost": 35.0}, False, 1, "ghosts of", id="ghosts"),
    ],
)
def test_poor_images_give_way_to_others(change: dict[str, Any], alone: bool, doubt: int, says: str) -> None:
    found, why = doubts_about(an_ellipsoid(**change), alone=alone)
    assert found == doubt, why
    assert says in " ".join(why)


def head_in_much_air() -> Any:
    k, j, i = np.indices((25, 100, 84))
    inside = ((k - 12) / 14) ** 2 + ((j - 50) / 26) ** 2 + ((i - 42) / 20) ** 2 < 1
    noise = np.random.default_rng(1).rayleigh(3.0, inside.shape)
    return (np.where(inside, 200.0, 0.0) + noise).astype(np.float32)


def half_a_field_away(share: float, axis: int) -> Callable[[Any], Any]:
    """The ghost of an echo planar image (N/2), or of motion in every other line."""
    return lambda voxels: voxels + share * np.roll(voxels, voxels.shape[axis] // 2, axis)


def every_other_slice_moved(by: int) -> Callable[[Any], Any]:
    def change(voxels: Any) -> Any:
        voxels[::2] = np.roll(voxels[::2], by, 2)
        return voxels

    return change


def one_slice_moved(by: int) -> Callable[[Any], Any]:
    def change(voxels: Any) -> Any:
        voxels[12] = np.roll(voxels[12], by, 1)
        return voxels

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda v: v, "", id="noop"),
        pytest.param(lambda v: v * 0, "", id="not measured: nothing is shown"),
        pytest.param(half_a_field_away(0.04, 1), "", id="noop: a faint ghost"),
        pytest.param(half_a_field_away(0.2, 1), "ghosts of", id="a ghost along the columns"),
        pytest.param(half_a_field_away(0.2, 2), "ghosts of", id="a ghost along the rows"),
        pytest.param(every_other_slice_moved(4), "every other slice is moved by", id="motion between two halves"),
        pytest.param(one_slice_moved(8), "the head moved by", id="one slice jumped"),
    ],
)
def test_made_faults_are_named(change: Callable[[Any], Any], says: str) -> None:
    said = " ".join(shortcomings(quality_of(Volume(change(head_in_much_air()), np.diag([2.5, 2.5, 5.0, 1.0])))))
    assert says in said if says else said == ""


def test_the_figures_of_a_head() -> None:
    found = quality_of(an_ellipsoid(noise=10.0))
    assert (found.slices, found.empty_slices, found.coverage_mm) == (25, 0, 125.0)
    assert found.noise_percent == pytest.approx(5.0, abs=1.0)
    assert found.slice_jump_percent == pytest.approx(0.0, abs=1.0)
    assert found.slice_shift_mm == pytest.approx(0.0, abs=1.0)
    assert found.ghost_percent == pytest.approx(0.0, abs=1.0)


def test_what_shows_nothing_has_no_figures() -> None:
    found = quality_of(Volume(np.zeros((12, 30, 30), np.float32), np.eye(4)))
    assert (found.coverage_mm, found.noise_percent, found.slice_jump_percent, found.ghost_percent) == (0.0, *[None] * 3)
    assert shortcomings(found) == ()
