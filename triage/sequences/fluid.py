"""A series that its header leaves open between T2 and FLAIR, and its volume in; which of them it is out.

Without an inversion time and a name nothing in a header tells them apart. The image does: fluid is the darkest of a
FLAIR and the brightest of a T2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from triage.model import Identification, SequenceKind, Series, Volume, Voxels
from triage.sequences import words
from triage.sequences.facts import flair_contradiction, is_inversion_recovery
from triage.sequences.rules import T2_BY_TIMING, T2_OR_FLAIR

# Seen in the middle of the head in 22 FLAIRs and 6 T2 of whole heads, as multiples of the median. FLAIR: 5th percentile
# 0.10-0.47, 75th 1.09-1.21, 98th 1.24-1.92 (2.64 with a large cyst). T2: 0.41-0.74, 1.18-1.23, 2.30-2.85.
FLAIR_LOW, FLAIR_UPPER, FLAIR_HIGH = 0.55, 1.3, 2.05
T2_LOW, T2_HIGH = 0.35, 2.15
# Where no word says FLAIR: a T2 of a brain whose oedema leaves no fluid has grey matter a third brighter than white
SURE_LOW, SURE_UPPER, SURE_HIGH = 0.4, 1.2, 1.7
DOUBLE_INVERSION_HIGH = 3.0  # white matter is nulled as well, and cortex three to five times as bright
FEWEST = 1000  # voxels; fewer say nothing
CONFIDENCE = 0.5


def is_open(series: Series) -> bool:
    """Whether the header leaves open that it is a FLAIR."""
    return T2_OR_FLAIR in series.identification.reasons


def may_be_flair(series: Series) -> bool:
    """Whether it counts as T2 by its timing alone, which a FLAIR may have."""
    found = series.identification
    return T2_BY_TIMING in found.reasons and flair_contradiction(series.header) is None


def kind_by_image(voxels: Voxels, *, surely: bool = False) -> SequenceKind | None:
    """FLAIR, T2, or None: neither is clear.

    Args:
        voxels: (k, j, i), of a series with a long echo time.
        surely: nothing but the image speaks for FLAIR.
    """
    levels = _levels(voxels)
    if levels is None:
        return None
    low, median, upper, high = levels
    limits = (SURE_LOW, SURE_UPPER, SURE_HIGH) if surely else (FLAIR_LOW, FLAIR_UPPER, FLAIR_HIGH)
    if all(value < limit * median for value, limit in zip((low, upper, high), limits, strict=True)):
        return SequenceKind.FLAIR
    return SequenceKind.T2 if low > T2_LOW * median and high > T2_HIGH * median else None


def _levels(voxels: Voxels) -> tuple[float, float, float, float] | None:
    """5th, 50th, 75th and 98th percentile in the middle of the head; None: too little is shown."""
    inner = voxels[tuple(slice(n // 4, n - n // 4) for n in voxels.shape)]
    shown = inner[np.isfinite(inner) & (inner > 0)]
    if shown.size < FEWEST:
        return None
    low, median, upper, high = (float(value) for value in np.percentile(shown, (5, 50, 75, 98)))
    return low, median, upper, high


def nulls_white_matter(series: Series, volume: Volume) -> bool:
    """Whether a FLAIR of which the header leaves out a time looks like a double inversion: most is dark beside the
    brightest."""
    header, levels = series.header, _levels(volume.voxels)
    if levels is None or (header.inversion_time_ms and header.repetition_time_ms):
        return False
    return levels[3] > DOUBLE_INVERSION_HIGH * levels[1]


def looked_at(series: Series, volume: Volume) -> Identification:
    """What the series is by its image; as it was where the image does not tell."""
    found = series.identification
    kind = kind_by_image(volume.voxels, surely=not (words.says(words.FLAIR, series.header) and is_open(series)))
    if kind is None or kind is found.kind or (kind is SequenceKind.T2 and is_inversion_recovery(series.header)):
        return found
    fluid = "dark" if kind is SequenceKind.FLAIR else "bright"
    reasons = (*(r for r in found.reasons if r != T2_BY_TIMING), f"fluid is {fluid} in the image: {kind.value}")
    return replace(found, kind=kind, confidence=CONFIDENCE, reasons=reasons)
