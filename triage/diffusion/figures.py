"""Diffusion images of a session (and of the baseline's) in, restricted cortex by lobe and side out.

Neither FLAIR nor a baseline is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from triage.alignment.images import NEAREST, affine_transform, inverse, resample, to_sitk
from triage.alignment.normalisation import robust_sd
from triage.alignment.session import Session
from triage.anatomy import CSF, mask_of
from triage.diffusion.gridded import adc_on, around_brain, averaged
from triage.diffusion.maps import DiffusionImages, TissueMaps, smoothed, tissue_maps
from triage.diffusion.restriction import Restriction, RestrictionLimits, find_restriction
from triage.libraries import ndi, sitk
from triage.measurements import not_measured
from triage.model import Affine, Found, Mask, Measurement, SequenceKind, Volume

LOBES = tuple(
    f"cortex_{lobe}_{side}"
    for lobe in ("frontal", "parietal", "temporal", "occipital", "insula")
    for side in ("left", "right")
)
ADC_REGIONS = (
    "thalamus_left", "thalamus_right", "midbrain", "pons", "medulla", "cerebellum", "white_matter_left",
    "white_matter_right", *LOBES,
)  # fmt: skip
BRAIN, CORTEX = "brain", "cortex"
RESTRICTED, GYRI = "restricted_volume_ml", "restricted_gyri"
ADC, ADC_CHANGE, BELOW_650 = "adc_um2_s", "adc_change_percent", "adc_below_650_percent"
LOW_ADC = 650.0  # um2/s; hypoxic injury: below this in >= 10 % of the brain (docs/method.md, Look-alikes)
MASK = "restricted"
SMALLEST_ML = 0.05  # no volume is better known than this


@dataclass(frozen=True)
class DiffusionLimits:
    """How restricted tissue is found, and when a figure is given (docs/method.md, Pattern C)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # what counts as restricted
    restriction: RestrictionLimits = field(default_factory=RestrictionLimits)
    # smallest cortical cluster that counts as a gyrus
    gyrus_ml: float = 0.3
    # a region needs this many voxels of tissue
    min_region_voxels: int = 20
    # and this share of it must be judged: the images show something there that no artefact hides
    min_seen: float = 0.8
    # one standard deviation of a region's ADC between two scans; a change counts from 8 %, two of them (PMC11537247)
    repeatability_percent: float = 4.0
    # highest b-value (s/mm2) at which ADC limits in um2/s hold; more diffusion weighting lowers every ADC
    usual_b: float = 1500.0


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Atlas regions in some space.

    labels: uint8 Volume of the whole brain, also of what no image shows. from_followup: (4, 4), anchor points of the
    follow-up -> points of that space, LPS mm.
    """

    labels: Volume
    label_names: Mapping[int, str]
    from_followup: Affine


def restricted(session: Session, anatomy: Anatomy, baseline: Session | None, limits: DiffusionLimits) -> Found:
    """Restricted tissue of the session on its DWI grid, and the ADC of the regions.

    Args:
        session: the study under assessment; what it has of DWI, ADC and b = 0 decides what can be measured.
        anatomy: regions; those of the baseline carried over when there is one, else placed on this study.
        baseline: the baseline's session: what was restricted (or bright) before is not new.

    Returns:
        Figures per region, each measured or not measured with a reason (``no_dwi``, ``no_adc``, ``no_tissue``); the
        mask ``restricted`` (uint8, label = number of the cluster, 1 is the largest) in the space of the session's
        anchor.
    """
    dwi = session.volumes.get(SequenceKind.DWI)
    if dwi is None:
        return _nothing("no_dwi: the study holds no diffusion-weighted series")
    grid, to_anchor = to_sitk(dwi), session.to_anchor[SequenceKind.DWI]
    labels = _labels_on(grid, anatomy.from_followup @ to_anchor, anatomy)
    adc, source = adc_on(session, dwi, to_anchor, labels > 0)
    if adc is None:
        return _nothing(source)
    if not labels.any():
        return _nothing("no_tissue: the diffusion images show none of the brain")
    maps = tissue_maps(
        averaged(
            around_brain(
                DiffusionImages(
                    dwi.voxels, adc, labels, anatomy.label_names, dwi.affine, _b0(session), _b_difference(session)
                )
            )
        )
    )
    if maps is None or _too_little(maps, limits):
        return _nothing("no_tissue: the diffusion images show too little of the brain")
    grid = to_sitk(Volume(maps.images.labels, maps.images.affine))
    before = None if baseline is None else _baseline_maps(baseline, grid, anatomy.from_followup @ to_anchor, maps)
    before = None if before is None or _too_little(before, limits) else before
    restriction = find_restriction(maps, before, limits.restriction)
    mask = Volume(np.minimum(restriction.clusters, 255).astype(np.uint8), np.asarray(to_anchor @ maps.images.affine))
    judged = _judged_shares(maps, restriction, anatomy)
    return Found(
        (*_volumes(restriction, maps, judged, limits), *_coefficients(maps, before, limits)),
        {MASK: mask},
        notices=tuple(_notices(source, restriction, before is not None, maps, judged[BRAIN] >= limits.min_seen)),
    )


def _too_little(maps: TissueMaps, limits: DiffusionLimits) -> bool:
    return bool(maps.tissue.sum() < limits.min_region_voxels * len(ADC_REGIONS))


def _nothing(reason: str) -> Found:
    return Found(
        (
            *(not_measured(region, RESTRICTED, "mL", reason) for region in (BRAIN, CORTEX, *LOBES)),
            not_measured(CORTEX, GYRI, "1", reason),
            *(not_measured(region, ADC, "um2/s", reason) for region in ADC_REGIONS),
            not_measured(BRAIN, BELOW_650, "%", reason),
        )
    )


def _b0(session: Session) -> npt.NDArray[np.float32] | None:
    return None if session.dwi_b0 is None else np.asarray(session.dwi_b0.voxels, np.float32)


def _b_difference(session: Session) -> float:
    facts = session.diffusion
    return (facts.b_high or 1000.0) - (facts.b_low or 0.0)


def _labels_on(grid: sitk.Image, to_labels: Affine, anatomy: Anatomy) -> npt.NDArray[np.uint8]:
    moved = resample(to_sitk(anatomy.labels, sitk.sitkUInt8), grid, affine_transform(to_labels), how=NEAREST)
    return np.asarray(sitk.GetArrayFromImage(moved), np.uint8)


def _baseline_maps(
    baseline: Session, grid: sitk.Image, to_baseline_anchor: Affine, followup: TissueMaps
) -> TissueMaps | None:
    """The baseline's maps on the follow-up's DWI grid, with the same regions; None when it has no DWI and ADC, or
    these show nothing of the brain."""
    dwi = baseline.volumes.get(SequenceKind.DWI)
    if dwi is None:
        return None
    adc, _ = adc_on(baseline, dwi, baseline.to_anchor[SequenceKind.DWI])
    if adc is None:
        return None
    transform = affine_transform(inverse(baseline.to_anchor[SequenceKind.DWI]) @ to_baseline_anchor)

    def moved(voxels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(
            sitk.GetArrayFromImage(resample(to_sitk(Volume(voxels, dwi.affine)), grid, transform)), np.float32
        )

    b0 = _b0(baseline)
    here = followup.images
    return tissue_maps(
        DiffusionImages(
            moved(dwi.voxels), moved(adc), here.labels, here.names, here.affine,
            None if b0 is None else moved(b0), _b_difference(baseline),
        )
    )  # fmt: skip


# -- figures ---------------------------------------------------------------------------------------


def _judged_shares(maps: TissueMaps, restriction: Restriction, anatomy: Anatomy) -> dict[str, float]:
    """Share of each cortical region, of all cortex and of the brain that was judged, 0..1.

    There the diffusion images show signal, with small gaps of fluid, and no artefact hides it: a place inside the field
    of view may be empty.
    """
    images, whole = maps.images, anatomy.labels
    judged = np.where((maps.depth_mm > 0) & ~restriction.zone, images.labels, 0)
    numbers = {name: [label] for label, name in images.names.items() if name in LOBES}
    numbers[CORTEX] = [label for labels in numbers.values() for label in labels]
    numbers[BRAIN] = list(images.names)
    shares = {}
    for name, labels in numbers.items():
        full = float(np.isin(whole.voxels, labels).sum()) * whole.voxel_volume_ml
        shares[name] = float(np.isin(judged, labels).sum()) * images.voxel_ml / full if full else 0.0
    return shares


def _volumes(
    restriction: Restriction, maps: TissueMaps, judged: Mapping[str, float], limits: DiffusionLimits
) -> Iterator[Measurement]:
    """Restricted volume of brain, cortex by lobe and side, and every other region that has some; number of gyri.

    Less than a gyrus where too little was judged is not measured, rather than near 0.
    """
    images = maps.images

    def volume(region: str, mask: Mask) -> Measurement:
        share = judged.get(region, 1.0)
        if share < limits.min_seen and float(mask.sum()) * images.voxel_ml < limits.gyrus_ml:
            return not_measured(
                region, RESTRICTED, "mL", f"coverage: {share:.0%} of it is shown by the diffusion images"
            )
        return _volume(region, mask, maps)

    everything = restriction.clusters > 0
    cortical = restriction.cortex
    yield volume(BRAIN, everything)
    yield volume(CORTEX, cortical)
    numbers = {name: label for label, name in images.names.items()}
    for lobe in LOBES:
        if lobe in numbers and (images.labels == numbers[lobe]).any():
            yield volume(lobe, cortical & (restriction.regions == numbers[lobe]))
        else:
            yield not_measured(lobe, RESTRICTED, "mL", "region_missing: the region is not in view")
    for name, label in numbers.items():
        here = everything & (restriction.regions == label)
        if name not in LOBES and name not in CSF and here.any():
            yield _volume(name, here, maps)
    sizes = [float((cortical & (restriction.clusters == n)).sum()) * images.voxel_ml for n in restriction.cortical]
    yield Measurement(CORTEX, GYRI, float(sum(size >= limits.gyrus_ml for size in sizes)), "1")


def _volume(region: str, mask: Mask, maps: TissueMaps) -> Measurement:
    """The border lies somewhere inside its voxels: a uniform error of one voxel (sd 0.29) over the whole surface."""
    voxel_ml = maps.images.voxel_ml
    sd = max(0.29 * _surface_voxels(mask) * voxel_ml, SMALLEST_ML)
    return Measurement(region, RESTRICTED, float(mask.sum()) * voxel_ml, "mL", sd)


def _surface_voxels(mask: Mask) -> int:
    """Voxels of the mask that touch what is outside it."""
    return int((mask & ~ndi.binary_erosion(mask)).sum())


def _coefficients(maps: TissueMaps, before: TissueMaps | None, limits: DiffusionLimits) -> Iterator[Measurement]:
    """Median ADC of each region, its change since the baseline, and the share of the brain that is slow."""
    images = maps.images
    for region in ADC_REGIONS:
        inside = mask_of(images.labels, images.names, (region,))
        yield from _coefficient(region, inside, maps, before, limits)
    yield _below(maps, limits)


def _coefficient(
    region: str, inside: Mask, maps: TissueMaps, before: TissueMaps | None, limits: DiffusionLimits
) -> Iterator[Measurement]:
    here = inside & maps.tissue
    if here.sum() < limits.min_region_voxels or (maps.images.adc[inside] > 0).mean() < limits.min_seen:
        yield not_measured(region, ADC, "um2/s", "coverage: too little of the region is in the diffusion images")
        return
    value, sd = _median_of(maps.images.adc[here])
    usual = maps.images.b_difference <= limits.usual_b
    if not usual:
        # a figure in um2/s would be compared with limits that do not hold for it; the change below is still valid
        yield not_measured(region, ADC, "um2/s", _unusual_b(maps))
    then = None if before is None else inside & before.tissue
    compared = before is not None and then is not None and then.sum() >= limits.min_region_voxels
    earlier, sd_then = _median_of(before.images.adc[then]) if before is not None and compared else (None, 0.0)
    if usual:
        yield Measurement(region, ADC, value, "um2/s", sd, earlier)
    if earlier is not None:
        noise = 100.0 * float(np.hypot(sd / value, sd_then / earlier))
        spread = float(np.hypot(noise, limits.repeatability_percent))
        yield Measurement(region, ADC_CHANGE, 100.0 * (value / earlier - 1.0), "%", spread, earlier)


def _unusual_b(maps: TissueMaps) -> str:
    return f"b_value: ADC from b {maps.images.b_difference:.0f} lies below what published limits were made for"


def _median_of(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Median and its standard error; eight neighbours count as one, since they share noise and partial volume."""
    wide = values.astype(np.float64)
    return float(np.median(wide)), 1.253 * robust_sd(wide) / float(np.sqrt(max(1.0, wide.size / 8.0)))


