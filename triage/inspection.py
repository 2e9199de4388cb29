"""A study's images in; what each series could serve for, and where the atlas lies on the FLAIR, out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from triage.alignment.images import from_sitk, isotropic_grid, resample, to_sitk
from triage.alignment.placement import place_atlas, regions_on
from triage.model import Atlas, SequenceKind, StudyImages, Volume
from triage.preparation import flair_of, use_threads
from triage.settings import PreparationSettings

PICTURE_MM = 1.0

# What a series of a kind is measured for
SERVES: Mapping[SequenceKind, str] = {
    SequenceKind.FLAIR: "patterns A, B and D; a study with one can be a baseline or a follow-up",
    SequenceKind.T1: "pattern B (enhancement, with a T1 after contrast), pattern D (fluid), the borders of the regions",
    SequenceKind.T1_GD: "pattern B (enhancement, with a T1 before contrast)",
    SequenceKind.T2: "pattern B (faint lesions), pattern D (fluid)",
    SequenceKind.DWI: "pattern C (restriction)",
    SequenceKind.ADC: "pattern C (restriction)",
}


def serves(kind: SequenceKind) -> str:
    """What a series of this kind is for."""
    return SERVES.get(kind, "nothing: this kind is not measured")


def patterns_of(kinds: Collection[SequenceKind], *, with_b0: bool) -> dict[str, str]:
    """Pattern -> how well a study with these kinds can answer it, in words."""
    flair, t1, gd, t2, dwi, adc = (
        kind in kinds
        for kind in (
            SequenceKind.FLAIR,
            SequenceKind.T1,
            SequenceKind.T1_GD,
            SequenceKind.T2,
            SequenceKind.DWI,
            SequenceKind.ADC,
        )
    )
    without = "not assessable: no FLAIR"
    enhancing = "with enhancement" if t1 and gd else "without enhancement: it takes T1 before and after contrast"
    fluid = "with T1 and T2" if t1 and t2 else "from FLAIR" + (" and T1" if t1 else " and T2" if t2 else " alone")
    restricted = "assessable" if dwi and (adc or with_b0) else "not assessable: no ADC map and no b = 0 image"
    return {
        "A": "assessable" if flair else without,
        "B": f"assessable, {enhancing}" if flair else without,
        "C": restricted if dwi else "not assessable: no diffusion-weighted images",
        "D": f"assessable, {fluid}" if flair else without,
    }


@dataclass(frozen=True, eq=False)
class FlairFit:
    """The FLAIR and the regions of the placed atlas on one cubic grid of 1 mm along the scan's axes (LPS mm)."""

    flair: Volume
    labels: Volume
    names: Mapping[int, str]


def fit_flair(images: StudyImages, atlas: Atlas, settings: PreparationSettings) -> FlairFit:
    """Where the atlas lies on the FLAIR of a study, by the FLAIR alone.

    Raises:
        NotAssessable: ``no_flair`` (or why it cannot be read), ``atlas_failed`` or ``coverage``.
    """
    use_threads(settings.threads)
    flair = flair_of(images)
    placement = place_atlas(flair, atlas, settings.regions)
    image = to_sitk(flair)
    grid = isotropic_grid(image, PICTURE_MM)
    labels, _ = regions_on(grid, placement, atlas)
    return FlairFit(from_sitk(resample(image, grid)), labels, dict(atlas.label_names))
