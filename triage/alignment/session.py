"""The series of one date in, each placed on the anchor series of that date out (its FLAIR when there is one).

The head may move a few millimetres between the series of a session, which no header states. So every series is aligned
rigidly by mutual information at 3 mm before it is measured on the FLAIR's regions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from triage.alignment.agreement import peak
from triage.alignment.descent import coarse_rigid, descend
from triage.alignment.images import inverse, isotropic_grid, matrix_of, resample, shrink_to, smooth_to, to_sitk
from triage.errors import NotAssessable
from triage.libraries import sitk
from triage.model import Affine, DiffusionFacts, SequenceKind, StudyImages, Volume

# The first kind that the study holds is the anchor
ANCHORS = (SequenceKind.FLAIR, SequenceKind.T2, SequenceKind.T1, SequenceKind.DWI)
WORKING_MM = 3.0
COARSE_MM = 8.0  # of the second try, which starts from the centres of the two heads
# Series whose borders of tissue lie where those of the anchor do. Diffusion images are distorted: they are not asked.
CHECKED = (SequenceKind.T1, SequenceKind.T1_GD, SequenceKind.T2)
# Smallest peak (triage.alignment.agreement) of a series that lies on the anchor. Measured on T1 with the FLAIR of real
# heads: 1.48 to 2.0 well placed, 0.8 to 1.16 for wrong optima, other heads and stretched ones
LEAST_PEAK = 1.3


@dataclass(frozen=True, eq=False)
class Session:
    """The series of one date and where they lie."""

    anchor: SequenceKind
    # native voxels and geometry
    volumes: Mapping[SequenceKind, Volume]
    # kind -> (4, 4), points of that series -> points of the anchor series, LPS mm; ADC is placed like DWI
    to_anchor: Mapping[SequenceKind, Affine] = field(default_factory=dict)
    # on the grid of the DWI volume
    dwi_b0: Volume | None = None
    diffusion: DiffusionFacts = field(default_factory=DiffusionFacts)
    # series that could not be placed on the anchor, as sentences; they stand in no mapping above
    left_out: tuple[str, ...] = ()


def align(images: StudyImages, kinds: Collection[SequenceKind] | None = None) -> Session:
    """The session with each of ``kinds`` (None: all) placed on its anchor.

    A series that does not overlap the anchor is left out, and so is a T1 or T2 whose structures do not lie on those of
    the anchor: it was not taken in this position of the head, or is of another one. It would spoil what it is measured
    together with.

    Raises:
        NotAssessable: ``no_images`` when the study holds no anatomical series.
    """
    anchor = next((kind for kind in ANCHORS if kind in images.volumes), None)
    if anchor is None:
        raise NotAssessable("no_images", "the study holds no FLAIR, T2, T1 or DWI series")
    kept = {kind: v for kind, v in images.volumes.items() if kind is anchor or kinds is None or kind in kinds}
    placed: dict[SequenceKind, Affine] = {anchor: np.eye(4)}
    left_out: list[str] = []
    for kind in sorted(kept.keys() - {anchor}, key=_adc_last):
        moving = images.dwi_b0 if kind is SequenceKind.DWI and images.dwi_b0 is not None else kept[kind]
        like_dwi = kind is SequenceKind.ADC and SequenceKind.DWI in placed
        try:
            placed[kind] = placed[SequenceKind.DWI] if like_dwi else _placed(kept[anchor], moving, kind)
        except NotAssessable as refusal:
            left_out.append(f"the {kind.value} series is left out: {refusal.message} ({anchor.value} and {kind.value})")
    volumes = {kind: volume for kind, volume in kept.items() if kind in placed}
    return Session(anchor, volumes, placed, images.dwi_b0, images.diffusion, tuple(left_out))


def _placed(anchor: Volume, other: Volume, kind: SequenceKind) -> Affine:
    """(4, 4) as ``place_on``, and for ``CHECKED`` kinds only where the two agree.

    Raises:
        NotAssessable: ``registration_failed`` when they do not overlap or do not agree.
    """
    found = anchor_to(anchor, other)
    if kind in CHECKED and (agrees := peak(anchor, other, found)) < LEAST_PEAK:
        found = anchor_to(anchor, other, _from_centres(anchor, other))
        if (again := peak(anchor, other, found)) < LEAST_PEAK:
            said = f"its structures do not lie on those of the other images (agreement {max(agrees, again):.2f} times"
            raise NotAssessable("registration_failed", f"{said} that beside it, at least {LEAST_PEAK:.2f} is needed)")
    return inverse(found)


def _from_centres(anchor: Volume, other: Volume) -> sitk.Euler3DTransform:
    """Where to begin when the headers mislead."""
    return coarse_rigid(_at_size(anchor, COARSE_MM), _at_size(other, COARSE_MM), turned=True)


def _adc_last(kind: SequenceKind) -> tuple[bool, str]:
    """The ADC map is placed like the DWI, which comes before it."""
    return kind is SequenceKind.ADC, kind.value


def diffusion_alone(images: StudyImages) -> Session:
    """The diffusion images as a session of their own, anchored on the DWI.

    The ADC map keeps the position of its header: it is computed from the same data as the DWI.
    """
    wanted = (SequenceKind.DWI, SequenceKind.ADC)
    kept: dict[SequenceKind, Volume] = {kind: v for kind, v in images.volumes.items() if kind in wanted}
    return Session(SequenceKind.DWI, kept, {kind: np.eye(4) for kind in kept}, images.dwi_b0, images.diffusion)


def place_on(anchor: Volume, other: Volume) -> Affine:
    """(4, 4), points of ``other`` -> points of ``anchor``, LPS mm; rigid, by mutual information, within one session.

    Raises:
        NotAssessable: ``registration_failed`` when the two do not overlap.
    """
    return np.asarray(np.linalg.inv(anchor_to(anchor, other)), dtype=np.float64)


def anchor_to(anchor: Volume, other: Volume, start: sitk.Euler3DTransform | None = None) -> Affine:
    """(4, 4), points of ``anchor`` -> points of ``other``, LPS mm. start: None: as the headers say. Raises as
    ``place_on``."""
    fixed, moving = _at_size(anchor, WORKING_MM), _at_size(other, WORKING_MM)
    if start is None:
        start = sitk.Euler3DTransform()
        start.SetCenter(fixed.TransformContinuousIndexToPhysicalPoint([(s - 1) / 2 for s in fixed.GetSize()]))
    moved, _ = descend(fixed, moving, start, step_mm=0.5, mutual_information=True, iterations=40)
    return matrix_of(moved)


def _at_size(volume: Volume, spacing_mm: float) -> sitk.Image:
    image = to_sitk(volume)
    grid = isotropic_grid(image, spacing_mm)
    return resample(smooth_to(shrink_to(image, spacing_mm), spacing_mm), grid)