def _below(maps: TissueMaps, limits: DiffusionLimits) -> Measurement:
    """Percent of parenchyma below LOW_ADC.

    The ADC is smoothed, since noise alone puts single voxels there. The sd is what the amount of smoothing changes.
    """
    if maps.images.b_difference > limits.usual_b:
        return not_measured(BRAIN, BELOW_650, "%", _unusual_b(maps))
    adc = maps.images.adc.astype(np.float64)
    shares = [
        100.0 * float((smoothed(adc, maps.tissue, mm, maps.images)[maps.tissue] < LOW_ADC).mean()) for mm in (2.0, 3.0)
    ]
    return Measurement(BRAIN, BELOW_650, shares[0], "%", abs(shares[0] - shares[1]) + 0.5)


def _notices(
    source: str, restriction: Restriction, has_baseline: bool, maps: TissueMaps, enough: bool
) -> Iterator[str]:
    yield source
    if not has_baseline:
        yield "diffusion: no earlier DWI and ADC to compare with"
    if restriction.uncompared > 0:
        share = f"{100 * restriction.uncompared:.0f} % of the tissue"
        yield f"diffusion: {share} was not compared, the earlier images do not show it"
    if not enough:
        yield "diffusion: a large part of the brain was not judged: the images do not show it, or artefacts hide it"
    if restriction.unmirrored:
        yield "diffusion: the two sides could not be compared"
    hidden = 100.0 * float((restriction.zone & maps.brain).sum()) / max(1.0, float(maps.brain.sum()))
    if hidden >= 2.0:
        yield f"diffusion: {hidden:.0f} % of the brain lies in susceptibility artefacts and was not judged"
