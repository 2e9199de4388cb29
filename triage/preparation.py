"""A possible baseline in; out with its slow work done: series and atlas placed on its FLAIR, old damage measured."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from triage.age import too_young
from triage.alignment.images import from_sitk, inverse, to_sitk
from triage.alignment.placement import Placement, brain_grid, place_atlas, region_doubts, regions_on
from triage.alignment.registration import pyramid
from triage.alignment.session import Session, align
from triage.errors import NotAssessable
from triage.fluid.atrophy import fluid_shares
from triage.lesions.burden import burden, burden_unknown
from triage.libraries import sitk
from triage.model import Atlas, Found, SequenceKind, SeriesHeader, Study, StudyImages, Volume
from triage.next_flair import is_flair_after_contrast, with_next_flair
from triage.same_head import with_flair_of_this_head
from triage.sequences.image import shown_images
from triage.settings import PreparationSettings

# A T1 thinner than this in any direction is a slab; no atlas is placed by it
SLAB_MM = 100.0
# Spacing of the cubic grid that holds the regions in baseline space
LABEL_SPACING_MM = 1.0


@dataclass(frozen=True, eq=False)
class PreparedBaseline:
    """A baseline with its slow work done, in its own space (LPS mm)."""

    study_instance_uid: str
    # of the FLAIR
    series_instance_uid: str
    header: SeriesHeader
    # native voxels
    flair: Volume
    # regions and mask of the whole brain, uint8, on one cubic grid of 1 mm, which may reach beyond the FLAIR
    labels: Volume
    brain: Volume
    # label -> region
    label_names: Mapping[int, str]
    # the series placed on the FLAIR
    session: Session
    # what was abnormal already, with the mask chronic_lesions on the grid of the labels
    burden: Found = field(default_factory=Found)
    # whether its FLAIR was acquired after a contrast agent
    after_contrast: bool = False
    # region -> why nothing is measured there
    doubts: Mapping[str, str] = field(default_factory=dict)
    # its FLAIR at the working resolutions of a registration (alignment.registration.Pyramid), by name; empty: they are
    # made when they are needed
    working: Mapping[str, Volume] = field(default_factory=dict)


class Placing(Protocol):
    """``place``, or what keeps its results: the same arguments give the same placement."""

    def __call__(self, session: Session, flair: Volume, atlas: Atlas, settings: PreparationSettings) -> Placement: ...


def place(session: Session, flair: Volume, atlas: Atlas, settings: PreparationSettings) -> Placement:
    """The atlas placed by the session's T1 (better contrast of deep grey matter), else by the FLAIR itself.

    Raises:
        NotAssessable: as ``place_atlas``.
    """
    t1 = session.volumes.get(SequenceKind.T1)
    if t1 is None or min(np.array(t1.voxels.shape[::-1]) * t1.spacing_mm) < SLAB_MM:
        return place_atlas(flair, atlas, settings.regions)
    to_t1 = inverse(session.to_anchor[SequenceKind.T1])
    with suppress(NotAssessable):  # a T1 that does not fit must not refuse a FLAIR that does
        return place_atlas(flair, atlas, settings.regions, t1=t1, flair_to_t1=to_t1)
    return place_atlas(flair, atlas, settings.regions)


def prepare_baseline(
    images: StudyImages, atlas: Atlas, settings: PreparationSettings, placing: Placing = place
) -> PreparedBaseline:
    """The slow part of a comparison, done when a possible baseline arrives; by its next FLAIR when one is refused.

    Raises:
        NotAssessable: ``no_flair`` (or why the FLAIR cannot be read), ``blank_slices``, ``atlas_failed``, ``coverage``.
    """
    try:
        return _prepared(images, atlas, settings, placing)
    except NotAssessable as refusal:
        following = with_next_flair(images, str(refusal))
        if following is None:
            raise
        with suppress(NotAssessable):  # the first refusal is the one that matters
            return prepare_baseline(following, atlas, settings, placing)
        raise


def _prepared(images: StudyImages, atlas: Atlas, settings: PreparationSettings, placing: Placing) -> PreparedBaseline:
    use_threads(settings.threads)
    images, session = aligned(shown_images(images))
    flair = images.volumes[SequenceKind.FLAIR]
    if images.doubts:  # everything would be new against an empty slice
        raise NotAssessable("blank_slices", "; ".join(images.doubts))
    placement = placing(session, flair, atlas, settings)
    grid = brain_grid(flair, placement, atlas, LABEL_SPACING_MM)
    labels, brain = regions_on(grid, placement, atlas)
    uid, young = images.used[SequenceKind.FLAIR], too_young(images.study, settings.youngest_years)
    return PreparedBaseline(
        images.study.study_instance_uid,
        uid,
        header_of(images.study, uid),
        flair,
        labels,
        brain,
        dict(atlas.label_names),
        session,
        before_treatment(flair, labels, brain, atlas.label_names, settings, young),
        is_flair_after_contrast(images),
        region_doubts(placement),
        {name: from_sitk(image) for name, image in vars(pyramid(to_sitk(flair))).items()},
    )


def aligned(images: StudyImages) -> tuple[StudyImages, Session]:
    """The study with its series placed on the FLAIR that is of the same head as they.

    Raises:
        NotAssessable: ``no_flair``.
    """
    flair_of(images)
    session = align(images)
    found = with_flair_of_this_head(images, session)
    return found, session if found is images else align(found)


def before_treatment(
    flair: Volume,
    labels: Volume,
    brain: Volume,
    names: Mapping[int, str],
    settings: PreparationSettings,
    refusal: str | None = None,
) -> Found:
    """What is abnormal on one scan by itself. labels, brain: uint8, on one cubic grid in the FLAIR's space. refusal:
    why its intensities tell nothing of old lesions; None: they do."""
    chronic = burden(flair, labels, brain, names, settings.burden) if refusal is None else burden_unknown(refusal)
    fluid = fluid_shares(flair, labels, brain, names, settings.atrophy)
    return replace(chronic, measurements=(*chronic.measurements, *fluid.measurements))


def flair_of(images: StudyImages) -> Volume:
    """The FLAIR of a study.

    Raises:
        NotAssessable: ``no_flair``.
    """
    if SequenceKind.FLAIR in images.volumes:
        return images.volumes[SequenceKind.FLAIR]
    raise no_flair(images)


def no_flair(images: StudyImages) -> NotAssessable:
    """Why a study has no FLAIR volume: the reason that its FLAIR series was skipped, else ``no_flair``."""
    flairs = {s.header.series_instance_uid for s in images.study.series if s.identification.kind is SequenceKind.FLAIR}
    for skipped in images.skipped:
        if skipped.series_instance_uid in flairs:
            return NotAssessable(skipped.code, f"the FLAIR series cannot be measured: {skipped.message}")
    return NotAssessable("no_flair", "the study holds no FLAIR series")


def header_of(study: Study, series_instance_uid: str) -> SeriesHeader:
    """The header of one series; an empty one when the study does not list it."""
    for series in study.series:
        if series.header.series_instance_uid == series_instance_uid:
            return series.header
    return SeriesHeader(series_instance_uid)


def use_threads(threads: int) -> None:
    """Limit SimpleITK's threads in this process."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
