"""A follow-up that the bench made, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from triage.alignment.images import inverse, to_sitk
from triage.alignment.registration import points_of
from triage.model import Affine, Mask, StudyImages, Volume
from triage.preparation import PreparedBaseline

SMALLEST_LESION_ML = 0.08  # of a lesion that must be found; those of 0.1 mL keep at least this on another grid


@dataclass(frozen=True, eq=False)
class Made:
    """A follow-up with its truth.

    to_baseline: (4, 4) follow-up LPS mm -> baseline LPS mm, None when there is none (another head).
    """

    images: StudyImages
    to_baseline: Affine | None
    truth: Mapping[str, Any]
    changed: Changed | None = None


@dataclass(frozen=True, eq=False)
class Changed:
    """Where something was changed: a mask (k, j, i) on the grid of ``source``.

    to_source: (4, 4) follow-up LPS mm -> LPS mm of ``source``.
    found_in: name of the mask of the evidence that should show it.
    """

    mask: Mask
    source: Volume
    to_source: Affine
    found_in: str
    smallest_ml: float = SMALLEST_LESION_ML


def registration_error(found: Affine, true: Affine, before: PreparedBaseline) -> float:
    """Mean distance over the brain between where follow-up points are put and where they belong, mm."""
    seen = inverse(true) @ points_of(to_sitk(before.brain, sitk.sitkUInt8))
    return float(np.linalg.norm(((found - true) @ seen)[:3], axis=0).mean())
