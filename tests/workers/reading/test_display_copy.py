"""Copies that were made for a screen: 256 grey levels, cut off at the top by the window. None is a measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders_dicom import STUDY_UID, T1_PHYSICS, a_series
from tests.workers.reading.heads import head_of_grey_levels as head
from tests.workers.reading.reading import FLAIR, T1, only_refusal
from triage.sequences.image import CUT_SHARE, cut_share
from workers.reading.study import read_study

EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
T1_ONLY = {**T1_PHYSICS, "InversionTime": None}


def window(share: float) -> Any:
    """What 8 bits show of the head when that share of it is brighter than the window."""
    voxels = head()
    top = np.quantile(voxels[voxels > 0], 1.0 - share)
    return np.clip(np.rint(voxels / top * 255.0), 0, 255).astype(np.uint8)


def saturated(share: float) -> Any:
    voxels = head()
    return np.minimum(voxels, np.quantile(voxels[voxels > 0], 1.0 - share)).astype(np.uint16)


@pytest.mark.parametrize(
    ("pixels", "elements", "said"),
    [
        pytest.param(window(0.02), EIGHT, "a copy for display: 8 bits", id="8 bits, cut off a little"),
        pytest.param(window(0.1), EIGHT, "a copy for display: 8 bits", id="8 bits, cut off a lot"),
        pytest.param(window(0.02).astype(np.uint16), {"BitsStored": 8, "HighBit": 7}, "8 bits", id="in 16 bits"),
        pytest.param(saturated(0.05), {}, "brighter than the scanner can store", id="tissue cut off, 16 bits"),
    ],
)
def test_what_was_cut_off_is_refused_by_name(tmp_path: Path, pixels: Any, elements: dict[str, Any], said: str) -> None:
    code, message = only_refusal(read_study(a_series(tmp_path, pixels=pixels, **elements)))
    assert code == "display_copy"
    assert said in message


@pytest.mark.parametrize(
    ("pixels", "elements", "said"),
    [
        pytest.param(head().astype(np.uint16), {}, "", id="no-op: as a scanner stores it"),
        pytest.param(
            head(255.0).astype(np.uint8), EIGHT, "flair: its images have 8 bits", id="8 bits, nothing cut off"
        ),
        pytest.param(saturated(0.005), {}, "have exactly the highest value", id="a little fat cut off, 16 bits"),
        pytest.param(np.full((24, 16, 16), 7, np.uint16), {}, "", id="one value only: nothing is said"),
    ],
)
def test_what_is_measured_is_said(tmp_path: Path, pixels: Any, elements: dict[str, Any], said: str) -> None:
    images = read_study(a_series(tmp_path, pixels=pixels, **elements))
    assert FLAIR in images.volumes
    assert said in "; ".join(images.notices)
    assert len(images.notices) == bool(said)


def test_a_t1_cut_off_at_the_top_is_measured(tmp_path: Path) -> None:
    """Fat of T1 is brighter than some scanners store: 13 % of a real head."""
    images = read_study(a_series(tmp_path, pixels=saturated(0.13), **T1_ONLY))
    assert T1 in images.volumes


@pytest.mark.parametrize("numbers", [(3, 4), (4, 3)], ids=["the copy is later", "the copy is earlier"])
@pytest.mark.parametrize("copy", [window(0.02), head(255.0).astype(np.uint8)], ids=["cut off", "whole"])
def test_the_copy_never_takes_the_place_of_the_images(tmp_path: Path, copy: Any, numbers: tuple[int, int]) -> None:
    own, other = numbers
    paths = a_series(tmp_path / "copy", series=other, pixels=copy, **EIGHT)
    paths += a_series(tmp_path / "own", series=own, pixels=head().astype(np.uint16))
    images = read_study(paths)
    assert images.used == {FLAIR: f"{STUDY_UID}.{own}"}
    assert images.notices == ()


@pytest.mark.parametrize(
    ("voxels", "cut"),
    [
        pytest.param(head(), False, id="no-op: a head"),
        pytest.param(np.zeros((4, 4, 4)), False, id="nothing shown"),
        pytest.param(np.full((4, 4, 4), np.nan), False, id="nothing finite"),
        pytest.param(head() > 0, False, id="a mask has no grey levels"),
        pytest.param(saturated(0.05), True, id="cut off"),
    ],
)
def test_the_share_that_was_cut_off(voxels: Any, *, cut: bool) -> None:
    assert (cut_share(voxels.astype(np.float32)) > CUT_SHARE) is cut


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        pytest.param({}, "", id="noop: nothing is stated"),
        pytest.param({"LossyImageCompression": "00"}, "", id="noop: without loss"),
        pytest.param({"LossyImageCompression": "01"}, "flair: its images were compressed with loss", id="with loss"),
    ],
)
def test_what_was_compressed_with_loss_says_so(tmp_path: Path, elements: dict[str, Any], said: str) -> None:
    pixels = head().astype(np.uint16)
    images = read_study(a_series(tmp_path / "a", series=4, pixels=pixels, **elements))
    assert "; ".join(images.notices) == said
    whole = a_series(tmp_path / "b", series=2, pixels=pixels)
    both = read_study(a_series(tmp_path / "c", series=4, pixels=pixels, **elements) + whole)
    assert both.used == {FLAIR: f"{STUDY_UID}.{2 if said else 4}"}
