"""A possible baseline in, everything slow about it done: its series placed on its FLAIR, the atlas on both, what is abnormal already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk

from triage.alignment.images import inverse
from triage.alignment.placement import Placement, brain_grid, place_atlas, regions_on
from triage.alignment.session import Session, align
from triage.errors import NotAssessable
from triage.fluid.atrophy import fluid_shares
from triage.lesions.burden import burden
from triage.model import Atlas, Found, SequenceKind, SeriesHeader, Study, StudyImages, Volume
from triage.settings import PreparationSettings

SLAB_MM = 100.0  # a T1 thinner than this in any direction is a slab and places no atlas
LABEL_SPACING_MM = 1.0  # regions are kept at this spacing in baseline space


@dataclass(frozen=True, eq=False)
class PreparedBaseline:
    """A baseline with its slow work done.

    flair: native FLAIR. labels, brain: uint8 on a 1 mm cubic grid in the baseline's own space (LPS mm). label_names: label -> region.
    session: the baseline's series placed on its FLAIR. burden: what was already abnormal, with the mask ``chronic_lesions`` on the label grid.
    """

    study_instance_uid: str
    series_instance_uid: str
    header: SeriesHeader
    flair: Volume
    labels: Volume
    brain: Volume
    label_names: Mapping[int, str]
    session: Session
    burden: Found = field(default_factory=Found)


def prepare_baseline(images: StudyImages, atlas: Atlas, settings: PreparationSettings) -> PreparedBaseline:
    """The slow part of a comparison, done when a possible baseline arrives: atlas placement and region masks.

    Raises:
        NotAssessable: ``no_flair``, ``atlas_failed`` or ``coverage``.
    """
    use_threads(settings.threads)
    flair = flair_of(images)
    session = align(images)
    placement = place(session, flair, atlas, settings)
    grid = brain_grid(flair, placement, atlas, LABEL_SPACING_MM)
    labels, brain = regions_on(grid, placement, atlas)
    uid = images.used[SequenceKind.FLAIR]
    return PreparedBaseline(
        images.study.study_instance_uid,
        uid,
        header_of(images.study, uid),
        flair,
        labels,
        brain,
        dict(atlas.label_names),
        session,
        before_treatment(flair, labels, brain, atlas.label_names, settings),
    )


def before_treatment(
    flair: Volume, labels: Volume, brain: Volume, names: Mapping[int, str], settings: PreparationSettings
) -> Found:
    """What is abnormal on one scan by itself. labels, brain: on one cubic grid."""
    chronic = burden(flair, labels, brain, names, settings.burden)
    fluid = fluid_shares(flair, labels, brain, names, settings.atrophy)
    return replace(chronic, measurements=(*chronic.measurements, *fluid.measurements))


def place(session: Session, flair: Volume, atlas: Atlas, settings: PreparationSettings) -> Placement:
    """Atlas on the T1 when the session has one (better contrast of deep grey matter), else on the FLAIR itself."""
    t1 = session.volumes.get(SequenceKind.T1)
    if t1 is None or min(np.array(t1.voxels.shape[::-1]) * t1.spacing_mm) < SLAB_MM:
        return place_atlas(flair, atlas, settings.regions)
    to_t1 = inverse(session.to_anchor[SequenceKind.T1])
    return place_atlas(flair, atlas, settings.regions, t1=t1, flair_to_t1=to_t1)


def flair_of(images: StudyImages) -> Volume:
    if SequenceKind.FLAIR in images.volumes:
        return images.volumes[SequenceKind.FLAIR]
    raise no_flair(images)


def no_flair(images: StudyImages) -> NotAssessable:
    flairs = {s.header.series_instance_uid for s in images.study.series if s.identification.kind is SequenceKind.FLAIR}
    for skipped in images.skipped:
        if skipped.series_instance_uid in flairs:
            return NotAssessable(skipped.code, f"the FLAIR series cannot be measured: {skipped.message}")
    return NotAssessable("no_flair", "the study holds no FLAIR series")


def header_of(study: Study, series_instance_uid: str) -> SeriesHeader:
    for series in study.series:
        if series.header.series_instance_uid == series_instance_uid:
            return series.header
    return SeriesHeader(series_instance_uid)


def use_threads(threads: int) -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
