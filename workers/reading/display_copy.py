"""The values of a volume in, whether they are those of a copy for display, out.

A program that writes what a window shows keeps 256 grey levels, cuts off what is brighter, and may take away an offset:
what is measured on such a copy is too small a change or none.
"""

from __future__ import annotations

from collections.abc import Sequence

from triage.errors import NotAssessable
from triage.model import SequenceKind, Voxels
from triage.sequences.image import CUT_SHARE, cut_share
from workers.reading.frames import Frame

DISPLAY_COPY = "display_copy"
DISPLAY_BITS = 8  # MR images have 12 or 16 (PS3.3 C.8.3.1)
# Of the head of a FLAIR with more bits: tissue is cut off, not only fat beside a coil. A starting value
CUT_TISSUE = 0.02


def has_eight_bits(frame: Frame) -> bool:
    """Whether the image has the grey levels of a screen."""
    return min(frame.pixels.bits_stored, frame.pixels.allocated) <= DISPLAY_BITS


def display_notices(voxels: Voxels, frames: Sequence[Frame], kind: SequenceKind) -> list[str]:
    """What a reader should know of a volume with few grey levels, or with values that are cut off.

    Raises:
        NotAssessable: display_copy: what the head shows was cut off.
    """
    cut, eight = cut_share(voxels), any(map(has_eight_bits, frames))
    said = f"{100 * cut:.1f} % of the head have exactly the highest value, where it was cut off"
    if cut > CUT_SHARE and eight:
        raise NotAssessable(DISPLAY_COPY, f"a copy for display: {DISPLAY_BITS} bits, and {said}")
    if cut > CUT_TISSUE and kind is SequenceKind.FLAIR:
        raise NotAssessable(DISPLAY_COPY, f"{said}: a copy for display, or brighter than the scanner can store")
    eight_said = (
        f"its images have {DISPLAY_BITS} bits, as copies for display have: a change may be larger than measured"
    )
    lossy = any(frame.pixels.lossy for frame in frames)
    notices = (eight_said, eight), (said, cut > CUT_SHARE), ("its images were compressed with loss", lossy)
    return [notice for notice, holds in notices if holds]
